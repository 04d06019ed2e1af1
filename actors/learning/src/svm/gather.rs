//! The support vectors as they come to the coordinator, window by window, through passes over all training rows.

use super::{SVM_ROWS_MAX, SVM_VALUES_MAX};
use crate::tree::Window;

/// Values that one pass brings: a mebibyte.
const WINDOW_VALUES: usize = 1 << 17;

/// Too much data for a kernel machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error(
    "a kernel machine is solved for from at most {SVM_ROWS_MAX} training rows and {SVM_VALUES_MAX} values, there are {rows} rows of {features} columns: take fewer rows, or model.type = \"linear_svc\""
)]
pub struct TooManyRows {
    /// Training rows.
    pub rows: usize,
    /// Columns as `[prepare]` leaves them.
    pub features: usize,
}

impl TooManyRows {
    /// Whether a kernel machine takes so much.
    ///
    /// # Errors
    /// [`TooManyRows`] if it does not.
    pub fn check(rows: usize, features: usize) -> Result<(), Self> {
        let fits = rows <= SVM_ROWS_MAX && rows.saturating_mul(features + 1) <= SVM_VALUES_MAX;
        if fits { Ok(()) } else { Err(Self { rows, features }) }
    }
}

/// The rows with a multiplier that have come.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SupportRows {
    is_wanted: Vec<bool>,
    feature_count: usize,
    seen: usize,
    rows: Vec<(usize, Vec<f64>, f64)>,
}

impl SupportRows {
    /// Waits for the rows that are wanted, of `feature_count` features.
    #[must_use]
    pub fn new(is_wanted: Vec<bool>, feature_count: usize) -> Self {
        Self { is_wanted, feature_count, seen: 0, rows: Vec::new() }
    }

    /// The window that is wanted now; nothing if all are here.
    #[must_use]
    pub fn window(&self) -> Option<Window> {
        let skipped = self.is_wanted[self.seen..].iter().position(|wanted| *wanted)?;
        let (from, most) = (self.seen + skipped, (WINDOW_VALUES / (self.feature_count + 1)).max(1));
        Some(Window { from, rows: (self.is_wanted.len() - from).min(most) })
    }

    /// Takes the values of the window: of each row its features, then its target.
    pub fn absorb(&mut self, values: &[f64]) {
        let Some(Window { from, rows }) = self.window() else { return };
        for (number, row) in (from..from + rows).zip(values.chunks_exact(self.feature_count + 1)) {
            if self.is_wanted[number] {
                let (features, target) = row.split_at(self.feature_count);
                self.rows.push((number, features.to_vec(), target[0]));
            }
        }
        self.seen = from + rows;
    }

    /// Number, features and target of each row that was wanted, in the order of the split.
    #[must_use]
    pub fn rows(&self) -> &[(usize, Vec<f64>, f64)] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_wanted_rows_and_only_those_are_kept() {
        let features = WINDOW_VALUES / 2 - 1;
        let mut rows = SupportRows::new(vec![false, true, false, false, true], features);
        assert_eq!(rows.window(), Some(Window { from: 1, rows: 2 }));
        rows.absorb(&vec![1.0; 2 * (features + 1)]);
        assert_eq!(rows.window(), Some(Window { from: 4, rows: 1 }));
        rows.absorb(&vec![2.0; features + 1]);
        assert_eq!(rows.window(), None);
        let of: Vec<(usize, f64)> = rows.rows().iter().map(|(number, _, target)| (*number, *target)).collect();
        assert_eq!(of, [(1, 1.0), (4, 2.0)]);
        assert_eq!(SupportRows::new(vec![false; 3], 2).window(), None);
    }

    #[test]
    fn too_many_rows_or_values_are_refused() {
        assert_eq!(TooManyRows::check(SVM_ROWS_MAX, 3), Ok(()));
        assert!(TooManyRows::check(SVM_ROWS_MAX + 1, 3).is_err());
        assert!(TooManyRows::check(SVM_VALUES_MAX / 1000 + 1, 999).is_err());
    }
}
