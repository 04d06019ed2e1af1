//! Times of the same thing, and which of them stands for all.

use std::time::Duration;

/// In microseconds, in order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn new(times: Vec<Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e6).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// The percentile by the nearest rank, in microseconds; `percent` from 1 to 100.
    pub(super) fn at(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(rank).copied().unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_nearest_rank_whatever_the_order() {
        let times = Times::new([30, 10, 20, 40].map(Duration::from_micros).to_vec());
        assert_eq!([25, 50, 99].map(|percent| times.at(percent)), [10.0, 20.0, 40.0]);
        assert!(Times::new(vec![]).at(50).is_nan());
    }
}
