//! The class of each row, and splits that keep the proportion of the classes, index for index those of scikit-learn.
//!
//! No data is touched, only row numbers and the numbers of classes.

use serde::{Deserialize, Serialize};

use super::fold::Fold;
use super::mersenne::Mt19937;
use super::split::{SplitError, TrainTestSplit, shuffled_count};

/// The class of each row that was kept, as its code; empty where the job does not ask for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Strata(Vec<u16>);

/// A class that occurs, as far as the sizes of parts depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// The number of its first row, from 0.
    pub first_row: usize,
    /// Its rows.
    pub row_count: usize,
}

impl Strata {
    /// Of the codes of all rows, in the order of the rows.
    #[must_use]
    pub fn new(codes: Vec<u16>) -> Self {
        Self(codes)
    }

    /// The classes that occur, in the order of their codes.
    #[must_use]
    pub fn summary(&self) -> Vec<Stratum> {
        let rows = self.rows_of_classes();
        rows.iter().map(|rows| Stratum { first_row: rows[0], row_count: rows.len() }).collect()
    }

    /// Shuffles the rows of each class, takes of each as many for training and for testing as keep its proportion, and
    /// shuffles both parts.
    ///
    /// # Errors
    /// [`SplitError`] if a class has one row, a part has fewer rows than there are classes, or there are too many rows.
    ///
    /// # Source
    /// `sklearn.model_selection.train_test_split` with `stratify`.
    pub fn split(&self, sizes: (usize, usize), seed: u32) -> Result<TrainTestSplit, SplitError> {
        shuffled_count(self.0.len())?;
        check_sizes(&self.summary(), sizes)?;
        let rows = self.rows_of_classes();
        let mut generator = Mt19937::new(seed);
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let train_counts = proportional(&counts, sizes.0, &mut generator);
        let left: Vec<usize> = counts.iter().zip(&train_counts).map(|(count, taken)| count - taken).collect();
        let test_counts = proportional(&left, sizes.1, &mut generator);
        let mut split = TrainTestSplit { train: Vec::with_capacity(sizes.0), test: Vec::with_capacity(sizes.1) };
        for ((rows, train_count), test_count) in rows.iter().zip(train_counts).zip(test_counts) {
            let order = generator.permutation(rows.len());
            let mut drawn = order.iter().map(|place| rows[*place]);
            split.train.extend(drawn.by_ref().take(train_count));
            split.test.extend(drawn.take(test_count));
        }
        generator.shuffle(&mut split.train);
        generator.shuffle(&mut split.test);
        Ok(split)
    }

    /// Deals the rows of each class out to the folds, in file order or after a shuffle. Both parts are in file order.
    ///
    /// # Errors
    /// [`SplitError`] if there is no such fold, no class has a row for each, or there are too many rows.
    ///
    /// # Source
    /// `sklearn.model_selection.StratifiedKFold`, `RepeatedStratifiedKFold`.
    pub fn fold(&self, fold: Fold, shuffle: Option<u32>) -> Result<TrainTestSplit, SplitError> {
        shuffled_count(self.0.len())?;
        let mut rows = self.rows_of_classes();
        rows.sort_by_key(|rows| rows[0]);
        let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
        let dealt = deal(&counts, fold)?;
        let mut generator = shuffle.map(Mt19937::new);
        let mut is_test = vec![false; self.0.len()];
        for repeat in 0..=fold.repeat {
            for (class, rows) in rows.iter().enumerate() {
                let of_fold = |number: usize| std::iter::repeat_n(number, dealt[number][class]);
                let mut folds: Vec<usize> = (0..dealt.len()).flat_map(of_fold).collect();
                if let Some(generator) = &mut generator {
                    generator.shuffle(&mut folds);
                }
                if repeat == fold.repeat {
                    let of_row = rows.iter().zip(folds);
                    of_row.for_each(|(row, number)| is_test[*row] = number == fold.number as usize);
                }
            }
        }
        Ok(TrainTestSplit::of(&is_test))
    }

