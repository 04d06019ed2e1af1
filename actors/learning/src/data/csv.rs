//! CSV with a header, read as columns of finite numbers. It takes any reader; it opens no file.
//!
//! Columns that are neither feature nor target may hold anything. Categories and missing values
//! are not encoded here: a cell that is not a finite number is an error that names its place.

use std::io::Read;

use ::csv::{ErrorKind, ReaderBuilder, StringRecord};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

/// Which columns are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSpec {
    /// Column to predict.
    pub target: String,
    /// Columns to predict from, in this order; all others but the target, in file order, if absent.
    pub features: Option<Vec<String>>,
    /// Whether the target is a class label, 0 or 1.
    #[serde(default)]
    pub binary_target: bool,
}

/// What a full reading of a file found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Rows below the header.
    pub row_count: usize,
    /// Features, in the order of the matrix columns.
    pub feature_names: Vec<String>,
    /// The target column.
    pub target: String,
}

/// Chosen rows, in the order they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Features, shape `[rows, features]`, row-major, in the units of the file.
    pub x: Array2<f64>,
    /// Target, shape `[rows]`, in the unit of the file.
    pub y: Array1<f64>,
}

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

/// Largest magnitude of a cell: squares of a million million such numbers add up to less than 64 bits hold.
pub const VALUE_MAX: f64 = 1e100;
/// Longest piece of a bad cell that an error repeats, in characters.
const CELL_TEXT_MAX: usize = 40;
/// Similarity (Jaro–Winkler, 0 to 1) from which a name is offered as the nearest.
const NEAREST_SIMILARITY_MIN: f64 = 0.7;

/// A stream of rows: the chosen features, then the target.
#[derive(Debug)]
pub struct NumericCsv<R> {
    reader: ::csv::Reader<LineEnds<R>>,
    record: StringRecord,
    file: String,
    columns: Vec<Column>,
    column_count: usize,
    binary_target: bool,
    row: u64,
}

#[derive(Debug)]
struct Column {
    name: String,
    position: usize,
}

impl<R: Read> NumericCsv<R> {
    /// Reads the header and finds the columns of `spec`. `file` only names the source in errors.
    ///
    /// # Errors
    /// [`DataError`] if the header is absent, ambiguous, or lacks a column.
    pub fn open(reader: R, file: &str, spec: &DataSpec) -> Result<Self, DataError> {
        let mut reader = ReaderBuilder::new().flexible(true).trim(::csv::Trim::All).from_reader(LineEnds::new(reader));
        let header = reader.headers().map_err(|error| read_error(file, 1, error))?.clone();
        if header.is_empty() {
            return Err(DataError::Empty { file: file.to_owned() });
        }
        let columns = choose_columns(file, &header, spec)?;
        let (column_count, file) = (header.len(), file.to_owned());
        let (record, binary_target) = (StringRecord::new(), spec.binary_target);
        Ok(Self { reader, record, file, columns, column_count, binary_target, row: 1 })
    }

    /// Names of the features, in the order of the values of a row.
    #[must_use]
    pub fn feature_names(&self) -> Vec<String> {
        let (_, features) = self.columns.split_last().expect("the target is always the last column");
        features.iter().map(|column| column.name.clone()).collect()
    }

    /// Replaces `values` by the next row's features and target; `false` after the last row.
    ///
    /// # Errors
    /// [`DataError`] that names the row and, for a cell, the column.
    pub fn next_row(&mut self, values: &mut Vec<f64>) -> Result<bool, DataError> {
        values.clear();
        if !self.next_record()? {
            return Ok(false);
        }
        for column in &self.columns {
            values.push(self.number(column)?);
        }
        self.check_label(values)?;
        Ok(true)
    }

    /// Steps over a row without reading its numbers; `false` after the last row.
    ///
    /// # Errors
    /// [`DataError`] if the row is not text or ragged.
    pub fn skip_row(&mut self) -> Result<bool, DataError> {
        self.next_record()
    }

