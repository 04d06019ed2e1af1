//! The lease of a singleton: for how long its host may let it run after it has asked, and when another host may be given one.
//!
//! Pure: whoever holds a lease says what time it is, in a clock of its own. A lease counts from when it was asked for, so it
//! is over for its holder no later than for the one who granted it, as long as both clocks go equally fast; what they may
//! differ is a part of [`HAND_OVER`].

use std::time::Duration;

/// How long a lease holds.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often it is renewed.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(2);
/// From the end of a lease until another may be granted: for the actor to end, and for clocks that differ.
pub const HAND_OVER: Duration = Duration::from_secs(5);

/// A lease in the hands of its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLease {
    until: Duration,
}

impl HeldLease {
    /// A lease that was granted, by when it was asked for.
    #[must_use]
    pub fn asked_at(time: Duration) -> Self {
        Self { until: time.saturating_add(LEASE) }
    }

    /// When it is over.
    #[must_use]
    pub fn until(&self) -> Duration {
        self.until
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, now: Duration) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_counts_from_when_it_was_asked_for() {
        let lease = HeldLease::asked_at(Duration::from_secs(3));
        assert!(lease.holds(Duration::from_millis(12_999)) && !lease.holds(Duration::from_secs(13)));
    }
}