    /// Of each class that occurs its rows in file order, in the order of the codes.
    fn rows_of_classes(&self) -> Vec<Vec<usize>> {
        let class_count = self.0.iter().max().map_or(0, |code| usize::from(*code) + 1);
        let mut rows = vec![Vec::new(); class_count];
        self.0.iter().enumerate().for_each(|(row, code)| rows[usize::from(*code)].push(row));
        rows.retain(|rows| !rows.is_empty());
        rows
    }
}

/// Numbers of `(train, test)` rows of a stratified fold.
///
/// # Errors
/// As the fold itself.
pub fn fold_sizes(strata: &[Stratum], fold: Fold) -> Result<(usize, usize), SplitError> {
    let mut strata = strata.to_vec();
    strata.sort_by_key(|stratum| stratum.first_row);
    let counts: Vec<usize> = strata.iter().map(|stratum| stratum.row_count).collect();
    let row_count = counts.iter().sum::<usize>();
    shuffled_count(row_count)?;
    let test_count = deal(&counts, fold)?[fold.number as usize].iter().sum();
    Ok((row_count - test_count, test_count))
}

/// Refuses parts in which a class would be missing.
pub(super) fn check_sizes(strata: &[Stratum], (train_count, test_count): (usize, usize)) -> Result<(), SplitError> {
    if strata.iter().any(|stratum| stratum.row_count < 2) {
        return Err(SplitError::LoneRow);
    }
    let class_count = strata.len();
    if train_count < class_count || test_count < class_count {
        return Err(SplitError::TooManyClasses { class_count, train_count, test_count });
    }
    Ok(())
}

/// How many rows of each class go to each fold: `[fold][class]`. Classes follow each other, and row after row goes to the
/// next fold.
fn deal(counts: &[usize], fold: Fold) -> Result<Vec<Vec<usize>>, SplitError> {
    fold.check(counts.iter().sum())?;
    let (of, largest) = (fold.of as usize, counts.iter().copied().max().unwrap_or_default());
    if largest < of {
        return Err(SplitError::SmallClasses { of: fold.of, largest });
    }
    let mut dealt = vec![vec![0; counts.len()]; of];
    let mut start = 0;
    for (class, count) in counts.iter().enumerate() {
        for (number, of_fold) in dealt.iter_mut().enumerate() {
            // The places below `end` that leave `number` when divided by the number of folds.
            let up_to = |end: usize| (end + of - 1 - number) / of;
            of_fold[class] = up_to(start + count) - up_to(start);
        }
        start += count;
    }
    Ok(dealt)
}

