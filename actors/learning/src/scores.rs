//! Metrics over targets and predictions that are at hand. What is summed over a cluster is in `metrics`.
//!
//! Every function reads its arguments in order and once per use, so its bits depend on them alone.
//! A class is any number from 0; a ratio without cases is 0, as in scikit-learn.

use std::collections::BTreeMap;

/// Most classes of a confusion matrix.
pub const CLASSES_MAX: usize = 1000;
/// Least distance of a probability from 0 and 1 in [`log_loss`]: the resolution of a 64-bit number.
const PROBABILITY_MIN: f64 = f64::EPSILON;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Nothing to judge.
    #[error("there are no rows to judge")]
    NoRows,
    /// Not one prediction for each target.
    #[error("there are {targets} targets and {predictions} predictions")]
    LengthMismatch {
        /// Targets given.
        targets: usize,
        /// Predictions given.
        predictions: usize,
    },
    /// A prediction or target that cannot be ranked or averaged.
    #[error("row {row} has the value {value}")]
    NotFinite {
        /// Position, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
    /// A class out of bounds.
    #[error("row {row} is of class {class}, classes are 0 to {max}")]
    UnknownClass {
        /// Position, from 0.
        row: usize,
        /// Its class.
        class: usize,
        /// The largest one allowed.
        max: usize,
    },
    /// A ranking needs rows of both classes.
    #[error("all rows are of one class")]
    OneClass,
}

/// Regression metrics, in the target's unit or its square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegressionScores {
    /// `Σ (p - y)² / n`.
    pub mean_squared_error: f64,
    /// Its root.
    pub root_mean_squared_error: f64,
    /// `Σ |p - y| / n`.
    pub mean_absolute_error: f64,
    /// `1 - Σ (p - y)² / Σ (y - mean y)²`; of a constant target 1 if all is right and 0 otherwise.
    pub r2: f64,
    /// `1 - Var(y - p) / Var(y)`; of a constant target 1 if the errors are constant and 0 otherwise.
    pub explained_variance: f64,
}

/// Precision, recall and their harmonic mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ClassScores {
    /// Part of the rows called so that are so.
    pub precision: f64,
    /// Part of the rows that are so that are called so.
    pub recall: f64,
    /// `2 p r / (p + r)`.
    pub f1: f64,
}

/// How [`Confusion::average`] weighs classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Average {
    /// Every class alike.
    Macro,
    /// Every row alike: counts are added first.
    Micro,
    /// Every class by its rows.
    Weighted,
}

/// Rows counted by class (first) and predicted class (second).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

/// Regression metrics of `predictions` of `targets`.
///
/// # Errors
/// [`ScoreError`] if there are no rows, the lengths differ, or a value is not finite.
pub fn regression(targets: &[f64], predictions: &[f64]) -> Result<RegressionScores, ScoreError> {
    check(targets, predictions)?;
    let errors: Vec<f64> = targets.iter().zip(predictions).map(|(y, p)| y - p).collect();
    let squares: f64 = errors.iter().map(|e| e * e).sum();
    let mean_squared_error = squares / errors.len() as f64;
    let variation = variation(targets);
    Ok(RegressionScores {
        mean_squared_error,
        root_mean_squared_error: mean_squared_error.sqrt(),
        mean_absolute_error: errors.iter().map(|e| e.abs()).sum::<f64>() / errors.len() as f64,
        r2: explained(squares, variation),
        explained_variance: explained(self::variation(&errors), variation),
    })
}

/// The part of class 1 whose score beats that of class 0, ties counted half: the area under the ROC curve.
///
/// # Errors
/// [`ScoreError`] if there are no rows, the lengths differ, a score is not finite, or one class is absent.
///
/// # Source
/// Fawcett, *An introduction to ROC analysis*, Pattern Recognition Letters 27, 2006, section 7.
pub fn roc_auc(is_positive: &[bool], scores: &[f64]) -> Result<f64, ScoreError> {
    let groups = ranked(is_positive, scores)?;
    let (mut positives, mut wins) = (0.0, 0.0);
    for (in_group, others) in groups {
        wins += others * (positives + in_group / 2.0);
        positives += in_group;
    }
    let negatives = scores.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 { Err(ScoreError::OneClass) } else { Ok(wins / (positives * negatives)) }
}

