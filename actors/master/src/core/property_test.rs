//! Random sequences of events: the invariants of `testkit` hold after each call, and each task has one end.

use super::agents::Presence;
use super::testkit::{Play, command_task, lasting, node};
use super::*;
use crate::effect::CommandOutcome;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::ExecutorId;
use odeon_protocol::messages::master_agent::AgentTask;
use odeon_protocol::messages::master_scheduler::{
    AcceptOffers, DeclineOffers, KillFrameworkTask, OfferOperation, ReconcileTasks, TeardownFramework,
};
use odeon_protocol::messages::operations::{DeactivateAgent, DrainAgent, MarkAgentGone, ReactivateAgent};
use odeon_protocol::messages::reservations::{ReserveResources, UnreserveResources};
use odeon_protocol::offer::Filters;
use odeon_protocol::resources::{Scalar, TypedResources};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskInfo, TaskState, Work};
use proptest::prelude::*;

/// Of which class operators reserve, and for whom; nobody if they unreserve.
const RESERVING: [(&str, Option<&str>); 6] = [
    ("cpus", Some("a")),
    ("cpus", Some("a/b")),
    ("cpus(dynamic:a)", Some("a/b")),
    ("cpus(dynamic:a)", None),
    ("cpus(dynamic:a/b)", None),
    ("cpus(dynamic:a,dynamic:a/b)", None),
];

const STATES: [TaskState; 5] =
    [TaskState::Starting, TaskState::Running, TaskState::Finished, TaskState::Failed, TaskState::Killed];

/// Numbers choose among what there is at the time.
#[derive(Debug, Clone)]
enum Event {
    Register { agent: usize, keeps_id: bool, forgets: usize },
    LoseNode { name: usize, is_agent: bool },
    Subscribe { framework: usize, keeps_id: bool },
    Accept { offer: usize, tasks: usize, repeats: bool, operation: usize },
    Decline { offer: usize, refuse_s: u64 },
    Update { task: usize, state: usize, latest: usize, times: usize },
    Kill { task: usize },
    Reconcile { framework: usize },
    Outcome { agent: usize, task: usize, kind: usize },
    Teardown { framework: usize },
    Operate { agent: usize, change: usize },
    Reserve { agent: usize, halves: u64, kind: usize },
    Wait { ms: u64 },
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..4usize, any::<bool>(), 0..4usize)
            .prop_map(|(agent, keeps_id, forgets)| Event::Register { agent, keeps_id, forgets }),
        2 => (0..4usize, any::<bool>()).prop_map(|(name, is_agent)| Event::LoseNode { name, is_agent }),
        3 => (0..3usize, any::<bool>()).prop_map(|(framework, keeps_id)| Event::Subscribe { framework, keeps_id }),
        8 => (any::<usize>(), 0..4usize, any::<bool>(), 0..6usize)
            .prop_map(|(offer, tasks, repeats, operation)| Event::Accept { offer, tasks, repeats, operation }),
        3 => (any::<usize>(), 0..20u64).prop_map(|(offer, refuse_s)| Event::Decline { offer, refuse_s }),
        8 => (any::<usize>(), 0..5usize, 0..5usize, 1..3usize)
            .prop_map(|(task, state, latest, times)| Event::Update { task, state, latest, times }),
        2 => any::<usize>().prop_map(|task| Event::Kill { task }),
        1 => (0..3usize).prop_map(|framework| Event::Reconcile { framework }),
        2 => (0..4usize, any::<usize>(), 0..6usize)
            .prop_map(|(agent, task, kind)| Event::Outcome { agent, task, kind }),
        1 => (0..3usize).prop_map(|framework| Event::Teardown { framework }),
        2 => (0..4usize, 0..6usize).prop_map(|(agent, change)| Event::Operate { agent, change }),
        3 => (0..4usize, 1..5u64, 0..RESERVING.len())
            .prop_map(|(agent, halves, kind)| Event::Reserve { agent, halves, kind }),
        8 => prop_oneof![4 => 1..2_000u64, 1 => 10_000..120_000u64].prop_map(|ms| Event::Wait { ms }),
    ]
}

