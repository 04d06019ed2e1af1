//! Gangs are placed whole or not at all, wait within their even part, and do not wait for each other.

use super::*;
use crate::{AllocatorConfig, Quota, Reason};
use odeon_protocol::id::AgentId;
use odeon_protocol::resources::{Scalar, TypedResources};
use proptest::prelude::*;

const NEVER: Duration = Duration::from_secs(1 << 30);
const NOW: Duration = Duration::ZERO;

fn allocator() -> Allocator {
    Allocator::new(AllocatorConfig { minimum: Vec::new(), ..AllocatorConfig::default() })
}

fn framework_id(id: &str) -> FrameworkId {
    id.parse().unwrap()
}

fn role(path: &str) -> Role {
    path.parse().unwrap()
}

fn agent_id(id: &str) -> AgentId {
    id.parse().unwrap()
}

/// A framework that takes no offers, only gangs, or one that takes any offer.
fn add_framework(allocator: &mut Allocator, id: &str, path: &str, is_for_gangs: bool) {
    allocator.add_framework(framework_id(id), &BTreeSet::from([role(path)]), &BTreeSet::new()).unwrap();
    if is_for_gangs {
        allocator.set_demand(&framework_id(id), &role(path), Some(Vec::new())).unwrap();
    }
}

fn add_agent(allocator: &mut Allocator, id: &str, total: &str) {
    allocator.add_agent(agent_id(id), total.parse::<TypedResources>().unwrap(), BTreeMap::new(), &[]).unwrap();
}

fn gang(framework: &str, path: &str, unit: &str, count: u32, deadline: Duration) -> Gang {
    Gang { framework: framework_id(framework), role: role(path), unit: unit.parse().unwrap(), count, deadline }
}

/// Runs; the ordinary grants and what became of gangs.
fn run(allocator: &mut Allocator, now: Duration) -> (Vec<Grant>, Vec<GangOutcome>) {
    allocator.mark_all();
    (allocator.allocate(now), allocator.take_gangs())
}

fn placed(outcomes: &[GangOutcome]) -> Vec<String> {
    let grants = outcomes.iter().flat_map(|outcome| match outcome {
        GangOutcome::Placed { grants, .. } => grants.clone(),
        GangOutcome::Ended { .. } => Vec::new(),
    });
    grants.map(|grant| format!("{} {}", grant.agent, grant.resources)).collect()
}

fn give_back(allocator: &mut Allocator, grant: &Grant) {
    let Grant { framework, role, agent, resources } = grant;
    allocator.recover(NOW, framework, role, agent, resources.clone(), None).unwrap();
}

#[test]
fn a_gang_is_placed_over_several_agents_at_once_with_no_more_than_it_asks_for() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    for agent in ["a1", "a2"] {
        add_agent(&mut allocator, agent, "cpus:5;mem:100;ports:[1-9]");
    }
    allocator.request_gang(gang("f", "r", "cpus:2;mem:10", 3, NEVER)).unwrap();
    let (grants, outcomes) = run(&mut allocator, NOW);
    assert_eq!(
        (grants.len(), placed(&outcomes)),
        (0, vec!["a1 cpus:4;mem:20".to_owned(), "a2 cpus:2;mem:10".to_owned()])
    );
    assert_eq!(allocator.free(&agent_id("a1")).unwrap().to_string(), "cpus:1;mem:80;ports:[1-9]");
    assert_eq!(allocator.waiting_gangs().count(), 0);
}

#[test]
fn a_gang_that_does_not_fit_takes_nothing_and_holds_back_its_even_part() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    add_framework(&mut allocator, "other", "s", false);
    for agent in ["a1", "a2", "a3", "a4"] {
        add_agent(&mut allocator, agent, "cpus:1;mem:10");
    }
    let id = allocator.request_gang(gang("f", "r", "cpus:1", 5, NEVER)).unwrap();
    let (grants, outcomes) = run(&mut allocator, NOW);
    assert!(outcomes.is_empty());
    assert_eq!(cpus_of(&grants), 2000, "half of four is for the other role");
    let whys = ["a1", "a2"].map(|agent| allocator.why(NOW, &framework_id("other"), &role("s"), &agent_id(agent)));
    assert!(
        whys.iter().all(|why| *why == Reason::NothingFree(Vec::new())
            || matches!(why, Reason::HeldForGang | Reason::NothingFree(_)))
    );
    assert!(allocator.cancel_gang(id) && !allocator.cancel_gang(id));
    let (grants, _) = run(&mut allocator, NOW);
    assert_eq!(cpus_of(&grants), 2000, "what was held back is offered once nobody waits");
}

