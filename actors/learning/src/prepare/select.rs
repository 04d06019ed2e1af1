//! Which columns a step of selection takes: a score for each, and a bound.
//!
//! Scores look at one column at a time; what columns say together, a penalty on absolute values finds.

use serde::{Deserialize, Serialize};

use crate::job::SelectBy;

/// The score of a column, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnScore {
    /// What was scored.
    pub by: SelectBy,
    /// Whether the column was taken.
    pub is_taken: bool,
    /// The column.
    pub name: String,
    /// Higher is better.
    pub score: f64,
    /// The step, from 0.
    pub step: usize,
}

/// Sums over the training rows, centred.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    /// Rows.
    pub(super) count: f64,
    /// Squares of the column.
    pub(super) squares: f64,
    /// Products of column and target.
    pub(super) products: f64,
    /// Squares of the target.
    pub(super) target_squares: f64,
}

/// The score of a column; that of a constant one is 0.
///
/// # Source
/// `sklearn.feature_selection`: `VarianceThreshold`, `r_regression` (its magnitude), `f_regression`, which
/// for a target of two classes is `f_classif`.
pub(super) fn score(by: SelectBy, moments: Moments) -> f64 {
    let Moments { count, squares, products, target_squares } = moments;
    let is_constant = squares == 0.0 || target_squares == 0.0;
    let correlation = if is_constant { 0.0 } else { (products / (squares * target_squares).sqrt()).clamp(-1.0, 1.0) };
    match by {
        SelectBy::Variance => squares / count,
        SelectBy::Correlation => correlation.abs(),
        SelectBy::F => {
            let explained = correlation * correlation;
            // A column that is the target itself would be infinitely good, which no file can say.
            (explained / (1.0 - explained) * (count - 2.0)).min(f64::MAX)
        }
    }
}

/// Whether each column goes: all but the `keep` best, the first of equals; or those below `least`.
pub(super) fn goes(scores: &[f64], keep: Option<usize>, least: Option<f64>) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut goes: Vec<bool> = scores.iter().map(|score| least.is_some_and(|least| *score < least)).collect();
    order.iter().skip(keep.unwrap_or(scores.len())).for_each(|place| goes[*place] = true);
    goes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_kept_and_the_first_of_equals() {
        assert_eq!(goes(&[1.0, 3.0, 2.0, 2.0], Some(2), None), [true, false, false, true]);
        assert_eq!(goes(&[1.0, 3.0, 2.0, 2.0], None, Some(2.0)), [true, false, false, false]);
        assert_eq!(goes(&[1.0], Some(5), None), [false]);
    }

    #[test]
    fn a_constant_column_scores_nothing_and_a_copy_of_the_target_a_finite_much() {
        let constant = Moments { count: 4.0, squares: 0.0, products: 0.0, target_squares: 2.0 };
        assert_eq!([SelectBy::Variance, SelectBy::Correlation, SelectBy::F].map(|by| score(by, constant)), [0.0; 3]);
        let copy = Moments { squares: 2.0, products: -2.0, ..constant };
        assert_eq!((score(SelectBy::Correlation, copy), score(SelectBy::F, copy)), (1.0, f64::MAX));
    }
}
