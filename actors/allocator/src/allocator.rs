//! The allocator: what it is told and what it answers.
//!
//! Events of agents, of frameworks, and resources that come back are in the files below this one.

pub(crate) mod agents;
pub(crate) mod convert;
pub(crate) mod frameworks;
pub(crate) mod gangs;
pub(crate) mod listing;
pub(crate) mod maintenance;
pub(crate) mod pause;
pub(crate) mod preemption;
pub(crate) mod recover;
pub(crate) mod run;
pub(crate) mod why;

use crate::bits::Bits;
use crate::candidates::Candidates;
use crate::kinds::Kinds;
use crate::profile::Domain;
use crate::quota::{Quota, QuotaError, QuotaLevels};
use crate::random::Random;
use crate::refusals::Refusals;
use crate::roster::{Client, Roster, RosterRules};
use crate::round::Rules;
use crate::share::Weight;
use crate::slots::{Slot, Slots};
use crate::sorter::SorterKind;
use crate::totals::{Amounts, Totals};
use agents::Agent;
use frameworks::Framework;
use gangs::Gangs;
use maintenance::InverseGrant;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{CPUS, MEM, Resources, Scalar, TypedResources};
use odeon_protocol::role::Role;
use pause::Pause;
use preemption::Claim;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The name of graphics processors.
const GPUS: &str = "gpus";

/// How the allocator behaves from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocatorConfig {
    /// The shortest time for which a refusal holds; the caller's backstop timer has the same period.
    pub allocation_interval: Duration,
    /// Scalars; resources are offered only if they hold all of at least one entry. Empty: anything is offered.
    pub minimum: Vec<Resources>,
    /// Weights by role, at any level of the tree; one for a role that is not named.
    pub weights: BTreeMap<Role, Weight>,
    /// Names that play no part in shares.
    pub excluded: BTreeSet<String>,
    /// How roles are ordered.
    pub role_sorter: SorterKind,
    /// How the frameworks of a role are ordered.
    pub framework_sorter: SorterKind,
    /// At which levels of the tree of roles quota binds.
    pub quota_levels: QuotaLevels,
    /// Whether resources that come back and filters that end are a reason for a run, beyond what Mesos does.
    pub offers_on_events: bool,
    /// Whether agents with GPUs go only to frameworks that know them.
    pub filter_gpus: bool,
    /// Where the master stands.
    pub domain: Option<Domain>,
    /// Decides in which order a run looks at the agents, and whatever else is left to chance.
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
            excluded: BTreeSet::new(),
            role_sorter: SorterKind::Drf,
            framework_sorter: SorterKind::Drf,
            quota_levels: QuotaLevels::Top,
            offers_on_events: true,
            filter_gpus: true,
            domain: None,
            seed: 0,
        }
    }
}

/// What of an agent goes to one framework under one role; it becomes one offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// To whom.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// Whose resources.
    pub agent: AgentId,
    /// What; charged to the framework until it is recovered.
    pub resources: TypedResources,
}

/// Divides what agents have between frameworks. All methods return at once; none reads a clock.
#[derive(Debug)]
pub struct Allocator {
    config: AllocatorConfig,
    rules: Rules,
    kinds: Kinds,
    agents: Slots<Agent>,
    agent_slots: BTreeMap<AgentId, Slot<Agent>>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    roster: Roster,
    refusals: Refusals<Agent, Client>,
    /// Room to work in during a run.
    refusers: Bits<Client>,
    candidates: Candidates<Agent>,
    random: Random,
    inverse: Vec<InverseGrant>,
    gangs: Gangs,
    priorities: BTreeMap<Role, u32>,
    claims: Vec<Claim>,
    pause: Option<Pause>,
    run_count: u64,
    /// Of the last run.
    divided_count: usize,
}

impl Allocator {
    /// An allocator without agents and frameworks.
    #[must_use]
    pub fn new(config: AllocatorConfig) -> Self {
        let mut kinds = Kinds::default();
        let mut random = Random::new(config.seed);
        let rules = Rules {
            minimum: config.minimum.iter().map(|quantity| kinds.quantity(quantity)).collect(),
            filtered_gpus: config.filter_gpus.then(|| kinds.number(GPUS)),
            domain: config.domain.clone(),
        };
        let roster = Roster::new(RosterRules {
            totals: Totals::new(config.excluded.iter().map(|name| kinds.number(name)).collect()),
            quota_levels: config.quota_levels,
            weights: config.weights.clone(),
            role_sorter: config.role_sorter,
            framework_sorter: config.framework_sorter,
            seed: random.next(),
        });
        Self {
            rules,
            kinds,
            agents: Slots::new(),
            agent_slots: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            roster,
            refusals: Refusals::new(),
            refusers: Bits::default(),
            candidates: Candidates::new(config.seed),
            random,
            inverse: Vec::new(),
            gangs: Gangs::default(),
            priorities: BTreeMap::new(),
            claims: Vec::new(),
            pause: None,
            run_count: 0,
            divided_count: 0,
            config,
        }
    }

    /// Whether a run has anything to look at; if so, call [`Self::allocate`] soon.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// How many agents had something to be divided when the last run looked at them; the others cost it next to nothing.
    #[must_use]
    pub fn divided_count(&self) -> usize {
        self.divided_count
    }

    /// When the first refusal or the wait of a gang ends, and with it a reason for a run.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.refusals.next_deadline().into_iter().chain(self.gangs.next_deadline()).min()
    }

    /// Has the next run look at every agent, as the backstop timer does.
    pub fn mark_all(&mut self) {
        self.candidates.mark_all();
    }

    /// Sets the weight of a role from now on; by itself it is no reason for a run.
    pub fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.roster.set_weight(role, weight);
    }

    /// Sets the quota of a role from now on, or ends it with a default one; by itself it is no reason for a run.
    ///
    /// # Errors
    /// [`QuotaError`].
    pub fn set_quota(&mut self, role: &Role, quota: &Quota) -> Result<(), QuotaError> {
        quota.check(role, self.roster.books.levels())?;
        let mut amounts = |scalars: &BTreeMap<String, Scalar>| -> Amounts {
            scalars.iter().map(|(name, amount)| (self.kinds.number(name), amount.thousandths())).collect()
        };
        let (guarantees, limits) = (amounts(&quota.guarantees), amounts(&quota.limits));
        self.roster.books.set_quota(role.as_str(), guarantees, limits, !quota.is_default());
        Ok(())
    }

    /// Marks an agent for something that is no reason for a run in Mesos.
    fn mark_event(&mut self, agent: Slot<Agent>) {
        if self.config.offers_on_events {
            self.candidates.mark(agent);
        }
    }
}
