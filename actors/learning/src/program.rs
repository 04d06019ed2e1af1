//! The training program: which pass over the data comes next, and what its sums mean.
//!
//! It does not know who computes a pass, nor how many do. The passes of a job: sums of the columns,
//! squares around their means, loss and gradient until the solver is done, then the test rows.

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use crate::{
    blocks::{BlockLayout, Split},
    data::{DataColumn, DataSummary, split::SplitError},
    job::{JobError, ModelKind, Scale, TrainingJob},
    kernel::{CLASSIFICATION_SUMS, Loss, REGRESSION_SUMS, curvature_sums},
    messages::{ComputeError, WorkerId},
    metrics::{classification_metrics, margin_metrics, regression_metrics},
    model::{Coefficient, MODEL_VERSION, ModelScaling, TrainedModel},
    optimiser::{
        conditioning::{Conditioning, TargetMoments},
        lbfgs::{Evaluated, StopReason, Verdict},
        solver::{Solver, SolverChoice, SolverError, SolverOptions},
    },
    prepare::{FittedStep, Pipeline, PrepareError, PreparePass},
    scaling::ColumnScaling,
};

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
    /// Over training rows; see [`crate::kernel::objective_gradient`].
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
    /// Subtracted from every row.
    pub mean: F64Block,
    /// Raw weights.
    pub weights: F64Block,
    /// Value at the mean row.
    pub intercept: f64,
}

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
    choice: SolverChoice,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Prepare,
    Columns,
    Squares { mean: Vec<f64>, target_mean: f64 },
    Optimise { conditioning: Conditioning, target_mean: f64, solver: Box<Solver> },
    TestTarget { fit: Fit },
    Evaluate { fit: Fit, target_mean: f64 },
    Finished(Box<TrainedModel>),
}

/// Where the solver ended.
#[derive(Debug, Clone)]
struct Fit {
    conditioning: Conditioning,
    solution: Evaluated,
    rounds: u32,
    stopped: Option<StopReason>,
}

impl Pass {
    /// The rows the pass reads.
    #[must_use]
    pub fn split(&self) -> Split {
        match self {
            Self::ColumnSums { split } => *split,
            Self::Prepare(_)
            | Self::CentredSquares { .. }
            | Self::ObjectiveGradient { .. }
            | Self::ObjectiveCurvature { .. } => Split::Train,
            Self::EvaluateRegression { .. } | Self::EvaluateClassification { .. } => Split::Test,
        }
    }

    /// Number of sums over data of `feature_count` features.
    #[must_use]
    pub fn partial_len(&self, feature_count: usize) -> usize {
        match self {
            Self::Prepare(pass) => pass.partial_len(feature_count),
            Self::ColumnSums { .. } | Self::ObjectiveGradient { .. } => feature_count + 2,
            Self::CentredSquares { .. } => feature_count + 1,
            Self::ObjectiveCurvature { .. } => curvature_sums(feature_count),
            Self::EvaluateRegression { .. } => REGRESSION_SUMS,
            Self::EvaluateClassification { .. } => CLASSIFICATION_SUMS,
        }
    }
}

impl Trainer {
    /// A trainer of `job` on data that was scanned as `data`.
    ///
    /// # Errors
    /// [`TrainError::Job`], [`TrainError::Split`] or [`TrainError::Solver`].
    pub fn new(job: TrainingJob, data: &DataSummary) -> Result<Self, TrainError> {
        job.validate()?;
        let (train_count, test_count) = job.data.split.sizes(data.row_count, job.data.test_size)?;
        let pipeline = Pipeline::new(&job.prepare, data, train_count)?;
        let choice = SolverChoice::new(job.train.solver, pipeline.columns().len() + 1, job.model.l1 > 0.0)?;
        let phase = if pipeline.pass().is_some() { Phase::Prepare } else { Phase::Columns };
        let (input, classes) = (data.columns.clone(), data.classes.clone());
        Ok(Self { job, input, classes, pipeline, train_count, test_count, choice, phase })
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> &TrainingJob {
        &self.job
    }

    /// The solver, and why it is this one.
    #[must_use]
    pub fn solver(&self) -> &SolverChoice {
        &self.choice
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
            Phase::Optimise { conditioning, solver, .. } => {
                let (loss, at) = (self.job.model.kind.loss(), parameters(conditioning, solver.point()));
                match solver.wants_curvature() {
                    true => Pass::ObjectiveCurvature { loss, at },
                    false => Pass::ObjectiveGradient { loss, at },
                }
            }
            Phase::TestTarget { .. } => Pass::ColumnSums { split: Split::Test },
            Phase::Evaluate { fit, target_mean } => {
                let at = parameters(&fit.conditioning, &fit.solution.point);
                match self.job.model.kind.is_classifier() {
                    false => Pass::EvaluateRegression { at, target_mean: *target_mean },
                    true => Pass::EvaluateClassification { at },
                }
            }
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
            Phase::Squares { mean, target_mean } => self.start_solver(mean.clone(), *target_mean, sums),
            Phase::Optimise { .. } => return self.absorb_round(sums).map(Some),
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
            let variables = pipeline.columns().len() + 1;
            self.choice = SolverChoice::new(self.job.train.solver, variables, self.job.model.l1 > 0.0)?;
            self.phase = Phase::Columns;
        }
        self.pipeline = pipeline;
        Ok(())
    }

