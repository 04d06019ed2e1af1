//! Passes over sparse rows: which there are, and what their sums are on the way.
//!
//! Means are not taken off the cells of gradients; see [`take_means_off`].

use crate::kernel::{
    KernelError, SparsePredictor, by_output, class_counts_of, sparse_centred_squares, sparse_class_gradient,
    sparse_class_outcomes, sparse_classification_sums, sparse_column_sums, sparse_gradient, sparse_regression_sums,
};
use crate::program::{ClassParameters, Parameters, Pass};
use crate::sparse_rows::SparseRows;

/// Where a pass evaluates, as sparse rows want it: made once for all blocks of a request.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the vectors of the pass do not fit each other.
pub(crate) fn predictor(pass: &Pass) -> Result<Option<SparsePredictor>, KernelError> {
    let of_one = |at: &Parameters| SparsePredictor::new(&at.mean.0, &at.weights.0, &[at.intercept]);
    let of_classes = |at: &ClassParameters| SparsePredictor::new(&at.mean.0, &at.weights.0, &at.intercepts.0);
    match pass {
        Pass::ObjectiveGradient { at, .. }
        | Pass::EvaluateRegression { at, .. }
        | Pass::EvaluateClassification { at } => of_one(at).map(Some),
        Pass::ClassGradient { at, .. } | Pass::EvaluateClasses { at } => of_classes(at).map(Some),
        _ => Ok(None),
    }
}

/// The sums over a block, or nothing if sparse rows have none of this pass.
pub(crate) fn sums(
    pass: &Pass,
    rows: &SparseRows,
    y: &[f64],
    predictor: Option<&SparsePredictor>,
) -> Option<Result<Vec<f64>, KernelError>> {
    macro_rules! of_rows {
        ($view:ident => $sums:expr) => {
            rows.with_view(y, |$view| $sums, |$view| $sums)
        };
    }
    Some(match (pass, predictor) {
        (Pass::ColumnSums { .. }, _) => of_rows!(view => Ok(sparse_column_sums(view))),
        (Pass::CentredSquares { mean, target_mean }, _) => {
            of_rows!(view => sparse_centred_squares(view, &mean.0, *target_mean))
        }
        (Pass::ClassCounts { class_count }, _) => class_counts_of(y, *class_count),
        (Pass::ObjectiveGradient { loss, .. }, Some(at)) => of_rows!(view => sparse_gradient(view, *loss, at)),
        (Pass::ClassGradient { loss, .. }, Some(at)) => of_rows!(view => sparse_class_gradient(view, *loss, at)),
        (Pass::EvaluateRegression { target_mean, .. }, Some(at)) => {
            of_rows!(view => sparse_regression_sums(view, at, *target_mean))
        }
        (Pass::EvaluateClassification { .. }, Some(at)) => of_rows!(view => sparse_classification_sums(view, at)),
        (Pass::EvaluateClasses { .. }, Some(at)) => of_rows!(view => sparse_class_outcomes(view, at)),
        _ => return None,
    })
}

/// The sums of a node in the order of the pass.
pub(crate) fn ordered(pass: &Pass, sums: Vec<f64>) -> Vec<f64> {
    match pass {
        Pass::ClassGradient { at, .. } => by_output(&sums, at.intercepts.0.len()),
        _ => sums,
    }
}

/// Makes sums of `r·x` to those of `r·(x - mean)`, for each output behind its sum of `r`.
pub(crate) fn take_means_off(sums: &[f64], mean: &[f64]) -> Vec<f64> {
    let mut centred = sums.to_vec();
    for of_output in centred[1..].chunks_exact_mut(mean.len() + 1) {
        let slope = of_output[0];
        of_output[1..].iter_mut().zip(mean).for_each(|(sum, mean)| *sum -= slope * mean);
    }
    centred
}
