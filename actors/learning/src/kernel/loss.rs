//! What one row costs, and how the cost changes with the row's margin.

use serde::{Deserialize, Serialize};

use super::{KernelError, check_label, logistic};

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

impl Loss {
    /// Whether the second derivative is the same for every margin.
    #[must_use]
    pub fn has_constant_curvature(self) -> bool {
        self == Self::HalfSquared
    }

    /// The cost at `margin` of row number `row` of a block, whose target is `target`.
    pub(super) fn at(self, margin: f64, target: f64, row: usize) -> Result<RowLoss, KernelError> {
        match self {
            Self::HalfSquared => {
                let slope = margin - target;
                Ok(RowLoss { cost: 0.5 * slope * slope, slope, curvature: 1.0 })
            }
            Self::Logistic => {
                check_label(target, row)?;
                let (cost, slope) = logistic(margin, target);
                let decay = libm::exp(-margin.abs());
                Ok(RowLoss { cost, slope, curvature: decay / ((1.0 + decay) * (1.0 + decay)) })
            }
            Self::SquaredHinge => {
                check_label(target, row)?;
                let sign = if target == 1.0 { 1.0 } else { -1.0 };
                let gap = (1.0 - sign * margin).max(0.0);
                let curvature = if gap > 0.0 { 2.0 } else { 0.0 };
                Ok(RowLoss { cost: gap * gap, slope: -2.0 * sign * gap, curvature })
            }
        }
    }
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
    fn rows_beyond_the_margin_of_a_support_vector_machine_cost_nothing() {
        let nothing = Ok(RowLoss { cost: 0.0, slope: 0.0, curvature: 0.0 });
        let at = |margin, target| Loss::SquaredHinge.at(margin, target, 4);
        assert_eq!((at(1.0, 1.0), at(-1.5, 0.0)), (nothing.clone().map(|row| RowLoss { slope: -0.0, ..row }), nothing));
        assert_eq!(at(-1.0, 1.0), Ok(RowLoss { cost: 4.0, slope: -4.0, curvature: 2.0 }));
        assert_eq!(at(0.5, 0.0), Ok(RowLoss { cost: 2.25, slope: 3.0, curvature: 2.0 }));
        assert_eq!(at(0.5, -1.0), Err(KernelError::Label { value: -1.0, row: 4 }));
    }
}
