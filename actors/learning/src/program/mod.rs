//! The training program: which pass over the data comes next, and what its sums mean.
//!
//! It does not know who computes a pass, nor how many do. The passes of a job: sums of the columns,
//! squares around their means, loss and gradient until the solver is done, then the test rows.

mod pass;

pub use pass::{ClassParameters, Parameters, Pass};

use std::collections::BTreeMap;

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use crate::{
    blocks::{BlockLayout, Split},
    data::{DataColumn, DataSummary, split::SplitError},
    job::{JobError, ModelKind, Scale, TrainingJob},
    kernel::ClassLoss,
    messages::{ComputeError, WorkerId},
    metrics::{class_metrics, classification_metrics, margin_metrics, regression_metrics},
    model::{Coefficient, MODEL_VERSION, ModelScaling, TrainedModel},
    optimiser::{
        conditioning::{Conditioning, TargetMoments},
        lbfgs::{Evaluated, StopReason, Verdict},
        outputs::Outputs,
        solver::{ProblemSize, Solver, SolverChoice, SolverError, SolverOptions},
    },
    prepare::{FittedStep, Pipeline, PrepareError, PreparedColumn},
    scaling::ColumnScaling,
    tree::{GatheredRows, TooManyValues, Tree, Window},
};

/// Rows of a sample of second derivatives, for each variable.
const SAMPLE_ROWS: usize = 512;

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

/// Why no model came out.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TrainError {
    /// A value of the job is out of bounds.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The rows cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The columns cannot be prepared as the job says.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// There is too much data for a tree.
    #[error(transparent)]
    Tree(#[from] TooManyValues),
    /// No solver does what the job asks for.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// Sums of the wrong length.
    #[error("a pass of {expected} sums came back with {actual}")]
    WrongShape {
        /// As the pass has them.
        expected: usize,
        /// As they came.
        actual: usize,
    },
    /// A sum overflowed, or is not a number.
    #[error("sum {index} of the pass is {value}")]
    NotFinite {
        /// Position among the sums.
        index: usize,
        /// Its value, as text: not every form of data can carry it.
        value: String,
    },
    /// Rows were counted twice or left out.
    #[error("{expected} rows were to be read, {actual} were")]
    RowCount {
        /// Rows of the split.
        expected: usize,
        /// Rows in the sums.
        actual: f64,
    },
    /// Two workers say so of one pass: the fault is not with them.
    #[error(
        "the sums of pass {pass_number} are not finite, say {first} and {second}: the data or the penalty are too large for 64 bits; scale them down"
    )]
    Overflow {
        /// Counts the passes of the job from 1.
        pass_number: u64,
        /// Who found it.
        first: WorkerId,
        /// Who confirmed it.
        second: WorkerId,
    },
    /// A classifier needs both classes.
    #[error("all training rows are of class {0}")]
    OneClass(u8),
    /// A model of classes needs rows of each.
    #[error(
        "none of the {train_rows} training rows is of class \"{class}\": leave its rows out, or take a larger part for training"
    )]
    NoRowsOfClass {
        /// The class.
        class: String,
        /// All training rows.
        train_rows: usize,
    },
    /// A worker cannot compute, and there is no other.
    #[error("worker {worker}: {error}")]
    Worker {
        /// The last worker.
        worker: WorkerId,
        /// Its reason.
        error: ComputeError,
    },
    /// Many workers were lost one after the other.
    #[error("{drops} workers were lost in a row and none has delivered anything; the last: {last}")]
    WorkersFail {
        /// How many.
        drops: u32,
        /// Who was lost last, and why.
        last: String,
    },
    /// No worker came, or the last one was lost and none came after it.
    #[error("no worker for {waited_s} s{}", last_drop.as_ref().map(|drop| format!("; the last was lost: {drop}")).unwrap_or_default())]
    NoWorkers {
        /// How long none was there, in seconds.
        waited_s: u64,
        /// Who was lost last, and why.
        last_drop: Option<String>,
    },
}