/// What the world outside knows.
struct World {
    play: Play,
    /// By number; each has what it last was admitted as.
    agents: [Option<AgentId>; 4],
    frameworks: [Option<FrameworkId>; 3],
    /// Under which role frameworks have launched tasks.
    roles: BTreeMap<FrameworkId, Role>,
    /// Every task that was launched, on which agent.
    launched: Vec<(TaskKey, AgentId, TaskInfo)>,
    next_task: usize,
    /// The end of each task, as its framework was told.
    ends: BTreeMap<TaskKey, TaskState>,
    /// Every offer that was made, and how often it was used.
    offers: Vec<Offer>,
    used: BTreeMap<OfferId, usize>,
}

fn info_of(framework: usize) -> FrameworkInfo {
    match framework {
        0 => FrameworkInfo { roles: BTreeSet::from([role("a")]), ..lasting("f0") },
        1 => FrameworkInfo {
            capabilities: BTreeSet::new(),
            failover_timeout: Duration::from_secs(20),
            roles: BTreeSet::from([role("a/b")]),
            ..lasting("f1")
        },
        _ => FrameworkInfo::new("f2"),
    }
}

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn agent_name(agent: usize) -> String {
    format!("a{agent}")
}

fn scheduler_name(framework: usize) -> String {
    format!("f{framework}")
}

impl World {
    fn new() -> Self {
        let mut rules = MasterRules {
            ended_tasks_max: 4,
            ended_frameworks_max: 2,
            unreachable_agents_max: 2,
            offer_timeout: Some(Duration::from_secs(10)),
            ..MasterRules::default()
        };
        rules.allocator.allocation_interval = Duration::from_secs(20);
        Self {
            play: Play::with(rules, Vec::new()),
            agents: Default::default(),
            frameworks: Default::default(),
            roles: BTreeMap::new(),
            launched: Vec::new(),
            next_task: 0,
            ends: BTreeMap::new(),
            offers: Vec::new(),
            used: BTreeMap::new(),
        }
    }

    fn step(&mut self, event: &Event) {
        match *event {
            Event::Register { agent, keeps_id, forgets } => self.register(agent, keeps_id, forgets),
            Event::LoseNode { name, is_agent: true } => self.play.lose(&agent_name(name)),
            Event::LoseNode { name, is_agent: false } => self.play.lose(&scheduler_name(name)),
            Event::Subscribe { framework, keeps_id } => self.subscribe(framework, keeps_id),
            Event::Accept { offer, tasks, repeats, operation } => self.accept(offer, tasks, repeats, operation),
            Event::Decline { offer, refuse_s } => self.decline(offer, refuse_s),
            Event::Update { task, state, latest, times } => self.update(task, STATES[state], STATES[latest], times),
            Event::Kill { task } => self.kill(task),
            Event::Reconcile { framework } => self.reconcile(framework),
            Event::Outcome { agent, task, kind } => self.outcome(agent, task, kind),
            Event::Teardown { framework } => self.teardown(framework),
            Event::Operate { agent, change } => self.operate(agent, change),
            Event::Reserve { agent, halves, kind } => self.reserve(agent, halves, kind),
            Event::Wait { ms } => self.play.wait(ms),
        }
        self.hear();
    }

