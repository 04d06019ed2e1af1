//! One reading of the rows of a split: what is summed, and how many sums there are.

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use crate::blocks::Split;
use crate::kernel::{
    CLASSIFICATION_SUMS, ClassLoss, Loss, REGRESSION_SUMS, class_curvature_sums, class_outcome_sums, curvature_sums,
    hinge_sums, outcome_sums, support_outcome_sums,
};
use crate::optimiser::symmetric::triangle_len;
use crate::prepare::PreparePass;
use crate::svm::{SupportVectors, SvmProblem, svm_sums};
use crate::tree::Tree;
use crate::tree::ensemble::FlatEnsemble;
use crate::tree::histogram::{TreePass, TreeState};

/// One reading of one split. Vectors are of shape `[features]`, in the units of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Pass {
    /// Over training rows, for a step of `[prepare]`.
    Prepare(PreparePass),
    /// See [`crate::kernel::column_sums`].
    ColumnSums {
        /// Rows to read.
        split: Split,
    },
    /// Over training rows; see [`crate::kernel::centred_squares`].
    CentredSquares {
        /// Column means.
        mean: F64Block,
        /// Mean of the target.
        target_mean: f64,
    },
    /// Over training rows; see [`crate::kernel::objective_gradient`], and [`crate::kernel::sparse_gradient`] of sparse
    /// rows, whose sums have the means not taken off.
    ObjectiveGradient {
        /// Loss of a row.
        loss: Loss,
        /// Where to evaluate.
        at: Parameters,
    },
    /// Over training rows; see [`crate::kernel::objective_curvature`].
    ObjectiveCurvature {
        /// Loss of a row.
        loss: Loss,
        /// Where to evaluate.
        at: Parameters,
        /// Second derivatives are those of the blocks whose numbers are multiples of this; of all blocks if it is 0 or 1.
        #[serde(default)]
        every: usize,
    },
    /// Over training rows; see [`crate::kernel::class_counts`].
    ClassCounts {
        /// Classes of the target.
        class_count: usize,
    },
    /// Over training rows; see [`crate::kernel::class_gradient`], with the same difference for sparse rows.
    ClassGradient {
        /// Loss of a row.
        loss: ClassLoss,
        /// Where to evaluate.
        at: ClassParameters,
    },
    /// Over training rows; see [`crate::kernel::class_curvature`].
    ClassCurvature {
        /// Loss of a row.
        loss: ClassLoss,
        /// Where to evaluate.
        at: ClassParameters,
    },
    /// Over training rows; see [`crate::kernel::hinge_path`].
    HingePath {
        /// Subtracted from every row; empty in a request to a worker that has had it.
        mean: F64Block,
        /// Classes of the target; 0 for the labels 0 and 1.
        class_count: usize,
        /// The machines that are not done.
        machines: Vec<HingeMachine>,
    },
    /// Over training rows, all by whoever has the first block; see [`crate::svm::solve`].
    SupportVectors {
        /// What is to be solved.
        problem: SvmProblem,
        /// Training rows.
        rows: usize,
    },
    /// Over test rows; see [`crate::kernel::support_outcomes`].
    EvaluateSupport {
        /// The model.
        machine: SupportVectors,
        /// Subtracted from every row.
        mean: F64Block,
        /// What every row is then divided by.
        scale: F64Block,
        /// Mean target of the test rows.
        target_mean: f64,
    },
    /// Over test rows; see [`crate::kernel::class_outcomes`].
    EvaluateClasses {
        /// The model.
        at: ClassParameters,
    },
    /// Over training rows; see [`crate::kernel::window_rows`].
    Rows {
        /// The first row, in the order of the split.
        from: usize,
        /// How many.
        rows: usize,
        /// Classes of the target; 0 for a number.
        class_count: usize,
    },
    /// Over training rows, for trees that are grown where the rows are.
    Trees(Box<TreePass>),
    /// Over test rows; see [`crate::kernel::tree_outcomes`].
    EvaluateTree {
        /// The model.
        tree: Tree,
        /// Mean target of the test rows.
        target_mean: f64,
    },
    /// Over training rows: the costs of a user's model, and their derivatives.
    OwnGradient {
        /// Its parameters.
        at: F64Block,
    },
    /// Over training rows: the same, and the second derivatives.
    OwnCurvature {
        /// Its parameters.
        at: F64Block,
    },
    /// Over test rows: the errors of a user's model, or what it takes classes for.
    EvaluateOwn {
        /// Its parameters.
        at: F64Block,
        /// Mean target of the test rows, if it is a number.
        target_mean: Option<f64>,
    },
    /// Over test rows; see [`crate::kernel::ensemble_outcomes`].
    EvaluateEnsemble {
        /// The model.
        ensemble: FlatEnsemble,
        /// Mean target of the test rows.
        target_mean: f64,
    },
    /// Over test rows; see [`crate::kernel::regression_sums`].
    EvaluateRegression {
        /// The model.
        at: Parameters,
        /// Mean target of the test rows.
        target_mean: f64,
    },
    /// Over test rows; see [`crate::kernel::classification_sums`].
    EvaluateClassification {
        /// The model.
        at: Parameters,
    },
}

