//! `odeon train`: runs a training job, on a cluster of its own or on a given one.

use std::path::{Path, PathBuf};

use clap::Args;
use odeon_learning::checkpoint::content_sha256;
use odeon_learning::data::fold::Fold;
use odeon_learning::data::split::SplitKind;
use odeon_learning::data::{DataSource, source};
use odeon_learning::job::{FOLDS_MAX, REPEATS_MAX, TrainingJob};
use odeon_learning::metrics;
use odeon_learning::program::Trainer;
use odeon_learning::scheduler::worker_host;
use odeon_learning::training::{Training, worker_resources};
use odeon_protocol::messages::master_operator::GetAgents;

use super::grid::{self, Axis, Combination};
use super::run_directory::RunDirectories;
use super::train_settings::with_values;
use super::training_report::TrainingReport;
use super::trials::Trials;
use super::{MasterAddress, folds_report, grid_report, room};
use crate::app::Environment;
use crate::cluster::LocalCluster;
use crate::config::{LocalConfig, document, load, read_text};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, print};
use crate::signals::EndSignals;

/// Trains a model as a job file says
///
/// Without a master it launches a local cluster for the job and removes it at the end. A training that was interrupted or
/// killed goes on where it was, with the same bits, if it is started again with the same --out.
/// Example: odeon train examples/jobs/iris.toml --workers 3
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The job file; see examples/jobs/
    job: PathBuf,
    /// Set one key over the job file
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::key_value)]
    set: Vec<(String, String)>,
    /// Where the model and its metrics are written: a new directory, or that of a training that was ended, which goes on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Cross-validation: trains once for each of so many folds, which is for testing then, and shows the scores together
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=i64::from(FOLDS_MAX)))]
    folds: Option<u32>,
    /// Cuts the folds so often, each time after another shuffle
    #[arg(long, value_name = "N", default_value_t = 1, requires = "folds", value_parser = clap::value_parser!(u32).range(1..=i64::from(REPEATS_MAX)))]
    repeats: u32,
    /// Search: trains with each of these values, and with each combination if there are several keys, and ranks them
    #[arg(long, value_name = "KEY=[A, B]", conflicts_with = "out")]
    grid: Vec<Axis>,
    /// The metric that ranks a search; accuracy or r2 if not given
    #[arg(long, value_name = "METRIC", requires = "grid")]
    rank_by: Option<String>,
    /// Of folds and searched values, how many are trained at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(FOLDS_MAX)))]
    parallel: u32,
    /// Workers, in place of what the job file says
    #[arg(long)]
    workers: Option<u32>,
    /// The form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    master: MasterAddress,
    /// Where the coordinator listens for workers; agents on other hosts need an address that they can reach
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    listen: String,
    /// Where the local cluster keeps its state and the model, and leaves them
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the temporary directory of the local cluster, with the model
    #[arg(long)]
    keep: bool,
}

