//! How good a cut is, from the sums of its two sides.
//!
//! Sums of a node or a bin: counts of classes; or `[gradient, rows]`, where each row has the same second derivative 1; or
//! `[gradient, second derivative, rows]`.

use serde::{Deserialize, Serialize};

/// What a tree is grown to lower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Rule {
    /// `1 - Σ p_k²` of so many classes.
    Gini(usize),
    /// `-Σ p_k log₂ p_k` of so many classes.
    Entropy(usize),
    /// Half of the squared error, with a penalty on squares of the leaves' values.
    Squares(f64),
    /// A loss to second order, with a penalty on squares of the leaves' values.
    Newton(f64),
}

/// Least sum of second derivatives of a node, as in scikit-learn.
pub(super) const CURVATURE_MIN: f64 = 1e-3;
/// Keeps a node without second derivatives from dividing by 0, as in scikit-learn.
const NEVER_ZERO: f64 = 1e-15;

impl Rule {
    /// Sums of a node or bin.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Gini(classes) | Self::Entropy(classes) => classes,
            Self::Squares(_) => 2,
            Self::Newton(_) => 3,
        }
    }

    /// Whether leaves say the parts of classes.
    #[must_use]
    pub fn classes(self) -> Option<usize> {
        match self {
            Self::Gini(classes) | Self::Entropy(classes) => Some(classes),
            Self::Squares(_) | Self::Newton(_) => None,
        }
    }

    /// Rows of a node.
    #[must_use]
    pub fn rows(self, sums: &[f64]) -> f64 {
        match self {
            Self::Gini(_) | Self::Entropy(_) => sums.iter().sum(),
            Self::Squares(_) => sums[1],
            Self::Newton(_) => sums[2],
        }
    }

    /// Whether there is enough of a node, its rows apart.
    pub(super) fn is_enough(self, sums: &[f64]) -> bool {
        !matches!(self, Self::Newton(_)) || sums[1] >= CURVATURE_MIN
    }

    /// What a node is good for: the impurity of the rows together less that, times their number, is what it leaves.
    pub(super) fn merit(self, sums: &[f64]) -> f64 {
        match self {
            Self::Gini(_) => sums.iter().map(|count| count * count).sum::<f64>() / self.rows(sums),
            Self::Entropy(_) => {
                let rows = self.rows(sums);
                let present = sums.iter().filter(|count| **count > 0.0);
                present.map(|count| count * libm::log2(count / rows)).sum()
            }
            Self::Squares(l2) => sums[0] * sums[0] / (sums[1] + l2),
            Self::Newton(l2) => sums[0] * sums[0] / (sums[1] + l2),
        }
    }

    /// What a leaf says: the parts of the classes, or the step that lowers the loss most.
    #[must_use]
    pub fn value(self, sums: &[f64]) -> Vec<f64> {
        match self {
            Self::Gini(_) | Self::Entropy(_) => {
                let rows = self.rows(sums);
                sums.iter().map(|count| count / rows).collect()
            }
            Self::Squares(l2) | Self::Newton(l2) => vec![-sums[0] / (sums[1] + l2 + NEVER_ZERO)],
        }
    }

    /// How the rows of a node differ: of classes the impurity, otherwise what the value of the node takes off the loss of
    /// a row, turned around, so that what a split takes away is the difference for both.
    #[must_use]
    pub fn impurity(self, sums: &[f64]) -> f64 {
        let rows = self.rows(sums);
        match self {
            Self::Gini(_) => 1.0 - sums.iter().map(|count| (count / rows) * (count / rows)).sum::<f64>(),
            Self::Entropy(_) => (-self.merit(sums) / rows).max(0.0),
            Self::Squares(_) | Self::Newton(_) => -self.merit(sums) / rows,
        }
    }

    /// Whether rows of one kind only are left.
    pub(super) fn is_pure(self, sums: &[f64]) -> bool {
        match self {
            Self::Gini(_) | Self::Entropy(_) => sums.iter().filter(|count| **count > 0.0).count() < 2,
            Self::Squares(_) | Self::Newton(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `rows · impurity` of the whole less that of the sides is the merit of the sides less that of the whole.
    #[test]
    fn what_a_split_takes_away_is_told_by_merits_and_by_impurities_alike() {
        let sides = [[3.0, 1.0, 4.0], [2.0, 7.0, 6.0]];
        let whole: Vec<f64> = (0..3).map(|place| sides[0][place] + sides[1][place]).collect();
        for rule in [Rule::Gini(3), Rule::Entropy(3), Rule::Squares(0.5), Rule::Newton(0.5)] {
            let width = rule.width();
            let weight = |sums: &[f64]| rule.rows(&sums[..width]) * rule.impurity(&sums[..width]);
            let by_impurity = weight(&whole) - weight(&sides[0]) - weight(&sides[1]);
            let merit = |sums: &[f64]| rule.merit(&sums[..width]);
            let by_merit = merit(&sides[0]) + merit(&sides[1]) - merit(&whole);
            assert!((by_impurity - by_merit).abs() < 1e-12, "{rule:?}: {by_impurity} {by_merit}");
        }
    }

    #[test]
    fn values_and_impurities_are_those_computed_by_hand() {
        assert_eq!((Rule::Gini(2).impurity(&[1.0, 3.0]), Rule::Entropy(2).impurity(&[2.0, 2.0])), (0.375, 1.0));
        assert_eq!(Rule::Gini(2).value(&[1.0, 3.0]), [0.25, 0.75]);
        assert!((Rule::Squares(1.0).value(&[-6.0, 3.0])[0] - 1.5).abs() < 1e-14);
        assert!(Rule::Gini(2).is_pure(&[0.0, 3.0]) && !Rule::Gini(2).is_pure(&[1.0, 3.0]));
        assert!(Rule::Newton(0.0).is_enough(&[1.0, 1e-3, 5.0]) && !Rule::Newton(9.0).is_enough(&[1.0, 9e-4, 5.0]));
    }
}