/// `Σ (R_k - R_{k-1}) P_k` over the distinct scores from the highest down: the average precision.
///
/// # Errors
/// As [`roc_auc`], but only class 1 must be there.
pub fn average_precision(is_positive: &[bool], scores: &[f64]) -> Result<f64, ScoreError> {
    let groups = ranked(is_positive, scores)?;
    let (mut positives, mut rows, mut area) = (0.0, 0.0, 0.0);
    for (in_group, others) in groups {
        positives += in_group;
        rows += in_group + others;
        area += in_group * (positives / rows);
    }
    if positives == 0.0 { Err(ScoreError::OneClass) } else { Ok(area / positives) }
}

/// Mean of `-log P` over the rows, where `P` is the probability that was given to the class of the row.
///
/// Probabilities are kept at least one resolution away from 0, so that one wrong certainty is not infinite.
///
/// # Errors
/// [`ScoreError`] if there are no rows or a probability is not finite.
pub fn log_loss(probability_of_class: &[f64]) -> Result<f64, ScoreError> {
    check(probability_of_class, probability_of_class)?;
    let losses = probability_of_class.iter().map(|p| -libm::log(p.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)));
    Ok(losses.sum::<f64>() / probability_of_class.len() as f64)
}

impl Confusion {
    /// Counts rows of classes `0..class_count`.
    ///
    /// # Errors
    /// [`ScoreError`] if there are no rows, the lengths differ, or a class is not below `class_count`
    /// and [`CLASSES_MAX`].
    pub fn new(classes: &[usize], predictions: &[usize], class_count: usize) -> Result<Self, ScoreError> {
        check_lengths(classes.len(), predictions.len())?;
        let class_count = class_count.clamp(1, CLASSES_MAX);
        let mut counts = vec![vec![0; class_count]; class_count];
        for (row, (class, predicted)) in classes.iter().zip(predictions).enumerate() {
            let class_of_both = *class.max(predicted);
            if class_of_both >= class_count {
                return Err(ScoreError::UnknownClass { row, class: class_of_both, max: class_count - 1 });
            }
            counts[*class][*predicted] += 1;
        }
        Ok(Self { counts })
    }

    /// These rows by class, then by predicted class, as many of each.
    ///
    /// # Panics
    /// If the matrix is not square.
    #[must_use]
    pub fn from_counts(counts: Vec<Vec<u64>>) -> Self {
        assert!(counts.iter().all(|row| row.len() == counts.len()), "a row and a column for each class");
        Self { counts }
    }

    /// Rows by class, then by predicted class.
    #[must_use]
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Part of the rows whose class was predicted.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.diagonal().sum(), self.counts.iter().flatten().sum())
    }

    /// Mean recall of the classes that have rows.
    #[must_use]
    pub fn balanced_accuracy(&self) -> f64 {
        let present: Vec<usize> = (0..self.counts.len()).filter(|class| self.support(*class) > 0).collect();
        present.iter().map(|class| self.class(*class).recall).sum::<f64>() / present.len() as f64
    }

    /// Precision, recall and F1 of one class against all others.
    ///
    /// # Panics
    /// If there is no such class.
    #[must_use]
    pub fn class(&self, class: usize) -> ClassScores {
        scores(self.counts[class][class], self.predicted(class), self.support(class))
    }

    /// Precision, recall and F1 over the classes that occur among the rows or the predictions.
    #[must_use]
    pub fn average(&self, average: Average) -> ClassScores {
        let rows = self.counts.iter().flatten().sum::<u64>();
        if average == Average::Micro {
            return scores(self.diagonal().sum(), rows, rows);
        }
        let present = (0..self.counts.len()).filter(|class| self.support(*class) + self.predicted(*class) > 0);
        let weighed: BTreeMap<usize, f64> = match average {
            Average::Weighted => present.map(|class| (class, self.support(class) as f64)).collect(),
            Average::Macro | Average::Micro => present.map(|class| (class, 1.0)).collect(),
        };
        let whole: f64 = weighed.values().sum();
        weighed.iter().fold(ClassScores::default(), |sum, (class, weight)| {
            let (part, of_class) = (weight / whole, self.class(*class));
            ClassScores {
                precision: sum.precision + part * of_class.precision,
                recall: sum.recall + part * of_class.recall,
                f1: sum.f1 + part * of_class.f1,
            }
        })
    }

    fn diagonal(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().enumerate().map(|(class, row)| row[class])
    }

    /// Rows of a class.
    fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Rows called to be of a class.
    fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }
}

