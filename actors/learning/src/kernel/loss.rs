//! What one row costs, and how the cost changes with the row's margin.

#![allow(
    clippy::needless_range_loop,
    clippy::redundant_closure,
    reason = "loops over rows become vector instructions as they stand: a function itself would be called for each row"
)]

use serde::{Deserialize, Serialize};

use super::exponential::{exp_of_negative, log_of_one_plus};
use super::{KernelError, check_label};

/// What a row costs, given its target `y` and its margin `m = intercept + weights · (x - mean)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `(m - y)² / 2`.
    HalfSquared,
    /// `log(1 + exp(-m))` if `y` is 1, `log(1 + exp(m))` if `y` is 0.
    Logistic,
    /// `max(0, 1 - m)²` if `y` is 1, `max(0, 1 + m)²` if `y` is 0.
    SquaredHinge,
}

/// The cost of one row, and its first two derivatives by the margin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowLoss {
    pub(super) cost: f64,
    pub(super) slope: f64,
    pub(super) curvature: f64,
}

/// The same of several rows side by side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowLosses<const ROWS: usize> {
    pub(super) cost: [f64; ROWS],
    pub(super) slope: [f64; ROWS],
    pub(super) curvature: [f64; ROWS],
}

impl Loss {
    /// Whether the second derivative is the same for every margin.
    #[must_use]
    pub fn has_constant_curvature(self) -> bool {
        self == Self::HalfSquared
    }

    /// The cost at `margin` of row number `row` of a block, whose target is `target`.
    #[inline(always)]
    pub(super) fn at(self, margin: f64, target: f64, row: usize) -> Result<RowLoss, KernelError> {
        self.check_targets(&[target], row)?;
        Ok(match self {
            Self::HalfSquared => half_squared(margin, target),
            Self::Logistic => logistic(margin, target),
            Self::SquaredHinge => squared_hinge(margin, target),
        })
    }

    /// The costs of rows side by side; their targets were checked.
    #[inline(always)]
    pub(super) fn of_rows<const ROWS: usize>(self, margins: &[f64; ROWS], targets: &[f64; ROWS]) -> RowLosses<ROWS> {
        match self {
            Self::HalfSquared => RowLosses::of(
                margins,
                targets,
                #[inline(always)]
                |margin, target| half_squared(margin, target),
            ),
            Self::Logistic => RowLosses::of(
                margins,
                targets,
                #[inline(always)]
                |margin, target| logistic(margin, target),
            ),
            Self::SquaredHinge => RowLosses::of(
                margins,
                targets,
                #[inline(always)]
                |margin, target| squared_hinge(margin, target),
            ),
        }
    }

    /// Refuses targets that are no labels, where labels are wanted; the first is of row number `first` of a block.
    #[inline(always)]
    pub(super) fn check_targets(self, targets: &[f64], first: usize) -> Result<(), KernelError> {
        if self == Self::HalfSquared {
            return Ok(());
        }
        targets.iter().enumerate().try_for_each(|(row, target)| check_label(*target, first + row))
    }
}

impl<const ROWS: usize> RowLosses<ROWS> {
    #[inline(always)]
    fn of(margins: &[f64; ROWS], targets: &[f64; ROWS], of_row: impl Fn(f64, f64) -> RowLoss) -> Self {
        let (mut cost, mut slope, mut curvature) = ([0.0; ROWS], [0.0; ROWS], [0.0; ROWS]);
        for row in 0..ROWS {
            let of_row = of_row(margins[row], targets[row]);
            (cost[row], slope[row], curvature[row]) = (of_row.cost, of_row.slope, of_row.curvature);
        }
        Self { cost, slope, curvature }
    }
}

#[inline(always)]
fn half_squared(margin: f64, target: f64) -> RowLoss {
    let slope = margin - target;
    RowLoss { cost: 0.5 * slope * slope, slope, curvature: 1.0 }
}

