//! The worker: an actor that owns row blocks and sums over them, and the task that brings it to an agent.
//!
//! It decides nothing: what to sum comes from the coordinator, how from `block_store`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use odeon_executor::{Task, TaskContext, TaskFailure};
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{ActorAddress, ActorName, Exports, Node, Peer, PeerError, Reply};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::block_store::{BlockStore, check_same_data};
use crate::data::source::{self, Table};
use crate::messages::{
    ComputeError, ComputePartials, EndTraining, JoinError, JoinTraining, Joined, Partials, TrainingCoordinator,
    WorkerId, WorkerTimes,
};
use crate::model_registry::ModelRegistry;
use crate::prepare::FittedStep;
use crate::request_memory::RequestMemory;

/// The role part of the names of worker actors.
pub const WORKER_ROLE: &str = "training-worker";
/// How often a worker says that it is there; a coordinator that dropped it by mistake takes it in again.
const JOIN_INTERVAL: Duration = Duration::from_secs(2);
/// Failed attempts to reach the coordinator, one after another, before the worker gives up.
const JOIN_FAILURES_MAX: u32 = 10;
/// Requests that may wait for a worker; a coordinator has one open for each worker.
const MAILBOX_CAPACITY: usize = 16;

/// What the training framework hands to a worker's task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerAssignment {
    /// The coordinator of the job.
    pub coordinator: ActorAddress,
}

/// The name of the actor of a worker.
///
/// # Errors
/// If the id of the worker cannot stand in a name.
pub fn worker_actor(worker: &WorkerId) -> Result<ActorName, odeon_runtime::NameError> {
    ActorName::of_role(WORKER_ROLE, worker)
}

/// The task of a worker: starts the worker actor, joins the coordinator, and stays until the training has ended.
pub enum WorkerTask {}

impl Task for WorkerTask {
    const NAME: &'static str = "odeon.learning.Worker";

    /// The task of a binary whose users have added no models.
    async fn run(context: TaskContext) -> Result<(), TaskFailure> {
        Self::run_with(context, ModelRegistry::new()).await
    }
}

impl WorkerTask {
    /// The task of a binary that has these models.
    ///
    /// # Errors
    /// If the coordinator is lost, or does not want the worker.
    pub async fn run_with(context: TaskContext, models: ModelRegistry) -> Result<(), TaskFailure> {
        let assignment: WorkerAssignment = serde_json::from_slice(context.data())?;
        let worker = WorkerId(context.task_id().to_string());
        let (state, observed) = watch::channel(WorkerState::Joining);
        let state = Arc::new(state);
        let address = start_worker(Arc::clone(&state), observed.clone());
        let name = worker_actor(&worker)?;
        let exports = Exports::new().only_from(&[PeerRole::Client]);
        let exports = exports.accept::<ComputePartials, _>(&address).accept::<EndTraining, _>(&address);
        context.node().export(name.clone(), exports);
        let ended = tokio::select! {
            biased;
            () = context.killed() => Ok(()),
            () = reached_end(observed) => Ok(()),
            failure = keep_joined(context.node(), &assignment, &worker, &state, &models) => Err(failure),
        };
        context.node().retract(name);
        ended
    }
}

fn start_worker(state: Arc<watch::Sender<WorkerState>>, observed: watch::Receiver<WorkerState>) -> Addr<Worker> {
    Worker::create(|context| {
        context.set_mailbox_capacity(MAILBOX_CAPACITY);
        Worker { state, observed, memory: RequestMemory::default() }
    })
}

async fn reached_end(mut observed: watch::Receiver<WorkerState>) {
    let ended = observed.wait_for(|state| matches!(state, WorkerState::Ended)).await;
    debug_assert!(ended.is_ok(), "the task holds the sender of the state");
}

