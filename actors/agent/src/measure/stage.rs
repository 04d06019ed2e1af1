//! `Stage`: the agents of one arbiter, the links that they share, and the times at which their tasks end.
//!
//! What is said about tasks is decided in `emulated`.

use super::emulated::{Acknowledged, Due, EmulatedAgent, REPEAT_AFTER, Serial};
use super::{Emulation, HOST, Tally};
use actix::{Actor, Context, Handler};
use futures_util::{StreamExt, stream};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatuses, CommandRefused, ForwardStatus, ForwardStatuses, KillTask, LaunchTasks, MasterForAgents,
    PingAgent, RegisterAgent, RegisterAgentError, ShutdownAgent, ShutdownFramework,
};
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{Exports, LinkEvent, Node, Peer};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Registrations of one link that are under way.
const REGISTERING_MAX: usize = 32;
/// How long a registration may take: all agents of a large cluster may be registering at the same time.
const REGISTERED_WITHIN: Duration = Duration::from_secs(120);
/// Before a registration is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Messages with updates that wait for room on one link; what finds no room is told again.
const REPORTS_MAX: usize = 1 << 16;
/// Between two looks at whether a task is over: at least, and at most.
const LOOK_AFTER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// Messages that may wait for one agent, besides one for each waiting asker.
const MAILBOX_CAPACITY: usize = 256;

/// All that agents of one arbiter share.
pub(super) struct Stage {
    emulation: Emulation,
    tally: Arc<Tally>,
    links: Vec<Link>,
    agents: RefCell<Vec<EmulatedAgent>>,
    /// When tasks are over.
    over: RefCell<BinaryHeap<Reverse<(Duration, u32, Serial)>>>,
    /// When updates are told again; all after the same time, so the oldest is first.
    repeats: RefCell<VecDeque<(Duration, u32, Serial)>>,
    random: Cell<u64>,
    began: Instant,
}

/// The way of many agents to the master.
struct Link {
    node: Node,
    master: Peer<MasterForAgents>,
    reports: mpsc::Sender<ForwardStatuses>,
}

impl Link {
    fn new(node: Node, emulation: &Emulation) -> Self {
        let master: Peer<MasterForAgents> = node.peer_at(&emulation.master, "master");
        let (reports, waiting) = mpsc::channel(REPORTS_MAX);
        let told: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(tell_all(master.clone(), waiting));
        actix_rt::spawn(told);
        Self { node, master, reports }
    }
}

/// What is lost with a link is told again.
async fn tell_all(master: Peer<MasterForAgents>, mut waiting: mpsc::Receiver<ForwardStatuses>) {
    while let Some(report) = waiting.recv().await {
        let _ = master.tell(report).await;
    }
}

impl Stage {
    pub(super) fn new(emulation: Emulation, nodes: Vec<Node>, tally: Arc<Tally>) -> Self {
        let links = nodes.into_iter().map(|node| Link::new(node, &emulation)).collect();
        let agents = (0..emulation.agents).map(|_| EmulatedAgent::default()).collect();
        Self {
            random: Cell::new(emulation.seed | 1),
            emulation,
            tally,
            links,
            agents: RefCell::new(agents),
            over: RefCell::default(),
            repeats: RefCell::default(),
            began: Instant::now(),
        }
    }

    /// Exports and registers all agents, and ends their tasks when their time is over. It does not end.
    pub(super) async fn play(self: Rc<Self>) {
        for link in 0..self.links.len() {
            self.agents_of(link).for_each(|agent| self.export(link, agent));
            actix_rt::spawn(Rc::clone(&self).keep_registered(link));
        }
        loop {
            let now = self.now();
            self.end_tasks(now);
            self.repeat_updates(now);
            let next = self.over.borrow().peek().map_or(Duration::MAX, |Reverse((at, ..))| *at);
            let wait = next.saturating_sub(self.now()).clamp(LOOK_AFTER.0, LOOK_AFTER.1);
            tokio::time::sleep(wait).await;
        }
    }

