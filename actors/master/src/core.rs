//! The core of the master: what it knows, and what it decides.
//!
//! Plain state and `on_…` methods, one file below for each noun. Here are no IO, clock, randomness or
//! actors: time is an argument, and whatever shall happen goes into the outbox.

mod agents;
mod allocation;
mod audit;
mod changes;
mod command_outcome;
mod explain;
mod frameworks;
mod history;
mod kill;
mod launch;
mod ledger;
mod listing;
mod members;
mod offers;
mod pace;
mod preemption;
mod quota;
mod quota_tree;
mod reconcile;
mod removal;
mod reservations;
mod subscribe;
mod take_back;
mod tasks;
mod timers;
mod updates;
mod weights;

use crate::effect::{AgentCommand, Effect, SchedulerEvent};
use crate::record::{Record, Registry};
use crate::settings::MasterRules;
pub use audit::AgentBooks;
pub use command_outcome::CommandReceipt;

use agents::Agent;
use changes::GoneAgents;
use frameworks::{EndedFramework, Framework};
use members::MemberLog;
use odeon_allocator::Allocator;
use odeon_protocol::id::{AgentId, FrameworkId, MasterId, OfferId, TaskId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Offer;
use odeon_runtime::{ActorName, NodeId, Outbox};
use pace::Pace;
use quota_tree::QuotaTree;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use timers::{Timer, Timers};

/// What the core emits.
pub type MasterOutbox = Outbox<Effect, Record>;

/// A task, named throughout the cluster.
pub type TaskKey = (FrameworkId, TaskId);

/// The state of a master.
///
/// An agent is in the allocator if and only if it is connected or disconnected; then the allocator's
/// books and the agent's ledger agree. A task is in its framework's `tasks` until it ends, and in the
/// `tasks` of its agent for the same time.
#[derive(Debug)]
pub struct MasterCore {
    rules: MasterRules,
    master_id: MasterId,
    epoch: Epoch,
    agents: BTreeMap<AgentId, Agent>,
    /// By node and then by actor; nobody is at `None`, which is before all actors of a node.
    agents_by_address: BTreeMap<(NodeId, Option<ActorName>), AgentId>,
    agents_by_endpoint: BTreeMap<String, AgentId>,
    /// The longest away first.
    unreachable: VecDeque<AgentId>,
    /// Agents of the registry that have not come back to this master.
    recovered: BTreeSet<AgentId>,
    /// How many there were of them at the start.
    recovered_count: usize,
    gone: GoneAgents,
    /// When agents were given up lately, as far back as the rate of removals looks.
    removals: VecDeque<Duration>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    /// The oldest first.
    ended: VecDeque<EndedFramework>,
    offers: BTreeMap<OfferId, Offer>,
    quotas: QuotaTree,
    members: MemberLog,
    allocator: Allocator,
    /// How often the allocator runs, however many events there are.
    allocation_pace: Pace,
    timers: Timers,
    next_agent: u64,
    next_framework: u64,
    next_offer: u64,
}

impl MasterCore {
    /// Begins a term: the one after the registry's, written before anything else is emitted.
    ///
    /// The id of this run is `name` and the term, so that ids differ between runs with one registry.
    ///
    /// # Panics
    /// If `name` is so long that no id fits behind it: above 200 bytes.
    #[must_use]
    pub fn recover(
        name: &MasterId,
        rules: MasterRules,
        registry: Registry,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Self {
        let epoch = Epoch(registry.epoch.0 + 1);
        out.write(Record::EpochStarted { epoch });
        let mut core = Self {
            allocator: quota::allocator_of(&rules),
            master_id: MasterId::new(format!("{name}-{epoch}")).expect("the name of the master leaves room for a term"),
            epoch,
            agents: BTreeMap::new(),
            agents_by_address: BTreeMap::new(),
            agents_by_endpoint: BTreeMap::new(),
            unreachable: VecDeque::new(),
            recovered: BTreeSet::new(),
            recovered_count: 0,
            gone: GoneAgents::default(),
            removals: VecDeque::new(),
            frameworks: BTreeMap::new(),
            ended: VecDeque::new(),
            offers: BTreeMap::new(),
            quotas: QuotaTree::default(),
            members: MemberLog::default(),
            allocation_pace: Pace::new(rules.allocation_burst),
            rules,
            timers: Timers::default(),
            next_agent: 0,
            next_framework: 0,
            next_offer: 0,
        };
        core.take_over(registry, now, out);
        core.timers.set(Timer::Allocation, now.after(core.rules.allocator.allocation_interval));
        core
    }

    fn take_over(&mut self, registry: Registry, now: Moment, out: &mut MasterOutbox) {
        for removed in registry.removed_frameworks {
            self.ended.push_back(EndedFramework::forgotten(removed.framework_id));
        }
        self.forget_ended(out);
        for (framework_id, framework) in registry.frameworks {
            self.recover_framework(framework_id, framework, now, out);
        }
        for (agent_id, agent) in registry.agents {
            self.recover_agent(agent_id, agent, now);
        }
        self.recovered_count = self.recovered.len();
        for gone in registry.gone_agents {
            self.remember_gone(gone.agent_id, out);
        }
        for (role, weight) in registry.weights {
            // What is no weight for this program was one for another; the role weighs 1 then.
            self.weigh(&role, weight);
        }
        for (role, priority) in registry.priorities {
            self.allocator.set_priority(&role, priority);
        }
        self.recover_quotas(registry.quotas, now);
    }

    /// The id of this run of the master.
    #[must_use]
    pub fn master_id(&self) -> &MasterId {
        &self.master_id
    }

    /// The term.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When [`Self::on_timer`] has to be called next, as a time since the start of the node.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let allocation = self.allocator.is_pending().then_some(self.allocation_pace.from());
        let due = self.allocator.next_deadline().map(|at| at.max(self.allocation_pace.from()));
        [allocation, due, self.timers.next(), self.members.next_deadline()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_timer(&mut self, now: Moment, out: &mut MasterOutbox) {
        while let Some(timer) = self.timers.take_due(now.since_start) {
            match timer {
                Timer::Allocation => self.on_allocation_interval(now),
                Timer::Ping(agent_id) => self.on_ping_due(&agent_id, now, out),
                Timer::AgentReturn(agent_id) => self.on_agent_overdue(&agent_id, now, out),
                Timer::Drained(agent_id) => self.on_drained(&agent_id, now, out),
                Timer::Preemption => self.take_back_for_others(now, out),
                Timer::OfferExpiry(offer_id) => self.rescind(&offer_id, now, out),
                Timer::Failover(framework_id) => self.end_framework(&framework_id, now, out),
            }
        }
        self.allocate_if_due(now, out);
        self.end_long_waits(now, out);
    }

    /// The last link to a node is gone, and with it the agents and the schedulers on it.
    pub fn on_node_lost(&mut self, node: &NodeId, now: Moment, out: &mut MasterOutbox) {
        for agent_id in self.agents_on(node) {
            self.disconnect_agent(&agent_id, now, out);
        }
        self.disconnect_frameworks_on(node, now, out);
    }

    /// The nodes on whose links something depends.
    #[must_use]
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        let schedulers = self.frameworks.values().filter_map(|framework| framework.scheduler.as_ref());
        schedulers
            .map(|scheduler| &scheduler.node)
            .chain(self.agents_by_address.keys().map(|(node, _)| node))
            .cloned()
            .collect()
    }

    fn agents_on(&self, node: &NodeId) -> Vec<AgentId> {
        let from = self.agents_by_address.range((node.clone(), None)..);
        from.take_while(|((other, _), _)| other == node).map(|(_, agent_id)| agent_id.clone()).collect()
    }

    /// Tells the scheduler of a framework, if there is one.
    fn tell(&self, framework_id: &FrameworkId, event: SchedulerEvent, out: &mut MasterOutbox) {
        let scheduler = self.frameworks.get(framework_id).and_then(|framework| framework.scheduler.clone());
        if let Some(to) = scheduler {
            out.send(Effect::TellScheduler { to, event });
        }
    }

    /// Commands an agent, if it is connected.
    fn command(&self, agent_id: &AgentId, command: AgentCommand, out: &mut MasterOutbox) {
        let agent = self.agents.get(agent_id).filter(|agent| agent.is_connected());
        if let Some(to) = agent.and_then(|agent| agent.address.clone()) {
            out.send(Effect::CommandAgent { agent_id: agent_id.clone(), to, command });
        }
    }
}

#[cfg(test)]
#[path = "core/changes_test.rs"]
mod changes_test;
#[cfg(test)]
#[path = "core/core_test.rs"]
mod core_test;
#[cfg(test)]
#[path = "core/faults_test.rs"]
mod faults_test;
#[cfg(test)]
#[path = "core/members_test.rs"]
mod members_test;
#[cfg(test)]
#[path = "core/preemption_test.rs"]
mod preemption_test;
#[cfg(test)]
#[path = "core/property_test.rs"]
mod property_test;
#[cfg(test)]
#[path = "core/quota_test.rs"]
mod quota_test;
#[cfg(test)]
#[path = "core/reservations_test.rs"]
mod reservations_test;
#[cfg(test)]
#[path = "core/testkit.rs"]
mod testkit;
