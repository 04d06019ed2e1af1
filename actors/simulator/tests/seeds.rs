//! Many seeds with all faults on: no invariant is violated, and equal plans run equally.

use odeon_simulator::{Plan, RunReport, Shape, expand, simulate};
use std::sync::atomic::{AtomicU64, Ordering};

fn run(seed: u64) -> RunReport {
    simulate(&expand(seed, &Shape::default()))
}

/// Runs on two threads; each run is one thread.
#[test]
fn no_invariant_is_violated_in_any_of_500_seeds() {
    let next = AtomicU64::new(0);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= 500 {
                break;
            }
            let report = run(seed);
            assert_eq!(report.violation, None, "seed {seed}");
            assert!(report.whole_after.is_some() && report.events > 0, "seed {seed}");
        }
    };
    std::thread::scope(|threads| (0..2).for_each(|_| drop(threads.spawn(work))));
}

#[test]
fn a_plan_read_from_its_text_runs_event_for_event_as_its_seed() {
    for seed in [3, 17, 4711] {
        let plan = Plan::parse(&expand(seed, &Shape::default()).to_text()).unwrap();
        assert_eq!(simulate(&plan), run(seed));
    }
}

/// Set for the child of the test below.
const CHILD: &str = "ODEON_SIMULATOR_TEST_CHILD";

#[test]
fn two_processes_see_the_same_trace() {
    let traces = || (20..26).map(|seed| format!("{:016x}", run(seed).trace_hash)).collect::<Vec<_>>().join(" ");
    if std::env::var_os(CHILD).is_some() {
        let path = std::env::var(CHILD).unwrap();
        return std::fs::write(path, traces()).unwrap();
    }
    let path = std::env::temp_dir().join(format!("odeon-trace-{}", std::process::id()));
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "two_processes_see_the_same_trace"])
        .env(CHILD, &path)
        .output()
        .unwrap();
    assert!(child.status.success());
    let theirs = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(traces(), theirs);
}
