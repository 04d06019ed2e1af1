//! The solver's phase of a training without rounds: what a descent begins with, and what becomes of where it ends.

use super::solving::{class_parameters, parameters};
use super::{Pass, Phase, Trainer};
use crate::{
    blocks::{NodeId, Split},
    combine::{Descent, DescentProblem},
    optimiser::{lbfgs::StopReason, solver::Solver},
};

/// Batches that are aimed at, for each worker; fewer if there are not so many blocks.
const BATCHES_PER_WORKER: usize = 8;
/// Part of the tolerance that a descent goes to before its point is judged over all rows.
const TOLERANCE_PART: f64 = 0.5;

impl Trainer {
    /// A descent, if one is to lead to the next point.
    pub(crate) fn descent(&self) -> Option<Descent> {
        let Phase::Optimise { solver, .. } = &self.phase else { return None };
        let Solver::Given(given) = solver.as_ref() else { return None };
        if !given.wants_point() {
            return None;
        }
        let (problem, start) = self.descent_problem(self.job.train.staleness_max())?;
        let norm = TOLERANCE_PART * given.gradient_norm_max();
        Some(Descent::new(problem, start).until(norm, given.rounds_left().into()))
    }

    /// What a descent begins with, once means and deviations are known.
    pub(crate) fn descent_problem(&self, staleness: Option<u64>) -> Option<(DescentProblem, Vec<f64>)> {
        let Phase::Optimise { outputs, solver, .. } = &self.phase else { return None };
        let (outputs, l1) = (outputs.clone(), outputs.absolute_penalty(self.job.model.l1));
        let blocks = self.layout(Split::Train).block_count();
        let batches = batches(blocks, BATCHES_PER_WORKER * self.job.train.workers as usize);
        Some((DescentProblem { outputs, l1, batches, staleness }, solver.point().to_vec()))
    }

    /// The sums of a batch at a point of a descent.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn batch_pass(&self, point: &[f64]) -> Pass {
        let Phase::Optimise { outputs, .. } = &self.phase else { panic!("only a solver has points") };
        let kind = self.job.model.kind;
        match kind.class_loss() {
            Some(loss) => Pass::ClassGradient { loss, at: class_parameters(outputs, point) },
            None => Pass::ObjectiveGradient { loss: kind.loss(), at: parameters(outputs, point) },
        }
    }

    /// Where the solver stands.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn descent_start(&self) -> &[f64] {
        let Phase::Optimise { solver, .. } = &self.phase else { panic!("only a solver has points") };
        solver.point()
    }

    /// Takes over where a descent is after so many more sweeps over the rows.
    pub(crate) fn give_point(&mut self, point: &[f64], sweeps: u32) {
        if let Phase::Optimise { solver, .. } = &mut self.phase
            && let Solver::Given(given) = solver.as_mut()
        {
            given.give(point.to_vec(), sweeps);
        }
    }

    /// The descent is over: its point is to be judged over all rows.
    pub(crate) fn judge_point(&mut self, last: Option<StopReason>) {
        if let Phase::Optimise { solver, .. } = &mut self.phase
            && let Solver::Given(given) = solver.as_mut()
        {
            given.judge(last);
        }
    }
}

/// At least so many nodes of one level, if there are as many blocks.
fn batches(block_count: usize, aim: usize) -> Vec<NodeId> {
    let level = (0..usize::BITS).rev().find(|level| block_count >> level >= aim).unwrap_or(0);
    (0..block_count.div_ceil(1 << level)).map(|index| NodeId { level, index }).collect()
}
