//! The passes of linear support vector machines with the hinge loss, one for each class, all at once.
//!
//! What a machine does next is decided by its [`InteriorPoint`]; one that is done is left out of the passes that follow.

use odeon_protocol::block::F64Block;

use super::{
    Fit, HingeMachine, HingeMove, Pass, Phase, Progress, Solved, Trainer,
    error::{TrainError, check_finite},
    solving::check_both_classes,
};
use crate::{
    kernel::hinge_sums,
    optimiser::{
        interior_point::{InteriorPoint, InteriorPointOptions},
        lbfgs::{Evaluated, Verdict},
        outputs::Outputs,
    },
};

/// The least part of the objective that a gap is closed to: below it, its digits are those of rounding.
const GAP_MIN: f64 = 1e-12;

impl Trainer {
    pub(super) fn start_hinge(&self, outputs: Outputs, target_mean: f64) -> Phase {
        let train = &self.job.train;
        let options = InteriorPointOptions { gap_max: train.tolerance.max(GAP_MIN), rounds_max: train.rounds_max };
        let machines = outputs.each().map(|output| InteriorPoint::new(output.clone(), options)).collect();
        Phase::Hinge { outputs, target_mean, machines }
    }

    pub(super) fn hinge_pass(&self, outputs: &Outputs, machines: &[InteriorPoint]) -> Pass {
        let has_classes = self.job.model.kind.class_loss().is_some();
        let open = machines.iter().enumerate().filter(|(_, machine)| machine.verdict() == Verdict::Evaluate);
        let machines = open.map(|(class, machine)| HingeMachine {
            // The one machine of two classes is for label 1.
            class: if has_classes { class } else { 1 },
            steps: moves(machine),
        });
        let mean = F64Block(outputs.first().scaling.mean.clone());
        let class_count = if has_classes { self.classes.len() } else { 0 };
        Pass::HingePath { mean, class_count, machines: machines.collect() }
    }

    pub(super) fn absorb_hinge(&mut self, sums: &[f64]) -> Result<Progress, TrainError> {
        let (kind, rows, width) = (self.job.model.kind, self.train_count, hinge_sums(self.feature_count()));
        let Phase::Hinge { outputs, target_mean, machines } = &mut self.phase else {
            unreachable!("called in this phase only");
        };
        // The labels are known to be 0 or 1 now: the workers checked them in this pass.
        check_both_classes(kind, *target_mean)?;
        let open = machines.iter_mut().filter(|machine| machine.verdict() == Verdict::Evaluate);
        for (machine, sums) in open.zip(sums.chunks_exact(width)) {
            machine.tell(sums, rows);
        }
        let mut all = Evaluated { point: Vec::new(), value: 0.0, gradient: Vec::new() };
        let mut duality_gap = 0.0;
        for (of_machine, gap) in machines.iter().filter_map(InteriorPoint::solution) {
            all.point.extend(&of_machine.point);
            all.value += of_machine.value;
            all.gradient.extend(&of_machine.gradient);
            duality_gap += gap.max(0.0);
        }
        check_finite(all.point.iter().chain([&all.value, &duality_gap]))?;
        let round = machines.iter().map(InteriorPoint::rounds).max().unwrap_or(0);
        let progress = Progress { round, objective: all.value, gradient_norm: all.gradient_norm() };
        if machines.iter().all(|machine| machine.verdict() != Verdict::Evaluate) {
            let stopped = machines.iter().find_map(|machine| match machine.verdict() {
                Verdict::Stopped(reason) => Some(reason),
                _ => None,
            });
            let (outputs, duality_gap) = (outputs.clone(), Some(duality_gap));
            let solved = Solved { outputs, solution: all, rounds: round, stopped, duality_gap };
            self.phase = self.after(Fit::Solved(Box::new(solved)));
        }
        Ok(progress)
    }
}

fn moves(machine: &InteriorPoint) -> Vec<HingeMove> {
    let raw = |step| {
        let (intercept, direction) = machine.raw(step);
        HingeMove { direction: F64Block(direction), intercept, length: step.length, target: step.target }
    };
    machine.steps().iter().map(raw).collect()
}
