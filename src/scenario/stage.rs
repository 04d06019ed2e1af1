//! Plays a scenario against the real allocator, and holds what comes against what is expected.
//!
//! What a master would do around the allocator is done here: offers that are out are kept, and come back when their
//! framework or agent goes.

mod checks;
mod events;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use odeon_allocator::{
    AgentProfile, Allocator, AllocatorConfig, Domain, GangId, GangOutcome, Grant, InverseGrant, TakeBack,
    TakeBackStage, Weight as AllocatorWeight,
};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;

use super::format::{Scenario, Settings, Triggers};
use super::report::{InverseLine, NotOfferedLine, OfferLine, Report, StepReport, TakenBackLine};

/// The version of the format.
const FORMAT_VERSION: u32 = 1;
/// The most steps of a scenario.
const STEPS_MAX: usize = 10_000;
/// The most reasons that are listed for one step.
const REASONS_MAX: usize = 10_000;

/// Why a scenario cannot be played.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScenarioError {
    /// Another format.
    #[error("version {0} of the format is not known: this is version {FORMAT_VERSION}")]
    Version(u32),
    /// More than one thing happens in a step.
    #[error("step {step} has {count} events ({events}): a step has one at most")]
    Events {
        /// The step, from 1.
        step: usize,
        /// How many.
        count: usize,
        /// Which.
        events: String,
    },
    /// Too long.
    #[error("{0} steps are more than {STEPS_MAX}")]
    TooLong(usize),
}

/// A framework's part of an agent.
type HeldKey = (FrameworkId, Role, AgentId);

/// The cluster of a scenario.
struct Stage {
    allocator: Allocator,
    is_eventful: bool,
    interval: Duration,
    now: Duration,
    offers: Vec<Grant>,
    used: BTreeMap<HeldKey, TypedResources>,
    agents: BTreeMap<AgentId, AgentProfile>,
    frameworks: BTreeMap<FrameworkId, BTreeSet<Role>>,
    /// By the names that the scenario gave them.
    gangs: BTreeMap<String, (GangId, GangState)>,
    /// What this step takes back.
    taken_back: Vec<TakeBack>,
}

/// Where a gang stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GangState {
    Waiting,
    Placed,
    Ended,
}

impl GangState {
    /// As expectations write it.
    fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Placed => "placed",
            Self::Ended => "ended",
        }
    }
}

/// Plays all steps.
///
/// # Errors
/// [`ScenarioError`] before the first step; what goes wrong in a step is in the report.
pub(crate) fn play(scenario: Scenario) -> Result<Report, ScenarioError> {
    if scenario.version != FORMAT_VERSION {
        return Err(ScenarioError::Version(scenario.version));
    }
    if scenario.steps.len() > STEPS_MAX {
        return Err(ScenarioError::TooLong(scenario.steps.len()));
    }
    for (index, step) in scenario.steps.iter().enumerate() {
        let words = step.words();
        if words.len() > 1 {
            return Err(ScenarioError::Events { step: index + 1, count: words.len(), events: words.join(", ") });
        }
    }
    let mut stage = Stage::new(&scenario.settings);
    let numbered = (1..).zip(scenario.steps);
    let steps: Vec<StepReport> = numbered.map(|(number, step)| stage.step(number, step)).collect();
    let failure_count = steps.iter().map(|step| step.failures.len()).sum();
    Ok(Report { name: scenario.name, steps, failure_count })
}

fn config(settings: &Settings) -> AllocatorConfig {
    let defaults = AllocatorConfig::default();
    let domain = settings
        .region
        .as_ref()
        .map(|region| Domain { region: region.clone(), zone: settings.zone.clone().unwrap_or_default() });
    let weights: BTreeMap<Role, AllocatorWeight> =
        settings.weights.iter().map(|(role, weight)| (role.clone(), weight.0)).collect();
    let minimum = settings.minimum.as_ref().map(|sizes| sizes.iter().map(|size| size.0.clone()).collect());
    AllocatorConfig {
        allocation_interval: settings.allocation_interval.get(),
        minimum: minimum.unwrap_or(defaults.minimum),
        weights,
        excluded: settings.excluded.clone(),
        role_sorter: settings.role_sorter.into(),
        framework_sorter: settings.framework_sorter.into(),
        quota_levels: settings.quota_levels.into(),
        offers_on_events: settings.triggers == Triggers::Events,
        filter_gpus: settings.filter_gpus,
        domain,
        seed: settings.seed,
    }
}

