//! `odeon bench train`: a logistic regression on a local cluster, beside what this machine reads from memory.
//!
//! A first training, by Newton's method or of sparse rows by L-BFGS, gives the optimum; the second one is measured against it. The training rows
//! are those of the name; the generator makes one more, which is the test row that a job needs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use odeon_learning::coordinator_core::CoordinatorLimits;
use odeon_learning::data::source::{self, Table};
use odeon_learning::data::{DataError, DataSummary, RowCells, SYNTHETIC};
use odeon_learning::job::{TrainingJob, WORKERS_MAX};
use odeon_learning::measure::read_bandwidth;
use odeon_learning::pass_report::PassReport;
use odeon_learning::training::{TrainingNews, TrainingSettings, train as train_job, worker_resources};

use super::memory::peak_bytes;
use super::train_figures::{Figure, Run, figures};
use crate::app::{Environment, fresh_seed};
use crate::cluster::LocalCluster;
use crate::config::{LocalConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Style, print, render};
use odeon_runtime::Endpoint;
use odeon_runtime::transport::Tcp;

/// Largest gradient component, in the solver's variables, at what counts as the optimum.
const OPTIMUM_GRADIENT_MAX: f64 = 1e-11;
/// What the trainings are to reach, as part of the gradient at the start.
const TOLERANCE: f64 = 1e-12;
/// Times that the floor is taken.
const FLOOR_RUNS: usize = 7;
/// MiB that all threads together read for the floor: as many as the matrix has, more than a cache holds, and not too many.
const FLOOR_MIB: std::ops::RangeInclusive<usize> = 128..=1024;

/// Measures a training on generated rows with a cluster of its own, beside what the machine reads from memory
#[derive(Debug, Args)]
pub(crate) struct TrainBenchArgs {
    /// The rows: synthetic:dense?rows=N&cols=N&seed=N, or sparse in place of dense
    #[arg(long, value_name = "NAME", default_value = "synthetic:dense?rows=200000&cols=100&seed=1")]
    data: String,
    /// Workers, each with a core to itself if there are as many
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(WORKERS_MAX)))]
    workers: u32,
    /// The solver that is measured, as in a job file
    #[arg(long, value_name = "NAME", default_value = "auto")]
    solver: String,
    /// The penalty on squares
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-4)]
    l2: f64,
    /// The objective at the optimum, where it is known; found by a training first, if not
    #[arg(long, value_name = "NUMBER")]
    optimum: Option<f64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Trains, measures the machine, and prints the figures.
