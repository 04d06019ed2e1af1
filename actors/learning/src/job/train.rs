//! `[train]` of a job file: workers and solver.
//!
//! Nothing is computed here.

use serde::{Deserialize, Serialize};

use super::{JobError, require, within};
use crate::optimiser::solver::SolverSetting;

/// Most workers of one job.
pub const WORKERS_MAX: u32 = 1024;
/// Most evaluations a job may ask for.
pub const ROUNDS_MAX: u32 = 1_000_000;
/// Most correction pairs a job may ask for.
pub const HISTORY_MAX: usize = 1000;
/// Most epochs by which a worker may be asked to be ahead.
pub const STALENESS_MAX: u32 = 1000;
/// Most seconds between two checkpoints.
pub const CHECKPOINT_SECONDS_MAX: u32 = 86_400;

/// `[train]`: workers and solver.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Workers wanted. The model does not depend on it.
    pub workers: u32,
    /// Converged once no component of the gradient, in the solver's conditioned variables, exceeds
    /// this part of what it could be at the start.
    pub tolerance: f64,
    /// Most evaluations of the objective.
    pub rounds_max: u32,
    /// Correction pairs that L-BFGS keeps.
    pub history: usize,
    /// What minimises the objective; the optimum does not depend on it.
    pub solver: SolverSetting,
    /// When what a worker has summed counts.
    pub combine: Combine,
    /// Of [`Combine::StaleSynchronous`]: epochs by which a worker may be ahead of the slowest.
    pub staleness: u32,
    /// A checkpoint is written once so many rounds are not in the last one; only where there is a run directory.
    pub checkpoint_rounds: u32,
    /// The same, once the last one is so many seconds old; whichever comes first.
    pub checkpoint_seconds: u32,
}

/// When what a worker has summed counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// In rounds, each over all rows: the same bits however many workers there are.
    #[default]
    Synchronous,
    /// When it comes; but no worker is further ahead of the slowest than [`TrainSettings::staleness`].
    StaleSynchronous,
    /// When it comes.
    Asynchronous,
}

impl Combine {
    /// As in a job file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Synchronous => "synchronous",
            Self::StaleSynchronous => "stale_synchronous",
            Self::Asynchronous => "asynchronous",
        }
    }
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            workers: 2,
            tolerance: 1e-14,
            rounds_max: 1000,
            history: 20,
            solver: SolverSetting::Auto,
            combine: Combine::Synchronous,
            staleness: 3,
            checkpoint_rounds: 1,
            checkpoint_seconds: 10,
        }
    }
}

impl TrainSettings {
    /// Epochs by which a worker may be ahead of the slowest; none if it does not matter.
    pub(crate) fn staleness_max(&self) -> Option<u64> {
        (self.combine == Combine::StaleSynchronous).then_some(self.staleness.into())
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub(super) fn validate(&self) -> Result<(), JobError> {
        within("train.workers", u64::from(self.workers), u64::from(WORKERS_MAX))?;
        require("train.tolerance", self.tolerance > 0.0 && self.tolerance < 1.0, || {
            format!("{} is not strictly between 0 and 1", self.tolerance)
        })?;
        within("train.rounds_max", u64::from(self.rounds_max), u64::from(ROUNDS_MAX))?;
        within("train.history", self.history as u64, HISTORY_MAX as u64)?;
        let solver_fits = self.combine == Combine::Synchronous || self.solver == SolverSetting::Auto;
        require("train.solver", solver_fits, || {
            format!("a solver works in rounds, and train.combine is \"{}\"; leave it out", self.combine.name())
        })?;
        let staleness = self.staleness;
        require("train.staleness", staleness <= STALENESS_MAX, || format!("{staleness} is above {STALENESS_MAX}"))?;
        within("train.checkpoint_rounds", u64::from(self.checkpoint_rounds), u64::from(ROUNDS_MAX))?;
        within("train.checkpoint_seconds", u64::from(self.checkpoint_seconds), u64::from(CHECKPOINT_SECONDS_MAX))
    }
}