    /// An agent brings the tasks that the master gave it, some forgotten, with any state.
    fn register(&mut self, agent: usize, keeps_id: bool, forgets: usize) {
        let agent_id = self.agents[agent].clone().filter(|_| keeps_id);
        let mine = self.launched.iter().filter(|(_, on, _)| Some(on) == agent_id.as_ref());
        let kept = mine.enumerate().filter(|(n, _)| forgets == 0 || n % (forgets + 1) != 0);
        let tasks = kept.map(|(n, (key, _, task))| AgentTask {
            framework_id: key.0.clone(),
            role: self.roles[&key.0].clone(),
            task: task.clone(),
            state: self.ends.get(key).copied().filter(|state| *state != TaskState::Lost).unwrap_or(STATES[n % 2]),
        });
        let message = odeon_protocol::messages::master_agent::RegisterAgent {
            agent_id: agent_id.clone(),
            info: super::testkit::agent_info(&agent_name(agent), "cpus:4;mem:512;ports:[1-8]"),
            tasks: tasks.collect(),
            actor: None,
        };
        let sender = node(&agent_name(agent));
        let answer = self.play.call(|core, now, out| core.on_register_agent(&sender, message, now, out));
        self.agents[agent] = answer.ok().map(|registered| registered.agent_id);
    }

    fn subscribe(&mut self, framework: usize, keeps_id: bool) {
        let framework_id = self.frameworks[framework].clone().filter(|_| keeps_id);
        let message = odeon_protocol::messages::master_scheduler::Subscribe {
            framework_id,
            info: info_of(framework),
            suppressed: BTreeSet::new(),
            actor: "scheduler/s".into(),
        };
        let sender = node(&scheduler_name(framework));
        let answer = self.play.call(|core, now, out| core.on_subscribe(&sender, message, now, out));
        self.frameworks[framework] = answer.ok().map(|subscribed| subscribed.framework_id);
    }

    /// Any offer that was ever made, by the framework that it was made to.
    fn accept(&mut self, offer: usize, tasks: usize, repeats: bool, operation: usize) {
        let Some((offer, sender)) = self.choose_offer(offer) else { return };
        let tasks: Vec<TaskInfo> = (0..tasks).map(|n| self.new_task(n)).collect();
        let mut offer_ids = vec![offer.offer_id.clone()];
        offer_ids.extend(repeats.then(|| offer.offer_id.clone()).filter(|_| tasks.len() == 3));
        let filters = Filters { refuse: Duration::from_secs(3) };
        let framework_id = offer.framework_id.clone();
        let operations = operations_on(&offer, operation);
        let message = AcceptOffers { framework_id, offer_ids, operations, tasks, filters };
        let _ = self.play.call(|core, now, out| core.on_accept_offers(&node(&sender), message, now, out));
    }

    fn new_task(&mut self, n: usize) -> TaskInfo {
        self.next_task += 1;
        let mut task = command_task(&format!("t{}", self.next_task), "cpus:0.75;mem:100");
        if n == 1 {
            let executor_id = ExecutorId::new("shared").unwrap();
            let resources = super::testkit::resources("cpus:0.5;mem:40;ports:[3-4]");
            let executor = ExecutorInfo { executor_id, name: String::new(), resources, program: None, binary: None };
            task.work = Work::Registered { executor, task_type: "x".into(), data: Vec::new() };
        }
        task
    }

    fn decline(&mut self, offer: usize, refuse_s: u64) {
        let Some((offer, sender)) = self.choose_offer(offer) else { return };
        let filters = Filters { refuse: Duration::from_secs(refuse_s) };
        let (framework_id, offer_ids) = (offer.framework_id, vec![offer.offer_id]);
        let message = DeclineOffers { framework_id, offer_ids, filters };
        let _ = self.play.call(|core, now, _| core.on_decline_offers(&node(&sender), &message, now));
    }

    /// One of the last few offers, void ones included.
    fn choose_offer(&self, number: usize) -> Option<(Offer, String)> {
        let recent = &self.offers[self.offers.len().saturating_sub(6)..];
        let offer = recent.get(number % recent.len().max(1))?.clone();
        let framework = self.frameworks.iter().position(|id| id.as_ref() == Some(&offer.framework_id))?;
        Some((offer, scheduler_name(framework)))
    }

