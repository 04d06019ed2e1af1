//! Loss and gradient in one reading of the rows.

use super::{BlockView, KernelError, Loss, Predictor, loss::RowLoss, vector::widest};

/// `[Σ loss, Σ r, Σ r·(x_1 - mean_1) … Σ r·(x_d - mean_d)]`, length `features + 2`.
///
/// `r` is the derivative of a row's loss by its margin: `m - y` for [`Loss::HalfSquared`] (unit of
/// the target), `P(y = 1) - y` for [`Loss::Logistic`], minus twice the signed gap to the margin for
/// [`Loss::SquaredHinge`]. Hence the second value is the derivative by
/// the intercept, and the rest those by the raw weights. No penalty, no division by rows.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the predictor does not fit; [`KernelError::Label`] if a
/// logistic target is neither 0 nor 1.
///
/// # Source
/// Hastie, Tibshirani, Friedman, *The Elements of Statistical Learning*, 2nd ed., eq. 3.3 and 4.21.
pub fn objective_gradient(block: BlockView<'_>, loss: Loss, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || gradient_sums(block, loss, predictor),
    )
}

#[inline(always)]
fn gradient_sums(block: BlockView<'_>, loss: Loss, predictor: Predictor<'_>) -> Result<Vec<f64>, KernelError> {
    let mut sums = vec![0.0; block.feature_count() + 2];
    for (index, (row, target)) in block.rows().enumerate() {
        let margin = predictor.margin(row);
        let RowLoss { cost, slope, .. } = loss.at(margin, target, index)?;
        sums[0] += cost;
        sums[1] += slope;
        for ((sum, x), m) in sums[2..].iter_mut().zip(row).zip(predictor.mean) {
            *sum += slope * (x - m);
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    fn data(loss: Loss) -> (Array2<f64>, Array1<f64>) {
        let y = match loss {
            Loss::HalfSquared => array![3.0, -1.0, 0.5],
            Loss::Logistic | Loss::SquaredHinge => array![1.0, 0.0, 1.0],
        };
        (array![[1.0, 2.0], [0.5, -1.0], [-2.0, 0.25]], y)
    }

    fn sums(loss: Loss, parameters: &[f64; 3]) -> Vec<f64> {
        let (x, y) = data(loss);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let predictor = Predictor { mean: &[0.5, 1.0], weights: &parameters[1..], intercept: parameters[0] };
        objective_gradient(block, loss, predictor).unwrap()
    }

    #[test]
    fn one_squared_row_is_summed_by_hand() {
        let (x, y) = (array![[3.0, 5.0]], array![10.0]);
        let predictor = Predictor { mean: &[1.0, 2.0], weights: &[2.0, 1.0], intercept: 4.0 };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        assert_eq!(objective_gradient(block, Loss::HalfSquared, predictor).unwrap(), [0.5, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn one_logistic_row_is_summed_by_hand() {
        let (x, y) = (array![[3.0]], array![0.0]);
        let predictor = Predictor { mean: &[1.0], weights: &[0.5], intercept: -1.0 };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let expected = [std::f64::consts::LN_2, 0.5, 1.0];
        assert_eq!(objective_gradient(block, Loss::Logistic, predictor).unwrap(), expected);
    }

    #[test]
    fn the_gradient_is_that_of_a_finite_difference() {
        for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
            let at = [0.3, -0.7, 1.1];
            for parameter in 0..3 {
                let moved = |by: f64| {
                    let mut point = at;
                    point[parameter] += by;
                    sums(loss, &point)[0]
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((slope - sums(loss, &at)[1 + parameter]).abs() < 1e-8, "{loss:?} {parameter}");
            }
        }
    }

    #[test]
    fn wide_and_narrow_instructions_give_the_same_bits() {
        let x = Array2::from_shape_fn((37, 21), |(row, column)| ((row * 31 + column * 17) % 101) as f64 / 7.0 - 6.0);
        let y = Array1::from_shape_fn(37, |row| (row % 2) as f64);
        let weights: Vec<f64> = (0..21).map(|column| f64::from(column) / 13.0 - 0.7).collect();
        let predictor = Predictor { mean: &[0.3; 21], weights: &weights, intercept: 0.1 };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
            let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let wide = bits(objective_gradient(block, loss, predictor).unwrap());
            assert_eq!(wide, bits(gradient_sums(block, loss, predictor).unwrap()), "{loss:?}");
        }
    }

    #[test]
    fn a_wrong_shape_and_a_wrong_label_are_refused() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0, 2.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let fitting = Predictor { mean: &[0.0], weights: &[0.0], intercept: 0.0 };
        let label = objective_gradient(block, Loss::Logistic, fitting).unwrap_err();
        assert_eq!(label, KernelError::Label { value: 2.0, row: 1 });
        let shape = objective_gradient(block, Loss::HalfSquared, Predictor { weights: &[0.0, 1.0], ..fitting });
        assert_eq!(shape, Err(KernelError::ShapeMismatch { what: "features", expected: 1, actual: 2 }));
    }
}
