//! What the columns of a file are: what a user says of them, and what a reading found.
//!
//! No file is opened here. A row of a file is a row of numbers: a category is the position of its word
//! among the levels of its column, a missing cell is NaN until `[prepare]` fills it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::strata::Stratum;

/// Most different words of a column.
pub const LEVELS_MAX: usize = 1000;
/// Most classes of a target: their confusion matrix then stays below 2 MB a partial.
pub const CLASSES_MAX: usize = 500;

/// What a user says of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnSetting {
    /// Its cells are numbers.
    Numeric,
    /// Its cells are words without an order; also if they look like numbers.
    Categorical,
    /// Its cells are these words, in this order.
    Ordinal(Vec<String>),
    /// It is left out.
    Ignored,
}

/// What becomes of a row with a cell that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// The first one ends the job.
    #[default]
    Fail,
    /// It is left out and counted.
    Skip,
    /// The cell counts as missing. A row is left out and counted if it is the target, or the cells are too many or few.
    Missing,
}

/// What is wanted of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataSpec {
    /// Column to predict; a prediction needs none.
    pub target: Option<String>,
    /// Columns to predict from, in this order; all others but the target, in file order, if absent.
    pub features: Option<Vec<String>>,
    /// Whether the target is a class label: 0 or 1, or one of two words.
    #[serde(default)]
    pub binary_target: bool,
    /// Whether the target is one of any number of classes, whatever its cells look like.
    #[serde(default)]
    pub many_classes: bool,
    /// What the user says of columns; what a column is that is not named here is inferred.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnSetting>,
    /// What becomes of bad rows.
    #[serde(default)]
    pub bad_rows: BadRows,
    /// Words that stand for a missing cell, as an empty cell does.
    #[serde(default)]
    pub missing_words: Vec<String>,
    /// Whether a missing cell of a feature is a fault of its row or is filled later.
    #[serde(default)]
    pub missing_is_filled: bool,
    /// Whether rows with a missing cell are left out.
    #[serde(default)]
    pub drop_missing_rows: bool,
    /// Whether rows that repeat an earlier one in all columns read are left out.
    #[serde(default)]
    pub drop_duplicate_rows: bool,
    /// Whether rows of a sparse form are told with all their zeros.
    #[serde(default)]
    pub dense: bool,
    /// Whether the class of each row is wanted, for a split that keeps their proportion.
    #[serde(default)]
    pub stratified: bool,
}

/// A feature as a reading of the whole file found it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataColumn {
    /// Its name in the header.
    pub name: String,
    /// Its words, in the order of their codes; none if it is numeric.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<String>,
    /// Whether the words have an order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ordered: bool,
    /// Missing cells among the rows that were kept.
    #[serde(default)]
    pub missing_count: usize,
}

/// Rows that were left out, by the reason. The sum of all and the rows kept are the rows of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// With a cell that cannot be used, or too many or few cells.
    #[serde(default)]
    pub bad: usize,
    /// With a missing cell, where the job leaves such rows out.
    #[serde(default)]
    pub missing: usize,
    /// That repeat an earlier row.
    #[serde(default)]
    pub duplicate: usize,
}

/// What a full reading of a file found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DataSummary {
    /// Rows below the header, without those left out.
    pub row_count: usize,
    /// Features, in the order of the matrix columns; none of sparse rows, whose columns are numbered.
    pub feature_names: Vec<String>,
    /// The target column; empty if it was not read.
    pub target: String,
    /// What each feature is, in the same order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<DataColumn>,
    /// The words of a target that is not 0 or 1, in the order of their classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Rows left out.
    #[serde(default)]
    pub left_out: LeftOut,
    /// The columns, if rows are sparse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<SparseColumns>,
    /// The last rows are those of files of their own, for testing; so many of those that were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_row_count: Option<usize>,
    /// The classes that occur, where a stratified split wants them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strata: Vec<Stratum>,
}

/// The columns of sparse rows: all are numeric, and have their numbers for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseColumns {
    /// The number of the first.
    pub first: u32,
    /// How many there are.
    pub count: usize,
    /// Cells of all rows that are not 0; 0 if nobody has counted.
    pub value_count: usize,
}

impl SparseColumns {
    /// Their names.
    pub fn names(self) -> impl Iterator<Item = String> {
        (self.first..).take(self.count).map(|number| number.to_string())
    }
}

impl DataSummary {
    /// Features of a row.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.sparse.map_or(self.feature_names.len(), |columns| columns.count)
    }

    /// Cells that are stored of all rows.
    #[must_use]
    pub fn cell_count(&self) -> usize {
        match self.sparse {
            Some(columns) => columns.value_count,
            None => self.row_count.saturating_mul(self.feature_names.len()),
        }
    }

    /// What each feature is, also of sparse rows.
    #[must_use]
    pub fn all_columns(&self) -> Vec<DataColumn> {
        match self.sparse {
            Some(columns) => columns.names().map(|name| DataColumn { name, ..DataColumn::default() }).collect(),
            None => self.columns.clone(),
        }
    }

    /// A summary of numeric columns without holes.
    #[must_use]
    pub fn numeric(row_count: usize, feature_names: &[&str], target: &str) -> Self {
        let feature_names: Vec<String> = feature_names.iter().map(|name| (*name).to_owned()).collect();
        let columns = feature_names.iter().map(|name| DataColumn { name: name.clone(), ..DataColumn::default() });
        Self { row_count, columns: columns.collect(), target: target.to_owned(), feature_names, ..Self::default() }
    }
}

impl DataColumn {
    /// Whether its cells are words.
    #[must_use]
    pub fn has_levels(&self) -> bool {
        !self.levels.is_empty()
    }

    /// The name of its kind, as in a job file.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match (self.has_levels(), self.is_ordered) {
            (false, _) => "numeric",
            (true, false) => "categorical",
            (true, true) => "ordinal",
        }
    }
}

impl LeftOut {
    /// All rows left out.
    #[must_use]
    pub fn total(&self) -> usize {
        self.bad + self.missing + self.duplicate
    }
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bad, missing, duplicate } = self;
        write!(formatter, "{bad} bad, {missing} with a missing cell, {duplicate} repeated")
    }
}
