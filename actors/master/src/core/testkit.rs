//! A core with agents and schedulers played by hand, and the invariants that hold after each step.

use super::agents::Presence;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::{AgentCommand, Effect, SchedulerEvent};
use crate::record::{Record, Registry};
use crate::settings::MasterRules;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::framework::{Capability, FrameworkInfo};
use odeon_protocol::id::{AgentId, FrameworkId, MasterId, OfferId, TaskId};
use odeon_protocol::messages::master_agent::{AgentRegistered, AgentTask, ForwardStatus, RegisterAgent};
use odeon_protocol::messages::master_scheduler::{AcceptOffers, Subscribe};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::{Resources, TypedResources};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::{Emission, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(super) fn node(name: &str) -> NodeId {
    NodeId { name: name.to_owned(), incarnation: 1 }
}

pub(super) fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

pub(super) fn task_id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

pub(super) fn command_task(id: &str, needs: &str) -> TaskInfo {
    let argv = vec!["true".to_owned()];
    let command = CommandInfo { argv, environment: BTreeMap::new(), working_directory: None };
    let work = Work::Command(command);
    TaskInfo::new(task_id(id), id, resources(needs), work)
}

pub(super) fn agent_info(host: &str, total: &str) -> AgentInfo {
    let endpoint = format!("{host}:1");
    AgentInfo {
        hostname: host.into(),
        endpoint,
        resources: resources(total),
        attributes: BTreeMap::new(),
        reserved: Default::default(),
    }
}

/// A framework that waits an hour for its scheduler, and whose tasks outlive breaks.
pub(super) fn lasting(name: &str) -> FrameworkInfo {
    FrameworkInfo {
        failover_timeout: Duration::from_secs(3600),
        checkpoint: true,
        capabilities: BTreeSet::from([Capability::PartitionAware]),
        ..FrameworkInfo::new(name)
    }
}

/// A core, the time, and everything it has emitted.
pub(super) struct Play {
    pub(super) core: MasterCore,
    pub(super) now_ms: u64,
    /// What the wall clock is ahead of the time since the start.
    pub(super) wall_offset_ms: i64,
    pub(super) records: Vec<Record>,
    pub(super) rules: MasterRules,
    /// What was emitted since it was last looked at.
    pub(super) effects: Vec<Effect>,
}

impl Play {
    pub(super) fn new() -> Self {
        Self::with(MasterRules::default(), Vec::new())
    }

    pub(super) fn with(rules: MasterRules, records: Vec<Record>) -> Self {
        Self::starting_at(rules, records, 0)
    }

    fn starting_at(rules: MasterRules, records: Vec<Record>, wall_ms: u64) -> Self {
        let mut out = MasterOutbox::new();
        let (name, registry) = (MasterId::new("m").unwrap(), Registry::of(records.clone()));
        let core = MasterCore::recover(
            &name,
            rules.clone(),
            registry,
            Moment { since_start: Duration::ZERO, wall_ms },
            &mut out,
        );
        let wall_offset_ms = i64::try_from(wall_ms).unwrap();
        let mut play = Self { core, now_ms: 0, wall_offset_ms, records, rules, effects: Vec::new() };
        play.take_in(out);
        play
    }

    /// A new master on the same registry, at the same time.
    pub(super) fn restart(self) -> Self {
        self.restart_after(0)
    }

    /// A new master on the same registry, after a time without one.
    pub(super) fn restart_after(self, ms: u64) -> Self {
        let wall_ms = self.now().wall_ms + ms;
        Self::starting_at(self.rules, self.records, wall_ms)
    }

    pub(super) fn now(&self) -> Moment {
        let wall_ms = self.now_ms.saturating_add_signed(self.wall_offset_ms);
        Moment { wall_ms, ..Moment::at_ms(self.now_ms) }
    }

    fn take_in(&mut self, out: MasterOutbox) {
        for emission in out.into_emissions() {
            match emission {
                Emission::Send(effect) => self.effects.push(effect),
                Emission::Write(record) => self.records.push(record),
            }
        }
    }

    /// One call of the core, with the invariants checked behind it.
    pub(super) fn call<T>(&mut self, call: impl FnOnce(&mut MasterCore, Moment, &mut MasterOutbox) -> T) -> T {
        let mut out = MasterOutbox::new();
        let now = self.now();
        let answer = call(&mut self.core, now, &mut out);
        self.take_in(out);
        self.check();
        answer
    }

    /// Lets time pass, with every timer on the way at its time.
    pub(super) fn wait(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while let Some(at) = self.core.next_deadline().filter(|at| at.as_millis() <= u128::from(end)) {
            self.now_ms = self.now_ms.max(u64::try_from(at.as_millis()).unwrap());
            self.call(MasterCore::on_timer);
        }
        self.now_ms = end;
    }

    pub(super) fn register_as(
        &mut self,
        name: &str,
        total: &str,
        agent_id: Option<AgentId>,
        tasks: Vec<AgentTask>,
    ) -> AgentRegistered {
        let message = RegisterAgent { agent_id, info: agent_info(name, total), tasks, actor: None };
        self.call(|core, now, out| core.on_register_agent(&node(name), message, now, out)).unwrap()
    }

    pub(super) fn agent(&mut self, name: &str, total: &str) -> AgentId {
        self.register_as(name, total, None, Vec::new()).agent_id
    }

    pub(super) fn subscribe(
        &mut self,
        name: &str,
        framework_id: Option<FrameworkId>,
        info: FrameworkInfo,
    ) -> FrameworkId {
        let actor = format!("scheduler/{name}");
        let message = Subscribe { framework_id, info, suppressed: BTreeSet::new(), actor };
        self.call(|core, now, out| core.on_subscribe(&node(name), message, now, out)).unwrap().framework_id
    }

    /// The offers made since this was last asked.
    pub(super) fn offers(&mut self) -> Vec<Offer> {
        self.wait(20);
        let mut offers = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::TellScheduler { event: SchedulerEvent::Offers(made), .. } => {
                offers.extend(made.offers.clone());
                false
            }
            _ => true,
        });
        offers
    }

    pub(super) fn accept(&mut self, name: &str, offer: &Offer, tasks: Vec<TaskInfo>) {
        self.accept_ids(name, &offer.framework_id.clone(), vec![offer.offer_id.clone()], tasks);
    }

    pub(super) fn accept_ids(
        &mut self,
        name: &str,
        framework_id: &FrameworkId,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
    ) {
        let filters = Filters { refuse: Duration::from_secs(3600) };
        let message =
            AcceptOffers { framework_id: framework_id.clone(), offer_ids, operations: Vec::new(), tasks, filters };
        self.call(|core, now, out| core.on_accept_offers(&node(name), message, now, out)).unwrap();
    }

    /// A framework with one task on one agent, and nothing left to look at.
    pub(super) fn with_task(info: FrameworkInfo) -> (Self, AgentId, TaskKey) {
        let mut play = Self::new();
        let agent_id = play.agent("a", "cpus:2;mem:1024");
        let framework_id = play.subscribe("f", None, info);
        let offer = play.offers().remove(0);
        play.accept("f", &offer, vec![command_task("t", "cpus:1;mem:64")]);
        play.effects.clear();
        (play, agent_id, (framework_id, task_id("t")))
    }

    pub(super) fn forward(
        &mut self,
        name: &str,
        agent_id: &AgentId,
        key: &TaskKey,
        state: TaskState,
        latest: TaskState,
    ) {
        let mut status = TaskStatus::new(key.1.clone(), state, StatusSource::Executor);
        status.uuid = Some(odeon_protocol::id::StatusUuid::new(format!("{}-{state}", key.1)).unwrap());
        let (agent_id, framework_id) = (agent_id.clone(), key.0.clone());
        let message = ForwardStatus { agent_id, framework_id, status, latest };
        self.call(|core, now, out| core.on_forward_status(&node(name), message, now, out));
    }

    pub(super) fn lose(&mut self, name: &str) {
        self.call(|core, now, out| core.on_node_lost(&node(name), now, out));
    }

    /// The states told since this was last asked, by task.
    pub(super) fn told(&mut self) -> Vec<(String, TaskState)> {
        let mut told = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::TellScheduler { event: SchedulerEvent::Updated(updated), .. } => {
                told.push((updated.status.task_id.to_string(), updated.status.state));
                false
            }
            _ => true,
        });
        told
    }

    /// The commands since this was last asked, pings apart.
    pub(super) fn commands(&mut self) -> Vec<&'static str> {
        let mut commands = Vec::new();
        self.effects.retain(|effect| {
            let Effect::CommandAgent { command, .. } = effect else { return true };
            commands.push(match command {
                AgentCommand::Ping(_) => return false,
                AgentCommand::Launch(_) => "launch",
                AgentCommand::Kill(_) => "kill",
                AgentCommand::Acknowledge(_) => "acknowledge",
                AgentCommand::ShutdownFramework(_) => "shutdown framework",
                AgentCommand::ShutdownAgent(_) => "shutdown agent",
            });
            false
        });
        commands
    }

    pub(super) fn state(&self, key: &TaskKey) -> Option<TaskState> {
        self.core.task(key).map(|task| task.state)
    }

    /// What must hold between any two calls.
    pub(super) fn check(&self) {
        let core = &self.core;
        let added_up = Registry::of(self.records.clone());
        for (agent_id, agent) in &core.agents {
            let kept = &added_up.agents[agent_id];
            assert_eq!(
                (kept.deactivated, &kept.drain, &kept.reserved),
                (agent.deactivated, &agent.drain, &agent.reserved),
                "the word of operators is kept, and what is reserved"
            );
            let is_present = matches!(agent.presence, Presence::Connected | Presence::Disconnected);
            assert_eq!(agent.allocated, is_present, "{agent_id} is allocated while it is present");
            let allocated = agent.ledger.allocated().expect("nothing is counted twice");
            if is_present {
                let free = core.allocator.free(agent_id).expect("the allocator has it").quantities().unwrap();
                let sum = allocated.checked_add(&free).expect("used, offered and free are disjoint");
                assert_eq!(sum, agent.info.resources, "used + offered + free of {agent_id}");
                let shares = agent.ledger.used.values().chain(agent.ledger.offered.values());
                let free = core.allocator.free(agent_id).unwrap();
                let sum = shares.fold(free, |sum, share| sum.checked_add(share).unwrap());
                assert_eq!(sum, agent.total(), "the same by class");
                self.check_holdings(agent_id);
            } else {
                assert!(allocated.is_empty() && core.allocator.free(agent_id).is_none(), "{agent_id} is away");
            }
            self.check_tasks(agent_id);
        }
        self.check_offers();
        self.check_histories();
    }

    fn check_holdings(&self, agent_id: &AgentId) {
        let ledger = &self.core.agents[agent_id].ledger;
        let mut booked: BTreeMap<(FrameworkId, Role), TypedResources> = ledger.used.clone();
        for (key, share) in &ledger.offered {
            let sum = booked.remove(key).unwrap_or_default().checked_add(share).unwrap();
            booked.insert(key.clone(), sum);
        }
        let held = self.core.allocator.holdings(agent_id);
        let held: BTreeMap<_, _> = held.map(|(f, role, held)| ((f.clone(), role.clone()), held)).collect();
        let is_theirs =
            |(_, role): &(FrameworkId, Role), held: &TypedResources| held.parts().all(|(c, _)| c.is_for(role));
        assert!(held.iter().all(|(key, held)| is_theirs(key, held)), "what is reserved is for its role only");
        assert_eq!(held, booked, "the allocator and the ledger of {agent_id} agree");
    }

    fn check_tasks(&self, agent_id: &AgentId) {
        let agent = &self.core.agents[agent_id];
        let mut used = Resources::empty();
        for key in &agent.tasks {
            let task = self.core.task(key).expect("an agent names only tasks that are there");
            assert!(!task.state.is_terminal() && task.agent_id == *agent_id);
            assert_eq!(task.charged, agent.allocated);
            assert_eq!(task.takes().quantities().as_ref(), Ok(&task.info.resources));
            used = if task.charged { used.checked_add(&task.info.resources).unwrap() } else { used };
        }
        let counted: usize = agent.executors.values().map(|executor| executor.task_count).sum();
        assert_eq!(counted, if agent.allocated { agent.tasks.len() } else { 0 }, "each task has an executor");
        let is_idle = |executor: &super::agents::Executor| executor.task_count == 0;
        assert!(!agent.executors.values().any(is_idle), "an executor is charged while it has a task");
        let executors = agent.executors.values().map(|executor| &executor.info.resources);
        let used = executors.fold(used, |sum, more| sum.checked_add(more).unwrap());
        assert_eq!(super::ledger::sum(&agent.ledger.used).unwrap(), used, "{agent_id} uses what its tasks take");
    }

    fn check_offers(&self) {
        let core = &self.core;
        let mut offered: BTreeMap<&AgentId, BTreeSet<OfferId>> = BTreeMap::new();
        let mut held: BTreeMap<&FrameworkId, BTreeSet<OfferId>> = BTreeMap::new();
        for (offer_id, offer) in &core.offers {
            let framework = core.frameworks.get(&offer.framework_id).expect("an offer ends with its framework");
            assert!(framework.scheduler.is_some(), "offers are made to who is there");
            assert_eq!(core.agents[&offer.agent_id].presence, Presence::Connected);
            assert!(core.agents[&offer.agent_id].may_be_offered(), "offers are made of agents that may be offered");
            offered.entry(&offer.agent_id).or_default().insert(offer_id.clone());
            held.entry(&offer.framework_id).or_default().insert(offer_id.clone());
        }
        assert_eq!(core.timers.expiry_count(), core.offers.len(), "each offer has a timer, and no other has");
        for (agent_id, agent) in &core.agents {
            assert_eq!(agent.offers, offered.remove(agent_id).unwrap_or_default());
        }
        for (framework_id, framework) in &core.frameworks {
            assert_eq!(framework.offers, held.remove(framework_id).unwrap_or_default());
        }
    }

    fn check_histories(&self) {
        let core = &self.core;
        assert!(core.ended.len() <= self.rules.ended_frameworks_max);
        assert!(core.unreachable.len() <= self.rules.unreachable_agents_max);
        for framework in core.frameworks.values() {
            assert!(framework.history.len() <= self.rules.ended_tasks_max);
            assert!(framework.history.iter().all(|ended| ended.task.state.is_terminal() && !ended.task.charged));
            let has_agent = |task: &super::tasks::Task| core.agents.contains_key(&task.agent_id);
            assert!(framework.tasks.values().all(has_agent));
        }
    }
}
