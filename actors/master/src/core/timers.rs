//! The deadlines of the core: at most one for each thing that waits.
//!
//! Knows nothing of what happens when one is due.

use odeon_protocol::id::{AgentId, FrameworkId, OfferId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The next round of allocation, whatever happens until then.
    Allocation,
    /// The next ping of an agent.
    Ping(AgentId),
    /// An agent that is not connected has to be back.
    AgentReturn(AgentId),
    /// An offer runs out.
    OfferExpiry(OfferId),
    /// The end of a drain is to be noted.
    Drained(AgentId),
    /// The time is over that somebody had to give resources back.
    Preemption,
    /// A framework that is not connected has to be back.
    Failover(FrameworkId),
}

/// Deadlines, as times since the start of the node.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Duration, Timer)>,
    by_timer: BTreeMap<Timer, Duration>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub(super) fn set(&mut self, timer: Timer, at: Duration) {
        self.cancel(&timer);
        self.by_time.insert((at, timer.clone()));
        self.by_timer.insert(timer, at);
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.by_timer.remove_entry(timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    #[cfg(test)]
    pub(super) fn expiry_count(&self) -> usize {
        self.by_timer.keys().filter(|timer| matches!(timer, Timer::OfferExpiry(_))).count()
    }

    /// Takes the earliest timer that is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_that_is_moved_is_due_once() {
        let mut timers = Timers::default();
        timers.set(Timer::Allocation, Duration::from_secs(1));
        timers.set(Timer::Allocation, Duration::from_secs(2));
        assert_eq!(timers.take_due(Duration::from_secs(1)), None);
        assert_eq!(timers.take_due(Duration::from_secs(2)), Some(Timer::Allocation));
        assert_eq!((timers.take_due(Duration::MAX), timers.next()), (None, None));
    }
}
