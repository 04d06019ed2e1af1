//! A simulated set of workers over iris: whatever befalls it, the model keeps its bits.

use std::{collections::VecDeque, path::PathBuf, sync::OnceLock};

use odeon_protocol::block::F64Block;
use proptest::prelude::*;

use super::*;
use crate::{
    block_store::BlockStore,
    data::{RowSink, Rows, source},
    job::StepSettings,
    local::fit_local,
    messages::Partials,
    request_memory::RequestMemory,
};

const LIMITS: CoordinatorLimits = CoordinatorLimits {
    start_wait: Duration::from_secs(10),
    no_worker_wait: Duration::from_secs(20),
    answer_wait: Duration::from_secs(30),
    bad_partials_max: 3,
    unsolicited_max: 100,
    backup_factor: 3,
    // No worker is late, unless a test is about that.
    backup_wait_min: Duration::from_secs(1_000_000),
    joins_max: 1000,
    fruitless_drops_max: 100,
};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn id(number: usize) -> WorkerId {
    WorkerId(format!("worker-{number}"))
}

/// With a step that is fitted by two passes, so that steps go through all that workers go through.
fn job() -> TrainingJob {
    let mut job: TrainingJob = toml::from_str(include_str!("../../../examples/jobs/iris.toml")).unwrap();
    job.prepare.steps = vec![StepSettings::Standard { columns: None }];
    job
}

/// Iris, read once.
fn iris() -> &'static (DataSummary, Rows) {
    static IRIS: OnceLock<(DataSummary, Rows)> = OnceLock::new();
    IRIS.get_or_init(|| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/iris.csv");
        let table = source::scan(&path, &job().data_spec()).unwrap();
        let all: Vec<usize> = (0..table.summary().row_count).collect();
        (table.summary().clone(), table.read_rows(&all).unwrap())
    })
}

fn load(numbers: &[usize]) -> Result<Rows, crate::data::DataError> {
    let rows = &iris().1;
    Ok(Rows { x: rows.x.select(ndarray::Axis(0), numbers), y: rows.y.select(ndarray::Axis(0), numbers) })
}

fn tell(numbers: &[usize], each: &mut RowSink<'_>) -> Result<(), crate::data::DataError> {
    load(numbers)?.tell(each);
    Ok(())
}

fn undisturbed() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| fit_local(&job(), &iris().0, load, 1).unwrap().model_sha256())
}

/// A coordinator, its workers, and the replies that are under way.
struct Simulation {
    core: CoordinatorCore,
    now: Duration,
    stores: BTreeMap<WorkerId, (BlockStore, RequestMemory)>,
    replies: VecDeque<(WorkerId, Partials)>,
    seen: Vec<Effect>,
    next_worker: usize,
    limits: CoordinatorLimits,
    job: TrainingJob,
}

impl Simulation {
    fn new(workers: usize) -> Self {
        Self::over(LIMITS, false, workers)
    }

    /// As [`Self::new`], with a checkpoint after each pass.
    fn with_checkpoints(workers: usize) -> Self {
        Self::over(LIMITS, true, workers)
    }

    fn over(limits: CoordinatorLimits, checkpoints: bool, workers: usize) -> Self {
        Self::of(job(), limits, checkpoints, workers)
    }

    fn of(job: TrainingJob, limits: CoordinatorLimits, checkpoints: bool, workers: usize) -> Self {
        let mut core = CoordinatorCore::new(Duration::ZERO, job.clone(), iris().0.clone(), limits).unwrap();
        if checkpoints {
            core = core.with_checkpoints(Duration::ZERO, None).unwrap();
        }
        let (stores, replies) = (BTreeMap::new(), VecDeque::new());
        let mut simulation =
            Self { core, now: Duration::ZERO, stores, replies, seen: Vec::new(), next_worker: 0, limits, job };
        (0..workers).for_each(|_| simulation.join());
        simulation
    }

