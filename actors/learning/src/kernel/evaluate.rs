//! Sums over test rows, from which metrics are made.

use super::loss::logistic;
use super::{BlockView, KernelError, Predictor, check_label};

/// Values of [`regression_sums`].
pub const REGRESSION_SUMS: usize = 4;
/// Values of [`classification_sums`].
pub const CLASSIFICATION_SUMS: usize = 5;

/// `[rows, Σ (m - y)², Σ |m - y|, Σ (y - target_mean)²]`, in the target's unit and its square.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the predictor does not fit.
pub fn regression_sums(
    block: BlockView<'_>,
    predictor: Predictor<'_>,
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    Ok(regression_of(block.rows().map(|(row, target)| (predictor.margin(row), target)), target_mean))
}

/// The sums of [`regression_sums`], of predictions and targets.
pub(super) fn regression_of(rows: impl Iterator<Item = (f64, f64)>, target_mean: f64) -> Vec<f64> {
    let mut sums = vec![0.0; REGRESSION_SUMS];
    for (prediction, target) in rows {
        let error = prediction - target;
        sums[0] += 1.0;
        sums[1] += error * error;
        sums[2] += error.abs();
        sums[3] += (target - target_mean) * (target - target_mean);
    }
    sums
}

/// `[Σ log loss, true positives, false positives, false negatives, true negatives]`.
///
/// A row counts as class 1 if its probability is above one half, that is, its margin above 0.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the predictor does not fit; [`KernelError::Label`] if a
/// target is neither 0 nor 1.
pub fn classification_sums(block: BlockView<'_>, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    classification_of(block.rows().map(|(row, target)| (predictor.margin(row), target)))
}

/// The sums of [`classification_sums`], of margins and labels.
pub(super) fn classification_of(rows: impl Iterator<Item = (f64, f64)>) -> Result<Vec<f64>, KernelError> {
    let mut sums = vec![0.0; CLASSIFICATION_SUMS];
    for (index, (margin, target)) in rows.enumerate() {
        check_label(target, index)?;
        sums[0] += logistic(margin, target).cost;
        let outcome = match (margin > 0.0, target == 1.0) {
            (true, true) => 1,
            (true, false) => 2,
            (false, true) => 3,
            (false, false) => 4,
        };
        sums[outcome] += 1.0;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    const PREDICTOR: Predictor<'static> = Predictor { mean: &[1.0], weights: &[2.0], intercept: 0.0 };

    #[test]
    fn regression_errors_are_summed_by_hand() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0, 4.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        assert_eq!(regression_sums(block, PREDICTOR, 2.0).unwrap(), [2.0, 5.0, 3.0, 5.0]);
    }

    #[test]
    fn every_outcome_of_a_classification_is_counted() {
        let (x, y) = (array![[2.0], [2.0], [2.0], [0.0], [1.0]], array![1.0, 1.0, 0.0, 1.0, 0.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let sums = classification_sums(block, PREDICTOR).unwrap();
        assert_eq!(sums[1..], [2.0, 1.0, 1.0, 1.0]);
        let expected = 2.0 * (-2.0_f64).exp().ln_1p() + 2.0 * 2.0_f64.exp().ln_1p() + std::f64::consts::LN_2;
        assert!((sums[0] - expected).abs() < 1e-14);
    }

    #[test]
    fn the_slope_of_squared_errors_is_that_of_a_finite_difference() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0, 4.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let at = |intercept| regression_sums(block, Predictor { intercept, ..PREDICTOR }, 0.0).unwrap()[1];
        assert!(((at(1e-6) - at(-1e-6)) / 2e-6 - 2.0 * (-1.0 - 2.0)).abs() < 1e-7);
    }

    #[test]
    fn a_wrong_shape_and_a_wrong_label_are_refused() {
        let (x, y) = (array![[1.0, 2.0]], array![0.5]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let shape = KernelError::ShapeMismatch { what: "features", expected: 2, actual: 1 };
        assert_eq!(regression_sums(block, PREDICTOR, 0.0), Err(shape.clone()));
        assert_eq!(classification_sums(block, PREDICTOR), Err(shape));
        let fitting = Predictor { mean: &[0.0, 0.0], weights: &[0.0, 0.0], intercept: 0.0 };
        assert_eq!(classification_sums(block, fitting), Err(KernelError::Label { value: 0.5, row: 0 }));
    }
}
