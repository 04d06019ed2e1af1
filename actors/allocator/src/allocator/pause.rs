//! The pause after a failover: with any quota, nobody is offered anything until most agents are back.
//!
//! Otherwise what is guaranteed to one role would be given to another, only because its agents come back first.

use super::Allocator;
use std::time::Duration;

/// Agents that must be back, in percent.
const BACK_PERCENT: usize = 80;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// A pause that lasts until enough agents are here, or its time is over.
#[derive(Debug)]
pub(crate) struct Pause {
    needed: usize,
    until: Duration,
}

impl Allocator {
    /// Begins a pause, if any role has a quota: until as many agents are here as 80 percent of those that were known,
    /// but at most ten minutes. Set the quotas before.
    pub fn await_agents(&mut self, now: Duration, known_count: usize) {
        let needed = (known_count * BACK_PERCENT).div_ceil(100);
        let is_needed = self.roster.books.is_any_bound() && self.agent_slots.len() < needed;
        self.pause = is_needed.then(|| Pause { needed, until: now.saturating_add(PAUSE_MAX) });
    }

    /// Whether no run is made now; what is marked stays marked.
    #[must_use]
    pub fn is_paused(&self, now: Duration) -> bool {
        self.pause.as_ref().is_some_and(|pause| now < pause.until)
    }

    /// Ends the pause for good with the agent that makes it enough; one that comes, goes and comes again is one.
    pub(super) fn note_agent_back(&mut self) {
        self.pause.take_if(|pause| self.agent_slots.len() >= pause.needed);
    }
}
