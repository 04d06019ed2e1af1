//! Rows of a block as a worker keeps them: in 32 bits where that loses nothing, otherwise in 64.
//!
//! Which of both it is changes the memory that rows take, and no sum: all arithmetic is on 64 bits. Whether numbers are
//! rounded to 32 bits before, so that nothing is lost any more, is for the whole job and decided elsewhere.

use ndarray::{Array1, Array2, ArrayView2};

use crate::data::{Precision, RowCells};
use crate::sparse_rows::{SparseBuilder, SparseRows};

/// Most cells of a job that keep 64 bits without being asked to: a matrix of 1 GiB.
pub const EXACT_CELLS_MAX: usize = 1 << 27;
/// What rounding to 32 bits may change of a number, as part of it: half a unit in the last place.
const ROUNDING_MAX: f64 = 1.0 / 16_777_216.0;

/// Features and targets of consecutive rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredRows {
    pub(crate) x: Cells,
    pub(crate) y: Array1<f64>,
}

/// Features, shape `[rows, features]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cells {
    /// Every number is one of 32 bits.
    Narrow(Array2<f32>),
    /// Some number is none.
    Wide(Array2<f64>),
    /// Most cells are 0.
    Sparse(SparseRows),
}

/// Whether the numbers of a job are rounded to 32 bits.
///
/// `auto` rounds where the memory is worth it, and nowhere else: small data keep the decimals of their file, and so
/// the digits of a model. It depends on the size of the data alone, so all workers do the same.
#[must_use]
pub fn rounds(precision: Precision, cell_count: usize) -> bool {
    match precision {
        Precision::Auto => cell_count > EXACT_CELLS_MAX,
        Precision::F32 => true,
        Precision::F64 => false,
    }
}

/// The nearest number of 32 bits; the number itself if it is too large or too small for them.
pub(crate) fn rounded(value: f64) -> f64 {
    let near = f64::from(value as f32);
    if (near - value).abs() <= ROUNDING_MAX * value.abs() { near } else { value }
}

/// Whether 32 bits hold the number, a missing cell included.
pub(crate) fn is_narrow(value: f64) -> bool {
    f64::from(value as f32).to_bits() == value.to_bits()
}

impl Cells {
    /// These cells, in 32 bits if that changes none.
    pub(crate) fn of(x: Array2<f64>) -> Self {
        if x.iter().copied().all(is_narrow) { Self::Narrow(x.mapv(|value| value as f32)) } else { Self::Wide(x) }
    }

    /// The same in 64 bits; what was here is gone.
    pub(crate) fn take_wide(&mut self) -> Array2<f64> {
        match std::mem::replace(self, Self::Wide(Array2::zeros((0, 0)))) {
            Self::Narrow(x) => x.mapv(f64::from),
            Self::Wide(x) => x,
            Self::Sparse(x) => x.dense(),
        }
    }

    /// Calls `sums` with the cells in 64 bits.
    pub(crate) fn with_wide<R>(&self, sums: impl FnOnce(ArrayView2<'_, f64>) -> R) -> R {
        match self {
            Self::Narrow(x) => sums(x.mapv(f64::from).view()),
            Self::Wide(x) => sums(x.view()),
            Self::Sparse(x) => sums(x.dense().view()),
        }
    }

    fn set_row(&mut self, row: usize, cells: impl Iterator<Item = f64> + Clone) {
        if let Self::Narrow(x) = self {
            if cells.clone().all(is_narrow) {
                x.row_mut(row).iter_mut().zip(cells).for_each(|(cell, value)| *cell = value as f32);
                return;
            }
            *self = Self::Wide(self.take_wide());
        }
        if let Self::Wide(x) = self {
            x.row_mut(row).iter_mut().zip(cells).for_each(|(cell, value)| *cell = value);
        }
    }
}

/// Rows that come in any order, into their place.
#[derive(Debug)]
pub(crate) struct RowsBuilder {
    x: CellsBuilder,
    y: Array1<f64>,
    feature_count: usize,
    filled: usize,
    rounds: bool,
}

#[derive(Debug)]
enum CellsBuilder {
    Dense(Cells),
    Sparse(SparseBuilder),
}

impl RowsBuilder {
    /// Room for so many rows; memory is taken as they come.
    pub(crate) fn new(row_count: usize, feature_count: usize, rounds: bool) -> Self {
        let x = CellsBuilder::Dense(Cells::Narrow(Array2::zeros((row_count, feature_count))));
        Self { x, y: Array1::zeros(row_count), feature_count, filled: 0, rounds }
    }

