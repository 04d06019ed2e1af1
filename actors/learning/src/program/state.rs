//! All that a training program has come to know, apart from job and data: what a killed training goes on from.
//!
//! Whoever adds to a phase, a solver or a pipeline adds to this state by deriving the same two traits. Nothing is
//! written here; see `checkpoint`.

use serde::{Deserialize, Serialize};

use super::{Phase, Trainer, error::TrainError, own::OwnSolver};
use crate::{
    data::DataSummary,
    job::TrainingJob,
    optimiser::{interior_point::InteriorPoint, solver::SolverChoice},
    prepare::Pipeline,
    tree::TreeChoice,
};

/// Where a trainer stands between two passes: fitted steps, scaling, the state of the solver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    pipeline: Pipeline,
    choice: Option<SolverChoice>,
    tree_choice: Option<TreeChoice>,
    phase: Phase,
}

impl TrainerState {
    /// Rounds of the solver that are done.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        match &self.phase {
            Phase::Optimise { solver, .. } => solver.rounds(),
            Phase::Own { solver: OwnSolver::Running { solver, .. } } => solver.rounds(),
            Phase::Hinge { machines, .. } => machines.iter().map(InteriorPoint::rounds).max().unwrap_or(0),
            Phase::TestTarget { fit } | Phase::Evaluate { fit, .. } => fit.rounds(),
            Phase::Finished(model) => model.rounds,
            _ => 0,
        }
    }
}

impl Trainer {
    /// Rounds of the solver that are done.
    pub(crate) fn rounds(&self) -> u32 {
        match &self.phase {
            Phase::Optimise { solver, .. } => solver.rounds(),
            _ => 0,
        }
    }

    /// Whether there is a model.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Finished(_))
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> TrainerState {
        let (choice, tree_choice) = (self.choice.clone(), self.tree_choice.clone());
        TrainerState { pipeline: self.pipeline.clone(), choice, tree_choice, phase: self.phase.clone() }
    }

    /// A trainer that stands where another of the same job and data stood, and goes on with the same bits.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn resume(job: TrainingJob, data: &DataSummary, state: TrainerState) -> Result<Self, TrainError> {
        let TrainerState { pipeline, choice, tree_choice, phase } = state;
        Ok(Self { pipeline, choice, tree_choice, phase, ..Self::new(job, data)? })
    }
}
