//! The scenarios of the fault catalogue that can be told by a plan, by their numbers there.
//!
//! All invariants are checked in each; what is stated here is what the catalogue asks for beyond them. Those that
//! need real processes are in `tests/cluster`.

use odeon_protocol::task::TaskState;
use odeon_simulator::{Fault, FrameworkPlan, PLAN_VERSION, Plan, PlannedFault, Site, simulate};
use std::collections::BTreeMap;
use std::time::Duration;

const SEEDS: u64 = 4;
const MINUTE_MS: u64 = 60_000;

/// Three agents, a framework that checkpoints and one that does not, and work for four minutes.
fn cluster(faults: Vec<(u64, Fault)>) -> Plan {
    let framework = |checkpoint| FrameworkPlan {
        jobs: 15,
        partition_aware: checkpoint,
        checkpoint,
        failover_timeout_ms: 10 * MINUTE_MS,
    };
    Plan {
        version: PLAN_VERSION,
        seed: 0,
        agents: 3,
        fault_phase_ms: 4 * MINUTE_MS,
        frameworks: vec![framework(true), framework(false)],
        faults: faults.into_iter().map(|(at_ms, fault)| PlannedFault { at_ms, fault }).collect(),
    }
}

/// The same with the framework that checkpoints alone.
fn keepers(faults: Vec<(u64, Fault)>) -> Plan {
    let mut plan = cluster(faults);
    plan.frameworks.truncate(1);
    plan
}

/// What all runs of a scenario have shown.
#[derive(Default)]
struct Shown {
    told: BTreeMap<TaskState, u64>,
    whole_after: Duration,
}

impl Shown {
    fn count(&self, state: TaskState) -> u64 {
        self.told.get(&state).copied().unwrap_or(0)
    }

    fn nothing_was_lost(&self) -> bool {
        use TaskState::{Dropped, Gone, Lost, Unreachable};
        [Dropped, Gone, Lost, Unreachable].into_iter().all(|state| self.count(state) == 0)
    }

    /// A task may not have come to its agent; of those that have, none was given up.
    fn no_agent_was_lost(&self) -> bool {
        self.count(TaskState::Lost) == 0 && self.count(TaskState::Unreachable) == 0
    }
}

/// Runs a plan with some seeds: no invariant is violated, and the cluster becomes whole.
fn run(plan: &Plan) -> Shown {
    let mut shown = Shown::default();
    for seed in 0..SEEDS {
        let plan = Plan { seed, ..plan.clone() };
        assert_eq!(plan.validate(), Ok(()));
        let report = simulate(&plan);
        assert_eq!(report.violation, None, "seed {seed} of {}", plan.to_text());
        shown.whole_after = shown.whole_after.max(report.whole_after.unwrap_or_default());
        report.told.into_iter().for_each(|(state, count)| *shown.told.entry(state).or_default() += count);
    }
    shown
}

/// A fault every twenty seconds.
fn again_and_again(fault: impl Fn(u32) -> Fault) -> Vec<(u64, Fault)> {
    (0..11).map(|number| (10_000 + 20_000 * u64::from(number), fault(number))).collect()
}

fn agent(number: u32) -> Site {
    Site::Agent(number % 3)
}

#[test]
fn f01_a_master_killed_between_hearing_and_answering_leaves_no_task_undecided() {
    let kill = |effect| Fault::KillAtEffect { site: Site::Master, effect, restart_after_ms: 1_000 };
    run(&cluster(again_and_again(kill)));
}

#[test]
fn f02_a_launch_that_is_lost_with_its_master_is_told_or_taken_back() {
    let mut faults = again_and_again(|number| Fault::Cut { from: Site::Master, to: agent(number), for_ms: 3_000 });
    let kill = |number: u64| {
        (11_000 + 20_000 * number, Fault::Kill { site: Site::Master, restart_after_ms: 500, host: false })
    };
    faults.extend((0..11).map(kill));
    run(&cluster(faults));
}

#[test]
fn f03_an_agent_killed_before_any_effect_goes_on_with_its_tasks() {
    let kill = |number| Fault::KillAtEffect { site: agent(number), effect: number, restart_after_ms: 1_000 };
    let shown = run(&keepers(again_and_again(kill)));
    assert!(shown.no_agent_was_lost() && shown.count(TaskState::Gone) == 0, "{:?}", shown.told);
}

