//! Data files of this host: the only module of the crate's pure half that opens files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs::File, io::ErrorKind};

use ndarray::{Array1, Array2};
use sha2::{Digest, Sha256};

use super::csv::TextRows;
use super::encode::{Encoded, Encoder, Place};
use super::infer::Inference;
use super::{DataError, DataSpec, DataSummary, LeftOut, Rows};

/// Reasons of left-out rows that are kept for people.
const EXAMPLES_MAX: usize = 5;

/// A file whose rows have all been read once and are known to be good, apart from those that are left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    path: PathBuf,
    spec: DataSpec,
    summary: DataSummary,
    /// Rows left out, ascending, from 0 below the header.
    left_out: Vec<usize>,
    examples: Vec<String>,
}

/// Reads and validates the whole file and keeps nothing of its rows.
///
/// # Errors
/// [`DataError`] at the first thing that is wrong.
pub fn scan(path: &Path, spec: &DataSpec) -> Result<Table, DataError> {
    let mut rows = open(path, spec)?;
    let names = rows.names().to_vec();
    let mut inference = Inference::new(spec, &names);
    while rows.advance()? {
        if let Ok(cells) = rows.cells() {
            inference.see(cells);
        }
    }
    let (columns, classes) = inference.conclude(rows.file())?;
    let feature_names = columns.iter().map(|column| column.name.clone()).collect();
    let target = spec.target.clone().unwrap_or_default();
    let summary = DataSummary { row_count: 0, feature_names, target, columns, classes, left_out: LeftOut::default() };
    let (path, spec) = (path.to_owned(), spec.clone());
    let mut table = Table { path, spec, summary, left_out: Vec::new(), examples: Vec::new() };
    table.validate()?;
    Ok(table)
}

impl Table {
    /// What was found.
    #[must_use]
    pub fn summary(&self) -> &DataSummary {
        &self.summary
    }

    /// The first reasons for which bad rows were left out.
    #[must_use]
    pub fn examples(&self) -> &[String] {
        &self.examples
    }

    /// Reads the rows of the given numbers (from 0, among the rows that were kept), in the order given,
    /// and keeps no others.
    ///
    /// Stops reading behind the last of them; rows that are stepped over are not validated again.
    ///
    /// # Errors
    /// [`DataError`] if a wanted row is bad or absent.
    pub fn read_rows(&self, wanted: &[usize]) -> Result<Rows, DataError> {
        let mut text = open(&self.path, &self.spec)?;
        let (names, encoder) = (text.names().to_vec(), Encoder::new(&self.spec, &self.summary));
        let feature_count = self.summary.columns.len();
        let mut rows = Rows { x: Array2::zeros((wanted.len(), feature_count)), y: Array1::zeros(wanted.len()) };
        let mut places: Vec<(usize, usize)> =
            wanted.iter().copied().enumerate().map(|(place, row)| (row, place)).collect();
        places.sort_unstable();

        let mut values = Vec::with_capacity(feature_count + 1);
        let (mut left_out, mut line, mut kept_count) = (self.left_out.iter().copied().peekable(), 0, 0);
        for (row, place) in places {
            while kept_count <= row {
                if !text.advance()? {
                    let file = text.file().to_owned();
                    return Err(DataError::RowMissing { file, wanted: row, row_count: kept_count });
                }
                line += 1;
                if left_out.next_if_eq(&(line - 1)).is_some() {
                    continue;
                }
                if kept_count == row {
                    let place = Place { file: text.file(), row: text.row(), names: &names };
                    if let Encoded::Bad(error) = encoder.encode(text.cells(), &place, &mut values)? {
                        return Err(error);
                    }
                }
                kept_count += 1;
            }
            rows.x.row_mut(place).iter_mut().zip(&values).for_each(|(cell, value)| *cell = *value);
            rows.y[place] = values.get(feature_count).copied().unwrap_or_default();
        }
        Ok(rows)
    }

