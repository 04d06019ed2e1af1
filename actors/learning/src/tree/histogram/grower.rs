//! Grows one tree from sums of histograms: which are wanted next, and which cuts follow from them.
//!
//! Of two children only the one with fewer rows is summed; the other is the parent less that, which is exact. The cut that
//! gains most is made first. Cuts that come soon are prepared together, so that a pass has more than one node to sum; what
//! was prepared and is not made after all leaves no trace in the tree.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rows::chance_of;
use super::{Bins, FlatNode, FlatTree, Part, Rule, Shared};
use crate::tree::TIE;

/// Most leaves of a tree that is grown from histograms.
pub const LEAVES_MAX: usize = 1 << 15;
/// The stream of chance that draws features.
const FEATURES: u64 = 3;

/// When a tree stops growing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GrowLimits {
    /// Most splits on the way to a leaf.
    pub max_depth: Option<usize>,
    /// Most leaves.
    pub max_leaf_nodes: Option<usize>,
    /// Least rows of a node that is split.
    pub min_samples_split: usize,
    /// Least rows of a leaf.
    pub min_samples_leaf: usize,
    /// Least that a split takes away, summed over the rows of the node.
    pub min_gain: f64,
    /// How many features a node may choose from, drawn anew for each.
    pub max_features: Option<usize>,
    /// Decides what is drawn.
    pub seed: u64,
}

/// A tree without limits has grown too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("a tree has more than {LEAVES_MAX} leaves: lower max_depth or max_leaf_nodes, or raise min_samples_leaf")]
pub struct TooManyLeaves;

/// One tree that is growing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grower {
    /// Counts the trees of a job.
    number: usize,
    bins: Shared<Bins>,
    rule: Rule,
    limits: GrowLimits,
    /// What one of each sum stands for.
    units: Vec<f64>,
    nodes: Vec<Node>,
    /// Nodes whose histograms are to be summed.
    wanted: VecDeque<usize>,
    /// Of the first of them, the features that have come.
    come: usize,
    /// Nodes that may be cut, of the tree as it is made.
    front: BTreeSet<Open>,
    leaf_count: usize,
    is_done: bool,
}

/// A node of the tree as it was made.
#[derive(Debug, Clone, PartialEq)]
pub struct GrownNode {
    /// Feature, bin and left child, which the right one follows; of a leaf nothing.
    pub split: Option<(usize, usize, usize)>,
    /// Sums of its rows, in the units of the data.
    pub sums: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Node {
    depth: usize,
    /// As they come, in whole numbers.
    sums: Vec<f64>,
    /// Feature by feature and bin by bin; nothing if it is not wanted any more, or was never.
    histogram: Vec<f64>,
    sibling: Option<usize>,
    parent: Option<usize>,
    cut: Option<Cut>,
    /// The left child, if it was prepared.
    left: Option<usize>,
    is_made: bool,
    /// Whether it is known what can be done with it.
    is_judged: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cut {
    feature: usize,
    bin: usize,
    gain: f64,
    left: Vec<f64>,
}

/// A node that may be cut; of equal gain the earlier one is first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Open {
    node: usize,
    gain: f64,
}

impl Grower {
    /// A tree of which nothing is known.
    ///
    /// `units` are what one of each sum stands for.
    #[must_use]
    pub fn new(number: usize, bins: Arc<Bins>, rule: Rule, limits: GrowLimits, units: Vec<f64>) -> Self {
        let root = Node::new(0, vec![0.0; rule.width()], None);
        Self {
            number,
            bins: Shared(bins),
            rule,
            limits,
            units,
            nodes: vec![root],
            wanted: VecDeque::from([0]),
            come: 0,
            front: BTreeSet::new(),
            leaf_count: 1,
            is_done: false,
        }
    }

    /// Which tree of the job it is.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether nothing is wanted any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The nodes so far, prepared ones included, cut at numbers of bins.
    #[must_use]
    pub fn tree(&self) -> FlatTree {
        let node = |node: &Node| match (&node.cut, node.left) {
            (Some(cut), Some(left)) => {
                FlatNode { feature: cut.feature as u32, left: left as u32, threshold: cut.bin as f64, value: 0.0 }
            }
            _ => FlatNode::default(),
        };
        FlatTree { nodes: self.nodes.iter().map(node).collect() }
    }