    fn act(&mut self, act: impl FnOnce(&mut CoordinatorCore, Duration, &mut Vec<Effect>)) {
        let mut out = Vec::new();
        act(&mut self.core, self.now, &mut out);
        for effect in out {
            if let Effect::Compute { worker, request } | Effect::ComputeBatch { worker, request } = &effect
                && let Some((store, memory)) = self.stores.get_mut(worker)
            {
                let mut request = request.clone();
                let sent_before = request.steps_known + request.new_steps.len();
                let steps = memory.complete(&mut request).unwrap();
                assert_eq!(sent_before, steps.len(), "a worker is sent each step once");
                self.replies.push_back((worker.clone(), store.compute(&request, &steps, tell).unwrap()));
            }
            self.seen.push(effect);
        }
        self.check_invariants();
    }

    fn join(&mut self) {
        let worker = id(self.next_worker);
        self.next_worker += 1;
        let joined = Joined { job: self.job.clone(), data: iris().0.clone() };
        let store = BlockStore::new(&joined, &crate::data::strata::Strata::default()).unwrap();
        self.stores.insert(worker.clone(), (store, RequestMemory::default()));
        self.act(|core, now, out| {
            let ended = matches!(core.phase, Phase::Ended);
            assert_eq!(
                core.on_worker_joined(now, worker, out),
                if ended { Err(JoinError::JobEnded) } else { Ok(joined) }
            );
        });
    }

    fn kill(&mut self, pick: usize) {
        let Some(worker) = self.stores.keys().nth(pick % self.stores.len().max(1)).cloned() else { return };
        self.stores.remove(&worker);
        self.act(|core, now, out| core.on_worker_lost(now, &worker, "killed", out));
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        self.seen.iter().rev().find_map(|effect| match effect {
            Effect::Checkpoint(checkpoint) => Some((**checkpoint).clone()),
            _ => None,
        })
    }

    /// The coordinator is killed, and with it its workers and all that was under way; another goes on.
    fn restart(&mut self) {
        if matches!(self.core.phase, Phase::Ended) {
            return;
        }
        let core = CoordinatorCore::new(self.now, self.job.clone(), iris().0.clone(), self.limits).unwrap();
        self.core = core.with_checkpoints(self.now, self.checkpoint()).unwrap();
        let workers = self.stores.len();
        self.stores.clear();
        self.replies.clear();
        (0..workers).for_each(|_| self.join());
    }

    fn deliver(&mut self, pick: usize, twice: bool) {
        if self.replies.is_empty() {
            return;
        }
        let (worker, reply) = self.replies.remove(pick % self.replies.len()).unwrap();
        if twice {
            self.replies.push_back((worker.clone(), reply.clone()));
        }
        self.act(|core, now, out| core.on_partials(now, &worker, reply.pass_number, reply.partials, out));
    }

    fn fire_timer(&mut self) {
        if let Some(deadline) = self.core.next_deadline() {
            self.now = self.now.max(deadline);
            self.act(CoordinatorCore::on_timer);
        }
    }

    /// Delivers all but what this worker says, which gets lost.
    fn settle_without(&mut self, silent: &WorkerId) {
        while !self.replies.is_empty() {
            match self.replies[0].0 == *silent {
                true => drop(self.replies.pop_front()),
                false => self.deliver(0, false),
            }
        }
    }

    /// Delivers in order until nothing is under way.
    fn settle(&mut self) {
        while !self.replies.is_empty() {
            self.deliver(0, false);
        }
    }

