//! Sums for trees: rows on their way to where a tree is grown, and how a tree does on rows.

use super::classes::class_number;
use super::{BlockView, KernelError, REGRESSION_SUMS, check_shape, class_outcome_sums, largest};
use crate::tree::ensemble::FlatEnsemble;
use crate::tree::{Tree, Window};

/// Least probability in a log loss: the resolution of a 64-bit number.
const PROBABILITY_MIN: f64 = f64::EPSILON;

/// Of each row of the window its features and its target, or zeros if it is not of this block, whose first row is `start`.
///
/// # Errors
/// [`KernelError::Class`] if there are classes and a target is none.
pub fn window_rows(
    block: BlockView<'_>,
    start: usize,
    window: Window,
    class_count: usize,
) -> Result<Vec<f64>, KernelError> {
    let width = block.feature_count() + 1;
    let mut values = vec![0.0; window.rows * width];
    for (index, (row, target)) in block.rows().enumerate() {
        if class_count > 0 {
            class_number(target, class_count, index)?;
        }
        let Some(place) = (start + index).checked_sub(window.from).filter(|place| *place < window.rows) else {
            continue;
        };
        let of_row = &mut values[place * width..(place + 1) * width];
        of_row[..width - 1].copy_from_slice(row);
        of_row[width - 1] = target;
    }
    Ok(values)
}

/// The sums of [`super::class_outcomes`] of a tree of classes, or of [`super::regression_sums`] of one of numbers.
///
/// A probability of 0 counts as the resolution of a number in the log loss, as in scikit-learn.
///
/// # Errors
/// [`KernelError::ShapeMismatch`] if the tree does not fit; [`KernelError::Class`] if a target is no class.
pub fn tree_outcomes(block: BlockView<'_>, tree: &Tree, target_mean: f64) -> Result<Vec<f64>, KernelError> {
    let fits = tree.check(block.feature_count()).is_ok();
    check_shape("features of the tree", block.feature_count(), if fits { block.feature_count() } else { 0 })?;
    let mut sums = vec![0.0; outcome_sums(tree.class_count)];
    for (index, (row, target)) in block.rows().enumerate() {
        let value = &tree.leaf(row.into()).value;
        add_outcome(&mut sums, value, (target, target_mean), tree.class_count, index)?;
    }
    Ok(sums)
}

/// The same of many trees.
///
/// # Errors
/// As [`tree_outcomes`].
pub fn ensemble_outcomes(
    block: BlockView<'_>,
    ensemble: &FlatEnsemble,
    target_mean: f64,
) -> Result<Vec<f64>, KernelError> {
    let fits = ensemble.is_sound(block.feature_count());
    check_shape("features of the trees", block.feature_count(), if fits { block.feature_count() } else { 0 })?;
    let class_count = ensemble.class_count();
    let (mut sums, mut scores) = (vec![0.0; outcome_sums(class_count)], Vec::new());
    for (index, (row, target)) in block.rows().enumerate() {
        ensemble.scores(row, &mut scores);
        add_outcome(&mut sums, &scores, (target, target_mean), class_count, index)?;
    }
    Ok(sums)
}

/// Adds what a row is told to be beside what it is.
fn add_outcome(
    sums: &mut [f64],
    value: &[f64],
    (target, target_mean): (f64, f64),
    class_count: usize,
    row: usize,
) -> Result<(), KernelError> {
    if class_count == 0 {
        let error = value[0] - target;
        let terms = [1.0, error * error, error.abs(), (target - target_mean) * (target - target_mean)];
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    } else {
        let class = class_number(target, class_count, row)?;
        sums[0] -= libm::log(value[class].max(PROBABILITY_MIN));
        sums[1 + class * class_count + largest(value)] += 1.0;
    }
    Ok(())
}

/// Number of sums of [`tree_outcomes`] and [`ensemble_outcomes`] of so many classes, or of a number if there are none.
#[must_use]
pub fn outcome_sums(class_count: usize) -> usize {
    if class_count == 0 { REGRESSION_SUMS } else { class_outcome_sums(class_count) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::tree::{TreeSettings, grow};

    #[test]
    fn a_block_fills_its_part_of_a_window() {
        let (x, y) = (array![[1.0], [2.0], [3.0]], array![0.0, 1.0, 2.0]);
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let rows = |start, from| window_rows(block, start, Window { from, rows: 2 }, 3).unwrap();
        assert_eq!(rows(10, 11), [2.0, 1.0, 3.0, 2.0]);
        assert_eq!(rows(10, 12), [3.0, 2.0, 0.0, 0.0]);
        assert_eq!(rows(10, 9), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(rows(10, 13), [0.0; 4]);
        let error = window_rows(block, 10, Window { from: 0, rows: 1 }, 2).unwrap_err();
        assert_eq!(error, KernelError::Class { value: 2.0, row: 2, class_count: 2 });
    }

    #[test]
    fn outcomes_are_those_computed_by_hand() {
        let (x, y) = (array![[1.0], [2.0], [3.0], [4.0]], array![0.0, 1.0, 1.0, 1.0]);
        let settings = TreeSettings { max_depth: Some(1), min_samples_leaf: 2, ..TreeSettings::default() };
        let block = BlockView::new(x.view(), y.view()).unwrap();
        let classes = grow(x.view(), y.as_slice().unwrap(), 2, &settings);
        // Left one of each class: a tie, which the first takes; right both of class 1.
        let sums = tree_outcomes(block, &classes, 0.0).unwrap();
        assert_eq!(sums, [2.0 * std::f64::consts::LN_2, 1.0, 0.0, 1.0, 2.0]);
        let numbers = grow(x.view(), y.as_slice().unwrap(), 0, &settings);
        assert_eq!(tree_outcomes(block, &numbers, 0.75).unwrap(), [4.0, 0.5, 1.0, 0.75]);
        let wide = array![[1.0, 2.0]];
        let other = grow(wide.view(), &[1.0], 0, &settings);
        assert!(tree_outcomes(block, &other, 0.0).is_ok(), "a single leaf asks for no feature");
    }

    #[test]
    fn what_a_tree_has_never_seen_costs_no_more_than_a_number_resolves() {
        let (x, y) = (array![[1.0]], array![1.0]);
        let never = grow(x.view(), &[0.0], 2, &TreeSettings::default());
        let sums = tree_outcomes(BlockView::new(x.view(), y.view()).unwrap(), &never, 0.0).unwrap();
        assert_eq!(sums[0], 52.0 * std::f64::consts::LN_2);
    }
}
