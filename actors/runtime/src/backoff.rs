//! When an endpoint may be dialled again, and the seeded numbers that spread it. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// A small generator of numbers (SplitMix64), for jitter and tests; never for secrets.
///
/// # Source
/// Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014, section 4.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(u64);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The wait before the dial after `failures` failures in a row: doubles from `min` up to `max`, then
/// loses up to half of it, so that many nodes do not dial in step.
pub(crate) fn backoff(failures: u32, min: Duration, max: Duration, random: &mut Seeded) -> Duration {
    let doubled = min.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    let full = doubled.min(max);
    let parts = u32::try_from(random.next() % 1024).expect("below 1024");
    full - full / 2048 * parts
}

/// The failures of one endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures {
    in_a_row: u32,
    until: Option<Instant>,
}

impl Failures {
    /// A dial failed or a link was lost.
    pub(crate) fn on_failure(&mut self, now: Instant, min: Duration, max: Duration, random: &mut Seeded) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.until = Some(now + backoff(self.in_a_row, min, max, random));
    }

    /// A link came up: the next loss starts from the shortest wait.
    pub(crate) fn on_success(&mut self) {
        *self = Self::default();
    }

    /// How long no dial is allowed, if so.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        self.until.filter(|until| *until > now).map(|until| until - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_loses_at_most_half() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut random = Seeded::new(1);
        for (failures, full_ms) in [(1, 100), (2, 200), (3, 400), (6, 3200), (7, 5000), (40, 5000)] {
            let wait = backoff(failures, min, max, &mut random);
            let full = Duration::from_millis(full_ms);
            assert!(wait <= full && wait >= full / 2, "{failures} failures waited {wait:?}");
        }
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let (min, max, now) = (Duration::from_millis(100), Duration::from_secs(5), Instant::now());
        let (mut failures, mut random) = (Failures::default(), Seeded::new(1));
        failures.on_failure(now, min, max, &mut random);
        assert!(failures.wait(now).is_some());
        assert_eq!(failures.wait(now + min), None);
        failures.on_success();
        assert_eq!(failures.wait(now), None);
    }
}