    fn update(&mut self, task: usize, state: TaskState, latest: TaskState, times: usize) {
        let Some((key, agent_id, _)) = self.choose_task(task) else { return };
        let Some(agent) = self.agents.iter().position(|id| id.as_ref() == Some(&agent_id)) else { return };
        for _ in 0..times {
            self.play.forward(&agent_name(agent), &agent_id, &key, state, latest);
        }
    }

    fn choose_task(&self, number: usize) -> Option<(TaskKey, AgentId, TaskInfo)> {
        self.launched.get(number % self.launched.len().max(1)).cloned()
    }

    fn kill(&mut self, task: usize) {
        let Some((key, _, _)) = self.choose_task(task) else { return };
        let Some(sender) = self.frameworks.iter().position(|id| id.as_ref() == Some(&key.0)) else { return };
        let message = KillFrameworkTask { framework_id: key.0, task_id: key.1 };
        let sender = node(&scheduler_name(sender));
        let _ = self.play.call(|core, now, out| core.on_kill_framework_task(&sender, message, now, out));
    }

    fn reconcile(&mut self, framework: usize) {
        let Some(framework_id) = self.frameworks[framework].clone() else { return };
        let message = ReconcileTasks { framework_id, tasks: Vec::new() };
        let sender = node(&scheduler_name(framework));
        let _ = self.play.call(|core, now, out| core.on_reconcile_tasks(&sender, &message, now, out));
    }

    fn outcome(&mut self, agent: usize, task: usize, kind: usize) {
        let Some(agent_id) = self.agents[agent].clone() else { return };
        let Some((key, _, _)) = self.choose_task(task) else { return };
        let receipt =
            [CommandReceipt::Ping, CommandReceipt::Launch(key.clone()), CommandReceipt::Kill(key)][kind % 3].clone();
        let outcomes = [CommandOutcome::Obeyed, CommandOutcome::Undelivered("no link".into())];
        let (outcome, sender) = (&outcomes[kind / 3], node(&agent_name(agent)));
        self.play.call(|core, now, out| core.on_command_outcome(&agent_id, &sender, &receipt, outcome, now, out));
    }

    fn teardown(&mut self, framework: usize) {
        let Some(framework_id) = self.frameworks[framework].clone() else { return };
        let message = TeardownFramework { framework_id };
        let sender = node(&scheduler_name(framework));
        let _ = self.play.call(|core, now, out| core.on_teardown_framework(&sender, &message, now, out));
    }

    /// An operator changes an agent; most are only kept from offers, or it would soon be lonely.
    fn operate(&mut self, agent: usize, change: usize) {
        let Some(agent_id) = self.agents[agent].clone() else { return };
        let drain =
            |mark_gone| DrainAgent { agent_id: agent_id.clone(), reason: "r".into(), grace_max: None, mark_gone };
        let (off, on) =
            (DeactivateAgent { agent_id: agent_id.clone() }, ReactivateAgent { agent_id: agent_id.clone() });
        let gone = MarkAgentGone { agent_id: agent_id.clone() };
        let _ = self.play.call(|core, now, out| match change {
            0 => core.on_deactivate_agent(&off, now, out),
            1 | 2 => core.on_reactivate_agent(&on, out),
            3 => core.on_drain_agent(drain(false), now, out),
            4 => core.on_drain_agent(drain(true), now, out),
            _ => core.on_mark_agent_gone(&gone, now, out),
        });
    }

    fn reserve(&mut self, agent: usize, halves: u64, kind: usize) {
        let Some(agent_id) = self.agents[agent].clone() else { return };
        let (class, for_role) = RESERVING[kind];
        let resources = format!("{class}:{}", Scalar::from_thousandths(halves * 500)).parse().unwrap();
        let _ = self.play.call(|core, now, out| match for_role.map(role) {
            Some(role) => {
                let message = ReserveResources { agent_id, resources, role, labels: BTreeMap::new() };
                core.on_reserve_resources(&message, now, out)
            }
            None => core.on_unreserve_resources(&UnreserveResources { agent_id, resources }, now, out),
        });
    }