    fn start_solver(&self, mean: Vec<f64>, target_mean: f64, squares: &[f64]) -> Phase {
        let (TrainingJob { train, model, prepare, .. }, rows) = (&self.job, self.train_count);
        let variance = squares[mean.len()] / rows as f64;
        let scaling = ColumnScaling::new(mean, squares, rows);
        let target = TargetMoments { mean: target_mean, variance };
        let standardised = prepare.scale == Scale::Standard;
        let loss = model.kind.loss();
        let mut conditioning = Conditioning::new(scaling, target, loss, model.l2, standardised, rows);
        if model.penalise_intercept {
            conditioning = conditioning.with_penalised_intercept(model.l2, standardised);
        }
        let options = SolverOptions {
            gradient_norm_max: conditioning.gradient_norm_max(train.tolerance),
            rounds_max: train.rounds_max,
            history: train.history,
            l1: conditioning.absolute_penalty(model.l1),
            constant_curvature: loss.has_constant_curvature(),
        };
        let solver = Box::new(Solver::new(self.choice.kind, conditioning.start(), options));
        Phase::Optimise { conditioning, target_mean, solver }
    }

    fn absorb_round(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        let Phase::Optimise { conditioning, target_mean, solver } = &mut self.phase else {
            unreachable!("called in this phase only");
        };
        // The labels are known to be 0 or 1 now: the workers checked them in this pass.
        if self.job.model.kind.is_classifier() && (*target_mean == 0.0 || *target_mean == 1.0) {
            return Err(TrainError::OneClass(u8::from(*target_mean == 1.0)));
        }
        let (sums, triangle) = sums.split_at(conditioning.scaling.mean.len() + 2);
        let (value, gradient) = conditioning.objective(solver.point(), sums);
        check_finite(std::iter::once(&value).chain(&gradient))?;
        let curvature = solver.wants_curvature().then(|| conditioning.curvature(triangle));
        let here = solver.penalised(value, &gradient);
        let (objective, gradient_norm) = (here.value, here.gradient_norm());
        let stopped = match solver.tell(value, gradient, curvature) {
            Verdict::Evaluate => return Ok(Progress { round: solver.rounds(), objective, gradient_norm }),
            Verdict::Converged => None,
            Verdict::Stopped(reason) => Some(reason),
        };
        let solution = solver.solution().expect("a final verdict follows an evaluation").clone();
        let rounds = solver.rounds();
        let fit = Fit { conditioning: conditioning.clone(), solution, rounds, stopped };
        self.phase = match self.job.model.kind.is_classifier() {
            false => Phase::TestTarget { fit },
            true => Phase::Evaluate { fit, target_mean: 0.0 },
        };
        Ok(Progress { round: rounds, objective, gradient_norm })
    }

    fn finish(&self, fit: &Fit, sums: &[f64]) -> Result<TrainedModel, TrainError> {
        let (intercept, weights) = fit.conditioning.parameters(&fit.solution.point);
        let ColumnScaling { mean, scale } = fit.conditioning.scaling.clone();
        let (values, intercept, scaling) = match self.job.prepare.scale {
            Scale::Standard => {
                let values: Vec<f64> = weights.iter().zip(&scale).map(|(w, scale)| w * scale).collect();
                (values, intercept, Some(ModelScaling { mean, scale }))
            }
            Scale::None => {
                let at_mean: f64 = weights.iter().zip(&mean).map(|(w, mean)| w * mean).sum();
                (weights, intercept - at_mean, None)
            }
        };
        let (rows, metrics) = match self.job.model.kind {
            ModelKind::Linear => (sums[0], regression_metrics(sums)),
            ModelKind::Logistic => (sums[1..].iter().sum(), classification_metrics(sums)),
            ModelKind::LinearSvc => (sums[1..].iter().sum(), margin_metrics(sums)),
        };
        check_row_count(self.test_count, rows)?;
        check_finite(values.iter().chain(metrics.values()).chain([&intercept]))?;
        let named = self.pipeline.columns().iter().map(|column| column.name.clone()).zip(values);
        let is_plain = self.steps().is_empty() && self.input.iter().all(|column| !column.has_levels());
        Ok(TrainedModel {
            classes: self.classes.clone(),
            coefficients: named.map(|(name, value)| Coefficient { name, value }).collect(),
            converged: fit.stopped.is_none(),
            gradient_norm: fit.solution.gradient_norm(),
            input: if is_plain { Vec::new() } else { self.input.clone() },
            intercept,
            l1: self.job.model.l1,
            l2: self.job.model.l2,
            metrics,
            missing_words: self.job.data.missing_words.clone(),
            model: self.job.model.kind,
            name: self.job.name.clone(),
            objective: fit.solution.value,
            penalise_intercept: self.job.model.penalise_intercept,
            rounds: fit.rounds,
            scaling,
            selection: self.pipeline.scores().to_vec(),
            steps: self.steps().to_vec(),
            stopped: fit.stopped,
            target: self.job.data.target.clone(),
            test_row_count: self.test_count,
            train_row_count: self.train_count,
            version: MODEL_VERSION,
        })
    }
}

fn parameters(conditioning: &Conditioning, point: &[f64]) -> Parameters {
    let (intercept, weights) = conditioning.parameters(point);
    Parameters { mean: F64Block(conditioning.scaling.mean.clone()), weights: F64Block(weights), intercept }
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
        assert_eq!(trainer.solver().kind, SolverKind::Newton);
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
