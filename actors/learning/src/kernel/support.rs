//! How a kernel machine does on rows.

use super::classes::class_number;
use super::{BlockView, KernelError, REGRESSION_SUMS, check_shape, class_outcome_sums};
use crate::svm::{SupportVectors, voted};

/// The sums of [`super::class_outcomes`] without a log loss, or of [`super::regression_sums`] of a number; rows are scaled first.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the machine does not fit; [`KernelError::Class`] if a target is no class.
pub fn support_outcomes(
    block: BlockView<'_>,
    machine: &SupportVectors,
    mean: &[f64],
    scale: &[f64],
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    let features = block.feature_count();
    let fits = machine.check(features).is_ok() && (mean.len(), scale.len()) == (features, features);
    check_shape("features of the machine", features, if fits { features } else { 0 })?;
    let (classes, mut sums) = (machine.class_counts.len(), vec![0.0; support_outcome_sums(machine)]);
    for (index, (row, target)) in block.rows().enumerate() {
        let scaled: Vec<f64> = row.iter().zip(mean).zip(scale).map(|((x, mean), scale)| (x - mean) / scale).collect();
        let scores = machine.scores(&scaled);
        if classes == 0 {
            let error = scores[0] - target;
            let terms = [1.0, error * error, error.abs(), (target - target_mean) * (target - target_mean)];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        } else {
            let class = class_number(target, classes, index)?;
            sums[1 + class * classes + voted(&scores)] += 1.0;
        }
    }
    Ok(sums)
}

/// Number of sums of [`support_outcomes`].
#[must_use]
pub fn support_outcome_sums(machine: &SupportVectors) -> usize {
    match machine.class_counts.len() {
        0 => REGRESSION_SUMS,
        classes => class_outcome_sums(classes),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::svm::{KernelFunction, SvmKernel};

    #[test]
    fn outcomes_are_those_computed_by_hand() {
        let kernel = KernelFunction { coef0: 0.0, degree: 1, gamma: 1.0, kind: SvmKernel::Linear };
        let number = SupportVectors {
            class_counts: vec![],
            coefficients: vec![vec![2.0]],
            feature_count: 1,
            intercepts: vec![1.0],
            kernel,
            vectors: vec![vec![1.0]],
        };
        let (x, y) = (array![[1.0], [3.0]], array![0.0, 1.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        // Scaled to 0 and 1: 1 and 3 for targets of 0 and 1.
        assert_eq!(support_outcomes(block, &number, &[1.0], &[2.0], 0.5).unwrap(), [2.0, 5.0, 3.0, 0.5]);
        let classes = SupportVectors { class_counts: vec![0, 1], intercepts: vec![-1.0], ..number };
        assert_eq!(support_outcomes(block, &classes, &[1.0], &[2.0], 0.0).unwrap(), [0.0, 0.0, 1.0, 1.0, 0.0]);
        assert!(support_outcomes(block, &classes, &[1.0], &[], 0.0).is_err());
        let bad = BlockView::new(x.view(), ndarray::aview1(&[0.0, 2.0])).unwrap();
        let class = KernelError::Class { value: 2.0, row: 1, class_count: 2 };
        assert_eq!(support_outcomes(bad, &classes, &[1.0], &[2.0], 0.0), Err(class));
    }
}
