//! The passes of a user's own model: its objective as it stands, with penalties, over columns that steps have prepared.
//!
//! The change of variables that linear models have is not made: a user's parameters are the solver's variables. The solver
//! sees the objective divided by its largest slope at the start, so that its first step changes no parameter by more than 1.

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::{
    Fit, Pass, Phase, Progress, Trainer,
    error::{TrainError, check_finite},
};
use crate::{
    job::{JobError, PrepareSettings, Scale, StepSettings, TrainingJob},
    kernel::OWN_COST_MAX,
    model::{Coefficient, TrainedModel},
    model_registry::OwnCode,
    optimiser::{
        lbfgs::{Evaluated, StopReason, Verdict},
        solver::{ProblemSize, Solver, SolverChoice, SolverKind, SolverOptions, SolverSetting},
        symmetric::{Symmetric, triangle_len},
    },
    trainable::Target,
};

/// Most parameters of a user's model: a partial then fits a frame of the fabric.
pub const PARAMETERS_MAX: usize = 900_000;
/// What a solver's tolerance is never below, as part of the gradient at the start: what rounding leaves of sums.
const RESOLUTION: f64 = 4.0 * f64::EPSILON;

/// The solver, or where it will start: what its tolerance stands for is known after the first evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum OwnSolver {
    Starting(Vec<f64>),
    /// What the solver is told is divided by `unit`.
    Running {
        solver: Box<Solver>,
        unit: f64,
    },
}

/// Where the solver ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OwnSolved {
    solution: Evaluated,
    unit: f64,
    pub(super) rounds: u32,
    stopped: Option<StopReason>,
}

/// The objective at a point, penalties that are not smooth left out.
struct Objective {
    value: f64,
    gradient: Vec<f64>,
    /// The upper triangle, if it was asked for.
    curvature: Option<Vec<f64>>,
}

impl Objective {
    /// Divided by `unit`, as the solver is told.
    fn over(self, unit: f64) -> (f64, Vec<f64>, Option<Symmetric>) {
        let order = self.gradient.len();
        let divided = |values: Vec<f64>| values.into_iter().map(|value| value / unit).collect::<Vec<f64>>();
        let curvature = self.curvature.map(|upper| Symmetric::from_upper(order, divided(upper)));
        (self.value / unit, divided(self.gradient), curvature)
    }
}

/// The steps of a job; a user's model sees standardised columns by one step more.
pub(super) fn steps_of(job: &TrainingJob) -> PrepareSettings {
    let mut settings = job.prepare.clone();
    if job.model.kind.own().is_some() && settings.scale == Scale::Standard {
        settings.steps.push(StepSettings::Standard { columns: None });
    }
    settings
}

/// The solver of a user's model over so many columns.
pub(super) fn choose_own_solver(
    job: &TrainingJob,
    code: &dyn OwnCode,
    rows: usize,
    variables: usize,
) -> Result<SolverChoice, TrainError> {
    let refused = |key: &str, problem: String| Err(JobError { key: key.to_owned(), problem }.into());
    if variables == 0 || variables > PARAMETERS_MAX {
        return refused(
            "model.type",
            format!("the model has {variables} parameters, and may have 1 to {PARAMETERS_MAX}"),
        );
    }
    let (l1, has_curvature) = (job.model.l1 > 0.0, code.has_curvature());
    match job.train.solver {
        SolverSetting::Newton | SolverSetting::QuasiNewton if !has_curvature => {
            refused("train.solver", "the model has no second derivatives: take \"lbfgs\", or \"nesterov\"".to_owned())
        }
        SolverSetting::Auto if !has_curvature => {
            let kind = if l1 { SolverKind::Nesterov } else { SolverKind::Lbfgs };
            Ok(SolverChoice { kind, reason: "the model has no second derivatives".to_owned() })
        }
        asked => {
            Ok(SolverChoice::new(asked, ProblemSize { variables, rows, l1, is_curved: true, has_corners: false })?)
        }
    }
}