impl Stage {
    fn new(settings: &Settings) -> Self {
        Self {
            allocator: Allocator::new(config(settings)),
            is_eventful: settings.triggers == Triggers::Events,
            interval: settings.allocation_interval.get(),
            now: Duration::ZERO,
            offers: Vec::new(),
            used: BTreeMap::new(),
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            gangs: BTreeMap::new(),
            taken_back: Vec::new(),
        }
    }

    fn step(&mut self, number: usize, mut step: super::format::Step) -> StepReport {
        let word = step.words().first().copied().unwrap_or("look");
        let event = step.note.take().map_or_else(|| word.to_owned(), |note| format!("{word}: {note}"));
        self.taken_back.clear();
        let refused = step.take_event().and_then(|event| self.apply(event).err());
        let is_due = self.is_eventful && self.allocator.next_deadline().is_some_and(|at| at <= self.now);
        let ran = step.run && (self.allocator.is_pending() || is_due);
        let mut grants = if ran { self.allocator.allocate(self.now) } else { Vec::new() };
        grants.extend(self.follow_gangs());
        self.offers.extend(grants.iter().cloned());
        let inverse = self.allocator.take_inverse();
        let failures = self.failures(&step.expect.unwrap_or_default(), refused.as_deref(), &grants, &inverse);
        let (not_offered, not_offered_more) = if ran { self.not_offered(&grants) } else { (Vec::new(), 0) };
        StepReport {
            step: number,
            event,
            time_ms: self.now.as_millis(),
            ran,
            refused,
            offers: grants.iter().map(offer_line).collect(),
            inverse_offers: inverse.iter().map(inverse_line).collect(),
            taken_back: self.taken_back.iter().map(taken_back_line).collect(),
            not_offered,
            not_offered_more,
            failures,
        }
    }

    /// Notes what became of gangs; returns what was placed.
    fn follow_gangs(&mut self) -> Vec<Grant> {
        let mut placed = Vec::new();
        for outcome in self.allocator.take_gangs() {
            let (id, state) = match outcome {
                GangOutcome::Placed { id, grants } => {
                    placed.extend(grants);
                    (id, GangState::Placed)
                }
                GangOutcome::Ended { id } => (id, GangState::Ended),
            };
            self.gangs.values_mut().filter(|(known, _)| *known == id).for_each(|(_, known)| *known = state);
        }
        placed
    }

    /// Why each framework was not offered each agent, and how many reasons are not told.
    fn not_offered(&self, grants: &[Grant]) -> (Vec<NotOfferedLine>, usize) {
        let key = |grant: &Grant| (grant.framework.clone(), grant.role.clone(), grant.agent.clone());
        let offered: BTreeSet<HeldKey> = grants.iter().map(key).collect();
        let roles = self.frameworks.iter().flat_map(|(id, roles)| roles.iter().map(move |role| (id, role)));
        let pairs = self.agents.keys().flat_map(|agent| roles.clone().map(move |(id, role)| (id, role, agent)));
        let is_open = |(id, role, agent): &(&FrameworkId, &Role, &AgentId)| {
            !offered.contains(&((*id).clone(), (*role).clone(), (*agent).clone()))
        };
        let (mut lines, mut more) = (Vec::new(), 0);
        for (framework, role, agent) in pairs.filter(is_open) {
            if lines.len() == REASONS_MAX {
                more += 1;
                continue;
            }
            let reason = self.allocator.why(self.now, framework, role, agent);
            lines.push(NotOfferedLine {
                agent: agent.to_string(),
                framework: framework.to_string(),
                role: role.to_string(),
                reason: reason.word().to_owned(),
                detail: reason.to_string(),
            });
        }
        (lines, more)
    }
}

fn offer_line(grant: &Grant) -> OfferLine {
    OfferLine {
        agent: grant.agent.to_string(),
        framework: grant.framework.to_string(),
        role: grant.role.to_string(),
        resources: grant.resources.to_string(),
    }
}

fn taken_back_line(back: &TakeBack) -> TakenBackLine {
    TakenBackLine {
        agent: back.agent.to_string(),
        framework: back.framework.to_string(),
        role: back.role.to_string(),
        resources: back.resources.to_string(),
        claimant: back.claimant.to_string(),
        claimant_role: back.claimant_role.to_string(),
        stage: if back.stage == TakeBackStage::Kill { "kill" } else { "ask" },
    }
}

fn inverse_line(inverse: &InverseGrant) -> InverseLine {
    InverseLine { agent: inverse.agent.to_string(), framework: inverse.framework.to_string() }
}

#[cfg(test)]
#[path = "stage_test.rs"]
mod tests;