#[test]
fn what_is_placed_counts_in_what_is_held_back_for_the_gangs_before_it() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    add_framework(&mut allocator, "hungry", "s", false);
    add_agent(&mut allocator, "a1", "cpus:1");
    add_agent(&mut allocator, "a2", "cpus:8");
    allocator.request_gang(gang("f", "r", "cpus:3", 5, NEVER)).unwrap();
    allocator.request_gang(gang("f", "r", "cpus:1", 5, NEVER)).unwrap();
    let (grants, outcomes) = run(&mut allocator, NOW);
    assert_eq!(placed(&outcomes), ["a1 cpus:1", "a2 cpus:4"]);
    assert_eq!(cpus_of(&grants), 4000, "five of nine are more than half: nothing is held back for the first");
}

#[test]
fn what_comes_back_is_kept_together_for_the_gang_that_waits() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "hungry", "s", false);
    add_agent(&mut allocator, "a1", "cpus:1");
    add_agent(&mut allocator, "a2", "cpus:1");
    let (taken, _) = run(&mut allocator, NOW);
    add_framework(&mut allocator, "f", "r", true);
    allocator.set_weight(&role("r"), crate::Weight::new(Scalar::from_whole(1000)).unwrap());
    add_agent(&mut allocator, "a3", "cpus:1");
    allocator.request_gang(gang("f", "r", "cpus:1", 2, NEVER)).unwrap();
    assert!(run(&mut allocator, NOW).1.is_empty());
    assert_eq!(allocator.why(NOW, &framework_id("hungry"), &role("s"), &agent_id("a3")), Reason::HeldForGang);
    give_back(&mut allocator, &taken[0]);
    let (grants, outcomes) = run(&mut allocator, NOW);
    assert_eq!((grants.len(), placed(&outcomes).len()), (0, 2));
}

#[test]
fn waiting_ends_at_the_deadline_and_with_the_subscription() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    let first = allocator.request_gang(gang("f", "r", "cpus:1", 1, Duration::from_secs(5))).unwrap();
    let second = allocator.request_gang(gang("f", "r", "cpus:1", 1, NEVER)).unwrap();
    assert_eq!(allocator.next_deadline(), Some(Duration::from_secs(5)));
    assert_eq!(run(&mut allocator, Duration::from_secs(4)).1, []);
    assert_eq!(run(&mut allocator, Duration::from_secs(5)).1, [GangOutcome::Ended { id: first }]);
    allocator.remove_framework(&framework_id("f")).unwrap();
    assert_eq!(run(&mut allocator, Duration::from_secs(6)).1, [GangOutcome::Ended { id: second }]);
    assert_eq!(allocator.waiting_gangs().count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_and_waiting_gangs_are_bounded() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    let mut ask = |role: &str, unit: &str, count| allocator.request_gang(gang("f", role, unit, count, NEVER));
    assert!(matches!(ask("s", "cpus:1", 1), Err(GangError::NotSubscribed { .. })));
    assert!(matches!(ask("r", "cpus:1", 0), Err(GangError::Empty { .. })));
    assert!(matches!(ask("r", "", 1), Err(GangError::Empty { .. })));
    assert!(matches!(ask("r", "ports:[1-2]", 1), Err(GangError::NotScalars(_))));
    for _ in 0..GANGS_MAX {
        ask("r", "cpus:1", 1).unwrap();
    }
    assert_eq!(ask("r", "cpus:1", 1), Err(GangError::TooMany));
}

#[test]
fn a_gang_keeps_to_the_limit_of_its_role_and_leaves_what_is_guaranteed() {
    let mut allocator = allocator();
    add_framework(&mut allocator, "f", "r", true);
    let cpus = |amount| BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(amount))]);
    allocator.set_quota(&role("r"), &Quota { guarantees: BTreeMap::new(), limits: cpus(3) }).unwrap();
    allocator.set_quota(&role("q"), &Quota { guarantees: cpus(2), limits: BTreeMap::new() }).unwrap();
    add_agent(&mut allocator, "a1", "cpus:2");
    add_agent(&mut allocator, "a2", "cpus:2");
    allocator.request_gang(gang("f", "r", "cpus:1", 3, NEVER)).unwrap();
    assert!(run(&mut allocator, NOW).1.is_empty(), "two of four are guaranteed to others");
    add_agent(&mut allocator, "a3", "cpus:2");
    assert_eq!(placed(&run(&mut allocator, NOW).1).len(), 2);
    allocator.request_gang(gang("f", "r", "cpus:1", 1, NEVER)).unwrap();
    assert!(run(&mut allocator, NOW).1.is_empty(), "the limit is reached");
    assert_eq!(allocator.consumed(&role("r")).to_string(), "cpus:3");
}

#[derive(Debug, Clone)]
enum Happening {
    Ask { framework: usize, cpus: u64, count: u32 },
    GiveBack(usize),
    Run,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..3_usize, 1..3_u64, 1..7_u32)
            .prop_map(|(framework, cpus, count)| Happening::Ask { framework, cpus, count }),
        2 => any::<usize>().prop_map(Happening::GiveBack),
        3 => Just(Happening::Run),
    ]
}

