//! How fast agents may be given up, and how many after a restart of the master.
//!
//! A master that gives up many agents at once is more often wrong about the network than right about them.

use super::agents::Presence;
use super::timers::Timer;
use super::{MasterCore, MasterOutbox};
use crate::effect::Effect;
use odeon_protocol::id::AgentId;
use odeon_protocol::moment::Moment;
use std::time::Duration;

impl MasterCore {
    /// An agent is not back in time: gives it up, or steps down if too many of the registry are missing.
    pub(super) fn on_agent_overdue(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let is_recovered = self.agents.get(agent_id).is_some_and(|agent| agent.presence == Presence::Recovered);
        if is_recovered && self.are_too_many_missing() {
            let (missing, all, max) =
                (self.recovered.len(), self.recovered_count, self.rules.recovery_removal_percent_max);
            let reason = format!(
                "{missing} of {all} agents of the registry did not come back, more than the {max} % that may be given up"
            );
            out.send(Effect::StepDown { reason });
            return;
        }
        if self.may_lose_now(Timer::AgentReturn(agent_id.clone()), now) {
            self.lose_agent(agent_id, now, out);
        }
    }

    fn are_too_many_missing(&self) -> bool {
        let max = u64::from(self.rules.recovery_removal_percent_max);
        self.recovered.len() as u64 * 100 > max * self.recovered_count as u64
    }

    /// Counts one agent that is given up, or sets the timer for when that is allowed.
    pub(super) fn may_lose_now(&mut self, timer: Timer, now: Moment) -> bool {
        let Some(rate) = self.rules.agent_removal_rate else { return true };
        let is_past = |at: &Duration| at.saturating_add(rate.per) <= now.since_start;
        while self.removals.front().is_some_and(is_past) {
            self.removals.pop_front();
        }
        match self.removals.front() {
            Some(oldest) if self.removals.len() >= rate.count as usize => {
                self.timers.set(timer, oldest.saturating_add(rate.per));
                false
            }
            _ => {
                self.removals.push_back(now.since_start);
                true
            }
        }
    }
}