    /// Parts of histograms that are wanted now, of the tree at `place` among the open ones, with at most so many sums; one
    /// at least if `is_first`. The second number is how many sums they are.
    #[must_use]
    pub fn parts(&self, place: usize, sums_max: usize, is_first: bool) -> (Vec<Part>, usize) {
        let (mut parts, mut sums, mut from) = (Vec::new(), 0, self.come);
        for node in &self.wanted {
            let mut to = from;
            while to < self.bins.0.feature_count() {
                let more = self.bins.0.count(to) * self.rule.width();
                if sums + more > sums_max && (sums > 0 || !is_first) {
                    break;
                }
                (sums, to) = (sums + more, to + 1);
            }
            if to > from {
                parts.push(Part { tree: place, node: *node, from, to });
            }
            if to < self.bins.0.feature_count() {
                break;
            }
            from = 0;
        }
        (parts, sums)
    }

    /// Takes the sums of these parts, which are those that were wanted first.
    ///
    /// # Errors
    /// [`TooManyLeaves`].
    pub fn absorb(&mut self, parts: &[Part], sums: &[f64], sums_max: usize) -> Result<(), TooManyLeaves> {
        let mut rest = sums;
        for part in parts {
            let (here, others) = rest.split_at(part.len(&self.bins.0, self.rule.width()));
            self.nodes[part.node].histogram.extend_from_slice(here);
            self.come = part.to;
            if part.to == self.bins.0.feature_count() {
                self.come = 0;
                self.wanted.pop_front();
                self.on_histogram(part.node);
            }
            rest = others;
        }
        self.go_on(sums_max)
    }

    /// A histogram is whole; that of the sibling is what the parent's has more.
    fn on_histogram(&mut self, node: usize) {
        if let (Some(sibling), Some(parent)) = (self.nodes[node].sibling, self.nodes[node].parent) {
            let mut of_parent = std::mem::take(&mut self.nodes[parent].histogram);
            of_parent.iter_mut().zip(&self.nodes[node].histogram).for_each(|(sum, less)| *sum -= less);
            self.nodes[sibling].histogram = of_parent;
            self.judge(sibling);
        } else {
            let (width, first) = (self.rule.width(), self.bins.0.count(0) * self.rule.width());
            let mut sums = vec![0.0; width];
            let bins = self.nodes[node].histogram[..first].chunks(width);
            bins.for_each(|bin| sums.iter_mut().zip(bin).for_each(|(sum, value)| *sum += value));
            self.nodes[node].sums = sums;
        }
        self.judge(node);
        if node == 0 {
            self.show(0);
        }
    }

    /// Finds the best cut of a node whose histogram is here.
    fn judge(&mut self, node: usize) {
        let cut = if self.may_be_cut(node) { self.best_cut(node) } else { None };
        let of_node = &mut self.nodes[node];
        of_node.is_judged = true;
        if cut.is_none() {
            of_node.histogram = Vec::new();
        }
        of_node.cut = cut;
    }

    fn scaled(&self, sums: &[f64]) -> Vec<f64> {
        sums.iter().zip(&self.units).map(|(sum, unit)| sum * unit).collect()
    }

    /// What can be told without its histogram.
    fn may_be_cut(&self, node: usize) -> bool {
        let GrowLimits { max_depth, min_samples_split, min_samples_leaf, .. } = self.limits;
        let node = &self.nodes[node];
        let (sums, rows) = (self.scaled(&node.sums), self.rule.rows(&node.sums));
        max_depth.is_none_or(|max| node.depth < max)
            && rows >= min_samples_split.max(2 * min_samples_leaf) as f64
            && self.rule.is_enough(&sums)
            && !self.rule.is_pure(&sums)
    }

