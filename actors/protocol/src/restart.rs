//! When an actor that failed is started again. Pure: the caller counts, and has the clock.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often an actor may fail before it is given up, and how long it waits before each new start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// Restarts allowed in any span of `within`.
    pub restarts_max: usize,
    /// The span in which they are counted.
    pub within: Duration,
    /// The wait before the first restart of a span.
    pub backoff_min: Duration,
    /// The longest wait; it doubles with each restart of the span.
    pub backoff_max: Duration,
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

impl RestartPolicy {
    /// Decides about a failure at `now`: how long to wait before the restart, or nothing to give up.
    ///
    /// `restarts` says when those before it were decided, by the same clock; it is brought up to date.
    pub fn decide(&self, restarts: &mut Vec<Duration>, now: Duration) -> Option<Duration> {
        restarts.retain(|at| now.saturating_sub(*at) < self.within);
        if restarts.len() >= self.restarts_max {
            return None;
        }
        let doublings = u32::try_from(restarts.len()).unwrap_or(u32::MAX);
        restarts.push(now);
        Some(self.backoff_min.saturating_mul(2_u32.saturating_pow(doublings)).min(self.backoff_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_the_actor_is_given_up_after_the_last_restart() {
        let policy =
            RestartPolicy { restarts_max: 3, backoff_max: Duration::from_millis(300), ..RestartPolicy::default() };
        let mut restarts = Vec::new();
        let waits: Vec<_> = (0..5).map(|second| policy.decide(&mut restarts, Duration::from_secs(second))).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(waits, [ms(100), ms(200), ms(300), None, None]);
        assert_eq!(restarts.len(), 3, "a failure without a restart is none");
        assert_eq!(RestartPolicy { restarts_max: 0, ..policy }.decide(&mut Vec::new(), Duration::ZERO), None);
    }

    #[test]
    fn old_restarts_do_not_count() {
        let policy = RestartPolicy { restarts_max: 1, ..RestartPolicy::default() };
        let old = Duration::from_secs(7);
        assert_eq!(policy.decide(&mut vec![old], old + policy.within / 2), None);
        let mut restarts = vec![old];
        assert_eq!(policy.decide(&mut restarts, old + policy.within), Some(policy.backoff_min));
        assert_eq!(restarts, [old + policy.within]);
    }
}
