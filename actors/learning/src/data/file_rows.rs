//! The rows of several CSV files, one file after the other, as if they were one.
//!
//! All have the same header. What a cell means is decided elsewhere.

use std::path::{Path, PathBuf};

use super::csv::TextRows;
use super::open::{Text, open_text};
use super::{DataError, DataSpec};

/// A stream of rows of text.
pub(super) struct FileRows<'a> {
    files: &'a [PathBuf],
    spec: &'a DataSpec,
    /// The file that is read now.
    place: usize,
    rows: TextRows<Text>,
    header: Vec<String>,
}

impl<'a> FileRows<'a> {
    /// Opens the first file and finds the columns of `spec` in it.
    ///
    /// # Errors
    /// [`DataError`] of the first file.
    pub(super) fn open(files: &'a [PathBuf], spec: &'a DataSpec) -> Result<Self, DataError> {
        let first = files.first().map_or(Path::new(""), PathBuf::as_path);
        let (rows, header) = open(first, spec)?;
        Ok(Self { files, spec, place: 0, rows, header })
    }

    /// The file of the current row, for errors.
    pub(super) fn file(&self) -> &str {
        self.rows.file()
    }

    /// Its position among the files.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// Names of the chosen columns: the features, then the target.
    pub(super) fn names(&self) -> &[String] {
        self.rows.names()
    }

    /// Line of the current row in its file, from 1.
    pub(super) fn row(&self) -> u64 {
        self.rows.row()
    }

    /// Steps to the next row, in the next file if need be; `false` after the last one.
    ///
    /// # Errors
    /// [`DataError`] if the row is not text, or a file cannot be read, or its header is another.
    pub(super) fn advance(&mut self) -> Result<bool, DataError> {
        while !self.rows.advance()? {
            let Some(next) = self.files.get(self.place + 1) else { return Ok(false) };
            let (rows, header) = open(next, self.spec)?;
            self.check_header(next, &header)?;
            (self.rows, self.place) = (rows, self.place + 1);
        }
        Ok(true)
    }

    /// The cells of the current row.
    ///
    /// # Errors
    /// [`DataError::RaggedRow`].
    pub(super) fn cells(&self) -> Result<impl Iterator<Item = &str>, DataError> {
        self.rows.cells()
    }

    fn check_header(&self, path: &Path, header: &[String]) -> Result<(), DataError> {
        let Some(place) = (0..self.header.len().max(header.len())).find(|at| self.header.get(*at) != header.get(*at))
        else {
            return Ok(());
        };
        let name = |header: &[String]| header.get(place).map_or("no column".to_owned(), |name| format!("\"{name}\""));
        Err(DataError::OtherHeader {
            file: path.display().to_string(),
            first: self.files[0].display().to_string(),
            place: place + 1,
            expected: name(&self.header).into(),
            actual: name(header).into(),
        })
    }
}

fn open(path: &Path, spec: &DataSpec) -> Result<(TextRows<Text>, Vec<String>), DataError> {
    TextRows::open(open_text(path)?, &path.display().to_string(), spec)
}
