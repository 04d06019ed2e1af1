//! Random clusters with quota at all levels, reservations, mounted disks, shared volumes and revocable resources.

use crate::{Allocator, AllocatorConfig, Grant, Holding, Quota, QuotaLevels};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{CPUS, Scalar, TypedResources};
use odeon_protocol::role::Role;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const ROLES: [&str; 5] = ["q", "q/x", "q/x/y", "n", "*"];
const TOTALS: [&str; 5] = [
    "cpus:4;mem:1024;ports:[1-10]",
    "cpus:2;mem:512;cpus(q):3;mem(q):256;disk[mount=/m/1]:50",
    "cpus:6;mem:2048;disk(q)[id=v,shared]:20;disk(n)[mount=/m/2]:10",
    "cpus:1;mem:64;cpus(q,dynamic:q/x):2;mem(n):128;cpus[revocable]:2",
    "cpus:3;mem:300;disk[mount=/m/1]:5;disk[mount=/m/2]:7;cpus(n):1",
];
/// Whose part is always all of it.
const WHOLE: [&str; 3] = ["[mount=", "[id=", "shared"];

#[derive(Debug, Clone)]
enum Event {
    Agent { agent: usize, total: usize },
    Framework { framework: usize, roles: u8 },
    Quota { role: usize, guarantee: u64, more: Option<u64> },
    Recover { grant: usize, refuse: Option<u64> },
    Pass(u64),
    Allocate,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..6_usize, 0..TOTALS.len()).prop_map(|(agent, total)| Event::Agent { agent, total }),
        3 => (0..4_usize, 1..32_u8).prop_map(|(framework, roles)| Event::Framework { framework, roles }),
        2 => (0..4_usize, 0..6_u64, proptest::option::of(0..5_u64))
            .prop_map(|(role, guarantee, more)| Event::Quota { role, guarantee, more }),
        6 => (any::<usize>(), proptest::option::of(0..8_u64))
            .prop_map(|(grant, refuse)| Event::Recover { grant, refuse }),
        2 => (1..4_u64).prop_map(Event::Pass),
        6 => Just(Event::Allocate),
    ]
}

/// What the allocator was told, and what it gave.
struct Cluster {
    allocator: Allocator,
    now: Duration,
    agents: BTreeMap<AgentId, TypedResources>,
    frameworks: BTreeMap<FrameworkId, BTreeSet<Role>>,
    quotas: BTreeMap<Role, Quota>,
    held: Vec<Grant>,
}

fn config(seed: u64) -> AllocatorConfig {
    let quota_levels = QuotaLevels::All;
    AllocatorConfig { allocation_interval: Duration::from_secs(2), quota_levels, seed, ..AllocatorConfig::default() }
}

fn cpus(amount: u64) -> BTreeMap<String, Scalar> {
    BTreeMap::from([(CPUS.to_owned(), Scalar::from_whole(amount))])
}

impl Cluster {
    fn new(seed: u64) -> Self {
        Self {
            allocator: Allocator::new(config(seed)),
            now: Duration::ZERO,
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            quotas: BTreeMap::new(),
            held: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Agent { agent, total } => {
                let (id, total) = (id::<AgentId>(agent), TOTALS[total].parse::<TypedResources>().unwrap());
                if self.allocator.add_agent(id.clone(), &total, BTreeMap::new(), &[]).is_ok() {
                    self.agents.insert(id, total);
                }
            }
            Event::Framework { framework, roles } => {
                let named = ROLES.iter().enumerate().filter(|(bit, _)| roles & (1 << bit) != 0);
                let roles: BTreeSet<Role> = named.map(|(_, role)| role.parse().unwrap()).collect();
                let (id, none) = (id::<FrameworkId>(framework), BTreeSet::new());
                if self.allocator.add_framework(id.clone(), &roles, &none).is_err() {
                    self.allocator.update_framework(&id, &roles, &none).unwrap();
                }
                self.frameworks.insert(id, roles);
            }
            Event::Quota { role, guarantee, more } => {
                let limits = more.map(|more| cpus(guarantee + more)).unwrap_or_default();
                let guarantees = if guarantee == 0 { BTreeMap::new() } else { cpus(guarantee) };
                let (role, quota) = (ROLES[role].parse().unwrap(), Quota { guarantees, limits });
                self.allocator.set_quota(&role, &quota).unwrap();
                self.quotas.insert(role, quota);
            }
            Event::Recover { grant, refuse } => self.recover(grant, refuse.map(Duration::from_secs)),
            Event::Pass(seconds) => self.now += Duration::from_secs(seconds),
            Event::Allocate => self.allocate(),
        }
    }

    fn recover(&mut self, grant: usize, refuse: Option<Duration>) {
        if !self.held.is_empty() {
            let index = grant % self.held.len();
            let Grant { framework, role, agent, resources } = self.held.swap_remove(index);
            self.allocator.recover(self.now, &framework, &role, &agent, resources, refuse).unwrap();
        }
    }