    /// Takes in what was emitted, and checks it.
    fn hear(&mut self) {
        for effect in std::mem::take(&mut self.play.effects) {
            match effect {
                Effect::TellScheduler { event: SchedulerEvent::Offers(made), .. } => self.offers.extend(made.offers),
                Effect::TellScheduler { event: SchedulerEvent::Rescinded(rescinded), .. } => {
                    *self.used.entry(rescinded.offer_id).or_default() += 1;
                }
                Effect::TellScheduler { event: SchedulerEvent::Updated(updated), .. } => {
                    self.hear_end((updated.framework_id, updated.status.task_id.clone()), &updated.status);
                }
                Effect::CommandAgent { agent_id, command: AgentCommand::Launch(launch), .. } => {
                    self.roles.insert(launch.framework_id.clone(), launch.role);
                    let key = (launch.framework_id, launch.task.task_id.clone());
                    self.launched.push((key, agent_id, launch.task));
                }
                _ => {}
            }
        }
        assert!(self.used.values().all(|count| *count <= 1), "an offer is taken back once");
    }

    /// Of a task that the master has forgotten, the answer to a question is no end.
    fn hear_end(&mut self, key: TaskKey, status: &odeon_protocol::task::TaskStatus) {
        let is_answer = status.reason == Some(StatusReason::Reconciliation);
        let is_known = self.play.core.frameworks.get(&key.0).is_some_and(|f| f.history.get(&key.1).is_some());
        if status.state.is_terminal() && (is_known || !is_answer) && !self.is_forgotten(&key) {
            let first = *self.ends.entry(key.clone()).or_insert(status.state);
            assert_eq!(first, status.state, "{} has one end", key.1);
        }
    }

    /// Beyond the bounded history the master passes on what an agent says.
    fn is_forgotten(&self, key: &TaskKey) -> bool {
        let framework = self.play.core.frameworks.get(&key.0);
        framework.is_some_and(|f| f.history.get(&key.1).is_none() && !f.tasks.contains_key(&key.1))
            && self.ends.contains_key(key)
    }

    /// Without faults everything comes to an end: no books stay open.
    fn settle(&mut self) {
        for framework in 0..3 {
            self.subscribe(framework, true);
            self.teardown(framework);
        }
        for agent in &self.play.core.agents.values().collect::<Vec<_>>() {
            assert!(
                agent.ledger.allocated().unwrap().is_empty() && agent.tasks.is_empty() && agent.executors.is_empty()
            );
        }
        assert!(self.play.core.offers.is_empty());
    }
}

/// Reserves a part of an offer, or more than there is, or unreserves all that can be, or nothing of it.
fn operations_on(offer: &Offer, kind: usize) -> Vec<OfferOperation> {
    let reserve = |text: &str| OfferOperation::Reserve { resources: text.parse().unwrap(), labels: BTreeMap::new() };
    let dynamic = offer.reserved.parts().filter(|(class, _)| class.is_dynamic());
    match kind {
        0 => vec![reserve("cpus:0.5")],
        1 => vec![reserve("mem:10"), reserve("cpus:9")],
        2 => dynamic
            .map(|(class, amounts)| OfferOperation::Unreserve {
                resources: TypedResources::empty().with(class.clone(), amounts.clone()),
            })
            .collect(),
        _ => Vec::new(),
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_books_agree_and_each_task_has_one_end(
        events in proptest::collection::vec(any_event(), 1..120),
    ) {
        let mut world = World::new();
        events.iter().for_each(|event| world.step(event));
        let connected = world.play.core.agents.values().filter(|agent| agent.presence == Presence::Connected).count();
        prop_assert!(connected <= 4);
        world.play.wait(3_600_000 + 1_000);
        world.hear();
        world.settle();
    }
}
