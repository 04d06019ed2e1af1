//! Many seeds, the same seed in two processes, and mistakes that the checks must notice.

use super::ledger::Counts;
use super::mangler::Mistake;
use super::plan::Plan;
use super::{Outcome, assert_holds, run};
use std::ops::Range;

/// Seeds of a plain `cargo test`; FABRIC_SEEDS says otherwise.
const SEEDS: u64 = 200;
/// Seeds within which each mistake must be noticed.
const MISTAKEN_SEEDS: u64 = 60;
/// Runs that may be spent on a smaller plan for a failure.
const SHRINKING_RUNS_MAX: usize = 300;

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?} and not a number")))
}

fn seeds() -> Range<u64> {
    let first = number("FABRIC_FIRST_SEED", 0);
    first..first + number("FABRIC_SEEDS", SEEDS)
}

#[test]
fn every_seed_keeps_what_the_fabric_promises() {
    if let Ok(file) = std::env::var("FABRIC_PLAN") {
        let plan = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        return assert_holds(&plan, &run(&plan, None));
    }
    let (seeds, mut all) = (seeds(), Counts::default());
    for seed in seeds.clone() {
        let plan = Plan::of(seed);
        let outcome = run(&plan, None);
        if !outcome.violations.is_empty() {
            let smaller = shrink(plan);
            let outcome = run(&smaller, None);
            assert_holds(&smaller, &outcome);
        }
        all.add(&outcome.counts);
    }
    println!("seeds {seeds:?}: {all:?}");
    assert!(all.heard > 0 && all.answered > 0 && all.refused > 0 && all.unknown > 0 && all.links_lost > 0, "{all:?}");
}

/// Leaves out what is not needed for the failure.
fn shrink(mut plan: Plan) -> Plan {
    let mut runs = 0;
    let mut still_fails = |smaller: &Plan| {
        runs += 1;
        runs <= SHRINKING_RUNS_MAX && !run(smaller, None).violations.is_empty()
    };
    for part in 0..3 {
        let mut at = 0;
        loop {
            let mut smaller = plan.clone();
            let is_gone = match part {
                0 => {
                    at < smaller.faults.len() && smaller.faults.len() > 1 && {
                        smaller.faults.remove(at);
                        true
                    }
                }
                1 => {
                    at < smaller.watchers.len() && {
                        smaller.watchers.remove(at);
                        true
                    }
                }
                // Talkers are known by their place, so the last ones go.
                _ => smaller.talkers.len() > 1 && smaller.talkers.pop().is_some(),
            };
            if !is_gone {
                break;
            }
            if still_fails(&smaller) {
                plan = smaller;
            } else if part == 2 {
                break;
            } else {
                at += 1;
            }
        }
    }
    plan
}

/// Seeds whose runs are compared between two processes.
const COMPARED: Range<u64> = 0..12;

#[test]
fn a_seed_is_the_same_run_in_another_process() {
    let own = std::env::current_exe().unwrap();
    let name = "simulation_test::seeds::the_hash_of_each_run_is_printed";
    let there = std::process::Command::new(own).args(["--exact", name, "--ignored", "--nocapture"]).output().unwrap();
    let there = String::from_utf8(there.stdout).unwrap();
    let hashes: Vec<&str> = there.lines().filter(|line| line.starts_with("seed ")).collect();
    assert_eq!(hashes, COMPARED.map(hash_line).collect::<Vec<_>>());
}

#[test]
#[ignore = "it is run by the test above, in a process of its own"]
fn the_hash_of_each_run_is_printed() {
    println!();
    COMPARED.for_each(|seed| println!("{}", hash_line(seed)));
}

fn hash_line(seed: u64) -> String {
    format!("seed {seed}: {:016x}", run(&Plan::of(seed), None).trace_hash)
}

#[test]
fn each_mistake_on_the_wire_is_noticed() {
    for mistake in Mistake::ALL {
        let noticed = (0..MISTAKEN_SEEDS).find_map(|seed| {
            let Outcome { violations, .. } = run(&Plan::of(seed), Some(mistake));
            violations.into_iter().next().map(|violation| (seed, violation))
        });
        println!("{mistake:?}: {noticed:?}");
        assert!(noticed.is_some(), "{mistake:?} is not noticed");
    }
}
