//! Rows of numbers: parsed, validated, chosen, split. Nothing here computes with them.

pub mod csv;
pub mod source;
pub mod split;

pub use csv::{DataError, DataSpec, DataSummary, Rows};