const FRAMEWORKS: [(&str, &str); 3] = [("f0", "r0"), ("f1", "r1"), ("f2", "r1")];

fn cpus_of(grants: &[Grant]) -> u64 {
    grants.iter().map(|grant| grant.resources.quantities().unwrap().scalar("cpus").thousandths()).sum()
}

proptest! {
    #[test]
    fn gangs_are_placed_whole_on_what_is_there_and_never_deadlock(
        sizes in proptest::collection::vec(1..5_u64, 1..5),
        happenings in proptest::collection::vec(happening(), 1..40),
    ) {
        let mut allocator = allocator();
        FRAMEWORKS.iter().for_each(|(id, path)| add_framework(&mut allocator, id, path, true));
        for (number, cpus) in sizes.iter().enumerate() {
            add_agent(&mut allocator, &format!("a{number}"), &format!("cpus:{cpus}"));
        }
        let total: u64 = sizes.iter().sum::<u64>() * 1000;
        let (mut asked, mut out): (BTreeMap<GangId, u64>, Vec<Vec<Grant>>) = (BTreeMap::new(), Vec::new());
        for step in happenings {
            match step {
                Happening::Ask { framework, cpus, count } => {
                    let fits = sizes.iter().map(|size| size / cpus).sum::<u64>() >= u64::from(count);
                    let (id, path) = FRAMEWORKS[framework];
                    let wish = gang(id, path, &format!("cpus:{cpus}"), count, NEVER);
                    if fits {
                        asked.insert(allocator.request_gang(wish).unwrap(), cpus * u64::from(count) * 1000);
                    }
                }
                Happening::GiveBack(index) if !out.is_empty() => {
                    let index = index % out.len();
                    out.swap_remove(index).iter().for_each(|grant| give_back(&mut allocator, grant));
                }
                Happening::GiveBack(_) => {}
                Happening::Run => collect(&mut allocator, &mut asked, &mut out),
            }
            let held: u64 = out.iter().map(|grants| cpus_of(grants)).sum();
            let free = (0..sizes.len()).map(|number| allocator.free(&agent_id(&format!("a{number}"))).unwrap());
            let free: u64 = free.map(|free| free.quantities().unwrap().scalar("cpus").thousandths()).sum();
            prop_assert_eq!(held + free, total);
        }
        // Everyone gives back what is placed: each run places at least one of those that wait, until none does.
        while !asked.is_empty() {
            std::mem::take(&mut out).iter().flatten().for_each(|grant| give_back(&mut allocator, grant));
            let before = asked.len();
            collect(&mut allocator, &mut asked, &mut out);
            prop_assert!(asked.len() < before, "{asked:?} wait for each other");
        }
    }

    #[test]
    fn who_takes_anything_goes_without_no_more_than_the_even_part_of_those_who_wait(
        sizes in proptest::collection::vec(1..9_u64, 1..6),
        weight in 1..6_u64,
        gangs in proptest::collection::vec((1..4_u64, 5..200_u32), 1..4),
    ) {
        let mut allocator = allocator();
        add_framework(&mut allocator, "f", "r", true);
        add_framework(&mut allocator, "hungry", "s", false);
        allocator.set_weight(&role("r"), crate::Weight::new(Scalar::from_whole(weight)).unwrap());
        let total: u64 = sizes.iter().sum::<u64>() * 1000;
        for (cpus, count) in gangs {
            allocator.request_gang(gang("f", "r", &format!("cpus:{cpus}"), count, NEVER)).unwrap();
        }
        for (number, cpus) in sizes.iter().enumerate() {
            add_agent(&mut allocator, &format!("a{number}"), &format!("cpus:{cpus}"));
        }
        let (grants, outcomes) = run(&mut allocator, NOW);
        let for_gangs: u64 = outcomes.iter().map(|outcome| match outcome {
            GangOutcome::Placed { grants, .. } => cpus_of(grants),
            GangOutcome::Ended { .. } => 0,
        }).sum();
        let held_back = total - for_gangs - cpus_of(&grants);
        prop_assert!(held_back == 0 || for_gangs + held_back <= total * weight / (weight + 1));
    }
}

/// Runs, and checks that what is placed is what was asked for.
fn collect(allocator: &mut Allocator, asked: &mut BTreeMap<GangId, u64>, out: &mut Vec<Vec<Grant>>) {
    let (ordinary, outcomes) = run(allocator, NOW);
    assert!(ordinary.is_empty());
    for outcome in outcomes {
        let GangOutcome::Placed { id, grants } = outcome else { panic!("nothing ends: {outcome:?}") };
        assert_eq!(asked.remove(&id), Some(cpus_of(&grants)), "whole or not at all");
        out.push(grants);
    }
}
