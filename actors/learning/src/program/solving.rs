//! The passes of a model that is solved for, and what the solver is told of their sums.

use std::borrow::Cow;

use odeon_protocol::block::F64Block;

use super::{
    ClassParameters, Fit, Parameters, Pass, Phase, Progress, Solved, Step, Trainer,
    error::{TrainError, check_finite, check_row_count},
    own::choose_own_solver,
    sparse,
};
use crate::{
    blocks::Split,
    job::{Combine, ModelKind, Scale, TrainingJob},
    optimiser::{
        conditioning::{Conditioning, TargetMoments},
        lbfgs::Verdict,
        outputs::Outputs,
        solver::{ProblemSize, Solver, SolverChoice, SolverKind, SolverOptions},
    },
    prepare::PreparedColumn,
    scaling::ColumnScaling,
    sparse_pass::take_means_off,
};

/// Rows of a sample of second derivatives, for each variable.
const SAMPLE_ROWS: usize = 512;

impl Trainer {
    /// A round of the solver: gradient, and curvature if it is wanted.
    pub(super) fn round_pass(&self, outputs: &Outputs, solver: &Solver) -> Pass {
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
    pub(super) fn sampled_every(&self, outputs: &Outputs, solver: &Solver) -> usize {
        let enough = outputs.variable_count() * SAMPLE_ROWS;
        if solver.takes_sample() { (self.train_count / enough).max(1) } else { 1 }
    }

    /// What second derivatives of one block in so many are to be multiplied with.
    pub(super) fn sample_weight(&self, every: usize) -> f64 {
        let layout = self.layout(Split::Train);
        let rows: usize = (0..layout.block_count()).step_by(every).map(|block| layout.rows(block).len()).sum();
        self.train_count as f64 / rows as f64
    }

    /// The part of the training rows that each class has, as moments of its label among all others.
    pub(super) fn class_shares(&self, counts: &[f64]) -> Result<Vec<TargetMoments>, TrainError> {
        check_row_count(self.train_count, counts.iter().sum())?;
        if let Some(class) = counts.iter().position(|count| *count == 0.0) {
            return Err(TrainError::NoRowsOfClass { class: self.classes[class].clone(), train_rows: self.train_count });
        }
        let share = |count: &f64| count / self.train_count as f64;
        Ok(counts.iter().map(share).map(|mean| TargetMoments { mean, variance: mean * (1.0 - mean) }).collect())
    }

    /// A solver of outputs with these targets.
    pub(super) fn start_solver(&self, scaling: &ColumnScaling, targets: &[TargetMoments]) -> Phase {
        let (TrainingJob { train, model, prepare, .. }, rows) = (&self.job, self.train_count);
        let (standardised, loss) = (prepare.scale == Scale::Standard, model.kind.loss());
        let choice = self.choice.as_ref().expect("a model that is solved for has a solver");
        let output = |target: &TargetMoments| {
            let conditioning = Conditioning::new(scaling.clone(), *target, loss, model.l2, standardised, rows);
            match model.penalise_intercept {
                true => conditioning.with_penalised_intercept(model.l2, standardised),
                false => conditioning,
            }
        };
        let outputs = Outputs::new(targets.iter().map(output).collect());
        if choice.kind == SolverKind::InteriorPoint {
            return self.start_hinge(outputs, targets[0].mean);
        }
        let options = SolverOptions {
            gradient_norm_max: outputs.gradient_norm_max(train.tolerance),
            rounds_max: train.rounds_max,
            history: train.history,
            l1: outputs.absolute_penalty(model.l1),
            constant_curvature: loss.has_constant_curvature(),
        };
        let solver = Box::new(Solver::new(choice.kind, outputs.start(), options));
        Phase::Optimise { outputs, target_mean: targets[0].mean, solver }
    }

    pub(super) fn absorb_round(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        let weight = match self.step() {
            Step::Compute(Pass::ObjectiveCurvature { every, .. }) if every > 1 => Some(self.sample_weight(every)),
            _ => None,
        };
        let Phase::Optimise { outputs, target_mean, solver } = &mut self.phase else {
            unreachable!("called in this phase only");
        };
        // The labels are known to be 0 or 1 now: the workers checked them in this pass.
        check_both_classes(self.job.model.kind, *target_mean)?;
        let (sums, triangle) = sums.split_at(1 + outputs.variable_count());
        let sums = match self.is_sparse {
            true => Cow::Owned(take_means_off(sums, &outputs.first().scaling.mean)),
            false => Cow::Borrowed(sums),
        };
        let (value, gradient) = outputs.objective(solver.point(), &sums);
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
        let solved = Solved { outputs: outputs.clone(), solution, rounds, stopped, duality_gap: None };
        self.phase = self.after(Fit::Solved(Box::new(solved)));
        Ok(Progress { round: rounds, objective, gradient_norm })
    }
}

/// Refuses labels that are all the same, by their mean.
pub(super) fn check_both_classes(kind: ModelKind, target_mean: f64) -> Result<(), TrainError> {
    match kind.is_classifier() && (target_mean == 0.0 || target_mean == 1.0) {
        true => Err(TrainError::OneClass(u8::from(target_mean == 1.0))),
        false => Ok(()),
    }
}

/// Nothing for a model that is not solved for.
pub(super) fn choose_solver(
    job: &TrainingJob,
    rows: usize,
    columns: &[PreparedColumn],
    class_count: usize,
    is_sparse: bool,
) -> Result<Option<SolverChoice>, TrainError> {
    let (kind, feature_count) = (job.model.kind, columns.len());
    if kind.is_of_trees() || kind.is_kernel_machine() {
        return Ok(None);
    }
    if job.train.combine != Combine::Synchronous {
        let reason = format!("train.combine is \"{}\": steps without rounds", job.train.combine.name());
        return Ok(Some(SolverChoice { kind: SolverKind::Descent, reason }));
    }
    if let Some(code) = kind.own().and_then(|own| own.code()) {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        return choose_own_solver(job, code, rows, code.parameters(&names).len()).map(Some);
    }
    let outputs = if kind.class_loss().is_some() { class_count } else { 1 };
    let is_curved = kind.class_loss().is_none() && !kind.loss().has_constant_curvature();
    let (variables, l1) = (outputs * (feature_count + 1), job.model.l1 > 0.0);
    let size = ProblemSize { variables, rows, l1, is_curved, has_corners: !job.model.loss.is_squared() };
    match is_sparse {
        true => sparse::choose(job.train.solver, size).map(Some),
        false => Ok(Some(SolverChoice::new(job.train.solver, size)?)),
    }
}

/// The parameters of the only output.
pub(super) fn parameters(outputs: &Outputs, point: &[f64]) -> Parameters {
    let (intercept, weights) = outputs.first().parameters(point);
    Parameters { mean: F64Block(outputs.first().scaling.mean.clone()), weights: F64Block(weights), intercept }
}

pub(super) fn class_parameters(outputs: &Outputs, point: &[f64]) -> ClassParameters {
    let (intercepts, weights): (Vec<f64>, Vec<Vec<f64>>) = outputs.parameters(point).into_iter().unzip();
    let mean = F64Block(outputs.first().scaling.mean.clone());
    ClassParameters { mean, weights: F64Block(weights.concat()), intercepts: F64Block(intercepts) }
}
