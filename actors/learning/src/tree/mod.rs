//! Decision trees: how they are grown, and what they say of a row.
//!
//! `grow` takes rows that are at hand, `histogram` sums of rows that are elsewhere; what brings either is the training
//! program's.

mod gather;
mod grow;
mod response;

pub mod ensemble;
pub mod histogram;

pub use gather::{GatheredRows, TooManyValues, Window};
pub use grow::grow;

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

/// Most training values, targets included, from which a tree is grown: 16 MiB at the coordinator.
pub const TREE_VALUES_MAX: usize = 1 << 21;

/// Part by which a cut must be better than one of an earlier feature or a lower threshold: less is the noise of sums that
/// were added in another order.
const TIE: f64 = 1e-12;

/// Where a tree is grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeMethod {
    /// Exact if the training rows are few enough for the coordinator, otherwise from histograms.
    #[default]
    Auto,
    /// At the coordinator, from the rows themselves: every cut between two values is looked at.
    Exact,
    /// Where the rows are, from sums over bins of features.
    Histogram,
}

/// Where a tree is grown, and why there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeChoice {
    /// Exact or from histograms.
    pub method: TreeMethod,
    /// For people.
    pub reason: String,
}

/// How the rows of a node differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// `1 - Σ p_k²`.
    Gini,
    /// `-Σ p_k log₂ p_k`.
    Entropy,
    /// `Σ (y - mean y)² / n`.
    SquaredError,
}

/// When a tree stops growing, in scikit-learn's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeSettings {
    /// How the rows of a node differ; `gini` for classes and `squared_error` for numbers if not given.
    pub criterion: Option<Criterion>,
    /// Most splits on the way to a leaf.
    pub max_depth: Option<usize>,
    /// Least rows of a node that is split.
    pub min_samples_split: usize,
    /// Least rows of a leaf.
    pub min_samples_leaf: usize,
    /// Least part of the whole impurity that a split takes away.
    pub min_impurity_decrease: f64,
    /// Most leaves; the splits that take away most are made first.
    pub max_leaf_nodes: Option<usize>,
    /// Where it is grown.
    pub method: TreeMethod,
    /// Most bins of a feature, if it is grown from histograms.
    pub max_bins: usize,
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self {
            criterion: None,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            min_impurity_decrease: 0.0,
            max_leaf_nodes: None,
            method: TreeMethod::Auto,
            max_bins: histogram::BINS_MAX,
        }
    }
}

/// A binary tree; the first node is its root. The fields stand in alphabetical order, as in all of a model's bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Classes of the target; 0 for a number.
    pub class_count: usize,
    /// A node stands before its children.
    pub nodes: Vec<TreeNode>,
}

/// What the training rows of a node have in common, and how they are split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeNode {
    /// How they differ.
    pub impurity: f64,
    /// How many there are.
    pub rows: usize,
    /// Of a leaf nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<TreeSplit>,
    /// The mean of their targets, or the part of each class.
    pub value: Vec<f64>,
}

/// A value as trees see it: with 32 bits, as in scikit-learn, so that rows on a threshold fall where they fall there.
fn rounded(value: f64) -> f64 {
    f64::from(value as f32)
}

/// The middle, or the lower value where there is no number between the two.
fn between(below: f64, above: f64) -> f64 {
    let middle = below / 2.0 + above / 2.0;
    if below < middle && middle < above { middle } else { below }
}

/// Each as a part of their sum; all stay 0 if they are.
fn as_parts(importances: &mut [f64]) {
    let whole: f64 = importances.iter().sum();
    if whole > 0.0 {
        importances.iter_mut().for_each(|importance| *importance /= whole);
    }
}

/// Rows of at most the threshold go left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TreeSplit {
    /// Position of the feature.
    pub feature: usize,
    /// Position of the left child.
    pub left: usize,
    /// Position of the right child.
    pub right: usize,
    /// Between the two values that it divides.
    pub threshold: f64,
}

impl TreeChoice {
    /// What a job asks for, over so many training rows and features.
    #[must_use]
    pub fn new(asked: TreeMethod, rows: usize, features: usize) -> Self {
        let values = rows.saturating_mul(features + 1);
        let (method, reason) = match asked {
            TreeMethod::Auto if values <= TREE_VALUES_MAX => {
                let reason =
                    format!("{values} training values are at most {TREE_VALUES_MAX}: the rows come to the coordinator");
                (TreeMethod::Exact, reason)
            }
            TreeMethod::Auto => {
                let reason =
                    format!("{values} training values are more than {TREE_VALUES_MAX}: the rows stay where they are");
                (TreeMethod::Histogram, reason)
            }
            asked => (asked, "the job says so".to_owned()),
        };
        Self { method, reason }
    }
}

impl Tree {
    /// The leaf of a row that has as many features as the rows that the tree was grown from.
    #[must_use]
    pub fn leaf(&self, row: ArrayView1<'_, f64>) -> &TreeNode {
        let mut node = &self.nodes[0];
        while let Some(split) = &node.split {
            node = &self.nodes[if rounded(row[split.feature]) <= split.threshold { split.left } else { split.right }];
        }
        node
    }

