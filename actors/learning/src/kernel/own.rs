//! Sums over a block that a user's model makes; what is not finite never leaves here.

use super::evaluate::{CLASSIFICATION_SUMS, REGRESSION_SUMS};
use super::{BlockView, KernelError, check_label};
use crate::model_registry::OwnCode;
use crate::optimiser::symmetric::triangle_len;
use crate::trainable::{LabelledRows, SecondDerivatives, Target};

/// What a block costs whose cost is not finite: so much that no solver stays there, and little enough to be added up.
pub(crate) const OWN_COST_MAX: f64 = 1e290;
/// Every slope there: without slopes it would be taken for the optimum.
const OWN_SLOPE: f64 = 1e100;
/// Least distance of a probability from 0 and 1 in a logarithmic loss.
const PROBABILITY_MIN: f64 = f64::EPSILON;

/// A user's model and its parameters.
#[derive(Clone, Copy)]
pub(crate) struct OwnSums<'a> {
    pub(crate) code: &'static dyn OwnCode,
    pub(crate) parameters: &'a [f64],
}

/// `[Σ cost, its derivatives]`, length `parameters + 1`; where they are too large or not finite, [`OWN_COST_MAX`] and steep slopes.
///
/// # Errors
/// [`KernelError`] if the model does not take a target.
pub(crate) fn own_gradient(block: BlockView<'_>, own: OwnSums<'_>) -> Result<Vec<f64>, KernelError> {
    let rows = labelled(block, own.code)?;
    let mut sums = vec![0.0; own.parameters.len() + 1];
    sums[0] = own.code.objective(rows, own.parameters, &mut sums[1..]);
    if is_too_large(&sums) {
        put_off(&mut sums);
    }
    Ok(sums)
}

/// What no solver takes for a place to stay.
fn put_off(sums: &mut [f64]) {
    sums.fill(OWN_SLOPE);
    sums[0] = OWN_COST_MAX;
}

/// As [`own_gradient`], and behind it the upper triangle of the second derivatives.
///
/// # Errors
/// As [`own_gradient`].
pub(crate) fn own_curvature(block: BlockView<'_>, own: OwnSums<'_>) -> Result<Vec<f64>, KernelError> {
    let mut sums = own_gradient(block, own)?;
    let (start, order) = (sums.len(), own.parameters.len());
    sums.resize(start + triangle_len(order), 0.0);
    let rows = LabelledRows { x: block.x, y: block.y };
    own.code.curvature(rows, own.parameters, &mut SecondDerivatives::new(order, &mut sums[start..]));
    if is_too_large(&sums[start..]) {
        put_off(&mut sums);
    }
    Ok(sums)
}

/// Whether a sum is not finite, or not when it is added to those of other blocks.
fn is_too_large(sums: &[f64]) -> bool {
    sums.iter().any(|sum| !sum.is_finite() || sum.abs() > OWN_COST_MAX)
}

/// The sums of [`super::regression_sums`] or of [`super::classification_sums`], as the target of the model is.
///
/// # Errors
/// As [`own_gradient`].
pub(crate) fn own_outcomes(block: BlockView<'_>, own: OwnSums<'_>, target_mean: f64) -> Result<Vec<f64>, KernelError> {
    let rows = labelled(block, own.code)?;
    let predictions = rows.iter().map(|(row, target)| (own.code.predict(row, own.parameters), target));
    Ok(match own.code.target() {
        Target::Number => {
            let mut sums = vec![0.0; REGRESSION_SUMS];
            for (prediction, target) in predictions {
                let error = prediction - target;
                sums[0] += 1.0;
                sums[1] += error * error;
                sums[2] += error.abs();
                sums[3] += (target - target_mean) * (target - target_mean);
            }
            sums
        }
        Target::Label => {
            let mut sums = vec![0.0; CLASSIFICATION_SUMS];
            for (probability, target) in predictions {
                let of_class = if target == 1.0 { probability } else { 1.0 - probability };
                sums[0] -= libm::log(of_class.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN));
                sums[match (probability > 0.5, target == 1.0) {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, true) => 3,
                    (false, false) => 4,
                }] += 1.0;
            }
            sums
        }
    })
}

/// The rows, if the model takes their targets.
fn labelled<'a>(block: BlockView<'a>, code: &dyn OwnCode) -> Result<LabelledRows<'a>, KernelError> {
    for (row, target) in block.y.iter().enumerate() {
        if code.target() == Target::Label {
            check_label(*target, row)?;
        }
        code.check_target(*target).map_err(|reason| KernelError::Target { value: *target, row, reason })?;
    }
    Ok(LabelledRows { x: block.x, y: block.y })
}