    fn export(self: &Rc<Self>, link: usize, agent: u32) {
        let ear = Ear { agent, stage: Rc::clone(self) };
        let ear = Ear::create(|context| {
            context.set_mailbox_capacity(MAILBOX_CAPACITY);
            ear
        });
        let exports = Exports::new()
            .only_from(&[PeerRole::Master])
            .accept::<LaunchTasks, _>(&ear)
            .accept::<KillTask, _>(&ear)
            .accept::<AcknowledgeStatuses, _>(&ear)
            .accept::<PingAgent, _>(&ear)
            .accept::<ShutdownFramework, _>(&ear)
            .accept::<ShutdownAgent, _>(&ear);
        let name = odeon_runtime::ActorName::new(actor_of(agent)).expect("a word and a number are a name");
        self.links[link].node.export(name, exports);
    }

    fn agents_of(&self, link: usize) -> std::ops::Range<u32> {
        let (each, link) = (self.emulation.agents_per_link.max(1), u32::try_from(link).unwrap_or(u32::MAX));
        let first = link.saturating_mul(each);
        first..first.saturating_add(each).min(self.emulation.agents)
    }

    fn link_of(&self, agent: u32) -> &Link {
        &self.links[usize::try_from(agent / self.emulation.agents_per_link.max(1)).unwrap_or(usize::MAX)]
    }