    /// Leaves.
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.nodes.iter().filter(|node| node.split.is_none()).count()
    }

    /// Splits on the way to the deepest leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut depths = vec![0; self.nodes.len()];
        for (position, node) in self.nodes.iter().enumerate() {
            for child in node.children() {
                depths[child] = depths[position] + 1;
            }
        }
        depths.into_iter().max().unwrap_or(0)
    }

    /// The part that each of so many features has in what all splits take away; all 0 of a tree without splits.
    #[must_use]
    pub fn importances(&self, feature_count: usize) -> Vec<f64> {
        let mut importances = vec![0.0; feature_count];
        self.add_importances(&mut importances);
        as_parts(&mut importances);
        importances
    }

    /// Adds what the splits take away to the places of their features.
    fn add_importances(&self, importances: &mut [f64]) {
        let weight = |node: &TreeNode| node.rows as f64 * node.impurity;
        for node in &self.nodes {
            if let Some(split) = &node.split {
                let below = weight(&self.nodes[split.left]) + weight(&self.nodes[split.right]);
                importances[split.feature] += weight(node) - below;
            }
        }
    }

    /// The mean impurity of the leaves, by their rows: what is left of the root's.
    #[must_use]
    pub fn remaining_impurity(&self) -> f64 {
        let leaves = self.nodes.iter().filter(|node| node.split.is_none());
        leaves.map(|leaf| leaf.rows as f64 * leaf.impurity).sum::<f64>() / self.nodes[0].rows as f64
    }

    /// Whether rows of `feature_count` features can go through it: a file may have been written by hand.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, feature_count: usize) -> Result<(), String> {
        let mut parents = vec![0_usize; self.nodes.len()];
        if self.nodes.is_empty() {
            return Err("a tree without nodes".to_owned());
        }
        for (position, node) in self.nodes.iter().enumerate() {
            if node.value.len() != self.class_count.max(1) {
                return Err(format!("node {position} has {} values", node.value.len()));
            }
            if node.split.is_some_and(|split| split.feature >= feature_count) {
                return Err(format!("node {position} asks for a feature that is not there"));
            }
            for child in node.children() {
                // A child behind its parent, and of one parent only: every row comes to a leaf.
                match parents.get_mut(child).filter(|_| child > position) {
                    Some(count) => *count += 1,
                    None => return Err(format!("node {child} is no child for node {position}")),
                }
            }
        }
        match parents.iter().enumerate().find(|(position, count)| **count != usize::from(*position > 0)) {
            Some((position, count)) => Err(format!("node {position} has {count} parents")),
            None => Ok(()),
        }
    }
}

impl TreeNode {
    fn children(&self) -> impl Iterator<Item = usize> {
        self.split.into_iter().flat_map(|split| [split.left, split.right])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn leaf(value: f64, rows: usize, impurity: f64) -> TreeNode {
        TreeNode { impurity, rows, split: None, value: vec![value] }
    }

    fn split(feature: usize, threshold: f64, left: usize, right: usize) -> Option<TreeSplit> {
        Some(TreeSplit { feature, left, right, threshold })
    }

    /// Feature 1 at 2, and on its right feature 0 at -1.
    fn tree() -> Tree {
        let root = TreeNode { split: split(1, 2.0, 1, 2), ..leaf(0.0, 10, 8.0) };
        let right = TreeNode { split: split(0, -1.0, 3, 4), ..leaf(0.0, 6, 5.0) };
        Tree { class_count: 0, nodes: vec![root, leaf(1.0, 4, 2.0), right, leaf(2.0, 3, 0.0), leaf(3.0, 3, 2.0)] }
    }

    #[test]
    fn a_row_of_the_threshold_goes_left() {
        let of = |row: [f64; 2]| tree().leaf(array![row[0], row[1]].view()).value[0];
        assert_eq!([of([9.0, 2.0]), of([-1.0, 2.5]), of([-0.5, 2.5])], [1.0, 2.0, 3.0]);
        assert_eq!((tree().depth(), tree().leaf_count()), (2, 3));
    }

    #[test]
    fn what_32_bits_do_not_tell_apart_goes_the_same_way() {
        let mut tree = tree();
        tree.nodes[0].split = split(1, rounded(0.1), 1, 2);
        let of = |value: f64| tree.leaf(array![9.0, value].view()).value[0];
        assert_eq!([of(0.1), of(0.1 + 1e-9), of(0.100_001)], [1.0, 1.0, 3.0]);
    }

    #[test]
    fn importances_are_what_splits_take_away() {
        // The root takes 80 - 8 - 30, the other split 30 - 0 - 6.
        assert_eq!(tree().importances(3), [24.0 / 66.0, 42.0 / 66.0, 0.0]);
        assert_eq!(tree().remaining_impurity(), (8.0 + 6.0) / 10.0);
        assert_eq!(Tree { class_count: 0, nodes: vec![leaf(1.0, 4, 0.0)] }.importances(1), [0.0]);
    }

    #[test]
    fn a_tree_in_which_a_row_could_get_lost_is_refused() {
        assert_eq!(tree().check(2), Ok(()));
        let spoiled: [fn(&mut Tree); 7] = [
            |tree| tree.nodes.clear(),
            |tree| tree.nodes[1].value.clear(),
            |tree| tree.class_count = 2,
            |tree| tree.nodes[0].split = split(2, 0.0, 1, 2),
            |tree| tree.nodes[2].split = split(0, 0.0, 0, 4),
            |tree| tree.nodes[2].split = split(0, 0.0, 3, 3),
            |tree| tree.nodes[2].split = split(0, 0.0, 3, 5),
        ];
        for (which, spoil) in spoiled.into_iter().enumerate() {
            let mut tree = tree();
            spoil(&mut tree);
            assert!(tree.check(2).is_err(), "{which}");
        }
    }
}
