//! Sparse rows as a worker keeps them: by row, the columns that are not 0 and their values.
//!
//! Values take 32 bits as long as that loses nothing, as in `stored_rows.rs`; columns take 32.

use ndarray::Array2;

use crate::kernel::{KernelError, SparseView};
use crate::stored_rows::{is_narrow, rounded};

/// Rows of a block, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SparseRows {
    width: usize,
    /// Where each row begins, and where the last one ends.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Narrow(Vec<f32>),
    Wide(Vec<f64>),
}

/// Rows that come in any order, to be put in order at the end.
#[derive(Debug)]
pub(crate) struct SparseBuilder {
    rounds: bool,
    /// Where the cells of each place are, in the order in which they came.
    places: Vec<(usize, usize)>,
    rows: SparseRows,
}

impl SparseRows {
    /// Calls the function that fits with a view of the rows and their targets.
    pub(crate) fn with_view<R>(
        &self,
        y: &[f64],
        narrow: impl FnOnce(SparseView<'_, f32>) -> Result<R, KernelError>,
        wide: impl FnOnce(SparseView<'_, f64>) -> Result<R, KernelError>,
    ) -> Result<R, KernelError> {
        let (starts, columns) = (&self.starts[..], &self.columns[..]);
        match &self.values {
            Values::Narrow(values) => narrow(SparseView::new(self.width, starts, columns, values, y)?),
            Values::Wide(values) => wide(SparseView::new(self.width, starts, columns, values, y)?),
        }
    }

    /// The same with all zeros.
    pub(crate) fn dense(&self) -> Array2<f64> {
        let mut dense = Array2::zeros((self.starts.len() - 1, self.width));
        for (row, ends) in self.starts.windows(2).enumerate() {
            for cell in ends[0]..ends[1] {
                dense[[row, self.columns[cell] as usize]] = self.values.at(cell);
            }
        }
        dense
    }
}

impl Values {
    fn at(&self, cell: usize) -> f64 {
        match self {
            Self::Narrow(values) => f64::from(values[cell]),
            Self::Wide(values) => values[cell],
        }
    }

    fn extend(&mut self, new: impl Iterator<Item = f64> + Clone) {
        if let Self::Narrow(values) = self {
            if new.clone().all(is_narrow) {
                grow(values, new.size_hint().0);
                return values.extend(new.map(|value| value as f32));
            }
            *self = Self::Wide(values.iter().copied().map(f64::from).collect());
        }
        if let Self::Wide(values) = self {
            grow(values, new.size_hint().0);
            values.extend(new);
        }
    }
}

/// Room for so many more: an eighth is added at a time, since rows are most of the memory of a worker.
fn grow<T>(values: &mut Vec<T>, more: usize) {
    if values.capacity() - values.len() < more {
        values.reserve_exact(more.max(values.len() / 8));
    }
}

impl SparseBuilder {
    /// For so many rows; memory is taken as they come.
    pub(crate) fn new(row_count: usize, width: usize, rounds: bool) -> Self {
        let values = Values::Narrow(Vec::new());
        let rows = SparseRows { width, starts: Vec::new(), columns: Vec::new(), values };
        Self { rounds, places: vec![(0, 0); row_count], rows }
    }

    /// Takes the row of a place that was empty; its columns ascend. `false` if a column is beyond the width.
    pub(crate) fn set(&mut self, place: usize, columns: &[u32], values: &[f64]) -> bool {
        if columns.last().is_some_and(|column| *column as usize >= self.rows.width) {
            return false;
        }
        let start = self.rows.columns.len();
        grow(&mut self.rows.columns, columns.len());
        self.rows.columns.extend(columns);
        match self.rounds {
            true => self.rows.values.extend(values.iter().copied().map(rounded)),
            false => self.rows.values.extend(values.iter().copied()),
        }
        self.places[place] = (start, start + columns.len());
        true
    }

    /// The rows in the order of their places.
    pub(crate) fn finish(self) -> SparseRows {
        let Self { places, rows: SparseRows { width, columns, values, .. }, .. } = self;
        let cells = || places.iter().flat_map(|(start, end)| *start..*end);
        let ends = places.iter().scan(0, |at, (start, end)| {
            *at += end - start;
            Some(*at)
        });
        let starts = std::iter::once(0).chain(ends).collect();
        let mut ordered = Vec::with_capacity(columns.len());
        ordered.extend(cells().map(|cell| columns[cell]));
        drop(columns);
        let values = match values {
            Values::Narrow(values) => Values::Narrow(cells().map(|cell| values[cell]).collect()),
            Values::Wide(values) => Values::Wide(cells().map(|cell| values[cell]).collect()),
        };
        SparseRows { width, starts, columns: ordered, values }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_come_in_any_order_and_stand_in_their_places() {
        let mut builder = SparseBuilder::new(3, 4, false);
        assert!(builder.set(2, &[0, 3], &[1.0, 2.0]) && builder.set(0, &[1], &[0.5]) && builder.set(1, &[], &[]));
        let rows = builder.finish();
        assert_eq!(rows.dense(), array![[0.0, 0.5, 0.0, 0.0], [0.0; 4], [1.0, 0.0, 0.0, 2.0]]);
        assert!(matches!(rows.values, Values::Narrow(_)));
        assert!(!SparseBuilder::new(1, 4, false).set(0, &[4], &[1.0]));
    }

    #[test]
    fn a_number_that_32_bits_do_not_hold_makes_the_block_wide_unless_numbers_are_rounded() {
        let built = |rounds| {
            let mut builder = SparseBuilder::new(2, 1, rounds);
            assert!(builder.set(1, &[0], &[0.25]) && builder.set(0, &[0], &[0.1]));
            builder.finish()
        };
        assert_eq!(built(false).values, Values::Wide(vec![0.1, 0.25]));
        assert_eq!(built(true).values, Values::Narrow(vec![0.1, 0.25]));
    }
}