    fn best_cut(&self, node: usize) -> Option<Cut> {
        let width = self.rule.width();
        let (mut start, mut starts) = (0, Vec::with_capacity(self.bins.0.feature_count()));
        for feature in 0..self.bins.0.feature_count() {
            starts.push(start);
            start += self.bins.0.count(feature) * width;
        }
        let mut best: Option<Cut> = None;
        let (features, enough) = self.features_of(node);
        for (tried, feature) in features.into_iter().enumerate() {
            if tried >= enough && best.is_some() {
                break;
            }
            self.try_feature(node, feature, starts[feature], &mut best);
        }
        best
    }

    /// The features in the order in which they are tried, and how many are enough if one of them can be cut.
    fn features_of(&self, node: usize) -> (Vec<usize>, usize) {
        let count = self.bins.0.feature_count();
        let mut features: Vec<usize> = (0..count).collect();
        let Some(enough) = self.limits.max_features.filter(|enough| *enough < count) else { return (features, count) };
        let stream = (self.number as u64) << 32 | self.place_of(node);
        let draw = |feature: &usize| chance_of(self.limits.seed, FEATURES, stream, *feature);
        features.sort_by(|a, b| draw(a).total_cmp(&draw(b)));
        features[..enough].sort_unstable();
        (features, enough)
    }

    /// Where in the tree a node is: the way to it, whatever was prepared before it.
    fn place_of(&self, mut node: usize) -> u64 {
        let mut place: u64 = 1;
        while let Some(parent) = self.nodes[node].parent {
            place = place.wrapping_mul(2) + u64::from(self.nodes[parent].left == Some(node));
            node = parent;
        }
        place
    }

    fn try_feature(&self, node: usize, feature: usize, start: usize, best: &mut Option<Cut>) {
        let (width, of_node) = (self.rule.width(), &self.nodes[node]);
        let (least, whole) = (self.limits.min_samples_leaf.max(1) as f64, self.scaled(&of_node.sums));
        let before = self.rule.merit(&whole);
        // As in the exact growth of a tree, classes that are mixed are cut even if that alone tells nothing.
        let takes_any = self.rule.classes().is_some();
        let mut left = vec![0.0; width];
        let mut sides = [vec![0.0; width], vec![0.0; width]];
        for bin in 0..self.bins.0.count(feature) - 1 {
            let here = &of_node.histogram[start + bin * width..start + (bin + 1) * width];
            left.iter_mut().zip(here).for_each(|(sum, value)| *sum += value);
            let rows = self.rule.rows(&left);
            if rows < least {
                continue;
            }
            if self.rule.rows(&of_node.sums) - rows < least {
                break;
            }
            for (place, unit) in self.units.iter().enumerate() {
                // The units of sums are powers of two: nothing is rounded.
                sides[0][place] = left[place] * unit;
                sides[1][place] = (of_node.sums[place] - left[place]) * unit;
            }
            if !sides.iter().all(|side| self.rule.is_enough(side)) {
                continue;
            }
            let score = self.rule.merit(&sides[0]) + self.rule.merit(&sides[1]);
            let (gain, noise) = (score - before, TIE * score.abs());
            let is_better = best.as_ref().is_none_or(|best| gain - best.gain > noise);
            let is_worth_it = gain + f64::EPSILON >= self.limits.min_gain && (takes_any || gain > noise);
            if is_better && is_worth_it {
                *best = Some(Cut { feature, bin, gain: gain.max(0.0), left: left.clone() });
            }
        }
    }

    /// Makes all cuts that are known to be next, and prepares those that may be next.
    fn go_on(&mut self, sums_max: usize) -> Result<(), TooManyLeaves> {
        if !self.wanted.is_empty() {
            return Ok(());
        }
        let most = self.limits.max_leaf_nodes.unwrap_or(LEAVES_MAX + 1);
        while self.wanted.is_empty() {
            while self.leaf_count < most
                && let Some(next) = self.front.last().copied()
                && self.is_prepared(next.node)
            {
                self.front.pop_last();
                self.nodes[next.node].is_made = true;
                self.leaf_count += 1;
                let left = self.nodes[next.node].left.expect("a prepared node has children");
                self.show(left);
                self.show(left + 1);
            }
            if self.leaf_count >= most || self.front.is_empty() {
                break;
            }
            self.prepare(most - self.leaf_count, sums_max);
        }
        if self.leaf_count > LEAVES_MAX {
            return Err(TooManyLeaves);
        }
        if self.wanted.is_empty() {
            self.is_done = true;
            self.nodes.iter_mut().for_each(|node| node.histogram = Vec::new());
        }
        Ok(())
    }