/// Joins, and says so again and again; returns only when the coordinator does not answer or want the worker.
async fn keep_joined(
    node: &Node,
    assignment: &WorkerAssignment,
    worker: &WorkerId,
    state: &watch::Sender<WorkerState>,
    models: &ModelRegistry,
) -> TaskFailure {
    let coordinator: Peer<TrainingCoordinator> = node.resolve(&assignment.coordinator);
    let mut failures = 0;
    loop {
        match coordinator.send(JoinTraining { worker: worker.clone() }).await {
            Ok(Ok(joined)) => {
                failures = 0;
                if matches!(*state.borrow(), WorkerState::Joining) {
                    state.send_replace(WorkerState::Ready(load(joined, models).await));
                }
            }
            Ok(Err(JoinError::JobEnded)) => {
                state.send_replace(WorkerState::Ended);
            }
            Ok(Err(refused)) => return refused.into(),
            Err(error) => {
                failures += 1;
                warn!(%worker, %error, failures, "the coordinator does not answer");
                if failures >= JOIN_FAILURES_MAX {
                    return lost(&error);
                }
            }
        }
        tokio::time::sleep(JOIN_INTERVAL).await;
    }
}

fn lost(error: &PeerError) -> TaskFailure {
    TaskFailure::new(format!("the coordinator of the training job is lost: {error}"))
}

/// Checks that the data of this host is the job's; reading it is left to the passes.
async fn load(mut joined: Joined, models: &ModelRegistry) -> Prepared {
    models.resolve_job(&mut joined.job)?;
    let checked = tokio::task::spawn_blocking(move || {
        let table = source::rescan(&joined.job.data.source(), &joined.job.data_spec(), &joined.data)?;
        check_same_data(&joined.data, table.summary())?;
        let store = BlockStore::new(&joined, table.strata())
            .expect("the coordinator made the same split before it let workers join");
        Ok(Arc::new(Mutex::new(Data { table, store })))
    });
    checked.await.expect("checking the data does not panic and is never cancelled")
}

/// The blocks of a worker and where their rows come from.
#[derive(Debug)]
struct Data {
    table: Table,
    store: BlockStore,
}

impl Data {
    fn compute(&mut self, request: &ComputePartials, steps: &[FittedStep]) -> Result<Partials, ComputeError> {
        let began = Instant::now();
        self.store.load(request, steps, |numbers, each| self.table.each_row(numbers, each))?;
        let loaded = Instant::now();
        let partials = self.store.sums(request)?;
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let times = WorkerTimes { load_us: us(loaded - began), compute_us: us(loaded.elapsed()) };
        Ok(Partials { pass_number: request.pass_number, partials, times })
    }
}

type Prepared = Result<Arc<Mutex<Data>>, ComputeError>;

/// How far a worker is.
#[derive(Debug, Clone)]
enum WorkerState {
    /// The coordinator has not answered, or the data is being checked.
    Joining,
    /// It can compute, or knows why not.
    Ready(Prepared),
    /// The training has ended.
    Ended,
}

/// Owns the row blocks of one worker and answers passes over them; computes off its arbiter.
struct Worker {
    state: Arc<watch::Sender<WorkerState>>,
    observed: watch::Receiver<WorkerState>,
    /// Of requests in the order in which they come; two may be computed in any order.
    memory: RequestMemory,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<ComputePartials> for Worker {
    type Result = Reply<Result<Partials, ComputeError>>;

    fn handle(&mut self, mut request: ComputePartials, _: &mut Self::Context) -> Self::Result {
        let steps = match self.memory.complete(&mut request) {
            Ok(steps) => steps,
            Err(error) => return Reply::now(Err(error)),
        };
        let mut observed = self.observed.clone();
        Reply::later(async move {
            // A coordinator may ask as soon as it has answered; the data is checked first.
            let ready = observed.wait_for(|state| !matches!(state, WorkerState::Joining)).await;
            let prepared = match ready.as_deref() {
                Ok(WorkerState::Ready(prepared)) => prepared.clone()?,
                _ => std::future::pending().await,
            };
            drop(ready);
            debug!(pass = request.pass_number, nodes = request.nodes.len(), "computing");
            let computed = tokio::task::spawn_blocking(move || {
                prepared.lock().unwrap_or_else(PoisonError::into_inner).compute(&request, &steps)
            });
            match computed.await {
                Ok(partials) => partials,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        })
    }
}

impl Handler<EndTraining> for Worker {
    type Result = ();

    fn handle(&mut self, _: EndTraining, _: &mut Self::Context) {
        self.state.send_replace(WorkerState::Ended);
    }
}
