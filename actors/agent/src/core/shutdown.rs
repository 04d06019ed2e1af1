//! Ends: of a framework's executors, and of the agent with all of them.

use super::{AgentCore, Out, TaskKey};
use crate::effect::{AgentEnd, Effect};
use odeon_protocol::messages::master_agent::{CommandRefused, ShutdownAgent, ShutdownFramework};
use odeon_protocol::moment::Moment;

impl AgentCore {
    /// The master has torn a framework down: its executors end, and nothing is told about its tasks.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows.
    pub fn on_shutdown_framework(
        &mut self,
        message: &ShutdownFramework,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), CommandRefused> {
        self.fence(message.epoch)?;
        let keys = self.tasks.keys().chain(self.streams.keys());
        let keys: Vec<TaskKey> = keys.filter(|key| key.0 == message.framework_id).cloned().collect();
        keys.iter().for_each(|key| self.mute(key, out));
        self.end_executors(|framework_id| *framework_id == message.framework_id, now, out);
        Ok(())
    }

    /// The master ends the agent.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows.
    pub fn on_shutdown_agent(
        &mut self,
        message: ShutdownAgent,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), CommandRefused> {
        self.fence(message.epoch)?;
        self.begin_end(AgentEnd::ShutDown(message.message), now, out);
        Ok(())
    }

    /// The agent is stopped here.
    pub fn on_stop(&mut self, now: Moment, out: &mut Out) {
        self.begin_end(AgentEnd::Stopped, now, out);
    }

    /// Ends all executors, and then the agent. The first reason stays.
    pub(super) fn begin_end(&mut self, end: AgentEnd, now: Moment, out: &mut Out) {
        self.end.get_or_insert(end);
        self.end_executors(|_| true, now, out);
        self.finish_if_done(out);
    }

    pub(super) fn finish_if_done(&mut self, out: &mut Out) {
        let Some(end) = self.end.as_ref().filter(|_| self.executors.is_empty() && !self.finished) else { return };
        out.send(Effect::Finish(end.clone()));
        self.finished = true;
    }
}
