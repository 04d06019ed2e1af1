//! Training in one thread, through the same program, blocks and reduction as over a cluster.
//!
//! It exists for tests and for data that needs no cluster. Files are read through `data::source`.

use std::path::Path;

use crate::{
    block_store::BlockStore,
    blocks::{BlockLayout, NodeId, ReduceError, Reduction, even_ranges, subtrees},
    data::{DataError, DataSource, DataSummary, RowSink, Rows, source, split::SplitError, strata::Strata},
    job::TrainingJob,
    messages::{ComputeError, ComputePartials, Joined},
    model::TrainedModel,
    prepare::{FittedStep, Pipeline, PreparedColumn},
    program::{Pass, Step, TrainError, Trainer},
};

/// Why a local training gave no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LocalError {
    /// The data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The rows cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// A block has no sum.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// Partials do not fit together: a bug in the assignment.
    #[error(transparent)]
    Reduce(#[from] ReduceError),
    /// The program refused.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// Trains `job` on the file at `path`, cut up as for `worker_count` workers, which does not change the model.
///
/// # Errors
/// [`LocalError`] of the first step that fails.
pub fn fit_file(job: &TrainingJob, path: &Path, worker_count: usize) -> Result<TrainedModel, LocalError> {
    fit_source(job, &DataSource { paths: path.into(), test_paths: None }, worker_count)
}

/// As [`fit_file`], of files of which some may be for testing.
///
/// # Errors
/// [`LocalError`] of the first step that fails.
pub fn fit_source(job: &TrainingJob, source: &DataSource, worker_count: usize) -> Result<TrainedModel, LocalError> {
    let table = source::scan_source(source, &job.data_spec())?;
    fit(job, table.summary(), table.strata(), |numbers, each| table.each_row(numbers, each), worker_count)
}

/// As [`fit_file`], with rows that `load` returns for their numbers (from 0), in that order; a stratified split is
/// for files.
///
/// # Errors
/// [`LocalError`] of the first step that fails.
pub fn fit_local(
    job: &TrainingJob,
    data: &DataSummary,
    load: impl Fn(&[usize]) -> Result<Rows, DataError>,
    worker_count: usize,
) -> Result<TrainedModel, LocalError> {
    fit(job, data, &Strata::default(), |numbers, each| load(numbers).map(|rows| rows.tell(each)), worker_count)
}

/// The steps of `[prepare]` of a job, fitted to its training rows, and the columns behind them.
///
/// # Errors
/// [`LocalError`] of the first step that fails.
pub fn fit_steps(
    job: &TrainingJob,
    data: &DataSummary,
    load: impl Fn(&[usize]) -> Result<Rows, DataError>,
) -> Result<(Vec<FittedStep>, Vec<PreparedColumn>), LocalError> {
    let (train_count, _) = job.data.part_sizes(data)?;
    job.validate().map_err(TrainError::Job)?;
    let mut pipeline = Pipeline::new(&job.prepare, data, train_count).map_err(TrainError::Prepare)?;
    let mut store = BlockStore::new(&Joined { job: job.clone(), data: data.clone() }, &Strata::default())?;
    let block_count = BlockLayout::new(train_count).block_count();
    let nodes = subtrees(0..block_count, block_count);
    let mut pass_number = 0;
    while let Some(pass) = pipeline.pass() {
        pass_number += 1;
        let (pass, nodes) = (Pass::Prepare(pass), nodes.clone());
        let request = ComputePartials { pass_number, pass, nodes, steps_known: 0, new_steps: Vec::new() };
        let loaded = |numbers: &[usize], each: &mut RowSink<'_>| load(numbers).map(|rows| rows.tell(each));
        let partials = store.compute(&request, pipeline.fitted(), loaded)?.partials;
        let mut reduction = Reduction::new(block_count);
        partials.into_iter().try_for_each(|partial| reduction.insert(partial.node, partial.values.0))?;
        let sums = reduction.root().expect("the request covers every block");
        pipeline.absorb(sums).map_err(TrainError::Prepare)?;
    }
    Ok((pipeline.fitted().to_vec(), pipeline.columns().to_vec()))
}

fn fit(
    job: &TrainingJob,
    data: &DataSummary,
    strata: &Strata,
    load: impl Fn(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    worker_count: usize,
) -> Result<TrainedModel, LocalError> {
    let mut trainer = Trainer::new(job.clone(), data)?;
    let joined = Joined { job: job.clone(), data: data.clone() };
    let stores = (0..worker_count.max(1)).map(|_| BlockStore::new(&joined, strata));
    let mut stores = stores.collect::<Result<Vec<_>, _>>()?;
    let mut pass_number = 0;
    loop {
        let pass = match trainer.step() {
            Step::Compute(pass) => pass,
            Step::Finished(model) => return Ok(*model),
        };
        pass_number += 1;
        let sums = run_pass(&trainer, &mut stores, &load, pass_number, &pass)?;
        trainer.absorb(&sums)?;
    }
}

pub(crate) fn run_pass(
    trainer: &Trainer,
    stores: &mut [BlockStore],
    load: impl Fn(&[usize], &mut RowSink<'_>) -> Result<(), DataError>,
    pass_number: u64,
    pass: &Pass,
) -> Result<Vec<f64>, LocalError> {
    let block_count = trainer.layout(pass.split()).block_count();
    let mut reduction = Reduction::new(block_count);
    let shares = even_ranges(block_count, stores.len());
    for (store, share) in stores.iter_mut().zip(shares) {
        let nodes: Vec<NodeId> = subtrees(share, block_count);
        let (steps_known, new_steps) = (trainer.steps().len(), Vec::new());
        let request = ComputePartials { pass_number, pass: pass.clone(), nodes, steps_known, new_steps };
        for partial in store.compute(&request, trainer.steps(), &load)?.partials {
            reduction.insert(partial.node, partial.values.0)?;
        }
    }
    Ok(reduction.root().expect("the shares cover every block").to_vec())
}

#[cfg(test)]
#[path = "local_boosting_test.rs"]
mod boosting_tests;
#[cfg(test)]
#[path = "local_histogram_test.rs"]
mod histogram_tests;
#[cfg(test)]
#[path = "local_sparse_test.rs"]
mod sparse_tests;
#[cfg(test)]
#[path = "local_svc_test.rs"]
mod svc_tests;
#[cfg(test)]
#[path = "local_svm_test.rs"]
mod svm_tests;
#[cfg(test)]
#[path = "local_test.rs"]
pub(crate) mod tests;
#[cfg(test)]
#[path = "local_tree_test.rs"]
mod tree_tests;