    /// No block is asked of two workers, or asked for and counted, but where one of them is late; none is forgotten while
    /// someone could do it.
    fn check_invariants(&self) {
        let Phase::Running(open_pass) = &self.core.phase else { return };
        if self.core.workers.values().any(|worker| worker.owed.is_none()) {
            assert!(open_pass.missing_blocks(&self.core.workers).is_empty(), "a block is forgotten");
        }
        if self.core.counts.backups > 0 {
            return;
        }
        let nodes = self.core.workers.values().flat_map(|worker| &worker.open);
        let mut asked: Vec<usize> = nodes.flat_map(|node| open_pass.layout.blocks(*node).unwrap()).collect();
        asked.sort_unstable();
        assert!(asked.windows(2).all(|pair| pair[0] < pair[1]), "a block is asked for twice");
        assert!(asked.iter().all(|block| !open_pass.reduction.covers(*block)), "a counted block is asked for");
        if !self.core.workers.is_empty() {
            assert!(open_pass.missing_blocks(&self.core.workers).is_empty(), "a block waits for nobody");
        }
    }

    fn model_sha256(&self) -> Option<String> {
        let models = self.seen.iter().filter_map(|effect| match effect {
            Effect::Finished(model) => Some(model.model_sha256()),
            _ => None,
        });
        let models: Vec<String> = models.collect();
        assert!(models.len() <= 1, "a job finishes once");
        models.into_iter().next()
    }