    /// The same for sparse rows.
    pub(crate) fn sparse(row_count: usize, feature_count: usize, rounds: bool) -> Self {
        let x = CellsBuilder::Sparse(SparseBuilder::new(row_count, feature_count, rounds));
        Self { x, y: Array1::zeros(row_count), feature_count, filled: 0, rounds }
    }

    /// Takes the row of a place that was empty; `false` if it is of another form or width.
    pub(crate) fn set(&mut self, place: usize, cells: RowCells<'_>, target: f64) -> bool {
        let is_taken = match (&mut self.x, cells) {
            (CellsBuilder::Dense(x), RowCells::All(cells)) if cells.len() == self.feature_count => {
                match self.rounds {
                    true => x.set_row(place, cells.iter().copied().map(rounded)),
                    false => x.set_row(place, cells.iter().copied()),
                }
                true
            }
            (CellsBuilder::Sparse(x), RowCells::Sparse { columns, values }) => x.set(place, columns, values),
            _ => false,
        };
        if is_taken {
            self.y[place] = target;
            self.filled += 1;
        }
        is_taken
    }

    /// The rows, and how many there are.
    pub(crate) fn finish(self) -> (StoredRows, usize) {
        let x = match self.x {
            CellsBuilder::Dense(x) => x,
            CellsBuilder::Sparse(x) => Cells::Sparse(x.finish()),
        };
        (StoredRows { x, y: self.y }, self.filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(rows: &[(usize, [f64; 2])], rounds: bool) -> StoredRows {
        let mut builder = RowsBuilder::new(rows.len(), 2, rounds);
        rows.iter().for_each(|(place, cells)| assert!(builder.set(*place, RowCells::All(cells), *place as f64)));
        let (stored, filled) = builder.finish();
        assert_eq!(filled, rows.len());
        stored
    }

    #[test]
    fn numbers_of_32_bits_are_kept_in_32_and_others_make_their_block_wide() {
        let narrow = built(&[(1, [0.5, f64::NAN]), (0, [-0.0, 2.0_f64.powi(120)])], false);
        let Cells::Narrow(x) = &narrow.x else { panic!("{narrow:?}") };
        assert_eq!((x[[1, 0]], x[[0, 0]].to_bits(), narrow.y.to_vec()), (0.5, (-0.0_f32).to_bits(), vec![0.0, 1.0]));
        assert!(x[[1, 1]].is_nan());
        let wide = built(&[(1, [0.5, 2.0]), (0, [0.1, 1.0])], false);
        assert_eq!(wide.x, Cells::Wide(ndarray::array![[0.1, 1.0], [0.5, 2.0]]));
    }

    #[test]
    fn rounding_takes_the_nearest_number_and_leaves_what_32_bits_cannot_hold() {
        assert_eq!(rounded(0.1), f64::from(0.1_f32));
        assert_eq!(
            [1e300, 1e-300, -0.0, 0.0].map(|value| rounded(value).to_bits()),
            [1e300, 1e-300, -0.0, 0.0].map(f64::to_bits)
        );
        assert!(rounded(f64::NAN).is_nan());
        assert_eq!(built(&[(0, [0.1, 1e-3])], true).x, Cells::Narrow(ndarray::array![[0.1_f32, 1e-3]]));
        assert_eq!(built(&[(0, [0.1, 1e300])], true).x, Cells::Wide(ndarray::array![[f64::from(0.1_f32), 1e300]]));
    }

    #[test]
    fn cells_come_back_as_they_were() {
        for x in [ndarray::array![[1.0, 0.25]], ndarray::array![[1.0, 0.1]]] {
            let mut cells = Cells::of(x.clone());
            assert_eq!((cells.with_wide(|wide| wide.to_owned()), cells.take_wide()), (x.clone(), x));
        }
    }

    #[test]
    fn only_the_size_of_the_data_and_the_job_decide() {
        assert!(!rounds(Precision::Auto, 1 << 27) && rounds(Precision::Auto, (1 << 27) + 1));
        assert!(rounds(Precision::F32, 1) && !rounds(Precision::F64, usize::MAX));
    }
}
