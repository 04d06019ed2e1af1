//! What becomes of tasks when their agent registers: the agent's list and the master's are compared.
//!
//! The agent is out of the allocator meanwhile; what is charged here goes in with it afterwards.

use super::tasks::{Task, word_of_master};
use super::timers::Timer;
use super::{MasterCore, MasterOutbox, TaskKey};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::AgentTask;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, TaskState};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An agent has its answer by then, and can hear of kills.
const KILL_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl MasterCore {
    /// Takes back the tasks of an agent; returns those that it has to kill and forget.
    pub(super) fn take_back_tasks(
        &mut self,
        agent_id: &AgentId,
        brought: Vec<AgentTask>,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Vec<TaskKey> {
        let name = |task: AgentTask| ((task.framework_id.clone(), task.task.task_id.clone()), task);
        let brought: BTreeMap<TaskKey, AgentTask> = brought.into_iter().map(name).collect();
        let mut kill: BTreeSet<TaskKey> = BTreeSet::new();
        for key in self.tasks_on(agent_id, |_| true) {
            if !brought.contains_key(&key) {
                let why = (StatusReason::Reconciliation, "the agent does not have the task");
                self.give_up(&key, TaskState::Gone, why, now, out);
                // Its launch may be under way to the agent.
                kill.insert(key);
            }
        }
        for (key, task) in brought {
            if !self.take_back_task(agent_id, &key, task, now, out) {
                self.refuse_to_take_back(&key, now, out);
                kill.insert(key);
            }
        }
        self.doom_tasks(agent_id);
        self.repeat_kills(agent_id, now);
        let agent = self.agents.get_mut(agent_id).expect("the agent has been admitted");
        agent.given_up.clone_from(&kill);
        kill.into_iter().collect()
    }

    /// Takes a task back if its framework still wants to know of it.
    fn take_back_task(
        &mut self,
        agent_id: &AgentId,
        key: &TaskKey,
        brought: AgentTask,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> bool {
        let Some(framework) = self.frameworks.get(&key.0) else { return false };
        if self.agents.get(agent_id).is_some_and(|agent| agent.given_up.contains(key)) {
            return false;
        }
        match (framework.tasks.get(&key.1), framework.history.get(&key.1)) {
            (Some(task), _) if task.agent_id != *agent_id => false,
            (Some(_), _) => self.go_on_with(agent_id, key, &brought, now, out),
            (None, Some(ended)) => !ended.by_master && ended.task.agent_id == *agent_id && brought.state.is_terminal(),
            (None, None) => self.adopt(agent_id, key, brought, now),
        }
    }

    /// Charges a known task again and takes over its state; one that was out of sight is told to be back.
    fn go_on_with(
        &mut self,
        agent_id: &AgentId,
        key: &TaskKey,
        brought: &AgentTask,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> bool {
        if brought.state.is_terminal() {
            self.end_task(key, brought.state, None, "", false, now);
            return true;
        }
        let Some(task) = self.task(key) else { return false };
        let (info, role, was_hidden) = (task.info.clone(), task.role.clone(), task.state == TaskState::Unreachable);
        let agent = self.agents.get_mut(agent_id).expect("the agent has been admitted");
        let takes = agent.parts_of(&role, &info);
        if agent.charge_task(&key.0, &role, &info, &takes).is_err() {
            return false;
        }
        let task = self.task_mut(key).expect("it was found above");
        task.set_charged(&takes.task);
        task.set_state(brought.state, None, "", now);
        if was_hidden {
            let status = word_of_master(&key.1, brought.state, Some(agent_id), now);
            let status = status.because(StatusReason::Reconciliation, "the agent is back");
            self.tell_status(&key.0, status, out);
        }
        true
    }

    /// Takes over a task that an earlier master has launched.
    fn adopt(&mut self, agent_id: &AgentId, key: &TaskKey, brought: AgentTask, now: Moment) -> bool {
        let AgentTask { framework_id, role, task: info, state } = brought;
        let mut task = Task::new(info, agent_id.clone(), role, state, now);
        if state.is_terminal() {
            let told = self.frameworks[&framework_id].info.is_partition_aware();
            task.state = state.as_told_to(told);
            self.remember(&key.0, task, false);
            return true;
        }
        let agent = self.agents.get_mut(agent_id).expect("the agent has been admitted");
        let takes = agent.parts_of(&task.role, &task.info);
        if agent.charge_task(&framework_id, &task.role, &task.info, &takes).is_err() {
            return false;
        }
        task.set_charged(&takes.task);
        self.add_task(&framework_id, task);
        true
    }

    /// A task that cannot be charged ends here, if it has not ended before.
    fn refuse_to_take_back(&mut self, key: &TaskKey, now: Moment, out: &mut MasterOutbox) {
        if self.task(key).is_some_and(|task| !task.charged) {
            let why = (StatusReason::Reconciliation, "the agent has less than the task takes");
            self.give_up(key, TaskState::Gone, why, now, out);
        }
    }

    fn repeat_kills(&mut self, agent_id: &AgentId, now: Moment) {
        let asked = |key: &TaskKey| self.task(key).is_some_and(|task| task.kill_asked);
        let due: BTreeSet<TaskKey> = self.tasks_on(agent_id, |_| true).into_iter().filter(asked).collect();
        if !due.is_empty() {
            self.timers.set(Timer::Ping(agent_id.clone()), now.after(KILL_AGAIN_AFTER));
        }
        let agent = self.agents.get_mut(agent_id).expect("the agent has been admitted");
        agent.kills_due = due;
    }
}
