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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_and_curvature_are_those_of_finite_differences() {
        for (loss, target) in [(Loss::HalfSquared, 0.7), (Loss::Logistic, 1.0), (Loss::Logistic, 0.0)] {
            for margin in [-3.0, -0.4, 0.0, 0.9, 2.5] {
                let at = |by: f64| loss.at(margin + by, target, 0).unwrap();
                let (here, up, down) = (at(0.0), at(1e-6), at(-1e-6));
                assert!(((up.cost - down.cost) / 2e-6 - here.slope).abs() < 1e-8, "{loss:?} {margin}");
                assert!(((up.slope - down.slope) / 2e-6 - here.curvature).abs() < 1e-8, "{loss:?} {margin}");
            }
        }
    }
}
