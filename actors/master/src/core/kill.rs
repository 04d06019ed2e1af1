//! Killing tasks, for their framework or an operator.
//!
//! A kill is remembered with its task, and sent again if the agent may not have heard of it.

use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::AgentCommand;
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::messages::master_agent::KillTask;
use odeon_protocol::messages::master_operator::{KillTaskByOperator, KillTaskError};
use odeon_protocol::messages::master_scheduler::{CallError, KillFrameworkTask};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskState;
use odeon_runtime::NodeId;

impl MasterCore {
    /// Kills a task of the sender's framework; of one that is not there, its state is told.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_kill_framework_task(
        &mut self,
        node: &NodeId,
        message: KillFrameworkTask,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        self.check_caller(&message.framework_id, node)?;
        let key = (message.framework_id, message.task_id);
        let is_in_sight = self.task(&key).is_some_and(|task| task.state != TaskState::Unreachable);
        self.kill(&key, out);
        if !is_in_sight {
            self.answer_about(&key, None, now, out);
        }
        Ok(())
    }

    /// Kills a task for an operator.
    ///
    /// # Errors
    /// [`KillTaskError`] if no task, or more than one, is meant, or if it has ended.
    pub fn on_kill_task_by_operator(
        &mut self,
        message: KillTaskByOperator,
        out: &mut MasterOutbox,
    ) -> Result<(), KillTaskError> {
        let KillTaskByOperator { task_id, framework_id } = message;
        let framework_id = self.holder_of(&task_id, framework_id.as_ref())?;
        self.kill(&(framework_id, task_id), out);
        Ok(())
    }

    /// The framework whose task of that id has not ended.
    ///
    /// # Errors
    /// [`KillTaskError`] if there is no such framework, or more than one.
    pub(super) fn holder_of(
        &self,
        task_id: &TaskId,
        framework_id: Option<&FrameworkId>,
    ) -> Result<FrameworkId, KillTaskError> {
        let meant = |id: &FrameworkId| framework_id.is_none_or(|framework_id| framework_id == id);
        let has = self.frameworks.iter().filter(|(id, framework)| meant(id) && framework.tasks.contains_key(task_id));
        let mut holders = has.map(|(id, _)| id.clone());
        match (holders.next(), holders.next()) {
            (Some(framework_id), None) => Ok(framework_id),
            (Some(_), Some(_)) => Err(KillTaskError::Ambiguous(task_id.clone())),
            (None, _) => Err(self.why_not_there(task_id.clone(), meant)),
        }
    }

    fn why_not_there(&self, task_id: TaskId, is_meant: impl Fn(&FrameworkId) -> bool) -> KillTaskError {
        let alive = self.frameworks.iter();
        let ended = self.ended.iter().filter_map(|ended| Some((&ended.framework_id, ended.framework.as_ref()?)));
        let mut histories = alive.chain(ended).filter(|(id, _)| is_meant(id)).map(|(_, framework)| &framework.history);
        let state = histories.find_map(|history| history.get(&task_id)).map(|ended| ended.task.state);
        match state {
            Some(state) => KillTaskError::Ended { task_id, state },
            None => KillTaskError::Unknown(task_id),
        }
    }

    pub(super) fn kill(&mut self, key: &TaskKey, out: &mut MasterOutbox) {
        if let Some(task) = self.task_mut(key) {
            task.kill_asked = true;
            self.send_kill(key, out);
        }
    }

    /// Sends the kill of a task to its agent, if that is connected; if not, it is sent when the agent is back.
    pub(super) fn send_kill(&self, key: &TaskKey, out: &mut MasterOutbox) {
        if let Some(task) = self.task(key) {
            self.kill_on(&task.agent_id, key, out);
        }
    }

    /// Sends the kill of a task that may be none of the master's any more.
    pub(super) fn kill_on(&self, agent_id: &AgentId, key: &TaskKey, out: &mut MasterOutbox) {
        let (framework_id, task_id) = key.clone();
        let drain = self.agents.get(agent_id).and_then(|agent| agent.drain.as_ref());
        let grace_max = drain.and_then(|drain| drain.grace_max);
        let kill = KillTask { epoch: self.epoch, framework_id, task_id, grace_max };
        self.command(agent_id, AgentCommand::Kill(kill), out);
    }
}
