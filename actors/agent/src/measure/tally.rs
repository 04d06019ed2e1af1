//! What emulated agents have seen so far, for others to read at any time. It decides nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts, and since when something of each agent is free that was not offered yet.
#[derive(Debug)]
pub struct Tally {
    began: Instant,
    registered: AtomicU64,
    refused: AtomicU64,
    launched: AtomicU64,
    running: AtomicU64,
    ended: AtomicU64,
    repeated: AtomicU64,
    /// Nanoseconds since the beginning, by the number of the agent; 0 if nothing is.
    freed_at: Vec<AtomicU64>,
}

impl Tally {
    /// Nothing was seen yet of so many agents.
    #[must_use]
    pub fn new(agents: u32) -> Self {
        Self {
            began: Instant::now(),
            registered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            launched: AtomicU64::new(0),
            running: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            freed_at: (0..agents).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Registrations that were answered with an id.
    pub fn registered(&self) -> u64 {
        self.registered.load(Ordering::Relaxed)
    }

    /// Registrations that were refused or not answered; each is tried again.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Tasks that were launched.
    pub fn launched(&self) -> u64 {
        self.launched.load(Ordering::Relaxed)
    }

    /// Tasks that run now.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Tasks whose end was acknowledged.
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Updates that were sent again because they were not acknowledged in time.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// How long something of the agent was free until now, when it is offered; nothing if it was not, or if a part of it
    /// was offered already.
    pub fn offered(&self, agent: u32) -> Option<Duration> {
        let freed_at = self.freed_at.get(usize::try_from(agent).ok()?)?.swap(0, Ordering::Relaxed);
        (freed_at != 0).then(|| Duration::from_nanos(self.now().saturating_sub(freed_at)))
    }

    pub(super) fn freed(&self, agent: u32) {
        if let Some(at) = usize::try_from(agent).ok().and_then(|index| self.freed_at.get(index)) {
            // What was free before is what is being waited for.
            let _ = at.compare_exchange(0, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    pub(super) fn count_registered(&self, is_admitted: bool) {
        let count = if is_admitted { &self.registered } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_launched(&self) {
        self.launched.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_over(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn count_ended(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// Never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_is_waited_for_once_and_from_the_first_time() {
        let tally = Tally::new(2);
        assert_eq!(tally.offered(0), None);
        tally.freed(0);
        let first = tally.freed_at[0].load(Ordering::Relaxed);
        tally.freed(0);
        assert_eq!(tally.freed_at[0].load(Ordering::Relaxed), first);
        assert!(tally.offered(0).is_some() && tally.offered(0).is_none() && tally.offered(1).is_none());
        assert_eq!(tally.offered(7), None);
    }
}
