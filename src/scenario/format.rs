//! What can be written in a scenario file. The same words as in docs/scenarios.md, which explains them.

use std::collections::{BTreeMap, BTreeSet};

use odeon_allocator::{QuotaLevels, SorterKind};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, TypedResources};
use odeon_protocol::role::Role;
use serde::Deserialize;

use super::expectation::Expectation;
use super::parsed::{Attribute, Parsed, PatternText, Refuse, Scalars, Weight};
use crate::config::HumanDuration;

/// A scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The version of the format.
    pub(super) version: u32,
    /// What it is about.
    pub(super) name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for readers of the file")]
    description: String,
    #[serde(default)]
    pub(super) settings: Settings,
    #[serde(default, rename = "step")]
    pub(super) steps: Vec<Step>,
}

/// How the allocator works.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) allocation_interval: HumanDuration,
    pub(super) triggers: Triggers,
    pub(super) role_sorter: SorterWord,
    pub(super) framework_sorter: SorterWord,
    pub(super) minimum: Option<Vec<Parsed<Resources>>>,
    pub(super) excluded: BTreeSet<String>,
    pub(super) filter_gpus: bool,
    pub(super) quota_levels: LevelsWord,
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) weights: BTreeMap<Role, Weight>,
    pub(super) seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            allocation_interval: HumanDuration::from_secs(1),
            triggers: Triggers::default(),
            role_sorter: SorterWord::default(),
            framework_sorter: SorterWord::default(),
            minimum: None,
            excluded: BTreeSet::new(),
            filter_gpus: true,
            quota_levels: LevelsWord::default(),
            region: None,
            zone: None,
            weights: BTreeMap::new(),
            seed: 0,
        }
    }
}

/// What is a reason for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Triggers {
    #[default]
    Mesos,
    Events,
}

/// An order.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SorterWord {
    #[default]
    Drf,
    Random,
}

impl From<SorterWord> for SorterKind {
    fn from(word: SorterWord) -> Self {
        match word {
            SorterWord::Drf => Self::Drf,
            SorterWord::Random => Self::Random,
        }
    }
}

/// Where quota binds.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LevelsWord {
    #[default]
    Top,
    All,
}

impl From<LevelsWord> for QuotaLevels {
    fn from(word: LevelsWord) -> Self {
        match word {
            LevelsWord::Top => Self::Top,
            LevelsWord::All => Self::All,
        }
    }
}

/// Declares the step with one optional key for each event, and the event itself.
macro_rules! events {
    ($($(#[$doc:meta])* $key:ident / $word:literal => $variant:ident($body:ty),)*) => {
        /// One event, at most, and what is expected after it.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Step {
            /// A note for the reader, shown in place of the event.
            pub(super) note: Option<String>,
            /// Whether a run is made if the event is a reason for one.
            #[serde(default = "yes")]
            pub(super) run: bool,
            pub(super) expect: Option<Expectation>,
            $(#[serde(rename = $word)] $key: Option<$body>,)*
        }

        /// What happens in a step.
        #[derive(Debug)]
        pub(super) enum Event { $($(#[$doc])* $variant($body),)* }

        impl Step {
            /// The words of the events that stand in the step.
            pub(super) fn words(&self) -> Vec<&'static str> {
                [$(self.$key.is_some().then_some($word),)*].into_iter().flatten().collect()
            }

            /// Takes the event out of the step.
            pub(super) fn take_event(&mut self) -> Option<Event> {
                $(if let Some(body) = self.$key.take() { return Some(Event::$variant(body)); })*
                None
            }
        }
    };
}

events! {
    add_agent / "add-agent" => AddAgent(AgentBody),
    update_agent / "update-agent" => UpdateAgent(AgentBody),
    remove_agent / "remove-agent" => RemoveAgent(AgentId),
    activate_agent / "activate-agent" => ActivateAgent(AgentId),
    deactivate_agent / "deactivate-agent" => DeactivateAgent(AgentId),
    add_framework / "add-framework" => AddFramework(FrameworkBody),
    update_framework / "update-framework" => UpdateFramework(FrameworkBody),
    remove_framework / "remove-framework" => RemoveFramework(FrameworkId),
    activate_framework / "activate-framework" => ActivateFramework(FrameworkId),
    deactivate_framework / "deactivate-framework" => DeactivateFramework(FrameworkId),
    suppress / "suppress" => Suppress(Roles),
    revive / "revive" => Revive(Roles),
    decline / "decline" => Decline(Decline),
    give_back / "return" => Return(Selection),
    accept / "accept" => Accept(Accept),
    finish / "finish" => Finish(Finish),
    convert / "convert" => Convert(Convert),
    set_demand / "set-demand" => SetDemand(DemandBody),
    request_gang / "request-gang" => RequestGang(GangBody),
    cancel_gang / "cancel-gang" => CancelGang(String),
    set_quota / "set-quota" => SetQuota(QuotaBody),
    remove_quota / "remove-quota" => RemoveQuota(Role),
    set_weight / "set-weight" => SetWeight(WeightBody),
    set_priority / "set-priority" => SetPriority(PriorityBody),
    take_back / "take-back" => TakeBack(TakeBackBody),
    set_unavailability / "set-unavailability" => SetUnavailability(Unavailability),
    answer_inverse / "answer-inverse" => AnswerInverse(AnswerInverse),
    await_agents / "await-agents" => AwaitAgents(usize),
    advance / "advance" => Advance(HumanDuration),
    batch / "batch" => Batch(Batch),
}

fn yes() -> bool {
    true
}

/// An agent; what an update does not name stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentBody {
    pub(super) id: AgentId,
    pub(super) resources: Option<Parsed<TypedResources>>,
    pub(super) attributes: Option<BTreeMap<String, Attribute>>,
    pub(super) hostname: Option<String>,
    pub(super) region: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) multi_role: Option<bool>,
    pub(super) hierarchical_role: Option<bool>,
    #[serde(default)]
    pub(super) used: Vec<Used>,
}

/// What a task holds of an agent that is added.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Used {
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) resources: Parsed<TypedResources>,
}

