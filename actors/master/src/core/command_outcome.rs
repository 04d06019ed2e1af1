//! What follows when an agent has answered a command, or has not.
//!
//! A command that may be lost makes the agent register anew, so that the tasks are compared.

use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::{AgentCommand, CommandOutcome, Effect};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::{CommandRefused, KillTask, LaunchTask};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, TaskState};
use odeon_runtime::NodeId;

/// What the core has to know of a command when its outcome arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandReceipt {
    /// It was a ping.
    Ping,
    /// It was the launch of a task.
    Launch(TaskKey),
    /// It was the kill of a task.
    Kill(TaskKey),
    /// It was something that is made good elsewhere.
    Other,
}

impl CommandReceipt {
    /// Whether the core has to hear of the outcome: that a command was obeyed is told by what comes of it, but for a
    /// ping.
    #[must_use]
    pub fn is_of_interest(&self, outcome: &CommandOutcome) -> bool {
        *self == Self::Ping || *outcome != CommandOutcome::Obeyed
    }
}

impl CommandReceipt {
    pub(crate) fn of_launch(launch: &LaunchTask) -> Self {
        Self::Launch((launch.framework_id.clone(), launch.task.task_id.clone()))
    }

    pub(crate) fn of_kill(kill: &KillTask) -> Self {
        Self::Kill((kill.framework_id.clone(), kill.task_id.clone()))
    }
}

impl From<&AgentCommand> for CommandReceipt {
    fn from(command: &AgentCommand) -> Self {
        match command {
            AgentCommand::Ping(_) => Self::Ping,
            AgentCommand::Launch(launch) => Self::of_launch(launch),
            AgentCommand::Kill(kill) => Self::of_kill(kill),
            AgentCommand::Acknowledge(_) | AgentCommand::ShutdownFramework(_) | AgentCommand::ShutdownAgent(_) => {
                Self::Other
            }
        }
    }
}

impl MasterCore {
    /// Takes note of what has become of a command to an agent's node.
    pub fn on_command_outcome(
        &mut self,
        agent_id: &AgentId,
        node: &NodeId,
        receipt: &CommandReceipt,
        outcome: &CommandOutcome,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        if let CommandOutcome::Refused(refusal @ CommandRefused::OldEpoch { .. }) = outcome {
            let reason = format!("agent {agent_id} follows another master: {refusal}");
            out.send(Effect::StepDown { reason });
            return;
        }
        if self.agents.get(agent_id).is_none_or(|agent| agent.node() != Some(node)) {
            return;
        }
        match (receipt, outcome) {
            (CommandReceipt::Ping, CommandOutcome::Obeyed) => self.on_ping_answered(agent_id, out),
            (_, CommandOutcome::Obeyed) | (CommandReceipt::Ping, _) => {}
            (CommandReceipt::Launch(key), CommandOutcome::Refused(_) | CommandOutcome::Undelivered(_)) => {
                self.on_launch_failed(agent_id, key, now, out);
            }
            (CommandReceipt::Kill(key), _) => self.on_kill_failed(agent_id, key),
            (CommandReceipt::Launch(_) | CommandReceipt::Other, _) => self.must_register(agent_id),
        }
    }

    fn on_launch_failed(&mut self, agent_id: &AgentId, key: &TaskKey, now: Moment, out: &mut MasterOutbox) {
        let is_staging = |task: &super::tasks::Task| task.agent_id == *agent_id && task.state == TaskState::Staging;
        if self.task(key).is_some_and(is_staging) {
            let why = (StatusReason::AgentDisconnected, "the task did not reach its agent");
            self.give_up(key, TaskState::Dropped, why, now, out);
        }
        self.must_register(agent_id);
    }

    fn on_kill_failed(&mut self, agent_id: &AgentId, key: &TaskKey) {
        if let Some(agent) = self.agents.get_mut(agent_id).filter(|agent| agent.tasks.contains(key)) {
            agent.kills_due.insert(key.clone());
        }
        self.must_register(agent_id);
    }

    fn must_register(&mut self, agent_id: &AgentId) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            agent.must_register = true;
        }
    }
}
