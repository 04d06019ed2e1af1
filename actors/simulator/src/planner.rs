//! Expands a seed into a plan: which cluster, which frameworks, which faults when.
//!
//! Each seed turns on a random part of the kinds of faults, so that runs differ in more than details.

use crate::plan::{FAULT_KINDS, Fault, FrameworkPlan, PLAN_VERSION, Plan, PlannedFault, Site};
use crate::random::{Concern, Stream};

/// What is given for all seeds; what is not, each seed decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Agents.
    pub agents: Option<u32>,
    /// Frameworks.
    pub frameworks: Option<u32>,
    /// The length of the fault phase.
    pub fault_phase_ms: Option<u64>,
    /// No faults at all: for questions of capacity.
    pub calm: bool,
}

const KINDS: u64 = FAULT_KINDS.len() as u64;
/// Between two faults, on average.
const FAULT_GAP_MS: u64 = 12_000;

/// The plan of a seed.
#[must_use]
pub fn expand(seed: u64, shape: &Shape) -> Plan {
    let mut chance = Stream::new(seed, Concern::Faults);
    let agents = chance.between(1, 6) as u32;
    let agents = shape.agents.unwrap_or(agents);
    let frameworks = chance.between(1, 3) as u32;
    let frameworks = shape.frameworks.unwrap_or(frameworks);
    let fault_phase_ms = shape.fault_phase_ms.unwrap_or(chance.between(60_000, 300_000));
    let frameworks: Vec<FrameworkPlan> = (0..frameworks).map(|_| framework(fault_phase_ms, &mut chance)).collect();
    let mut plan = Plan { version: PLAN_VERSION, seed, agents, fault_phase_ms, frameworks, faults: Vec::new() };
    if !shape.calm {
        plan.faults = faults(&plan, &mut chance);
    }
    plan
}

fn framework(fault_phase_ms: u64, chance: &mut Stream) -> FrameworkPlan {
    let failover_timeout_ms = [0, 5_000, 30_000, 600_000][chance.below(4) as usize];
    let jobs = (chance.between(3, 25) * fault_phase_ms.div_ceil(300_000)) as u32;
    FrameworkPlan { jobs, partition_aware: chance.percent(50), checkpoint: chance.percent(50), failover_timeout_ms }
}

fn faults(plan: &Plan, chance: &mut Stream) -> Vec<PlannedFault> {
    let enabled: Vec<u64> = (0..KINDS).filter(|_| chance.percent(40)).collect();
    let mut faults = Vec::new();
    if enabled.is_empty() {
        return faults;
    }
    let gap_ms = chance.between(FAULT_GAP_MS / 4, FAULT_GAP_MS * 2);
    let mut at_ms = chance.below(gap_ms);
    while at_ms < plan.fault_phase_ms {
        let kind = enabled[chance.below(enabled.len() as u64) as usize];
        faults.push(PlannedFault { at_ms, fault: fault(kind, plan, chance) });
        at_ms += chance.between(1, gap_ms * 2);
    }
    faults
}

fn fault(kind: u64, plan: &Plan, chance: &mut Stream) -> Fault {
    let site = site(plan, chance);
    let restart_after_ms = lasting(chance);
    let for_ms = lasting(chance);
    let agent = chance.below(plan.agents.into()) as u32;
    let index = chance.below(8) as u32;
    let resume_after_ms = chance.between(10, 4_000);
    match kind {
        0 => Fault::Kill { site, restart_after_ms, host: chance.percent(20) },
        1 => Fault::KillAtEffect { site, effect: chance.below(12) as u32, restart_after_ms },
        2 => Fault::Herd { restart_after_ms },
        3 => Fault::Pause { site, for_ms },
        4 => Fault::Cut { from: site, to: other(site, plan, chance), for_ms },
        5 => Fault::Isolate { site, for_ms },
        6 => Fault::Reset { site },
        7 => Fault::Delay { by_ms: chance.between(1, 2_500), for_ms },
        8 => Fault::SlowDisk { site: with_disk(plan, chance), write_ms: chance.between(50, 8_000), for_ms },
        9 => Fault::FailedWrite { site: with_disk(plan, chance), restart_after_ms },
        10 => Fault::ClockJump { site, by_ms: 3_600_000 - chance.below(7_200_000) as i64 },
        11 => Fault::KillExecutor { agent, index },
        12 => Fault::HangExecutor { agent, index },
        13 => Fault::Rival { framework: chance.below(plan.frameworks.len() as u64) as u32, resume_after_ms },
        _ => Fault::Usurp { resume_after_ms },
    }
}

/// Mostly short, sometimes beyond the time after which others give up.
fn lasting(chance: &mut Stream) -> u64 {
    match chance.below(10) {
        0 => chance.between(60_000, 150_000),
        1..=3 => chance.between(5_000, 30_000),
        _ => chance.between(10, 5_000),
    }
}

fn site(plan: &Plan, chance: &mut Stream) -> Site {
    match chance.below(10) {
        0..=3 => Site::Master,
        4..=7 => Site::Agent(chance.below(plan.agents.into()) as u32),
        _ => Site::Framework(chance.below(plan.frameworks.len() as u64) as u32),
    }
}

fn with_disk(plan: &Plan, chance: &mut Stream) -> Site {
    if chance.percent(50) { Site::Master } else { Site::Agent(chance.below(plan.agents.into()) as u32) }
}

/// The other end of a connection: the master, or somebody who talks to it.
fn other(site: Site, plan: &Plan, chance: &mut Stream) -> Site {
    match site {
        Site::Agent(_) | Site::Framework(_) => Site::Master,
        Site::Master if chance.percent(70) => Site::Agent(chance.below(plan.agents.into()) as u32),
        Site::Master => Site::Framework(chance.below(plan.frameworks.len() as u64) as u32),
    }
}
