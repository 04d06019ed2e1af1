//! When a panicked actor is started again. Pure: the caller says what time it is.

use std::time::Duration;
use tokio::time::Instant;

/// How often an actor may panic before its supervisor gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Restarts allowed in any span of `within`.
    pub restarts_max: usize,
    /// The span in which restarts are counted.
    pub within: Duration,
    /// The wait before the first restart of a span.
    pub backoff_min: Duration,
    /// The longest wait; it doubles with each restart of the span.
    pub backoff_max: Duration,
}

/// What a supervisor does about a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start the actor again after the wait.
    RestartAfter(Duration),
    /// Leave it stopped.
    GiveUp,
}

impl RestartPolicy {
    /// Decides about a panic at `now`, given when earlier restarts were decided.
    #[must_use]
    pub fn decide(&self, earlier: &[Instant], now: Instant) -> Decision {
        let recent = earlier.iter().filter(|at| now.saturating_duration_since(**at) < self.within).count();
        if recent >= self.restarts_max {
            return Decision::GiveUp;
        }
        let doublings = u32::try_from(recent).unwrap_or(u32::MAX);
        let wait = self.backoff_min.saturating_mul(2_u32.saturating_pow(doublings));
        Decision::RestartAfter(wait.min(self.backoff_max))
    }
}

impl Default for RestartPolicy {
    /// Five restarts a minute, after 100 ms to 5 s.
    fn default() -> Self {
        Self {
            restarts_max: 5,
            within: Duration::from_secs(60),
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_the_supervisor_gives_up_after_the_limit() {
        let policy =
            RestartPolicy { restarts_max: 3, backoff_max: Duration::from_millis(300), ..RestartPolicy::default() };
        let now = Instant::now();
        let after = |ms| Decision::RestartAfter(Duration::from_millis(ms));
        assert_eq!(policy.decide(&[], now), after(100));
        assert_eq!(policy.decide(&[now], now), after(200));
        assert_eq!(policy.decide(&[now, now], now), after(300));
        assert_eq!(policy.decide(&[now, now, now], now), Decision::GiveUp);
    }

    #[test]
    fn old_restarts_do_not_count() {
        let policy = RestartPolicy { restarts_max: 1, ..RestartPolicy::default() };
        let old = Instant::now();
        assert_eq!(policy.decide(&[old], old + policy.within / 2), Decision::GiveUp);
        assert_eq!(policy.decide(&[old], old + policy.within), Decision::RestartAfter(policy.backoff_min));
    }
}