    fn allocate(&mut self) {
        let before: BTreeMap<Role, u64> = self.quotas.keys().map(|role| (role.clone(), self.consumed(role))).collect();
        let grants = self.allocator.allocate(self.now);
        for grant in &grants {
            assert!(self.frameworks[&grant.framework].contains(&grant.role));
            self.check_classes(grant);
        }
        self.held.extend(grants.iter().cloned());
        for (role, quota) in &self.quotas {
            let limit = quota.limits.get(CPUS).map_or(u64::MAX, |limit| limit.thousandths());
            assert!(self.consumed(role) <= limit.max(before[role]), "{role} is above its limit");
        }
        let is_unprotected = |grant: &Grant| {
            let bound = self.quotas.iter().filter(|(_, quota)| !quota.guarantees.is_empty());
            !bound.map(|(role, _)| role).any(|role| grant.role == *role || grant.role.is_below(role))
        };
        let took = grants.iter().any(|grant| is_unprotected(grant) && plain_cpus(&grant.resources) > 0);
        assert!(!took || self.free_plain_cpus() >= self.missing("", None), "what is guaranteed was given away");
    }

    /// What is reserved goes to the role and those below, and what is given out whole is whole.
    fn check_classes(&self, grant: &Grant) {
        for (class, amounts) in grant.resources.parts() {
            assert!(class.reservations.is_empty() || class.is_for(&grant.role), "{grant:?}");
            if WHOLE.iter().any(|mark| class.to_string().contains(mark)) {
                assert_eq!(*amounts, self.agents[&grant.agent].of(class), "{grant:?}");
            }
        }
    }

    fn check_conservation(&self) {
        for (id, total) in &self.agents {
            let mut sum = self.allocator.free(id).unwrap();
            for grant in self.held.iter().filter(|grant| grant.agent == *id) {
                let own = grant.resources.parts().filter(|(class, _)| !class.is_shared);
                let own =
                    own.fold(TypedResources::empty(), |own, (class, amounts)| own.with(class.clone(), amounts.clone()));
                sum = sum.checked_add(&own).unwrap();
            }
            assert_eq!(sum, *total);
        }
    }

    /// Everything that is kept event by event, against an allocator that is told the present state at once.
    fn check_rebuilt(&self) {
        let mut rebuilt = Allocator::new(config(0));
        for (role, quota) in &self.quotas {
            rebuilt.set_quota(role, quota).unwrap();
        }
        for (id, roles) in &self.frameworks {
            rebuilt.add_framework(id.clone(), roles, &BTreeSet::new()).unwrap();
        }
        for (id, total) in &self.agents {
            rebuilt.add_agent(id.clone(), total, BTreeMap::new(), &[]).unwrap();
            for grant in self.held.iter().filter(|grant| grant.agent == *id) {
                rebuilt.hold_for_test(grant);
            }
        }
        let shares = |allocator: &Allocator| -> Vec<_> {
            let shares = allocator.role_shares().into_iter();
            shares.map(|role| (role.path, role.share, role.allocated)).collect()
        };
        assert_eq!(shares(&self.allocator), shares(&rebuilt));
        for role in ROLES.map(|role| role.parse().unwrap()) {
            assert_eq!(self.allocator.consumed(&role), rebuilt.consumed(&role), "{role}");
        }
        for id in self.agents.keys() {
            assert_eq!(self.allocator.free(id), rebuilt.free(id));
        }
    }

    fn consumed(&self, role: &Role) -> u64 {
        self.allocator.consumed(role).scalar(CPUS).thousandths()
    }

    fn free_plain_cpus(&self) -> u64 {
        self.agents.keys().map(|id| plain_cpus(&self.allocator.free(id).unwrap())).sum()
    }

    /// What roles right below a path, and at the second step those below them, need to have their guarantees.
    fn missing(&self, above: &str, own: Option<&Role>) -> u64 {
        let children = ROLES.iter().filter(|path| path.rsplit_once('/').map_or("", |(parent, _)| parent) == above);
        let below = children.map(|path| self.missing(path, Some(&path.parse().unwrap()))).sum::<u64>();
        let guarantee = own.and_then(|role| self.quotas.get(role)?.guarantees.get(CPUS));
        let own = guarantee
            .map_or(0, |guarantee| guarantee.thousandths().saturating_sub(own.map_or(0, |role| self.consumed(role))));
        own.max(below)
    }
}

/// Unreserved and not revocable.
fn plain_cpus(resources: &TypedResources) -> u64 {
    resources.of(&odeon_protocol::resources::Class::default()).scalar(CPUS).thousandths()
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(number: usize) -> T {
    format!("id-{number}").parse().unwrap()
}

impl Allocator {
    /// Enters what a framework holds, as an agent that comes back with tasks does.
    fn hold_for_test(&mut self, grant: &Grant) {
        let Grant { framework, role, agent, resources } = grant.clone();
        let total = self.total(&agent).unwrap();
        let mut holdings: Vec<Holding> = self
            .holdings(&agent)
            .map(|(framework, role, resources)| Holding { framework: framework.clone(), role: role.clone(), resources })
            .collect();
        holdings.push(Holding { framework, role, resources });
        self.remove_agent(&agent).unwrap();
        self.add_agent(agent, total, BTreeMap::new(), &holdings).unwrap();
    }
}

proptest! {
    #[test]
    fn quota_and_classes_are_kept_to_after_every_event_and_the_state_is_that_of_one_built_anew(
        seed: u64,
        events in proptest::collection::vec(event(), 1..50),
    ) {
        let mut cluster = Cluster::new(seed);
        for event in events {
            cluster.apply(&event);
            cluster.check_conservation();
        }
        cluster.check_rebuilt();
    }
}
