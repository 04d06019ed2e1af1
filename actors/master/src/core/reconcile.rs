//! Answers to frameworks that ask for the state of their tasks.
//!
//! # Source
//! The table of explicit reconciliation of Apache Mesos. Beyond it, a task that has ended is answered
//! by how it ended, for as long as that is remembered.

use super::agents::Presence;
use super::tasks::word_of_master;
use super::{MasterCore, MasterOutbox, TaskKey};
use odeon_protocol::id::{AgentId, TaskId};
use odeon_protocol::messages::master_scheduler::{CallError, ReconcileTasks};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, TaskState};
use odeon_runtime::NodeId;

impl MasterCore {
    /// Answers by one update for each task in question, or for all that have not ended if none is named.
    ///
    /// # Errors
    /// [`CallError`]; nothing is told then.
    pub fn on_reconcile_tasks(
        &mut self,
        node: &NodeId,
        message: &ReconcileTasks,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        let framework = self.check_caller(&message.framework_id, node)?;
        let all = || framework.tasks.keys().map(|task_id| (task_id.clone(), None)).collect();
        let asked: Vec<(TaskId, Option<AgentId>)> =
            if message.tasks.is_empty() { all() } else { message.tasks.clone() };
        for (task_id, agent_id) in asked {
            let key = (message.framework_id.clone(), task_id);
            self.answer_about(&key, agent_id.as_ref(), now, out);
        }
        Ok(())
    }

    /// Tells a framework the state of one task, or nothing while an agent that may know it is not back.
    pub(super) fn answer_about(
        &self,
        key: &TaskKey,
        believed_on: Option<&AgentId>,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        let Some(framework) = self.frameworks.get(&key.0) else { return };
        let ended = || framework.history.get(&key.1).map(|ended| &ended.task);
        let (state, agent_id, message) = match framework.tasks.get(&key.1).or_else(ended) {
            Some(task) => (task.state, Some(&task.agent_id), "the newest state of the task"),
            None => match (framework.history.bare(&key.1), self.state_of_unknown(believed_on)) {
                (Some(end), _) => (end.state, Some(&end.agent_id), "the newest state of the task"),
                (None, Some((state, message))) => (state, believed_on, message),
                (None, None) => return,
            },
        };
        let status = word_of_master(&key.1, state, agent_id, now).because(StatusReason::Reconciliation, message);
        self.tell_status(&key.0, status, out);
    }

    fn state_of_unknown(&self, believed_on: Option<&AgentId>) -> Option<(TaskState, &'static str)> {
        let Some(agent_id) = believed_on else {
            let may_turn_up = !self.recovered.is_empty();
            return (!may_turn_up).then_some((TaskState::Unknown, "nobody knows the task"));
        };
        if self.gone.contains(agent_id) {
            return Some((TaskState::GoneByOperator, "an operator has declared the agent of the task gone"));
        }
        let Some(agent) = self.agents.get(agent_id) else {
            return Some((TaskState::Unknown, "nobody knows the agent of the task"));
        };
        match agent.presence {
            Presence::Recovered => None,
            Presence::Unreachable => Some((TaskState::Unreachable, "the agent does not answer")),
            Presence::Connected | Presence::Disconnected => Some((TaskState::Gone, "the agent does not have the task")),
        }
    }
}