/// Of a label 0 or 1; built from the smaller of the two class probabilities, so that the slope keeps its digits when
/// the prediction is nearly certain.
#[inline(always)]
pub(super) fn logistic(margin: f64, label: f64) -> RowLoss {
    let size = margin.abs();
    let decay = exp_of_negative(-size);
    let larger = 1.0 / (1.0 + decay);
    let smaller = decay * larger;
    let agrees = (margin >= 0.0) == (label == 1.0);
    let cost = log_of_one_plus(decay) + if agrees { 0.0 } else { size };
    let wrong = if agrees { smaller } else { larger };
    RowLoss { cost, slope: if label == 1.0 { -wrong } else { wrong }, curvature: smaller * larger }
}

#[inline(always)]
fn squared_hinge(margin: f64, label: f64) -> RowLoss {
    let sign = if label == 1.0 { 1.0 } else { -1.0 };
    let gap = (1.0 - sign * margin).max(0.0);
    let curvature = if gap > 0.0 { 2.0 } else { 0.0 };
    RowLoss { cost: gap * gap, slope: -2.0 * sign * gap, curvature }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_and_curvature_are_those_of_finite_differences() {
        let cases = [
            (Loss::HalfSquared, 0.7),
            (Loss::Logistic, 1.0),
            (Loss::Logistic, 0.0),
            (Loss::SquaredHinge, 1.0),
            (Loss::SquaredHinge, 0.0),
        ];
        for (loss, target) in cases {
            for margin in [-3.0, -0.4, 0.0, 0.9, 2.5] {
                let at = |by: f64| loss.at(margin + by, target, 0).unwrap();
                let (here, up, down) = (at(0.0), at(1e-6), at(-1e-6));
                assert!(((up.cost - down.cost) / 2e-6 - here.slope).abs() < 1e-8, "{loss:?} {margin}");
                assert!(((up.slope - down.slope) / 2e-6 - here.curvature).abs() < 1e-8, "{loss:?} {margin}");
            }
        }
    }

    #[test]
    fn the_logistic_loss_keeps_its_digits_far_from_zero() {
        let pair = |margin, label| (logistic(margin, label).cost, logistic(margin, label).slope);
        assert_eq!(pair(0.0, 1.0), (std::f64::consts::LN_2, -0.5));
        assert_eq!(pair(-800.0, 1.0), (800.0, -1.0));
        let (loss, residual) = pair(50.0, 1.0);
        let tail = (-50.0_f64).exp();
        assert!((loss / tail - 1.0).abs() < 1e-14 && (residual / -tail - 1.0).abs() < 1e-14);
        assert_eq!(pair(-3.0, 0.0).0, pair(3.0, 1.0).0);
    }

    #[test]
    fn rows_side_by_side_cost_what_each_costs_alone() {
        let margins: [f64; 9] = std::array::from_fn(|row| (row as f64 - 4.0) * 1.7);
        let targets: [f64; 9] = std::array::from_fn(|row| (row % 2) as f64);
        for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
            let costs = loss.of_rows(&margins, &targets);
            for row in 0..9 {
                let (cost, slope, curvature) = (costs.cost[row], costs.slope[row], costs.curvature[row]);
                assert_eq!(loss.at(margins[row], targets[row], row), Ok(RowLoss { cost, slope, curvature }));
            }
            let bad = loss.check_targets(&[1.0, 0.0, 2.0], 5);
            let label = Err(KernelError::Label { value: 2.0, row: 7 });
            assert_eq!(bad, if loss == Loss::HalfSquared { Ok(()) } else { label });
        }
    }

    #[test]
    fn rows_beyond_the_margin_of_a_support_vector_machine_cost_nothing() {
        let nothing = Ok(RowLoss { cost: 0.0, slope: 0.0, curvature: 0.0 });
        let at = |margin, target| Loss::SquaredHinge.at(margin, target, 4);
        assert_eq!((at(1.0, 1.0), at(-1.5, 0.0)), (nothing.clone().map(|row| RowLoss { slope: -0.0, ..row }), nothing));
        assert_eq!(at(-1.0, 1.0), Ok(RowLoss { cost: 4.0, slope: -4.0, curvature: 2.0 }));
        assert_eq!(at(0.5, 0.0), Ok(RowLoss { cost: 2.25, slope: 3.0, curvature: 2.0 }));
        assert_eq!(at(0.5, -1.0), Err(KernelError::Label { value: -1.0, row: 4 }));
    }
}