pub(crate) async fn train(args: TrainBenchArgs, environment: &Environment) -> Result<i32, Failure> {
    let job = args.job(&args.solver)?;
    let table = source::scan_source(&job.data.source(), &job.data_spec()).or_exit(Exit::Usage)?;
    let (data, matrix_bytes) = (table.summary().clone(), matrix_bytes(&table).or_exit(Exit::Usage)?);
    let optimum = match args.optimum {
        Some(optimum) => optimum,
        None => args.optimum(&data, environment).await?,
    };
    let mut run = one_training(&job, &data, environment).await?;
    (run.optimum, run.matrix_bytes) = (optimum, matrix_bytes);
    // Last, so that its memory is not counted as that of the training.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(args.workers as usize);
    let mib = (matrix_bytes >> 20).clamp(*FLOOR_MIB.start(), *FLOOR_MIB.end());
    run.read_bandwidth = read_bandwidth(mib.div_ceil(threads), threads, FLOOR_RUNS);
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    let figures: Vec<Figure> = figures(&run);
    print(&render(&figures, format, style).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

impl TrainBenchArgs {
    fn job(&self, solver: &str) -> Result<TrainingJob, Failure> {
        let (path, rows) = one_row_more(&self.data)?;
        let (workers, l2) = (self.workers, self.l2);
        // Half a row of all is rounded up to one.
        let test_size = 0.5 / rows as f64;
        let text = format!(
            "name = \"bench\"\n\
             data = {{ path = \"{path}\", target = \"label\", split = \"ordered\", test_size = {test_size:e} }}\n\
             prepare = {{ scale = \"none\" }}\n\
             model = {{ type = \"logistic\", l2 = {l2:e} }}\n\
             train = {{ workers = {workers}, solver = \"{solver}\", tolerance = {TOLERANCE:e} }}\n"
        );
        let job: TrainingJob = toml::from_str(&text).map_err(|error| Failure::usage(error.message().to_owned()))?;
        job.validate().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(job)
    }

    /// The objective where the gradient has vanished.
    async fn optimum(&self, data: &DataSummary, environment: &Environment) -> Result<f64, Failure> {
        let solver = if data.sparse.is_some() { "lbfgs" } else { "newton" };
        let run = one_training(&self.job(solver)?, data, environment).await?;
        match run.rounds().last() {
            Some(last) if run.gradient_norm <= OPTIMUM_GRADIENT_MAX => Ok(last.objective.min(run.objective)),
            _ => {
                let text = format!(
                    "the first training left a gradient of {:e}: no optimum to compare with; give --optimum",
                    run.gradient_norm
                );
                Err(Failure::new(Exit::NotConverged, text))
            }
        }
    }
}

/// Bytes of all rows as workers keep them: 4 a cell, and of sparse rows 8 for each that is not 0.
pub(super) fn matrix_bytes(table: &Table) -> Result<usize, DataError> {
    let data = table.summary();
    if data.sparse.is_none() {
        return Ok(data.cell_count() * 4);
    }
    let (all, mut stored): (Vec<usize>, _) = ((0..data.row_count).collect(), 0);
    table.each_row(&all, &mut |_, cells, _| {
        if let RowCells::Sparse { columns, .. } = cells {
            stored += columns.len();
        }
    })?;
    Ok(stored * 8)
}

/// The name with one row more, and the number of rows that it has then.
pub(super) fn one_row_more(name: &str) -> Result<(String, usize), Failure> {
    let refused = || {
        Failure::usage(format!(
            "--data {name}: only generated rows, {SYNTHETIC}dense?rows=N&cols=N&seed=N, or sparse in place of dense"
        ))
    };
    let rest = name.strip_prefix(SYNTHETIC).ok_or_else(refused)?;
    let start = rest.find("rows=").ok_or_else(refused)? + "rows=".len();
    let digits = rest[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - start);
    let rows: usize = rest[start..start + digits].parse().map_err(|_| refused())?;
    let rows = rows.checked_add(1).ok_or_else(refused)?;
    Ok((format!("{SYNTHETIC}{}{rows}{}", &rest[..start], &rest[start + digits..]), rows))
}

/// Trains once on a cluster of its own, as `odeon train` does.
pub(super) async fn one_training(
    job: &TrainingJob,
    data: &DataSummary,
    environment: &Environment,
) -> Result<Run, Failure> {
    let config = load::<LocalConfig>(None, &environment.variables, &[("port", "0".to_owned())]).or_exit(Exit::Usage)?;
    let cluster = LocalCluster::start(&config.value, environment).await?;
    let run = tokio::select! {
        run = in_cluster(job, data, cluster.endpoint()) => run,
        failure = cluster.failed() => Err(Failure::new(Exit::WorkFailed, failure)),
    };
    cluster.stop().await;
    run
}

async fn in_cluster(job: &TrainingJob, data: &DataSummary, master: &Endpoint) -> Result<Run, Failure> {
    let resources = worker_resources(job).map_err(|cpus| Failure::usage(format!("{cpus} processors")))?;
    let settings = TrainingSettings {
        job: job.clone(),
        data: data.clone(),
        master: master.clone(),
        listen: Endpoint::new("127.0.0.1:0"),
        transport: Arc::new(Tcp),
        seed: fresh_seed(),
        limits: CoordinatorLimits { answer_wait: Duration::from_secs(600), ..CoordinatorLimits::default() },
        checkpoint: None,
    };
    let passes: Rc<RefCell<(Vec<PassReport>, Option<u64>)>> = Rc::default();
    let told = Rc::clone(&passes);
    let hear = move |news| {
        if let TrainingNews::Pass(report) = news {
            let mut told = told.borrow_mut();
            // The last pass: all workers still live, and a peak does not fall again.
            if report.name == "evaluate" {
                told.1 = peak_bytes();
            }
            told.0.push(report);
        }
    };
    let training = train_job(settings, resources, hear, std::future::pending()).await.or_exit(Exit::WorkFailed)?;
    let (passes, peak_bytes) = passes.take();
    Ok(Run {
        passes,
        peak_bytes,
        row_count: training.model.train_row_count,
        matrix_bytes: 0,
        objective: training.model.objective,
        gradient_norm: training.model.gradient_norm,
        optimum: f64::NAN,
        read_bandwidth: f64::NAN,
    })
}

#[cfg(test)]
mod tests {
    use odeon_learning::data::DataSummary;

    use super::*;

    #[test]
    fn the_test_row_is_one_that_the_name_does_not_ask_for() {
        let (name, rows) = one_row_more("synthetic:dense?cols=3&rows=99&seed=1").expect("a good name");
        assert_eq!((name.as_str(), rows), ("synthetic:dense?cols=3&rows=100&seed=1", 100));
        assert_eq!(one_row_more("synthetic:dense?rows=99").expect("a good name").0, "synthetic:dense?rows=100");
        assert!(one_row_more("iris.csv").is_err() && one_row_more("synthetic:dense?cols=3").is_err());
    }

    #[test]
    fn the_job_trains_on_all_rows_of_the_name() {
        for rows in [10, 999, 200_000, 2_000_000, 10_000_000] {
            let data = format!("synthetic:dense?rows={rows}&cols=3&seed=1");
            let args = TrainBenchArgs { data, workers: 2, solver: "auto".into(), l2: 1e-4, optimum: None, json: false };
            let job = args.job("newton").expect("a good job");
            let data = DataSummary::numeric(rows + 1, &[], "label");
            assert_eq!(job.data.part_sizes(&data), Ok((rows, 1)));
        }
    }
}