/// Runs one job, step by step.
#[derive(Debug)]
pub struct Trainer {
    job: TrainingJob,
    input: Vec<DataColumn>,
    classes: Vec<String>,
    pipeline: Pipeline,
    train_count: usize,
    test_count: usize,
    /// Of a model that is solved for.
    choice: Option<SolverChoice>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Prepare,
    Columns,
    Squares { mean: Vec<f64>, target_mean: f64 },
    Classes { scaling: ColumnScaling },
    Optimise { outputs: Outputs, target_mean: f64, solver: Box<Solver> },
    Gather { rows: GatheredRows },
    TestTarget { fit: Fit },
    Evaluate { fit: Fit, target_mean: f64 },
    Finished(Box<TrainedModel>),
}

/// What came of the training rows.
#[derive(Debug, Clone)]
enum Fit {
    Solved(Box<Solved>),
    Grown(Tree),
}

/// Where the solver ended.
#[derive(Debug, Clone)]
struct Solved {
    outputs: Outputs,
    solution: Evaluated,
    rounds: u32,
    stopped: Option<StopReason>,
}

impl Trainer {
    /// A trainer of `job` on data that was scanned as `data`.
    ///
    /// # Errors
    /// [`TrainError::Job`], [`TrainError::Split`] or [`TrainError::Solver`].
    pub fn new(job: TrainingJob, data: &DataSummary) -> Result<Self, TrainError> {
        job.validate()?;
        let (train_count, test_count) = job.data.part_sizes(data)?;
        let pipeline = Pipeline::new(&job.prepare, data, train_count)?;
        let (input, classes) = (data.columns.clone(), data.classes.clone());
        let choice = choose_solver(&job, train_count, pipeline.columns().len(), classes.len())?;
        let phase = match pipeline.pass() {
            Some(_) => Phase::Prepare,
            None => first_phase(&job, train_count, pipeline.columns().len())?,
        };
        Ok(Self { job, input, classes, pipeline, train_count, test_count, choice, phase })
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
            Phase::TestTarget { .. } => Pass::ColumnSums { split: Split::Test },
            Phase::Gather { rows } => {
                let Window { from, rows } = rows.window().expect("this phase ends with the last window");
                Pass::Rows { from, rows, class_count: self.tree_classes() }
            }
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
                Phase::Squares { mean, target_mean }
            }
            Phase::Squares { mean, target_mean } => {
                let scaling = ColumnScaling::new(mean.clone(), sums, self.train_count);
                let variance = sums[mean.len()] / self.train_count as f64;
                match self.job.model.kind.class_loss() {
                    Some(_) => Phase::Classes { scaling },
                    None => self.start_solver(&scaling, &[TargetMoments { mean: *target_mean, variance }]),
                }
            }
            Phase::Classes { scaling } => self.start_solver(scaling, &self.class_shares(sums)?),
            Phase::Optimise { .. } => return self.absorb_round(sums).map(Some),
            Phase::Gather { .. } => return Ok(self.absorb_rows(sums)),
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
            let phase = first_phase(&self.job, self.train_count, feature_count)?;
            self.choice = choose_solver(&self.job, self.train_count, feature_count, self.classes.len())?;
            self.phase = phase;
        }
        self.pipeline = pipeline;
        Ok(())
    }

    /// Classes of the target, as a tree counts them.
    fn tree_classes(&self) -> usize {
        if self.job.model.kind.is_classifier() { self.classes.len() } else { 0 }
    }

    /// Takes a window of rows; with the last one the tree is grown.
    fn absorb_rows(&mut self, sums: &[f64]) -> Option<Progress> {
        let class_count = self.tree_classes();
        let Phase::Gather { rows } = &mut self.phase else { unreachable!("called in this phase only") };
        rows.absorb(sums);
        if rows.window().is_some() {
            return None;
        }
        let tree = rows.grow(class_count, &self.job.model.tree);
        let objective = tree.remaining_impurity();
        self.phase = self.after(Fit::Grown(tree));
        Some(Progress { round: 1, objective, gradient_norm: 0.0 })
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
            Fit::Solved(solved) => solved,
        };
        let (kind, point) = (self.job.model.kind, &solved.solution.point);
        match (kind.class_loss(), kind.is_classifier()) {
            (Some(_), _) => Pass::EvaluateClasses { at: class_parameters(&solved.outputs, point) },
            (None, true) => Pass::EvaluateClassification { at: parameters(&solved.outputs, point) },
            (None, false) => Pass::EvaluateRegression { at: parameters(&solved.outputs, point), target_mean },
        }
    }

    /// A round of the solver: gradient, and curvature if it is wanted.
    fn round_pass(&self, outputs: &Outputs, solver: &Solver) -> Pass {
        let (kind, point) = (self.job.model.kind, solver.point());
        match (kind.class_loss(), solver.wants_curvature()) {
            (Some(loss), true) => Pass::ClassCurvature { loss, at: class_parameters(outputs, point) },
            (Some(loss), false) => Pass::ClassGradient { loss, at: class_parameters(outputs, point) },
            (None, true) => {
                let (at, every) = (parameters(outputs, point), self.sampled_every(outputs, solver));
                Pass::ObjectiveCurvature { loss: kind.loss(), at, every }
            }
            (None, false) => Pass::ObjectiveGradient { loss: kind.loss(), at: parameters(outputs, point) },
        }
    }

    /// Of how many blocks one is read for second derivatives.
    fn sampled_every(&self, outputs: &Outputs, solver: &Solver) -> usize {
        let enough = outputs.variable_count() * SAMPLE_ROWS;
        if solver.takes_sample() { (self.train_count / enough).max(1) } else { 1 }
    }

    /// What second derivatives of one block in so many are to be multiplied with.
    fn sample_weight(&self, every: usize) -> f64 {
        let layout = self.layout(Split::Train);
        let rows: usize = (0..layout.block_count()).step_by(every).map(|block| layout.rows(block).len()).sum();
        self.train_count as f64 / rows as f64
    }

    /// The part of the training rows that each class has, as moments of its label among all others.
    fn class_shares(&self, counts: &[f64]) -> Result<Vec<TargetMoments>, TrainError> {
        check_row_count(self.train_count, counts.iter().sum())?;
        if let Some(class) = counts.iter().position(|count| *count == 0.0) {
            return Err(TrainError::NoRowsOfClass { class: self.classes[class].clone(), train_rows: self.train_count });
        }
        let share = |count: &f64| count / self.train_count as f64;
        Ok(counts.iter().map(share).map(|mean| TargetMoments { mean, variance: mean * (1.0 - mean) }).collect())
    }

    /// A solver of outputs with these targets.
    fn start_solver(&self, scaling: &ColumnScaling, targets: &[TargetMoments]) -> Phase {
        let (TrainingJob { train, model, prepare, .. }, rows) = (&self.job, self.train_count);
        let (standardised, loss) = (prepare.scale == Scale::Standard, model.kind.loss());
        let output = |target: &TargetMoments| {
            let conditioning = Conditioning::new(scaling.clone(), *target, loss, model.l2, standardised, rows);
            match model.penalise_intercept {
                true => conditioning.with_penalised_intercept(model.l2, standardised),
                false => conditioning,
            }
        };
        let outputs = Outputs::new(targets.iter().map(output).collect());
        let options = SolverOptions {
            gradient_norm_max: outputs.gradient_norm_max(train.tolerance),
            rounds_max: train.rounds_max,
            history: train.history,
            l1: outputs.absolute_penalty(model.l1),
            constant_curvature: loss.has_constant_curvature(),
        };
        let choice = self.choice.as_ref().expect("a model that is solved for has a solver");
        let solver = Box::new(Solver::new(choice.kind, outputs.start(), options));
        Phase::Optimise { outputs, target_mean: targets[0].mean, solver }
    }

    fn absorb_round(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        let weight = match self.step() {
            Step::Compute(Pass::ObjectiveCurvature { every, .. }) if every > 1 => Some(self.sample_weight(every)),
            _ => None,
        };
        let Phase::Optimise { outputs, target_mean, solver } = &mut self.phase else {
            unreachable!("called in this phase only");
        };
        // The labels are known to be 0 or 1 now: the workers checked them in this pass.
        let kind = self.job.model.kind;
        if kind.is_classifier() && (*target_mean == 0.0 || *target_mean == 1.0) {
            return Err(TrainError::OneClass(u8::from(*target_mean == 1.0)));
        }
        let (sums, triangle) = sums.split_at(1 + outputs.variable_count());
        let (value, gradient) = outputs.objective(solver.point(), sums);
        check_finite(std::iter::once(&value).chain(&gradient))?;
        let curvature = solver.wants_curvature().then(|| match weight {
            Some(weight) => outputs.curvature(&triangle.iter().map(|sum| weight * sum).collect::<Vec<_>>()),
            None => outputs.curvature(triangle),
        });
        let here = solver.penalised(value, &gradient);
        let (objective, gradient_norm) = (here.value, here.gradient_norm());
        let stopped = match solver.tell(value, gradient, curvature) {
            Verdict::Evaluate => return Ok(Progress { round: solver.rounds(), objective, gradient_norm }),
            Verdict::Converged => None,
            Verdict::Stopped(reason) => Some(reason),
        };
        let solution = solver.solution().expect("a final verdict follows an evaluation").clone();
        let rounds = solver.rounds();
        let solved = Solved { outputs: outputs.clone(), solution, rounds, stopped };
        self.phase = self.after(Fit::Solved(Box::new(solved)));
        Ok(Progress { round: rounds, objective, gradient_norm })
    }

    /// Intercept and weights of each output as the user sees them: of the columns as `[prepare]` leaves them.
    ///
    /// Where no penalty chooses among the many that a softmax holds to be equal, they are those of mean 0 over the classes.
    fn user_outputs(&self, fit: &Solved) -> Vec<(f64, Vec<f64>)> {
        let ColumnScaling { mean, scale } = &fit.outputs.first().scaling;
        let (model, scaled) = (&self.job.model, self.job.prepare.scale);
        let user = |(intercept, weights): (f64, Vec<f64>)| match scaled {
            Scale::Standard => (intercept, weights.iter().zip(scale).map(|(w, scale)| w * scale).collect()),
            Scale::None => {
                let at_mean: f64 = weights.iter().zip(mean).map(|(w, mean)| w * mean).sum();
                (intercept - at_mean, weights)
            }
        };
        let mut outputs: Vec<(f64, Vec<f64>)> =
            fit.outputs.parameters(&fit.solution.point).into_iter().map(user).collect();
        if model.kind.class_loss() == Some(ClassLoss::Softmax) {
            if model.l2 == 0.0 || !model.penalise_intercept {
                centre(outputs.iter_mut().map(|(intercept, _)| intercept));
            }
            if model.l2 == 0.0 && model.l1 == 0.0 {
                (0..mean.len()).for_each(|column| centre(outputs.iter_mut().map(|(_, weights)| &mut weights[column])));
            }
        }
        outputs
    }

    fn coefficients(&self, outputs: Vec<(f64, Vec<f64>)>) -> Vec<Coefficient> {
        let classes = self.job.model.kind.class_loss().map(|_| &self.classes);
        let of_output = |(output, (_, values)): (usize, (f64, Vec<f64>))| {
            let class = classes.map(|classes| classes[output].clone());
            let columns = self.pipeline.columns().iter().map(|column| column.name.clone());
            columns.zip(values).map(move |(name, value)| Coefficient { class: class.clone(), name, value })
        };
        outputs.into_iter().enumerate().flat_map(of_output).collect()
    }

    /// The model, from the sums over the test rows.
    fn finish(&self, fit: &Fit, sums: &[f64]) -> Result<TrainedModel, TrainError> {
        let kind = self.job.model.kind;
        let (rows, metrics, confusion) = match kind {
            ModelKind::Linear | ModelKind::DecisionTreeRegressor => (sums[0], regression_metrics(sums), Vec::new()),
            ModelKind::Logistic => (sums[1..].iter().sum(), classification_metrics(sums), Vec::new()),
            ModelKind::LinearSvc => (sums[1..].iter().sum(), margin_metrics(sums), Vec::new()),
            ModelKind::Multinomial | ModelKind::LinearSvcOvr | ModelKind::DecisionTreeClassifier => {
                let (metrics, counted) = class_metrics(sums, kind.has_probabilities());
                (sums[1..].iter().sum(), metrics, counted.counts().to_vec())
            }
        };
        check_row_count(self.test_count, rows)?;
        check_finite(metrics.values())?;
        match fit {
            Fit::Grown(tree) => Ok(self.with_tree(tree, self.unfitted(metrics, confusion))),
            Fit::Solved(solved) => self.with_weights(solved, self.unfitted(metrics, confusion)),
        }
    }

    /// All of the model that does not depend on what came of the training rows.
    fn unfitted(&self, metrics: BTreeMap<String, f64>, confusion: Vec<Vec<u64>>) -> TrainedModel {
        let has_input = !self.steps().is_empty()
            || self.job.model.kind.is_tree()
            || self.input.iter().any(|column| column.has_levels());
        TrainedModel {
            classes: self.classes.clone(),
            coefficients: Vec::new(),
            confusion,
            converged: true,
            gradient_norm: 0.0,
            importances: Vec::new(),
            input: if has_input { self.input.clone() } else { Vec::new() },
            intercept: 0.0,
            intercepts: Vec::new(),
            l1: self.job.model.l1,
            l2: self.job.model.l2,
            metrics,
            missing_words: self.job.data.missing_words.clone(),
            model: self.job.model.kind,
            name: self.job.name.clone(),
            objective: 0.0,
            penalise_intercept: self.job.model.penalise_intercept,
            rounds: 1,
            scaling: None,
            selection: self.pipeline.scores().to_vec(),
            steps: self.steps().to_vec(),
            stopped: None,
            target: self.job.data.target.clone(),
            test_row_count: self.test_count,
            train_row_count: self.train_count,
            tree: None,
            version: MODEL_VERSION,
        }
    }

    fn with_tree(&self, tree: &Tree, model: TrainedModel) -> TrainedModel {
        let columns = self.pipeline.columns();
        let values = tree.importances(columns.len());
        let importance =
            |(column, value): (&PreparedColumn, f64)| Coefficient { class: None, name: column.name.clone(), value };
        let importances = columns.iter().zip(values).map(importance).collect();
        TrainedModel { importances, objective: tree.remaining_impurity(), tree: Some(tree.clone()), ..model }
    }

    fn with_weights(&self, solved: &Solved, model: TrainedModel) -> Result<TrainedModel, TrainError> {
        let outputs = self.user_outputs(solved);
        check_finite(outputs.iter().flat_map(|(intercept, values)| values.iter().chain([intercept])))?;
        let ColumnScaling { mean, scale } = solved.outputs.first().scaling.clone();
        let scaling = (self.job.prepare.scale == Scale::Standard).then_some(ModelScaling { mean, scale });
        let (intercept, intercepts) = match self.job.model.kind.class_loss() {
            None => (outputs[0].0, Vec::new()),
            Some(_) => (0.0, outputs.iter().map(|(intercept, _)| *intercept).collect()),
        };
        Ok(TrainedModel {
            coefficients: self.coefficients(outputs),
            converged: solved.stopped.is_none(),
            gradient_norm: solved.solution.gradient_norm(),
            intercept,
            intercepts,
            objective: solved.solution.value,
            rounds: solved.rounds,
            scaling,
            stopped: solved.stopped,
            ..model
        })
    }
}

