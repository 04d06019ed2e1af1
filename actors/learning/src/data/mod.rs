//! Rows of numbers: parsed, validated, chosen, split. Nothing here computes with them.

mod encode;
mod error;
mod file_rows;
mod infer;
mod line_ends;
mod mersenne;
mod open;
mod reader;
mod sparse_table;
mod svm;
mod synthetic;
mod synthetic_sparse;

pub mod csv;
pub mod fold;
pub mod paths;
pub mod schema;
pub mod source;
pub mod split;
pub mod strata;

pub use error::DataError;
pub(crate) use error::nearest;
use ndarray::{Array1, Array2};
pub use paths::{DataPaths, DataSource};
pub use schema::{BadRows, ColumnSetting, DataColumn, DataSpec, DataSummary, LeftOut, SparseColumns};
use serde::{Deserialize, Serialize};
pub use synthetic::SCHEME as SYNTHETIC;

/// Largest magnitude of a cell: squares of a million million such numbers add up to less than 64 bits hold.
pub const VALUE_MAX: f64 = 1e100;

/// How rows are stored by workers; sums are of 64 bits, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// In 32 bits where that changes no number; data of more than 2^27 cells are rounded to 32 bits.
    #[default]
    Auto,
    /// All numbers are rounded to 32 bits.
    F32,
    /// No number is rounded.
    F64,
}

/// The features of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RowCells<'a> {
    /// All of them.
    All(&'a [f64]),
    /// Those that are not 0.
    Sparse {
        /// Their columns, ascending.
        columns: &'a [u32],
        /// One for each column.
        values: &'a [f64],
    },
}

impl RowCells<'_> {
    /// How many columns a row must have at least for these cells.
    #[must_use]
    pub fn width_min(&self) -> usize {
        match self {
            Self::All(cells) => cells.len(),
            Self::Sparse { columns, .. } => columns.last().map_or(0, |column| *column as usize + 1),
        }
    }

    /// Writes them over the cells of a row, whose width fits and which are 0 before.
    pub fn fill<'c>(&self, row: impl Iterator<Item = &'c mut f64>) {
        match self {
            Self::All(cells) => row.zip(*cells).for_each(|(cell, value)| *cell = *value),
            Self::Sparse { columns, values } => {
                let mut stored = columns.iter().zip(*values).peekable();
                for (column, cell) in (0_u32..).zip(row) {
                    if let Some((_, value)) = stored.next_if(|(next, _)| **next == column) {
                        *cell = *value;
                    }
                }
            }
        }
    }
}

/// Hears rows one by one: the place that was asked for, the features, the target.
pub type RowSink<'a> = dyn FnMut(usize, RowCells<'_>, f64) + 'a;

/// Chosen rows, in the order they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Features, shape `[rows, features]`, row-major, in the units of the file; see [`schema`] for words and holes.
    pub x: Array2<f64>,
    /// Target, shape `[rows]`, in the unit of the file; 0 or 1 for a class.
    pub y: Array1<f64>,
}

impl Rows {
    /// Tells each row.
    pub fn tell(&self, each: &mut RowSink<'_>) {
        for (place, (row, target)) in self.x.rows().into_iter().zip(&self.y).enumerate() {
            match row.as_slice() {
                Some(cells) => each(place, RowCells::All(cells), *target),
                None => each(place, RowCells::All(&row.to_vec()), *target),
            }
        }
    }
}
