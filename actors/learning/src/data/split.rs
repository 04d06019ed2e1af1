//! The train and test rows that scikit-learn's `train_test_split` picks, index for index.
//!
//! Folds are in `fold.rs`, what keeps the part of each class in `strata.rs`. No data is touched, only row numbers.

use serde::{Deserialize, Serialize};

use super::fold::Fold;
use super::mersenne::Mt19937;
use super::strata::{self, Strata, Stratum};

/// Row numbers of both parts, in the order the permutation gives; from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainTestSplit {
    /// Rows to fit on.
    pub train: Vec<usize>,
    /// Rows to judge on.
    pub test: Vec<usize>,
}

impl TrainTestSplit {
    /// Both parts in the order of the rows, of which the last are for testing.
    ///
    /// # Errors
    /// [`SplitError::NoRowsInPart`] if there are none of one kind.
    pub fn at_end(row_count: usize, test_count: usize) -> Result<Self, SplitError> {
        let (train_count, _) = sizes_at_end(row_count, test_count)?;
        Ok(Self { train: (0..train_count).collect(), test: (train_count..row_count).collect() })
    }

    /// Both parts in the order of the rows.
    pub(super) fn of(is_test: &[bool]) -> Self {
        let (test, train) = (0..is_test.len()).partition(|row| is_test[*row]);
        Self { train, test }
    }
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
    /// From a shuffle of each class, so that both parts have the classes in the same proportion; see [`Strata`].
    Stratified,
    /// As they stand in the file, but for the proportion of the classes; folds only.
    StratifiedOrdered,
    /// None is held out: all rows are for training, and judged by the model that has learned from them.
    Whole,
}

impl SplitKind {
    /// Whether the proportion of the classes is kept.
    #[must_use]
    pub fn is_stratified(self) -> bool {
        matches!(self, Self::Stratified | Self::StratifiedOrdered)
    }

    /// Whether the seed matters.
    #[must_use]
    pub fn is_shuffled(self) -> bool {
        matches!(self, Self::Shuffled | Self::Stratified)
    }

    /// The rows of both parts; `seed` only matters to a shuffle, `strata` to a stratified split.
    ///
    /// # Errors
    /// [`SplitError`] if the fraction or a part's size is out of bounds.
    pub fn split(
        self,
        row_count: usize,
        strata: &Strata,
        test_size: f64,
        seed: u32,
    ) -> Result<TrainTestSplit, SplitError> {
        match self {
            Self::Shuffled => train_test_split(row_count, test_size, seed),
            Self::Ordered => ordered_split(row_count, test_size),
            Self::Stratified => strata.split(split_sizes(row_count, test_size)?, seed),
            Self::StratifiedOrdered => Err(SplitError::FoldsOnly),
            Self::Whole => {
                let all: Vec<usize> = (0..row_count).collect();
                Ok(TrainTestSplit { train: all.clone(), test: all })
            }
        }
    }

