//! The coordinator's actor: carries messages to the core and performs its effects.
//!
//! It decides nothing about the training; see `coordinator_core`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use actix::prelude::*;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{ActorName, Exports, From, Node, NodeId, Peer, PeerError};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointFile, OpenedCheckpoint};
use crate::coordinator_core::{CoordinatorCore, CoordinatorLimits, Effect, UpdateCounts};
use crate::data::DataSummary;
use crate::job::TrainingJob;
use crate::messages::{
    ComputeError, ComputePartials, EndTraining, JoinError, JoinTraining, Joined, Partials, TrainingWorker, WorkerId,
};
use crate::model::TrainedModel;
use crate::pass_report::{PassMeter, PassReport, Reading};
use crate::program::{Progress, TrainError};
use crate::worker::worker_actor;

/// Joins and losses of workers that may wait for the coordinator.
const MAILBOX_CAPACITY: usize = 1024;

/// What the coordinator tells of a training job, in this order: any number of the first three, then one of the last.
#[derive(Debug, Clone)]
pub enum TrainingEvent {
    /// A round is done.
    Progress(Progress),
    /// A pass is over; a round comes as progress first.
    Pass(PassReport),
    /// A worker is out.
    WorkerDropped(WorkerId),
    /// The job is over, and what became of all updates.
    Ended(Result<Box<TrainedModel>, TrainError>, UpdateCounts),
}

/// Hears what the coordinator tells; called on its arbiter, must not block.
pub type Observer = Box<dyn FnMut(TrainingEvent)>;

/// Tells the coordinator, within its process, that the task of a worker has ended.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct WorkerEnded {
    /// The worker.
    pub worker: WorkerId,
    /// How, for people.
    pub reason: String,
}

/// The coordinator of one training job.
pub struct Coordinator {
    node: Node,
    core: CoordinatorCore,
    limits: CoordinatorLimits,
    started: Instant,
    homes: BTreeMap<WorkerId, NodeId>,
    observer: Observer,
    timer: Option<SpawnHandle>,
    meter: PassMeter,
    checkpoints: Option<CheckpointFile>,
    /// What waits for the checkpoint that is being written: of a pass, and of the joins and losses meanwhile.
    behind: VecDeque<Effect>,
    is_writing: bool,
}

/// What a coordinator is started with.
#[derive(Debug)]
pub struct CoordinatorSettings {
    /// The job.
    pub job: TrainingJob,
    /// What was found in its data.
    pub data: DataSummary,
    /// Waits and counts.
    pub limits: CoordinatorLimits,
    /// Where checkpoints are kept, if any are, and what was found there to go on from.
    pub checkpoint: Option<OpenedCheckpoint>,
}

