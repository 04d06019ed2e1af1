//! What is taken back for roles of a higher priority, and what never is.

use super::*;
use crate::{AllocatorConfig, Grant, Holding, Quota};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: Duration = Duration::ZERO;
const GRACE: Duration = Duration::from_secs(30);

fn allocator() -> Allocator {
    Allocator::new(AllocatorConfig { minimum: Vec::new(), ..AllocatorConfig::default() })
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

/// A framework that could use some units; it takes no other offers.
fn add_framework(allocator: &mut Allocator, framework: &str, role: &str, unit: &str) {
    allocator.add_framework(id(framework), &BTreeSet::from([id(role)]), &BTreeSet::new()).unwrap();
    let units = if unit.is_empty() { Vec::new() } else { vec![resources(unit)] };
    allocator.set_demand(&id(framework), &id(role), Some(units)).unwrap();
}

fn add_agent(allocator: &mut Allocator, agent: &str, total: &str, used: &[(&str, &str, &str)]) {
    let holding = |(framework, role, used): &(&str, &str, &str)| Holding {
        framework: id(framework),
        role: id(role),
        resources: resources(used).into(),
    };
    let used: Vec<Holding> = used.iter().map(holding).collect();
    allocator.add_agent(id(agent), resources(total), BTreeMap::new(), &used).unwrap();
}

/// Two roles of which one holds all of an agent, and the other may take back.
fn held_by_low(priority: u32) -> Allocator {
    let mut allocator = allocator();
    add_framework(&mut allocator, "low", "l", "");
    add_framework(&mut allocator, "high", "h", "cpus:2;mem:20");
    add_agent(&mut allocator, "a1", "cpus:10;mem:100", &[("low", "l", "cpus:10;mem:100")]);
    allocator.set_priority(&id("h"), priority);
    allocator
}

fn lines(told: &[TakeBack]) -> Vec<String> {
    told.iter().map(|back| format!("{} {} {}", back.framework, back.agent, back.resources)).collect()
}

fn come_back(allocator: &mut Allocator, back: &TakeBack) {
    let TakeBack { framework, role, agent, resources, .. } = back;
    allocator.recover(NOW, framework, role, agent, resources.clone(), None).unwrap();
}

#[test]
fn a_role_of_a_higher_priority_takes_back_a_unit_after_a_grace_period() {
    let mut allocator = held_by_low(1);
    let asked = allocator.take_back(NOW, GRACE);
    assert_eq!(lines(&asked), ["low a1 cpus:2;mem:20"]);
    assert_eq!(asked[0].stage, TakeBackStage::Ask { until: GRACE });
    assert_eq!((asked[0].claimant.as_str(), asked[0].claimant_role.as_str()), ("high", "h"));
    assert_eq!(allocator.take_back(GRACE - Duration::from_nanos(1), GRACE), []);
    let cpu = resources("cpus:1");
    allocator.recover(NOW, &id("low"), &id("l"), &id("a1"), cpu, None).unwrap();
    let killed = allocator.take_back(GRACE, GRACE);
    assert_eq!(lines(&killed), ["low a1 cpus:1;mem:20"]);
    assert_eq!(killed[0].stage, TakeBackStage::Kill);
    assert_eq!(allocator.take_back(GRACE * 2, GRACE), []);
    come_back(&mut allocator, &killed[0]);
    let grants = allocator.allocate(GRACE * 2);
    assert_eq!(grants.iter().map(|grant| grant.framework.as_str()).collect::<Vec<_>>(), ["high"]);
}

#[test]
fn nothing_is_taken_back_by_an_equal_priority_or_beyond_the_even_part() {
    assert_eq!(held_by_low(0).take_back(NOW, GRACE), []);
    let mut equal = held_by_low(1);
    equal.set_priority(&id("l"), 1);
    assert_eq!(equal.take_back(NOW, GRACE), []);
    let mut greedy = held_by_low(1);
    greedy.set_demand(&id("high"), &id("h"), Some(vec![resources("cpus:6")])).unwrap();
    assert_eq!(greedy.take_back(NOW, GRACE), []);
    greedy.set_weight(&id("h"), crate::Weight::new(Scalar::from_whole(2)).unwrap());
    assert_eq!(lines(&greedy.take_back(NOW, GRACE)), ["low a1 cpus:6"]);
}

#[test]
fn who_can_be_served_from_what_is_free_takes_nothing_back() {
    let mut allocator = held_by_low(1);
    add_agent(&mut allocator, "a2", "cpus:2;mem:20", &[]);
    assert_eq!(allocator.take_back(NOW, GRACE), []);
}

#[test]
fn a_claim_ends_when_it_is_no_longer_wanted_but_not_once_tasks_are_killed() {
    let mut allocator = held_by_low(1);
    assert_eq!(allocator.take_back(NOW, GRACE).len(), 1);
    allocator.suppress(&id("high"), &BTreeSet::new()).unwrap();
    assert_eq!(allocator.take_back(GRACE, GRACE), []);
    allocator.revive(&id("high"), &BTreeSet::new()).unwrap();
    assert_eq!(allocator.take_back(GRACE, GRACE).len(), 1);
    assert_eq!(allocator.take_back(GRACE * 2, GRACE)[0].stage, TakeBackStage::Kill);
}

#[test]
fn who_wants_no_more_offers_gives_back_like_anyone() {
    let mut allocator = held_by_low(1);
    allocator.suppress(&id("low"), &BTreeSet::new()).unwrap();
    assert_eq!(lines(&allocator.take_back(NOW, GRACE)), ["low a1 cpus:2;mem:20"]);
    allocator.remove_framework(&id("low")).unwrap();
    assert_eq!(allocator.take_back(GRACE, GRACE)[0].stage, TakeBackStage::Kill);
}

#[test]
fn a_guarantee_above_the_even_part_is_not_touched() {
    let mut allocator = held_by_low(1);
    let cpus = |amount| BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(amount))]);
    allocator.set_quota(&id("l"), &Quota { guarantees: cpus(9), limits: BTreeMap::new() }).unwrap();
    assert_eq!(allocator.take_back(NOW, GRACE), []);
    allocator.set_quota(&id("l"), &Quota { guarantees: cpus(8), limits: BTreeMap::new() }).unwrap();
    assert_eq!(lines(&allocator.take_back(NOW, GRACE)), ["low a1 cpus:2;mem:20"]);
}

