//! Why data cannot be used. Every error names the file and, where there is one, the row and the column.
//!
//! Nothing is read here.

use serde::{Deserialize, Serialize};

use super::{VALUE_MAX, paths::FILES_MAX, schema::CLASSES_MAX, schema::LEVELS_MAX};

/// Why data cannot be used. `row` is the line in the file, from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DataError {
    /// Another host may have it.
    #[error("{file}: no such file")]
    FileMissing {
        /// The file.
        file: String,
    },
    /// The operating system refused.
    #[error("{file}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's words.
        reason: String,
    },
    /// Reading ended before the file did.
    #[error("{file}: cannot be read behind row {row}: {reason}")]
    Broken {
        /// The file.
        file: String,
        /// Line of the last row that was read; 0 if there is none.
        row: u64,
        /// What went wrong.
        reason: String,
    },
    /// A pattern without a file.
    #[error("{pattern}: no file fits the pattern")]
    NoFileFits {
        /// The pattern.
        pattern: String,
    },
    /// The rows of a file would count twice.
    #[error("{file}: the file is listed twice")]
    FileTwice {
        /// The file.
        file: String,
    },
    /// More files than anybody would name.
    #[error("{file}: {count} files are more than the {FILES_MAX} of one training")]
    TooManyFiles {
        /// The path or pattern that was named first.
        file: String,
        /// How many there are.
        count: usize,
    },
    /// Files whose columns differ.
    #[error("{file}: row 1: column {place} is {actual}, in {first} it is {expected}; all files have the same header")]
    OtherHeader {
        /// The file.
        file: String,
        /// The first file.
        first: String,
        /// Position of the column, from 1.
        place: usize,
        /// Its name in the first file, in quotation marks.
        expected: Box<str>,
        /// Its name here.
        actual: Box<str>,
    },
    /// Generated data that cannot be made.
    #[error("{name}: {reason}")]
    Generator {
        /// As it stands in place of a path.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Not even a header.
    #[error("{file}: the file is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// A header and no more.
    #[error("{file}: the file has a header and no rows")]
    NoRows {
        /// The file.
        file: String,
    },
    /// The header names one column twice.
    #[error("{file}: row 1: column \"{column}\" appears twice")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The name that is there twice.
        column: String,
    },
    /// The target or a feature is not in the header.
    #[error("{file}: row 1: no column \"{column}\"{}", did_you_mean(.nearest))]
    UnknownColumn {
        /// The file.
        file: String,
        /// The name that was asked for.
        column: String,
        /// The most similar name in the header, if any is similar.
        nearest: Option<String>,
    },
    /// The target is also a feature, or a feature is listed twice.
    #[error("{file}: column \"{column}\" is asked for twice")]
    ColumnAskedTwice {
        /// The file.
        file: String,
        /// The name.
        column: String,
    },
    /// Nothing to predict from.
    #[error("{file}: no feature columns besides the target")]
    NoFeatures {
        /// The file.
        file: String,
    },
    /// A row has more or fewer cells than the header.
    #[error("{file}: row {row}: {actual} cells under {expected} columns")]
    RaggedRow {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Columns of the header.
        expected: usize,
        /// Cells of the row.
        actual: usize,
    },
    /// An empty cell.
    #[error("{file}: row {row}, column \"{column}\": the cell is empty")]
    MissingCell {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Column.
        column: String,
    },
    /// A cell that is not a number.
    #[error("{file}: row {row}, column \"{column}\": \"{text}\" is not a number")]
    NotANumber {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Column.
        column: String,
        /// The cell, cut if long.
        text: String,
    },
    /// A cell that is NaN, infinite, or too large for 64 bits.
    #[error("{file}: row {row}, column \"{column}\": \"{text}\" is not finite")]
    NotFinite {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Column.
        column: String,
        /// The cell, cut if long.
        text: String,
    },
    /// A number so large that sums over the rows would no longer be numbers.
    #[error(
        "{file}: row {row}, column \"{column}\": {text} is beyond {VALUE_MAX:e}, and sums of squares would overflow; use a larger unit"
    )]
    TooLarge {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Column.
        column: String,
        /// The cell, cut if long.
        text: String,
    },
    /// A class label other than 0 and 1.
    #[error("{file}: row {row}, column \"{column}\": \"{text}\" is not a class label, which is 0 or 1")]
    NotALabel {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// The target column.
        column: String,
        /// The cell, cut if long.
        text: String,
    },
    /// A piece of a libsvm line.
    #[error("{file}: row {row}: \"{text}\" {reason}")]
    BadEntry {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// The piece, cut if long.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A level that an ordered or already learned column does not have.
    #[error("{file}: row {row}, column \"{column}\": \"{text}\" is none of the words of the column{}", did_you_mean(.nearest))]
    UnknownLevel {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
        /// Column.
        column: String,
        /// The cell, cut if long.
        text: String,
        /// The most similar level, if any is similar.
        nearest: Option<Box<str>>,
    },
    /// A column of words with too many different ones.
    #[error(
        "{file}: column \"{column}\" has more than {LEVELS_MAX} different words; leave it out: data.columns.{column} = \"ignored\""
    )]
    TooManyLevels {
        /// The file.
        file: String,
        /// Column.
        column: String,
    },
    /// A target of words that are not two.
    #[error("{file}: column \"{column}\" has {count} different words as class labels, this model needs 2")]
    NotTwoClasses {
        /// The file.
        file: String,
        /// The target column.
        column: String,
        /// Different words.
        count: usize,
    },
    /// A target of one class, or of too many.
    #[error("{file}: column \"{column}\" has {count} different classes, this model takes 2 to {CLASSES_MAX}")]
    WrongClassCount {
        /// The file.
        file: String,
        /// The target column.
        column: String,
        /// Different classes; counting ends behind [`LEVELS_MAX`].
        count: usize,
    },
    /// Every row was left out.
    #[error("{file}: none of the {row_count} rows is left: {left_out}")]
    NothingLeft {
        /// The file.
        file: String,
        /// Rows below the header.
        row_count: usize,
        /// Why they were left out.
        left_out: String,
    },
    /// Bytes that are not UTF-8.
    #[error("{file}: row {row}: not UTF-8 text")]
    NotUtf8 {
        /// The file.
        file: String,
        /// Line in the file.
        row: u64,
    },
    /// A row was asked for that the file does not have.
    #[error("{file}: data row {wanted} was asked for, the file has {row_count}")]
    RowMissing {
        /// The file.
        file: String,
        /// Number of the row among the data rows, from 0.
        wanted: usize,
        /// Data rows in the file.
        row_count: usize,
    },
}

fn did_you_mean(nearest: &Option<impl std::fmt::Display>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default()
}

/// Similarity (Jaro–Winkler, 0 to 1) from which a name is offered as the nearest.
const NEAREST_SIMILARITY_MIN: f64 = 0.7;

/// The most similar of `names`, if any is similar.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let similarity = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = names.into_iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(best) >= NEAREST_SIMILARITY_MIN).then(|| best.to_owned())
}
