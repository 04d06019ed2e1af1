//! The train and test rows that scikit-learn's `train_test_split` picks, index for index.
//!
//! Shuffled or in file order, by a fraction or in folds; not stratified. No data is touched, only row numbers.

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Row numbers of both parts, in the order the permutation gives; from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainTestSplit {
    /// Rows to fit on.
    pub train: Vec<usize>,
    /// Rows to judge on.
    pub test: Vec<usize>,
}

/// How the test rows are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitKind {
    /// From a shuffle with the seed; see [`train_test_split`].
    #[default]
    Shuffled,
    /// The last rows of the file; see [`ordered_split`].
    Ordered,
}

impl SplitKind {
    /// The rows of both parts; `seed` only matters to a shuffle.
    ///
    /// # Errors
    /// [`SplitError`] if the fraction or a part's size is out of bounds.
    pub fn split(self, row_count: usize, test_size: f64, seed: u32) -> Result<TrainTestSplit, SplitError> {
        match self {
            Self::Shuffled => train_test_split(row_count, test_size, seed),
            Self::Ordered => ordered_split(row_count, test_size),
        }
    }

    /// Numbers of `(train, test)` rows of [`Self::split`], which fails in the same cases and takes longer.
    ///
    /// # Errors
    /// [`SplitError`] if the fraction or a part's size is out of bounds.
    pub fn sizes(self, row_count: usize, test_size: f64) -> Result<(usize, usize), SplitError> {
        if self == Self::Shuffled {
            shuffled_count(row_count)?;
        }
        split_sizes(row_count, test_size)
    }
}

/// One of several folds: its rows are for testing, all others for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which one, from 0.
    pub number: u32,
    /// How many there are; at least 2.
    pub of: u32,
}

impl Fold {
    /// Cuts rows `0..row_count` into folds whose sizes differ by one at most, the larger ones first: as they stand in the
    /// file, or after a shuffle with a seed. Both parts are in file order.
    ///
    /// # Errors
    /// [`SplitError`] if there are fewer rows than folds, or too many for a shuffle.
    ///
    /// # Source
    /// `sklearn.model_selection.KFold`.
    pub fn split(self, row_count: usize, shuffle: Option<u32>) -> Result<TrainTestSplit, SplitError> {
        let range = self.range(row_count)?;
        let order = match shuffle {
            Some(seed) => permutation(row_count, seed)?,
            None => (0..row_count).collect(),
        };
        let mut is_test = vec![false; row_count];
        order[range].iter().for_each(|row| is_test[*row] = true);
        let (test, train) = (0..row_count).partition(|row| is_test[*row]);
        Ok(TrainTestSplit { train, test })
    }

    /// Numbers of `(train, test)` rows of [`Self::split`].
    ///
    /// # Errors
    /// As [`Self::split`].
    pub fn sizes(self, row_count: usize, is_shuffled: bool) -> Result<(usize, usize), SplitError> {
        if is_shuffled {
            shuffled_count(row_count)?;
        }
        let test_count = self.range(row_count)?.len();
        Ok((row_count - test_count, test_count))
    }

    /// The places of its rows in the order that is cut.
    fn range(self, row_count: usize) -> Result<Range<usize>, SplitError> {
        let (number, of) = (self.number as usize, self.of as usize);
        if of < 2 || number >= of || row_count < of {
            return Err(SplitError::Fold { fold: self, row_count });
        }
        let (size, larger) = (row_count / of, row_count % of);
        let start = number * size + number.min(larger);
        Ok(start..start + size + usize::from(number < larger))
    }
}

/// Why rows cannot be split.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum SplitError {
    /// The fraction is not strictly between 0 and 1.
    #[error("test_size {0} is not strictly between 0 and 1")]
    TestSize(f64),
    /// One of the parts would have no row.
    #[error(
        "test_size {test_size} of {row_count} rows leaves {test_count} test and {train_count} train rows, both need 1"
    )]
    EmptyPart {
        /// The fraction asked for.
        test_size: f64,
        /// Rows in the data.
        row_count: usize,
        /// Rows in the test part.
        test_count: usize,
        /// Rows in the train part.
        train_count: usize,
    },
    /// There is no such fold, or no row for each.
    #[error("fold {} of {} cannot be cut from {row_count} rows; folds count from 0, there are 2 at least, and each needs a row",
        fold.number, fold.of)]
    Fold {
        /// The fold.
        fold: Fold,
        /// Rows in the data.
        row_count: usize,
    },
    /// The generator draws 32 bits a row.
    #[error("{0} rows are more than the 4294967295 that can be shuffled; use data.split = \"ordered\"")]
    TooManyRows(usize),
}

