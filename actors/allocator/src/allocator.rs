//! The allocator: what it is told, what it answers, and one run.
//!
//! Events of agents, of frameworks, and resources that come back are in the files below this one.

pub(crate) mod agents;
pub(crate) mod frameworks;
pub(crate) mod listing;
pub(crate) mod recover;

use crate::bundle::{Bundle, Names};
use crate::candidates::Candidates;
use crate::refusals::Refusals;
use crate::roster::{Client, Roster};
use crate::share::Weight;
use crate::slots::{Slot, Slots};
use agents::Agent;
use frameworks::Framework;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{CPUS, MEM, Resources, Scalar};
use odeon_protocol::role::Role;
use std::collections::BTreeMap;
use std::time::Duration;

/// How the allocator behaves from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatorConfig {
    /// The shortest time for which a refusal holds; the caller's backstop timer has the same period.
    pub allocation_interval: Duration,
    /// Scalars; resources are offered only if they hold all of at least one entry. Empty: anything is offered.
    pub minimum: Vec<Resources>,
    /// Weights by role, at any level of the tree; one for a role that is not named.
    pub weights: BTreeMap<Role, Weight>,
    /// Decides in which order a run looks at the agents.
    pub seed: u64,
}

impl Default for AllocatorConfig {
    fn default() -> Self {
        let cpus = Resources::empty().with_scalar(CPUS, Scalar::from_thousandths(10));
        let mem = Resources::empty().with_scalar(MEM, Scalar::from_whole(32));
        Self {
            allocation_interval: Duration::from_secs(1),
            minimum: vec![cpus, mem],
            weights: BTreeMap::new(),
            seed: 0,
        }
    }
}

/// All that an agent has free, for one framework under one role; it becomes one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// Whose resources.
    pub agent: AgentId,
    /// What; charged to the framework until it is recovered.
    pub resources: Resources,
}

/// Divides what agents have between frameworks. All methods return at once; none reads a clock.
#[derive(Debug)]
pub struct Allocator {
    allocation_interval: Duration,
    minimum: Vec<Bundle>,
    names: Names,
    agents: Slots<Agent>,
    agent_slots: BTreeMap<AgentId, Slot<Agent>>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    roster: Roster,
    refusals: Refusals<Agent, Client>,
    candidates: Candidates<Agent>,
    run_count: u64,
}

impl Allocator {
    /// An allocator without agents and frameworks.
    #[must_use]
    pub fn new(config: AllocatorConfig) -> Self {
        let mut names = Names::default();
        Self {
            allocation_interval: config.allocation_interval,
            minimum: config.minimum.iter().map(|quantity| names.bundle(quantity)).collect(),
            names,
            agents: Slots::new(),
            agent_slots: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            roster: Roster::new(config.weights),
            refusals: Refusals::new(),
            candidates: Candidates::new(config.seed),
            run_count: 0,
        }
    }

    /// Runs once over the marked agents; each grant is charged already and becomes an offer.
    ///
    /// A refusal that is due ends before the run if it has blocked one, and after it otherwise.
    #[must_use = "what is granted is charged until it is recovered"]
    pub fn allocate(&mut self, now: Duration) -> Vec<Grant> {
        self.end_refusals(now);
        self.run_count += 1;
        let agents = self.candidates.drain(&self.agents);
        let grants = agents.into_iter().filter_map(|agent| self.grant(agent)).collect();
        self.end_refusals(now);
        grants
    }

    /// Whether a run has anything to look at; if so, call [`Self::allocate`] soon.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// When the first refusal ends, and with it a reason for a run.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.refusals.next_deadline()
    }

    /// Has the next run look at every agent, as the backstop timer does.
    pub fn mark_all(&mut self) {
        self.candidates.mark_all();
    }

    /// Sets the weight of a role from now on; by itself it is no reason for a run.
    pub fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.roster.set_weight(role, weight);
    }

    fn end_refusals(&mut self, now: Duration) {
        for agent in self.refusals.end_due(now, self.run_count) {
            self.candidates.mark(agent);
        }
    }

    fn grant(&mut self, slot: Slot<Agent>) -> Option<Grant> {
        let agent = &mut self.agents[slot];
        if !agent.is_active || !agent.free().is_worth_offering(&self.minimum) {
            return None;
        }
        let verdict = self.refusals.verdict(slot, agent.free());
        let client = self.roster.first(|client| !verdict.is_refused_by(client))?;
        let (taken, is_first) = agent.take_free(client);
        self.roster.charge(client, &taken, is_first);
        let (framework, role) = self.roster.name(client);
        let resources = self.names.resources(&taken);
        Some(Grant { framework: framework.clone(), role: role.clone(), agent: agent.id.clone(), resources })
    }
}
