//! Decides who computes what in a training job: messages and `now` in, effects out.
//!
//! It owns the training program, the set of workers and the assignment of blocks. It sends nothing,
//! reads no clock and no data, and does not start workers. However workers come, fail and answer,
//! the model is the same, because partials are added along the fixed tree only.

mod counts;
mod descent;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use counts::UpdateCounts;
use descent::OpenDescent;
use worker::{Owed, Worker, askable, idle, usual_block_time};

use crate::{
    blocks::{BlockLayout, NodeId, Reduction, aligned_ranges, even_ranges, subtrees},
    checkpoint::{Checkpoint, CheckpointClock},
    data::DataSummary,
    job::TrainingJob,
    messages::{ComputeError, ComputePartials, JoinError, Joined, Partial, WorkerId},
    model::TrainedModel,
    optimiser::solver::SolverChoice,
    program::{Pass, Progress, Step, TrainError, Trainer},
    tree::TreeChoice,
};

/// Most numbers that are asked for in one reply, unless one node has more: a message of the fabric holds no more.
const REPLY_NUMBERS_MAX: usize = 1_000_000;

/// Waits and counts of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoordinatorLimits {
    /// How long to wait for all workers wanted before starting with those that joined.
    pub start_wait: Duration,
    /// How long to go without any worker before giving up; counts from the end of `start_wait` if none ever came.
    pub no_worker_wait: Duration,
    /// How long a worker may take for what it was asked for in one pass, loading its rows included.
    pub answer_wait: Duration,
    /// Bad partials after which a worker is dropped.
    pub bad_partials_max: u32,
    /// Answers that nobody waited for after which a worker is dropped.
    pub unsolicited_max: u32,
    /// A worker is late when it takes so many times as long for a block as most others; what it owes is then asked of
    /// those that are idle, too.
    pub backup_factor: u32,
    /// No worker is late before this.
    pub backup_wait_min: Duration,
    /// Workers that may join over the life of a job.
    pub joins_max: usize,
    /// Workers, for each that is wanted, that may go one after the other without a partial from any of them: then it is
    /// not a worker that fails, but the job.
    pub fruitless_drops_max: u32,
}

impl Default for CoordinatorLimits {
    fn default() -> Self {
        Self {
            start_wait: Duration::from_secs(60),
            no_worker_wait: Duration::from_secs(120),
            answer_wait: Duration::from_secs(120),
            bad_partials_max: 3,
            unsolicited_max: 100,
            backup_factor: 3,
            backup_wait_min: Duration::from_millis(100),
            joins_max: 10_000,
            fruitless_drops_max: 10,
        }
    }
}

/// What the coordinator's actor is to do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send the request to the worker.
    Compute {
        /// Whom to ask.
        worker: WorkerId,
        /// What for.
        request: ComputePartials,
    },
    /// The same, for a batch of a descent: it belongs to no pass.
    ComputeBatch {
        /// Whom to ask.
        worker: WorkerId,
        /// What for.
        request: ComputePartials,
    },
    /// Write it; nothing that follows is done before it is on disk.
    Checkpoint(Box<Checkpoint>),
    /// Show it.
    Progress(Progress),
    /// A worker is out: nothing it sends counts any more. Its task may be ended.
    WorkerDropped {
        /// Which.
        worker: WorkerId,
        /// Why.
        reason: DropReason,
    },
    /// The job is done; nothing follows.
    Finished(Box<TrainedModel>),
    /// The job is over without a model; nothing follows.
    Failed(TrainError),
}

/// Why a worker is out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DropReason {
    /// Its node or task is gone; it may come back.
    #[error("lost: {0}")]
    Lost(String),
    /// No answer within [`CoordinatorLimits::answer_wait`]; it may come back.
    #[error("no answer to pass {pass_number}")]
    Silent {
        /// The pass it was asked for.
        pass_number: u64,
    },
    /// It cannot compute, while others may; it stays out.
    #[error(transparent)]
    Refused(ComputeError),
    /// It sent partials that cannot be used; it stays out.
    #[error("{0} bad partials, the last: {1}")]
    BadPartials(u32, BadPartial),
    /// It sent again and again what nobody waited for; it stays out.
    #[error("{0} answers that nobody waited for")]
    Unsolicited(u32),
}

