//! What operators change about agents: deactivated, drained, gone.
//!
//! What is said here holds over restarts of the master, for it is in the registry. How the tasks of a
//! drained agent end is in `kill`; how it comes back is in `agents`.

use super::agents::Agent;
use super::timers::Timer;
use super::{MasterCore, MasterOutbox};
use crate::effect::{AgentAddress, AgentCommand, Effect};
use crate::record::Record;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::ShutdownAgent;
use odeon_protocol::messages::operations::{
    AgentChangeError, DeactivateAgent, Drain, DrainAgent, MarkAgentGone, ReactivateAgent,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, TaskState};
use std::collections::{BTreeSet, VecDeque};

const GONE: &str = "the agent was marked gone by an operator";

/// Agents that were declared gone, as many as the rules allow; the longest gone are forgotten first.
#[derive(Debug, Clone, Default)]
pub(super) struct GoneAgents {
    by_age: VecDeque<AgentId>,
    known: BTreeSet<AgentId>,
}

impl GoneAgents {
    pub(super) fn contains(&self, agent_id: &AgentId) -> bool {
        self.known.contains(agent_id)
    }

    /// Adds one; returns those that are forgotten for it.
    pub(super) fn push(&mut self, agent_id: AgentId, keep: usize) -> Vec<AgentId> {
        if self.known.insert(agent_id.clone()) {
            self.by_age.push_back(agent_id);
        }
        let excess = self.by_age.len().saturating_sub(keep);
        let forgotten: Vec<AgentId> = self.by_age.drain(..excess).collect();
        forgotten.iter().for_each(|agent_id| {
            self.known.remove(agent_id);
        });
        forgotten
    }
}

impl Agent {
    /// Whether an operator lets it be offered.
    pub(super) fn may_be_offered(&self) -> bool {
        !self.deactivated && self.drain.is_none()
    }

    /// Whether a drain has come to its end, and that is not yet noted.
    fn is_empty_at_last(&self) -> bool {
        self.is_connected() && self.tasks.is_empty() && self.drain.as_ref().is_some_and(|drain| !drain.drained)
    }
}

impl MasterCore {
    /// Makes no more offers of an agent.
    ///
    /// # Errors
    /// [`AgentChangeError`]; nothing has changed then.
    pub fn on_deactivate_agent(
        &mut self,
        message: &DeactivateAgent,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), AgentChangeError> {
        let agent = self.agent_to_change(&message.agent_id)?;
        if !agent.deactivated {
            agent.deactivated = true;
            out.write(Record::AgentDeactivated { agent_id: message.agent_id.clone() });
            self.stop_offering(&message.agent_id, now, out);
        }
        Ok(())
    }

    /// Offers an agent again, after it was deactivated or drained.
    ///
    /// # Errors
    /// [`AgentChangeError`]; nothing has changed then.
    pub fn on_reactivate_agent(
        &mut self,
        message: &ReactivateAgent,
        out: &mut MasterOutbox,
    ) -> Result<(), AgentChangeError> {
        let agent = self.agent_to_change(&message.agent_id)?;
        if agent.drain.as_ref().is_some_and(|drain| !drain.drained) {
            return Err(AgentChangeError::Draining(message.agent_id.clone()));
        }
        if agent.may_be_offered() {
            return Ok(());
        }
        (agent.deactivated, agent.drain) = (false, None);
        let is_connected = agent.is_connected();
        out.write(Record::AgentReactivated { agent_id: message.agent_id.clone() });
        if is_connected {
            let known = self.allocator.activate_agent(&message.agent_id);
            known.expect("a connected agent is in the allocator");
        }
        Ok(())
    }

    /// Ends what runs on an agent, and offers it no more.
    ///
    /// # Errors
    /// [`AgentChangeError`]; nothing has changed then.
    pub fn on_drain_agent(
        &mut self,
        message: DrainAgent,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), AgentChangeError> {
        let DrainAgent { agent_id, reason, grace_max, mark_gone } = message;
        let agent = self.agent_to_change(&agent_id)?;
        if agent.drain.as_ref().is_some_and(|drain| !drain.drained) {
            return Err(AgentChangeError::Draining(agent_id));
        }
        let drain = Drain { reason, grace_max, mark_gone, begun_ms: now.wall_ms, drained: false };
        agent.drain = Some(drain.clone());
        out.write(Record::AgentDraining { agent_id: agent_id.clone(), drain });
        self.stop_offering(&agent_id, now, out);
        self.doom_tasks(&agent_id);
        for key in self.tasks_on(&agent_id, |_| true) {
            self.send_kill(&key, out);
        }
        self.look_at_drain(&agent_id, now);
        Ok(())
    }

