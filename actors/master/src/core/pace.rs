//! `Pace`: lets something happen a few times at once after a rest, and then leaves a gap behind each time.

use odeon_protocol::moment::Moment;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    burst: Duration,
    /// When it has rested so long that it may happen as often at once as ever.
    rested_at: Duration,
}

impl Pace {
    /// May happen at once as long as the gaps that are left out make no more than `burst`.
    pub(super) fn new(burst: Duration) -> Self {
        Self { burst, rested_at: Duration::ZERO }
    }

    /// When it may happen next.
    pub(super) fn from(&self) -> Duration {
        self.rested_at.saturating_sub(self.burst)
    }

    /// It happens now, and has to leave a gap behind it.
    pub(super) fn spend(&mut self, now: Moment, gap: Duration) {
        self.rested_at = self.rested_at.max(now.since_start).saturating_add(gap);
    }

    /// It may not happen before this time.
    pub(super) fn hold_until(&mut self, at: Duration) {
        self.rested_at = self.rested_at.max(at.saturating_add(self.burst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(pace: &mut Pace, now: Moment, gaps_ms: &[u64]) -> Vec<u128> {
        let mut times = Vec::new();
        for gap_ms in gaps_ms {
            let at = pace.from().max(now.since_start);
            times.push(at.as_millis());
            pace.spend(Moment { since_start: at, ..now }, Duration::from_millis(*gap_ms));
        }
        times
    }

    #[test]
    fn after_a_rest_it_happens_a_few_times_at_once_and_then_once_in_each_gap() {
        let mut pace = Pace::new(Duration::from_millis(20));
        assert_eq!(times(&mut pace, Moment::at_ms(1000), &[10; 5]), [1000, 1000, 1000, 1010, 1020]);
    }

    #[test]
    fn what_has_cost_much_leaves_a_long_gap() {
        let mut pace = Pace::new(Duration::from_millis(20));
        assert_eq!(times(&mut pace, Moment::at_ms(1000), &[500, 1, 1]), [1000, 1480, 1481]);
    }

    #[test]
    fn what_is_held_waits_even_after_a_rest() {
        let mut pace = Pace::new(Duration::from_millis(10));
        pace.hold_until(Duration::from_secs(5));
        assert_eq!(pace.from(), Duration::from_secs(5));
    }
}
