//! Rows of numbers: parsed, validated, chosen, split. Nothing here computes with them.

mod encode;
mod error;
mod infer;
mod line_ends;
mod mersenne;
mod synthetic;

pub mod csv;
pub mod fold;
pub mod schema;
pub mod source;
pub mod split;
pub mod strata;

pub use error::DataError;
pub(crate) use error::nearest;
use ndarray::{Array1, Array2};
pub use schema::{BadRows, ColumnSetting, DataColumn, DataSpec, DataSummary, LeftOut};
pub use synthetic::SCHEME as SYNTHETIC;

/// Largest magnitude of a cell: squares of a million million such numbers add up to less than 64 bits hold.
pub const VALUE_MAX: f64 = 1e100;

/// Chosen rows, in the order they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Features, shape `[rows, features]`, row-major, in the units of the file; see [`schema`] for words and holes.
    pub x: Array2<f64>,
    /// Target, shape `[rows]`, in the unit of the file; 0 or 1 for a class.
    pub y: Array1<f64>,
}
