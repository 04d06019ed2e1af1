//! Folds of a cross-validation, index for index those of scikit-learn.
//!
//! Stratified ones are in `strata.rs`.

use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::mersenne::Mt19937;
use super::split::{SplitError, TrainTestSplit, shuffled_count};

/// One of several folds: its rows are for testing, all others for training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which one, from 0.
    pub number: u32,
    /// How many there are; at least 2.
    pub of: u32,
    /// Which of the shuffles that follow each other, from 0; without a shuffle there is one.
    #[serde(default)]
    pub repeat: u32,
}

impl Fold {
    /// Cuts rows `0..row_count` into folds whose sizes differ by one at most, the larger ones first: as they stand in the
    /// file, or after a shuffle with a seed. Both parts are in file order.
    ///
    /// # Errors
    /// [`SplitError`] if there are fewer rows than folds, or too many for a shuffle.
    ///
    /// # Source
    /// `sklearn.model_selection.KFold`, `RepeatedKFold`.
    pub fn split(self, row_count: usize, shuffle: Option<u32>) -> Result<TrainTestSplit, SplitError> {
        let range = self.range(row_count)?;
        let order = match shuffle {
            Some(seed) => {
                shuffled_count(row_count)?;
                let mut generator = Mt19937::new(seed);
                (0..self.repeat).for_each(|_| drop(generator.permutation(row_count)));
                generator.permutation(row_count)
            }
            None => (0..row_count).collect(),
        };
        let mut is_test = vec![false; row_count];
        order[range].iter().for_each(|row| is_test[*row] = true);
        Ok(TrainTestSplit::of(&is_test))
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

    /// Refuses a fold that does not exist.
    pub(super) fn check(self, row_count: usize) -> Result<(), SplitError> {
        if self.of < 2 || self.number >= self.of || row_count < self.of as usize {
            return Err(SplitError::Fold { fold: self, row_count });
        }
        Ok(())
    }

    /// The places of its rows in the order that is cut.
    fn range(self, row_count: usize) -> Result<Range<usize>, SplitError> {
        self.check(row_count)?;
        let (number, of) = (self.number as usize, self.of as usize);
        let (size, larger) = (row_count / of, row_count % of);
        let start = number * size + number.min(larger);
        Ok(start..start + size + usize::from(number < larger))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::split::tests::{first, numbers, reference};

    fn fold(number: u32, of: u32) -> Fold {
        Fold { number, of, repeat: 0 }
    }

    #[test]
    fn every_reference_fold_is_met_index_for_index() {
        for (name, row_count) in [("iris", 150), ("breast_cancer", 569), ("diabetes", 442)] {
            let expected = reference()[name]["folds"]["kfold42"].clone();
            for (number, rows) in (0..).zip(expected.as_array().unwrap()) {
                let split = fold(number, 5).split(row_count, Some(42)).unwrap();
                assert_eq!(first(&split.test, 5), numbers(rows), "{name} {number}");
            }
        }
    }

    #[test]
    fn folds_take_every_row_once_and_their_sizes_are_told_before() {
        for (row_count, of) in [(10, 3), (569, 5), (7, 7)] {
            let mut seen = Vec::new();
            for number in 0..of {
                let fold = fold(number, of);
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
            let fold = fold(number, of);
            assert_eq!(fold.split(row_count, None), Err(SplitError::Fold { fold, row_count }));
            assert_eq!(fold.sizes(row_count, false), Err(SplitError::Fold { fold, row_count }));
        }
    }
}
