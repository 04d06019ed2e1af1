//! Random clusters and event sequences against a model that computes everything from scratch.

mod classes;
mod model;

use crate::{Allocator, AllocatorConfig, Grant, Weight};
use model::{Event, Model};
use odeon_protocol::resources::{Resources, Scalar};
use odeon_protocol::role::Role;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn event() -> impl Strategy<Value = Event> {
    let mask = 0..1_u8 << model::ROLES.len();
    prop_oneof![
        4 => (0..5_usize, 0..5_usize, proptest::option::of((0..4_usize, 0..model::ROLES.len())))
            .prop_map(|(agent, total, used)| Event::AddAgent { agent, total, used }),
        1 => (0..5_usize, 0..5_usize, any::<bool>())
            .prop_map(|(agent, total, moved)| Event::UpdateAgent { agent, total, moved }),
        1 => (0..5_usize).prop_map(Event::RemoveAgent),
        1 => (0..5_usize, any::<bool>()).prop_map(|(agent, active)| Event::SetAgentActive { agent, active }),
        4 => (0..4_usize, mask.clone(), mask.clone())
            .prop_map(|(framework, roles, suppressed)| Event::SetFramework { framework, roles, suppressed }),
        1 => (0..4_usize).prop_map(Event::RemoveFramework),
        1 => (0..4_usize, any::<bool>())
            .prop_map(|(framework, active)| Event::SetFrameworkActive { framework, active }),
        4 => (0..4_usize, prop_oneof![Just(0), mask], any::<bool>())
            .prop_map(|(framework, roles, suppress)| Event::Suppress { framework, roles, suppress }),
        1 => (0..model::ROLES.len(), 1..4000_u32).prop_map(|(role, weight)| Event::SetWeight { role, weight }),
        8 => (any::<usize>(), any::<bool>(), proptest::option::of(0..8_u64))
            .prop_map(|(grant, part, refuse)| Event::Recover { grant, part, refuse }),
        3 => (1..4_u64).prop_map(Event::Pass),
        8 => Just(Event::Allocate),
    ]
}

proptest! {
    #[test]
    fn after_every_event_the_state_is_that_of_a_model_computed_from_scratch(
        seed: u64,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut model = Model::new(seed);
        for event in events {
            model.apply(&event);
            model.check_conservation();
            model.check_shares();
            model.check_order();
        }
    }

    #[test]
    fn once_nothing_is_pending_nobody_who_may_have_free_resources_goes_without(
        seed: u64,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut model = Model::new(seed);
        for event in events {
            model.apply(&event);
            if matches!(event, Event::Allocate) {
                model.settle();
                model.check_nothing_is_left_over();
            }
        }
    }

    #[test]
    fn one_history_and_seed_give_one_sequence_of_grants(
        seed: u64,
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let run = || {
            let mut model = Model::new(seed);
            events.iter().map(|event| model.apply(event)).collect::<Vec<Vec<Grant>>>()
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn with_an_agent_for_each_hungry_framework_nobody_starves(
        sizes in proptest::collection::vec((1..64_u64, 64..4096_u64), 1..20),
        weights in proptest::collection::vec(1..5_u64, 1..20),
        seed: u64,
    ) {
        let count = sizes.len().min(weights.len());
        let mut allocator = hungry(&weights[..count], seed);
        for (number, (cpus, mem)) in sizes.iter().enumerate() {
            let total = Resources::cpus_mem(Scalar::from_whole(*cpus), *mem);
            allocator.add_agent(format!("a{number}").parse().unwrap(), &total, BTreeMap::new(), &[]).unwrap();
        }
        let served: BTreeSet<_> = allocator.allocate(Duration::ZERO).into_iter().map(|grant| grant.framework).collect();
        prop_assert_eq!(served.len(), count);
    }

    #[test]
    fn with_few_agents_that_come_back_nobody_starves(
        weights in proptest::collection::vec(1..5_u64, 1..20),
        agents in 1..4_usize,
        seed: u64,
    ) {
        let mut allocator = hungry(&weights, seed);
        for number in 0..agents {
            let total = Resources::cpus_mem(Scalar::from_whole(4), 1024);
            allocator.add_agent(format!("a{number}").parse().unwrap(), &total, BTreeMap::new(), &[]).unwrap();
        }
        let mut served = BTreeSet::new();
        for _ in 0..weights.len() {
            for Grant { framework, role, agent, resources } in allocator.allocate(Duration::ZERO) {
                allocator.recover(Duration::ZERO, &framework, &role, &agent, &resources, None).unwrap();
                served.insert(framework);
            }
        }
        prop_assert_eq!(served.len(), weights.len());
    }
}

/// One framework that takes anything in each of as many roles as there are weights.
fn hungry(weights: &[u64], seed: u64) -> Allocator {
    let mut allocator = Allocator::new(AllocatorConfig { seed, ..AllocatorConfig::default() });
    for (number, weight) in weights.iter().enumerate() {
        let role: Role = format!("role{number}").parse().unwrap();
        allocator.set_weight(&role, Weight::new(Scalar::from_whole(*weight)).unwrap());
        let id = format!("f{number}").parse().unwrap();
        allocator.add_framework(id, &BTreeSet::from([role]), &BTreeSet::new()).unwrap();
    }
    allocator
}