#[test]
fn f04_an_update_that_was_durable_when_the_agent_died_is_told_by_the_next_one() {
    let mut faults = vec![];
    for number in 0..8_u32 {
        let (at_ms, site) = (10_000 + 25_000 * u64::from(number), agent(number));
        faults.push((at_ms, Fault::SlowDisk { site, write_ms: 2_000, for_ms: 15_000 }));
        faults.push((at_ms + 5_000, Fault::Kill { site, restart_after_ms: 1_000, host: false }));
    }
    let shown = run(&keepers(faults));
    assert!(shown.nothing_was_lost(), "{:?}", shown.told);
}

#[test]
fn f05_an_acknowledgement_that_was_not_written_is_asked_for_again() {
    let fail = |number| Fault::FailedWrite { site: agent(number), restart_after_ms: 800 };
    let shown = run(&keepers(again_and_again(fail)));
    assert!(shown.no_agent_was_lost(), "{:?}", shown.told);
}

#[test]
fn f06_the_tasks_of_a_killed_executor_have_failed_or_their_true_end() {
    let shown = run(&cluster(again_and_again(|number| Fault::KillExecutor { agent: number % 3, index: number })));
    assert!(shown.nothing_was_lost() && shown.count(TaskState::Failed) > 0, "{:?}", shown.told);
}

#[test]
fn f07_a_scheduler_that_was_killed_is_told_what_it_has_not_acknowledged() {
    let kill =
        |number| Fault::KillAtEffect { site: Site::Framework(number % 2), effect: number % 4, restart_after_ms: 700 };
    run(&cluster(again_and_again(kill)));
}

#[test]
fn f08_executors_end_themselves_when_their_agent_stays_away_beyond_the_recovery_window() {
    let kill = |number| Fault::Kill { site: agent(number), restart_after_ms: 22 * MINUTE_MS, host: false };
    let mut plan = keepers((0..3).map(|number| (2 * MINUTE_MS, kill(number))).collect());
    plan.fault_phase_ms = 25 * MINUTE_MS;
    plan.frameworks[0].jobs = 60;
    let shown = run(&plan);
    assert!(shown.count(TaskState::Unreachable) > 0, "{:?}", shown.told);
}

#[test]
fn f10_the_tasks_of_a_host_that_was_started_anew_are_gone() {
    let reboot = |number| Fault::Kill { site: agent(number), restart_after_ms: 8_000, host: true };
    let shown = run(&keepers(again_and_again(reboot)));
    assert!(shown.count(TaskState::Gone) > 0, "{:?}", shown.told);
}

#[test]
fn f12_a_short_cut_is_not_seen_and_a_long_one_makes_tasks_unreachable_until_it_ends() {
    let cut = |for_ms| vec![(60_000, Fault::Isolate { site: agent(0), for_ms })];
    let shown = run(&keepers(cut(20_000)));
    assert!(shown.no_agent_was_lost(), "{:?}", shown.told);
    let mut long = keepers(cut(100_000));
    long.frameworks[0].jobs = 60;
    let shown = run(&long);
    assert!(shown.count(TaskState::Unreachable) > 0 && shown.count(TaskState::Lost) == 0, "{:?}", shown.told);
}

#[test]
fn f13_a_cut_of_one_direction_is_noticed_and_doubles_nothing() {
    for (from, to) in [(agent(0), Site::Master), (Site::Master, agent(0))] {
        let mut plan = keepers(vec![(60_000, Fault::Cut { from, to, for_ms: 100_000 })]);
        plan.frameworks[0].jobs = 60;
        let shown = run(&plan);
        assert!(shown.count(TaskState::Unreachable) > 0, "{from} to {to}: {:?}", shown.told);
    }
}

#[test]
fn f14_a_scheduler_that_hears_nothing_subscribes_again() {
    run(&cluster(vec![(30_000, Fault::Cut { from: Site::Master, to: Site::Framework(0), for_ms: 90_000 })]));
}

#[test]
fn f15_a_slow_network_loses_no_agent() {
    let slow = |by_ms| vec![(10_000, Fault::Delay { by_ms, for_ms: 200_000 })];
    let shown = run(&cluster(slow(200)));
    assert!(shown.nothing_was_lost(), "{:?}", shown.told);
    run(&cluster(slow(2_000)));
}

