//! The passes of a kernel machine: one in which a worker solves for it, those that bring its support vectors, and the
//! evaluation.

use odeon_protocol::block::F64Block;

use super::{Fit, Pass, Phase, Progress, Supported, Trainer};
use crate::{
    job::Scale,
    model::{ModelScaling, TrainedModel},
    optimiser::lbfgs::StopReason,
    scaling::ColumnScaling,
    svm::{SupportRows, SvmOutcome, SvmProblem},
};

/// scikit-learn's.
const C_DEFAULT: f64 = 1.0;

impl Trainer {
    pub(super) fn start_support(&self, scaling: &ColumnScaling) -> Phase {
        let (model, features) = (&self.job.model, scaling.mean.len());
        let (mean, scale) = match self.job.prepare.scale {
            Scale::Standard => (scaling.mean.clone(), scaling.scale.clone()),
            Scale::None => (vec![0.0; features], vec![1.0; features]),
        };
        let class_count = if model.kind.is_classifier() { self.classes.len() } else { 0 };
        let (mean, scale) = (F64Block(mean), F64Block(scale));
        let problem = SvmProblem { c: model.c.unwrap_or(C_DEFAULT), class_count, mean, scale, settings: model.svm };
        Phase::Support { problem }
    }

    /// Takes what a worker has solved; the support vectors are asked for next, if there are any.
    pub(super) fn absorb_support(&mut self, sums: &[f64]) -> Progress {
        let Phase::Support { problem } = &self.phase else { unreachable!("called in this phase only") };
        let (problem, outcome) = (problem.clone(), SvmOutcome::new(sums, problem));
        let round = rounds(&outcome);
        let progress = Progress { round, objective: outcome.objective, gradient_norm: outcome.violation };
        let rows = SupportRows::new(outcome.is_support(), self.feature_count());
        self.phase = Phase::GatherSupport { problem, outcome, rows };
        self.end_of_support_rows();
        progress
    }

    pub(super) fn absorb_support_rows(&mut self, sums: &[f64]) {
        if let Phase::GatherSupport { rows, .. } = &mut self.phase {
            rows.absorb(sums);
        }
        self.end_of_support_rows();
    }

    /// Goes on if all support vectors are here.
    fn end_of_support_rows(&mut self) {
        let Phase::GatherSupport { problem, outcome, rows } = &self.phase else { return };
        if rows.window().is_some() {
            return;
        }
        let machine = outcome.machine(rows, problem);
        let supported = Supported { problem: problem.clone(), outcome: outcome.clone(), machine };
        self.phase = self.after(Fit::Supported(Box::new(supported)));
    }

    pub(super) fn with_support(&self, supported: &Supported, model: TrainedModel) -> TrainedModel {
        let Supported { problem, outcome, machine } = supported;
        let scaling = ModelScaling { mean: problem.mean.0.clone(), scale: problem.scale.0.clone() };
        let converged = outcome.violation <= problem.settings.tolerance;
        let steps_max = u64::from(problem.settings.iterations_max);
        let stopped = match outcome.steps >= steps_max {
            true => StopReason::RoundsMax,
            false => StopReason::FloatingPointFloor,
        };
        TrainedModel {
            converged,
            features: self.pipeline.columns().iter().map(|column| column.name.clone()).collect(),
            gradient_norm: outcome.violation,
            objective: outcome.objective,
            rounds: rounds(outcome),
            scaling: (self.job.prepare.scale == Scale::Standard).then_some(scaling),
            stopped: (!converged).then_some(stopped),
            support: Some(machine.clone()),
            ..model
        }
    }
}

fn rounds(outcome: &SvmOutcome) -> u32 {
    u32::try_from(outcome.steps).unwrap_or(u32::MAX)
}

/// The pass over the test rows.
pub(super) fn support_evaluation(supported: &Supported, target_mean: f64) -> Pass {
    let SvmProblem { mean, scale, .. } = supported.problem.clone();
    Pass::EvaluateSupport { machine: supported.machine.clone(), mean, scale, target_mean }
}
