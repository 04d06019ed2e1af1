//! What sparse rows do not take, told before anything starts, and how their sums become those of all other rows.

use super::error::TrainError;
use crate::{
    data::DataSummary,
    job::TrainingJob,
    optimiser::solver::{ProblemSize, SolverChoice, SolverKind, SolverSetting},
};

/// Most numbers that a request over sparse rows brings, means and weights together: a message of the fabric holds no more.
pub const SPARSE_NUMBERS_MAX: usize = 1_000_000;

/// Refuses what would make zeros something else, or reads rows in a way that they are not stored in.
pub(super) fn check(job: &TrainingJob, data: &DataSummary) -> Result<(), TrainError> {
    let Some(columns) = data.sparse else { return Ok(()) };
    if !job.prepare.steps.is_empty() {
        return Err(refused(
            "prepare.steps would make their zeros something else",
            "prepare.scale = \"standard\" scales them without; data.dense = true keeps rows with all zeros",
        ));
    }
    if job.model.kind.is_of_trees() {
        return Err(refused("a tree reads all cells", "data.dense = true keeps rows with all zeros"));
    }
    if job.model.kind.is_kernel_machine() {
        return Err(refused("a kernel machine reads all cells", "data.dense = true keeps rows with all zeros"));
    }
    if job.model.kind.own().is_some() || !job.model.loss.is_squared() {
        let what = "neither a model of your own nor the loss \"hinge\" is summed over them";
        return Err(refused(what, "data.dense = true keeps rows with all zeros"));
    }
    let outputs = if job.model.kind.class_loss().is_some() { data.classes.len() } else { 1 };
    let numbers = (outputs + 1).saturating_mul(columns.count + 1);
    if numbers > SPARSE_NUMBERS_MAX {
        return Err(refused(
            &format!("{} columns of {outputs} outputs are more than a message holds", columns.count),
            "keep the columns that occur often",
        ));
    }
    Ok(())
}

/// The solver: one that takes gradients alone.
pub(super) fn choose(asked: SolverSetting, size: ProblemSize) -> Result<SolverChoice, TrainError> {
    let by_gradients = |kind, reason: &str| SolverChoice { kind, reason: reason.to_owned() };
    match asked {
        SolverSetting::Auto if size.l1 => {
            Ok(by_gradients(SolverKind::Nesterov, "the penalty l1 is not smooth, and the rows are sparse"))
        }
        SolverSetting::Auto => Ok(by_gradients(SolverKind::Lbfgs, "the rows are sparse: one gradient a round")),
        SolverSetting::Lbfgs | SolverSetting::Nesterov => Ok(SolverChoice::new(asked, size)?),
        _ => Err(refused(
            "train.solver asks for more of them than gradients",
            "\"lbfgs\" and \"nesterov\" do without; data.dense = true keeps rows with all zeros",
        )),
    }
}

fn refused(what: &str, advice: &str) -> TrainError {
    TrainError::Sparse { what: what.to_owned(), advice: advice.to_owned() }
}