    /// Puts a node of the made tree among those that may be cut, if it can be.
    fn show(&mut self, node: usize) {
        if let Some(cut) = &self.nodes[node].cut {
            self.front.insert(Open { node, gain: cut.gain });
        }
    }

    /// Whether all is known of the children of a node.
    fn is_prepared(&self, node: usize) -> bool {
        self.nodes[node].left.is_some_and(|left| self.nodes[left].is_judged && self.nodes[left + 1].is_judged)
    }

    /// Makes children of the most promising nodes, as many as can still be cut and as one pass has room for.
    fn prepare(&mut self, cuts_left: usize, sums_max: usize) {
        let width = self.rule.width();
        let of_histogram: usize =
            (0..self.bins.0.feature_count()).map(|feature| self.bins.0.count(feature) * width).sum();
        let room = (sums_max / of_histogram.max(1)).max(1);
        let mut front = self.front.clone();
        let mut looked_at = 0;
        while self.wanted.len() < room
            && looked_at < cuts_left
            && let Some(open) = front.pop_last()
        {
            looked_at += 1;
            if self.nodes[open.node].left.is_none() {
                self.open(open.node);
            }
        }
    }

    /// Makes the children of a node; the histogram of the smaller one is wanted if one of them may be cut.
    fn open(&mut self, parent: usize) {
        let (depth, left) = (self.nodes[parent].depth + 1, self.nodes.len());
        let sums = self.nodes[parent].cut.as_ref().expect("what is opened can be cut").left.clone();
        let others: Vec<f64> = self.nodes[parent].sums.iter().zip(&sums).map(|(whole, part)| whole - part).collect();
        self.nodes[parent].left = Some(left);
        let smaller = left + usize::from(self.rule.rows(&sums) > self.rule.rows(&others));
        self.nodes.extend([sums, others].map(|sums| Node::new(depth, sums, Some(parent))));
        if self.may_be_cut(left) || self.may_be_cut(left + 1) {
            self.nodes[smaller].sibling = Some(if smaller == left { left + 1 } else { left });
            self.wanted.push_back(smaller);
        } else {
            self.nodes[parent].histogram = Vec::new();
            [left, left + 1].into_iter().for_each(|child| self.nodes[child].is_judged = true);
        }
    }

    /// The tree as it was made, in the order of a walk that goes left first, but with children side by side.
    #[must_use]
    pub fn made(&self) -> Vec<GrownNode> {
        let mut made = vec![GrownNode { split: None, sums: self.scaled(&self.nodes[0].sums) }];
        let mut queue = vec![(0, 0)];
        while let Some((from, to)) = queue.pop() {
            let node = &self.nodes[from];
            let (Some(cut), Some(left)) = (node.cut.as_ref().filter(|_| node.is_made), node.left) else { continue };
            let next = made.len();
            made[to].split = Some((cut.feature, cut.bin, next));
            let child = |child: usize| GrownNode { split: None, sums: self.scaled(&self.nodes[child].sums) };
            made.extend([child(left), child(left + 1)]);
            queue.extend([(left + 1, next + 1), (left, next)]);
        }
        made
    }
}

impl Node {
    fn new(depth: usize, sums: Vec<f64>, parent: Option<usize>) -> Self {
        Self {
            depth,
            sums,
            histogram: Vec::new(),
            sibling: None,
            parent,
            cut: None,
            left: None,
            is_made: false,
            is_judged: false,
        }
    }
}

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
#[path = "grower_test.rs"]
mod tests;