/// A framework; what an update does not name becomes the default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrameworkBody {
    pub(super) id: FrameworkId,
    #[serde(default = "default_roles")]
    pub(super) roles: BTreeSet<Role>,
    #[serde(default)]
    pub(super) suppressed: BTreeSet<Role>,
    #[serde(default = "default_capabilities")]
    pub(super) capabilities: Vec<Capability>,
    #[serde(default)]
    pub(super) minimum: BTreeMap<Role, Vec<Parsed<Resources>>>,
    #[serde(default)]
    pub(super) constraints: BTreeMap<Role, Vec<Vec<Condition>>>,
    #[serde(default)]
    pub(super) demand: BTreeMap<Role, Vec<Parsed<Resources>>>,
}

fn default_roles() -> BTreeSet<Role> {
    BTreeSet::from([Role::default()])
}

fn default_capabilities() -> Vec<Capability> {
    vec![Capability::MultiRole]
}

/// A capability of a framework, by its name in Mesos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Capability {
    RevocableResources,
    GpuResources,
    SharedResources,
    ReservationRefinement,
    MultiRole,
    RegionAware,
}

/// A condition on an agent: what is looked at, and one predicate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    pub(super) attribute: Option<String>,
    pub(super) of: Option<Pseudo>,
    pub(super) exists: Option<bool>,
    pub(super) equals: Option<String>,
    pub(super) not_equals: Option<String>,
    pub(super) matches: Option<PatternText>,
    pub(super) not_matches: Option<PatternText>,
}

/// What an agent says of itself beside its attributes.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pseudo {
    Hostname,
    Region,
    Zone,
}

/// Roles of a framework; all without any.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) roles: BTreeSet<Role>,
}

/// Which of the offers that are out: those that fit all that is named.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    pub(super) framework: Option<FrameworkId>,
    pub(super) role: Option<Role>,
    pub(super) agent: Option<AgentId>,
}

/// Offers are declined.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decline {
    framework: Option<FrameworkId>,
    role: Option<Role>,
    agent: Option<AgentId>,
    #[serde(default)]
    pub(super) refuse: Refuse,
}

impl Decline {
    pub(super) fn selection(&self) -> Selection {
        Selection { framework: self.framework.clone(), role: self.role.clone(), agent: self.agent.clone() }
    }
}

/// A part of the offers is used; the rest is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    framework: Option<FrameworkId>,
    role: Option<Role>,
    agent: Option<AgentId>,
    /// What of each offer is used; all of it if not given.
    pub(super) resources: Option<Parsed<TypedResources>>,
    #[serde(default)]
    pub(super) refuse: Refuse,
}

impl Accept {
    pub(super) fn selection(&self) -> Selection {
        Selection { framework: self.framework.clone(), role: self.role.clone(), agent: self.agent.clone() }
    }
}

/// Used resources come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finish {
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) agent: AgentId,
    /// All that the framework uses there if not given.
    pub(super) resources: Option<Parsed<TypedResources>>,
}

/// Resources change their class; used ones of a framework, or free ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Convert {
    pub(super) agent: AgentId,
    pub(super) framework: Option<FrameworkId>,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) from: Parsed<TypedResources>,
    pub(super) into: Parsed<TypedResources>,
}

/// What a framework could use under a role; any offer without units.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DemandBody {
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) units: Option<Vec<Parsed<Resources>>>,
}

/// A gang; the name is for the scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GangBody {
    pub(super) name: String,
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) unit: Parsed<Resources>,
    pub(super) count: u32,
    /// From now.
    pub(super) deadline: HumanDuration,
}

/// A quota.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaBody {
    pub(super) role: Role,
    #[serde(default)]
    pub(super) guarantees: Parsed<Scalars>,
    #[serde(default)]
    pub(super) limits: Parsed<Scalars>,
    /// Guarantees and limits at once.
    pub(super) both: Option<Parsed<Scalars>>,
}

/// A weight.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightBody {
    pub(super) role: Role,
    pub(super) weight: Weight,
}

/// A priority.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriorityBody {
    pub(super) role: Role,
    pub(super) priority: u32,
}

/// Roles of a higher priority take back what they may.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TakeBackBody {
    /// From now.
    pub(super) grace: HumanDuration,
}

/// When an agent will be away; without a start it will not.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unavailability {
    pub(super) agent: AgentId,
    /// From now.
    pub(super) start: Option<HumanDuration>,
    pub(super) length: Option<HumanDuration>,
}

/// A framework answers an inverse offer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AnswerInverse {
    pub(super) framework: FrameworkId,
    pub(super) agent: AgentId,
    pub(super) refuse: Option<Refuse>,
}

/// The timer fires.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// After so much time; one allocation interval if not given.
    pub(super) after: Option<HumanDuration>,
}