#[test]
fn f17_what_was_under_way_on_a_broken_link_is_handled_once_or_not_at_all() {
    let reset =
        |number: u32| Fault::Reset { site: if number.is_multiple_of(2) { Site::Master } else { agent(number) } };
    run(&cluster(again_and_again(reset)));
}

#[test]
fn f18_links_that_are_cut_one_by_one_and_come_back_in_another_order_leave_nothing_behind() {
    let cut = |number: u32| Fault::Isolate { site: agent(number), for_ms: 1_000 * u64::from((number * 7) % 90 + 5) };
    run(&cluster(again_and_again(cut)));
}

#[test]
fn f20_a_launch_that_cannot_be_written_starts_nothing() {
    let full = |number| Fault::FailedWrite { site: agent(number), restart_after_ms: 5_000 };
    run(&cluster(again_and_again(full)));
}

#[test]
fn f21_a_master_that_cannot_write_its_registry_ends_and_has_told_nothing_that_is_not_there() {
    run(&cluster(again_and_again(|_| Fault::FailedWrite { site: Site::Master, restart_after_ms: 2_000 })));
}

#[test]
fn f24_tasks_go_on_without_a_master_for_ten_minutes() {
    let down = Fault::Kill { site: Site::Master, restart_after_ms: 10 * MINUTE_MS, host: false };
    let mut plan = cluster(vec![(60_000, down)]);
    plan.fault_phase_ms = 15 * MINUTE_MS;
    let shown = run(&plan);
    assert!(shown.nothing_was_lost(), "{:?}", shown.told);
}

#[test]
fn f25_the_wall_clock_moves_no_timer() {
    let sites = [Site::Master, agent(0), agent(1), Site::Framework(0)];
    let jump = |number: u32| {
        let by_ms = if number.is_multiple_of(2) { 3_600_000 } else { -3_600_000 };
        Fault::ClockJump { site: sites[number as usize % sites.len()], by_ms }
    };
    let shown = run(&cluster(again_and_again(jump)));
    assert!(shown.nothing_was_lost(), "{:?}", shown.told);
    run(&cluster(vec![(60_000, Fault::Pause { site: Site::Master, for_ms: 60_000 })]));
}

#[test]
fn f26_a_herd_of_agents_is_admitted_again_after_its_master() {
    let kill = Fault::Kill { site: Site::Master, restart_after_ms: 20_000, host: false };
    let mut plan = cluster(vec![(30_000, kill), (45_000, Fault::Herd { restart_after_ms: 5_000 })]);
    (plan.agents, plan.fault_phase_ms) = (60, MINUTE_MS);
    let shown = run(&plan);
    assert!(shown.whole_after < Duration::from_secs(10 * 60), "{:?}", shown.whole_after);
}

#[test]
fn f27_a_scheduler_finds_its_tasks_within_its_time_and_none_after_it() {
    let away =
        |restart_after_ms| vec![(60_000, Fault::Kill { site: Site::Framework(0), restart_after_ms, host: false })];
    let shown = run(&keepers(away(30_000)));
    assert!(shown.nothing_was_lost(), "{:?}", shown.told);
    let mut late = keepers(away(60_000));
    late.frameworks[0].failover_timeout_ms = 20_000;
    run(&late);
}

#[test]
fn f28_the_time_of_a_scheduler_runs_on_while_the_master_is_replaced() {
    let away = Fault::Kill { site: Site::Framework(0), restart_after_ms: 60_000, host: false };
    let kill = Fault::Kill { site: Site::Master, restart_after_ms: 5_000, host: false };
    let mut plan = keepers(vec![(60_000, away), (65_000, kill)]);
    run(&plan);
    plan.frameworks[0].failover_timeout_ms = 20_000;
    run(&plan);
}

#[test]
fn f29_of_two_schedulers_of_a_framework_the_newest_is_obeyed() {
    let rival = |number: u32| Fault::Rival { framework: number % 2, resume_after_ms: 50 + 300 * u64::from(number) };
    run(&cluster(again_and_again(rival)));
}

#[test]
fn f31_a_master_that_was_replaced_while_it_stood_still_is_not_obeyed() {
    let usurp = |number: u32| Fault::Usurp { resume_after_ms: 50 + 400 * u64::from(number) };
    run(&cluster(again_and_again(usurp)));
}

#[test]
fn f39_an_executor_that_hangs_is_killed_and_its_resources_come_back() {
    run(&cluster(again_and_again(|number| Fault::HangExecutor { agent: number % 3, index: number })));
}
