//! Runs a plan: the fault phase, the healing, and the proof that the cluster becomes whole and then rests.

use crate::checks::Violation;
use crate::coverage::Coverage;
use crate::ending;
use crate::plan::Plan;
use crate::world::World;
use odeon_protocol::task::TaskState;
use std::collections::BTreeMap;
use std::time::Duration;

/// After the healing the cluster has so long to become whole: longer than any time-out of a role.
pub const LIVENESS_BOUND: Duration = Duration::from_secs(90 * 60);
/// So long it must then rest.
pub const REST: Duration = Duration::from_secs(60);
/// Between two looks at whether the cluster is whole.
const LOOK_US: u64 = 1_000_000;
/// Events that may fall into one second before the cluster counts as busy with itself.
const EVENTS_PER_SECOND_MAX: u64 = 100_000;
/// And for each agent.
const EVENTS_PER_SECOND_AND_AGENT_MAX: u64 = 10_000;

/// What a run has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The plan's seed.
    pub seed: u64,
    /// Events that happened.
    pub events: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Tasks that the master has launched.
    pub tasks: u64,
    /// Offers that were made.
    pub offers: u64,
    /// How often schedulers were told each state of a task.
    pub told: BTreeMap<TaskState, u64>,
    /// From the healing until the cluster was whole.
    pub whole_after: Option<Duration>,
    /// Equal for equal runs, in any process.
    pub trace_hash: u64,
    /// The first thing that must not be.
    pub violation: Option<Violation>,
    /// Which faults met which steps.
    pub coverage: Coverage,
}

/// Runs a plan to its end, or to the first violation.
#[must_use]
pub fn simulate(plan: &Plan) -> RunReport {
    let mut world = World::new(plan.clone());
    world.begin();
    let heal_us = plan.fault_phase_ms * 1000;
    run_until(&mut world, heal_us);
    let mut whole_after = None;
    if world.checks.violation.is_none() {
        world.now_us = heal_us;
        world.heal();
        whole_after = become_whole(&mut world, heal_us);
    }
    RunReport {
        seed: plan.seed,
        events: world.event_count,
        simulated: Duration::from_micros(world.now_us),
        tasks: world.checks.launched.len() as u64,
        offers: world.checks.offer_count,
        told: std::mem::take(&mut world.checks.told),
        whole_after,
        trace_hash: world.trace,
        violation: world.checks.violation.take(),
        coverage: world.coverage,
    }
}

fn become_whole(world: &mut World, heal_us: u64) -> Option<Duration> {
    let bound_us = heal_us + LIVENESS_BOUND.as_micros() as u64;
    loop {
        let look_us = world.now_us + LOOK_US;
        run_until(world, look_us);
        world.now_us = look_us;
        if world.checks.violation.is_some() {
            return None;
        }
        let missing = ending::missing(world);
        match missing {
            None => break,
            Some(missing) if world.now_us >= bound_us => {
                world.checks.fail("I18", missing);
                return None;
            }
            Some(_) => {}
        }
    }
    let whole_after = Duration::from_micros(world.now_us - heal_us);
    let unrest = world.checks.unrest;
    run_until(world, world.now_us + REST.as_micros() as u64);
    ending::check(world, unrest);
    Some(whole_after)
}

fn run_until(world: &mut World, until_us: u64) {
    let events_max = EVENTS_PER_SECOND_MAX + EVENTS_PER_SECOND_AND_AGENT_MAX * u64::from(world.plan.agents);
    let (mut second, mut in_second) = (world.now_us / 1_000_000, 0);
    while world.checks.violation.is_none() && world.next_at().is_some_and(|at_us| at_us <= until_us) {
        world.step();
        let now = world.now_us / 1_000_000;
        in_second = if now == second { in_second + 1 } else { 0 };
        second = now;
        if in_second > events_max {
            world.checks.fail("I18", format!("{in_second} events in one second: the cluster is busy with itself"));
        }
    }
}
