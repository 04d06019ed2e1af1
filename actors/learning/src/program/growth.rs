//! Trees that are grown from histograms, one alone or many that are boosted: which pass comes next, and what its sums mean.
//!
//! First the edges of bins, then what all rows have in common. A round begins with the losses of all rows; then come
//! histograms until nothing is worth a cut.

use std::sync::Arc;

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::error::{TrainError, check_row_count};
use super::{Fit, Pass, Progress};
use crate::blocks::{BlockLayout, Split};
use crate::boosting::BoostingSettings;
use crate::tree::ensemble::{ENSEMBLE_NODES_MAX, Ensemble, Link};
use crate::tree::histogram::{
    BinSearch, EDGE_ROWS, FlatNode, FlatTree, GrowLimits, Grower, GrownNode, Loss, OpenTree, Part, Rule, SUMS_MAX,
    Scales, Shared, TreePass, TreeState, exponent_of,
};
use crate::tree::{Criterion, Tree, TreeNode, TreeSettings, TreeSplit};

/// Whole numbers below 2 to this are exact in a sum.
const EXACT_BITS: i32 = 52;
/// Most bits of a gradient.
const GRADIENT_BITS: i32 = 30;
/// Most bits of a second derivative, of which none is above a quarter, and of a sum of them.
const CURVATURE_BITS: i32 = 28;
const CURVATURE_EXACT_BITS: i32 = 54;
/// Sums of a leaf.
const LEAF_SUMS: usize = 3;

/// Trees that grow, from the first pass to the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Growth {
    plan: Plan,
    rows: usize,
    /// Of how many blocks one is read for the edges, and the rows of these.
    every: usize,
    sampled: usize,
    stage: Stage,
    state: TreeState,
    rule: Rule,
    limits: GrowLimits,
    open: Vec<Grower>,
    grown: Vec<Tree>,
    /// Losses that tell when to stop, from before the first round.
    losses: Vec<f64>,
}

