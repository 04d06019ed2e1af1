//! `World`: the queue of events, the processes, and the services that hosts call: network, disk, time.
//!
//! One event at a time, in the order of time and, within one instant, of chance. What goes wrong is in
//! `faults`, what must hold in `checks`.

use crate::checks::Checks;
use crate::commit::LeftTooEarly;
use crate::coverage::{Coverage, Step};
use crate::hosts::{Fate, Host, Me};
use crate::message::{Asked, ReplyTo};
use crate::network::{Frame, Network};
use crate::plan::{Plan, Site};
use crate::process::{Input, Pid, Process};
use crate::random::{Concern, Stream, mix};
use crate::workload::{TaskScript, Workload};
use odeon_agent::core::Checkpoint;
use odeon_agent::effect::ContainerPlace;
use odeon_master::Record;
use odeon_protocol::id::ContainerId;
use odeon_runtime::NodeId;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// A framework that stands still is brought its job later.
const JOB_AGAIN_US: u64 = 500_000;

/// With so many of a hundred jobs an operator comes as well.
const OPERATOR_PERCENT: u64 = 40;

/// Something that happens in the world.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something happens to a process.
    Input { pid: Pid, input: Input },
    /// A frame reaches an end of a link.
    Arrives { link: u64, end: usize, frame: Frame },
    /// An end has heard nothing for too long, if the cause still holds.
    Silent { link: u64, end: usize },
    /// An end of a link learns that it is broken.
    Breaks { link: u64, end: usize },
    /// A dial has come to its end.
    Dialled { pid: Pid, site: Site, target: Option<Pid> },
    /// An ask has waited for too long.
    Overdue { ask: u64 },
    /// A process is started.
    Starts { site: Site },
    /// An executor process is started.
    ExecutorStarts { parent: Pid, place: ContainerPlace, checkpoint: bool },
    /// A process is killed.
    Killed { pid: Pid },
    /// A fault of the plan begins.
    Fault { index: usize },
    /// A cut ends.
    CutEnds { from: Site, to: Site },
    /// A pause ends.
    Resumes { pid: Pid },
    /// The network is as fast as before.
    DelayEnds,
    /// A disk is as fast as before.
    DiskRecovers { site: Site },
    /// A job comes to a framework.
    Job { framework: u32, job: u32 },
}