/// The function `intercept + weights · (x - mean)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Subtracted from every row; empty in a request to a worker that has had it.
    pub mean: F64Block,
    /// Raw weights.
    pub weights: F64Block,
    /// Value at the mean row.
    pub intercept: f64,
}

/// The function `intercept + weights · (x - mean)` of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassParameters {
    /// Subtracted from every row; empty in a request to a worker that has had it.
    pub mean: F64Block,
    /// Raw weights, class by class.
    pub weights: F64Block,
    /// Values at the mean row, one for each class.
    pub intercepts: F64Block,
}

/// One support vector machine on its way; see [`crate::kernel::HingeProblem`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HingeMachine {
    /// The class, or label, whose rows are to have a margin of at least 1.
    pub class: usize,
    /// Steps so far.
    pub steps: Vec<HingeMove>,
}

/// See [`crate::kernel::HingeStep`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HingeMove {
    /// Of the raw weights.
    pub direction: F64Block,
    /// Of the intercept at the mean row.
    pub intercept: f64,
    /// The part of the direction that is gone.
    pub length: f64,
    /// What products of multipliers and slacks aim at.
    pub target: f64,
}

impl Pass {
    /// Whether the sums of the first block are over all rows of the split, and those of all others are 0.
    #[must_use]
    pub fn takes_all_rows(&self) -> bool {
        matches!(self, Self::SupportVectors { .. })
    }

    /// The rows the pass reads.
    #[must_use]
    pub fn split(&self) -> Split {
        match self {
            Self::ColumnSums { split } => *split,
            Self::Prepare(_)
            | Self::CentredSquares { .. }
            | Self::ObjectiveGradient { .. }
            | Self::ObjectiveCurvature { .. }
            | Self::ClassCounts { .. }
            | Self::ClassGradient { .. }
            | Self::ClassCurvature { .. }
            | Self::HingePath { .. }
            | Self::SupportVectors { .. }
            | Self::OwnGradient { .. }
            | Self::OwnCurvature { .. }
            | Self::Rows { .. }
            | Self::Trees(_) => Split::Train,
            Self::EvaluateRegression { .. }
            | Self::EvaluateOwn { .. }
            | Self::EvaluateClassification { .. }
            | Self::EvaluateClasses { .. }
            | Self::EvaluateSupport { .. }
            | Self::EvaluateTree { .. }
            | Self::EvaluateEnsemble { .. } => Split::Test,
        }
    }

