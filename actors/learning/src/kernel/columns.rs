//! Sums of columns: what means and standard deviations are made of.

use super::{BlockView, Cell, KernelError, check_shape, vector::widest};

/// `[rows, Σ x_1 … Σ x_d, Σ y]`, length `features + 2`, in the units of the data.
#[must_use]
pub fn column_sums<T: Cell>(block: BlockView<'_, T>) -> Vec<f64> {
    widest(
        #[inline(always)]
        || {
            let mut sums = vec![0.0; block.feature_count() + 2];
            for (row, target) in block.rows() {
                sums[0] += 1.0;
                sums[1..].iter_mut().zip(row).for_each(|(sum, x)| *sum += x.wide());
                sums[row.len() + 1] += target;
            }
            sums
        },
    )
}

/// `[Σ (x_1 - mean_1)² … Σ (x_d - mean_d)², Σ (y - target_mean)²]`, length `features + 1`, in squared units.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if `mean` is not of shape `[features]`.
pub fn centred_squares<T: Cell>(
    block: BlockView<'_, T>,
    mean: &[f64],
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    check_shape("features", block.feature_count(), mean.len())?;
    Ok(widest(
        #[inline(always)]
        || {
            let mut sums = vec![0.0; mean.len() + 1];
            for (row, target) in block.rows() {
                for ((sum, x), m) in sums.iter_mut().zip(row).zip(mean) {
                    *sum += (x.wide() - m) * (x.wide() - m);
                }
                sums[mean.len()] += (target - target_mean) * (target - target_mean);
            }
            sums
        },
    ))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn two_rows_are_summed_by_hand() {
        let (x, y) = (array![[1.0, -2.0], [3.0, 5.0]], array![10.0, 20.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        assert_eq!(column_sums(block), [2.0, 4.0, 3.0, 30.0]);
        assert_eq!(centred_squares(block, &[2.0, 1.0], 15.0).unwrap(), [2.0, 25.0, 50.0]);
    }

    #[test]
    fn the_slope_of_centred_squares_over_the_mean_is_that_of_a_finite_difference() {
        let (x, y) = (array![[1.0], [4.0]], array![0.0, 0.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let at = |mean: f64| centred_squares(block, &[mean], 0.0).unwrap()[0];
        let slope = (at(2.0 + 1e-5) - at(2.0 - 1e-5)) / 2e-5;
        assert!((slope - -2.0 * (column_sums(block)[1] - 2.0 * 2.0)).abs() < 1e-8);
    }

    #[test]
    fn a_mean_of_another_length_is_refused() {
        let (x, y) = (array![[1.0, 2.0]], array![0.0]);
        let error = centred_squares(BlockView::new(x.view(), y.view()).unwrap(), &[1.0], 0.0).unwrap_err();
        assert_eq!(error, KernelError::ShapeMismatch { what: "features", expected: 2, actual: 1 });
    }
}