impl Trainer {
    /// The code of the job's model.
    fn code(&self) -> &'static dyn OwnCode {
        self.job.model.kind.own().and_then(|own| own.code()).expect("the job was checked")
    }

    fn column_names(&self) -> Vec<String> {
        self.pipeline.columns().iter().map(|column| column.name.clone()).collect()
    }

    /// Names of the parameters.
    pub(super) fn own_parameters(&self) -> Vec<String> {
        self.code().parameters(&self.column_names())
    }

    pub(super) fn start_own(&self, target_mean: f64) -> Result<Phase, TrainError> {
        let code = self.code();
        if code.target() == Target::Label && (target_mean == 0.0 || target_mean == 1.0) {
            return Err(TrainError::OneClass(u8::from(target_mean == 1.0)));
        }
        let expected = self.own_parameters().len();
        let start = code.start(expected, target_mean);
        if start.len() != expected {
            return Err(TrainError::WrongShape { expected, actual: start.len() });
        }
        check_finite(&start)?;
        Ok(Phase::Own { solver: OwnSolver::Starting(start) })
    }

    /// A round of the solver.
    pub(super) fn own_pass(&self, solver: &OwnSolver) -> Pass {
        let (point, wants_curvature) = match solver {
            OwnSolver::Starting(point) => {
                let kind = self.choice.as_ref().map(|choice| choice.kind);
                (&point[..], matches!(kind, Some(SolverKind::Newton | SolverKind::QuasiNewton)))
            }
            OwnSolver::Running { solver, .. } => (solver.point(), solver.wants_curvature()),
        };
        let at = F64Block(point.to_vec());
        if wants_curvature { Pass::OwnCurvature { at } } else { Pass::OwnGradient { at } }
    }

    /// The pass over the test rows.
    pub(super) fn own_evaluation(&self, solved: &OwnSolved, target_mean: f64) -> Pass {
        let target_mean = (!self.job.model.kind.is_classifier()).then_some(target_mean);
        Pass::EvaluateOwn { at: F64Block(solved.solution.point.clone()), target_mean }
    }

    /// Mean cost with the squared penalty, and its first and second derivatives, from the sums of a round.
    fn own_objective(&self, point: &[f64], sums: &[f64]) -> Objective {
        let (code, rows, l2) = (self.code(), self.train_count as f64, self.job.model.l2);
        let penalty = |parameter: usize| if code.is_penalised(parameter) { l2 } else { 0.0 };
        let squares = point.iter().enumerate().map(|(parameter, p)| penalty(parameter) * p * p / 2.0);
        let (slopes, triangle) = sums[1..].split_at(point.len());
        let slopes = slopes.iter().zip(point).enumerate();
        let curvature = (triangle.len() == triangle_len(point.len())).then(|| {
            let mut upper: Vec<f64> = triangle.iter().map(|sum| sum / rows).collect();
            let mut diagonal = 0;
            for parameter in 0..point.len() {
                upper[diagonal] += penalty(parameter);
                diagonal += point.len() - parameter;
            }
            upper
        });
        Objective {
            value: sums[0] / rows + squares.sum::<f64>(),
            gradient: slopes.map(|(parameter, (sum, p))| sum / rows + penalty(parameter) * p).collect(),
            curvature,
        }
    }

    /// A solver that was told nothing yet; its tolerance is a part of the first gradient.
    fn own_solver(&self, start: Vec<f64>, first: &Objective) -> OwnSolver {
        let (code, train) = (self.code(), &self.job.train);
        let largest = first.gradient.iter().fold(0.0_f64, |norm, slope| norm.max(slope.abs()));
        let unit = if largest > 0.0 { largest } else { 1.0 };
        let l1 = |parameter| if code.is_penalised(parameter) { self.job.model.l1 / unit } else { 0.0 };
        let options = SolverOptions {
            gradient_norm_max: train.tolerance.max(RESOLUTION),
            rounds_max: train.rounds_max,
            history: train.history,
            l1: (0..start.len()).map(l1).collect(),
            constant_curvature: false,
        };
        let choice = self.choice.as_ref().expect("a model that is solved for has a solver");
        OwnSolver::Running { solver: Box::new(Solver::new(choice.kind, start, options)), unit }
    }

    pub(super) fn absorb_own_round(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        let Phase::Own { solver } = &self.phase else { unreachable!("called in this phase only") };
        let point = match solver {
            // A cost that is not finite here was not made so by a step too long.
            OwnSolver::Starting(_) if sums[0] >= OWN_COST_MAX => {
                return Err(TrainError::NotFinite { index: 0, value: "infinite, or no number".to_owned() });
            }
            OwnSolver::Starting(start) => start.clone(),
            OwnSolver::Running { solver, .. } => solver.point().to_vec(),
        };
        let here = self.own_objective(&point, sums);
        check_finite(std::iter::once(&here.value).chain(&here.gradient))?;
        let first = matches!(solver, OwnSolver::Starting(_)).then(|| self.own_solver(point, &here));
        let Phase::Own { solver } = &mut self.phase else { unreachable!("called in this phase only") };
        if let Some(first) = first {
            *solver = first;
        }
        let OwnSolver::Running { solver, unit } = solver else { unreachable!("it has just been started") };
        let (value, gradient, curvature) = here.over(*unit);
        let (unit, here) = (*unit, solver.penalised(value, &gradient));
        let (objective, gradient_norm) = (here.value * unit, here.gradient_norm() * unit);
        let stopped = match solver.tell(value, gradient, curvature) {
            Verdict::Evaluate => return Ok(Progress { round: solver.rounds(), objective, gradient_norm }),
            Verdict::Converged => None,
            Verdict::Stopped(reason) => Some(reason),
        };
        let solution = solver.solution().expect("a final verdict follows an evaluation").clone();
        let rounds = solver.rounds();
        self.phase = self.after(Fit::Own(Box::new(OwnSolved { solution, unit, rounds, stopped })));
        Ok(Progress { round: rounds, objective, gradient_norm })
    }

    pub(super) fn with_parameters(&self, solved: &OwnSolved, model: TrainedModel) -> TrainedModel {
        let values = self.own_parameters().into_iter().zip(&solved.solution.point);
        let coefficients = values.map(|(name, value)| Coefficient { class: None, name, value: *value });
        TrainedModel {
            coefficients: coefficients.collect(),
            converged: solved.stopped.is_none(),
            features: self.column_names(),
            gradient_norm: solved.solution.gradient_norm() * solved.unit,
            objective: solved.solution.value * solved.unit,
            rounds: solved.rounds,
            stopped: solved.stopped,
            ..model
        }
    }
}

#[cfg(test)]
#[path = "own_test.rs"]
mod tests;