impl Coordinator {
    /// Starts the coordinator on this arbiter and exports it behind `name`.
    ///
    /// # Errors
    /// [`TrainError`] if the job or its data cannot be trained on.
    pub fn start_on(
        node: &Node,
        name: ActorName,
        settings: CoordinatorSettings,
        observer: Observer,
    ) -> Result<Addr<Self>, TrainError> {
        let CoordinatorSettings { job, data, limits, checkpoint } = settings;
        let (mut core, mut checkpoints) = (CoordinatorCore::new(Duration::ZERO, job, data, limits)?, None);
        if let Some(OpenedCheckpoint { file, found }) = checkpoint {
            core = core.with_checkpoints(Duration::ZERO, found)?;
            checkpoints = Some(file);
        }
        if let Some(choice) = core.solver() {
            info!(solver = ?choice.kind, reason = choice.reason, "the solver is chosen");
        }
        if let Some(choice) = core.tree_choice() {
            info!(method = ?choice.method, reason = choice.reason, "where the tree is grown is chosen");
        }
        let home = node.clone();
        let address = Self::create(move |context| {
            context.set_mailbox_capacity(MAILBOX_CAPACITY);
            Self {
                node: home,
                core,
                limits,
                started: Instant::now(),
                homes: BTreeMap::new(),
                observer,
                timer: None,
                meter: PassMeter::default(),
                checkpoints,
                behind: VecDeque::new(),
                is_writing: false,
            }
        });
        node.export(name, Exports::new().only_from(&[PeerRole::ActorHost]).accept_from::<JoinTraining, _>(&address));
        Ok(address)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn perform(&mut self, effects: Vec<Effect>, context: &mut Context<Self>) {
        self.behind.extend(effects);
        while !self.is_writing
            && let Some(effect) = self.behind.pop_front()
        {
            match effect {
                Effect::ComputeBatch { worker, request } => {
                    if self.meter.is_open() {
                        self.close_pass(self.reading());
                    }
                    self.ask(worker, request, context);
                }
                Effect::Checkpoint(checkpoint) => self.write(checkpoint, context),
                Effect::Compute { worker, request } => {
                    self.measure(&request);
                    self.ask(worker, request, context);
                }
                Effect::Progress(progress) => {
                    self.meter.on_progress(progress);
                    (self.observer)(TrainingEvent::Progress(progress));
                }
                Effect::WorkerDropped { worker, reason } => {
                    warn!(%worker, %reason, "a worker is dropped");
                    (self.observer)(TrainingEvent::WorkerDropped(worker));
                }
                Effect::Finished(model) => {
                    self.close_pass(self.reading());
                    self.end(Ok(model));
                }
                Effect::Failed(error) => self.end(Err(error)),
            }
        }
        self.set_timer(context);
    }

    /// Writes off this arbiter; what is behind the checkpoint follows when it is on disk.
    fn write(&mut self, checkpoint: Box<Checkpoint>, context: &mut Context<Self>) {
        let file = self.checkpoints.clone().expect("the core makes checkpoints only if there is a place for them");
        self.is_writing = true;
        let written = tokio::task::spawn_blocking(move || file.write(&checkpoint));
        let written = async { written.await.expect("writing does not panic and is never cancelled") };
        context.spawn(written.into_actor(self).map(Self::on_written));
    }

    fn on_written(written: Result<(), CheckpointError>, actor: &mut Self, context: &mut Context<Self>) {
        actor.is_writing = false;
        let mut out = Vec::new();
        if let Err(error) = written {
            actor.behind.clear();
            actor.core.on_checkpoint_failed(&error.to_string(), &mut out);
        }
        actor.perform(out, context);
    }

    /// A request that opens a pass closes the one before it.
    fn measure(&mut self, request: &ComputePartials) {
        let reading = if self.meter.is_new(request) { self.reading() } else { Reading::default() };
        if self.meter.is_new(request) {
            self.close_pass(reading);
        }
        self.meter.on_request(reading, request, self.core.partial_len(&request.pass));
    }

    fn close_pass(&mut self, reading: Reading) {
        if let Some(report) = self.meter.close(reading) {
            (self.observer)(TrainingEvent::Pass(report));
        }
    }

    fn reading(&self) -> Reading {
        let is_worker = |node: &NodeId| self.homes.values().any(|home| home == node);
        let links = self.node.figures().links;
        let traffic = links.iter().filter(|link| is_worker(&link.node)).map(|link| link.bytes_in + link.bytes_out);
        Reading { now: self.now(), traffic: traffic.sum() }
    }

    /// Sends a request; the answer comes back as an input of the core.
    fn ask(&mut self, worker: WorkerId, request: ComputePartials, context: &mut Context<Self>) {
        let Some(peer) = self.peer(&worker) else { return };
        let (pass_number, within) = (request.pass_number, self.limits.answer_wait);
        let answer = async move { peer.send_within(request, within).await };
        let heard = answer.into_actor(self).map(move |answer, actor, context| {
            actor.hear(&worker, pass_number, answer, context);
        });
        context.spawn(heard);
    }

    fn hear(
        &mut self,
        worker: &WorkerId,
        pass_number: u64,
        answer: Result<Result<Partials, ComputeError>, PeerError>,
        context: &mut Context<Self>,
    ) {
        let (now, mut out) = (self.now(), Vec::new());
        match answer {
            Ok(Ok(partials)) => {
                self.meter.on_answer(partials.pass_number, partials.times);
                self.core.on_partials(now, worker, partials.pass_number, partials.partials, &mut out);
            }
            Ok(Err(error)) => self.core.on_worker_refused(now, worker, pass_number, error, &mut out),
            Err(error) => self.core.on_worker_lost(now, worker, &error.to_string(), &mut out),
        }
        self.perform(out, context);
    }

    fn peer(&self, worker: &WorkerId) -> Option<Peer<TrainingWorker>> {
        let home = self.homes.get(worker)?;
        Some(self.node.peer_of(home, worker_actor(worker).ok()?))
    }

    fn end(&mut self, result: Result<Box<TrainedModel>, TrainError>) {
        for worker in self.homes.keys() {
            let told = self.peer(worker).map(|peer| peer.try_tell(EndTraining {}));
            // A worker that cannot be told learns it from its next JoinTraining, or from its agent.
            info!(%worker, ?told, "told a worker that the training has ended");
        }
        (self.observer)(TrainingEvent::Ended(result, self.core.counts()));
    }

    fn set_timer(&mut self, context: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        let now = self.now();
        self.timer = self.core.next_deadline().map(|deadline| {
            context.run_later(deadline.saturating_sub(now), |actor, context| {
                let (now, mut out) = (actor.now(), Vec::new());
                actor.core.on_timer(now, &mut out);
                actor.perform(out, context);
            })
        });
    }
}

impl Actor for Coordinator {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.set_timer(context);
    }
}

impl Handler<From<JoinTraining>> for Coordinator {
    type Result = Result<Joined, JoinError>;

    fn handle(&mut self, from: From<JoinTraining>, context: &mut Self::Context) -> Self::Result {
        let worker = from.message.worker;
        self.homes.insert(worker.clone(), from.node);
        let (now, mut out) = (self.now(), Vec::new());
        let joined = self.core.on_worker_joined(now, worker.clone(), &mut out);
        if joined.is_err() {
            self.homes.remove(&worker);
        }
        self.perform(out, context);
        joined
    }
}

impl Handler<WorkerEnded> for Coordinator {
    type Result = ();

    fn handle(&mut self, ended: WorkerEnded, context: &mut Self::Context) {
        let (now, mut out) = (self.now(), Vec::new());
        self.core.on_worker_lost(now, &ended.worker, &ended.reason, &mut out);
        self.perform(out, context);
    }
}