    fn next_record(&mut self) -> Result<bool, DataError> {
        let found = self.reader.read_record(&mut self.record);
        // The reader stands behind the record's line end; its start would be that of blank lines before.
        self.row = self.reader.position().line().saturating_sub(1);
        if !found.map_err(|error| read_error(&self.file, self.row, error))? {
            return Ok(false);
        }
        if self.record.len() == self.column_count {
            return Ok(true);
        }
        let (file, row) = (self.file.clone(), self.row);
        Err(DataError::RaggedRow { file, row, expected: self.column_count, actual: self.record.len() })
    }

    fn check_label(&self, values: &[f64]) -> Result<(), DataError> {
        let (target, column) = (values.last(), self.columns.last());
        let (Some(&target), Some(column)) = (target, column) else { return Ok(()) };
        if !self.binary_target || target == 0.0 || target == 1.0 {
            return Ok(());
        }
        let cell = self.record.get(column.position).unwrap_or_default();
        let text = cell.chars().take(CELL_TEXT_MAX).collect();
        Err(DataError::NotALabel { file: self.file.clone(), row: self.row, column: column.name.clone(), text })
    }

    fn number(&self, column: &Column) -> Result<f64, DataError> {
        let cell = self.record.get(column.position).unwrap_or_default();
        let (file, row, name) = (self.file.clone(), self.row, column.name.clone());
        if cell.is_empty() {
            return Err(DataError::MissingCell { file, row, column: name });
        }
        let text = || cell.chars().take(CELL_TEXT_MAX).collect();
        match cell.parse::<f64>() {
            Ok(number) if number.abs() <= VALUE_MAX => Ok(number),
            Ok(number) if number.is_finite() => Err(DataError::TooLarge { file, row, column: name, text: text() }),
            Ok(_) => Err(DataError::NotFinite { file, row, column: name, text: text() }),
            Err(_) => Err(DataError::NotANumber { file, row, column: name, text: text() }),
        }
    }
}

fn choose_columns(file: &str, header: &StringRecord, spec: &DataSpec) -> Result<Vec<Column>, DataError> {
    let names: Vec<&str> = header.iter().collect();
    let repeated = |names: &[&str]| {
        let twice = (1..names.len()).find(|i| names[..*i].contains(&names[*i]));
        twice.map(|i| names[i].to_owned())
    };
    let file = file.to_owned();
    if let Some(column) = repeated(&names) {
        return Err(DataError::DuplicateColumn { file, column });
    }
    let mut wanted: Vec<&str> = match &spec.features {
        Some(features) => features.iter().map(String::as_str).collect(),
        None => names.iter().copied().filter(|name| *name != spec.target).collect(),
    };
    wanted.push(&spec.target);
    if let Some(column) = repeated(&wanted) {
        return Err(DataError::ColumnAskedTwice { file, column });
    }
    let find = |name: &str| match names.iter().position(|other| *other == name) {
        Some(position) => Ok(Column { name: name.to_owned(), position }),
        None => Err(DataError::UnknownColumn {
            file: file.clone(),
            column: name.to_owned(),
            nearest: nearest(name, &names),
        }),
    };
    let columns = wanted.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
    if columns.len() == 1 {
        return Err(DataError::NoFeatures { file });
    }
    Ok(columns)
}

fn nearest(name: &str, names: &[&str]) -> Option<String> {
    let similarity = |other: &str| strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase());
    let best = names.iter().max_by(|a, b| similarity(a).total_cmp(&similarity(b)))?;
    (similarity(best) >= NEAREST_SIMILARITY_MIN).then(|| (*best).to_owned())
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(", did you mean \"{name}\"?")).unwrap_or_default()
}

fn read_error(file: &str, row: u64, error: ::csv::Error) -> DataError {
    let file = file.to_owned();
    match error.kind() {
        ErrorKind::Utf8 { .. } => DataError::NotUtf8 { file, row },
        _ => DataError::Unreadable { file, reason: error.to_string() },
    }
}

/// Bytes without carriage returns and with a line end behind the last line.
///
/// The parser counts lines by `\n` and ends a record at `\r`; so every record ends just behind its line.
#[derive(Debug)]
struct LineEnds<R> {
    inner: R,
    open_line: bool,
}