/// What comes when the columns are prepared.
fn first_phase(job: &TrainingJob, train_count: usize, feature_count: usize) -> Result<Phase, TrainError> {
    Ok(match job.model.kind.is_tree() {
        true => Phase::Gather { rows: GatheredRows::new(train_count, feature_count)? },
        false => Phase::Columns,
    })
}

/// Nothing for a model that is not solved for.
fn choose_solver(
    job: &TrainingJob,
    rows: usize,
    feature_count: usize,
    class_count: usize,
) -> Result<Option<SolverChoice>, SolverError> {
    if job.model.kind.is_tree() {
        return Ok(None);
    }
    let kind = job.model.kind;
    let outputs = if kind.class_loss().is_some() { class_count } else { 1 };
    let is_curved = kind.class_loss().is_none() && !kind.loss().has_constant_curvature();
    let size = ProblemSize { variables: outputs * (feature_count + 1), rows, l1: job.model.l1 > 0.0, is_curved };
    SolverChoice::new(job.train.solver, size).map(Some)
}

/// The parameters of the only output.
fn parameters(outputs: &Outputs, point: &[f64]) -> Parameters {
    let (intercept, weights) = outputs.first().parameters(point);
    Parameters { mean: F64Block(outputs.first().scaling.mean.clone()), weights: F64Block(weights), intercept }
}

