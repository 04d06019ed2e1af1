//! `[prepare]` of a job file: what is done to the columns before anything is learned.
//!
//! Nothing is computed here.

use serde::{Deserialize, Serialize};

/// `[prepare]`: preprocessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrepareSettings {
    /// Whether coefficients and penalty refer to standardised columns.
    #[serde(default)]
    pub scale: Scale,
}

/// The columns that coefficients and penalty refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Centred to mean 0 and divided by the standard deviation of the training rows.
    #[default]
    Standard,
    /// As they are in the file.
    None,
}
