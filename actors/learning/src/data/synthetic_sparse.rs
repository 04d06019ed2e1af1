//! Generated rows of which few cells are not 0: any row of any size of data, the same on every host, without a file.
//!
//! Only wrapping integers. Few columns are heavy, and the tail is long: the density of column `c` falls like `c^(-2/3)`.

use super::DataError;
use super::synthetic::{Sizes, hash, lanes, weights};

/// Draws of a row beyond the fewest.
const DRAWS: u64 = 61;
/// Fewest draws of a row.
const DRAWS_MIN: u64 = 20;
/// Hashes that a row has for its draws.
const HASHES_OF_ROW: u64 = 128;

/// `synthetic:sparse?rows=N&cols=N&seed=N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sparse {
    pub(super) row_count: usize,
    pub(super) column_count: usize,
    seed: u64,
}

impl Sparse {
    /// Reads a name that begins with [`super::SYNTHETIC`].
    ///
    /// # Errors
    /// [`DataError::Generator`] with what is wrong in it.
    pub(super) fn parse(name: &str) -> Result<Self, DataError> {
        let (Sizes { row_count, column_count, seed }, []) = Sizes::parse(name, "sparse?", [])?;
        Ok(Self { row_count, column_count, seed })
    }

    /// The weights of the rule, one for each column.
    pub(super) fn weights(&self) -> Vec<i64> {
        weights(self.seed, self.column_count)
    }

    /// Replaces columns and values by those of a row; the result is its label, 1 or 0.
    pub(super) fn row(&self, row: usize, weights: &[i64], columns: &mut Vec<u32>, values: &mut Vec<f64>) -> f64 {
        let row = row as u64;
        columns.clear();
        values.clear();
        let draws = DRAWS_MIN + hash(self.seed, 4, row) % DRAWS;
        columns.extend((0..draws).map(|draw| self.column(hash(self.seed, 0, row * HASHES_OF_ROW + draw) >> 32)));
        columns.sort_unstable();
        values.extend(columns.chunk_by(u32::eq).map(|equal| equal.len() as f64));
        columns.dedup();
        let cells = columns.iter().zip(values.iter());
        let sum: i64 = cells.map(|(column, count)| *count as i64 * weights[*column as usize]).sum();
        f64::from(u8::from(8 * sum + (lanes(hash(self.seed, 3, row)) >> 8) > 0))
    }

    /// The column of a draw of 32 bits.
    fn column(&self, draw: u64) -> u32 {
        let square = (draw * draw) >> 32;
        let cube = (square * draw) >> 32;
        ((cube * self.column_count as u64) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_published_values() {
        let sparse = Sparse::parse("synthetic:sparse?rows=1000&cols=50000&seed=2").unwrap();
        let (weights, mut columns, mut values) = (sparse.weights(), Vec::new(), Vec::new());
        let (mut counts, mut stored, mut total, mut numbers, mut positive) = (Vec::new(), 0, 0.0, 0, 0.0);
        for row in 0..1000 {
            positive += sparse.row(row, &weights, &mut columns, &mut values);
            if row == 0 {
                let first: Vec<_> =
                    columns.iter().zip(&values).take(4).map(|(column, value)| (*column, *value)).collect();
                assert_eq!(first, [(3, 2.0), (7, 1.0), (8, 1.0), (10, 1.0)]);
            }
            counts.push(columns.len());
            stored += columns.len();
            total += values.iter().sum::<f64>();
            numbers += columns.iter().map(|column| u64::from(*column)).sum::<u64>();
        }
        assert_eq!(counts[..3], [72, 72, 21]);
        assert_eq!((stored, total, numbers, positive), (50_380, 51_393.0, 640_284_579, 463.0));
    }
}