fn scores(right: u64, predicted: u64, support: u64) -> ClassScores {
    ClassScores {
        precision: ratio(right, predicted),
        recall: ratio(right, support),
        f1: ratio(2 * right, predicted + support),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `1 - left / whole`, where a whole of 0 is explained entirely or not at all.
fn explained(left: f64, whole: f64) -> f64 {
    match whole > 0.0 {
        true => 1.0 - left / whole,
        false if left == 0.0 => 1.0,
        false => 0.0,
    }
}

/// `Σ (v - mean v)²`.
fn variation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean) * (value - mean)).sum()
}

/// For each distinct score from the highest down: its rows of class 1, and its others.
fn ranked(is_positive: &[bool], scores: &[f64]) -> Result<Vec<(f64, f64)>, ScoreError> {
    check_lengths(is_positive.len(), scores.len())?;
    check_finite(scores)?;
    let mut rows: Vec<(f64, bool)> = scores.iter().copied().zip(is_positive.iter().copied()).collect();
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let counts = |group: &[(f64, bool)]| {
        let positives = group.iter().filter(|(_, positive)| *positive).count();
        (positives as f64, (group.len() - positives) as f64)
    };
    Ok(rows.chunk_by(|a, b| a.0 == b.0).map(counts).collect())
}

fn check(targets: &[f64], predictions: &[f64]) -> Result<(), ScoreError> {
    check_lengths(targets.len(), predictions.len())?;
    check_finite(targets)?;
    check_finite(predictions)
}

fn check_lengths(targets: usize, predictions: usize) -> Result<(), ScoreError> {
    match targets {
        _ if targets != predictions => Err(ScoreError::LengthMismatch { targets, predictions }),
        0 => Err(ScoreError::NoRows),
        _ => Ok(()),
    }
}

