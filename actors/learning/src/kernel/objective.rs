//! Loss and gradient in one reading of the rows.

#[cfg(test)]
use super::loss::RowLoss;
use super::tile::{Cell, GRADIENT_ROWS, Plane, Tile, Vector};
use super::{BlockView, KernelError, Loss, Predictor, filled_up, vector::widest};

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
pub fn objective_gradient<T: Cell>(
    block: BlockView<'_, T>,
    loss: Loss,
    predictor: Predictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || gradient_sums(block, loss, predictor),
    )
}

#[inline(always)]
fn gradient_sums<T: Cell>(
    block: BlockView<'_, T>,
    loss: Loss,
    predictor: Predictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    let (feature_count, plane) = (block.feature_count(), Plane::new(&predictor));
    let (mut sums, mut slopes) = (vec![0.0; 2], vec![Vector::ZERO; plane.width()]);
    for (first, cells, targets) in block.tiles::<GRADIENT_ROWS>() {
        let tile = Tile::<_, GRADIENT_ROWS>::read(cells, feature_count, &plane);
        loss.check_targets(targets, first)?;
        let costs = loss.of_rows(&tile.margins, &filled_up(targets));
        for row in 0..targets.len() {
            sums[0] += costs.cost[row];
            sums[1] += costs.slope[row];
        }
        tile.add_scaled(&costs.slope[..targets.len()], &mut slopes);
    }
    sums.extend(slopes.iter().flat_map(|vector| vector.0).take(feature_count));
    Ok(sums)
}

/// The loops of [`objective_gradient`] as they would be written first, for tests to compare with.
#[cfg(test)]
pub(super) fn naive_gradient<T: Cell>(
    block: BlockView<'_, T>,
    loss: Loss,
    predictor: Predictor<'_>,
) -> Result<Vec<f64>, KernelError> {
    let mut sums = vec![0.0; block.feature_count() + 2];
    for (index, (row, target)) in block.rows().enumerate() {
        let margin = predictor.margin(row);
        let RowLoss { cost, slope, .. } = loss.at(margin, target, index)?;
        sums[0] += cost;
        sums[1] += slope;
        for ((sum, x), m) in sums[2..].iter_mut().zip(row).zip(predictor.mean) {
            *sum += slope * (x.wide() - m);
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
    fn tiles_of_any_width_and_storage_give_the_bits_of_the_naive_loops() {
        for (rows, features) in [(37, 21), (16, 8), (1, 1), (15, 100), (33, 3)] {
            let cell = |(row, column): (usize, usize)| ((row * 31 + column * 17) % 101) as f64 / 8.0 - 6.0;
            let x = Array2::from_shape_fn((rows, features), cell);
            let stored = x.mapv(|value| value as f32);
            let y = Array1::from_shape_fn(rows, |row| (row % 2) as f64);
            let weights: Vec<f64> = (0..features).map(|column| column as f64 / 13.0 - 0.7).collect();
            let predictor = Predictor { mean: &vec![0.3; features], weights: &weights, intercept: 0.1 };
            let block = BlockView::new(x.view(), y.view()).unwrap();
            let narrow = BlockView::new(stored.view(), y.view()).unwrap();
            for loss in [Loss::HalfSquared, Loss::Logistic, Loss::SquaredHinge] {
                let bits = |sums: Vec<f64>| sums.into_iter().map(f64::to_bits).collect::<Vec<_>>();
                let naive = bits(naive_gradient(block, loss, predictor).unwrap());
                let sums = [
                    objective_gradient(block, loss, predictor),
                    gradient_sums(block, loss, predictor),
                    objective_gradient(narrow, loss, predictor),
                ];
                sums.into_iter().for_each(|sums| assert_eq!(bits(sums.unwrap()), naive, "{loss:?} {rows} {features}"));
            }
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