/// Shuffles rows `0..row_count` and cuts off the first `ceil(test_size · row_count)` as test rows.
///
/// # Errors
/// [`SplitError`] if the fraction or a part's size is out of bounds.
///
/// # Source
/// `sklearn.model_selection.ShuffleSplit` over `numpy.random.RandomState.permutation`.
pub fn train_test_split(row_count: usize, test_size: f64, seed: u32) -> Result<TrainTestSplit, SplitError> {
    let (train_count, test_count) = split_sizes(row_count, test_size)?;
    let mut order = permutation(row_count, seed)?;
    let train = order.split_off(test_count);
    debug_assert_eq!(train.len(), train_count);
    Ok(TrainTestSplit { train, test: order })
}

/// Keeps the last `ceil(test_size · row_count)` rows as test rows, both parts in file order: for rows
/// that stand in the order of time, where a shuffle would let the model learn from the future.
///
/// # Errors
/// [`SplitError`] if the fraction or a part's size is out of bounds.
///
/// # Source
/// `sklearn.model_selection.train_test_split` with `shuffle=False`.
pub fn ordered_split(row_count: usize, test_size: f64) -> Result<TrainTestSplit, SplitError> {
    let (train_count, _) = split_sizes(row_count, test_size)?;
    Ok(TrainTestSplit { train: (0..train_count).collect(), test: (train_count..row_count).collect() })
}

/// Numbers of `(train, test)` rows; both at least 1.
///
/// # Errors
/// As [`train_test_split`].
fn split_sizes(row_count: usize, test_size: f64) -> Result<(usize, usize), SplitError> {
    if !(test_size > 0.0 && test_size < 1.0) {
        return Err(SplitError::TestSize(test_size));
    }
    let test_count = (test_size * row_count as f64).ceil() as usize;
    let train_count = row_count.saturating_sub(test_count);
    if test_count == 0 || train_count == 0 {
        return Err(SplitError::EmptyPart { test_size, row_count, test_count, train_count });
    }
    Ok((train_count, test_count))
}

fn shuffled_count(row_count: usize) -> Result<u32, SplitError> {
    u32::try_from(row_count).map_err(|_| SplitError::TooManyRows(row_count))
}

/// A permutation of `0..row_count`: Fisher–Yates from the end, each index drawn by masked rejection.
fn permutation(row_count: usize, seed: u32) -> Result<Vec<usize>, SplitError> {
    let last = shuffled_count(row_count)?.saturating_sub(1);
    let mut generator = Mt19937::new(seed);
    let mut order: Vec<usize> = (0..row_count).collect();
    for upper in (1..=last).rev() {
        let mask = u32::MAX >> upper.leading_zeros();
        let drawn = loop {
            let candidate = generator.next_u32() & mask;
            if candidate <= upper {
                break candidate;
            }
        };
        order.swap(upper as usize, drawn as usize);
    }
    Ok(order)
}

/// Words in the state of the generator.
const STATE_WORDS: usize = 624;
/// Distance of the second word that is mixed in.
const TWIST_OFFSET: usize = 397;

/// The 32-bit Mersenne Twister.
///
/// # Source
/// Matsumoto, Nishimura, *Mersenne Twister*, ACM TOMACS 8(1), 1998, with the initialisation of 2002.
struct Mt19937 {
    state: [u32; STATE_WORDS],
    next: usize,
}

impl Mt19937 {
    fn new(seed: u32) -> Self {
        let mut state = [seed; STATE_WORDS];
        for i in 1..STATE_WORDS {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: STATE_WORDS }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == STATE_WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for i in 0..STATE_WORDS {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE_WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + TWIST_OFFSET) % STATE_WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/reference.json")).unwrap()
    }

    fn numbers(value: &serde_json::Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    }

    fn weighted_sum(rows: &[usize]) -> u64 {
        rows.iter().enumerate().map(|(position, row)| (position as u64 + 1) * *row as u64).sum()
    }

    #[test]
    fn the_generator_gives_the_reference_outputs() {
        let mut generator = Mt19937::new(42);
        for expected in numbers(&reference()["split"]["mt19937_seed42_first10_u32"]) {
            assert_eq!(u64::from(generator.next_u32()), expected);
        }
    }

