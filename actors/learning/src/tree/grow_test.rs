//! Growing, beside a naive twin that looks at every cut of every node.

use ndarray::{Axis, array};
use proptest::prelude::*;

use super::*;
use crate::tree::Criterion;

fn impurity_of(targets: &[f64], class_count: usize, criterion: Option<Criterion>) -> f64 {
    let rows: Vec<u32> = (0..targets.len()).map(as_row).collect();
    Response::new(targets, class_count, criterion).summary(&rows).impurity
}

/// The least impurity that any cut leaves, as a sum over rows.
fn least_left(x: &Array2<f64>, targets: &[f64], class_count: usize, settings: &TreeSettings) -> Option<f64> {
    let mut least: Option<f64> = None;
    for column in x.columns() {
        for threshold in column {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            for (value, target) in column.iter().zip(targets) {
                if value <= threshold { left.push(*target) } else { right.push(*target) }
            }
            if left.len().min(right.len()) < settings.min_samples_leaf.max(1) {
                continue;
            }
            let of = |side: &[f64]| side.len() as f64 * impurity_of(side, class_count, settings.criterion);
            let both = of(&left) + of(&right);
            least = Some(least.map_or(both, |least| least.min(both)));
        }
    }
    least
}

/// The rows of each node, found by sending all rows down the tree.
fn rows_of(tree: &Tree, x: &Array2<f64>) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); tree.nodes.len()];
    for (number, row) in x.outer_iter().enumerate() {
        let mut at = 0;
        rows[at].push(number);
        while let Some(split) = tree.nodes[at].split {
            at = if row[split.feature] <= split.threshold { split.left } else { split.right };
            rows[at].push(number);
        }
    }
    rows
}

#[test]
fn a_step_is_found_in_one_split() {
    let x = array![[5.0, 1.0], [6.0, 2.0], [5.0, 3.0], [6.0, 4.0]];
    let tree = grow(x.view(), &[0.0, 0.0, 7.0, 7.0], 0, &TreeSettings::default());
    assert_eq!(tree.nodes.len(), 3);
    let split = tree.nodes[0].split.unwrap();
    assert_eq!((split.feature, split.threshold), (1, 2.5));
    assert_eq!((tree.nodes[1].value[0], tree.nodes[2].value[0]), (0.0, 7.0));
}

#[test]
fn of_equal_cuts_the_first_feature_and_the_lowest_threshold_are_taken() {
    let x = array![[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]];
    let tree = grow(x.view(), &[0.0, 1.0, 0.0], 2, &TreeSettings { max_depth: Some(1), ..TreeSettings::default() });
    let split = tree.nodes[0].split.unwrap();
    assert_eq!((split.feature, split.threshold), (0, 1.5));
}

#[test]
fn between_neighbours_the_threshold_is_the_lower_one() {
    let above = f64::from_bits(1.0_f64.to_bits() + 1);
    assert_eq!((between(1.0, 2.0), between(1.0, above), between(f64::MAX, f64::INFINITY)), (1.5, 1.0, f64::MAX));
    assert_eq!(between(-f64::MAX, f64::MAX), 0.0);
}

#[test]
fn a_limit_of_leaves_keeps_the_splits_that_gain_most() {
    // The cut at 2.5 gains most, then the one on its right.
    let x = array![[1.0], [2.0], [3.0], [4.0]];
    let settings = TreeSettings { max_leaf_nodes: Some(3), ..TreeSettings::default() };
    let tree = grow(x.view(), &[0.0, 1.0, 100.0, 110.0], 0, &settings);
    let thresholds: Vec<f64> = tree.nodes.iter().filter_map(|node| Some(node.split?.threshold)).collect();
    assert_eq!((tree.leaf_count(), thresholds), (3, vec![2.5, 3.5]));
}

#[test]
fn a_split_that_gains_too_little_is_not_made() {
    let x = array![[1.0], [2.0], [3.0], [4.0]];
    let tree = |least| {
        let settings = TreeSettings { min_impurity_decrease: least, ..TreeSettings::default() };
        grow(x.view(), &[0.0, 0.0, 1.0, 1.0], 2, &settings).leaf_count()
    };
    assert_eq!((tree(0.5), tree(0.500_001)), (2, 1));
}

fn any_settings() -> impl Strategy<Value = TreeSettings> {
    let criterion = prop_oneof![Just(None), Just(Some(Criterion::Entropy))];
    (criterion, prop::option::of(0..5_usize), 2..6_usize, 1..4_usize).prop_map(|(criterion, max_depth, split, leaf)| {
        TreeSettings {
            criterion,
            max_depth,
            min_samples_split: split,
            min_samples_leaf: leaf,
            ..TreeSettings::default()
        }
    })
}

proptest! {
    /// Every node has the rows that come to it, every split is a best one, and every leaf has a reason.
    #[test]
    fn every_split_leaves_the_least_impurity_and_every_leaf_must_be_one(
        cells in prop::collection::vec((0..6_u8, 0..6_u8, 0..3_u8), 1..30),
        class_count in prop_oneof![Just(0_usize), Just(3)],
        settings in any_settings(),
    ) {
        let x = Array2::from_shape_fn((cells.len(), 2), |(row, column)| {
            f64::from(if column == 0 { cells[row].0 } else { cells[row].1 })
        });
        let targets: Vec<f64> = cells.iter().map(|cell| f64::from(cell.2)).collect();
        let settings = TreeSettings { criterion: settings.criterion.filter(|_| class_count > 0), ..settings };
        let tree = grow(x.view(), &targets, class_count, &settings);
        prop_assert_eq!(tree.check(2), Ok(()));
        prop_assert!(settings.max_depth.is_none_or(|max| tree.depth() <= max));
        for (node, rows) in tree.nodes.iter().zip(rows_of(&tree, &x)) {
            let of_node: Vec<f64> = rows.iter().map(|row| targets[*row]).collect();
            prop_assert_eq!(node.rows, rows.len());
            prop_assert!((node.impurity - impurity_of(&of_node, class_count, settings.criterion)).abs() < 1e-12);
            let least = least_left(&x.select(Axis(0), &rows), &of_node, class_count, &settings);
            match node.split {
                Some(split) => {
                    prop_assert!(rows.len() >= settings.min_samples_split);
                    let of = |child: usize| tree.nodes[child].rows as f64 * tree.nodes[child].impurity;
                    prop_assert!(of(split.left) + of(split.right) <= least.unwrap() + 1e-9);
                }
                None => {
                    let is_deep = settings.max_depth == Some(0) || tree.depth() == settings.max_depth.unwrap_or(usize::MAX);
                    let is_small = rows.len() < settings.min_samples_split.max(2 * settings.min_samples_leaf);
                    prop_assert!(is_deep || is_small || node.impurity <= f64::EPSILON || least.is_none());
                }
            }
        }
    }
}