    /// Registers the agents of a link, and again whenever it has been lost.
    async fn keep_registered(self: Rc<Self>, link: usize) {
        let mut events = self.links[link].node.subscribe_links();
        loop {
            let registering = self.agents_of(link).map(|agent| self.register(agent));
            stream::iter(registering).for_each_concurrent(REGISTERING_MAX, |registering| registering).await;
            loop {
                match events.recv().await {
                    Some(LinkEvent::Down { .. } | LinkEvent::Missed { .. }) => break,
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }

    /// Registers one agent, as often as it takes.
    async fn register(&self, agent: u32) {
        loop {
            let (agent_id, tasks) = self.with(agent, |known| (known.agent_id.clone(), known.report()));
            let message = RegisterAgent { agent_id, info: self.info(agent), tasks, actor: Some(actor_of(agent)) };
            match self.link_of(agent).master.send_within(message, REGISTERED_WITHIN).await {
                Ok(Ok(registered)) => {
                    self.tally.count_registered(true);
                    self.tally.freed(agent);
                    let (now, kill) = (self.now(), &registered.kill);
                    let (agent_id, epoch) = (registered.agent_id.clone(), registered.epoch);
                    let told = self.with(agent, |known| known.on_registered(agent_id, epoch, kill, now));
                    told.into_iter().for_each(|(serial, update)| self.tell(agent, serial, update));
                    return;
                }
                Ok(Err(RegisterAgentError::Removed(_))) => self.with(agent, EmulatedAgent::on_removed),
                Ok(Err(_)) | Err(_) => {}
            }
            self.tally.count_registered(false);
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    fn info(&self, agent: u32) -> AgentInfo {
        let (hostname, resources) = (format!("{HOST}{agent}"), self.emulation.resources.clone());
        AgentInfo {
            endpoint: format!("{hostname}:1"),
            hostname,
            resources,
            attributes: BTreeMap::new(),
            reserved: Default::default(),
        }
    }

    fn with<T>(&self, agent: u32, act: impl FnOnce(&mut EmulatedAgent) -> T) -> T {
        act(&mut self.agents.borrow_mut()[usize::try_from(agent).unwrap_or(usize::MAX)])
    }

    fn launch(&self, agent: u32, message: LaunchTasks) -> Vec<ForwardStatus> {
        let mut told = Vec::new();
        for launch in message.launches {
            let now = self.now();
            let (serial, update) = self.with(agent, |known| known.on_launch(launch, now));
            self.tally.count_launched();
            told.extend(update.inspect(|_| self.look_again(agent, serial, now)));
            let time = self.task_time();
            if time.is_zero() {
                let over = self.with(agent, |known| known.on_over(serial, now));
                told.extend(self.settle(agent, over));
            } else {
                self.over.borrow_mut().push(Reverse((now + time, agent, serial)));
            }
        }
        told
    }

    fn acknowledge(&self, agent: u32, message: &AcknowledgeStatuses) -> Vec<ForwardStatus> {
        let mut told = Vec::new();
        for update in &message.updates {
            let now = self.now();
            match self.with(agent, |known| known.on_acknowledge(update, now)) {
                Acknowledged::Nothing => {}
                Acknowledged::Ended => self.tally.count_ended(),
                Acknowledged::Next(serial, next) => {
                    self.look_again(agent, serial, now);
                    // What the task took is free for the master with this.
                    self.tally.freed(agent);
                    told.push(*next);
                }
            }
        }
        told
    }

    fn end_tasks(&self, now: Duration) {
        loop {
            let Some(Reverse((at, agent, serial))) = self.over.borrow().peek().copied() else { return };
            if at > now {
                return;
            }
            self.over.borrow_mut().pop();
            let over = self.with(agent, |known| known.on_over(serial, now));
            self.forward(agent, self.settle(agent, over).into_iter().collect());
        }
    }

    fn repeat_updates(&self, now: Duration) {
        while let Some((_, agent, serial)) = self.take_repeat(now) {
            if let Due::Again(update) = self.with(agent, |known| known.on_repeat(serial, now)) {
                self.tally.count_repeated();
                self.tell(agent, serial, update);
            }
        }
    }

    fn take_repeat(&self, now: Duration) -> Option<(Duration, u32, Serial)> {
        let mut repeats = self.repeats.borrow_mut();
        if repeats.front().is_some_and(|(at, ..)| *at <= now) { repeats.pop_front() } else { None }
    }

    /// Counts what has ended; returns what is to be told.
    fn settle(&self, agent: u32, due: Due) -> Option<ForwardStatus> {
        let Due::Over(serial, told) = due else { return None };
        self.tally.count_over();
        told.inspect(|_| {
            // What the task took is free for the master with this.
            self.tally.freed(agent);
            self.look_again(agent, serial, self.now());
        })
    }

    fn tell(&self, agent: u32, serial: Serial, update: ForwardStatus) {
        self.look_again(agent, serial, self.now());
        self.forward(agent, vec![update]);
    }

    fn look_again(&self, agent: u32, serial: Serial, now: Duration) {
        self.repeats.borrow_mut().push_back((now + REPEAT_AFTER, agent, serial));
    }

    /// A message of one agent: others that share its link have messages of their own.
    fn forward(&self, agent: u32, updates: Vec<ForwardStatus>) {
        if !updates.is_empty() {
            // What finds no room is told again.
            let _ = self.link_of(agent).reports.try_send(ForwardStatuses { updates });
        }
    }

    /// Half of the time of a task, or as much more than that as chance says.
    fn task_time(&self) -> Duration {
        // A multiplicative generator: its high bits are good enough to spread the ends of tasks.
        let next = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(next);
        let share = (next >> 40) as f64 / (1_u64 << 24) as f64;
        self.emulation.task_time.mul_f64(0.5 + share)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

fn actor_of(agent: u32) -> String {
    format!("agent/{agent}")
}

/// Hears the commands of one agent.
struct Ear {
    agent: u32,
    stage: Rc<Stage>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

macro_rules! hears {
    ($($message:ident => |$stage:ident, $agent:ident, $body:ident| $answer:expr;)+) => {
        $(impl Handler<$message> for Ear {
            type Result = Result<(), CommandRefused>;
            fn handle(&mut self, $body: $message, _: &mut Self::Context) -> Self::Result {
                let (stage, $agent) = (&self.stage, self.agent);
                let $stage = stage;
                $answer
            }
        })+
    };
}

hears! {
    LaunchTasks => |stage, agent, body| {
        if let Some(launch) = body.launches.first() {
            stage.with(agent, |known| known.obeys(launch.epoch))?;
        }
        let told = stage.launch(agent, body);
        stage.forward(agent, told);
        Ok(())
    };
    AcknowledgeStatuses => |stage, agent, body| {
        let told = stage.acknowledge(agent, &body);
        stage.forward(agent, told);
        Ok(())
    };
    KillTask => |stage, agent, body| {
        stage.with(agent, |known| known.obeys(body.epoch))?;
        let now = stage.now();
        let due = stage.with(agent, |known| known.on_kill(&body, now));
        stage.forward(agent, stage.settle(agent, due).into_iter().collect());
        Ok(())
    };
    PingAgent => |stage, agent, body| {
        stage.with(agent, |known| known.obeys(body.epoch))?;
        if !body.connected {
            let stage = Rc::clone(stage);
            actix_rt::spawn(async move { stage.register(agent).await });
        }
        Ok(())
    };
    ShutdownFramework => |stage, agent, body| {
        let ran = stage.with(agent, |known| known.on_shutdown_framework(&body.framework_id));
        (0..ran).for_each(|_| stage.tally.count_over());
        Ok(())
    };
    ShutdownAgent => |stage, agent, _body| {
        stage.with(agent, EmulatedAgent::on_removed);
        Ok(())
    };
}
