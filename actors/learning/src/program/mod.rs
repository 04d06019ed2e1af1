//! The training program: which pass over the data comes next, and what its sums mean.
//!
//! It does not know who computes a pass, nor how many do. The passes of a job: sums of the columns,
//! squares around their means, loss and gradient until the solver is done, then the test rows.

mod descent;
mod error;
mod finish;
mod growth;
mod hinge;
mod own;
mod pass;
mod solving;
mod sparse;
mod state;
mod support;
mod trees;

pub use error::TrainError;
pub use own::PARAMETERS_MAX;
pub use pass::{ClassParameters, HingeMachine, HingeMove, Parameters, Pass};
pub use sparse::SPARSE_NUMBERS_MAX;
pub use state::TrainerState;

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use self::{
    error::{check_row_count, check_sums},
    growth::Growth,
    own::{OwnSolved, OwnSolver, steps_of},
    solving::{choose_solver, class_parameters, parameters},
    support::support_evaluation,
};
use crate::{
    blocks::{BlockLayout, Split},
    data::{DataColumn, DataSummary},
    job::{ModelKind, TrainingJob},
    model::TrainedModel,
    optimiser::{
        conditioning::TargetMoments,
        interior_point::InteriorPoint,
        lbfgs::{Evaluated, StopReason},
        outputs::Outputs,
        solver::{Solver, SolverChoice},
    },
    prepare::{FittedStep, Pipeline},
    scaling::ColumnScaling,
    svm::{SupportRows, SupportVectors, SvmOutcome, SvmProblem, TooManyRows},
    tree::{
        GatheredRows, Tree, TreeChoice, Window,
        ensemble::{Ensemble, FlatEnsemble},
    },
};

/// What a round achieved, for display.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Evaluations so far.
    pub round: u32,
    /// Mean loss plus penalty at the point of this round.
    pub objective: f64,
    /// Largest component of the gradient there, in the solver's conditioned variables.
    pub gradient_norm: f64,
}

/// What a trainer wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The reduced sums of this pass.
    Compute(Pass),
    /// Nothing more.
    Finished(Box<TrainedModel>),
}

/// Runs one job, step by step.
#[derive(Debug)]
pub struct Trainer {
    job: TrainingJob,
    input: Vec<DataColumn>,
    classes: Vec<String>,
    is_sparse: bool,
    pipeline: Pipeline,
    train_count: usize,
    test_count: usize,
    /// Of a model that is solved for.
    choice: Option<SolverChoice>,
    /// Of a tree.
    tree_choice: Option<TreeChoice>,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    Prepare,
    Columns,
    Squares { mean: Vec<f64>, target_mean: f64 },
    Classes { scaling: ColumnScaling },
    Optimise { outputs: Outputs, target_mean: f64, solver: Box<Solver> },
    Hinge { outputs: Outputs, target_mean: f64, machines: Vec<InteriorPoint> },
    Own { solver: OwnSolver },
    Support { problem: SvmProblem },
    GatherSupport { problem: SvmProblem, outcome: SvmOutcome, rows: SupportRows },
    Gather { rows: GatheredRows },
    Grow(Box<Growth>),
    TestTarget { fit: Fit },
    Evaluate { fit: Fit, target_mean: f64 },
    Finished(Box<TrainedModel>),
}

/// What came of the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Fit {
    Solved(Box<Solved>),
    Own(Box<OwnSolved>),
    Grown(Tree),
    Boosted { ensemble: Box<Ensemble>, rounds: u32, loss: f64 },
    Supported(Box<Supported>),
}

/// A kernel machine, and how it was solved for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Supported {
    problem: SvmProblem,
    outcome: SvmOutcome,
    machine: SupportVectors,
}

/// Where the solver ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Solved {
    outputs: Outputs,
    solution: Evaluated,
    rounds: u32,
    stopped: Option<StopReason>,
    /// Of the hinge.
    duality_gap: Option<f64>,
}

impl Fit {
    fn rounds(&self) -> u32 {
        match self {
            Self::Solved(solved) => solved.rounds,
            Self::Own(solved) => solved.rounds,
            Self::Boosted { rounds, .. } => *rounds,
            Self::Supported(_) => 1,
            Self::Grown(_) => 1,
        }
    }
}

