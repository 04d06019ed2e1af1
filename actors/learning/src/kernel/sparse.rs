//! Sums over one block of rows of which only cells that are not 0 are stored.
//!
//! Each stored cell is read once for a margin and once for a sum, rows and cells in their order, so bits depend on the
//! block alone. Sums of several outputs stand column by column, where a cell touches all of them at once;
//! [`by_output`] puts them in the order of the dense kernels. Means are taken off margins, but not off the cells in
//! gradients, which would touch every column: whoever adds the sums up does it once.

use super::classes::{ClassRow, class_number};
use super::evaluate::{classification_of, regression_of};
use super::vector::widest;
use super::{Cell, ClassLoss, KernelError, Loss, check_shape, class_outcome_sums, largest};

/// One block of sparse rows; values are stored in 64 or 32 bits.
#[derive(Debug, Clone, Copy)]
pub struct SparseView<'a, T = f64> {
    width: usize,
    /// Where each row begins, and where the last one ends.
    starts: &'a [usize],
    columns: &'a [u32],
    values: &'a [T],
    y: &'a [f64],
}

/// Linear functions of centred features, one for each output, as sparse rows want them.
#[derive(Debug, Clone, PartialEq)]
pub struct SparsePredictor {
    /// Margins of a row of zeros.
    offsets: Vec<f64>,
    /// Column by column, shape `[features · outputs]`.
    weights: Vec<f64>,
}

impl<'a, T: Cell> SparseView<'a, T> {
    /// A view of rows and their targets. Row `i` has the cells from `starts[i]` to `starts[i + 1]`; columns are below
    /// `width` and ascend within a row.
    ///
    /// # Errors
    /// [`KernelError::ShapeMismatch`] if there is not one target for each row, or not one column for each value.
    pub fn new(
        width: usize,
        starts: &'a [usize],
        columns: &'a [u32],
        values: &'a [T],
        y: &'a [f64],
    ) -> Result<Self, KernelError> {
        check_shape("rows", starts.len().saturating_sub(1), y.len())?;
        check_shape("cells", columns.len(), values.len())?;
        check_shape("cells", columns.len(), starts.last().copied().unwrap_or_default())?;
        Ok(Self { width, starts, columns, values, y })
    }

    /// Columns and values of each row, with its target.
    fn rows(&self) -> impl Iterator<Item = (&'a [u32], &'a [T], f64)> + use<'a, T> {
        let (columns, values) = (self.columns, self.values);
        let cells = self.starts.windows(2).map(move |ends| (&columns[ends[0]..ends[1]], &values[ends[0]..ends[1]]));
        cells.zip(self.y).map(|((columns, values), target)| (columns, values, *target))
    }
}

impl SparsePredictor {
    /// Of means, of weights output by output, and of values at the mean row.
    ///
    /// # Errors
    /// [`KernelError::ShapeMismatch`] if there are not weights for each mean.
    pub fn new(mean: &[f64], weights: &[f64], intercepts: &[f64]) -> Result<Self, KernelError> {
        let (width, outputs) = (mean.len(), intercepts.len());
        check_shape("weights of all outputs", width * outputs, weights.len())?;
        let mut by_column = vec![0.0; weights.len()];
        let mut offsets = intercepts.to_vec();
        for (output, of_output) in weights.chunks_exact(width.max(1)).enumerate() {
            for (column, (weight, mean)) in of_output.iter().zip(mean).enumerate() {
                by_column[column * outputs + output] = *weight;
                offsets[output] -= weight * mean;
            }
        }
        Ok(Self { offsets, weights: by_column })
    }

    fn check<T: Cell>(&self, block: &SparseView<'_, T>) -> Result<(), KernelError> {
        check_shape("weights of all outputs", block.width * self.offsets.len(), self.weights.len())
    }

    #[inline(always)]
    fn margin<T: Cell>(&self, columns: &[u32], values: &[T]) -> f64 {
        let cells = columns.iter().zip(values);
        cells.fold(self.offsets[0], |margin, (column, value)| margin + value.wide() * self.weights[*column as usize])
    }

    #[inline(always)]
    fn margins<T: Cell>(&self, columns: &[u32], values: &[T], margins: &mut [f64]) {
        let outputs = margins.len();
        margins.copy_from_slice(&self.offsets);
        for (column, value) in columns.iter().zip(values) {
            let (start, value) = (*column as usize * outputs, value.wide());
            let weights = &self.weights[start..start + outputs];
            margins.iter_mut().zip(weights).for_each(|(margin, weight)| *margin += value * weight);
        }
    }

    /// The margins of each row, shape `[rows · outputs]`.
    ///
    /// # Errors
    /// [`KernelError::ShapeMismatch`] if the predictor does not fit.
    pub fn scores<T: Cell>(&self, block: SparseView<'_, T>) -> Result<Vec<f64>, KernelError> {
        self.check(&block)?;
        let mut scores = vec![0.0; block.y.len() * self.offsets.len()];
        for ((columns, values, _), margins) in block.rows().zip(scores.chunks_exact_mut(self.offsets.len())) {
            self.margins(columns, values, margins);
        }
        Ok(scores)
    }
}

/// The sums of [`super::column_sums`].
#[must_use]
pub fn sparse_column_sums<T: Cell>(block: SparseView<'_, T>) -> Vec<f64> {
    let mut sums = vec![0.0; block.width + 2];
    for (columns, values, target) in block.rows() {
        sums[0] += 1.0;
        columns.iter().zip(values).for_each(|(column, value)| sums[1 + *column as usize] += value.wide());
        sums[block.width + 1] += target;
    }
    sums
}

