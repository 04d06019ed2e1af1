//! Grows a tree: each node is cut where the least impurity is left.
//!
//! The rows of each feature are sorted once; a node is a range of every such order, and a split divides all of them
//! stably. So the tree depends on the rows and their order alone.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::response::{Response, Summary};
use super::{TIE, Tree, TreeNode, TreeSettings, TreeSplit, between, rounded};

/// Grows a tree from rows of shape `[rows, features]` and their targets, numbers of `class_count` classes, or numbers
/// if that is 0. Features count with 32 bits. Of equal cuts the one of the first feature is made, and of its lowest threshold.
///
/// # Panics
/// If there is no row, or not one target for each.
///
/// # Source
/// Breiman, Friedman, Olshen, Stone, *Classification and Regression Trees*, 1984; the rules for stopping are those of
/// scikit-learn's `DecisionTreeClassifier`.
#[must_use]
pub fn grow(x: ArrayView2<'_, f64>, targets: &[f64], class_count: usize, settings: &TreeSettings) -> Tree {
    assert!(!targets.is_empty() && x.nrows() == targets.len(), "there is one target for each of some rows");
    let response = Response::new(targets, class_count, settings.criterion);
    let x = x.mapv(rounded);
    let mut grower = Grower {
        response,
        settings,
        orders: (0..x.ncols()).map(|feature| sorted(x.column(feature))).collect(),
        all: (0..x.nrows()).map(as_row).collect(),
        is_left: vec![false; x.nrows()],
        nodes: Vec::new(),
        x,
    };
    let root = Range { start: 0, end: targets.len(), depth: 0, parent: None };
    match settings.max_leaf_nodes {
        None => grower.grow_all(root),
        Some(leaves) => grower.grow_best(root, leaves),
    }
    Tree { class_count, nodes: grower.nodes }
}

fn as_row(row: usize) -> u32 {
    u32::try_from(row).expect("a tree is grown from few values")
}

/// The rows by their value of a feature, those of one value in their own order.
fn sorted(column: ArrayView1<'_, f64>) -> Vec<u32> {
    let mut rows: Vec<u32> = (0..column.len()).map(as_row).collect();
    rows.sort_by(|a, b| column[*a as usize].total_cmp(&column[*b as usize]));
    rows
}

struct Grower<'a> {
    x: Array2<f64>,
    response: Response,
    settings: &'a TreeSettings,
    /// The rows by each feature; those of a node stand together.
    orders: Vec<Vec<u32>>,
    /// The rows in their own order; those of a node stand together.
    all: Vec<u32>,
    is_left: Vec<bool>,
    nodes: Vec<TreeNode>,
}

/// Rows that stand together, and are to be a node.
#[derive(Clone, Copy)]
struct Range {
    start: usize,
    end: usize,
    depth: usize,
    /// The node above, and whether this one is on its left.
    parent: Option<(usize, bool)>,
}

/// A node that can be split, and how.
struct Open {
    node: usize,
    range: Range,
    cut: Cut,
    /// The part of the whole impurity that the split takes away.
    gain: f64,
}

#[derive(Clone, Copy)]
struct Cut {
    feature: usize,
    /// Rows that go left.
    left_rows: usize,
    threshold: f64,
    score: f64,
}

impl Grower<'_> {
    /// Adds a node of these rows; what can be done with it, unless it is a leaf.
    fn add(&mut self, range: Range) -> Option<Open> {
        let Range { start, end, depth, parent } = range;
        let Summary { value, impurity } = self.response.summary(&self.all[start..end]);
        let (node, rows, mean) = (self.nodes.len(), end - start, value[0]);
        self.nodes.push(TreeNode { impurity, rows, split: None, value });
        if let Some((parent, is_left)) = parent {
            let split = self.nodes[parent].split.as_mut().expect("a node with children is split");
            *(if is_left { &mut split.left } else { &mut split.right }) = node;
        }
        let TreeSettings { max_depth, min_samples_split, min_samples_leaf, .. } = *self.settings;
        let is_leaf = max_depth.is_some_and(|max| depth >= max)
            || rows < min_samples_split
            || rows < 2 * min_samples_leaf
            || impurity <= f64::EPSILON;
        if is_leaf {
            return None;
        }
        let cut = self.best_cut(start, end, mean)?;
        let gain = self.gain(start, end, impurity, &cut);
        let is_worth_it = gain + f64::EPSILON >= self.settings.min_impurity_decrease;
        is_worth_it.then_some(Open { node, range, cut, gain })
    }

    fn best_cut(&self, start: usize, end: usize, mean: f64) -> Option<Cut> {
        let mut best: Option<Cut> = None;
        let least = self.settings.min_samples_leaf;
        for (feature, order) in self.orders.iter().enumerate() {
            let (rows, column) = (&order[start..end], self.x.column(feature));
            self.response.cuts(rows, mean, |at, score| {
                let (below, above) = (column[rows[at - 1] as usize], column[rows[at] as usize]);
                let is_possible = below < above && at >= least && rows.len() - at >= least;
                let is_better = best.is_none_or(|best| score - best.score > TIE * best.score.abs());
                if is_possible && is_better {
                    best = Some(Cut { feature, left_rows: at, threshold: between(below, above), score });
                }
            });
        }
        best
    }

    fn gain(&self, start: usize, end: usize, impurity: f64, cut: &Cut) -> f64 {
        let order = &self.orders[cut.feature];
        let (left, right) = order[start..end].split_at(cut.left_rows);
        let of = |rows: &[u32]| rows.len() as f64 * self.response.summary(rows).impurity;
        ((end - start) as f64 * impurity - of(left) - of(right)) / self.all.len() as f64
    }

    /// Makes the split; its two sides are to be nodes.
    fn split(&mut self, open: &Open) -> [Range; 2] {
        let Open { node, range: Range { start, end, depth, .. }, cut, .. } = *open;
        for (position, row) in self.orders[cut.feature][start..end].iter().enumerate() {
            self.is_left[*row as usize] = position < cut.left_rows;
        }
        let is_left = &self.is_left;
        for order in self.orders.iter_mut().chain([&mut self.all]) {
            let rows = &mut order[start..end];
            let (left, right): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| is_left[**row as usize]);
            rows[..left.len()].copy_from_slice(&left);
            rows[left.len()..].copy_from_slice(&right);
        }
        let (middle, depth) = (start + cut.left_rows, depth + 1);
        // The children are told when they are nodes.
        self.nodes[node].split = Some(TreeSplit { feature: cut.feature, left: 0, right: 0, threshold: cut.threshold });
        [
            Range { start, end: middle, depth, parent: Some((node, true)) },
            Range { start: middle, end, depth, parent: Some((node, false)) },
        ]
    }

    /// Splits wherever that may be; nodes stand in the order of a walk that goes left first.
    fn grow_all(&mut self, root: Range) {
        let mut ranges = vec![root];
        while let Some(range) = ranges.pop() {
            if let Some(open) = self.add(range) {
                let [left, right] = self.split(&open);
                ranges.extend([right, left]);
            }
        }
    }

    /// Makes the split that gains most, until there are so many leaves.
    fn grow_best(&mut self, root: Range, leaves: usize) {
        let mut open: BinaryHeap<Open> = self.add(root).into_iter().collect();
        let mut leaf_count = 1;
        while let Some(next) = open.pop().filter(|_| leaf_count < leaves) {
            for side in self.split(&next) {
                open.extend(self.add(side));
            }
            leaf_count += 1;
        }
    }
}

/// By gain, and of equal gain the earlier node.
impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Open {}

#[cfg(test)]
#[path = "grow_test.rs"]
mod tests;