/// Why a partial cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPartial {
    /// A value is NaN or infinite.
    #[error("a value is not finite")]
    NotFinite,
    /// Not as many values as the pass has sums.
    #[error("{actual} values for {expected} sums")]
    WrongShape {
        /// Sums of the pass.
        expected: usize,
        /// Values of the partial.
        actual: usize,
    },
    /// The worker was never asked for the node in this pass.
    #[error("it was not asked for")]
    NotAskedFor,
}

/// The core of a training job's coordinator.
#[derive(Debug)]
pub struct CoordinatorCore {
    trainer: Trainer,
    data: DataSummary,
    limits: CoordinatorLimits,
    phase: Phase,
    workers: BTreeMap<WorkerId, Worker>,
    /// Dropped for good.
    banned: BTreeSet<WorkerId>,
    join_count: usize,
    pass_number: u64,
    /// Absent if none are kept.
    checkpoints: Option<CheckpointClock>,
    /// Workers that went since a partial was last counted.
    fruitless_drops: u32,
    /// Without workers since then.
    stranded: Option<Duration>,
    /// Who went last, and why; told if nobody comes after.
    last_drop: Option<String>,
    counts: UpdateCounts,
}

#[derive(Debug)]
enum Phase {
    Gathering { start_at: Duration },
    Running(Box<OpenPass>),
    Descending(Box<OpenDescent>),
    Ended,
}

/// The pass that is being computed.
#[derive(Debug)]
struct OpenPass {
    pass: Pass,
    layout: BlockLayout,
    reduction: Reduction,
    /// Who has insisted that its sums are not finite.
    overflow: Option<WorkerId>,
    /// How long a block took each of those that have answered.
    block_times: Vec<Duration>,
}