fn class_parameters(outputs: &Outputs, point: &[f64]) -> ClassParameters {
    let (intercepts, weights): (Vec<f64>, Vec<Vec<f64>>) = outputs.parameters(point).into_iter().unzip();
    let mean = F64Block(outputs.first().scaling.mean.clone());
    ClassParameters { mean, weights: F64Block(weights.concat()), intercepts: F64Block(intercepts) }
}

/// Takes the mean over the outputs off each of these values, which a softmax does not see.
fn centre<'a>(values: impl Iterator<Item = &'a mut f64>) {
    let values: Vec<&mut f64> = values.collect();
    let mean = values.iter().map(|value| **value).sum::<f64>() / values.len() as f64;
    values.into_iter().for_each(|value| *value -= mean);
}

/// Means of the features and of the target, from the sums of the columns.
fn column_means(row_count: usize, sums: &[f64]) -> Result<(Vec<f64>, f64), TrainError> {
    check_row_count(row_count, sums[0])?;
    let mut means: Vec<f64> = sums[1..].iter().map(|sum| sum / sums[0]).collect();
    let target_mean = means.pop().expect("the sums end with the target's");
    Ok((means, target_mean))
}

fn check_sums(sums: &[f64], expected: usize) -> Result<(), TrainError> {
    if sums.len() != expected {
        return Err(TrainError::WrongShape { expected, actual: sums.len() });
    }
    check_finite(sums)
}

