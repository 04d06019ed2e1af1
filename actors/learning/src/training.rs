//! One training job on a cluster, from the subscription of its framework to the model.
//!
//! Puts coordinator and scheduler together; decides only which of several ends came first.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use odeon_framework::{DriverSettings, EndedScheduler, Outcome, SchedulerPanicked, run_scheduler};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::TaskId;
use odeon_protocol::resources::{Resources, Scalar};
use odeon_runtime::transport::Transport;
use odeon_runtime::{ActorAddress, Endpoint, ListenError, Node, StartError};
use tokio::sync::oneshot;
use tracing::debug;

use crate::checkpoint::OpenedCheckpoint;
use crate::coordinator::{Coordinator, CoordinatorSettings, TrainingEvent, WorkerEnded};
use crate::coordinator_core::{CoordinatorLimits, UpdateCounts};
use crate::data::DataSummary;
use crate::job::TrainingJob;
use crate::model::TrainedModel;
use crate::pass_report::PassReport;
use crate::program::{Progress, Step, TrainError, Trainer};
use crate::scheduler::{TrainingScheduler, WorkerRecord};
use crate::worker::WorkerAssignment;

/// The name of the coordinator's actor; each job has a node of its own.
const COORDINATOR: &str = "coordinator";

/// What a training job is run with.
#[derive(Debug, Clone)]
pub struct TrainingSettings {
    /// The job, checked; the path of its data is absolute.
    pub job: TrainingJob,
    /// What was found in the data.
    pub data: DataSummary,
    /// The master of the cluster.
    pub master: Endpoint,
    /// Where the coordinator listens for workers; port 0 for any.
    pub listen: Endpoint,
    /// The network on which master and workers are.
    pub transport: Arc<dyn Transport>,
    /// Random for each run.
    pub seed: u64,
    /// The bounds of the coordinator.
    pub limits: CoordinatorLimits,
    /// Where checkpoints are kept, if any are, and what was found there to go on from.
    pub checkpoint: Option<OpenedCheckpoint>,
}

/// What is told of a job while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingNews {
    /// A round is done.
    Round(Progress),
    /// A pass is over.
    Pass(PassReport),
}

/// A job that has ended with a model.
#[derive(Debug, Clone)]
pub struct Training {
    /// The model.
    pub model: TrainedModel,
    /// How many workers were wanted.
    pub worker_count: usize,
    /// The tasks of all workers, those that were lost included.
    pub tasks: BTreeMap<TaskId, WorkerRecord>,
    /// What became of the updates that they sent.
    pub updates: UpdateCounts,
}

