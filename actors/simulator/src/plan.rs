//! `Plan`: everything that is decided before a run. A seed expands into one; as text it replays by itself.
//!
//! Expanding is in `planner.rs`; a plan does nothing.

use serde::{Deserialize, Serialize};

/// The version of the text form.
pub const PLAN_VERSION: u32 = 1;

/// One run: a cluster, what its frameworks want, and what goes wrong when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Decides delays, ids, clocks and the order of events of one instant.
    pub seed: u64,
    /// Agents of the cluster.
    pub agents: u32,
    /// How long faults and new work come; then all faults end.
    pub fault_phase_ms: u64,
    /// What frameworks there are, and what they want.
    #[serde(rename = "framework", default)]
    pub frameworks: Vec<FrameworkPlan>,
    /// What goes wrong.
    #[serde(rename = "fault", default)]
    pub faults: Vec<PlannedFault>,
}

/// One framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameworkPlan {
    /// Tasks that it wants to see finished, spread over the fault phase.
    pub jobs: u32,
    /// Whether it can tell out of reach from lost.
    pub partition_aware: bool,
    /// Whether its tasks outlive a broken link of their agent.
    pub checkpoint: bool,
    /// How long it may be away.
    pub failover_timeout_ms: u64,
}

/// A fault and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Since the beginning of the run.
    pub at_ms: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A machine of the cluster, with the text form `master`, `agent-0`, `framework-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Site {
    /// The master.
    Master,
    /// An agent, by number, with its executors.
    Agent(u32),
    /// The scheduler of a framework, by number.
    Framework(u32),
}

/// The text names no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a machine: master, agent-<number> or framework-<number>")]
pub struct SiteError(String);

impl TryFrom<String> for Site {
    type Error = SiteError;
    fn try_from(text: String) -> Result<Self, SiteError> {
        let number = |rest: &str| rest.parse::<u32>().ok();
        match (text.as_str(), text.split_once('-')) {
            ("master", _) => Ok(Self::Master),
            (_, Some(("agent", rest))) => number(rest).map(Self::Agent).ok_or(SiteError(text)),
            (_, Some(("framework", rest))) => number(rest).map(Self::Framework).ok_or(SiteError(text)),
            _ => Err(SiteError(text)),
        }
    }
}

impl From<Site> for String {
    fn from(site: Site) -> Self {
        site.to_string()
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Master => write!(f, "master"),
            Self::Agent(number) => write!(f, "agent-{number}"),
            Self::Framework(number) => write!(f, "framework-{number}"),
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fault {
    /// The process dies at once, and is started again.
    Kill {
        /// Whose.
        site: Site,
        /// Down for so long.
        restart_after_ms: u64,
        /// With its host: its peers notice by silence only.
        host: bool,
    },
    /// The process dies when it is about to carry out an effect.
    KillAtEffect {
        /// Whose.
        site: Site,
        /// Counts from 0, from the time of the fault on.
        effect: u32,
        /// Down for so long.
        restart_after_ms: u64,
    },
    /// All agents die at once.
    Herd {
        /// Down for so long.
        restart_after_ms: u64,
    },
    /// The process stands still and does not notice.
    Pause {
        /// Whose.
        site: Site,
        /// For so long.
        for_ms: u64,
    },
    /// Nothing arrives from one machine at the other.
    Cut {
        /// From here.
        from: Site,
        /// To there.
        to: Site,
        /// For so long.
        for_ms: u64,
    },
    /// One machine and all others do not hear each other.
    Isolate {
        /// The machine.
        site: Site,
        /// For so long.
        for_ms: u64,
    },
    /// The connections of a machine break; what was under way may or may not arrive.
    Reset {
        /// The machine.
        site: Site,
    },
    /// Everything on the network takes longer.
    Delay {
        /// By so much, at most.
        by_ms: u64,
        /// For so long.
        for_ms: u64,
    },
    /// Writes take longer.
    SlowDisk {
        /// Where.
        site: Site,
        /// Each, at most.
        write_ms: u64,
        /// For so long.
        for_ms: u64,
    },
    /// The next write fails: the disk is full, or broken.
    FailedWrite {
        /// Where.
        site: Site,
        /// The process is down for so long.
        restart_after_ms: u64,
    },
    /// The wall clock is set.
    ClockJump {
        /// Where.
        site: Site,
        /// Forward, or back if negative.
        by_ms: i64,
    },
    /// An executor process dies.
    KillExecutor {
        /// On this agent.
        agent: u32,
        /// Which, of those that live, counted around.
        index: u32,
    },
    /// An executor process stands still for good.
    HangExecutor {
        /// On this agent.
        agent: u32,
        /// Which, of those that live, counted around.
        index: u32,
    },
    /// Another process takes over the registry while the master stands still; then the old one goes on.
    Usurp {
        /// The old one stands still for so long.
        resume_after_ms: u64,
    },
    /// Another process of a framework's scheduler takes over while the first stands still; then the first goes on.
    Rival {
        /// Whose.
        framework: u32,
        /// The first one stands still for so long.
        resume_after_ms: u64,
    },
}

impl Fault {
    /// The word for it in plans.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::KillAtEffect { .. } => "kill-at-effect",
            Self::Herd { .. } => "herd",
            Self::Pause { .. } => "pause",
            Self::Cut { .. } => "cut",
            Self::Isolate { .. } => "isolate",
            Self::Reset { .. } => "reset",
            Self::Delay { .. } => "delay",
            Self::SlowDisk { .. } => "slow-disk",
            Self::FailedWrite { .. } => "failed-write",
            Self::ClockJump { .. } => "clock-jump",
            Self::KillExecutor { .. } => "kill-executor",
            Self::HangExecutor { .. } => "hang-executor",
            Self::Usurp { .. } => "usurp",
            Self::Rival { .. } => "rival",
        }
    }
}

/// The words for all kinds of faults, in the order of [`Fault`].
pub const FAULT_KINDS: [&str; 15] = [
    "kill",
    "kill-at-effect",
    "herd",
    "pause",
    "cut",
    "isolate",
    "reset",
    "delay",
    "slow-disk",
    "failed-write",
    "clock-jump",
    "kill-executor",
    "hang-executor",
    "usurp",
    "rival",
];

/// Why a text is not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// It is not of the form.
    #[error("the plan cannot be read: {0}")]
    Form(String),
    /// Another program wrote it.
    #[error("the plan has version {0}, this program reads {PLAN_VERSION}")]
    Version(u32),
    /// A number is outside of what can be simulated.
    #[error("{key} may not be {value}; it is at least {least} and at most {most}")]
    Bound {
        /// The key at fault.
        key: &'static str,
        /// Its value.
        value: u64,
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A fault names a machine that the plan does not have.
    #[error("fault {index} names {site}, but there are {agents} agents and {frameworks} frameworks")]
    NoSuchSite {
        /// Which, counted from 0.
        index: usize,
        /// The machine.
        site: Site,
        /// Agents of the plan.
        agents: u32,
        /// Frameworks of the plan.
        frameworks: usize,
    },
}

/// The most agents of a run.
pub const AGENTS_MAX: u32 = 100_000;
/// The most frameworks of a run.
pub const FRAMEWORKS_MAX: usize = 10_000;
/// The longest fault phase: 30 days.
pub const FAULT_PHASE_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// The most tasks that one framework wants.
pub const JOBS_MAX: u32 = 1_000_000;

impl Plan {
    /// Reads the text form.
    ///
    /// # Errors
    /// [`PlanError`] names what is wrong.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let plan: Self = toml::from_str(text).map_err(|error| PlanError::Form(error.to_string()))?;
        plan.validate()?;
        Ok(plan)
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("a plan has only numbers, words and lists, which TOML can hold")
    }

    /// Checks what the form cannot.
    ///
    /// # Errors
    /// [`PlanError`] names the key at fault.
    pub fn validate(&self) -> Result<(), PlanError> {
        if self.version != PLAN_VERSION {
            return Err(PlanError::Version(self.version));
        }
        let frameworks_max = FRAMEWORKS_MAX as u64;
        bound("agents", self.agents.into(), 1, AGENTS_MAX.into())?;
        bound("framework", self.frameworks.len() as u64, 1, frameworks_max)?;
        bound("fault_phase_ms", self.fault_phase_ms, 1, FAULT_PHASE_MS_MAX)?;
        for framework in &self.frameworks {
            bound("jobs", framework.jobs.into(), 0, JOBS_MAX.into())?;
        }
        for (index, planned) in self.faults.iter().enumerate() {
            bound("at_ms", planned.at_ms, 0, self.fault_phase_ms)?;
            if let Some(site) = planned.fault.sites().into_iter().find(|site| !self.has(*site)) {
                let (agents, frameworks) = (self.agents, self.frameworks.len());
                return Err(PlanError::NoSuchSite { index, site, agents, frameworks });
            }
        }
        Ok(())
    }

    fn has(&self, site: Site) -> bool {
        match site {
            Site::Master => true,
            Site::Agent(number) => number < self.agents,
            Site::Framework(number) => (number as usize) < self.frameworks.len(),
        }
    }
}

impl Fault {
    fn sites(&self) -> Vec<Site> {
        match self {
            Self::Kill { site, .. }
            | Self::KillAtEffect { site, .. }
            | Self::Pause { site, .. }
            | Self::Isolate { site, .. }
            | Self::Reset { site }
            | Self::SlowDisk { site, .. }
            | Self::FailedWrite { site, .. }
            | Self::ClockJump { site, .. } => vec![*site],
            Self::Cut { from, to, .. } => vec![*from, *to],
            Self::KillExecutor { agent, .. } | Self::HangExecutor { agent, .. } => vec![Site::Agent(*agent)],
            Self::Rival { framework, .. } => vec![Site::Framework(*framework)],
            Self::Herd { .. } | Self::Delay { .. } | Self::Usurp { .. } => vec![],
        }
    }
}

fn bound(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), PlanError> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(PlanError::Bound { key, value, least, most }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{Shape, expand};
    use std::collections::BTreeSet;

    #[test]
    fn a_plan_survives_its_text_form() {
        for seed in 0..50 {
            let plan = expand(seed, &Shape::default());
            assert_eq!(Plan::parse(&plan.to_text()), Ok(plan));
        }
    }

    #[test]
    fn the_list_of_kinds_has_what_seeds_expand_into() {
        let plans = (0..200).map(|seed| expand(seed, &Shape::default()));
        let kinds: BTreeSet<&str> = plans.flat_map(|plan| plan.faults).map(|planned| planned.fault.kind()).collect();
        assert_eq!(kinds, BTreeSet::from(FAULT_KINDS));
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_named() {
        let mut plan = expand(1, &Shape::default());
        plan.faults = vec![PlannedFault { at_ms: 0, fault: Fault::Reset { site: Site::Agent(999) } }];
        let error = Plan::parse(&plan.to_text()).unwrap_err();
        assert!(error.to_string().starts_with("fault 0 names agent-999"), "{error}");
        plan.agents = 0;
        assert!(plan.validate().unwrap_err().to_string().starts_with("agents may not be 0"));
        plan.version = 9;
        assert_eq!(plan.validate(), Err(PlanError::Version(9)));
        assert!(matches!(Plan::parse("agents = 'many'"), Err(PlanError::Form(_))));
    }
}
