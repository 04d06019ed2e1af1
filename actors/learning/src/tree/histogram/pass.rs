//! What is asked of the rows while trees are grown from histograms, and what a worker must know for it.

use std::sync::Arc;

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bins::{self, BinTarget, Bins};
use super::{FlatTree, SUMS_MAX};

/// Exponents of two by which errors are counted: 2^-350 to 2^350, which is beyond the squares of all cells.
pub(super) const EXPONENTS: usize = 701;
/// The exponent that is counted first.
pub(super) const EXPONENT_MIN: i32 = -350;
/// Sums of [`TreePass::Losses`] before the exponents.
pub(super) const LOSS_SUMS: usize = 4;
/// Sums of each leaf of [`TreePass::Leaves`].
pub(super) const LEAF_SUMS: usize = 3;

/// Shared by those who only read it; on the wire the thing itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shared<T>(pub Arc<T>);

/// What rows are to teach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Classes, so many, by their counts.
    Counts(usize),
    /// `(y - f)² / 2`.
    HalfSquared,
    /// `log(1 + exp(-s f))`, `s` is 1 for class 1 and -1 for class 0.
    Logistic,
    /// `log Σ exp f_k - f_y` of so many classes.
    Softmax(usize),
}

/// Of which power of two gradients and second derivatives are whole multiples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scales {
    /// Gradients are multiples of 2 to the minus this.
    pub gradient: i32,
    /// Second derivatives are multiples of 2 to the minus this.
    pub curvature: i32,
}

/// What a worker must know of all that was grown so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TreeState {
    /// Edges of bins; none in a request to a worker that has had them.
    pub bins: Shared<Bins>,
    /// Trees whose values are added up; in a request those behind the ones that the worker has had.
    pub trees: Shared<Vec<FlatTree>>,
    /// How many trees the worker has had.
    #[serde(default)]
    pub trees_known: usize,
    /// What rows are to teach.
    pub loss: Loss,
    /// What each output says before the first tree.
    pub base: F64Block,
    /// The part of the training rows that no tree is grown from: it tells when to stop.
    pub held_out: f64,
    /// Decides which rows these are, and how often a tree sees a row.
    pub seed: u64,
    /// Whether a tree sees rows more or less often, each by its own chance.
    pub is_bagged: bool,
    /// In what gradients are counted.
    pub scales: Scales,
}

/// A tree that is growing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenTree {
    /// Counts the trees of a job from 0.
    pub number: usize,
    /// Its nodes so far, which are cut at numbers of bins.
    pub tree: FlatTree,
    /// Whether it has grown, and its nodes stand as they stay.
    #[serde(default)]
    pub is_final: bool,
}

/// A part of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Position among the open trees.
    pub tree: usize,
    /// The node.
    pub node: usize,
    /// The first feature.
    pub from: usize,
    /// The feature behind the last one.
    pub to: usize,
}

/// One reading of the training rows for trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TreePass {
    /// See [`super::bin_counts`].
    Bins {
        /// What is counted.
        targets: Vec<BinTarget>,
        /// Passes over these features before.
        depth: u32,
        /// Of the blocks whose numbers are multiples of this.
        every: usize,
    },
    /// `[Σ loss, rows]` of the rows that trees are grown from and of those held out; of squared errors also how many errors
    /// are below each power of two, and not below the one before.
    Losses {
        /// What was grown so far.
        state: TreeState,
    },
    /// Of each part, feature and bin the sums of the rows in it: counts of classes, `[gradient, rows]` or
    /// `[gradient, second derivative, rows]`.
    Histograms {
        /// What was grown so far.
        state: TreeState,
        /// The trees that are growing.
        open: Vec<OpenTree>,
        /// What is summed.
        parts: Vec<Part>,
        /// How many sums that are.
        sums: usize,
    },
    /// Of each leaf of each tree `[rows, Σ e, Σ e²]` of the distances of targets from what base and leaf say together.
    Leaves {
        /// What was grown so far.
        state: TreeState,
        /// The trees that have grown.
        open: Vec<OpenTree>,
    },
}

/// The least exponent of two that all errors are below, from the sums of [`TreePass::Losses`] of squared errors.
#[must_use]
pub fn exponent_of(sums: &[f64]) -> i32 {
    let highest = sums.iter().skip(LOSS_SUMS).rposition(|count| *count > 0.0).unwrap_or(0);
    highest as i32 + EXPONENT_MIN
}