impl CoordinatorCore {
    /// A coordinator of `job` over data that was scanned as `data`, which starts to wait for workers at `now`.
    ///
    /// `now`, here and below, is the monotonic time since any fixed start.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn new(
        now: Duration,
        job: TrainingJob,
        data: DataSummary,
        limits: CoordinatorLimits,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            trainer: Trainer::new(job, &data)?,
            data,
            limits,
            phase: Phase::Gathering { start_at: now + limits.start_wait },
            workers: BTreeMap::new(),
            banned: BTreeSet::new(),
            join_count: 0,
            pass_number: 0,
            checkpoints: None,
            fruitless_drops: 0,
            stranded: Some(now + limits.start_wait),
            last_drop: None,
            counts: UpdateCounts::default(),
        })
    }

    /// The same, which writes checkpoints as the job says, and goes on from one if it is given.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_checkpoints(mut self, now: Duration, found: Option<Checkpoint>) -> Result<Self, TrainError> {
        let job = self.trainer.job();
        self.checkpoints = Some(CheckpointClock::new(&job.train, now));
        if let Some(Checkpoint { passes, state }) = found {
            self.trainer = Trainer::resume(job.clone(), &self.data, state)?;
            self.pass_number = passes;
        }
        Ok(self)
    }

    /// A worker offers help. Saying it twice changes nothing.
    ///
    /// # Errors
    /// [`JoinError`] if the job has ended, the worker was dropped for good, or too many have joined.
    pub fn on_worker_joined(
        &mut self,
        now: Duration,
        worker: WorkerId,
        out: &mut Vec<Effect>,
    ) -> Result<Joined, JoinError> {
        if matches!(self.phase, Phase::Ended) {
            return Err(JoinError::JobEnded);
        }
        if self.banned.contains(&worker) {
            return Err(JoinError::Dropped(worker));
        }
        if !self.workers.contains_key(&worker) {
            if self.join_count >= self.limits.joins_max {
                return Err(JoinError::TooManyWorkers(self.join_count));
            }
            self.join_count += 1;
            self.counts.workers_joined += 1;
            self.stranded = None;
            self.workers.insert(worker.clone(), Worker::default());
            match &self.phase {
                Phase::Gathering { start_at } => {
                    let wanted = self.trainer.job().train.workers as usize;
                    if self.workers.len() >= wanted || now >= *start_at {
                        self.open_next_pass(now, out);
                    }
                }
                Phase::Running(_) => self.assign_missing(now, out),
                Phase::Descending(_) => self.join_descent(now, &worker, out),
                Phase::Ended => {}
            }
        }
        Ok(Joined { job: self.trainer.job().clone(), data: self.data.clone() })
    }

    /// A worker's node or task is gone.
    pub fn on_worker_lost(&mut self, now: Duration, worker: &WorkerId, reason: &str, out: &mut Vec<Effect>) {
        self.drop_worker(now, worker, DropReason::Lost(reason.to_owned()), out);
    }

    /// A worker delivers. What is late, repeated or bad is refused and never counted.
    pub fn on_partials(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        pass_number: u64,
        partials: Vec<Partial>,
        out: &mut Vec<Effect>,
    ) {
        if matches!(self.phase, Phase::Descending(_)) {
            return self.on_batch(now, worker, pass_number, partials, out);
        }
        if pass_number != self.pass_number {
            return self.on_stale(now, worker, pass_number, partials.len() as u64, out);
        }
        let mut again = Vec::new();
        let mut last_fault = None;
        for partial in partials {
            let (node, outcome) = (partial.node, self.take_partial(worker, partial));
            if let Err(fault) = outcome {
                last_fault = Some(fault);
                if fault != BadPartial::NotAskedFor {
                    again.push(node);
                }
            }
        }
        if let Some(fault) = last_fault {
            self.after_bad_partials(now, worker, again, fault, out);
        }
        self.settle(now, worker, pass_number);
        self.drop_if_unsolicited(now, worker, out);
        self.close_pass_if_complete(now, out);
    }

    /// A worker cannot compute. The job fails only if there is no other worker.
    pub fn on_worker_refused(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        pass_number: u64,
        error: ComputeError,
        out: &mut Vec<Effect>,
    ) {
        let is_owed =
            self.workers.get(worker).and_then(|known| known.owed).is_some_and(|it| it.pass_number == pass_number);
        let is_open = pass_number == self.pass_number || (is_owed && matches!(self.phase, Phase::Descending(_)));
        if !is_open || !self.workers.contains_key(worker) {
            return self.on_stale(now, worker, pass_number, 0, out);
        }
        if self.workers.len() == 1 {
            return self.fail(TrainError::Worker { worker: worker.clone(), error }, out);
        }
        self.drop_worker(now, worker, DropReason::Refused(error), out);
    }

    /// A checkpoint cannot be written: the job ends, since what it would tell could be lost again.
    pub fn on_checkpoint_failed(&mut self, reason: &str, out: &mut Vec<Effect>) {
        self.fail(TrainError::Checkpoint(reason.to_owned()), out);
    }

    /// Acts on every deadline that has passed; to be called at [`Self::next_deadline`].
    pub fn on_timer(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if let Phase::Gathering { start_at } = self.phase
            && now >= start_at
            && !self.workers.is_empty()
        {
            self.open_next_pass(now, out);
        }
        let overdue = |owed: &Owed| owed.answer_by <= now;
        let silent = self.workers.iter().filter_map(|(id, worker)| Some((id.clone(), worker.owed.filter(overdue)?)));
        for (worker, Owed { pass_number, .. }) in silent.collect::<Vec<_>>() {
            self.drop_worker(now, &worker, DropReason::Silent { pass_number }, out);
        }
        self.back_up_late(now, out);
        if let Some(since) = self.stranded
            && now >= since + self.limits.no_worker_wait
            && !matches!(self.phase, Phase::Ended)
        {
            let waited_s = self.limits.no_worker_wait.as_secs();
            self.fail(TrainError::NoWorkers { waited_s, last_drop: self.last_drop.clone() }, out);
        }
    }

    /// When [`Self::on_timer`] has something to do next; `None` once the job has ended.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let start = match self.phase {
            Phase::Gathering { start_at } if !self.workers.is_empty() => Some(start_at),
            Phase::Gathering { .. } | Phase::Running(_) | Phase::Descending(_) => None,
            Phase::Ended => return None,
        };
        let answers = self.workers.values().filter_map(|worker| worker.owed).map(|owed| owed.answer_by);
        let give_up = self.stranded.map(|since| since + self.limits.no_worker_wait);
        answers.chain(start).chain(give_up).chain(self.next_late()).min()
    }

    /// The solver of the job, and why it is this one; nothing if the model needs none.
    #[must_use]
    pub fn solver(&self) -> Option<&SolverChoice> {
        self.trainer.solver()
    }

    /// Where the tree of the job is grown, and why there; nothing if the model is none.
    #[must_use]
    pub fn tree_choice(&self) -> Option<&TreeChoice> {
        self.trainer.tree_choice()
    }

    /// Number of sums of a pass over the rows as they are now.
    #[must_use]
    pub fn partial_len(&self, pass: &Pass) -> usize {
        pass.partial_len(self.trainer.feature_count())
    }

    /// What became of all updates so far.
    #[must_use]
    pub fn counts(&self) -> UpdateCounts {
        self.counts
    }

    /// Workers that take part.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Counts one partial, or says what is wrong with it. A repeated one, or one of a worker that is
    /// no longer here, is left aside without blame: the network and the workers' restarts cause those.
    fn take_partial(&mut self, worker: &WorkerId, partial: Partial) -> Result<(), BadPartial> {
        let (Phase::Running(open_pass), Some(sender)) = (&mut self.phase, self.workers.get_mut(worker)) else {
            return Ok(());
        };
        if sender.delivered.contains(&partial.node) {
            self.counts.repeated += 1;
            sender.unsolicited += 1;
            return Ok(());
        }
        if !sender.open.contains(&partial.node) {
            return Err(BadPartial::NotAskedFor);
        }
        let expected = open_pass.pass.partial_len(self.trainer.feature_count());
        let values = partial.values.0;
        check_values(expected, &values)?;
        sender.open.remove(&partial.node);
        sender.delivered.insert(partial.node);
        if open_pass.reduction.covers_node(partial.node) {
            self.counts.overtaken += 1;
            return Ok(());
        }
        let taken = open_pass.reduction.supersede(partial.node, values);
        assert_eq!(taken, Ok(()), "open nodes are nodes of the tree, and lengths were checked");
        self.counts.counted += 1;
        self.fruitless_drops = 0;
        Ok(())
    }

    /// An answer to a pass that is over, of so many updates. Who gives it is free again, if it was waited for.
    fn on_stale(&mut self, now: Duration, worker: &WorkerId, pass_number: u64, updates: u64, out: &mut Vec<Effect>) {
        self.counts.stale += updates;
        let Some(sender) = self.workers.get_mut(worker) else { return };
        if sender.settle(now, pass_number).is_none() {
            sender.unsolicited += 1;
        }
        self.drop_if_unsolicited(now, worker, out);
        self.assign_missing(now, out);
    }

    /// A worker that has delivered all that was asked of it owes nothing.
    fn settle(&mut self, now: Duration, worker: &WorkerId, pass_number: u64) {
        let (Phase::Running(open_pass), Some(sender)) = (&mut self.phase, self.workers.get_mut(worker)) else { return };
        if sender.open.is_empty()
            && let Some(block_time) = sender.settle(now, pass_number)
        {
            open_pass.block_times.push(block_time);
            sender.on_delivered();
        }
    }

    fn drop_if_unsolicited(&mut self, now: Duration, worker: &WorkerId, out: &mut Vec<Effect>) {
        let Some(unsolicited) = self.workers.get(worker).map(|sender| sender.unsolicited) else { return };
        if unsolicited >= self.limits.unsolicited_max {
            self.drop_worker(now, worker, DropReason::Unsolicited(unsolicited), out);
        }
    }

    /// Asks once more for what came in bad shape, until the worker's patience is used up.
    fn after_bad_partials(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        again: Vec<NodeId>,
        fault: BadPartial,
        out: &mut Vec<Effect>,
    ) {
        let (Phase::Running(open_pass), Some(sender)) = (&mut self.phase, self.workers.get_mut(worker)) else { return };
        self.counts.refuse(fault);
        sender.bad_partials += 1;
        let bad_partials = sender.bad_partials;
        if bad_partials >= self.limits.bad_partials_max {
            if fault == BadPartial::NotFinite
                && let Some(first) = open_pass.overflow.replace(worker.clone())
            {
                let (pass_number, second) = (self.pass_number, worker.clone());
                return self.fail(TrainError::Overflow { pass_number, first, second }, out);
            }
            self.drop_worker(now, worker, DropReason::BadPartials(bad_partials, fault), out);
        } else if !again.is_empty() {
            let request = sender.request(self.pass_number, &open_pass.pass, again, self.trainer.steps());
            out.push(Effect::Compute { worker: worker.clone(), request });
        }
    }

    fn drop_worker(&mut self, now: Duration, worker: &WorkerId, reason: DropReason, out: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Ended) || self.workers.remove(worker).is_none() {
            return;
        }
        let last = format!("{worker}: {reason}");
        self.last_drop = Some(last.clone());
        self.counts.workers_dropped += 1;
        // Whoever was to help others may be the one that is gone.
        self.workers.values_mut().for_each(|worker| worker.is_backed_up = false);
        if matches!(reason, DropReason::Refused(_) | DropReason::BadPartials(..) | DropReason::Unsolicited(_)) {
            self.banned.insert(worker.clone());
        }
        out.push(Effect::WorkerDropped { worker: worker.clone(), reason });
        self.fruitless_drops += 1;
        if self.fruitless_drops >= self.limits.fruitless_drops_max.saturating_mul(self.trainer.job().train.workers) {
            return self.fail(TrainError::WorkersFail { drops: self.fruitless_drops, last }, out);
        }
        if self.workers.is_empty() {
            // While gathering, the wait for a first worker goes on as if this one had not come.
            self.stranded = Some(match self.phase {
                Phase::Gathering { start_at } => start_at.max(now),
                Phase::Running(_) | Phase::Descending(_) | Phase::Ended => now,
            });
        }
        self.assign_missing(now, out);
        self.leave_descent(now, worker, out);
    }

    fn close_pass_if_complete(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Phase::Running(open_pass) = &self.phase else { return };
        let Some(sums) = open_pass.reduction.root() else { return };
        let progress = match self.trainer.absorb(sums) {
            Ok(progress) => progress,
            Err(error) => return self.fail(error, out),
        };
        let is_last = self.trainer.is_finished();
        if self.checkpoints.as_mut().is_some_and(|clock| clock.on_pass(now, is_last)) {
            out.push(self.checkpoint());
        }
        out.extend(progress.map(Effect::Progress));
        self.open_next_pass(now, out);
    }

    fn checkpoint(&self) -> Effect {
        Effect::Checkpoint(Box::new(Checkpoint { passes: self.pass_number, state: self.trainer.state() }))
    }

    fn open_next_pass(&mut self, now: Duration, out: &mut Vec<Effect>) {
        if let Some(descent) = self.trainer.descent() {
            return self.begin_descent(now, descent, out);
        }
        let pass = match self.trainer.step() {
            Step::Compute(pass) => pass,
            Step::Finished(model) => {
                out.push(Effect::Finished(model));
                return self.end();
            }
        };
        self.pass_number += 1;
        let layout = self.trainer.layout(pass.split());
        let (reduction, block_times) = (Reduction::new(layout.block_count()), Vec::new());
        let open_pass = OpenPass { reduction, pass, layout, overflow: None, block_times };
        self.phase = Phase::Running(Box::new(open_pass));
        let pass_number = self.pass_number;
        self.workers.values_mut().for_each(|worker| worker.begin_pass(pass_number));
        self.assign_missing(now, out);
    }

    /// Spreads the blocks that nobody has delivered and nobody is asked for evenly over the workers that are free.
    ///
    /// At the beginning of a pass every worker has a share, so that each keeps its rows; the shares of those that are not
    /// free go to the others. One that was late the last time is on trial: others are asked for its share as well.
    fn assign_missing(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Phase::Running(open_pass) = &self.phase else { return };
        let mut missing = open_pass.missing_blocks(&self.workers);
        let free = askable(&self.workers, self.pass_number);
        if missing.is_empty() || free.is_empty() {
            return;
        }
        let reliable: Vec<WorkerId> =
            free.iter().filter(|worker| self.workers[worker].is_reliable()).cloned().collect();
        let reliable = if reliable.is_empty() { free.clone() } else { reliable };
        let mut shares: BTreeMap<WorkerId, Vec<usize>> = BTreeMap::new();
        if missing.len() == open_pass.layout.block_count() {
            let (cut, mut left) = (aligned_ranges(missing.len(), self.workers.len()), Vec::new());
            for ((worker, known), share) in self.workers.iter_mut().zip(cut) {
                if free.contains(worker) {
                    shares.entry(worker.clone()).or_default().extend(&missing[share.clone()]);
                }
                if !reliable.contains(worker) {
                    left.extend(&missing[share]);
                    known.begin_trial();
                }
            }
            missing = left;
        }
        for (worker, share) in reliable.iter().zip(even_ranges(missing.len(), reliable.len())) {
            shares.entry(worker.clone()).or_default().extend(&missing[share]);
        }
        for (worker, mut blocks) in shares {
            blocks.sort_unstable();
            self.ask(now, &worker, &blocks, out);
        }
    }

    fn ask(&mut self, now: Duration, worker: &WorkerId, blocks: &[usize], out: &mut Vec<Effect>) {
        let (Phase::Running(open_pass), Some(asked)) = (&self.phase, self.workers.get_mut(worker)) else { return };
        let nodes = nodes_of(blocks, open_pass.layout.block_count());
        if nodes.is_empty() {
            return;
        }
        asked.open.extend(&nodes);
        let answer_by = now + self.limits.answer_wait;
        asked.owe(now, self.pass_number, blocks.len(), answer_by);
        let at_once = (REPLY_NUMBERS_MAX / open_pass.pass.partial_len(self.trainer.feature_count()).max(1)).max(1);
        for nodes in nodes.chunks(at_once) {
            let request = asked.request(self.pass_number, &open_pass.pass, nodes.to_vec(), self.trainer.steps());
            out.push(Effect::Compute { worker: worker.clone(), request });
        }
    }

    /// Asks those that are idle for what late workers owe. Whose answer is first counts.
    fn back_up_late(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Phase::Running(open_pass) = &self.phase else { return };
        let Some(per_block) = usual_block_time(open_pass, &self.workers) else { return };
        let is_late = |worker: &Worker| worker.late_at(per_block, &self.limits).is_some_and(|at| at <= now);
        let late = self.workers.iter().filter(|(_, worker)| is_late(worker)).map(|(id, _)| id.clone());
        for late in late.collect::<Vec<_>>() {
            let helpers = idle(&self.workers, self.pass_number);
            let Phase::Running(open_pass) = &self.phase else { return };
            let blocks = open_pass.owed_only_by(&late, &self.workers);
            if helpers.is_empty() || blocks.is_empty() {
                return;
            }
            self.workers.get_mut(&late).expect("it was just found").on_late(self.pass_number);
            for (helper, share) in helpers.iter().zip(even_ranges(blocks.len(), helpers.len())) {
                self.counts.backups += u64::from(!share.is_empty());
                self.ask(now, helper, &blocks[share], out);
            }
        }
    }

    /// When the next worker is late, while somebody could help it.
    fn next_late(&self) -> Option<Duration> {
        let Phase::Running(open_pass) = &self.phase else { return None };
        let per_block = usual_block_time(open_pass, &self.workers)?;
        if idle(&self.workers, self.pass_number).is_empty() {
            return None;
        }
        self.workers.values().filter_map(|worker| worker.late_at(per_block, &self.limits)).min()
    }

    fn fail(&mut self, error: TrainError, out: &mut Vec<Effect>) {
        out.push(Effect::Failed(error));
        self.end();
    }

    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.workers.clear();
    }
}

