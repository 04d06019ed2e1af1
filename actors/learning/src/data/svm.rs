//! libsvm files (svmlight as well): a target and `column:value` pairs in each line, rows of several files in turn.
//!
//! Zeros are not stored, and stay so. What the numbers mean is decided elsewhere.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::open::{Text, open_text};
use super::{DataError, VALUE_MAX};

/// What names of such files end with, `.gz` aside.
const ENDINGS: [&str; 3] = ["svm", "libsvm", "svmlight"];
/// Longest line.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longest piece of a bad entry that an error repeats, in characters.
const ENTRY_TEXT_MAX: usize = 40;

/// Whether a file is one of this form, by its name.
pub(super) fn is_svm(path: &Path) -> bool {
    let ending = |path: &Path| path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    let ending = match ending(path).as_deref() {
        Some("gz") => ending(Path::new(path.file_stem().unwrap_or_default())),
        other => other.map(str::to_owned),
    };
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The numbers of a row, as they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct SparseRow {
    pub(super) target: f64,
    /// Ascending, as the file counts them.
    pub(super) columns: Vec<u32>,
    /// Not 0.
    pub(super) values: Vec<f64>,
}

/// A stream of rows.
pub(super) struct SvmRows<'a> {
    files: &'a [PathBuf],
    /// The file that is read now.
    place: usize,
    name: String,
    text: BufReader<Text>,
    line: Vec<u8>,
    row: u64,
}

impl<'a> SvmRows<'a> {
    /// Opens the first file.
    ///
    /// # Errors
    /// [`DataError`] if it cannot be read.
    pub(super) fn open(files: &'a [PathBuf]) -> Result<Self, DataError> {
        let first = files.first().map_or(Path::new(""), PathBuf::as_path);
        let (name, text) = (first.display().to_string(), BufReader::new(open_text(first)?));
        Ok(Self { files, place: 0, name, text, line: Vec::new(), row: 0 })
    }

    /// Position of the file of the current row among the files.
    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The file of the current row.
    pub(super) fn file(&self) -> &str {
        &self.name
    }

    /// The line of the current row in it, from 1.
    pub(super) fn row(&self) -> u64 {
        self.row
    }

    /// Steps to the next row, in the next file if need be; `false` after the last one.
    ///
    /// # Errors
    /// [`DataError`] if a file cannot be read.
    pub(super) fn advance(&mut self) -> Result<bool, DataError> {
        loop {
            self.line.clear();
            let mut bounded = (&mut self.text).take(LINE_BYTES_MAX);
            let read = bounded.read_until(b'\n', &mut self.line).map_err(|error| DataError::Broken {
                file: self.name.clone(),
                row: self.row,
                reason: error.to_string(),
            })?;
            if read as u64 == LINE_BYTES_MAX && self.line.last() != Some(&b'\n') {
                let reason = format!("a row has more than {} MiB", LINE_BYTES_MAX >> 20);
                return Err(DataError::Broken { file: self.name.clone(), row: self.row, reason });
            }
            if read == 0 {
                let Some(next) = self.files.get(self.place + 1) else { return Ok(false) };
                (self.name, self.text) = (next.display().to_string(), BufReader::new(open_text(next)?));
                (self.place, self.row) = (self.place + 1, 0);
                continue;
            }
            self.row += 1;
            if let Some(comment) = self.line.iter().position(|byte| *byte == b'#') {
                self.line.truncate(comment);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Replaces `into` by the numbers of the current row.
    ///
    /// # Errors
    /// [`DataError::NotUtf8`] or [`DataError::BadEntry`].
    pub(super) fn read(&self, into: &mut SparseRow) -> Result<(), DataError> {
        let text = std::str::from_utf8(&self.line)
            .map_err(|_| DataError::NotUtf8 { file: self.name.clone(), row: self.row })?;
        let bad = |entry: &str, reason: &str| DataError::BadEntry {
            file: self.name.clone(),
            row: self.row,
            text: entry.chars().take(ENTRY_TEXT_MAX).collect(),
            reason: reason.to_owned(),
        };
        let mut entries = text.split_ascii_whitespace();
        let target = entries.next().unwrap_or_default();
        into.columns.clear();
        into.values.clear();
        into.target = number(target).map_err(|reason| bad(target, reason))?;
        let mut last = None;
        for entry in entries {
            let (column, value) = entry.split_once(':').ok_or_else(|| bad(entry, "is no column:value"))?;
            if column == "qid" {
                continue;
            }
            let column: u32 = column.parse().map_err(|_| bad(entry, "has no column number"))?;
            let value = number(value).map_err(|reason| bad(entry, reason))?;
            if last.replace(column).is_some_and(|last| last >= column) {
                return Err(bad(entry, "comes behind a column of the same or a larger number"));
            }
            if value != 0.0 {
                into.columns.push(column);
                into.values.push(value);
            }
        }
        Ok(())
    }
}

fn number(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(number) if number.abs() <= VALUE_MAX => Ok(number),
        Ok(number) if number.is_finite() => Err("is so large that sums of squares would overflow; use a larger unit"),
        Ok(_) => Err("is not finite"),
        Err(_) => Err("is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, SparseRow)>, String> {
        let file = tempfile::Builder::new().suffix(".svm").tempfile().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let files = [file.path().to_owned()];
        let told = |error: DataError| error.to_string().replace(&files[0].display().to_string(), "d.svm");
        let (mut reader, mut all) = (SvmRows::open(&files).unwrap(), Vec::new());
        while reader.advance().map_err(told)? {
            let mut row = SparseRow::default();
            reader.read(&mut row).map_err(told)?;
            all.push((reader.row(), row));
        }
        Ok(all)
    }

    #[test]
    fn comments_queries_and_zeros_are_stepped_over() {
        let text = "# made by hand\n+1 qid:7 1:0.5 3:-2e0 9:0 # the first\n\n-1\r\n";
        let row = |target, columns: &[u32], values: &[f64]| SparseRow {
            target,
            columns: columns.to_vec(),
            values: values.to_vec(),
        };
        assert_eq!(rows(text), Ok(vec![(2, row(1.0, &[1, 3], &[0.5, -2.0])), (4, row(-1.0, &[], &[]))]));
    }

    #[test]
    fn a_bad_entry_is_named_by_file_and_line() {
        for (text, told) in [
            ("1 1:1\nx 1:1\n", "d.svm: row 2: \"x\" is not a number"),
            ("1 1:1 2\n", "d.svm: row 1: \"2\" is no column:value"),
            ("1 a:1\n", "d.svm: row 1: \"a:1\" has no column number"),
            ("1 -1:1\n", "d.svm: row 1: \"-1:1\" has no column number"),
            ("1 4:nan\n", "d.svm: row 1: \"4:nan\" is not finite"),
            ("1 4:1 4:2\n", "d.svm: row 1: \"4:2\" comes behind a column of the same or a larger number"),
        ] {
            assert_eq!(rows(text).unwrap_err(), told);
        }
        assert!(rows("1e200 1:1").unwrap_err().contains("use a larger unit"));
    }

    #[test]
    fn a_file_of_this_form_is_known_by_its_name() {
        for (name, expected) in [
            ("a.svm", true),
            ("b.libsvm.gz", true),
            ("c.SVMlight", true),
            ("d.csv", false),
            ("svm", false),
            ("e.gz", false),
        ] {
            assert_eq!(is_svm(Path::new(name)), expected, "{name}");
        }
    }
}