    /// What is summed, in one word for people and scripts.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::ColumnSums { .. } => "column_sums",
            Self::CentredSquares { .. } => "centred_squares",
            Self::ObjectiveGradient { .. } | Self::ClassGradient { .. } | Self::OwnGradient { .. } => "gradient",
            Self::ObjectiveCurvature { .. } | Self::ClassCurvature { .. } | Self::OwnCurvature { .. } => "curvature",
            Self::HingePath { .. } => "hinge_path",
            Self::SupportVectors { .. } => "support_vectors",
            Self::ClassCounts { .. } => "class_counts",
            Self::Rows { .. } => "rows",
            Self::Trees(pass) => pass.name(),
            Self::EvaluateRegression { .. }
            | Self::EvaluateOwn { .. }
            | Self::EvaluateClassification { .. }
            | Self::EvaluateClasses { .. }
            | Self::EvaluateSupport { .. }
            | Self::EvaluateTree { .. }
            | Self::EvaluateEnsemble { .. } => "evaluate",
        }
    }

    /// Numbers that say where the pass evaluates: what cannot be left out of a request.
    #[must_use]
    pub fn point_len(&self) -> usize {
        match self {
            Self::CentredSquares { mean, .. } => mean.0.len() + 1,
            Self::HingePath { machines, .. } => {
                let moves = machines.iter().flat_map(|machine| &machine.steps);
                moves.map(|step| step.direction.0.len() + 3).sum()
            }
            Self::ObjectiveGradient { at, .. }
            | Self::ObjectiveCurvature { at, .. }
            | Self::EvaluateRegression { at, .. }
            | Self::EvaluateClassification { at } => at.weights.0.len() + 1,
            Self::ClassGradient { at, .. } | Self::ClassCurvature { at, .. } | Self::EvaluateClasses { at } => {
                at.weights.0.len() + at.intercepts.0.len()
            }
            Self::OwnGradient { at } | Self::OwnCurvature { at } | Self::EvaluateOwn { at, .. } => at.0.len(),
            _ => 0,
        }
    }

    /// What is subtracted from every row; it is the same in all passes of a training that have it.
    pub(crate) fn mean_mut(&mut self) -> Option<&mut F64Block> {
        match self {
            Self::ObjectiveGradient { at, .. }
            | Self::ObjectiveCurvature { at, .. }
            | Self::EvaluateRegression { at, .. }
            | Self::EvaluateClassification { at } => Some(&mut at.mean),
            Self::ClassGradient { at, .. } | Self::ClassCurvature { at, .. } | Self::EvaluateClasses { at } => {
                Some(&mut at.mean)
            }
            Self::HingePath { mean, .. } => Some(mean),
            _ => None,
        }
    }

    /// What a worker must know of trees that are growing; what it has had is left out of a request.
    pub(crate) fn tree_state_mut(&mut self) -> Option<&mut TreeState> {
        if let Self::Trees(pass) = self { pass.state_mut() } else { None }
    }

    /// Number of sums over data of `feature_count` features.
    #[must_use]
    pub fn partial_len(&self, feature_count: usize) -> usize {
        match self {
            Self::Prepare(pass) => pass.partial_len(feature_count),
            Self::ColumnSums { .. } | Self::ObjectiveGradient { .. } => feature_count + 2,
            Self::CentredSquares { .. } => feature_count + 1,
            Self::ObjectiveCurvature { .. } => curvature_sums(feature_count),
            Self::ClassCounts { class_count } => *class_count,
            Self::ClassGradient { at, .. } => 1 + at.intercepts.0.len() * (feature_count + 1),
            Self::ClassCurvature { at, .. } => class_curvature_sums(feature_count, at.intercepts.0.len()),
            Self::HingePath { machines, .. } => machines.len() * hinge_sums(feature_count),
            Self::Rows { rows, .. } => rows * (feature_count + 1),
            Self::Trees(pass) => pass.partial_len(),
            Self::SupportVectors { problem, rows } => svm_sums(problem, *rows),
            Self::EvaluateSupport { machine, .. } => support_outcome_sums(machine),
            Self::EvaluateTree { tree, .. } => outcome_sums(tree.class_count),
            Self::EvaluateEnsemble { ensemble, .. } => outcome_sums(ensemble.class_count()),
            Self::EvaluateClasses { at } => class_outcome_sums(at.intercepts.0.len()),
            Self::OwnGradient { at } => 1 + at.0.len(),
            Self::OwnCurvature { at } => 1 + at.0.len() + triangle_len(at.0.len()),
            Self::EvaluateOwn { target_mean: None, .. } => CLASSIFICATION_SUMS,
            Self::EvaluateRegression { .. } | Self::EvaluateOwn { .. } => REGRESSION_SUMS,
            Self::EvaluateClassification { .. } => CLASSIFICATION_SUMS,
        }
    }
}