fn check_finite<'a>(values: impl IntoIterator<Item = &'a f64>) -> Result<(), TrainError> {
    match values.into_iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(TrainError::NotFinite { index, value: value.to_string() }),
        None => Ok(()),
    }
}

fn check_row_count(expected: usize, actual: f64) -> Result<(), TrainError> {
    if actual == expected as f64 { Ok(()) } else { Err(TrainError::RowCount { expected, actual }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimiser::solver::SolverKind;

    fn trainer(kind: ModelKind) -> Trainer {
        let text =
            "name = \"t\"\ndata = { path = \"d\", target = \"y\", test_size = 0.2 }\nmodel = { type = \"linear\" }";
        let mut job: TrainingJob = toml::from_str(text).unwrap();
        job.model.kind = kind;
        let data = DataSummary::numeric(5, &["a"], "y");
        Trainer::new(job, &data).unwrap()
    }

    #[test]
    fn sums_that_cannot_be_those_of_the_pass_are_refused_and_change_nothing() {
        let mut trainer = trainer(ModelKind::Linear);
        let before = trainer.step();
        assert_eq!(before, Step::Compute(Pass::ColumnSums { split: Split::Train }));
        let faults = [
            (vec![4.0, 1.0], TrainError::WrongShape { expected: 3, actual: 2 }),
            (vec![4.0, f64::NAN, 1.0], TrainError::NotFinite { index: 1, value: "NaN".into() }),
            (vec![4.0, 1.0, f64::INFINITY], TrainError::NotFinite { index: 2, value: "inf".into() }),
            (vec![5.0, 1.0, 1.0], TrainError::RowCount { expected: 4, actual: 5.0 }),
        ];
        for (sums, expected) in faults {
            assert_eq!(trainer.absorb(&sums), Err(expected));
            assert_eq!(trainer.step(), before);
        }
    }

    #[test]
    fn the_passes_follow_each_other_to_the_closed_form() {
        // x = -1, -1, 1, 1 and y = 0, 2, 4, 6: slope 2, intercept 3, half mean squared error 1/2.
        let mut trainer = trainer(ModelKind::Linear);
        assert_eq!(trainer.absorb(&[4.0, 0.0, 12.0]), Ok(None));
        assert_eq!(trainer.absorb(&[4.0, 20.0]), Ok(None));
        assert_eq!(trainer.solver().map(|choice| choice.kind), Some(SolverKind::Newton));
        loop {
            let (at, triangle) = match trainer.step() {
                Step::Compute(Pass::ObjectiveCurvature { at, .. }) => (at, [4.0, 0.0, 4.0].as_slice()),
                Step::Compute(Pass::ObjectiveGradient { at, .. }) => (at, [].as_slice()),
                _ => break,
            };
            let (slope, intercept) = (at.weights.0[0] - 2.0, at.intercept - 3.0);
            let loss = 2.0 + 2.0 * (slope * slope + intercept * intercept);
            let sums = [[loss, 4.0 * intercept, 4.0 * slope].as_slice(), triangle].concat();
            assert!(trainer.absorb(&sums).unwrap().is_some());
        }
        assert_eq!(trainer.step(), Step::Compute(Pass::ColumnSums { split: Split::Test }));
        assert_eq!(trainer.absorb(&[1.0, 3.0, 10.0]), Ok(None));
        assert!(matches!(trainer.step(), Step::Compute(Pass::EvaluateRegression { target_mean: 10.0, .. })));
        assert_eq!(trainer.absorb(&[1.0, 1.0, 1.0, 0.0]), Ok(None));
        let Step::Finished(model) = trainer.step() else { panic!("not finished") };
        assert!((model.coefficients[0].value - 2.0).abs() < 1e-12 && (model.intercept - 3.0).abs() < 1e-12);
        assert!(model.converged && (model.objective - 0.5).abs() < 1e-12);
        assert_eq!(trainer.absorb(&[]), Ok(None));
    }

    #[test]
    fn more_rows_than_a_shuffle_takes_are_refused_before_a_worker_is_asked() {
        let job = trainer(ModelKind::Linear).job().clone();
        let row_count = u32::MAX as usize + 1;
        let data = DataSummary::numeric(row_count, &["a"], "y");
        let refused = Trainer::new(job, &data).unwrap_err();
        assert_eq!(refused, TrainError::Split(SplitError::TooManyRows(row_count)));
    }

    #[test]
    fn one_class_is_not_enough() {
        let mut trainer = trainer(ModelKind::Logistic);
        trainer.absorb(&[4.0, 0.0, 4.0]).unwrap();
        trainer.absorb(&[4.0, 0.0]).unwrap();
        assert_eq!(trainer.absorb(&[1.0, 0.0, 0.0, 1.0, 0.0, 1.0]), Err(TrainError::OneClass(1)));
    }
}