/// What is grown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Plan {
    Tree,
    Boosting(BoostingSettings, Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stage {
    Bins(BinSearch),
    /// The mean of the target, or the counts of its classes.
    Base,
    /// How far targets are from what was grown so far.
    Losses,
    Histograms,
    /// What is left in the leaves.
    Leaves,
    Done,
}

impl Growth {
    /// A decision tree of `class_count` classes, or of a number if that is 0.
    pub(super) fn of_tree(settings: &TreeSettings, rows: usize, feature_count: usize, class_count: usize) -> Self {
        let (loss, rule) = match (class_count, settings.criterion) {
            (0, _) => (Loss::HalfSquared, Rule::Squares(0.0)),
            (classes, Some(Criterion::Entropy)) => (Loss::Counts(classes), Rule::Entropy(classes)),
            (classes, _) => (Loss::Counts(classes), Rule::Gini(classes)),
        };
        let limits = GrowLimits {
            max_depth: settings.max_depth,
            max_leaf_nodes: settings.max_leaf_nodes,
            min_samples_split: settings.min_samples_split,
            min_samples_leaf: settings.min_samples_leaf,
            min_gain: settings.min_impurity_decrease * rows as f64,
            max_features: None,
            seed: 0,
        };
        Self::new(Plan::Tree, loss, rule, limits, (rows, feature_count, settings.max_bins))
    }

    /// Boosted trees of these classes, or of a number if there are none.
    ///
    /// # Errors
    /// [`TrainError::EnsembleTooLarge`].
    pub(super) fn boosted(
        settings: BoostingSettings,
        rows: usize,
        feature_count: usize,
        classes: &[String],
    ) -> Result<Self, TrainError> {
        let loss = match classes.len() {
            0 => Loss::HalfSquared,
            2 => Loss::Logistic,
            classes => Loss::Softmax(classes),
        };
        let nodes = settings.nodes_max(loss.outputs());
        if nodes > ENSEMBLE_NODES_MAX {
            return Err(TrainError::EnsembleTooLarge { nodes, most: ENSEMBLE_NODES_MAX });
        }
        let l2 = settings.l2_regularization;
        let rule = if loss == Loss::HalfSquared { Rule::Squares(l2) } else { Rule::Newton(l2) };
        let limits = GrowLimits {
            max_depth: settings.max_depth,
            max_leaf_nodes: Some(settings.max_leaf_nodes),
            min_samples_split: 2,
            min_samples_leaf: settings.min_samples_leaf,
            min_gain: 0.0,
            max_features: None,
            seed: settings.seed,
        };
        let plan = Plan::Boosting(settings, classes.to_vec());
        let mut growth = Self::new(plan, loss, rule, limits, (rows, feature_count, settings.max_bins));
        (growth.state.held_out, growth.state.seed) = (settings.held_out(), settings.seed);
        Ok(growth)
    }

    /// `size` is that of the training part, and the most bins.
    fn new(plan: Plan, loss: Loss, rule: Rule, limits: GrowLimits, size: (usize, usize, usize)) -> Self {
        let (rows, feature_count, max_bins) = size;
        let every = (rows / EDGE_ROWS).max(1);
        let layout = BlockLayout::new(rows);
        let sampled = (0..layout.block_count()).step_by(every).map(|block| layout.rows(block).len()).sum();
        let state = TreeState {
            bins: Shared::default(),
            trees: Shared::default(),
            trees_known: 0,
            loss,
            base: F64Block(vec![0.0; loss.outputs()]),
            held_out: 0.0,
            seed: 0,
            is_bagged: false,
            scales: Scales::default(),
        };
        let stage = Stage::Bins(BinSearch::new(sampled, feature_count, max_bins));
        let (open, grown, losses) = (Vec::new(), Vec::new(), Vec::new());
        Self { plan, rows, every, sampled, stage, state, rule, limits, open, grown, losses }
    }

    /// The pass that is wanted now.
    ///
    /// # Panics
    /// If it is done.
    pub(super) fn pass(&self) -> Pass {
        let state = self.state.clone();
        match &self.stage {
            Stage::Bins(search) => {
                let (targets, depth) = search.targets().expect("this stage ends with the last pass");
                Pass::Trees(Box::new(TreePass::Bins { targets, depth, every: self.every }))
            }
            Stage::Base if self.state.loss.classes() > 0 => {
                Pass::ClassCounts { class_count: self.state.loss.classes() }
            }
            Stage::Base => Pass::ColumnSums { split: Split::Train },
            Stage::Losses => Pass::Trees(Box::new(TreePass::Losses { state })),
            Stage::Histograms => {
                let parts = self.parts();
                let sums = parts.iter().map(|(_, sums)| sums).sum();
                let parts = parts.into_iter().flat_map(|(parts, _)| parts).collect();
                Pass::Trees(Box::new(TreePass::Histograms { state, open: self.open_trees(), parts, sums }))
            }
            Stage::Leaves => Pass::Trees(Box::new(TreePass::Leaves { state, open: self.final_trees() })),
            Stage::Done => panic!("nothing is wanted any more"),
        }
    }

    /// What came of it, once nothing is wanted any more.
    pub(super) fn take(&mut self) -> Option<Fit> {
        if !matches!(self.stage, Stage::Done) {
            return None;
        }
        let (mut trees, base) = (std::mem::take(&mut self.grown), self.state.base.0.clone());
        let link = match (&self.plan, self.state.loss) {
            (Plan::Tree, _) => return trees.pop().map(Fit::Grown),
            (_, Loss::HalfSquared) => Link::Identity,
            (_, Loss::Logistic) => Link::Logistic,
            (_, Loss::Softmax(_) | Loss::Counts(_)) => Link::Softmax,
        };
        let rounds = (trees.len() / base.len()) as u32;
        let loss = self.losses.last().copied().unwrap_or_default();
        Some(Fit::Boosted { ensemble: Box::new(Ensemble { base, link, trees }), rounds, loss })
    }

    /// For each open tree the parts that are wanted of it, and how many sums they are.
    fn parts(&self) -> Vec<(Vec<Part>, usize)> {
        let mut taken = 0;
        let of_tree = |(place, grower): (usize, &Grower)| {
            let (parts, sums) = grower.parts(place, SUMS_MAX.saturating_sub(taken), taken == 0);
            taken += sums;
            (parts, sums)
        };
        self.open.iter().enumerate().map(of_tree).collect()
    }

    fn open_trees(&self) -> Vec<OpenTree> {
        let open = |grower: &Grower| OpenTree { number: grower.number(), tree: grower.tree(), is_final: false };
        self.open.iter().map(open).collect()
    }

    fn final_trees(&self) -> Vec<OpenTree> {
        let open = |grower: &Grower| {
            let tree = flat_tree(&grower.made(), |sums| self.rule.value(sums)[0]);
            OpenTree { number: grower.number(), tree, is_final: true }
        };
        self.open.iter().map(open).collect()
    }

    /// Takes the sums of the pass.
    ///
    /// # Errors
    /// [`TrainError`] if they cannot be those of the rows.
    pub(super) fn absorb(&mut self, sums: &[f64]) -> Result<Option<Progress>, TrainError> {
        match &mut self.stage {
            Stage::Bins(search) => {
                let mut next = search.clone();
                if !next.absorb(sums) {
                    return Err(TrainError::BinCounts { rows: self.sampled });
                }
                *search = next;
                if search.targets().is_none() {
                    self.state.bins = Shared::new(search.bins());
                    match self.state.loss {
                        Loss::Counts(_) => self.start(),
                        _ => self.stage = Stage::Base,
                    }
                }
            }
            Stage::Base => {
                self.state.base = F64Block(self.base_of(sums)?);
                self.stage = Stage::Losses;
            }
            Stage::Losses => return self.absorb_losses(sums).map(Some),
            Stage::Histograms => self.absorb_histograms(sums)?,
            Stage::Leaves => {
                let tree = tree_of_numbers(&self.open[0].made(), self, sums)?;
                return self.finish(tree).map(Some);
            }
            Stage::Done => {}
        }
        if matches!(self.stage, Stage::Histograms) && self.open.iter().all(Grower::is_done) {
            match (&self.plan, self.state.loss) {
                (Plan::Boosting(settings, _), _) => self.end_round(settings.learning_rate),
                (Plan::Tree, Loss::HalfSquared) => self.stage = Stage::Leaves,
                (Plan::Tree, _) => {
                    let tree = self.tree_of_sums(&self.open[0].made(), 1.0);
                    return self.finish(tree).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// What each output says of all rows alike.
    fn base_of(&self, sums: &[f64]) -> Result<Vec<f64>, TrainError> {
        if self.state.loss == Loss::HalfSquared {
            check_row_count(self.rows, sums[0])?;
            let target = sums.last().expect("the sums end with the target's");
            return Ok(vec![target / self.rows as f64]);
        }
        check_row_count(self.rows, sums.iter().sum())?;
        if let (Plan::Boosting(_, classes), Some(missing)) = (&self.plan, sums.iter().position(|count| *count == 0.0)) {
            return Err(TrainError::NoRowsOfClass { class: classes[missing].clone(), train_rows: self.rows });
        }
        if self.state.loss == Loss::Logistic {
            return Ok(vec![libm::log(sums[1] / sums[0])]);
        }
        let logs: Vec<f64> = sums.iter().map(|count| libm::log(count / self.rows as f64)).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        Ok(logs.iter().map(|log| log - mean).collect())
    }

    /// Losses close a round, and open the next one unless it was the last.
    fn absorb_losses(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        check_row_count(self.rows, sums[1] + sums[3])?;
        let (settings, outputs) = match &self.plan {
            Plan::Tree => (None, 1),
            Plan::Boosting(settings, _) => (Some(*settings), self.state.base.0.len()),
        };
        let (round, objective) = (self.grown.len() / outputs, sums[0] / sums[1].max(1.0));
        let judged = if sums[3] > 0.0 { sums[2] / sums[3] } else { objective };
        self.losses.push(judged);
        self.set_scales(exponent_of(sums));
        match settings {
            Some(settings) if round >= settings.max_iter || settings.is_enough(&self.losses) => {
                *self.losses.last_mut().expect("pushed above") = objective;
                self.stage = Stage::Done;
            }
            _ => self.start(),
        }
        Ok(Progress { round: round as u32, objective, gradient_norm: 0.0 })
    }

    /// The trees of a round say what they say from here on.
    fn end_round(&mut self, learning_rate: f64) {
        let made: Vec<Vec<GrownNode>> = self.open.iter().map(Grower::made).collect();
        let trees = Arc::make_mut(&mut self.state.trees.0);
        trees.extend(made.iter().map(|made| flat_tree(made, |sums| learning_rate * self.rule.value(sums)[0])));
        let grown: Vec<Tree> = made.iter().map(|made| self.tree_of_sums(made, learning_rate)).collect();
        self.grown.extend(grown);
        self.open.clear();
        self.stage = Stage::Losses;
    }

    fn finish(&mut self, tree: Tree) -> Result<Progress, TrainError> {
        check_row_count(self.rows, tree.nodes[0].rows as f64)?;
        let objective = tree.remaining_impurity();
        (self.grown, self.stage) = (vec![tree], Stage::Done);
        self.open.clear();
        Ok(Progress { round: 1, objective, gradient_norm: 0.0 })
    }

    /// Squared errors are below 2 to `exponent`, so that many bits are left for what is behind the point.
    fn set_scales(&mut self, exponent: i32) {
        let bits = GRADIENT_BITS.min(EXACT_BITS - bits_of(self.rows));
        self.state.scales = match self.state.loss {
            Loss::HalfSquared => Scales { gradient: bits - exponent, curvature: 0 },
            _ => Scales { gradient: bits, curvature: CURVATURE_BITS.min(CURVATURE_EXACT_BITS - bits_of(self.rows)) },
        };
    }

    fn start(&mut self) {
        let [gradient, curvature] =
            [self.state.scales.gradient, self.state.scales.curvature].map(|bits| libm::ldexp(1.0, -bits));
        let units = match self.state.loss {
            Loss::Counts(classes) => vec![1.0; classes],
            Loss::HalfSquared => vec![gradient, 1.0],
            Loss::Logistic | Loss::Softmax(_) => vec![gradient, curvature, 1.0],
        };
        let grower = |tree: usize| {
            let number = self.grown.len() + tree;
            Grower::new(number, Arc::clone(&self.state.bins.0), self.rule, self.limits, units.clone())
        };
        self.open = (0..self.state.loss.outputs().max(1)).map(grower).collect();
        self.stage = Stage::Histograms;
    }

    fn absorb_histograms(&mut self, sums: &[f64]) -> Result<(), TrainError> {
        let mut rest = sums;
        for ((parts, count), grower) in self.parts().into_iter().zip(&mut self.open) {
            let (here, others) = rest.split_at(count);
            if !parts.is_empty() {
                grower.absorb(&parts, here, SUMS_MAX)?;
            }
            rest = others;
        }
        Ok(())
    }

    /// A tree whose leaves say `rate` times what their sums do.
    fn tree_of_sums(&self, made: &[GrownNode], rate: f64) -> Tree {
        let node = |node: &GrownNode| TreeNode {
            impurity: self.rule.impurity(&node.sums),
            rows: self.rule.rows(&node.sums) as usize,
            split: None,
            value: self.rule.value(&node.sums).iter().map(|value| rate * value).collect(),
        };
        self.in_order(made, made.iter().map(node).collect(), self.rule.classes().unwrap_or(0))
    }

    /// The tree in the order of a walk that goes left first, as trees that are grown exactly are.
    fn in_order(&self, made: &[GrownNode], contents: Vec<TreeNode>, class_count: usize) -> Tree {
        let mut nodes: Vec<TreeNode> = Vec::with_capacity(made.len());
        let mut queue = vec![(0, None)];
        while let Some((from, parent)) = queue.pop() {
            let place = nodes.len();
            if let Some((parent, is_left)) = parent {
                let above: &mut TreeNode = &mut nodes[parent];
                let split = above.split.as_mut().expect("a node with children is split");
                *(if is_left { &mut split.left } else { &mut split.right }) = place;
            }
            nodes.push(contents[from].clone());
            if let Some((feature, bin, left)) = made[from].split {
                let threshold = self.state.bins.0.edge(feature, bin);
                // The children are told when they have a place.
                nodes[place].split = Some(TreeSplit { feature, left: 0, right: 0, threshold });
                queue.extend([(left + 1, Some((place, false))), (left, Some((place, true)))]);
            }
        }
        Tree { class_count, nodes }
    }
}

/// Bits of a count.
fn bits_of(count: usize) -> i32 {
    (usize::BITS - count.leading_zeros()) as i32
}

/// The tree cut at numbers of bins, in the order in which it was made.
fn flat_tree(made: &[GrownNode], value: impl Fn(&[f64]) -> f64) -> FlatTree {
    let node = |node: &GrownNode| match node.split {
        Some((feature, bin, left)) => {
            FlatNode { feature: feature as u32, left: left as u32, threshold: bin as f64, value: 0.0 }
        }
        None => FlatNode { value: value(&node.sums), ..FlatNode::default() },
    };
    FlatTree { nodes: made.iter().map(node).collect() }
}

/// A tree of numbers from what is left in its leaves: means and impurities with all the digits of the targets.
///
/// # Source
/// Chan, Golub, LeVeque, *Algorithms for computing the sample variance*, The American Statistician 37, 1983: how the
/// moments of two sides become those of both.
fn tree_of_numbers(made: &[GrownNode], growth: &Growth, sums: &[f64]) -> Result<Tree, TrainError> {
    let base = growth.state.base.0[0];
    let mut of_leaves = sums.chunks(LEAF_SUMS);
    // Of each node its rows, mean, and squares around it.
    let mut moments = vec![[0.0; LEAF_SUMS]; made.len()];
    for (node, moments) in made.iter().zip(&mut moments).filter(|(node, _)| node.split.is_none()) {
        let expected = growth.rule.rows(&node.sums);
        let of_leaf = of_leaves.next().unwrap_or(&[0.0; LEAF_SUMS]);
        check_row_count(expected as usize, of_leaf[0])?;
        let told = base + growth.rule.value(&node.sums)[0];
        *moments = [of_leaf[0], told + of_leaf[1] / of_leaf[0], of_leaf[2] - of_leaf[1] * of_leaf[1] / of_leaf[0]];
    }
    for place in (0..made.len()).rev() {
        let Some((_, _, left)) = made[place].split else { continue };
        let ([n, mean, squares], [m, other, others]) = (moments[left], moments[left + 1]);
        let (rows, distance) = (n + m, other - mean);
        let between = distance * distance * n * m / rows;
        moments[place] = [rows, mean + distance * m / rows, squares + others + between];
    }
    let node = |[rows, mean, squares]: &[f64; LEAF_SUMS]| TreeNode {
        impurity: squares.max(0.0) / rows,
        rows: *rows as usize,
        split: None,
        value: vec![*mean],
    };
    Ok(growth.in_order(made, moments.iter().map(node).collect(), 0))
}
