//! The pause after a failover: with any quota, nobody is offered anything until most agents are back.
//!
//! Otherwise what is guaranteed to one role would be given to another, only because its agents come back first.

use super::Allocator;
use std::time::Duration;

/// Agents that must be back, in percent.
const BACK_PERCENT: usize = 80;
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// A pause that lasts until enough agents have been added, or its time is over.
#[derive(Debug)]
pub(crate) struct Pause {
    missing: usize,
    until: Duration,
}

impl Allocator {
    /// Begins a pause, if any role has a quota: until 80 percent of the agents that were known are added, but at
    /// most ten minutes. Set the quotas before.
    pub fn await_agents(&mut self, now: Duration, known_count: usize) {
        let missing = (known_count * BACK_PERCENT).div_ceil(100);
        let is_needed = self.roster.books.is_any_bound() && missing > 0;
        self.pause = is_needed.then(|| Pause { missing, until: now.saturating_add(PAUSE_MAX) });
    }

    /// Whether no run is made now; what is marked stays marked.
    #[must_use]
    pub fn is_paused(&self, now: Duration) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.missing > 0 && now < pause.until)
    }

    /// Counts an agent that came back.
    pub(super) fn note_agent_back(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.missing = pause.missing.saturating_sub(1);
        }
    }
}