impl Trainer {
    /// A trainer of `job` on data that was scanned as `data`.
    ///
    /// # Errors
    /// [`TrainError::Job`], [`TrainError::Split`] or [`TrainError::Solver`].
    pub fn new(mut job: TrainingJob, data: &DataSummary) -> Result<Self, TrainError> {
        job.validate()?;
        sparse::check(&job, data)?;
        let (train_count, test_count) = job.data.part_sizes(data)?;
        job.model = job.model.with_penalties(train_count);
        let pipeline = Pipeline::new(&steps_of(&job), data, train_count)?;
        let (input, classes) = (data.columns.clone(), data.classes.clone());
        let is_sparse = data.sparse.is_some();
        let choice = choose_solver(&job, train_count, pipeline.columns(), classes.len(), is_sparse)?;
        let phase = match pipeline.pass() {
            Some(_) => Phase::Prepare,
            None => first_phase(&job, train_count, pipeline.columns().len(), &classes)?,
        };
        let tree_choice = trees::choose_method(&job, train_count, pipeline.columns().len());
        Ok(Self { job, input, classes, is_sparse, pipeline, train_count, test_count, choice, tree_choice, phase })
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &TrainingJob {
        &self.job
    }

    /// The solver, and why it is this one; nothing if the model needs none.
    #[must_use]
    pub fn solver(&self) -> Option<&SolverChoice> {
        self.choice.as_ref()
    }

    /// Where a tree is grown, and why there; nothing if the model is none.
    #[must_use]
    pub fn tree_choice(&self) -> Option<&TreeChoice> {
        self.tree_choice.as_ref()
    }

    /// Columns of the rows as [`Self::steps`] leave them.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.pipeline.columns().len()
    }

    /// The steps of `[prepare]` that the rows go through before the pass that [`Self::step`] names. It only grows.
    #[must_use]
    pub fn steps(&self) -> &[FittedStep] {
        self.pipeline.fitted()
    }

    /// The blocks of a split.
    #[must_use]
    pub fn layout(&self, split: Split) -> BlockLayout {
        BlockLayout::new(match split {
            Split::Train => self.train_count,
            Split::Test => self.test_count,
        })
    }

    /// What is wanted now; the same until [`Self::absorb`] is called.
    #[must_use]
    pub fn step(&self) -> Step {
        Step::Compute(match &self.phase {
            Phase::Prepare => Pass::Prepare(self.pipeline.pass().expect("this phase ends with the last pass")),
            Phase::Columns => Pass::ColumnSums { split: Split::Train },
            Phase::Squares { mean, target_mean } => {
                Pass::CentredSquares { mean: F64Block(mean.clone()), target_mean: *target_mean }
            }
            Phase::Classes { .. } => Pass::ClassCounts { class_count: self.classes.len() },
            Phase::Optimise { outputs, solver, .. } => self.round_pass(outputs, solver),
            Phase::Hinge { outputs, machines, .. } => self.hinge_pass(outputs, machines),
            Phase::Own { solver } => self.own_pass(solver),
            Phase::Support { problem } => Pass::SupportVectors { problem: problem.clone(), rows: self.train_count },
            Phase::GatherSupport { rows, problem, .. } => {
                let Window { from, rows } = rows.window().expect("this phase ends with the last window");
                Pass::Rows { from, rows, class_count: problem.class_count }
            }
            Phase::TestTarget { .. } => Pass::ColumnSums { split: Split::Test },
            Phase::Gather { rows } => self.rows_pass(rows),
            Phase::Grow(growth) => growth.pass(),
            Phase::Evaluate { fit, target_mean } => self.evaluation(fit, *target_mean),
            Phase::Finished(model) => return Step::Finished(model.clone()),
        })
    }