impl OpenPass {
    /// Blocks that nobody has delivered and only this worker is asked for.
    fn owed_only_by(&self, worker: &WorkerId, workers: &BTreeMap<WorkerId, Worker>) -> Vec<usize> {
        let blocks_of = |worker: &Worker| -> BTreeSet<usize> {
            worker.open.iter().flat_map(|node| self.layout.blocks(*node).unwrap_or_default()).collect()
        };
        let others: BTreeSet<usize> =
            workers.iter().filter(|(id, _)| *id != worker).flat_map(|(_, other)| blocks_of(other)).collect();
        let owed = workers.get(worker).map(blocks_of).unwrap_or_default();
        owed.into_iter().filter(|block| !self.reduction.covers(*block) && !others.contains(block)).collect()
    }

    fn missing_blocks(&self, workers: &BTreeMap<WorkerId, Worker>) -> Vec<usize> {
        let asked: BTreeSet<usize> = workers
            .values()
            .flat_map(|worker| &worker.open)
            .flat_map(|node| self.layout.blocks(*node).unwrap_or_default())
            .collect();
        let free = |block: &usize| !self.reduction.covers(*block) && !asked.contains(block);
        (0..self.layout.block_count()).filter(free).collect()
    }
}

/// Whether sums can be those of a pass that has so many.
fn check_values(expected: usize, values: &[f64]) -> Result<(), BadPartial> {
    if values.len() != expected {
        return Err(BadPartial::WrongShape { expected, actual: values.len() });
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(BadPartial::NotFinite);
    }
    Ok(())
}

/// The fewest nodes that cover exactly the given blocks, which are ascending.
fn nodes_of(blocks: &[usize], block_count: usize) -> Vec<NodeId> {
    let runs = blocks.chunk_by(|block, next| block + 1 == *next);
    runs.flat_map(|run| subtrees(run[0]..run[0] + run.len(), block_count)).collect()
}

#[cfg(test)]
#[path = "coordinator_core_test.rs"]
mod tests;
