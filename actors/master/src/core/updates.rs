//! Status updates on their way from agents to schedulers, and acknowledgements on their way back.
//!
//! Updates are not kept here: the agent repeats each until its acknowledgement has come back.

use super::tasks::Task;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::AgentCommand;
use odeon_protocol::id::{AgentId, StatusUuid};
use odeon_protocol::messages::master_agent::{AcknowledgeStatus, ForwardStatus, ForwardStatuses};
use odeon_protocol::messages::master_scheduler::{AcknowledgeUpdate, AcknowledgeUpdates, CallError};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{TaskState, TaskStatus};
use odeon_runtime::NodeId;
use tracing::debug;

/// What is done with an update.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It is the task's framework's business.
    PassOn,
    /// Nobody shall hear of it: the master acknowledges it, and kills the task if it is alive.
    Settle,
}

impl MasterCore {
    /// Takes note of updates, in their order, and passes them on.
    pub fn on_forward_statuses(
        &mut self,
        node: &NodeId,
        message: ForwardStatuses,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        message.updates.into_iter().for_each(|update| self.on_forward_status(node, update, now, out));
    }

    /// Takes note of an update and passes it on.
    pub fn on_forward_status(&mut self, node: &NodeId, message: ForwardStatus, now: Moment, out: &mut MasterOutbox) {
        let ForwardStatus { agent_id, framework_id, mut status, latest } = message;
        let agent = self.agents.get(&agent_id).filter(|agent| agent.is_connected());
        if agent.is_none_or(|agent| agent.node() != Some(node)) {
            debug!(%agent_id, %node, "an update of an agent that is not registered is left for its repetition");
            return;
        }
        status.agent_id = Some(agent_id.clone());
        let key = (framework_id, status.task_id.clone());
        let newest = if status.state.is_terminal() { status.state } else { latest };
        match self.judge(&key, &agent_id, status.state) {
            Verdict::PassOn => {
                self.mark_preempted(&key, &mut status);
                self.note_state(&key, &agent_id, newest, &status, now);
                self.tell_status(&key.0, status, out);
            }
            Verdict::Settle => {
                if let Some(uuid) = status.uuid {
                    self.acknowledge(&agent_id, &key, uuid, out);
                }
                if !newest.is_terminal() {
                    self.kill_on(&agent_id, &key, out);
                }
            }
        }
    }

    fn judge(&self, key: &TaskKey, agent_id: &AgentId, state: TaskState) -> Verdict {
        let Some(framework) = self.frameworks.get(&key.0) else { return Verdict::Settle };
        let is_given_up = self.agents.get(agent_id).is_some_and(|agent| agent.given_up.contains(key));
        let is_elsewhere = |task: &Task| task.agent_id != *agent_id;
        if is_given_up || framework.tasks.get(&key.1).is_some_and(is_elsewhere) {
            return Verdict::Settle;
        }
        if framework.tasks.contains_key(&key.1) {
            return Verdict::PassOn;
        }
        let told = state.as_told_to(framework.info.is_partition_aware());
        let contradicts = |ended: &Task| state.is_terminal() && told != ended.state;
        match framework.history.get(&key.1) {
            Some(ended) if ended.by_master || is_elsewhere(&ended.task) || contradicts(&ended.task) => Verdict::Settle,
            Some(_) => Verdict::PassOn,
            None => match framework.history.bare(&key.1) {
                Some(end) if end.agent_id != *agent_id || (state.is_terminal() && told != end.state) => Verdict::Settle,
                // Of a task that is forgotten, the framework may still wait for the end.
                Some(_) | None => Verdict::PassOn,
            },
        }
    }

    /// Sets the newest state of a task that has not ended, and ends it if that is its end.
    fn note_state(&mut self, key: &TaskKey, agent_id: &AgentId, newest: TaskState, status: &TaskStatus, now: Moment) {
        if newest.is_terminal() && self.task(key).is_none() {
            self.remember_end(key, agent_id, newest);
        } else if newest.is_terminal() {
            self.end_task(key, newest, status.reason, &status.message, false, now);
        } else if let Some(task) = self.task_mut(key) {
            task.set_state(newest, status.reason, &status.message, now);
        }
    }

    /// Passes acknowledgements on, as [`Self::on_acknowledge_update`] does each.
    ///
    /// # Errors
    /// The first [`CallError`]; what is behind it has changed nothing.
    pub fn on_acknowledge_updates(
        &mut self,
        node: &NodeId,
        message: AcknowledgeUpdates,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        message.updates.into_iter().try_for_each(|update| self.on_acknowledge_update(node, update, out))
    }

    /// Passes an acknowledgement on to the agent; if that is not there, it will repeat the update.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_acknowledge_update(
        &mut self,
        node: &NodeId,
        message: AcknowledgeUpdate,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        self.check_caller(&message.framework_id, node)?;
        let key = (message.framework_id, message.task_id);
        self.acknowledge(&message.agent_id, &key, message.uuid, out);
        Ok(())
    }

    fn acknowledge(&self, agent_id: &AgentId, key: &TaskKey, uuid: StatusUuid, out: &mut MasterOutbox) {
        let (framework_id, task_id) = key.clone();
        let acknowledge = AcknowledgeStatus { epoch: self.epoch, framework_id, task_id, uuid };
        self.command(agent_id, AgentCommand::Acknowledge(acknowledge), out);
    }
}