impl<R> LineEnds<R> {
    fn new(inner: R) -> Self {
        Self { inner, open_line: false }
    }
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 && self.open_line && !buffer.is_empty() {
                self.open_line = false;
                buffer[0] = b'\n';
                return Ok(1);
            }
            let mut kept = 0;
            for i in 0..read {
                if buffer[i] != b'\r' {
                    buffer[kept] = buffer[i];
                    kept += 1;
                }
            }
            if kept > 0 {
                self.open_line = buffer[kept - 1] != b'\n';
            }
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(target: &str, features: Option<&[&str]>) -> DataSpec {
        let features = features.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        DataSpec { target: target.to_owned(), features, binary_target: false }
    }

    fn parse(text: &str, spec: &DataSpec) -> Result<Vec<Vec<f64>>, DataError> {
        let mut csv = NumericCsv::open(text.as_bytes(), "d.csv", spec)?;
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        while csv.next_row(&mut values)? {
            rows.push(values.clone());
        }
        Ok(rows)
    }

    fn message(text: &str) -> String {
        parse(text, &spec("y", None)).unwrap_err().to_string()
    }

    #[test]
    fn features_come_in_the_order_asked_for_and_the_target_last() {
        let text = "y,name,b,a\n1,x,2, 3e0\n4,\"q,r\",5,6";
        let rows = parse(text, &spec("y", Some(&["a", "b"]))).unwrap();
        assert_eq!(rows, [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]);
        assert_eq!(NumericCsv::open(&b"y,b,a\n"[..], "", &spec("y", None)).unwrap().feature_names(), ["b", "a"]);
    }

    #[test]
    fn a_bad_cell_is_named_by_file_line_and_column_for_any_line_ends() {
        let expected = "d.csv: row 5, column \"a\": \"ten\" is not a number";
        for text in ["a,y\n1,2\n\n\nten,4\n", "a,y\r\n1,2\r\n\r\n\r\nten,4\r\n", "a,y\n1,2\n\n\nten,4"] {
            assert_eq!(message(text), expected);
        }
        assert_eq!(message("a,y\n1,2\n1,NaN\n"), "d.csv: row 3, column \"y\": \"NaN\" is not finite");
        assert_eq!(message("a,y\n1e999,2\n"), "d.csv: row 2, column \"a\": \"1e999\" is not finite");
        assert_eq!(message("a,y\n-inf,2\n"), "d.csv: row 2, column \"a\": \"-inf\" is not finite");
        assert_eq!(message("a,y\n1,\n"), "d.csv: row 2, column \"y\": the cell is empty");
        assert_eq!(message("a,y\n1,2\n1,2,3\n"), "d.csv: row 3: 3 cells under 2 columns");
        let not_text = NumericCsv::open(&b"a,y\n1,2\n\xff,2\n"[..], "d.csv", &spec("y", None)).and_then(|mut csv| {
            csv.skip_row()?;
            csv.next_row(&mut Vec::new())
        });
        assert_eq!(not_text, Err(DataError::NotUtf8 { file: "d.csv".into(), row: 3 }));
    }

    #[test]
    fn a_label_that_is_no_class_is_named() {
        let spec = DataSpec { binary_target: true, ..spec("y", None) };
        assert_eq!(parse("a,y\n5,0\n6,1.0", &spec).unwrap().len(), 2);
        let error = parse("a,y\n5,0\n6,2", &spec).unwrap_err();
        let text = "d.csv: row 3, column \"y\": \"2\" is not a class label, which is 0 or 1";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn a_bad_header_is_named() {
        assert_eq!(message(""), "d.csv: the file is empty");
        assert_eq!(message("a,a,y\n1,2,3"), "d.csv: row 1: column \"a\" appears twice");
        assert_eq!(message("y\n1"), "d.csv: no feature columns besides the target");
        let unknown = |spec| parse("petal_width,y\n1,2", &spec).unwrap_err().to_string();
        assert_eq!(
            unknown(spec("petal_widht", None)),
            "d.csv: row 1: no column \"petal_widht\", did you mean \"petal_width\"?"
        );
        assert_eq!(unknown(spec("y", Some(&["qqq"]))), "d.csv: row 1: no column \"qqq\"");
        assert_eq!(unknown(spec("y", Some(&["y"]))), "d.csv: column \"y\" is asked for twice");
    }
}
