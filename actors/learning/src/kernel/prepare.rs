//! Sums from which the steps of `[prepare]` learn. Cells that are NaN are missing and do not count.

use ndarray::ArrayView2;

use super::{BlockView, KernelError, check_shape};
use crate::prepare::{BINS, LevelCount, RankTarget, ordered_bits};

/// `[rows, n_1 … n_d, Σ x_1 … Σ x_d]`, where `n_j` counts the cells of a column that are there.
#[must_use]
pub fn present_sums(x: ArrayView2<'_, f64>) -> Vec<f64> {
    let width = x.ncols();
    let mut sums = vec![0.0; 2 * width + 1];
    for row in x.rows() {
        sums[0] += 1.0;
        for (column, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_nan()) {
            sums[1 + column] += 1.0;
            sums[1 + width + column] += cell;
        }
    }
    sums
}

/// `[Σ (x_1 - mean_1)² … Σ (x_d - mean_d)²]` over the cells that are there.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if `mean` is not of shape `[columns]`.
pub fn present_squares(x: ArrayView2<'_, f64>, mean: &[f64]) -> Result<Vec<f64>, KernelError> {
    check_shape("columns", x.ncols(), mean.len())?;
    let mut sums = vec![0.0; mean.len()];
    for row in x.rows() {
        for ((sum, cell), mean) in sums.iter_mut().zip(row).zip(mean).filter(|((_, cell), _)| !cell.is_nan()) {
            *sum += (cell - mean) * (cell - mean);
        }
    }
    Ok(sums)
}

/// `[Σ (x_1 - mean_1)² …, Σ (x_1 - mean_1)(y - target_mean) …, Σ (y - target_mean)²]`, length `2 columns + 1`.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if `mean` is not of shape `[columns]`.
pub fn moments(block: BlockView<'_>, mean: &[f64], target_mean: f64) -> Result<Vec<f64>, KernelError> {
    let width = mean.len();
    check_shape("columns", block.feature_count(), width)?;
    let mut sums = vec![0.0; 2 * width + 1];
    for (row, target) in block.rows() {
        let target = target - target_mean;
        for (column, (cell, mean)) in row.iter().zip(mean).enumerate() {
            sums[column] += (cell - mean) * (cell - mean);
            sums[width + column] += (cell - mean) * target;
        }
        sums[2 * width] += target * target;
    }
    Ok(sums)
}

/// For each of `columns` in turn, the rows of each of its levels.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if there is no such column.
pub fn level_counts(x: ArrayView2<'_, f64>, columns: &[LevelCount]) -> Result<Vec<f64>, KernelError> {
    let mut counts = Vec::new();
    for LevelCount { column, levels } in columns {
        check_column(x, *column)?;
        let start = counts.len();
        counts.resize(start + levels, 0.0);
        for cell in x.column(*column).iter().filter(|cell| **cell >= 0.0 && **cell < *levels as f64) {
            counts[start + *cell as usize] += 1.0;
        }
    }
    Ok(counts)
}

/// For each of `targets` in turn, the cells that have its bits, by the bits that come next.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if there is no such column.
pub fn rank_counts(x: ArrayView2<'_, f64>, targets: &[RankTarget], depth: u32) -> Result<Vec<f64>, KernelError> {
    let mut counts = vec![0.0; targets.len() * BINS];
    for (target, counts) in targets.iter().zip(counts.chunks_mut(BINS)) {
        check_column(x, target.column)?;
        let cells = x.column(target.column).into_iter().filter(|cell| !cell.is_nan());
        cells.filter_map(|cell| target.bin(depth, ordered_bits(*cell))).for_each(|bin| counts[bin] += 1.0);
    }
    Ok(counts)
}

fn check_column(x: ArrayView2<'_, f64>, column: usize) -> Result<(), KernelError> {
    if column < x.ncols() { Ok(()) } else { check_shape("columns", x.ncols(), column + 1) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    const HOLE: f64 = f64::NAN;

    #[test]
    fn missing_cells_count_for_nothing() {
        let x = array![[1.0, HOLE], [3.0, 5.0], [HOLE, HOLE]];
        assert_eq!(present_sums(x.view()), [3.0, 2.0, 1.0, 4.0, 5.0]);
        assert_eq!(present_squares(x.view(), &[2.0, 4.0]).unwrap(), [2.0, 1.0]);
        let columns = [LevelCount { column: 1, levels: 6 }];
        assert_eq!(level_counts(x.view(), &columns).unwrap(), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        let of_both = rank_counts(x.view(), &[RankTarget { column: 0, prefix: 0 }], 0).unwrap();
        assert_eq!(of_both.iter().sum::<f64>(), 2.0);
    }

    #[test]
    fn moments_are_those_computed_by_hand() {
        let (x, y) = (array![[1.0, 0.0], [3.0, 6.0]], array![10.0, 20.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        assert_eq!(moments(block, &[2.0, 3.0], 15.0).unwrap(), [2.0, 18.0, 10.0, 30.0, 50.0]);
        assert!(moments(block, &[2.0], 15.0).is_err());
    }

    #[test]
    fn a_column_that_is_not_there_is_refused() {
        let x = array![[1.0]];
        let expected = KernelError::ShapeMismatch { what: "columns", expected: 1, actual: 3 };
        assert_eq!(level_counts(x.view(), &[LevelCount { column: 2, levels: 1 }]), Err(expected.clone()));
        assert_eq!(rank_counts(x.view(), &[RankTarget { column: 2, prefix: 0 }], 0), Err(expected));
        assert!(present_squares(x.view(), &[]).is_err());
    }
}
