//! Random histories of an agent: what must hold after every step, and that it can always end.

use super::executor::ExecutorState;
use super::fixture::*;
use super::*;
use crate::effect::Record;
use odeon_protocol::id::StatusUuid;
use odeon_protocol::messages::agent_executor::{RegisterExecutor, UpdateStatus};
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, KillTask, LaunchTask, RegisterAgentError, ShutdownFramework,
};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskExit, TaskState, TaskStatus};
use odeon_runtime::Emission;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The number of the framework that checkpoints.
const CHECKPOINTING: u8 = 1;
/// Updates of one framework on their way.
const UNDER_WAY_MAX: usize = 2;

#[derive(Debug, Clone)]
enum Step {
    Launch {
        framework: u8,
        task: u8,
        command: bool,
    },
    Kill {
        framework: u8,
        task: u8,
    },
    Register {
        executor: usize,
    },
    Update {
        executor: usize,
        task: usize,
        state: TaskState,
    },
    Exit {
        executor: usize,
    },
    NotStarted {
        executor: usize,
    },
    ExecutorLink {
        executor: usize,
    },
    /// Acknowledges what was forwarded last of some task.
    Acknowledge {
        stream: usize,
    },
    MasterLink,
    Answer {
        kind: u8,
        task: u8,
    },
    ShutdownFramework {
        framework: u8,
    },
    Wait {
        ms: u64,
    },
    /// The process is killed after the first `cut` emissions of the next step, and started again.
    Kill9 {
        cut: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        Just(TaskState::Starting),
        Just(TaskState::Running),
        Just(TaskState::Finished),
        Just(TaskState::Killed),
        Just(TaskState::Staging),
    ];
    prop_oneof![
        5 => (0..2u8, 0..4u8, any::<bool>())
            .prop_map(|(framework, task, command)| Step::Launch { framework, task, command }),
        3 => (0..2u8, 0..5u8).prop_map(|(framework, task)| Step::Kill { framework, task }),
        5 => any::<usize>().prop_map(|executor| Step::Register { executor }),
        6 => (any::<usize>(), any::<usize>(), state)
            .prop_map(|(executor, task, state)| Step::Update { executor, task, state }),
        2 => any::<usize>().prop_map(|executor| Step::Exit { executor }),
        1 => any::<usize>().prop_map(|executor| Step::NotStarted { executor }),
        1 => any::<usize>().prop_map(|executor| Step::ExecutorLink { executor }),
        6 => any::<usize>().prop_map(|stream| Step::Acknowledge { stream }),
        1 => Just(Step::MasterLink),
        3 => (0..8u8, 0..4u8).prop_map(|(kind, task)| Step::Answer { kind, task }),
        1 => (0..2u8).prop_map(|framework| Step::ShutdownFramework { framework }),
        2 => (0..6usize).prop_map(|cut| Step::Kill9 { cut }),
        4 => prop_oneof![0..100u64, 0..20_000u64, 0..700_000u64].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn key(framework_number: u8, task: u8) -> TaskKey {
    (framework(&format!("f{framework_number}")), task_id(&format!("t{task}")))
}

/// An agent, and what the world around it has seen.
struct World {
    agent: Agent,
    ms: u64,
    sequence: u64,
    /// The updates that were written and whose acknowledgement was not, oldest first.
    written: BTreeMap<TaskKey, Vec<StatusUuid>>,
    uuids: BTreeSet<StatusUuid>,
    /// What was told last of each task that is not given up.
    told: BTreeMap<TaskKey, StatusUuid>,
    acknowledged: BTreeSet<StatusUuid>,
    /// Runs that were started and whose end was not reported.
    alive: BTreeSet<ContainerId>,
    finished: bool,
    /// What the journal says.
    replay: Checkpoint,
    /// After how many emissions of the next step the process is killed.
    cut: Option<usize>,
    /// How often it was.
    kills: u64,
}

fn limits() -> AgentLimits {
    let few = AgentLimits { sandboxes_max: 3, journal_records_max: 20, ..AgentLimits::DEFAULT };
    AgentLimits { status_updates_under_way_max: UNDER_WAY_MAX, ..few }
}

impl World {
    fn new() -> Self {
        let mut agent = Agent::with_limits(limits());
        agent.core.on_start(&mut agent.out);
        let replay = agent.core.checkpoint();
        Self {
            agent,
            ms: 0,
            sequence: 0,
            written: BTreeMap::new(),
            uuids: BTreeSet::new(),
            told: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            alive: BTreeSet::new(),
            finished: false,
            replay,
            cut: None,
            kills: 0,
        }
    }

    fn pick(&self, index: usize) -> Option<ContainerId> {
        self.alive.iter().nth(index % self.alive.len().max(1)).cloned()
    }

    fn apply(&mut self, step: Step) {
        let now = at(self.ms);
        if matches!(step, Step::Answer { .. } | Step::ShutdownFramework { .. }) {
            // Given up without a word in the journal.
            self.told.retain(|key, _| key.0 == self::key(CHECKPOINTING, 0).0);
        }
        let Agent { core, out, .. } = &mut self.agent;
        match step {
            Step::Launch { framework, task, command: is_command } => {
                let (framework_id, id) = key(framework, task);
                let task = if is_command { command(id.as_str()) } else { registered(id.as_str(), "e") };
                let (role, checkpoint) = (Role::default(), framework == CHECKPOINTING);
                let message =
                    LaunchTask { epoch: EPOCH, framework_id, role, task, checkpoint, killing_state: checkpoint };
                let _ = core.on_launch_task(message, now, out);
            }
            Step::Kill { framework, task } => {
                let (framework_id, task_id) = key(framework, task);
                let _ = core.on_kill_task(&KillTask { epoch: EPOCH, framework_id, task_id, grace_max: None }, now, out);
            }
            Step::Acknowledge { stream } => self.acknowledge(stream),
            Step::MasterLink => core.on_master_disconnected(now),
            Step::Answer { kind, task } if core.is_registering() => {
                let answer = match kind {
                    0 => None,
                    1 => core.agent_id().cloned().map(|id| Err(RegisterAgentError::Removed(id))),
                    2 => Some(Ok(admitted(EPOCH, vec![key(0, task), key(1, task)]))),
                    _ => Some(Ok(admitted(EPOCH, vec![]))),
                };
                core.on_registration(answer, now, out);
            }
            Step::Answer { .. } => {}
            Step::ShutdownFramework { framework } => {
                let message = ShutdownFramework { epoch: EPOCH, framework_id: key(framework, 0).0 };
                let _ = core.on_shutdown_framework(&message, now, out);
            }
            Step::Wait { ms } => self.ms += ms,
            Step::Kill9 { .. } => unreachable!("it comes with the step after it"),
            step => self.apply_to_executor(step),
        }
        self.agent.core.on_timer(at(self.ms), &mut self.agent.out);
    }

    fn apply_to_executor(&mut self, step: Step) {
        let (Step::Register { executor }
        | Step::Update { executor, .. }
        | Step::Exit { executor }
        | Step::NotStarted { executor }
        | Step::ExecutorLink { executor }) = step
        else {
            unreachable!("the others are applied elsewhere")
        };
        let Some(container_id) = self.pick(executor) else { return };
        let now = at(self.ms);
        let Agent { core, out, .. } = &mut self.agent;
        let place = core.executors[&container_id].place.clone();
        match step {
            Step::Register { .. } => {
                let (framework_id, executor_id) = (place.framework_id, place.executor_id);
                let _ = core.on_register_executor(&RegisterExecutor { framework_id, executor_id, container_id }, out);
            }
            Step::Update { task, state, .. } => {
                let tasks = &core.executors[&container_id].tasks;
                let Some(task_id) = tasks.get(task % tasks.len().max(1)).cloned() else { return };
                self.sequence += 1;
                let status = TaskStatus::new(task_id, state, StatusSource::Executor);
                let framework_id = place.framework_id;
                let message = UpdateStatus { framework_id, container_id, status, sequence: self.sequence };
                core.on_update_status(message, now, out).expect("the run is alive");
            }
            Step::Exit { .. } => {
                self.alive.remove(&container_id);
                core.on_executor_exited(&container_id, Some(TaskExit::Code(0)), now, out);
            }
            Step::NotStarted { .. } => {
                self.alive.remove(&container_id);
                core.on_executor_not_started(&container_id, "no", now, out);
            }
            _ => core.on_executor_disconnected(&container_id, now),
        }
    }

    fn acknowledge(&mut self, stream: usize) {
        let Some((key, uuid)) = self.told.iter().nth(stream % self.told.len().max(1)) else { return };
        self.acknowledged.insert(uuid.clone());
        let ((framework_id, task_id), uuid) = (key.clone(), uuid.clone());
        let message = AcknowledgeStatus { epoch: EPOCH, framework_id, task_id, uuid };
        let now = at(self.ms);
        let _ = self.agent.core.on_acknowledge_status(message, now, &mut self.agent.out);
    }

    /// Reads what was emitted, in order, as the journal and the others would; then the process may be killed.
    fn observe_step(&mut self) {
        let kill = self.cut.take().filter(|_| !self.finished);
        let emitted = self.agent.take();
        self.observe(emitted.into_iter().take(kill.unwrap_or(usize::MAX)).collect());
        if kill.is_some() {
            self.start_again();
        }
    }

    /// A new process takes the place of the agent. Executors of the framework that does not checkpoint end.
    fn start_again(&mut self) {
        self.kills += 1;
        self.alive.retain(|container_id| self.replay.executors.contains_key(container_id));
        self.written.retain(|key, _| self.replay.tasks.contains_key(key));
        self.told.clear();
        let info = self.agent.core.info.clone();
        let start = Start { info, boot_id: String::new(), policy: Default::default(), disk_is_measured: false };
        self.replay.streams.retain(|key, _| self.replay.tasks.contains_key(key));
        let core =
            AgentCore::recover(self.replay.clone(), start, limits(), 7 + self.kills).expect("nothing has changed");
        assert_eq!(core.checkpoint(), self.replay, "what is recovered is what was written");
        self.agent.core = core;
        self.ms = 0;
        self.agent.core.on_recovered(at(0), &mut self.agent.out);
        self.agent.core.on_start(&mut self.agent.out);
        self.observe_all();
        let gone: Vec<_> = self.replay.executors.keys().filter(|id| !self.alive.contains(*id)).cloned().collect();
        for container_id in gone {
            self.agent.core.on_executor_exited(&container_id, None, at(0), &mut self.agent.out);
            self.observe_all();
        }
    }

    fn observe_all(&mut self) {
        let emitted = self.agent.take();
        self.observe(emitted);
    }

    fn observe(&mut self, emitted: Vec<Emission<Effect, Record>>) {
        for emission in emitted {
            assert!(!self.finished, "nothing comes after the end: {emission:?}");
            match emission {
                Emission::Write(record) => self.observe_record(record),
                Emission::Send(effect) => self.observe_effect(effect),
            }
        }
    }

    fn observe_record(&mut self, record: Record) {
        self.replay.apply(record.clone(), AgentLimits::DEFAULT.status_updates_max);
        match record {
            Record::Updated { framework_id, status, .. } => {
                let uuid = status.uuid.expect("every update has one");
                assert!(self.uuids.insert(uuid.clone()), "a uuid is used once");
                self.written.entry((framework_id, status.task_id)).or_default().push(uuid);
            }
            Record::Acknowledged { framework_id, task_id, uuid } => {
                let key = (framework_id, task_id);
                let waiting = self.written.get_mut(&key).expect("only what was written is acknowledged");
                assert_eq!(waiting.remove(0), uuid, "updates are acknowledged in order");
                assert!(self.acknowledged.contains(&uuid), "the scheduler has it");
                self.written.retain(|_, waiting| !waiting.is_empty());
            }
            Record::Forgotten { framework_id, task_id } => {
                let key = (framework_id, task_id);
                self.written.remove(&key);
                self.told.remove(&key);
            }
            Record::Snapshot(snapshot) => assert_eq!(*snapshot, self.agent.core.checkpoint(), "a snapshot is whole"),
            Record::Admitted { .. } | Record::Launched { .. } | Record::Dropped { .. } | Record::Ended { .. } => {}
        }
    }

    fn observe_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Forward(forward) => {
                let key = (forward.framework_id, forward.status.task_id);
                let uuid = forward.status.uuid.expect("every update has one");
                if let Some(waiting) = self.written.get(&key) {
                    let open = waiting.iter().find(|uuid| !self.acknowledged.contains(uuid));
                    let again = waiting.first();
                    assert!([open, again].contains(&Some(&uuid)), "the oldest written update is told");
                }
                if let Some(earlier) = self.told.insert(key, uuid.clone()).filter(|earlier| *earlier != uuid) {
                    assert!(self.acknowledged.contains(&earlier), "the next update waits for the earlier one");
                }
            }
            Effect::StartExecutor { place, .. } => {
                assert!(self.alive.insert(place.container_id), "a run starts once");
            }
            Effect::RunTask { container_id, .. }
            | Effect::ShutdownExecutor { container_id, .. }
            | Effect::EndTask { container_id, .. } => assert!(self.alive.contains(&container_id)),
            Effect::KillExecutor { container_id } => {
                assert!(self.alive.contains(&container_id) || self.replay.executors.contains_key(&container_id));
            }
            Effect::AdoptExecutor { place } => assert!(self.replay.executors.contains_key(&place.container_id)),
            Effect::RemoveSandbox { place, task_id } => {
                let whole = task_id.is_none();
                assert!(!whole || !self.alive.contains(&place.container_id), "a live run keeps its sandbox");
            }
            Effect::Finish(_) => self.finished = true,
            Effect::Register(_) => {}
        }
    }

