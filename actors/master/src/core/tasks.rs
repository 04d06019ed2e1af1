//! Tasks: their books, their ends, and what their framework is told about them.
//!
//! Where a change comes from is in the files beside this one; here is what follows from it.

use super::agents::{Agent, Executor};
use super::frameworks::Framework;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::SchedulerEvent;
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::messages::master_scheduler::TaskUpdated;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{Class, Resources, ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus};

/// A task, while it lives and in the history.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) info: TaskInfo,
    pub(super) agent_id: AgentId,
    pub(super) role: Role,
    pub(super) state: TaskState,
    pub(super) reason: Option<StatusReason>,
    pub(super) message: String,
    pub(super) launched_ms: u64,
    pub(super) updated_ms: u64,
    /// What it takes is in the ledger of its agent.
    pub(super) charged: bool,
    /// What it takes by class, if that is not all plain.
    pub(super) taken: Option<TypedResources>,
    pub(super) kill_asked: bool,
    /// For which role it is killed, if it is for another one.
    pub(super) preempted_for: Option<Role>,
}

impl Task {
    pub(super) fn new(info: TaskInfo, agent_id: AgentId, role: Role, state: TaskState, now: Moment) -> Self {
        Self {
            info,
            agent_id,
            role,
            state,
            reason: None,
            message: String::new(),
            launched_ms: now.wall_ms,
            updated_ms: now.wall_ms,
            charged: false,
            taken: None,
            kill_asked: false,
            preempted_for: None,
        }
    }

    /// What it takes, by class.
    pub(super) fn takes(&self) -> TypedResources {
        self.taken.clone().unwrap_or_else(|| self.info.resources.clone().into())
    }

    /// What it takes that is not reserved; this alone others can have when it ends.
    pub(super) fn takes_plain(&self) -> Resources {
        self.taken.as_ref().map_or_else(|| self.info.resources.clone(), |taken| taken.of(&Class::default()))
    }

    /// Notes that it is charged, and for what.
    pub(super) fn set_charged(&mut self, taken: &TypedResources) {
        self.charged = true;
        self.taken = taken.parts().any(|(class, _)| !class.is_plain()).then(|| taken.clone());
    }

    pub(super) fn set_state(&mut self, state: TaskState, reason: Option<StatusReason>, message: &str, now: Moment) {
        self.state = state;
        self.reason = reason;
        message.clone_into(&mut self.message);
        self.updated_ms = now.wall_ms;
    }
}

/// What a task takes of its agent, by class, and what its executor takes if it is the first of its tasks.
#[derive(Debug, Clone, Default)]
pub(super) struct Takes {
    pub(super) task: TypedResources,
    pub(super) executor: TypedResources,
}

/// What the master itself has to say about a task.
pub(super) fn word_of_master(
    task_id: &TaskId,
    state: TaskState,
    agent_id: Option<&AgentId>,
    now: Moment,
) -> TaskStatus {
    let mut status = TaskStatus::new(task_id.clone(), state, StatusSource::Master).at(now.wall_ms);
    status.agent_id = agent_id.cloned();
    status
}

impl Agent {
    /// Books what a task takes, and what its executor takes if it is the first of its tasks.
    ///
    /// # Errors
    /// If something of it is used already; nothing has changed.
    pub(super) fn charge_task(
        &mut self,
        framework_id: &FrameworkId,
        role: &Role,
        info: &TaskInfo,
        takes: &Takes,
    ) -> Result<(), ResourcesError> {
        let executor = info.executor();
        let key = (framework_id.clone(), executor.executor_id.clone());
        self.ledger.charge(framework_id, role, &takes.task)?;
        if !self.executors.contains_key(&key) {
            let charged = self.ledger.charge(framework_id, role, &takes.executor);
            charged.inspect_err(|_| self.ledger.release(framework_id, role, &takes.task))?;
            let (info, takes) = (executor.into_owned(), takes.executor.clone());
            self.executors.insert(key.clone(), Executor { info, takes, role: role.clone(), task_count: 0 });
        }
        self.executors.get_mut(&key).expect("it is there or was inserted").task_count += 1;
        Ok(())
    }

    /// What a task that came back takes, by class, of what the others have left.
    pub(super) fn parts_of(&self, role: &Role, info: &TaskInfo) -> Takes {
        let executor = info.executor();
        if self.is_plain() {
            return Takes { task: info.resources.clone().into(), executor: executor.resources.clone().into() };
        }
        let mut left = self.reserved_left();
        let task = left.part_for(role, &info.resources);
        left.take(&task.reserved()).expect("a part of what is left");
        Takes { executor: left.part_for(role, &executor.resources), task }
    }

