//! Sums over one block of rows: plain functions over array views.
//!
//! Every function reads each row once and adds rows in order, with a fixed number of lanes, and has
//! `exp` and `log` of its own: its bits depend on the block alone, not on the host nor on how cells are stored.
//! Means, penalties and reductions are made elsewhere.

mod classes;
mod columns;
mod curvature;
mod evaluate;
mod exponential;
mod hinge;
mod loss;
mod objective;
mod own;
mod prepare;
mod sparse;
mod support;
mod tile;
mod tree;
mod vector;

pub(crate) use classes::class_number;
pub use classes::{
    ClassLoss, ClassPredictor, class_counts, class_counts_of, class_curvature, class_curvature_sums, class_gradient,
    class_outcome_sums, class_outcomes, largest, softmax,
};
pub use columns::{centred_squares, column_sums};
pub use curvature::{curvature_sums, objective_curvature};
pub use evaluate::{CLASSIFICATION_SUMS, REGRESSION_SUMS, classification_sums, regression_sums};
pub(crate) use exponential::{exp_of_negative, log_of_one_plus};
pub use hinge::{HingeProblem, HingeStep, hinge_path, hinge_sums};
pub use loss::Loss;
use ndarray::{ArrayView1, ArrayView2};
pub use objective::objective_gradient;
pub(crate) use own::{OWN_COST_MAX, OwnSums, own_curvature, own_gradient, own_outcomes};
pub use prepare::{level_counts, moments, present_squares, present_sums, rank_counts};
pub use sparse::{
    SparsePredictor, SparseView, by_output, sparse_centred_squares, sparse_class_gradient, sparse_class_outcomes,
    sparse_classification_sums, sparse_column_sums, sparse_gradient, sparse_regression_sums,
};
pub use support::{support_outcome_sums, support_outcomes};
pub use tile::Cell;
use tile::LANES;
pub use tree::{ensemble_outcomes, outcome_sums, tree_outcomes, window_rows};

/// One block: `x` of shape `[rows, features]`, stored in 64 or 32 bits, `y` of shape `[rows]`, in the units of the data.
#[derive(Debug, Clone, Copy)]
pub struct BlockView<'a, T = f64> {
    x: ArrayView2<'a, T>,
    y: ArrayView1<'a, f64>,
}

/// A linear function of centred features, in raw units: `intercept + weights · (x - mean)`.
#[derive(Debug, Clone, Copy)]
pub struct Predictor<'a> {
    /// Subtracted from every row, shape `[features]`.
    pub mean: &'a [f64],
    /// Shape `[features]`.
    pub weights: &'a [f64],
    /// Value at the mean row.
    pub intercept: f64,
}

/// Why a block has no sum.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KernelError {
    /// A vector does not fit the block.
    #[error("block has {expected} {what}, got {actual}")]
    ShapeMismatch {
        /// What is counted.
        what: &'static str,
        /// In the block.
        expected: usize,
        /// In the argument.
        actual: usize,
    },
    /// A class label other than 0 and 1.
    #[error("label {value} in row {row} of the block is neither 0 nor 1")]
    Label {
        /// The target's value.
        value: f64,
        /// Position in the block, from 0.
        row: usize,
    },
    /// A target that a user's model does not take.
    #[error("target {value} in row {row} of the block: {reason}")]
    Target {
        /// The target's value.
        value: f64,
        /// Position in the block, from 0.
        row: usize,
        /// What the model says.
        reason: String,
    },
    /// A target that is no class.
    #[error("target {value} in row {row} of the block is none of the classes 0 to {}", class_count.saturating_sub(1))]
    Class {
        /// The target's value.
        value: f64,
        /// Position in the block, from 0.
        row: usize,
        /// Classes that there are.
        class_count: usize,
    },
}

impl<'a, T: Cell> BlockView<'a, T> {
    /// A view of rows and their targets.
    ///
    /// # Errors
    /// [`KernelError::ShapeMismatch`] if there is not one target for each row.
    pub fn new(x: ArrayView2<'a, T>, y: ArrayView1<'a, f64>) -> Result<Self, KernelError> {
        check_shape("rows", x.nrows(), y.len())?;
        Ok(Self { x, y })
    }

    fn feature_count(&self) -> usize {
        self.x.ncols()
    }

    /// Rows as slices with their targets.
    fn rows(&self) -> impl Iterator<Item = (&'a [T], f64)> {
        let rows = self.x.into_outer_iter().map(|row| row.to_slice().expect("rows of a block are contiguous"));
        rows.zip(self.y.into_iter().copied())
    }

    /// Up to `ROWS` rows at a time: the number of the first, all their cells, and their targets.
    #[inline(always)]
    fn tiles<const ROWS: usize>(&self) -> impl Iterator<Item = (usize, &'a [T], &'a [f64])> {
        let (x, y) = (self.x, self.y);
        let cells = x.to_slice().expect("the rows of a block follow each other");
        let targets = y.to_slice().expect("the targets of a block follow each other");
        let (width, tiles) = (x.ncols(), targets.chunks(ROWS).enumerate());
        tiles.map(move |(tile, targets)| {
            let first = tile * ROWS;
            (first, &cells[first * width..(first + targets.len()) * width], targets)
        })
    }
}

impl Predictor<'_> {
    fn check<T: Cell>(&self, block: &BlockView<'_, T>) -> Result<(), KernelError> {
        check_shape("features", block.feature_count(), self.mean.len())?;
        check_shape("features", block.feature_count(), self.weights.len())
    }

    /// The margin of one row, whose length was checked.
    #[inline(always)]
    fn margin<T: Cell>(&self, row: &[T]) -> f64 {
        self.intercept + centred_dot(row, self.mean, self.weights)
    }
}

#[inline(always)]
fn centred_dot<T: Cell>(row: &[T], mean: &[f64], weights: &[f64]) -> f64 {
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let (means, mean_rest) = mean.as_chunks::<LANES>();
    let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for ((x, m), w) in rows.iter().zip(means).zip(weight_chunks) {
        for lane in 0..LANES {
            lanes[lane] += (x[lane].wide() - m[lane]) * w[lane];
        }
    }
    let rest = row_rest.iter().zip(mean_rest).zip(weight_rest);
    for (lane, ((x, m), w)) in rest.enumerate() {
        lanes[lane] += (x.wide() - m) * w;
    }
    lanes.iter().sum()
}

fn check_shape(what: &'static str, expected: usize, actual: usize) -> Result<(), KernelError> {
    if expected == actual { Ok(()) } else { Err(KernelError::ShapeMismatch { what, expected, actual }) }
}

fn check_label(value: f64, row: usize) -> Result<(), KernelError> {
    if value == 0.0 || value == 1.0 { Ok(()) } else { Err(KernelError::Label { value, row }) }
}

/// The targets of a tile, and zeros for the rows that it lacks.
#[inline(always)]
fn filled_up<const ROWS: usize>(targets: &[f64]) -> [f64; ROWS] {
    let mut filled = [0.0; ROWS];
    filled[..targets.len()].copy_from_slice(targets);
    filled
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_dot_product_takes_every_column_once() {
        let row: Vec<f64> = (0..19).map(f64::from).collect();
        assert_eq!(centred_dot(&row, &[1.0; 19], &[2.0; 19]), 2.0 * (171.0 - 19.0));
    }

    #[test]
    fn rows_without_targets_are_refused() {
        let (x, y) = (array![[1.0], [2.0]], array![1.0]);
        let expected = KernelError::ShapeMismatch { what: "rows", expected: 2, actual: 1 };
        assert_eq!(BlockView::new(x.view(), y.view()).unwrap_err(), expected);
    }
}
