//! The training rows as they come to the coordinator, window by window, through passes like all others.
//!
//! A pass has a place for each value of a window; a block fills those of its rows and leaves zeros elsewhere. So the sums
//! are the values themselves, to the bit, whoever read them.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{TREE_VALUES_MAX, Tree, TreeSettings, grow};

/// Values that one pass brings: a mebibyte.
const WINDOW_VALUES: usize = 1 << 17;

/// Too many values for a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error(
    "a tree is grown from at most {TREE_VALUES_MAX} values, {rows} training rows of {features} columns and a target have {values}: take fewer, or leave the rows where they are with model.tree.method = \"histogram\""
)]
pub struct TooManyValues {
    /// Training rows.
    pub rows: usize,
    /// Columns as `[prepare]` leaves them.
    pub features: usize,
    /// Values of both, targets included.
    pub values: usize,
}

/// A window of the training rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first row, in the order of the split.
    pub from: usize,
    /// How many rows.
    pub rows: usize,
}

/// The rows that have come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatheredRows {
    row_count: usize,
    feature_count: usize,
    x: Vec<f64>,
    targets: Vec<f64>,
}

impl GatheredRows {
    /// Waits for so many rows.
    ///
    /// # Errors
    /// [`TooManyValues`].
    pub fn new(row_count: usize, feature_count: usize) -> Result<Self, TooManyValues> {
        let values = row_count.saturating_mul(feature_count + 1);
        if values > TREE_VALUES_MAX {
            return Err(TooManyValues { rows: row_count, features: feature_count, values });
        }
        Ok(Self { row_count, feature_count, x: Vec::new(), targets: Vec::new() })
    }

    /// The window that is wanted now; nothing if all rows are here.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        let (from, most) = (self.targets.len(), (WINDOW_VALUES / (self.feature_count + 1)).max(1));
        let rows = (self.row_count - from).min(most);
        (rows > 0).then_some(Window { from, rows })
    }

    /// Takes the values of the window: of each row its features, then its target.
    pub fn absorb(&mut self, values: &[f64]) {
        for row in values.chunks_exact(self.feature_count + 1) {
            let (features, target) = row.split_at(self.feature_count);
            self.x.extend_from_slice(features);
            self.targets.extend_from_slice(target);
        }
    }

    /// Grows a tree from all rows.
    ///
    /// # Panics
    /// If they are not all here.
    #[must_use]
    pub fn grow(&self, class_count: usize, settings: &TreeSettings) -> Tree {
        let x = ArrayView2::from_shape((self.row_count, self.feature_count), &self.x).expect("all rows are here");
        grow(x, &self.targets, class_count, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_each_other_to_the_last_row() {
        let (rows, features) = (100_000, 3);
        let mut gathered = GatheredRows::new(rows, features).unwrap();
        let mut next = 0;
        while let Some(window) = gathered.window() {
            assert_eq!(window.from, next);
            assert!(window.rows * (features + 1) <= WINDOW_VALUES);
            next += window.rows;
            gathered.absorb(&vec![1.0; window.rows * (features + 1)]);
        }
        assert_eq!((next, gathered.x.len(), gathered.targets.len()), (rows, rows * features, rows));
    }

    #[test]
    fn more_values_than_fit_are_refused_before_any_is_read() {
        assert!(GatheredRows::new(TREE_VALUES_MAX / 4, 3).is_ok());
        let error = GatheredRows::new(TREE_VALUES_MAX / 4 + 1, 3).unwrap_err();
        assert_eq!(error.values, TREE_VALUES_MAX + 4);
    }
}