/// Cpus that each of three roles of rising priority guarantees, holds on each agent, and wants in one piece.
fn crowd() -> impl Strategy<Value = (Vec<[u64; 3]>, [u64; 3], [u64; 3])> {
    let agents = proptest::collection::vec([0..5_u64, 0..5_u64, 0..5_u64], 1..5);
    (agents, [0..4_u64, 0..4_u64, 0..4_u64], [0..4_u64, 0..4_u64, 0..4_u64])
}

proptest! {
    #[test]
    fn taking_back_ends_and_leaves_everyone_their_part_and_their_guarantee((agents, guarantees, wants) in crowd()) {
        let mut allocator = allocator();
        let names = ["f0", "f1", "f2"];
        let cpus = |amount: u64| Resources::empty().with_scalar("cpus", Scalar::from_whole(amount));
        for (index, name) in names.iter().enumerate() {
            let unit = if wants[index] == 0 { String::new() } else { cpus(wants[index]).to_string() };
            add_framework(&mut allocator, name, name, &unit);
            allocator.set_priority(&id(name), u32::try_from(index).unwrap());
            let guarantees = BTreeMap::from([("cpus".to_owned(), Scalar::from_whole(guarantees[index]))]);
            allocator.set_quota(&id(name), &Quota { guarantees, limits: BTreeMap::new() }).unwrap();
        }
        for (number, held) in agents.iter().enumerate() {
            let texts = held.map(|amount| cpus(amount).to_string());
            let used: Vec<_> = (0..3).filter(|index| held[*index] > 0).map(|index| (names[index], names[index], texts[index].as_str())).collect();
            add_agent(&mut allocator, &format!("a{number}"), &cpus(held.iter().sum::<u64>().max(1)).to_string(), &used);
        }
        let total: u64 = agents.iter().map(|held| held.iter().sum::<u64>().max(1)).sum::<u64>() * 1000;
        let held = |allocator: &Allocator, index: usize| allocator.consumed(&id(names[index])).scalar("cpus").thousandths();
        let mut moved = 0;
        for _ in 0..100 {
            let _: Vec<Grant> = allocator.allocate(NOW);
            let before = [0, 1, 2].map(|index| held(&allocator, index));
            let told = allocator.take_back(NOW, Duration::ZERO);
            if told.is_empty() {
                break;
            }
            told.iter().for_each(|back| come_back(&mut allocator, back));
            for index in 0..3 {
                let now = held(&allocator, index);
                prop_assert!(now == before[index] || (now + 1 >= total / 3 && now >= guarantees[index] * 1000));
            }
            moved += 1;
        }
        prop_assert!(moved < 100, "taking back never ends");
    }
}
