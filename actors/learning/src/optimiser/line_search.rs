//! One line search: how far to go along a direction, judged by value and slope.
//!
//! Near a minimum values lose their digits long before gradients do; there the slope decides.
//! Meant for convex functions: a slope that turned positive is always past the minimum.

use serde::{Deserialize, Serialize};

/// Part of the promised decrease that counts as decrease (`δ`).
const DECREASE: f64 = 0.1;
/// Part of the first slope that may remain (`σ`), on either side of the minimum: values that have
/// lost their digits would call an overshoot of any length a decrease.
const SLOPE_LEFT: f64 = 0.9;
/// Relative growth of the value that is taken for rounding (`ε`).
const VALUE_NOISE: f64 = 1e-6;
/// Trials in one search.
const TRIALS_MAX: u32 = 30;
/// Bounds of one extension of the step while no upper end is known.
const EXTENSION: (f64, f64) = (2.0, 10.0);
/// Least distance of a new trial from both ends, as part of their distance.
const INSIDE: f64 = 0.1;

/// Value and slope of the function along the direction.
#[derive(Debug, Clone, PartialEq, Copy, Serialize, Deserialize)]
pub(super) struct Along {
    pub(super) value: f64,
    pub(super) slope: f64,
}

/// What a trial means for the search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Judgement {
    /// The step will do.
    Accept,
    /// Try this step next.
    Try(f64),
    /// The interval or the number of trials is used up.
    GiveUp,
}

/// The state of one search.
///
/// # Source
/// Hager, Zhang, *A new conjugate gradient method with guaranteed descent and an efficient line
/// search*, SIAM J. Optim. 16(1), 2005: conditions (1.2), (1.3) or the approximate ones (4.1),
/// with (1.3) for the slope's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LineSearch {
    start: Along,
    low: (f64, f64),
    high: Option<(f64, f64)>,
    trials: u32,
}

impl LineSearch {
    /// A search from `start`, whose slope is negative.
    pub(super) fn new(start: Along) -> Self {
        Self { start, low: (0.0, start.slope), high: None, trials: 0 }
    }

    /// Judges the trial at `step`.
    pub(super) fn judge(&mut self, step: f64, at: Along) -> Judgement {
        let level = at.value <= self.start.value + VALUE_NOISE * self.start.value.abs();
        let decreased = at.value <= self.start.value + DECREASE * step * self.start.slope;
        let levelled_off = level && at.slope <= (2.0 * DECREASE - 1.0) * self.start.slope;
        if at.slope.abs() <= SLOPE_LEFT * self.start.slope.abs() && (decreased || levelled_off) {
            return Judgement::Accept;
        }
        if at.slope < 0.0 && level {
            self.low = (step, at.slope);
        } else {
            self.high = Some((step, at.slope));
        }
        self.trials += 1;
        let next = self.next_step();
        let moved = next > self.low.0 && self.high.is_none_or(|(high, _)| next < high);
        if moved && self.trials < TRIALS_MAX { Judgement::Try(next) } else { Judgement::GiveUp }
    }

    fn next_step(&self) -> f64 {
        let (low, low_slope) = self.low;
        let Some((high, high_slope)) = self.high else {
            // The zero of the straight line through both slopes known, if it lies ahead.
            let ratio = self.start.slope / (self.start.slope - low_slope);
            let ratio = if ratio.is_finite() && ratio > 0.0 { ratio } else { EXTENSION.1 };
            return low * ratio.clamp(EXTENSION.0, EXTENSION.1);
        };
        let part = if high_slope > 0.0 { low_slope / (low_slope - high_slope) } else { 0.5 };
        low + (high - low) * part.clamp(INSIDE, 1.0 - INSIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(a - centre)²` plus a constant that swallows its digits.
    fn along(step: f64, centre: f64, offset: f64) -> Along {
        Along { value: offset + (step - centre) * (step - centre), slope: 2.0 * (step - centre) }
    }

    fn search(centre: f64, offset: f64) -> (f64, u32) {
        let mut search = LineSearch::new(along(0.0, centre, offset));
        let mut step = 1.0;
        for trials in 1..=TRIALS_MAX {
            match search.judge(step, along(step, centre, offset)) {
                Judgement::Accept => return (step, trials),
                Judgement::Try(next) => step = next,
                Judgement::GiveUp => break,
            }
        }
        panic!("no step found");
    }

    #[test]
    fn a_step_is_found_when_the_first_is_too_short_or_too_long() {
        for centre in [1e-3, 0.4, 1.0, 80.0] {
            let (step, trials) = search(centre, 0.0);
            assert!(step > 0.05 * centre && step < 2.0 * centre && trials <= 8, "{centre}: {step} after {trials}");
        }
    }

    #[test]
    fn slopes_decide_when_values_have_lost_their_digits() {
        let (step, _) = search(1e-9, 1e6);
        assert!((1e-10..1.9e-9).contains(&step), "{step}");
    }

    #[test]
    fn a_search_without_end_gives_up() {
        let start = Along { value: 0.0, slope: -1.0 };
        let mut search = LineSearch::new(start);
        let mut step = 1.0;
        while let Judgement::Try(next) = search.judge(step, Along { value: -step, slope: -1.0 }) {
            step = next;
        }
        assert_eq!(search.trials, TRIALS_MAX);
    }
}