    /// Takes the reduced sums of the pass that [`Self::step`] names; progress if it was a round of the solver.
    ///
    /// # Errors
    /// [`TrainError`] if the sums cannot be those of the pass, or no model can come of them. The
    /// trainer stays where it was.
    pub fn absorb(&mut self, sums: &[f64]) -> Result<Option<Progress>, TrainError> {
        let Step::Compute(pass) = self.step() else { return Ok(None) };
        check_sums(sums, pass.partial_len(self.feature_count()))?;
        let next = match &self.phase {
            Phase::Prepare => return self.absorb_step(sums).map(|()| None),
            Phase::Columns => {
                let (mean, target_mean) = column_means(self.train_count, sums)?;
                match self.job.model.kind.own() {
                    Some(_) => self.start_own(target_mean)?,
                    None => Phase::Squares { mean, target_mean },
                }
            }
            Phase::Squares { mean, target_mean } => {
                let scaling = ColumnScaling::new(mean.clone(), sums, self.train_count);
                let variance = sums[mean.len()] / self.train_count as f64;
                let kind = self.job.model.kind;
                match kind.class_loss() {
                    _ if kind == ModelKind::Svr => self.start_support(&scaling),
                    _ if kind == ModelKind::Svc => Phase::Classes { scaling },
                    Some(_) => Phase::Classes { scaling },
                    None => self.start_solver(&scaling, &[TargetMoments { mean: *target_mean, variance }]),
                }
            }
            Phase::Classes { scaling } => {
                let shares = self.class_shares(sums)?;
                match self.job.model.kind.is_kernel_machine() {
                    true => self.start_support(scaling),
                    false => self.start_solver(scaling, &shares),
                }
            }
            Phase::Support { .. } => return Ok(Some(self.absorb_support(sums))),
            Phase::GatherSupport { .. } => {
                self.absorb_support_rows(sums);
                return Ok(None);
            }
            Phase::Optimise { .. } => return self.absorb_round(sums).map(Some),
            Phase::Hinge { .. } => return self.absorb_hinge(sums).map(Some),
            Phase::Own { .. } => return self.absorb_own_round(sums).map(Some),
            Phase::Gather { .. } => return Ok(self.absorb_rows(sums)),
            Phase::Grow(_) => return self.absorb_growth(sums),
            Phase::TestTarget { fit } => {
                let (_, target_mean) = column_means(self.test_count, sums)?;
                Phase::Evaluate { fit: fit.clone(), target_mean }
            }
            Phase::Evaluate { fit, .. } => Phase::Finished(Box::new(self.finish(fit, sums)?)),
            Phase::Finished(_) => return Ok(None),
        };
        self.phase = next;
        Ok(None)
    }

    fn absorb_step(&mut self, sums: &[f64]) -> Result<(), TrainError> {
        // A refusal leaves the trainer where it was.
        let mut pipeline = self.pipeline.clone();
        pipeline.absorb(sums)?;
        if pipeline.pass().is_none() {
            let feature_count = pipeline.columns().len();
            let phase = first_phase(&self.job, self.train_count, feature_count, &self.classes)?;
            self.tree_choice = trees::choose_method(&self.job, self.train_count, feature_count);
            let (columns, class_count) = (pipeline.columns(), self.classes.len());
            self.choice = choose_solver(&self.job, self.train_count, columns, class_count, self.is_sparse)?;
            self.phase = phase;
        }
        self.pipeline = pipeline;
        Ok(())
    }

    /// What follows a model: the mean of the test targets, if they are numbers, and then the test rows.
    fn after(&self, fit: Fit) -> Phase {
        match self.job.model.kind.is_classifier() {
            false => Phase::TestTarget { fit },
            true => Phase::Evaluate { fit, target_mean: 0.0 },
        }
    }

    /// The pass over the test rows.
    fn evaluation(&self, fit: &Fit, target_mean: f64) -> Pass {
        let solved = match fit {
            Fit::Grown(tree) => return Pass::EvaluateTree { tree: tree.clone(), target_mean },
            Fit::Boosted { ensemble, .. } => {
                return Pass::EvaluateEnsemble { ensemble: FlatEnsemble::of(ensemble), target_mean };
            }
            Fit::Own(solved) => return self.own_evaluation(solved, target_mean),
            Fit::Supported(supported) => return support_evaluation(supported, target_mean),
            Fit::Solved(solved) => solved,
        };
        let (kind, point) = (self.job.model.kind, &solved.solution.point);
        match (kind.class_loss(), kind.is_classifier()) {
            (Some(_), _) => Pass::EvaluateClasses { at: class_parameters(&solved.outputs, point) },
            (None, true) => Pass::EvaluateClassification { at: parameters(&solved.outputs, point) },
            (None, false) => Pass::EvaluateRegression { at: parameters(&solved.outputs, point), target_mean },
        }
    }
}

/// What comes when the columns are prepared.
fn first_phase(
    job: &TrainingJob,
    train_count: usize,
    feature_count: usize,
    classes: &[String],
) -> Result<Phase, TrainError> {
    if job.model.kind.is_kernel_machine() {
        TooManyRows::check(train_count, feature_count)?;
    }
    match job.model.kind.is_of_trees() {
        true => trees::first_phase(job, train_count, feature_count, classes),
        false => Ok(Phase::Columns),
    }
}

/// Means of the features and of the target, from the sums of the columns.
fn column_means(row_count: usize, sums: &[f64]) -> Result<(Vec<f64>, f64), TrainError> {
    check_row_count(row_count, sums[0])?;
    let mut means: Vec<f64> = sums[1..].iter().map(|sum| sum / sums[0]).collect();
    let target_mean = means.pop().expect("the sums end with the target's");
    Ok((means, target_mean))
}

#[cfg(test)]
#[path = "program_test.rs"]
mod tests;