    fn check(&self) {
        let core = &self.agent.core;
        let listed: BTreeSet<&ContainerId> = core.executors.keys().collect();
        assert_eq!(listed, self.alive.iter().collect(), "a run is known until its end is reported");
        let mut charged = resources("");
        for (key, task) in &core.tasks {
            let owner = task.container_id.as_ref().and_then(|id| core.executors.get(id));
            let held = owner.is_some_and(|one| one.place.framework_id == key.0 && one.tasks.contains(&key.1));
            assert_eq!(held, task.is_live(), "{key:?}: a live task has its executor, an ended one has none");
            assert_eq!(task.charged, task.is_live() && !task.muted, "{key:?}: what lives and is told is charged");
            assert!(task.is_live() || core.streams.contains(key), "{key:?}: an ended task waits to be heard");
            if task.charged {
                charged = charged.checked_add(&task.info.resources).expect("within the total");
            }
        }
        for executor in core.executors.values() {
            let is_charged = |id: &TaskId| core.tasks[&(executor.place.framework_id.clone(), id.clone())].charged;
            assert_eq!(executor.charged, executor.tasks.iter().any(is_charged), "charged with its tasks");
            assert!(executor.idle_since.is_none() || executor.tasks.is_empty(), "one with tasks is not idle");
            let in_use = executor.is_command && executor.state == ExecutorState::Registered;
            assert!(!in_use || !executor.tasks.is_empty(), "a command's executor ends with it");
            if executor.charged {
                charged = charged.checked_add(&executor.info.resources).expect("within the total");
            }
        }
        let total = core.accounting.free().checked_add(&charged).expect("within the total");
        assert_eq!(total, core.info.resources, "what is free and what is charged is all");
        assert!(core.streams.iter().all(|(_, stream)| stream.latest().is_some()), "no stream is empty");
        if core.is_registered() {
            let mut streams = BTreeMap::<&FrameworkId, (usize, usize)>::new();
            for (key, stream) in core.streams.iter() {
                let (all, under_way) = streams.entry(&key.0).or_default();
                *all += 1;
                *under_way += usize::from(stream.retry_at().is_some());
            }
            let is_full = |(all, under_way): &(usize, usize)| under_way == all.min(&UNDER_WAY_MAX);
            assert!(streams.values().all(is_full), "as many as may be are on their way: {streams:?}");
        }
        assert!(core.streams.kept().map(|(key, _)| key).eq(self.written.keys()), "what is kept is written");
        assert_eq!(essence(core.checkpoint()), essence(self.replay.clone()), "the journal says what is");
        let due = core.next_deadline();
        assert!(due.is_none_or(|due| due > at(self.ms).since_start), "what was due has been done: {due:?}");
    }
}

/// Without what the journal need not say: the states of tasks that are given up, and the numbers of their reports.
fn essence(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.executors.values_mut().for_each(|executor| executor.sequences = Default::default());
    let muted = checkpoint.tasks.values_mut().filter(|task| task.muted);
    muted.for_each(|task| task.state = TaskState::Staging);
    checkpoint
}

proptest! {
    #[test]
    fn nothing_is_lost_told_too_early_or_charged_twice_through_any_kill_and_the_agent_can_always_end(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let mut world = World::new();
        world.observe_all();
        for step in [Step::Answer { kind: 9, task: 0 }].into_iter().chain(steps) {
            // The kill comes with the step after it.
            if let Step::Kill9 { cut } = step {
                world.cut = Some(cut);
                continue;
            }
            world.apply(step);
            world.observe_step();
            world.check();
        }
        world.agent.core.on_stop(at(world.ms), &mut world.agent.out);
        world.observe_all();
        while let Some(container_id) = world.alive.pop_first() {
            world.agent.core.on_executor_exited(&container_id, None, at(world.ms), &mut world.agent.out);
            world.agent.core.on_timer(at(world.ms), &mut world.agent.out);
            world.observe_all();
            world.check();
        }
        prop_assert!(world.finished);
    }
}