/// `draws` over the classes in proportion to their counts, rounded down; what is left goes to the largest remainders, and
/// among equal ones to some that are drawn.
///
/// # Source
/// `sklearn.utils.extmath._approximate_mode`.
fn proportional(counts: &[usize], draws: usize, generator: &mut Mt19937) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    let exact: Vec<f64> = counts.iter().map(|count| *count as f64 / total as f64 * draws as f64).collect();
    let mut drawn: Vec<usize> = exact.iter().map(|exact| exact.floor() as usize).collect();
    let remainders: Vec<f64> = exact.iter().map(|exact| exact - exact.floor()).collect();
    let mut values = remainders.clone();
    values.sort_by(|a, b| b.total_cmp(a));
    values.dedup();
    let mut left = draws - drawn.iter().sum::<usize>();
    for value in values {
        if left == 0 {
            break;
        }
        let equal: Vec<usize> = (0..counts.len()).filter(|class| remainders[*class] == value).collect();
        let order = generator.permutation(equal.len());
        let chosen = order.iter().take(left).map(|place| equal[*place]);
        chosen.for_each(|class| drawn[class] += 1);
        left -= left.min(equal.len());
    }
    drawn
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::data::split::SplitKind;
    use crate::data::split::tests::{first, numbers, weighted_sum};

    fn reference() -> Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/stratified.json")).unwrap()
    }

    fn codes_of(csv: &str) -> Vec<u16> {
        csv.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect()
    }

    /// Four classes of very different sizes, the largest code the rarest.
    fn uneven(row: u64) -> u16 {
        match ((row * 2_654_435_761) % (1 << 32)) >> 16 {
            0..2_000 => 3,
            2_000..9_000 => 0,
            9_000..40_000 => 2,
            _ => 1,
        }
    }

    fn cases() -> [(&'static str, Strata); 3] {
        let iris = codes_of(include_str!("../../../../examples/data/iris.csv"));
        let breast_cancer = codes_of(include_str!("../../../../examples/data/breast_cancer.csv"));
        let uneven = (0..500).map(uneven).collect();
        [("iris", iris), ("breast_cancer", breast_cancer), ("uneven_500", uneven)]
            .map(|(name, codes)| (name, Strata::new(codes)))
    }

    fn check(rows: &[usize], expected: &Value) {
        assert_eq!(rows.len() as u64, expected["count"].as_u64().unwrap());
        assert_eq!(first(rows, 8), numbers(&expected["first"]));
        assert_eq!(weighted_sum(rows), expected["weighted"].as_u64().unwrap());
    }

    #[test]
    fn every_stratified_split_of_the_reference_is_met_index_for_index() {
        for (name, strata) in cases() {
            let row_count = strata.0.len();
            for expected in reference()[name]["split"].as_array().unwrap() {
                let test_size = expected["test_size"].as_f64().unwrap();
                let seed = u32::try_from(expected["seed"].as_u64().unwrap()).unwrap();
                let split = SplitKind::Stratified.split(row_count, &strata, test_size, seed).unwrap();
                check(&split.train, &expected["train"]);
                check(&split.test, &expected["test"]);
                let sizes = SplitKind::Stratified.sizes(row_count, &strata.summary(), test_size);
                assert_eq!(sizes, Ok((split.train.len(), split.test.len())));
            }
        }
    }

    #[test]
    fn every_fold_of_the_reference_is_met_index_for_index() {
        let kinds =
            [("stratified", Some(42), 5), ("stratified_ordered", None, 5), ("repeated_stratified", Some(42), 3)];
        for (name, strata) in cases() {
            for (kind, shuffle, of) in kinds {
                for (index, expected) in (0..).zip(reference()[name][kind].as_array().unwrap()) {
                    let fold = Fold { number: index % of, of, repeat: index / of };
                    let split = strata.fold(fold, shuffle).unwrap();
                    check(&split.test, expected);
                    let sizes = (split.train.len(), split.test.len());
                    assert_eq!(fold_sizes(&strata.summary(), fold), Ok(sizes), "{name} {kind} {index}");
                }
            }
            for (index, expected) in (0..).zip(reference()[name]["repeated"].as_array().unwrap()) {
                let fold = Fold { number: index % 3, of: 3, repeat: index / 3 };
                check(&fold.split(strata.0.len(), Some(42)).unwrap().test, expected);
            }
        }
    }

    #[test]
    fn parts_in_which_a_class_would_be_missing_are_refused() {
        let lone = Strata::new(vec![0, 0, 0, 1]);
        assert_eq!(lone.split((2, 2), 1), Err(SplitError::LoneRow));
        let three = Strata::new(vec![0, 1, 2, 0, 1, 2]);
        let (class_count, train_count, test_count) = (3, 4, 2);
        let refused = SplitError::TooManyClasses { class_count, train_count, test_count };
        assert_eq!(three.split((4, 2), 1), Err(refused.clone()));
        assert_eq!(check_sizes(&three.summary(), (4, 2)), Err(refused));
        let fold = Fold { number: 0, of: 3, repeat: 0 };
        assert_eq!(three.fold(fold, None), Err(SplitError::SmallClasses { of: 3, largest: 2 }));
        let absent = Fold { number: 2, of: 2, repeat: 0 };
        assert_eq!(three.fold(absent, None), Err(SplitError::Fold { fold: absent, row_count: 6 }));
        assert_eq!(fold_sizes(&three.summary(), absent), Err(SplitError::Fold { fold: absent, row_count: 6 }));
        assert_eq!(SplitKind::StratifiedOrdered.split(6, &three, 0.5, 1), Err(SplitError::FoldsOnly));
    }
}