    /// Declares an agent gone for good.
    ///
    /// # Errors
    /// [`AgentChangeError`]; nothing has changed then.
    pub fn on_mark_agent_gone(
        &mut self,
        message: &MarkAgentGone,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), AgentChangeError> {
        self.agent_to_change(&message.agent_id)?;
        self.mark_gone(&message.agent_id, now, out);
        Ok(())
    }

    fn agent_to_change(&mut self, agent_id: &AgentId) -> Result<&mut Agent, AgentChangeError> {
        if self.gone.contains(agent_id) {
            return Err(AgentChangeError::Gone(agent_id.clone()));
        }
        self.agents.get_mut(agent_id).ok_or_else(|| AgentChangeError::Unknown(agent_id.clone()))
    }

    fn stop_offering(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        if self.agents.get(agent_id).is_some_and(|agent| agent.allocated) {
            let known = self.allocator.deactivate_agent(agent_id);
            known.expect("an allocated agent is in the allocator");
            self.rescind_offers_of_agent(agent_id, now, out);
        }
    }

    /// Remembers with every task of a draining agent that it is to be killed.
    pub(super) fn doom_tasks(&mut self, agent_id: &AgentId) {
        if self.agents.get(agent_id).is_some_and(|agent| agent.drain.is_some()) {
            for key in self.tasks_on(agent_id, |_| true) {
                self.task_mut(&key).expect("an agent names only tasks that are there").kill_asked = true;
            }
        }
    }

    /// Has the end of a drain noted as soon as timers are looked at, if it has come.
    pub(super) fn look_at_drain(&mut self, agent_id: &AgentId, now: Moment) {
        if self.agents.get(agent_id).is_some_and(Agent::is_empty_at_last) {
            self.timers.set(Timer::Drained(agent_id.clone()), now.since_start);
        }
    }

    /// Notes the end of a drain, unless the agent has something again or is out of touch.
    pub(super) fn on_drained(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let Some(agent) = self.agents.get_mut(agent_id).filter(|agent| agent.is_empty_at_last()) else { return };
        let drain = agent.drain.as_mut().expect("an agent that is empty at last is draining");
        drain.drained = true;
        let drain = drain.clone();
        let mark_gone = drain.mark_gone;
        out.write(Record::AgentDraining { agent_id: agent_id.clone(), drain });
        if mark_gone {
            self.mark_gone(agent_id, now, out);
        }
    }

    fn mark_gone(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        out.write(Record::AgentGone { agent_id: agent_id.clone(), gone_ms: now.wall_ms });
        self.command(agent_id, AgentCommand::ShutdownAgent(self.shutdown_of_gone()), out);
        let why = (StatusReason::AgentRemovedByOperator, GONE);
        self.forget_agent(agent_id, TaskState::GoneByOperator, why, now, out);
        self.tell_agent_lost(agent_id, out);
        self.remember_gone(agent_id.clone(), out);
    }

    pub(super) fn remember_gone(&mut self, agent_id: AgentId, out: &mut MasterOutbox) {
        for agent_id in self.gone.push(agent_id, self.rules.gone_agents_max) {
            out.write(Record::AgentForgotten { agent_id });
        }
    }

    /// Has an agent shut down that was declared gone and has come back.
    pub(super) fn turn_away(&self, agent_id: AgentId, to: AgentAddress, out: &mut MasterOutbox) {
        let command = AgentCommand::ShutdownAgent(self.shutdown_of_gone());
        out.send(Effect::CommandAgent { agent_id, to, command });
    }

    fn shutdown_of_gone(&self) -> ShutdownAgent {
        ShutdownAgent { epoch: self.epoch, message: GONE.to_owned() }
    }
}
