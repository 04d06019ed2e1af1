//! `Pace`: lets something happen a few times at once after a rest, and then once in each gap.

use odeon_protocol::moment::Moment;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Pace {
    gap: Duration,
    burst: Duration,
    /// When it has rested so long that it may happen as often at once as ever.
    rested_at: Duration,
}

impl Pace {
    /// May happen `burst_max` times at once.
    pub(super) fn new(gap: Duration, burst_max: u32) -> Self {
        Self { gap, burst: gap.saturating_mul(burst_max.saturating_sub(1)), rested_at: Duration::ZERO }
    }

    /// When it may happen next.
    pub(super) fn from(&self) -> Duration {
        self.rested_at.saturating_sub(self.burst)
    }

    /// It happens now.
    pub(super) fn spend(&mut self, now: Moment) {
        self.rested_at = self.rested_at.max(now.since_start).saturating_add(self.gap);
    }

    /// It may not happen before this time.
    pub(super) fn hold_until(&mut self, at: Duration) {
        self.rested_at = self.rested_at.max(at.saturating_add(self.burst));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_rest_it_happens_a_few_times_at_once_and_then_once_in_each_gap() {
        let mut pace = Pace::new(Duration::from_millis(10), 3);
        let now = Moment::at_ms(1000);
        let mut times = Vec::new();
        for _ in 0..5 {
            let at = pace.from().max(now.since_start);
            times.push(at.as_millis());
            pace.spend(Moment { since_start: at, ..now });
        }
        assert_eq!(times, [1000, 1000, 1000, 1010, 1020]);
    }

    #[test]
    fn what_is_held_waits_even_after_a_rest() {
        let mut pace = Pace::new(Duration::from_millis(10), 3);
        pace.hold_until(Duration::from_secs(5));
        assert_eq!(pace.from(), Duration::from_secs(5));
    }
}