    #[test]
    fn every_reference_fold_is_met_index_for_index() {
        for (name, row_count) in [("iris", 150), ("breast_cancer", 569), ("diabetes", 442)] {
            let expected = reference()[name]["folds"]["kfold42"].clone();
            for (number, rows) in (0..).zip(expected.as_array().unwrap()) {
                let split = Fold { number, of: 5 }.split(row_count, Some(42)).unwrap();
                let first: Vec<u64> = split.test.iter().take(5).map(|row| *row as u64).collect();
                assert_eq!(first, numbers(rows), "{name} {number}");
            }
        }
    }

    #[test]
    fn folds_take_every_row_once_and_their_sizes_are_told_before() {
        for (row_count, of) in [(10, 3), (569, 5), (7, 7)] {
            let mut seen = Vec::new();
            for number in 0..of {
                let fold = Fold { number, of };
                let split = fold.split(row_count, None).unwrap();
                assert_eq!(fold.sizes(row_count, true), Ok((split.train.len(), split.test.len())));
                assert!(split.train.is_sorted() && split.train.iter().all(|row| !split.test.contains(row)));
                seen.extend(split.test);
            }
            assert_eq!(seen, (0..row_count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_fold_that_cannot_be_cut_is_refused() {
        for (number, of, row_count) in [(0, 1, 10), (3, 3, 10), (0, 11, 10), (0, 0, 10)] {
            let fold = Fold { number, of };
            assert_eq!(fold.split(row_count, None), Err(SplitError::Fold { fold, row_count }));
            assert_eq!(fold.sizes(row_count, false), Err(SplitError::Fold { fold, row_count }));
        }
    }

    #[test]
    fn every_reference_split_is_met_index_for_index() {
        for n in [10, 150, 442, 569, 1000, 20640] {
            let expected = &reference()["split"][n.to_string()];
            let split = train_test_split(n, 0.2, 42).unwrap();
            let first = |rows: &[usize]| rows.iter().take(10).map(|row| *row as u64).collect::<Vec<_>>();
            assert_eq!(split.test.len() as u64, expected["n_test"].as_u64().unwrap());
            assert_eq!(first(&split.test), numbers(&expected["test_first10"]));
            assert_eq!(first(&split.train), numbers(&expected["train_first10"]));
            assert_eq!(weighted_sum(&split.test), expected["test_sum_weighted"].as_u64().unwrap(), "{n} test");
            assert_eq!(weighted_sum(&split.train), expected["train_sum_weighted"].as_u64().unwrap(), "{n} train");
        }
    }

    #[test]
    fn an_ordered_split_keeps_the_last_rows_for_testing_in_file_order() {
        let split = SplitKind::Ordered.split(11, 0.2, 42).unwrap();
        assert_eq!((split.train, split.test), ((0..8).collect(), vec![8, 9, 10]));
        assert_eq!(SplitKind::Ordered.split(11, 0.2, 7), SplitKind::Ordered.split(11, 0.2, 42));
        assert_eq!(SplitKind::default().split(11, 0.2, 7), train_test_split(11, 0.2, 7));
        assert!(matches!(SplitKind::Ordered.split(1, 0.2, 42), Err(SplitError::EmptyPart { .. })));
    }

    #[test]
    fn more_rows_than_can_be_shuffled_are_refused_before_any_is_numbered() {
        let rows = u32::MAX as usize + 1;
        assert_eq!(SplitKind::Shuffled.sizes(rows, 0.5), Err(SplitError::TooManyRows(rows)));
        assert_eq!(SplitKind::Shuffled.sizes(rows - 1, 0.5), Ok((rows / 2 - 1, rows / 2)));
        assert_eq!(SplitKind::Ordered.sizes(rows, 0.5), Ok((rows / 2, rows / 2)));
        assert_eq!(SplitKind::Shuffled.split(rows, 0.5, 42), Err(SplitError::TooManyRows(rows)));
    }

    #[test]
    fn a_part_without_rows_is_refused_by_name() {
        for test_size in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(train_test_split(10, test_size, 1), Err(SplitError::TestSize(_))));
        }
        let error = train_test_split(1, 0.2, 1).unwrap_err();
        assert_eq!(error.to_string(), "test_size 0.2 of 1 rows leaves 1 test and 0 train rows, both need 1");
        assert!(train_test_split(0, 0.2, 1).is_err());
        assert!(train_test_split(2, 0.5, 1).is_ok());
    }
}
