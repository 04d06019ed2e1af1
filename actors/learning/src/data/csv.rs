//! CSV with a header, read as the text of chosen columns. It takes any reader; it opens no file.
//!
//! What a cell means is decided elsewhere: see `encode` and `infer`.

use std::io::Read;

use ::csv::{ErrorKind, ReaderBuilder, StringRecord};

use super::{
    error::{DataError, nearest},
    line_ends::LineEnds,
    schema::{ColumnSetting, DataSpec},
};

/// A stream of rows of text: the chosen features, then the target, if there is one.
#[derive(Debug)]
pub struct TextRows<R> {
    reader: ::csv::Reader<LineEnds<R>>,
    record: StringRecord,
    file: String,
    names: Vec<String>,
    positions: Vec<usize>,
    column_count: usize,
    row: u64,
}

impl<R: Read> TextRows<R> {
    /// Reads the header, which is told as well, and finds the columns of `spec`. `file` only names the source in errors.
    ///
    /// # Errors
    /// [`DataError`] if the header is absent, ambiguous, or lacks a column.
    pub fn open(reader: R, file: &str, spec: &DataSpec) -> Result<(Self, Vec<String>), DataError> {
        let mut reader = ReaderBuilder::new().flexible(true).trim(::csv::Trim::All).from_reader(LineEnds::new(reader));
        let header = reader.headers().map_err(|error| read_error(file, 1, error))?.clone();
        if header.is_empty() {
            return Err(DataError::Empty { file: file.to_owned() });
        }
        let names = chosen(file, &header, spec)?;
        let positions = names.iter().map(|name| position(file, &header, name)).collect::<Result<_, _>>()?;
        let (column_count, file) = (header.len(), file.to_owned());
        let rows = Self { reader, record: StringRecord::new(), file, names, positions, column_count, row: 1 };
        Ok((rows, header.iter().map(str::to_owned).collect()))
    }

    /// The file, for errors.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of the chosen columns: the features, then the target.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Line of the current row in the file, from 1.
    #[must_use]
    pub fn row(&self) -> u64 {
        self.row
    }

    /// Steps to the next row; `false` after the last one.
    ///
    /// # Errors
    /// [`DataError`] if the row is not text, or the file cannot be read.
    pub fn advance(&mut self) -> Result<bool, DataError> {
        let found = self.reader.read_record(&mut self.record);
        // The reader stands behind the record's line end; its start would be that of blank lines before.
        self.row = self.reader.position().line().saturating_sub(1);
        self.reader.get_mut().end_record();
        found.map_err(|error| read_error(&self.file, self.row, error))
    }

    /// The cells of the current row, in the order of [`Self::names`].
    ///
    /// # Errors
    /// [`DataError::RaggedRow`] if the row has more or fewer cells than the header.
    pub fn cells(&self) -> Result<impl Iterator<Item = &str>, DataError> {
        if self.record.len() != self.column_count {
            let (file, row) = (self.file.clone(), self.row);
            return Err(DataError::RaggedRow { file, row, expected: self.column_count, actual: self.record.len() });
        }
        Ok(self.positions.iter().map(|position| &self.record[*position]))
    }
}

/// The features in their order, then the target.
pub(super) fn chosen(file: &str, header: &StringRecord, spec: &DataSpec) -> Result<Vec<String>, DataError> {
    let repeated = |names: &[&str]| {
        let twice = (1..names.len()).find(|i| names[..*i].contains(&names[*i]));
        twice.map(|i| names[i].to_owned())
    };
    let (names, file) = (header.iter().collect::<Vec<&str>>(), file.to_owned());
    if let Some(column) = repeated(&names) {
        return Err(DataError::DuplicateColumn { file, column });
    }
    for column in spec.columns.keys() {
        position(&file, header, column)?;
    }
    let target = spec.target.as_deref();
    target.map(|name| position(&file, header, name)).transpose()?;
    let ignored = |name: &str| spec.columns.get(name) == Some(&ColumnSetting::Ignored);
    let mut wanted: Vec<&str> = match &spec.features {
        Some(features) => features.iter().map(String::as_str).collect(),
        None => names.iter().copied().filter(|name| Some(*name) != target && !ignored(name)).collect(),
    };
    if wanted.is_empty() {
        return Err(DataError::NoFeatures { file });
    }
    wanted.extend(target);
    if let Some(column) = repeated(&wanted) {
        return Err(DataError::ColumnAskedTwice { file, column });
    }
    Ok(wanted.into_iter().map(str::to_owned).collect())
}

fn position(file: &str, header: &StringRecord, name: &str) -> Result<usize, DataError> {
    header.iter().position(|other| other == name).ok_or_else(|| DataError::UnknownColumn {
        file: file.to_owned(),
        column: name.to_owned(),
        nearest: nearest(name, header),
    })
}

fn read_error(file: &str, row: u64, error: ::csv::Error) -> DataError {
    let file = file.to_owned();
    match error.kind() {
        ErrorKind::Utf8 { .. } => DataError::NotUtf8 { file, row },
        ErrorKind::Io(error) => DataError::Broken { file, row, reason: error.to_string() },
        _ => DataError::Unreadable { file, reason: error.to_string() },
    }
}