#[derive(Debug)]
struct Queued {
    key: (u64, u64, u64),
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for Queued {}
impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

/// The streams of chance of a run.
#[derive(Debug)]
pub(crate) struct Chance {
    order: Stream,
    pub(crate) network: Stream,
    pub(crate) disk: Stream,
    pub(crate) process: Stream,
    pub(crate) identity: Stream,
    operators: Stream,
}

/// A question that waits for its answer.
#[derive(Debug)]
pub(crate) struct OpenAsk {
    pub(crate) pid: Pid,
    /// The link that it was sent over; nothing while it waits for a dial.
    pub(crate) link: Option<u64>,
    pub(crate) site: Option<Site>,
    pub(crate) asked: Asked,
}

/// A running cluster.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now_us: u64,
    queue: BinaryHeap<Reverse<Queued>>,
    queued: u64,
    pub(crate) event_count: u64,
    pub(crate) chance: Chance,
    pub(crate) processes: BTreeMap<Pid, Process>,
    next_pid: u32,
    /// The process that does something now, and its machine.
    pub(crate) acting: Option<(Pid, Site)>,
    /// The process that serves at each machine.
    pub(crate) serving: BTreeMap<Site, Pid>,
    /// Machines whose process is to be started.
    pub(crate) starting: BTreeSet<Site>,
    pub(crate) executors: BTreeMap<ContainerId, Pid>,
    /// Executors that were killed before they were started.
    pub(crate) stillborn: BTreeSet<ContainerId>,
    pub(crate) net: Network,
    pub(crate) asks: BTreeMap<u64, OpenAsk>,
    next_ask: u64,
    pub(crate) registry: Vec<Record>,
    /// What the journals of agents say, up to the last durable record.
    pub(crate) journals: BTreeMap<Site, Checkpoint>,
    /// How often the hosts of agents were started anew.
    pub(crate) boots: BTreeMap<Site, u32>,
    /// Schedulers' memory while their process is down.
    pub(crate) workloads: BTreeMap<u32, Workload>,
    pub(crate) slow_disks: BTreeMap<Site, u64>,
    /// The next write fails; the process is down for so long.
    pub(crate) bad_writes: BTreeMap<Site, u64>,
    /// Effects until the process dies, and for how long it is down.
    pub(crate) fuses: BTreeMap<Site, (u32, u64)>,
    pub(crate) wall_offsets_ms: BTreeMap<Site, i64>,
    pub(crate) checks: Checks,
    pub(crate) coverage: Coverage,
    pub(crate) last_step: Step,
    pub(crate) healed: bool,
    pub(crate) trace: u64,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let stream = |concern| Stream::new(plan.seed, concern);
        let chance = Chance {
            order: stream(Concern::Order),
            network: stream(Concern::Network),
            disk: stream(Concern::Disk),
            process: stream(Concern::Process),
            identity: stream(Concern::Identity),
            operators: stream(Concern::Operators),
        };
        let workload = |(number, framework): (usize, &crate::plan::FrameworkPlan)| {
            let number = number as u32;
            (number, Workload::new(plan.seed, number, framework.jobs))
        };
        let workloads = plan.frameworks.iter().enumerate().map(workload).collect();
        Self {
            now_us: 0,
            queue: BinaryHeap::new(),
            queued: 0,
            event_count: 0,
            chance,
            processes: BTreeMap::new(),
            next_pid: 0,
            acting: None,
            serving: BTreeMap::new(),
            starting: BTreeSet::new(),
            executors: BTreeMap::new(),
            stillborn: BTreeSet::new(),
            net: Network::default(),
            asks: BTreeMap::new(),
            next_ask: 0,
            registry: Vec::new(),
            journals: BTreeMap::new(),
            boots: BTreeMap::new(),
            workloads,
            slow_disks: BTreeMap::new(),
            bad_writes: BTreeMap::new(),
            fuses: BTreeMap::new(),
            wall_offsets_ms: BTreeMap::new(),
            checks: Checks::default(),
            coverage: Coverage::default(),
            last_step: Step::Subscribe,
            healed: false,
            trace: plan.seed,
            plan,
        }
    }

    /// Puts an event into the queue.
    pub(crate) fn after(&mut self, wait_us: u64, event: Event) {
        self.at(self.now_us.saturating_add(wait_us), event);
    }

    pub(crate) fn at(&mut self, at_us: u64, event: Event) {
        let tie = self.chance.order.next();
        self.queued += 1;
        self.queue.push(Reverse(Queued { key: (at_us, tie, self.queued), event }));
    }

    /// When the next event is.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(next)| next.key.0)
    }

    /// Lets the next event happen.
    pub(crate) fn step(&mut self) {
        let Some(Reverse(Queued { key, event })) = self.queue.pop() else { return };
        self.now_us = key.0;
        self.event_count += 1;
        self.checks.now_us = self.now_us;
        match event {
            Event::Input { pid, input } => self.give(pid, input),
            Event::Arrives { link, end, frame } => self.on_arrives(link, end, frame),
            Event::Silent { link, end } => self.on_silent(link, end),
            Event::Breaks { link, end } => self.close_end(link, end),
            Event::Dialled { pid, site, target } => self.on_dialled(pid, site, target),
            Event::Overdue { ask } => self.fail_ask(ask, crate::message::NoAnswer::Timeout),
            Event::Starts { site } => self.start(site),
            Event::ExecutorStarts { parent, place, checkpoint } => self.spawn_executor(parent, place, checkpoint),
            Event::Killed { pid } => self.kill(pid, false),
            Event::Fault { index } => self.begin_fault(index),
            Event::CutEnds { from, to } => self.end_cut(from, to),
            Event::Resumes { pid } => self.resume(pid),
            Event::DelayEnds => self.net.delay_max_us = 0,
            Event::DiskRecovers { site } => {
                self.slow_disks.remove(&site);
            }
            Event::Job { framework, job } => self.bring_job(framework, job),
        }
    }

    /// Hands an input to a process, or to its inbox while it stands still.
    pub(crate) fn give(&mut self, pid: Pid, input: Input) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if process.paused {
            process.inbox.push_back(input);
            return;
        }
        if matches!(input, Input::Timer { generation } if generation != process.timer_generation) {
            return;
        }
        if matches!(input, Input::Timer { .. }) {
            process.timer = None;
        }
        self.trace = mix(self.trace ^ self.now_us.rotate_left(20) ^ (u64::from(pid.0) << 8) ^ input.code());
        self.run(pid, |host, me, world| host.handle(input, me, world));
    }

    /// Lets the host of a process do something, and draws the consequences.
    pub(crate) fn run(&mut self, pid: Pid, act: impl FnOnce(&mut Host, &Me, &mut Self) -> Fate) {
        let Some(mut process) = self.processes.remove(&pid) else { return };
        let now = process.clock.now(self.now_us);
        let me = Me { pid, site: process.site, now };
        let before = self.acting.replace((pid, process.site));
        let fate = act(&mut process.host, &me, self);
        self.acting = before;
        self.checks.after_event(&process.host, &me);
        match fate {
            Fate::Lives => {
                self.set_timer(pid, &mut process);
                self.processes.insert(pid, process);
            }
            Fate::Ends => self.bury(pid, process, false, None),
            Fate::Killed { restart_after_ms } => self.bury(pid, process, false, Some(restart_after_ms)),
        }
    }

    fn set_timer(&mut self, pid: Pid, process: &mut Process) {
        let deadline = process.host.next_deadline();
        if process.timer == deadline {
            return;
        }
        process.timer = deadline;
        process.timer_generation += 1;
        if let Some(deadline) = deadline {
            let at_us = process.clock.when(deadline).max(self.now_us + 1);
            let input = Input::Timer { generation: process.timer_generation };
            self.at(at_us, Event::Input { pid, input });
        }
    }

    pub(crate) fn input_after(&mut self, wait_us: u64, pid: Pid, input: Input) {
        self.after(wait_us, Event::Input { pid, input });
    }

    /// For what goes through the mailbox of an actor.
    pub(crate) fn input_soon(&mut self, pid: Pid, input: Input) {
        let wait_us = self.chance.order.below(40);
        self.input_after(wait_us, pid, input);
    }

    pub(crate) fn next_pid(&mut self) -> Pid {
        self.next_pid += 1;
        Pid(self.next_pid)
    }

    pub(crate) fn next_ask(&mut self) -> u64 {
        self.next_ask += 1;
        self.next_ask
    }

    /// Notes that a task has come to a step of its life.
    pub(crate) fn reach(&mut self, step: Step) {
        self.last_step = step;
    }

    /// The process that serves at a machine, if it does.
    pub(crate) fn process_at(&self, site: Site) -> Option<&Process> {
        self.serving.get(&site).and_then(|pid| self.processes.get(pid))
    }

    /// Whether a process has an open link to a node.
    pub(crate) fn is_linked(&self, pid: Pid, node: &NodeId) -> bool {
        self.net.link_to(pid, node).is_some()
    }

    /// Counts an effect; the process may have to die before it.
    pub(crate) fn fuse_burns(&mut self, me: &Me) -> Option<Fate> {
        if self.serving.get(&me.site) != Some(&me.pid) {
            return None;
        }
        let (left, restart_after_ms) = self.fuses.get_mut(&me.site)?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        let killed = Fate::Killed { restart_after_ms: *restart_after_ms };
        self.fuses.remove(&me.site);
        Some(killed)
    }

    /// Begins a write of the journal of a process.
    pub(crate) fn write_to_disk(&mut self, me: &Me) -> Fate {
        if self.serving.get(&me.site) != Some(&me.pid) {
            // The registry belongs to a newer process, and does not take what an older one writes.
            return Fate::Ends;
        }
        if let Some(restart_after_ms) = self.bad_writes.remove(&me.site) {
            return Fate::Killed { restart_after_ms };
        }
        let slowest_us = self.slow_disks.get(&me.site).map_or(3_000, |ms| ms * 1000);
        let wait_us = self.chance.disk.between(100, slowest_us.max(200));
        self.input_after(wait_us, me.pid, Input::WriteEnded);
        Fate::Lives
    }

    /// Records of the registry are durable.
    pub(crate) fn keep_records(&mut self, records: &[Record]) {
        for record in records {
            self.checks.on_registry_record(record);
            self.registry.push(record.clone());
        }
    }

    pub(crate) fn check_early(&mut self, site: Site, too_early: Option<&LeftTooEarly>) {
        if let Some(LeftTooEarly { needed, durable }) = too_early {
            let text = format!("{site}: something left that needs {needed} records, of which {durable} are durable");
            self.checks.fail("I6", text);
        }
    }

    /// When a task runs, and when it is over, from now.
    pub(crate) fn task_times(&mut self, script: &TaskScript) -> (u64, u64) {
        let runs_us = self.chance.process.between(500, 20_000);
        (runs_us, runs_us + script.runs_ms * 1000 + self.chance.process.between(1, 2_000))
    }

    pub(crate) fn end_delay_us(&mut self) -> u64 {
        self.chance.process.between(200, 50_000)
    }

    /// Answers a question, over the link on which it came.
    pub(crate) fn reply(&mut self, pid: Pid, to: Option<ReplyTo>, reply: crate::message::Reply) {
        if let Some(ReplyTo { link, ask, .. }) = to {
            self.send(link, pid, Frame::Reply { ask, reply });
        }
    }

    fn let_operator_ask(&mut self) {
        let wish = self.chance.operators.next();
        if let Some(pid) = self.serving.get(&Site::Master).copied() {
            self.give(pid, Input::OperatorAsks { wish });
        }
    }

    fn bring_job(&mut self, framework: u32, job: u32) {
        if self.chance.operators.percent(OPERATOR_PERCENT) {
            self.let_operator_ask();
        }
        let site = Site::Framework(framework);
        if self.process_at(site).is_some_and(|process| process.paused) {
            // Whoever brings it waits as well.
            return self.after(JOB_AGAIN_US, Event::Job { framework, job });
        }
        if let Some(pid) = self.serving.get(&site).copied() {
            self.give(pid, Input::JobArrives { job });
        } else if let Some(workload) = self.workloads.get_mut(&framework) {
            workload.arrive_quietly(job);
        }
    }
}
