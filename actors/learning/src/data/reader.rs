//! One face for the forms of files: rows as numbers, one after the other.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::encode::{Encoded, Encoder, Place};
use super::file_rows::FileRows;
use super::sparse_table::SparseForm;
use super::svm::{SparseRow, SvmRows};
use super::{BadRows, DataError, DataSpec, DataSummary, RowCells};

/// Rows of files of one form.
pub(super) enum Reader<'a> {
    /// Of CSV.
    Text { text: FileRows<'a>, names: Vec<String>, encoder: Encoder<'a> },
    /// Of libsvm.
    Svm { rows: SvmRows<'a>, form: &'a SparseForm, spec: &'a DataSpec, classes: &'a [String] },
}

/// The numbers of a row.
#[derive(Debug, Default)]
pub(super) struct RowBuffer {
    /// All features, and the target if it is read; nothing of a sparse row.
    values: Vec<f64>,
    sparse: SparseRow,
    is_sparse: bool,
}

impl<'a> Reader<'a> {
    /// Opens the first file; `form` is that of libsvm files.
    ///
    /// # Errors
    /// [`DataError`] of the first file.
    pub(super) fn open(
        paths: &'a [PathBuf],
        form: Option<&'a SparseForm>,
        spec: &'a DataSpec,
        summary: &'a DataSummary,
    ) -> Result<Self, DataError> {
        if let Some(form) = form {
            return Ok(Self::Svm { rows: SvmRows::open(paths)?, form, spec, classes: &summary.classes });
        }
        let text = FileRows::open(paths, spec)?;
        let (names, encoder) = (text.names().to_vec(), Encoder::new(spec, summary));
        Ok(Self::Text { text, names, encoder })
    }

    /// Steps to the next row; `false` behind the last.
    ///
    /// # Errors
    /// [`DataError`] if a file cannot be read.
    pub(super) fn advance(&mut self) -> Result<bool, DataError> {
        match self {
            Self::Text { text, .. } => text.advance(),
            Self::Svm { rows, .. } => rows.advance(),
        }
    }

    /// Position of the file of the current row among the files.
    pub(super) fn place(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.place(),
            Self::Svm { rows, .. } => rows.place(),
        }
    }

    /// Replaces `into` by the numbers of the current row.
    ///
    /// # Errors
    /// The first fault of the row, where the job ends at one.
    pub(super) fn read(&self, into: &mut RowBuffer) -> Result<Encoded, DataError> {
        match self {
            Self::Text { text, names, encoder } => {
                into.is_sparse = false;
                let place = Place { file: text.file(), row: text.row(), names };
                encoder.encode(text.cells(), &place, &mut into.values)
            }
            Self::Svm { rows, form, spec, classes } => {
                let read = rows.read(&mut into.sparse).and_then(|()| form.encode(&mut into.sparse, classes, rows));
                match read {
                    Err(error) if spec.bad_rows == BadRows::Fail => return Err(error),
                    Err(error) => return Ok(Encoded::Bad(error)),
                    Ok(()) if spec.dense => into.fill_up(form.columns.count),
                    Ok(()) => into.is_sparse = true,
                }
                Ok(Encoded::Kept)
            }
        }
    }
}

impl RowBuffer {
    /// Takes a generated row.
    pub(super) fn sparse_mut(&mut self) -> &mut SparseRow {
        self.is_sparse = true;
        &mut self.sparse
    }

    /// Makes a row with all its zeros of a sparse one.
    pub(super) fn fill_up(&mut self, width: usize) {
        self.is_sparse = false;
        self.values.clear();
        self.values.resize(width, 0.0);
        let cells = self.sparse.columns.iter().zip(&self.sparse.values);
        cells.for_each(|(column, value)| self.values[*column as usize] = *value);
        self.values.push(self.sparse.target);
    }

    /// The features, of which there are `width`.
    pub(super) fn cells(&self, width: usize) -> RowCells<'_> {
        match self.is_sparse {
            true => RowCells::Sparse { columns: &self.sparse.columns, values: &self.sparse.values },
            false => RowCells::All(&self.values[..width]),
        }
    }

    /// The target, 0 if it is not read.
    pub(super) fn target(&self, width: usize) -> f64 {
        if self.is_sparse { self.sparse.target } else { self.values.get(width).copied().unwrap_or_default() }
    }

    /// Half a SHA-256 of the numbers of a row: two different rows are not taken for one.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut digest = Sha256::new();
        // Adding 0 makes -0 and 0 the same bits.
        let mut number = |value: f64| digest.update((value + 0.0).to_bits().to_le_bytes());
        if self.is_sparse {
            let cells = self.sparse.columns.iter().zip(&self.sparse.values);
            cells.for_each(|(column, value)| [f64::from(*column), *value].into_iter().for_each(&mut number));
            number(self.sparse.target);
        } else {
            self.values.iter().copied().for_each(number);
        }
        let bytes: [u8; 16] = digest.finalize()[..16].try_into().expect("a SHA-256 has 32 bytes");
        u128::from_le_bytes(bytes)
    }
}