    /// Calls `each` with all rows that were kept, in their order, at most `rows_max` at a time. Without a
    /// target, targets are 0.
    ///
    /// # Errors
    /// [`DataError`] if the file has changed; what `each` returns.
    pub fn each_chunk<E: From<DataError>>(
        &self,
        rows_max: usize,
        mut each: impl FnMut(Rows) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut text = open(&self.path, &self.spec)?;
        let (names, encoder) = (text.names().to_vec(), Encoder::new(&self.spec, &self.summary));
        let (mut left_out, mut line) = (self.left_out.iter().copied().peekable(), 0);
        let (mut cells, mut targets, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let width = self.summary.columns.len();
        let mut flush = |cells: &mut Vec<f64>, targets: &mut Vec<f64>| {
            let (cells, targets) = (std::mem::take(cells), std::mem::take(targets));
            let x = Array2::from_shape_vec((targets.len(), width), cells).expect("a row has a cell for each feature");
            each(Rows { x, y: targets.into() })
        };
        while text.advance()? {
            line += 1;
            if left_out.next_if_eq(&(line - 1)).is_some() {
                continue;
            }
            let place = Place { file: text.file(), row: text.row(), names: &names };
            if let Encoded::Bad(error) = encoder.encode(text.cells(), &place, &mut values)? {
                return Err(error.into());
            }
            cells.extend(&values[..width]);
            targets.push(values.get(width).copied().unwrap_or_default());
            if targets.len() >= rows_max {
                flush(&mut cells, &mut targets)?;
            }
        }
        if targets.is_empty() { Ok(()) } else { flush(&mut cells, &mut targets) }
    }

    /// The second reading: counts what is kept, and why the rest is not.
    fn validate(&mut self) -> Result<(), DataError> {
        let mut text = open(&self.path, &self.spec)?;
        let (names, encoder) = (text.names().to_vec(), Encoder::new(&self.spec, &self.summary));
        let (mut values, mut seen, mut left_out) = (Vec::new(), BTreeSet::new(), LeftOut::default());
        let (mut missing, mut line) = (vec![0; self.summary.columns.len()], 0);
        while text.advance()? {
            let place = Place { file: text.file(), row: text.row(), names: &names };
            let counter = match encoder.encode(text.cells(), &place, &mut values)? {
                Encoded::Kept if self.spec.drop_duplicate_rows && !seen.insert(fingerprint(&values)) => {
                    Some(&mut left_out.duplicate)
                }
                Encoded::Kept => None,
                Encoded::Missing => Some(&mut left_out.missing),
                Encoded::Bad(error) => {
                    if self.examples.len() < EXAMPLES_MAX {
                        self.examples.push(error.to_string());
                    }
                    Some(&mut left_out.bad)
                }
            };
            match counter {
                Some(counter) => {
                    *counter += 1;
                    self.left_out.push(line);
                }
                None => {
                    missing.iter_mut().zip(&values).for_each(|(count, value)| *count += usize::from(value.is_nan()))
                }
            }
            line += 1;
        }
        let (file, row_count) = (text.file().to_owned(), line - left_out.total());
        match (line, row_count) {
            (0, _) => return Err(DataError::NoRows { file }),
            (_, 0) => return Err(DataError::NothingLeft { file, row_count: line, left_out: left_out.to_string() }),
            _ => (self.summary.row_count, self.summary.left_out) = (row_count, left_out),
        }
        let columns = self.summary.columns.iter_mut().zip(missing);
        columns.for_each(|(column, count)| column.missing_count = count);
        Ok(())
    }
}

/// Half a SHA-256 of the numbers of a row: two different rows are not taken for one.
fn fingerprint(values: &[f64]) -> u128 {
    let mut digest = Sha256::new();
    // Adding 0 makes -0 and 0 the same bits.
    values.iter().for_each(|value| digest.update((value + 0.0).to_bits().to_le_bytes()));
    let bytes: [u8; 16] = digest.finalize()[..16].try_into().expect("a SHA-256 has 32 bytes");
    u128::from_le_bytes(bytes)
}

fn open(path: &Path, spec: &DataSpec) -> Result<TextRows<File>, DataError> {
    let name = path.display().to_string();
    let refused = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => DataError::FileMissing { file: name.clone() },
        _ => DataError::Unreadable { file: name.clone(), reason: error.to_string() },
    };
    // A pipe can be read once, and here every worker reads: opening one would wait for ever.
    if !path.metadata().map_err(refused)?.is_file() {
        return Err(DataError::Unreadable { file: name, reason: "it is not a regular file".to_owned() });
    }
    let file = File::open(path).map_err(refused)?;
    TextRows::open(file, &name, spec)
}

#[cfg(test)]
#[path = "source_test.rs"]
mod tests;