/// Checks the job, trains, and prints the result.
pub(crate) async fn train(args: TrainArgs, environment: &Environment) -> Result<i32, Failure> {
    let jobs = read_jobs(&args, environment)?;
    let mut signals = EndSignals::listen()?;
    let given = args.master.given(environment)?;
    if given.is_some() && (args.keep || args.data_dir.is_some()) {
        let text = "--keep and --data-dir are for a cluster of its own, and a master is given; unset ODEON_MASTER or leave them out";
        return Err(Failure::usage(text));
    }
    let checked = tokio::select! {
        biased;
        () = signals.next() => return Err(Failure::new(Exit::Interrupted, "interrupted; nothing was started")),
        checked = check(&args, jobs) => checked?,
    };
    let (mut checked, content_sha256) = checked;
    let out = RunDirectories::open(args.out.as_deref(), args.folds.map(|_| checked.jobs.len()))?;
    checked.checkpoints = out.checkpoints(&checked.jobs, &checked.data, &content_sha256)?;
    let trainings = match given {
        Some(master) => {
            check_room(&args.master, environment, &checked).await?;
            checked.run(&master, &args.listen, environment, &mut signals).await?
        }
        None => on_own_cluster(&checked, &args, environment, &mut signals).await?,
    };
    out.write(&trainings)?;
    let text = match (&args.grid[..], args.folds, &trainings[..]) {
        ([], None, [only]) => TrainingReport::new(only, &checked.data).render(args.output, environment),
        ([], ..) => folds_report::render(&trainings, args.output, environment),
        _ => {
            let (combinations, metric) = (combinations(&args)?, rank_metric(&args, &checked.jobs[0])?);
            grid_report::render(&combinations, &trainings, &metric, args.output, environment)
        }
    };
    print(&text.or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    let converged = trainings.iter().all(|training| training.model.converged);
    Ok(if converged { Exit::Done } else { Exit::NotConverged }.into())
}

fn combinations(args: &TrainArgs) -> Result<Vec<Combination>, Failure> {
    grid::combinations(&args.grid).map_err(Failure::usage)
}

/// What ranks a search: a metric of the model.
fn rank_metric(args: &TrainArgs, job: &TrainingJob) -> Result<String, Failure> {
    let (kind, names) = (job.model.kind, metrics::names(job.model.kind));
    let default = if kind.is_classifier() { "accuracy" } else { "r2" };
    let metric = args.rank_by.as_deref().unwrap_or(default);
    if names.iter().any(|name| name == metric) {
        return Ok(metric.to_owned());
    }
    Err(Failure::usage(format!("--rank-by {metric}: the model has the metrics {}", names.join(", "))))
}

/// The job with each combination of searched values, and of each one for every fold and repeat.
fn read_jobs(args: &TrainArgs, environment: &Environment) -> Result<Vec<TrainingJob>, Failure> {
    let mut jobs: Vec<TrainingJob> = Vec::new();
    for combination in combinations(args)? {
        let set: Vec<_> = args.set.iter().chain(&combination).cloned().collect();
        let mut job = read_job(&args.job, &set, args.workers)?;
        let unknown = |error| Failure::usage(format!("{}: model.type: {error}", args.job.display()));
        environment.models.resolve_job(&mut job).map_err(unknown)?;
        if job.data.split == SplitKind::Whole {
            let text = "data.split: \"whole\" leaves no rows to judge the model by; it is for estimators of a program";
            return Err(Failure::usage(format!("{}: {text}", args.job.display())));
        }
        rank_metric(args, &job)?;
        if let Some(first) = jobs.first()
            && (first.data.source() != job.data.source() || first.data_spec() != job.data_spec())
        {
            let text =
                format!("--grid {}: other rows or columns would be read; train it apart", grid::as_set(&combination));
            return Err(Failure::usage(text));
        }
        jobs.extend(folds_of(job, args));
    }
    let invalid = |error| Failure::usage(format!("{}: {error}", args.job.display()));
    jobs.iter().try_for_each(TrainingJob::validate).map_err(invalid)?;
    Ok(jobs)
}

fn read_job(path: &Path, set: &[(String, String)], workers: Option<u32>) -> Result<TrainingJob, Failure> {
    let text = read_text(path).or_exit(Exit::Usage)?;
    let mut job: TrainingJob = document::parse(path, &text).or_exit(Exit::Usage)?;
    if !set.is_empty() {
        job = with_values(&text, set)?;
    }
    if let Some(workers) = workers {
        job.train.workers = workers;
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let absolute = |file: &Path| std::path::absolute(directory.join(file)).or_exit(Exit::Usage);
    job.data.path = job.data.path.beside(absolute)?;
    job.data.test_path = job.data.test_path.map(|paths| paths.beside(absolute)).transpose()?;
    Ok(job)
}

/// Reads all of the data: whatever is wrong with it is told before anything starts. With a directory to write to it
/// returns the digest of the data as well.
async fn check(args: &TrainArgs, jobs: Vec<TrainingJob>) -> Result<(Trials, String), Failure> {
    let (name, job) = (args.job.display(), &jobs[0]);
    let cpus = job.resources.cpus;
    let worker = worker_resources(job)
        .map_err(|_| Failure::usage(format!("{name}: resources.cpus: {cpus} has more than three decimals")))?;
    let (files, spec) = (job.data.source(), job.data_spec());
    let (scanned, scan) = tokio::sync::oneshot::channel();
    let digest = if args.out.is_some() { content_sha256 } else { |_: &DataSource| Ok(String::new()) };
    // A thread of its own: the runtime would wait for the end of a blocking task, also after an interrupt.
    std::thread::spawn(move || {
        scanned.send(source::scan_source(&files, &spec).map(|table| (Box::new(table), digest(&files))))
    });
    let (table, content_sha256) = scan.await.or_exit(Exit::WorkFailed)?.or_exit(Exit::Usage)?;
    let content_sha256 = content_sha256.or_exit(Exit::Usage)?;
    let data = table.summary().clone();
    for job in &jobs {
        Trainer::new(job.clone(), &data).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    }
    let trials = Trials { jobs, data, worker, at_once: args.parallel as usize, checkpoints: Vec::new() };
    Ok((trials, content_sha256))
}

/// The job, or one for each fold of each repeat.
fn folds_of(job: TrainingJob, args: &TrainArgs) -> Vec<TrainingJob> {
    let Some(of) = args.folds else { return vec![job] };
    let of_fold = |repeat, number| {
        let mut job = job.clone();
        job.data.fold = Some(Fold { number, of, repeat });
        job
    };
    let all = (0..args.repeats).flat_map(|repeat| (0..of).map(move |number| (repeat, number)));
    all.map(|(repeat, number)| of_fold(repeat, number)).collect()
}

async fn check_room(master: &MasterAddress, environment: &Environment, checked: &Trials) -> Result<(), Failure> {
    let agents = master.ask(environment, GetAgents {}).await?;
    let count = checked.jobs[0].train.workers as usize;
    room::check_all(&agents, &worker_host().resources, &checked.worker, count).map_err(Failure::usage)
}

async fn on_own_cluster(
    checked: &Trials,
    args: &TrainArgs,
    environment: &Environment,
    signals: &mut EndSignals,
) -> Result<Vec<Training>, Failure> {
    let mut flags = vec![("port", "0".to_owned())];
    flags.extend(args.data_dir.as_ref().map(|path| ("data_dir", path.display().to_string())));
    flags.extend(args.keep.then(|| ("keep", "true".to_owned())));
    let config = load::<LocalConfig>(None, &environment.variables, &flags).or_exit(Exit::Usage)?;
    let environment = &environment.of_own_cluster();
    let cluster = LocalCluster::start(&config.value, environment).await?;
    let result = in_cluster(checked, &cluster, args, environment, signals).await;
    cluster.stop().await;
    result
}

async fn in_cluster(
    checked: &Trials,
    cluster: &LocalCluster,
    args: &TrainArgs,
    environment: &Environment,
    signals: &mut EndSignals,
) -> Result<Vec<Training>, Failure> {
    let master = cluster.endpoint();
    check_room(&MasterAddress::of(master), environment, checked).await?;
    let trainings = tokio::select! {
        trainings = checked.run(master, &args.listen, environment, signals) => trainings?,
        failure = cluster.failed() => return Err(Failure::new(Exit::WorkFailed, failure)),
    };
    if let (false, [training]) = (cluster.is_temporary(), &trainings[..]) {
        let path = cluster.data_dir().join("model.json");
        let written = std::fs::write(&path, training.model.canonical_bytes());
        written.map_err(|error| Failure::new(Exit::WorkFailed, format!("cannot write {}: {error}", path.display())))?;
        tracing::info!(path = %path.display(), "the model is written");
    }
    Ok(trainings)
}