fn check_finite(values: &[f64]) -> Result<(), ScoreError> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((row, value)) => Err(ScoreError::NotFinite { row, value: *value }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regression_scores_are_those_computed_by_hand() {
        // Errors y - p: -1, 1, 1, 3; mean 1, squares 12, around their mean 8; targets vary by 20.
        let scores = regression(&[1.0, 3.0, 5.0, 7.0], &[2.0, 2.0, 4.0, 4.0]).unwrap();
        assert_eq!((scores.mean_squared_error, scores.mean_absolute_error), (3.0, 1.5));
        assert_eq!(scores.root_mean_squared_error, 3.0_f64.sqrt());
        assert_eq!((scores.r2, scores.explained_variance), (1.0 - 12.0 / 20.0, 1.0 - 8.0 / 20.0));
    }

    #[test]
    fn a_constant_target_is_explained_entirely_or_not_at_all() {
        assert_eq!(regression(&[2.0, 2.0], &[2.0, 2.0]).unwrap().r2, 1.0);
        let shifted = regression(&[2.0, 2.0], &[3.0, 3.0]).unwrap();
        assert_eq!((shifted.r2, shifted.explained_variance), (0.0, 1.0));
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs_and_ties_half() {
        // Pairs (class 1, class 0): 0.8 beats both, 0.4 beats 0.1 and ties with 0.4.
        let positive = [false, true, true, false];
        assert_eq!(roc_auc(&positive, &[0.1, 0.8, 0.4, 0.4]), Ok(3.5 / 4.0));
        assert_eq!(roc_auc(&positive, &[0.9, 0.1, 0.2, 0.8]), Ok(0.0));
        assert_eq!(roc_auc(&[true, true], &[0.1, 0.2]), Err(ScoreError::OneClass));
        assert_eq!(roc_auc(&[false, false], &[0.1, 0.2]), Err(ScoreError::OneClass));
    }

    #[test]
    fn the_average_precision_steps_down_the_distinct_scores() {
        // 0.9 hit (1/1), 0.5 hit and miss (2/3), 0.1 hit (3/4), each a third of the recall.
        let (positive, scores) = ([true, true, false, true], [0.9, 0.5, 0.5, 0.1]);
        let expected = (1.0 + 2.0 / 3.0 + 3.0 / 4.0) / 3.0;
        assert!((average_precision(&positive, &scores).unwrap() - expected).abs() < 1e-15);
        assert_eq!(average_precision(&[false], &[0.1]), Err(ScoreError::OneClass));
    }

    #[test]
    fn a_wrong_certainty_costs_much_and_not_infinitely() {
        let loss = log_loss(&[0.5, 0.25]).unwrap();
        assert!((loss - (2.0_f64.ln() + 4.0_f64.ln()) / 2.0).abs() < 1e-15);
        assert!((log_loss(&[0.0]).unwrap() - 52.0 * 2.0_f64.ln()).abs() < 1e-12);
    }

    /// Rows by class and prediction: (0, 0) twice, (0, 1), (1, 1), (1, 2), (2, 2) three times.
    fn confusion() -> Confusion {
        Confusion::new(&[0, 0, 0, 1, 1, 2, 2, 2], &[0, 0, 1, 1, 2, 2, 2, 2], 3).unwrap()
    }

    #[test]
    fn classes_are_scored_by_hand() {
        let confusion = confusion();
        assert_eq!(confusion.counts(), [[2, 1, 0], [0, 1, 1], [0, 0, 3]]);
        assert_eq!(confusion.accuracy(), 0.75);
        assert!((confusion.balanced_accuracy() - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-15);
        assert_eq!(confusion.class(0), ClassScores { precision: 1.0, recall: 2.0 / 3.0, f1: 0.8 });
        assert_eq!(confusion.class(2), ClassScores { precision: 0.75, recall: 1.0, f1: 6.0 / 7.0 });
    }

    #[test]
    fn averages_weigh_classes_rows_or_both() {
        let confusion = confusion();
        let of = |average| confusion.average(average);
        assert_eq!(of(Average::Micro), ClassScores { precision: 0.75, recall: 0.75, f1: 0.75 });
        assert!((of(Average::Macro).precision - (1.0 + 0.5 + 0.75) / 3.0).abs() < 1e-15);
        assert!((of(Average::Macro).f1 - (0.8 + 0.5 + 6.0 / 7.0) / 3.0).abs() < 1e-15);
        assert!((of(Average::Weighted).precision - (3.0 + 2.0 * 0.5 + 3.0 * 0.75) / 8.0).abs() < 1e-15);
        assert!((of(Average::Weighted).recall - 0.75).abs() < 1e-15);
    }

    #[test]
    fn a_class_that_never_occurs_does_not_count() {
        let confusion = Confusion::new(&[0, 1], &[0, 0], 4).unwrap();
        assert_eq!(confusion.average(Average::Macro).recall, 0.5);
        assert_eq!((confusion.balanced_accuracy(), confusion.class(3)), (0.5, ClassScores::default()));
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        assert_eq!(regression(&[], &[]), Err(ScoreError::NoRows));
        let lengths = ScoreError::LengthMismatch { targets: 1, predictions: 2 };
        assert_eq!(regression(&[1.0], &[1.0, 2.0]), Err(lengths.clone()));
        assert_eq!(roc_auc(&[true], &[1.0, 2.0]), Err(lengths));
        assert!(matches!(roc_auc(&[true, false], &[1.0, f64::NAN]), Err(ScoreError::NotFinite { row: 1, .. })));
        assert!(matches!(log_loss(&[f64::NAN]), Err(ScoreError::NotFinite { row: 0, .. })));
        let unknown = ScoreError::UnknownClass { row: 1, class: 2, max: 1 };
        assert_eq!(Confusion::new(&[0, 1], &[0, 2], 2), Err(unknown));
    }
}
