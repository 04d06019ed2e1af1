//! Why no model came out, and the checks that every pass's sums go through.

use serde::{Deserialize, Serialize};

use crate::{
    data::split::SplitError,
    job::JobError,
    messages::{ComputeError, WorkerId},
    optimiser::solver::SolverError,
    prepare::PrepareError,
    svm::TooManyRows,
    tree::{TooManyValues, histogram::TooManyLeaves},
};

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
    /// There may be too many trees, or too large ones.
    #[error(
        "the trees may have {nodes} nodes together, and a model has at most {most}: lower max_iter or max_leaf_nodes"
    )]
    EnsembleTooLarge {
        /// As the job asks for.
        nodes: usize,
        /// As there may be.
        most: usize,
    },
    /// A tree has no end.
    #[error(transparent)]
    Leaves(#[from] TooManyLeaves),
    /// Counts that no rows can have.
    #[error("the counts of the bins do not add up to the {rows} rows that were read")]
    BinCounts {
        /// Rows that were read.
        rows: usize,
    },
    /// There is too much data for a kernel machine.
    #[error(transparent)]
    Svm(#[from] TooManyRows),
    /// No solver does what the job asks for.
    #[error(transparent)]
    Solver(#[from] SolverError),
    /// Sparse rows do not take what the job asks for.
    #[error("the rows are sparse, and {what}: {advice}")]
    Sparse {
        /// What they do not take.
        what: String,
        /// What to do.
        advice: String,
    },
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
    /// What a restart would go on from cannot be kept.
    #[error("the checkpoint is not kept: {0}")]
    Checkpoint(String),
    /// No worker came, or the last one was lost and none came after it.
    #[error("no worker for {waited_s} s{}", last_drop.as_ref().map(|drop| format!("; the last was lost: {drop}")).unwrap_or_default())]
    NoWorkers {
        /// How long none was there, in seconds.
        waited_s: u64,
        /// Who was lost last, and why.
        last_drop: Option<String>,
    },
}

pub(super) fn check_sums(sums: &[f64], expected: usize) -> Result<(), TrainError> {
    if sums.len() != expected {
        return Err(TrainError::WrongShape { expected, actual: sums.len() });
    }
    check_finite(sums)
}

pub(super) fn check_finite<'a>(values: impl IntoIterator<Item = &'a f64>) -> Result<(), TrainError> {
    match values.into_iter().enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(TrainError::NotFinite { index, value: value.to_string() }),
        None => Ok(()),
    }
}

pub(super) fn check_row_count(expected: usize, actual: f64) -> Result<(), TrainError> {
    if actual == expected as f64 { Ok(()) } else { Err(TrainError::RowCount { expected, actual }) }
}