impl Loss {
    /// Numbers that are predicted.
    #[must_use]
    pub fn outputs(self) -> usize {
        match self {
            Self::Counts(_) => 0,
            Self::HalfSquared | Self::Logistic => 1,
            Self::Softmax(classes) => classes,
        }
    }

    /// Sums of a bin.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Counts(classes) => classes,
            Self::HalfSquared => 2,
            Self::Logistic | Self::Softmax(_) => 3,
        }
    }

    /// Classes of the target; 0 of a number.
    #[must_use]
    pub fn classes(self) -> usize {
        match self {
            Self::Counts(classes) | Self::Softmax(classes) => classes,
            Self::HalfSquared => 0,
            Self::Logistic => 2,
        }
    }
}

impl TreePass {
    /// What a worker must know for it.
    #[must_use]
    pub fn state(&self) -> Option<&TreeState> {
        match self {
            Self::Bins { .. } => None,
            Self::Losses { state } | Self::Histograms { state, .. } | Self::Leaves { state, .. } => Some(state),
        }
    }

    pub(crate) fn state_mut(&mut self) -> Option<&mut TreeState> {
        match self {
            Self::Bins { .. } => None,
            Self::Losses { state } | Self::Histograms { state, .. } | Self::Leaves { state, .. } => Some(state),
        }
    }

    /// The trees that are growing.
    #[must_use]
    pub fn open(&self) -> &[OpenTree] {
        match self {
            Self::Histograms { open, .. } | Self::Leaves { open, .. } => open,
            Self::Bins { .. } | Self::Losses { .. } => &[],
        }
    }

    /// In one word for people and scripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bins { .. } => "bins",
            Self::Losses { .. } => "losses",
            Self::Histograms { .. } => "histograms",
            Self::Leaves { .. } => "leaves",
        }
    }

    /// Number of sums.
    #[must_use]
    pub fn partial_len(&self) -> usize {
        match self {
            Self::Bins { targets, .. } => bins::counted(targets),
            Self::Losses { state } => LOSS_SUMS + if state.loss == Loss::HalfSquared { EXPONENTS } else { 0 },
            Self::Histograms { sums, .. } => *sums,
            Self::Leaves { open, .. } => open.iter().map(|open| LEAF_SUMS * open.leaf_count()).sum(),
        }
    }

    /// Whether rows of so many features can be asked for it: a worker believes no request.
    pub(crate) fn is_sound(&self, feature_count: usize) -> bool {
        if let Self::Bins { targets, depth, every } = self {
            return *every > 0 && bins::counted(targets) <= SUMS_MAX && bins::fits(targets, *depth, feature_count);
        }
        let (Some(state), open) = (self.state(), self.open()) else { return false };
        let trees = state.trees.0.iter().chain(open.iter().map(|open| &open.tree));
        let is_whole = state.bins.0.is_sound() && state.bins.0.feature_count() == feature_count;
        let fits_base = state.base.0.len() == state.loss.outputs();
        is_whole && fits_base && trees.into_iter().all(|tree| tree.is_sound(feature_count)) && self.has_sound_parts()
    }

    fn has_sound_parts(&self) -> bool {
        let Self::Histograms { state, open, parts, sums } = self else { return true };
        let is_sound = |part: &Part| {
            let is_node = open.get(part.tree).is_some_and(|open| part.node < open.tree.nodes.len());
            is_node && part.from < part.to && part.to <= state.bins.0.feature_count()
        };
        parts.iter().all(is_sound)
            && *sums <= SUMS_MAX.max(super::BINS_MAX * state.loss.width())
            && parts.iter().map(|part| part.len(&state.bins.0, state.loss.width())).sum::<usize>() == *sums
    }
}

impl OpenTree {
    pub(super) fn leaf_count(&self) -> usize {
        self.tree.nodes.iter().filter(|node| node.left == 0).count()
    }
}

impl Part {
    /// Sums of the part.
    pub(super) fn len(&self, bins: &Bins, width: usize) -> usize {
        (self.from..self.to).map(|feature| bins.count(feature) * width).sum()
    }
}

impl<T> Shared<T> {
    /// To be shared.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}