    /// Ends the booking of a task; returns its executor if that has no other task.
    fn release_task(&mut self, framework_id: &FrameworkId, task: &Task) -> Option<Executor> {
        self.ledger.release(framework_id, &task.role, &task.takes());
        let key = (framework_id.clone(), task.info.executor_id());
        let executor = self.executors.get_mut(&key).expect("a charged task has an executor");
        executor.task_count -= 1;
        if executor.task_count > 0 {
            return None;
        }
        let executor = self.executors.remove(&key)?;
        self.ledger.release(framework_id, &executor.role, &executor.takes);
        Some(executor)
    }
}

impl MasterCore {
    pub(super) fn task(&self, key: &TaskKey) -> Option<&Task> {
        self.frameworks.get(&key.0)?.tasks.get(&key.1)
    }

    pub(super) fn task_mut(&mut self, key: &TaskKey) -> Option<&mut Task> {
        self.frameworks.get_mut(&key.0)?.tasks.get_mut(&key.1)
    }

    /// The tasks on an agent that have not ended and whose framework is meant.
    pub(super) fn tasks_on(&self, agent_id: &AgentId, is_meant: impl Fn(&Framework) -> bool) -> Vec<TaskKey> {
        let tasks = self.agents.get(agent_id).into_iter().flat_map(|agent| &agent.tasks);
        tasks.filter(|(framework_id, _)| self.frameworks.get(framework_id).is_some_and(&is_meant)).cloned().collect()
    }

    /// Adds a task that has been charged already.
    pub(super) fn add_task(&mut self, framework_id: &FrameworkId, task: Task) {
        let key = (framework_id.clone(), task.info.task_id.clone());
        let agent = self.agents.get_mut(&task.agent_id).expect("a task is added on an agent that is there");
        agent.given_up.remove(&key);
        agent.tasks.insert(key);
        let framework = self.frameworks.get_mut(framework_id).expect("a task is added to a framework that is there");
        framework.agents.insert(task.agent_id.clone());
        framework.tasks.insert(task.info.task_id.clone(), task);
    }

    /// Ends a task: its resources are free, and it goes into the history. Tells nobody.
    pub(super) fn end_task(
        &mut self,
        key: &TaskKey,
        state: TaskState,
        reason: Option<StatusReason>,
        message: &str,
        by_master: bool,
        now: Moment,
    ) {
        let Some(framework) = self.frameworks.get_mut(&key.0) else { return };
        let Some(mut task) = framework.tasks.remove(&key.1) else { return };
        let told = state.as_told_to(framework.info.is_partition_aware());
        task.set_state(told, reason, message, now);
        let agent = self.agents.get_mut(&task.agent_id).expect("the agent of a task is remembered until it ends");
        agent.tasks.remove(key);
        agent.kills_due.remove(key);
        if by_master {
            agent.given_up.insert(key.clone());
        }
        let (is_last, agent_id) = (agent.tasks.is_empty(), task.agent_id.clone());
        if std::mem::take(&mut task.charged) {
            let executor = agent.release_task(&key.0, &task);
            self.give_back(&key.0, &task.role, &task.agent_id, &task.takes(), None, now);
            if let Some(Executor { takes, role, .. }) = executor {
                self.give_back(&key.0, &role, &task.agent_id, &takes, None, now);
            }
        }
        self.remember(&key.0, task, by_master);
        if is_last {
            self.look_at_drain(&agent_id, now);
        }
    }

    /// Ends a task by the master's word, and tells its framework.
    pub(super) fn give_up(
        &mut self,
        key: &TaskKey,
        state: TaskState,
        (reason, message): (StatusReason, &str),
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        let Some(task) = self.task(key) else { return };
        let status = word_of_master(&key.1, state, Some(&task.agent_id), now).because(reason, message);
        self.end_task(key, state, Some(reason), message, true, now);
        self.tell_status(&key.0, status, out);
    }

    /// Declares all tasks of an agent out of sight; they are not charged any more.
    pub(super) fn hide_tasks(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let (reason, message) = (StatusReason::AgentRemoved, "the agent does not answer");
        for key in self.tasks_on(agent_id, |_| true) {
            let task = self.task_mut(&key).expect("an agent names only tasks that are there");
            task.set_state(TaskState::Unreachable, Some(reason), message, now);
            let status = word_of_master(&key.1, TaskState::Unreachable, Some(agent_id), now).because(reason, message);
            self.tell_status(&key.0, status, out);
        }
    }

    /// Tells a framework about a task, in the words that it understands.
    pub(super) fn tell_status(&self, framework_id: &FrameworkId, mut status: TaskStatus, out: &mut MasterOutbox) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        status.state = status.state.as_told_to(framework.info.is_partition_aware());
        let update = TaskUpdated { framework_id: framework_id.clone(), status };
        self.tell(framework_id, SchedulerEvent::Updated(update), out);
    }
}