    /// Numbers of `(train, test)` rows of [`Self::split`], which fails in the same cases and takes longer.
    ///
    /// # Errors
    /// [`SplitError`] if the fraction or a part's size is out of bounds.
    pub fn sizes(self, row_count: usize, strata: &[Stratum], test_size: f64) -> Result<(usize, usize), SplitError> {
        if self.is_shuffled() {
            shuffled_count(row_count)?;
        }
        if self == Self::Whole && row_count > 0 {
            return Ok((row_count, row_count));
        }
        let sizes = split_sizes(row_count, test_size)?;
        match self {
            Self::Shuffled | Self::Ordered | Self::Whole => {}
            Self::Stratified => strata::check_sizes(strata, sizes)?,
            Self::StratifiedOrdered => return Err(SplitError::FoldsOnly),
        }
        Ok(sizes)
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
    /// Files of one of the parts have no row that is kept.
    #[error("data.path gives {train_count} rows and data.test_path {test_count}; both need 1")]
    NoRowsInPart {
        /// Rows to learn from.
        train_count: usize,
        /// Rows for testing.
        test_count: usize,
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
    /// A class cannot be in both parts.
    #[error("a stratified split needs two rows of each class, and one has 1; use data.split = \"shuffled\"")]
    LoneRow,
    /// A part has fewer rows than there are classes.
    #[error("{train_count} train and {test_count} test rows cannot both have a row of each of {class_count} classes")]
    TooManyClasses {
        /// Classes among the rows.
        class_count: usize,
        /// Rows in the train part.
        train_count: usize,
        /// Rows in the test part.
        test_count: usize,
    },
    /// No class has a row for each fold.
    #[error("{of} folds are more than the {largest} rows of the largest class")]
    SmallClasses {
        /// Folds asked for.
        of: u32,
        /// Rows of the largest class.
        largest: usize,
    },
    /// Without a shuffle, only folds keep the proportion of classes.
    #[error("data.split = \"stratified_ordered\" is for folds; use \"stratified\", or data.fold")]
    FoldsOnly,
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
    shuffled_count(row_count)?;
    let mut order = Mt19937::new(seed).permutation(row_count);
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

/// Numbers of `(train, test)` rows, if the last ones are for testing; both at least 1.
///
/// # Errors
/// [`SplitError::NoRowsInPart`].
pub(crate) fn sizes_at_end(row_count: usize, test_count: usize) -> Result<(usize, usize), SplitError> {
    let train_count = row_count.saturating_sub(test_count);
    match train_count.min(test_count) {
        0 => Err(SplitError::NoRowsInPart { train_count, test_count }),
        _ => Ok((train_count, test_count)),
    }
}

/// Refuses what cannot be shuffled.
pub(super) fn shuffled_count(row_count: usize) -> Result<u32, SplitError> {
    u32::try_from(row_count).map_err(|_| SplitError::TooManyRows(row_count))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::data) fn reference() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/reference.json")).unwrap()
    }

    pub(in crate::data) fn numbers(value: &serde_json::Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    }

    pub(in crate::data) fn first(rows: &[usize], count: usize) -> Vec<u64> {
        rows.iter().take(count).map(|row| *row as u64).collect()
    }

    pub(in crate::data) fn weighted_sum(rows: &[usize]) -> u64 {
        rows.iter().enumerate().map(|(position, row)| (position as u64 + 1) * *row as u64).sum()
    }

    #[test]
    fn every_reference_split_is_met_index_for_index() {
        for n in [10, 150, 442, 569, 1000, 20640] {
            let expected = &reference()["split"][n.to_string()];
            let split = train_test_split(n, 0.2, 42).unwrap();
            assert_eq!(split.test.len() as u64, expected["n_test"].as_u64().unwrap());
            assert_eq!(first(&split.test, 10), numbers(&expected["test_first10"]));
            assert_eq!(first(&split.train, 10), numbers(&expected["train_first10"]));
            assert_eq!(weighted_sum(&split.test), expected["test_sum_weighted"].as_u64().unwrap(), "{n} test");
            assert_eq!(weighted_sum(&split.train), expected["train_sum_weighted"].as_u64().unwrap(), "{n} train");
        }
    }

    #[test]
    fn an_ordered_split_keeps_the_last_rows_for_testing_in_file_order() {
        let split = |kind: SplitKind, seed| kind.split(11, &Strata::default(), 0.2, seed);
        let last = split(SplitKind::Ordered, 42).unwrap();
        assert_eq!((last.train, last.test), ((0..8).collect(), vec![8, 9, 10]));
        assert_eq!(split(SplitKind::Ordered, 7), split(SplitKind::Ordered, 42));
        assert_eq!(split(SplitKind::default(), 7), train_test_split(11, 0.2, 7));
        assert!(matches!(SplitKind::Ordered.split(1, &Strata::default(), 0.2, 42), Err(SplitError::EmptyPart { .. })));
    }

    #[test]
    fn more_rows_than_can_be_shuffled_are_refused_before_any_is_numbered() {
        let rows = u32::MAX as usize + 1;
        assert_eq!(SplitKind::Shuffled.sizes(rows, &[], 0.5), Err(SplitError::TooManyRows(rows)));
        assert_eq!(SplitKind::Shuffled.sizes(rows - 1, &[], 0.5), Ok((rows / 2 - 1, rows / 2)));
        assert_eq!(SplitKind::Ordered.sizes(rows, &[], 0.5), Ok((rows / 2, rows / 2)));
        assert_eq!(SplitKind::Shuffled.split(rows, &Strata::default(), 0.5, 42), Err(SplitError::TooManyRows(rows)));
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