/// The sums of [`super::centred_squares`]; the cells that are not stored are counted, not read.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if `mean` is not of shape `[features]`.
pub fn sparse_centred_squares<T: Cell>(
    block: SparseView<'_, T>,
    mean: &[f64],
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    check_shape("features", block.width, mean.len())?;
    let (mut sums, mut stored) = (vec![0.0; mean.len() + 1], vec![0_u32; mean.len()]);
    for (columns, values, target) in block.rows() {
        for (column, value) in columns.iter().zip(values) {
            let column = *column as usize;
            let centred = value.wide() - mean[column];
            sums[column] += centred * centred;
            stored[column] += 1;
        }
        sums[mean.len()] += (target - target_mean) * (target - target_mean);
    }
    for ((sum, mean), stored) in sums.iter_mut().zip(mean).zip(stored) {
        *sum += (block.y.len() - stored as usize) as f64 * (mean * mean);
    }
    Ok(sums)
}

/// `[Σ loss, Σ r, Σ r·x_1 … Σ r·x_d]`; see [`super::objective_gradient`], which takes the means off the cells.
///
/// # Errors
/// As [`super::objective_gradient`].
pub fn sparse_gradient<T: Cell>(
    block: SparseView<'_, T>,
    loss: Loss,
    predictor: &SparsePredictor,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    let mut sums = vec![0.0; block.width + 2];
    for (index, (columns, values, target)) in block.rows().enumerate() {
        let row = loss.at(predictor.margin(columns, values), target, index)?;
        sums[0] += row.cost;
        sums[1] += row.slope;
        let of_columns = &mut sums[2..];
        columns.iter().zip(values).for_each(|(column, value)| of_columns[*column as usize] += row.slope * value.wide());
    }
    Ok(sums)
}

/// `[Σ loss, Σ r of each class, then for each column Σ r·x of each class]`; see [`super::class_gradient`], which takes the
/// means off the cells and stands class by class.
///
/// # Errors
/// As [`super::class_gradient`].
pub fn sparse_class_gradient<T: Cell>(
    block: SparseView<'_, T>,
    loss: ClassLoss,
    predictor: &SparsePredictor,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    widest(
        #[inline(always)]
        || class_gradient_sums(block, loss, predictor),
    )
}

#[inline(always)]
fn class_gradient_sums<T: Cell>(
    block: SparseView<'_, T>,
    loss: ClassLoss,
    predictor: &SparsePredictor,
) -> Result<Vec<f64>, KernelError> {
    let outputs = predictor.offsets.len();
    let (mut sums, mut terms) = (vec![0.0; 1 + outputs * (block.width + 1)], ClassRow::new(outputs));
    for (index, (columns, values, target)) in block.rows().enumerate() {
        let class = class_number(target, outputs, index)?;
        predictor.margins(columns, values, &mut terms.margins);
        sums[0] += terms.differentiate(loss, class, index)?;
        sums[1..=outputs].iter_mut().zip(&terms.slopes).for_each(|(sum, slope)| *sum += slope);
        let of_columns = &mut sums[1 + outputs..];
        for (column, value) in columns.iter().zip(values) {
            let (start, value) = (*column as usize * outputs, value.wide());
            let of_column = &mut of_columns[start..start + outputs];
            of_column.iter_mut().zip(&terms.slopes).for_each(|(sum, slope)| *sum += slope * value);
        }
    }
    Ok(sums)
}

/// The sums of [`sparse_class_gradient`] class by class: `[Σ loss]`, then for each class `[Σ r, Σ r·x_1 … Σ r·x_d]`.
#[must_use]
pub fn by_output(sums: &[f64], outputs: usize) -> Vec<f64> {
    let (of_rows, by_column) = sums.split_at(1);
    let width = by_column.len() / outputs.max(1);
    let mut turned = Vec::with_capacity(sums.len());
    turned.extend(of_rows);
    for output in 0..outputs {
        turned.extend((0..width).map(|column| by_column[column * outputs + output]));
    }
    turned
}

/// The sums of [`super::regression_sums`].
///
/// # Errors
/// As [`super::regression_sums`].
pub fn sparse_regression_sums<T: Cell>(
    block: SparseView<'_, T>,
    predictor: &SparsePredictor,
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    let margins = block.rows().map(|(columns, values, target)| (predictor.margin(columns, values), target));
    Ok(regression_of(margins, target_mean))
}

/// The sums of [`super::classification_sums`].
///
/// # Errors
/// As [`super::classification_sums`].
pub fn sparse_classification_sums<T: Cell>(
    block: SparseView<'_, T>,
    predictor: &SparsePredictor,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    classification_of(block.rows().map(|(columns, values, target)| (predictor.margin(columns, values), target)))
}

/// The sums of [`super::class_outcomes`].
///
/// # Errors
/// As [`super::class_outcomes`].
pub fn sparse_class_outcomes<T: Cell>(
    block: SparseView<'_, T>,
    predictor: &SparsePredictor,
) -> Result<Vec<f64>, KernelError> {
    predictor.check(&block)?;
    let outputs = predictor.offsets.len();
    let (mut sums, mut terms) = (vec![0.0; class_outcome_sums(outputs)], ClassRow::new(outputs));
    for (index, (columns, values, target)) in block.rows().enumerate() {
        let class = class_number(target, outputs, index)?;
        predictor.margins(columns, values, &mut terms.margins);
        sums[0] += terms.softmax(class);
        sums[1 + class * outputs + largest(&terms.margins)] += 1.0;
    }
    Ok(sums)
}

#[cfg(test)]
#[path = "sparse_test.rs"]
mod tests;