    /// Rounds in the checkpoint after so many passes.
    fn rounds_at(&self, passes: u64) -> u32 {
        let found = self.seen.iter().find_map(|effect| match effect {
            Effect::Checkpoint(checkpoint) if checkpoint.passes == passes => Some(checkpoint.state.rounds()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no checkpoint after {passes} passes"))
    }

    fn last(&self) -> &Effect {
        self.seen.last().unwrap()
    }

    /// The open request to a worker, as it was sent.
    fn request(&self, worker: usize) -> &ComputePartials {
        let to_worker = |effect: &&Effect| matches!(effect, Effect::Compute { worker: to, .. } if *to == id(worker));
        match self.seen.iter().rev().find(to_worker) {
            Some(Effect::Compute { request, .. }) => request,
            _ => panic!("worker {worker} was not asked"),
        }
    }

    fn send(&mut self, worker: usize, node: NodeId, values: Vec<f64>) {
        let pass_number = self.core.pass_number;
        let partial = Partial { node, values: F64Block(values) };
        self.act(|core, now, out| core.on_partials(now, &id(worker), pass_number, vec![partial], out));
    }
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Join,
    Kill(usize),
    Deliver(usize),
    DeliverTwice(usize),
    LoseReply(usize),
    Restart,
    Wait,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::Join),
        2 => (0..8_usize).prop_map(Event::Kill),
        20 => (0..8_usize).prop_map(Event::Deliver),
        4 => (0..8_usize).prop_map(Event::DeliverTwice),
        1 => (0..8_usize).prop_map(Event::LoseReply),
        1 => Just(Event::Restart),
        1 => Just(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn no_order_of_losses_joins_repeats_and_restarts_changes_the_model(
        workers in 1..6_usize,
        events in prop::collection::vec(event(), 0..150),
    ) {
        let limits = CoordinatorLimits { backup_wait_min: seconds(1), ..LIMITS };
        let mut simulation = Simulation::over(limits, true, workers);
        for event in events {
            match event {
                Event::Join => simulation.join(),
                Event::Kill(pick) => simulation.kill(pick),
                Event::Restart => simulation.restart(),
                Event::Deliver(pick) => simulation.deliver(pick, false),
                Event::DeliverTwice(pick) => simulation.deliver(pick, true),
                Event::LoseReply(pick) => drop(simulation.replies.remove(pick)),
                // Only while someone is there: a job without workers for long fails, as it should.
                Event::Wait if simulation.core.worker_count() > 0 => simulation.fire_timer(),
                Event::Wait => {}
            }
        }
        // All faults end: a healthy worker is there, and whoever owes an answer is timed out.
        simulation.join();
        simulation.settle();
        for _ in 0..20 {
            simulation.fire_timer();
            simulation.join();
            simulation.settle();
        }
        let hash = simulation.model_sha256();
        prop_assert_eq!(hash.as_deref(), Some(undisturbed()));
        prop_assert_eq!(simulation.core.next_deadline(), None);
    }
}

#[test]
fn the_job_starts_when_all_workers_wanted_have_joined() {
    let mut simulation = Simulation::new(1);
    assert_eq!((simulation.seen.len(), simulation.core.next_deadline()), (0, Some(seconds(10))));
    simulation.join();
    let nodes: Vec<_> = (0..2).map(|worker| simulation.request(worker).nodes.clone()).collect();
    assert_eq!(nodes, [subtrees(0..7, 15), subtrees(7..15, 15)]);
    assert_eq!(simulation.seen.len(), 2);
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn the_job_starts_with_fewer_workers_at_the_start_deadline() {
    let mut simulation = Simulation::new(1);
    simulation.fire_timer();
    simulation.settle();
    assert_eq!((simulation.now, simulation.model_sha256().as_deref()), (seconds(10), Some(undisturbed())));
}

#[test]
fn a_job_that_nobody_joins_fails_after_both_waits() {
    let mut simulation = Simulation::new(0);
    simulation.fire_timer();
    let expected = TrainError::NoWorkers { waited_s: 20, last_drop: None };
    assert_eq!((simulation.now, &simulation.seen[..]), (seconds(30), &[Effect::Failed(expected)][..]));
    assert_eq!(simulation.core.next_deadline(), None);
}

#[test]
fn a_lost_worker_s_open_blocks_go_to_the_survivor_within_the_pass() {
    let mut simulation = Simulation::new(2);
    simulation.deliver(1, false);
    let (pass_number, nodes) = (simulation.request(0).pass_number, simulation.request(0).nodes.clone());
    simulation.kill(0);
    assert_eq!((simulation.request(1).pass_number, &simulation.request(1).nodes), (pass_number, &nodes));
    assert!(matches!(&simulation.seen[2], Effect::WorkerDropped { worker, .. } if *worker == id(0)));
    assert_eq!(simulation.seen.len(), 4);
}

#[test]
fn a_newcomer_takes_part_from_the_next_pass_on() {
    let mut simulation = Simulation::new(2);
    simulation.join();
    assert_eq!(simulation.seen.len(), 2);
    simulation.deliver(0, false);
    simulation.deliver(0, false);
    assert_eq!((simulation.request(2).pass_number, &simulation.request(2).nodes), (2, &subtrees(10..15, 15)));
}

#[test]
fn a_job_without_workers_waits_for_one_and_then_gives_up() {
    let mut simulation = Simulation::new(2);
    simulation.kill(0);
    simulation.kill(0);
    assert_eq!(simulation.core.next_deadline(), Some(seconds(20)));
    simulation.now = seconds(19);
    simulation.act(CoordinatorCore::on_timer);
    simulation.join();
    assert_eq!(simulation.request(2).nodes, subtrees(0..15, 15));
    simulation.kill(0);
    simulation.fire_timer();
    assert_eq!(simulation.now, seconds(39));
    let last_drop = Some("worker-2: lost: killed".to_owned());
    assert_eq!(*simulation.last(), Effect::Failed(TrainError::NoWorkers { waited_s: 20, last_drop }));
    simulation.join();
    assert_eq!(simulation.core.worker_count(), 0);
}

#[test]
fn a_job_whose_workers_go_one_after_the_other_ends_unless_one_delivers() {
    let mut simulation = Simulation::new(2);
    let drops_max = LIMITS.fruitless_drops_max * job().train.workers;
    let kill_and_replace = |simulation: &mut Simulation| {
        simulation.kill(0);
        simulation.join();
    };
    (1..drops_max).for_each(|_| kill_and_replace(&mut simulation));
    assert!(simulation.core.next_deadline().is_some(), "one less is not the end");
    let newest = simulation.replies.len() - 1;
    simulation.deliver(newest, false);
    (1..drops_max).for_each(|_| kill_and_replace(&mut simulation));
    assert!(simulation.core.next_deadline().is_some(), "what was delivered counts as a new start");
    simulation.kill(0);
    let Effect::Failed(TrainError::WorkersFail { drops, last }) = simulation.last() else {
        panic!("{:?}", simulation.last())
    };
    assert_eq!((*drops, last.ends_with(": lost: killed")), (drops_max, true), "{last}");
}

#[test]
fn a_silent_worker_is_dropped_at_its_deadline_and_may_come_back() {
    let mut simulation = Simulation::new(2);
    simulation.deliver(0, false);
    simulation.now = seconds(29);
    simulation.act(CoordinatorCore::on_timer);
    assert_eq!(simulation.seen.len(), 2);
    simulation.fire_timer();
    let dropped = Effect::WorkerDropped { worker: id(1), reason: DropReason::Silent { pass_number: 1 } };
    assert_eq!((simulation.now, &simulation.seen[2]), (seconds(30), &dropped));
    let mut out = Vec::new();
    assert!(simulation.core.on_worker_joined(seconds(31), id(1), &mut out).is_ok() && out.is_empty());
}

#[test]
fn joining_twice_changes_nothing() {
    let mut simulation = Simulation::new(2);
    simulation.act(|core, now, out| assert!(core.on_worker_joined(now, id(0), out).is_ok()));
    assert_eq!((simulation.seen.len(), simulation.core.worker_count()), (2, 2));
}

#[test]
fn bad_partials_are_asked_for_again_and_the_third_ends_the_worker() {
    let mut simulation = Simulation::new(2);
    let asked = simulation.request(0).nodes.clone();
    simulation.send(0, asked[0], vec![f64::NAN; 6]);
    assert_eq!(simulation.request(0).nodes, asked[..1]);
    simulation.send(0, asked[0], vec![0.0; 5]);
    assert_eq!((simulation.request(0).nodes.as_slice(), simulation.seen.len()), (&asked[..1], 4));
    simulation.send(0, NodeId { level: 0, index: 14 }, vec![0.0; 6]);
    let reason = DropReason::BadPartials(3, BadPartial::NotAskedFor);
    assert_eq!(simulation.seen[4], Effect::WorkerDropped { worker: id(0), reason });
    assert_eq!(simulation.request(1).nodes, asked);
    simulation.act(|core, now, out| {
        assert_eq!(core.on_worker_joined(now, id(0), out), Err(JoinError::Dropped(id(0))));
    });
    simulation.stores.remove(&id(0));
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn sums_that_two_workers_find_not_finite_end_the_job_with_what_to_do() {
    let mut simulation = Simulation::new(2);
    for worker in [0, 1] {
        for _ in 0..3 {
            let asked = simulation.request(worker).nodes[0];
            simulation.send(worker, asked, vec![f64::INFINITY; 9]);
        }
    }
    let error = TrainError::Overflow { pass_number: 1, first: id(0), second: id(1) };
    assert_eq!(*simulation.last(), Effect::Failed(error.clone()));
    assert!(error.to_string().contains("scale them down"), "{error}");
}

#[test]
fn a_reply_that_arrives_many_times_counts_once_and_without_blame() {
    let mut simulation = Simulation::new(2);
    let (worker, reply) = simulation.replies[0].clone();
    for _ in 0..5 {
        let partials = reply.partials.clone();
        simulation.act(|core, now, out| core.on_partials(now, &worker, 1, partials, out));
    }
    assert_eq!((simulation.seen.len(), simulation.core.worker_count()), (2, 2));
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn partials_of_another_pass_are_left_aside_without_blame() {
    let mut simulation = Simulation::new(2);
    let (worker, reply) = simulation.replies[0].clone();
    for pass_number in [0, 2, 2, 2, 2] {
        let partials = reply.partials.clone();
        simulation.act(|core, now, out| core.on_partials(now, &worker, pass_number, partials, out));
    }
    assert_eq!((simulation.seen.len(), simulation.core.worker_count()), (2, 2));
}

#[test]
fn a_worker_that_cannot_compute_is_dropped_unless_it_is_the_last() {
    let mut simulation = Simulation::new(2);
    let error = ComputeError::Data(crate::data::DataError::FileMissing { file: "iris.csv".into() });
    let refuse = |simulation: &mut Simulation, worker| {
        let error = error.clone();
        simulation.act(|core, now, out| core.on_worker_refused(now, &id(worker), 1, error, out));
    };
    refuse(&mut simulation, 0);
    let dropped = Effect::WorkerDropped { worker: id(0), reason: DropReason::Refused(error.clone()) };
    assert_eq!((simulation.seen.len(), &simulation.seen[2]), (4, &dropped));
    refuse(&mut simulation, 0);
    assert_eq!(simulation.seen.len(), 4);
    refuse(&mut simulation, 1);
    assert_eq!(*simulation.last(), Effect::Failed(TrainError::Worker { worker: id(1), error }));
}

#[test]
fn a_checkpoint_comes_before_all_that_follows_from_its_pass() {
    let mut simulation = Simulation::with_checkpoints(2);
    simulation.settle();
    let passes: Vec<u64> = simulation
        .seen
        .iter()
        .filter_map(|effect| match effect {
            Effect::Checkpoint(checkpoint) => Some(checkpoint.passes),
            _ => None,
        })
        .collect();
    assert_eq!(passes, (1..=simulation.core.pass_number).collect::<Vec<_>>());
    let mut known = 0;
    for effect in &simulation.seen {
        match effect {
            Effect::Checkpoint(checkpoint) => known = checkpoint.passes,
            Effect::Compute { request, .. } => assert_eq!(request.pass_number, known + 1),
            Effect::Progress(progress) => assert_eq!(simulation.rounds_at(known), progress.round),
            _ => {}
        }
    }
    assert_eq!(simulation.rounds_at(known), simulation.rounds_at(known - 1), "the last one has the model");
}

#[test]
fn a_restarted_coordinator_asks_for_the_pass_that_was_open_and_no_other() {
    let mut simulation = Simulation::with_checkpoints(2);
    for _ in 0..7 {
        simulation.deliver(0, false);
    }
    let open = simulation.request(0).clone();
    assert_eq!(open.pass_number, 4);
    simulation.restart();
    let anew = simulation.request(2).clone();
    assert_eq!((anew.pass_number, anew.pass.name()), (open.pass_number, open.pass.name()));
    assert_eq!((anew.steps_known, anew.new_steps.len()), (0, 1), "its workers are new");
    simulation.settle();
    assert_eq!(simulation.model_sha256().as_deref(), Some(undisturbed()));
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_job() {
    let mut simulation = Simulation::with_checkpoints(1);
    simulation.act(|core, _, out| core.on_checkpoint_failed("no space", out));
    assert_eq!(*simulation.last(), Effect::Failed(TrainError::Checkpoint("no space".into())));
    assert_eq!(simulation.core.next_deadline(), None);
}

#[test]
fn progress_counts_the_rounds_of_the_model() {
    let mut simulation = Simulation::new(2);
    simulation.settle();
    let Effect::Finished(model) = simulation.last().clone() else { panic!("not finished") };
    let rounds: Vec<u32> = simulation
        .seen
        .iter()
        .filter_map(|effect| match effect {
            Effect::Progress(progress) => Some(progress.round),
            _ => None,
        })
        .collect();
    assert_eq!(rounds, (1..=model.rounds).collect::<Vec<_>>());
}

#[path = "coordinator_core/backup_test.rs"]
mod backup;
#[path = "coordinator_core/descent_test.rs"]
mod descent;
