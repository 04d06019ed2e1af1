//! One figure beside its floor, and which of several runs is shown. Pure.

use serde::Serialize;

/// Whether more or less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// A rate.
    Higher,
    /// A time.
    Lower,
}

/// What the ratio to the floor should keep to; none where nothing was promised.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bound {
    /// On a machine with all its cores.
    pub free: Option<f64>,
    /// With both processes on one core.
    pub pinned: Option<f64>,
}

impl Bound {
    /// Nothing is promised.
    pub const NONE: Self = Self { free: None, pinned: None };

    /// The same with and without pinning.
    #[must_use]
    pub const fn both(ratio: f64) -> Self {
        Self { free: Some(ratio), pinned: Some(ratio) }
    }
}

/// What was measured, beside the floor of the same run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// The measure.
    pub name: &'static str,
    /// Of both values.
    pub unit: &'static str,
    /// The fabric's value.
    pub fabric: f64,
    /// What the floor is.
    pub floor_name: &'static str,
    /// The floor's value.
    pub floor: f64,
    /// `fabric / floor`.
    pub ratio: f64,
    /// How the values compare.
    pub better: Better,
    /// What the ratio should keep to.
    pub bound: Bound,
    /// Messages that were taken from the sender and did not reach the receiver.
    pub lost: u64,
}

impl Figure {
    /// A rate, such as messages in a second.
    pub(super) fn rate(name: &'static str, unit: &'static str, fabric: Rate, floor: (&'static str, f64)) -> Self {
        let (floor_name, floor) = floor;
        let (better, bound) = (Better::Higher, Bound::NONE);
        let Rate { per_second, lost } = fabric;
        Self { name, unit, fabric: per_second, floor_name, floor, ratio: per_second / floor, better, bound, lost }
    }

    /// A time in microseconds.
    pub(super) fn time(name: &'static str, fabric: f64, floor: (&'static str, f64)) -> Self {
        let (floor_name, floor) = floor;
        let (better, bound) = (Better::Lower, Bound::NONE);
        Self { name, unit: "us", fabric, floor_name, floor, ratio: fabric / floor, better, bound, lost: 0 }
    }

    /// An amount of memory in MiB.
    pub(super) fn memory(name: &'static str, fabric: f64, floor: (&'static str, f64)) -> Self {
        Self { unit: "MiB", ..Self::time(name, fabric, floor) }
    }

    #[must_use]
    pub(super) fn bound(mut self, bound: Bound) -> Self {
        self.bound = bound;
        self
    }

    /// Whether the ratio keeps to the bound; none without a bound.
    #[must_use]
    pub fn holds(&self, pinned: bool) -> Option<bool> {
        let bound = if pinned { self.bound.pinned } else { self.bound.free }?;
        Some(match self.better {
            Better::Higher => self.ratio >= bound,
            Better::Lower => self.ratio <= bound,
        })
    }
}

/// How fast messages reached the receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub(super) per_second: f64,
    pub(super) lost: u64,
}

/// The percentile of times by the nearest rank; `percent` from 1 to 100.
pub(super) fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// For each measure the run with the median ratio, so that figure and floor stay of one run.
///
/// All runs hold the same measures in the same order; of an even number of runs the lower middle one is shown.
#[must_use]
pub fn median(runs: Vec<Vec<Figure>>) -> Vec<Figure> {
    let mut columns: Vec<Vec<Figure>> = Vec::new();
    for run in runs {
        columns.resize_with(run.len().max(columns.len()), Vec::new);
        for (column, figure) in columns.iter_mut().zip(run) {
            column.push(figure);
        }
    }
    let middle = |mut column: Vec<Figure>| {
        column.sort_by(|a, b| a.ratio.total_cmp(&b.ratio));
        column.swap_remove((column.len() - 1) / 2)
    };
    columns.into_iter().filter(|column| !column.is_empty()).map(middle).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64, floor: f64) -> Figure {
        Figure::rate("tell", "1/s", Rate { per_second, lost: 0 }, ("raw", floor))
    }

    #[test]
    fn the_median_keeps_figure_and_floor_of_one_run_together() {
        let runs = vec![vec![rate(1.0, 10.0)], vec![rate(90.0, 100.0)], vec![rate(4.0, 8.0)]];
        assert_eq!(median(runs), [rate(4.0, 8.0)]);
        assert_eq!(median(vec![]), []);
    }

    #[test]
    fn a_rate_must_reach_its_bound_and_a_time_must_not_pass_it() {
        let bound = Bound { free: Some(0.5), pinned: None };
        assert_eq!(rate(5.0, 10.0).bound(bound).holds(false), Some(true));
        assert_eq!(rate(4.0, 10.0).bound(bound).holds(false), Some(false));
        assert_eq!(rate(4.0, 10.0).bound(bound).holds(true), None);
        let time = Figure::time("echo", 20.0, ("raw", 10.0));
        assert_eq!(time.clone().bound(Bound::both(2.0)).holds(true), Some(true));
        assert_eq!(time.bound(Bound::both(1.9)).holds(true), Some(false));
    }

    #[test]
    fn a_percentile_is_the_nearest_rank() {
        let mut times: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|percent| percentile(&mut times, percent)), [5.0, 10.0, 10.0]);
    }
}