/// Why a job has ended without a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// The node of the job does not start.
    #[error("cannot start the node of the training job")]
    Node(#[from] StartError),
    /// The coordinator cannot be reached by workers.
    #[error("cannot listen for workers")]
    Listen(#[from] ListenError),
    /// The job or its data is at fault, or too many workers were.
    #[error(transparent)]
    Job(#[from] TrainError),
    /// No worker was placed on any agent in time.
    #[error("no worker was placed on any agent in time: the cluster has no room for {worker}")]
    NotPlaced {
        /// What one worker needs.
        worker: Resources,
    },
    /// The master was out of reach.
    #[error("the master is out of reach: {0}")]
    MasterUnreachable(String),
    /// The master ended the framework.
    #[error("the training framework has failed: {0}")]
    Framework(String),
    /// It was asked to end.
    #[error("the training was interrupted")]
    Interrupted,
    /// A bug.
    #[error(transparent)]
    Panicked(#[from] SchedulerPanicked),
}

/// What one worker takes from an agent.
///
/// # Errors
/// The number of processors, if thousandths do not hold it.
pub fn worker_resources(job: &TrainingJob) -> Result<Resources, f64> {
    let cpus = job.resources.cpus;
    // The shortest decimal form is what the job file says.
    let scalar: Scalar = format!("{cpus}").parse().map_err(|()| cpus)?;
    Ok(Resources::cpus_mem(scalar, job.resources.mem_mib))
}

/// Runs a job to its end on the current arbiter; `news` hears every pass, `interrupt` ends the job when it resolves.
///
/// # Errors
/// [`TrainingError`]; by then the framework is torn down, if the master could be reached.
pub async fn train(
    settings: TrainingSettings,
    resources: Resources,
    mut news: impl FnMut(TrainingNews) + 'static,
    interrupt: impl Future<Output = ()>,
) -> Result<Training, TrainingError> {
    if let Some(model) = finished_before(&settings) {
        let worker_count = settings.job.train.workers as usize;
        return Ok(Training { model, worker_count, tasks: BTreeMap::new(), updates: UpdateCounts::default() });
    }
    let builder = Node::builder("training").incarnation(settings.seed);
    let node = builder.transport(Arc::clone(&settings.transport)).start().await?;
    let endpoint = node.listen(settings.listen.clone()).await?;
    let (end, ended) = oneshot::channel();
    let mut end = Some(end);
    let observer = move |event| match event {
        TrainingEvent::Progress(round) => news(TrainingNews::Round(round)),
        TrainingEvent::Pass(report) => news(TrainingNews::Pass(report)),
        TrainingEvent::WorkerDropped(worker) => debug!(%worker, "the training goes on without a worker"),
        TrainingEvent::Ended(result, updates) => {
            if let Some(end) = end.take() {
                // Who waited for it may be gone.
                drop(end.send((result, updates)));
            }
        }
    };
    let (job, name) = (settings.job.clone(), format!("train {}", settings.job.name));
    let TrainingSettings { data, limits, checkpoint, .. } = settings;
    let coordinated = CoordinatorSettings { job, data, limits, checkpoint };
    let coordinator = Coordinator::start_on(&node, COORDINATOR.into(), coordinated, Box::new(observer))?;
    let tell_lost = move |worker, reason| {
        // Loss is harmless: the coordinator also hears of a dead worker from the broken link.
        coordinator.do_send(WorkerEnded { worker, reason });
    };
    let address = ActorAddress { actor: COORDINATOR.into(), node: Some(node.id().clone()), endpoint: Some(endpoint) };
    let assignment = WorkerAssignment { coordinator: address };
    let worker_count = settings.job.train.workers as usize;
    let scheduler =
        TrainingScheduler::new(settings.job.train.workers, resources.clone(), &assignment, Box::new(tell_lost));
    let driver = DriverSettings::new(settings.master, FrameworkInfo::new(name), settings.seed);
    let running = run_scheduler(driver, &node, scheduler);
    let (handle, mut framework_end) = (running.handle(), pin!(running.ended()));
    let result = tokio::select! {
        biased;
        result = ended => {
            // A framework that has ended meanwhile needs no end.
            let _ = handle.with(TrainingScheduler::end).await;
            let EndedScheduler { scheduler, .. } = framework_end.await?;
            conclude(result, scheduler, resources, worker_count)
        }
        early = &mut framework_end => Err(early_end(early?.outcome)),
        () = interrupt => {
            handle.interrupt();
            framework_end.await?;
            Err(TrainingError::Interrupted)
        }
    };
    node.shut_down();
    result
}

/// The model, if the checkpoint has it: then nobody is needed any more.
fn finished_before(settings: &TrainingSettings) -> Option<TrainedModel> {
    let state = settings.checkpoint.as_ref()?.found.as_ref()?.state.clone();
    match Trainer::resume(settings.job.clone(), &settings.data, state).ok()?.step() {
        Step::Finished(model) => Some(*model),
        Step::Compute(_) => None,
    }
}

fn conclude(
    ended: Result<(Result<Box<TrainedModel>, TrainError>, UpdateCounts), oneshot::error::RecvError>,
    scheduler: TrainingScheduler,
    worker: Resources,
    worker_count: usize,
) -> Result<Training, TrainingError> {
    match ended {
        Ok((Ok(model), updates)) => {
            Ok(Training { model: *model, worker_count, tasks: scheduler.into_tasks(), updates })
        }
        Ok((Err(_), _)) if scheduler.tasks().is_empty() => Err(TrainingError::NotPlaced { worker }),
        Ok((Err(error), _)) => Err(error.into()),
        Err(_) => Err(TrainingError::Panicked(SchedulerPanicked)),
    }
}

fn early_end(outcome: Outcome) -> TrainingError {
    match outcome {
        Outcome::MasterUnreachable { cause } => TrainingError::MasterUnreachable(cause),
        Outcome::Interrupted => TrainingError::Interrupted,
        Outcome::Failed(message) => TrainingError::Framework(message),
        other => TrainingError::Framework(format!("it ended before the training did: {other:?}")),
    }
}
