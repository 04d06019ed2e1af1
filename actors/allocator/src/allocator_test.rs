//! Who is offered what: the acceptance scenarios of Mesos that apply, and what this allocator does beyond them.

mod classes;

use crate::{AgentError, Allocator, AllocatorConfig, FrameworkError, Grant, Holding, RecoverError, Weight};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, Scalar};
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const NOTHING: [&str; 0] = [];
const DAY: u64 = 24 * 3600;

/// An allocator, the time, and the offers that are out; a run is written as what it offers: `"a1 to f1@role1"`.
struct Cluster {
    allocator: Allocator,
    now: Duration,
    offers: BTreeMap<String, Grant>,
}

impl Cluster {
    fn new() -> Self {
        Self::with(AllocatorConfig::default())
    }

    fn with_interval(seconds: u64) -> Self {
        Self::with(AllocatorConfig { allocation_interval: Duration::from_secs(seconds), ..AllocatorConfig::default() })
    }

    fn with(config: AllocatorConfig) -> Self {
        Self { allocator: Allocator::new(config), now: Duration::ZERO, offers: BTreeMap::new() }
    }

    /// Adds an agent and runs.
    fn agent(&mut self, id: &str, total: &str) -> Vec<String> {
        self.used_agent(id, total, &[])
    }

    /// Adds an agent with tasks, given as framework, role and resources, and runs.
    fn used_agent(&mut self, id: &str, total: &str, used: &[(&str, &str, &str)]) -> Vec<String> {
        let holding = |(framework, role, resources): &(&str, &str, &str)| Holding {
            framework: framework_id(framework),
            role: self::role(role),
            resources: self::resources(resources).into(),
        };
        let used: Vec<Holding> = used.iter().map(holding).collect();
        self.allocator.add_agent(agent_id(id), resources(total), BTreeMap::new(), &used).unwrap();
        self.run()
    }

    /// Adds a framework and runs.
    fn framework(&mut self, id: &str, roles: &str) -> Vec<String> {
        self.allocator.add_framework(framework_id(id), &self::roles(roles), &BTreeSet::new()).unwrap();
        self.run()
    }

    fn run(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for grant in self.allocator.allocate(self.now) {
            lines.push(format!("{} to {}@{}", grant.agent, grant.framework, grant.role));
            self.offers.insert(grant.agent.to_string(), grant);
        }
        lines.sort();
        lines
    }

    /// Moves time, as the backstop timer fires, and runs.
    fn batch_after(&mut self, seconds: u64) -> Vec<String> {
        self.now += Duration::from_secs(seconds);
        self.allocator.mark_all();
        self.run()
    }

    /// Returns the offer of an agent without a filter.
    fn give_back(&mut self, agent: &str) {
        self.recover(agent, None);
    }

    /// Declines the offer of an agent; does not run.
    fn decline(&mut self, agent: &str, seconds: u64) {
        self.recover(agent, Some(Duration::from_secs(seconds)));
    }

    fn recover(&mut self, agent: &str, filter: Option<Duration>) {
        let Grant { framework, role, agent, resources } = self.offers.remove(agent).unwrap();
        self.allocator.recover(self.now, &framework, &role, &agent, &resources, filter).unwrap();
    }

    fn share(&self, path: &str) -> f64 {
        let shares = self.allocator.role_shares();
        shares.into_iter().find(|share| share.path == path).unwrap().share.as_f64()
    }
}

fn agent_id(id: &str) -> AgentId {
    id.parse().unwrap()
}

fn framework_id(id: &str) -> FrameworkId {
    id.parse().unwrap()
}

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn roles(text: &str) -> BTreeSet<Role> {
    text.split(',').map(role).collect()
}

fn resources(text: &str) -> Resources {
    text.parse().unwrap()
}

fn weight(whole: u64) -> Weight {
    Weight::new(Scalar::from_whole(whole)).unwrap()
}

#[test]
fn each_agent_goes_to_the_role_with_the_smallest_dominant_share() {
    let mut cluster = Cluster::new();
    assert_eq!(cluster.agent("a1", "cpus:2;mem:1024"), NOTHING);
    assert_eq!(cluster.framework("f1", "role1"), ["a1 to f1@role1"]);
    assert_eq!(cluster.framework("f2", "role2"), NOTHING);
    assert_eq!(cluster.agent("a2", "cpus:1;mem:512"), ["a2 to f2@role2"]);
    assert_eq!(cluster.agent("a3", "cpus:3;mem:2048"), ["a3 to f2@role2"]);
    assert_eq!(cluster.framework("f3", "role1"), NOTHING);
    assert_eq!(cluster.agent("a4", "cpus:4;mem:4096"), ["a4 to f3@role1"]);
    assert_eq!(cluster.framework("f4", "role1"), NOTHING);
    assert_eq!(cluster.agent("a5", "cpus:1;mem:512"), ["a5 to f2@role2"]);
}

#[test]
fn a_branch_of_roles_counts_with_all_below_it() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "a/b");
    assert_eq!(cluster.agent("a1", "cpus:2;mem:1024"), ["a1 to f1@a/b"]);
    cluster.framework("f2", "a/c");
    cluster.framework("f3", "d/e");
    assert_eq!(cluster.agent("a2", "cpus:1;mem:512"), ["a2 to f3@d/e"]);
    cluster.framework("f4", "d/f");
    assert_eq!(cluster.agent("a3", "cpus:2;mem:1024"), ["a3 to f4@d/f"]);
    assert_eq!((cluster.share("a"), cluster.share("d")), (0.4, 0.6));
}

#[test]
fn the_own_frameworks_of_a_role_compete_with_the_roles_below_it() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "a");
    assert_eq!(cluster.agent("a1", "cpus:1;mem:512"), ["a1 to f1@a"]);
    cluster.framework("f2", "a/b");
    assert_eq!(cluster.agent("a2", "cpus:2;mem:1024"), ["a2 to f2@a/b"]);
    assert_eq!(cluster.agent("a3", "cpus:2;mem:1024"), ["a3 to f1@a"]);
}

#[test]
fn frameworks_that_are_tied_take_turns() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "*");
    cluster.framework("f2", "*");
    let mut offered = cluster.agent("a1", "cpus:2;mem:1024");
    for _ in 1..10 {
        cluster.give_back("a1");
        offered.extend(cluster.batch_after(1));
    }
    assert_eq!(offered, ["a1 to f1@*", "a1 to f2@*"].repeat(5));
}

#[test]
fn declined_resources_are_offered_again_when_the_filter_ends() {
    let mut cluster = Cluster::with_interval(1);
    cluster.framework("f1", "role1");
    assert_eq!(cluster.agent("a1", "cpus:1;mem:512"), ["a1 to f1@role1"]);
    cluster.decline("a1", 2);
    assert_eq!((cluster.batch_after(1), cluster.allocator.refusal_count()), (vec![], 1));
    assert_eq!(cluster.allocator.next_deadline(), Some(Duration::from_secs(2)));
    assert_eq!(cluster.batch_after(1), ["a1 to f1@role1"]);
    assert_eq!((cluster.allocator.refusal_count(), cluster.allocator.next_deadline()), (0, None));
}

#[test]
fn a_filter_shorter_than_the_interval_still_blocks_one_batch() {
    let mut cluster = Cluster::with_interval(60);
    cluster.framework("f1", "role1");
    cluster.used_agent("a1", "cpus:1;mem:512", &[("f1", "role1", "cpus:1;mem:512")]);
    cluster.framework("f2", "role1");
    assert_eq!(cluster.agent("a2", "cpus:1;mem:512"), ["a2 to f2@role1"]);
    cluster.decline("a2", 1);
    assert_eq!(cluster.allocator.next_deadline(), Some(Duration::from_secs(60)));
    assert_eq!(cluster.batch_after(60), ["a2 to f1@role1"]);
    cluster.give_back("a2");
    assert_eq!(cluster.batch_after(60), ["a2 to f2@role1"]);
}

#[test]
fn agents_are_divided_by_weight() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.framework("f2", "role2");
    for agent in ["a1", "a2", "a3", "a4", "a5", "a6"] {
        cluster.agent(agent, "cpus:2;mem:1024");
    }
    assert_eq!(agents_per_framework(&cluster), [("f1", 3), ("f2", 3)]);
    cluster.allocator.set_weight(&role("role2"), weight(2));
    assert!(!cluster.allocator.is_pending());
    offer_all_again(&mut cluster);
    assert_eq!(agents_per_framework(&cluster), [("f1", 2), ("f2", 4)]);
    cluster.allocator.set_weight(&role("role3"), weight(3));
    cluster.framework("f3", "role3");
    offer_all_again(&mut cluster);
    assert_eq!(agents_per_framework(&cluster), [("f1", 1), ("f2", 2), ("f3", 3)]);
}

fn offer_all_again(cluster: &mut Cluster) {
    let agents: Vec<String> = cluster.offers.keys().cloned().collect();
    agents.iter().for_each(|agent| cluster.give_back(agent));
    assert_eq!(cluster.batch_after(1).len(), agents.len());
}

fn agents_per_framework(cluster: &Cluster) -> Vec<(&str, usize)> {
    let mut counts = BTreeMap::new();
    for grant in cluster.offers.values() {
        *counts.entry(grant.framework.as_str()).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn roles_of_one_framework_are_suppressed_and_revived_apart() {
    let mut cluster = Cluster::new();
    let (both, first) = (roles("role1,role2"), roles("role1"));
    cluster.allocator.add_framework(framework_id("f1"), &both, &first).unwrap();
    assert_eq!(cluster.agent("a1", "cpus:2;mem:1024"), ["a1 to f1@role2"]);
    cluster.decline("a1", DAY);
    assert_eq!(cluster.batch_after(1), NOTHING);
    cluster.allocator.revive(&framework_id("f1"), &first).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
    cluster.decline("a1", DAY);
    assert_eq!(cluster.batch_after(1), NOTHING);
}

#[test]
fn a_suppressed_framework_is_offered_nothing_until_it_revives_all_its_roles() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1,role2");
    cluster.allocator.suppress(&framework_id("f1"), &BTreeSet::new()).unwrap();
    assert_eq!(cluster.agent("a1", "cpus:2;mem:1024"), NOTHING);
    cluster.allocator.revive(&framework_id("f1"), &BTreeSet::new()).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
}

#[test]
fn a_revived_framework_is_offered_what_it_refused() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1,role2");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.decline("a1", DAY);
    assert_eq!(cluster.run(), ["a1 to f1@role2"]);
    cluster.decline("a1", DAY);
    cluster.allocator.revive(&framework_id("f1"), &roles("role2")).unwrap();
    assert_eq!((cluster.run(), cluster.allocator.refusal_count()), (vec!["a1 to f1@role2".to_owned()], 1));
    cluster.decline("a1", DAY);
    cluster.allocator.suppress(&framework_id("f1"), &roles("role2")).unwrap();
    assert_eq!((cluster.run(), cluster.allocator.refusal_count()), (vec![], 2));
}

#[test]
fn too_little_is_not_offered() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    assert_eq!(cluster.agent("a1", "cpus:0.005;mem:16;disk:128"), NOTHING);
    assert_eq!(cluster.agent("a2", "cpus:0.01;mem:16"), ["a2 to f1@role1"]);
    assert_eq!(cluster.agent("a3", "cpus:0.005;mem:32"), ["a3 to f1@role1"]);
    let mut cluster = Cluster::with(AllocatorConfig { minimum: vec![], ..AllocatorConfig::default() });
    cluster.framework("f1", "role1");
    assert_eq!(cluster.agent("a1", "cpus:0.005;mem:16;disk:128"), ["a1 to f1@role1"]);
    assert_eq!(cluster.agent("a2", ""), NOTHING);
}

#[test]
fn a_declined_agent_goes_to_the_next_framework_without_waiting_for_a_timer() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.framework("f2", "role2");
    assert_eq!(cluster.agent("a1", "cpus:2;mem:1024"), ["a1 to f1@role1"]);
    cluster.decline("a1", 5);
    assert!(cluster.allocator.is_pending());
    assert_eq!(cluster.run(), ["a1 to f2@role2"]);
    cluster.decline("a1", 5);
    assert_eq!(cluster.run(), NOTHING);
    assert!(!cluster.allocator.is_pending());
}

#[test]
fn a_refusal_of_no_length_sets_no_filter() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.decline("a1", 0);
    assert_eq!((cluster.allocator.refusal_count(), cluster.run()), (0, vec!["a1 to f1@role1".to_owned()]));
}

#[test]
fn a_filter_that_is_due_before_its_first_run_ends_after_it() {
    let mut cluster = Cluster::with_interval(1);
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.decline("a1", 5);
    cluster.now += Duration::from_secs(10);
    assert_eq!(cluster.run(), NOTHING);
    assert!(cluster.allocator.is_pending());
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
}

#[test]
fn a_filter_does_not_hold_back_more_than_was_refused() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.used_agent("a1", "cpus:2;mem:1024", &[("f1", "role1", "cpus:1;mem:512")]);
    cluster.decline("a1", DAY);
    assert_eq!(cluster.run(), NOTHING);
    let (framework, role, agent) = (framework_id("f1"), role("role1"), agent_id("a1"));
    cluster.allocator.recover(cluster.now, &framework, &role, &agent, resources("cpus:1;mem:512"), None).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
    assert_eq!(cluster.offers["a1"].resources, resources("cpus:2;mem:1024").into());
}

#[test]
fn refusals_are_forgotten_when_the_agent_describes_itself_anew_or_the_framework_reconnects() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.decline("a1", DAY);
    let (agent, total) = (agent_id("a1"), resources("cpus:2;mem:1024"));
    cluster.allocator.update_agent(&agent, &total, BTreeMap::new()).unwrap();
    assert_eq!(cluster.run(), NOTHING);
    let zone = BTreeMap::from([("zone".to_owned(), "b".to_owned())]);
    cluster.allocator.update_agent(&agent, &total, zone).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
    cluster.decline("a1", DAY);
    cluster.allocator.deactivate_framework(&framework_id("f1")).unwrap();
    assert_eq!((cluster.run(), cluster.allocator.refusal_count()), (vec![], 0));
    cluster.allocator.activate_framework(&framework_id("f1")).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
}

#[test]
fn a_deactivated_agent_is_not_offered_until_it_is_active_again() {
    let mut cluster = Cluster::new();
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.allocator.deactivate_agent(&agent_id("a1")).unwrap();
    assert_eq!(cluster.framework("f1", "role1"), NOTHING);
    cluster.allocator.activate_agent(&agent_id("a1")).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@role1"]);
}

#[test]
fn tasks_of_a_framework_that_is_not_back_yet_count_in_its_role() {
    let mut cluster = Cluster::new();
    cluster.used_agent("a1", "cpus:2;mem:1024", &[("gone", "role1", "cpus:2;mem:1024")]);
    cluster.framework("f1", "role1");
    cluster.framework("f2", "role2");
    assert_eq!(cluster.share("role1"), 1.0);
    assert_eq!(cluster.agent("a2", "cpus:1;mem:512"), ["a2 to f2@role2"]);
}

#[test]
fn what_a_removed_framework_holds_stays_charged_until_it_comes_back() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.allocator.remove_framework(&framework_id("f1")).unwrap();
    assert_eq!(cluster.share("role1"), 1.0);
    assert_eq!(cluster.framework("f2", "role2"), NOTHING);
    cluster.give_back("a1");
    assert_eq!(cluster.allocator.framework_share(&framework_id("f1"), &role("role1")), None);
    assert_eq!(cluster.run(), ["a1 to f2@role2"]);
}

#[test]
fn a_role_that_a_framework_gives_up_gets_no_more_but_stays_charged() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:2;mem:1024");
    cluster.allocator.update_framework(&framework_id("f1"), &roles("role2"), &BTreeSet::new()).unwrap();
    assert_eq!(cluster.agent("a2", "cpus:2;mem:1024"), ["a2 to f1@role2"]);
    assert_eq!((cluster.share("role1"), cluster.share("role2")), (0.5, 0.5));
    cluster.give_back("a1");
    assert_eq!(cluster.run(), ["a1 to f1@role2"]);
}

#[test]
fn an_agent_that_shrinks_below_what_is_used_has_nothing_free() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:4;mem:1024;ports:[1-10]");
    cluster.allocator.update_agent(&agent_id("a1"), resources("cpus:1;mem:2048"), BTreeMap::new()).unwrap();
    assert_eq!(cluster.allocator.free(&agent_id("a1")), Some(resources("mem:1024").into()));
    assert_eq!(cluster.share("role1"), 4.0);
    cluster.give_back("a1");
    assert_eq!(cluster.allocator.free(&agent_id("a1")), Some(resources("cpus:1;mem:2048").into()));
}

#[test]
fn a_removed_agent_takes_what_was_held_of_it_along() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:4;mem:1024");
    cluster.agent("a2", "cpus:4;mem:1024");
    cluster.allocator.remove_agent(&agent_id("a1")).unwrap();
    assert_eq!(cluster.allocator.holdings(&agent_id("a1")).count(), 0);
    assert_eq!(cluster.allocator.role_shares()[0].allocated, resources("cpus:4;mem:1024"));
    assert_eq!(cluster.allocator.remove_agent(&agent_id("a1")), Err(AgentError::Unknown(agent_id("a1"))));
}

#[test]
fn events_that_contradict_what_is_known_are_errors_and_change_nothing() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:4;mem:1024");
    let (f1, f2, a1) = (framework_id("f1"), framework_id("f2"), agent_id("a1"));
    let allocator = &mut cluster.allocator;
    let added = allocator.add_agent(a1.clone(), resources("cpus:1"), BTreeMap::new(), &[]);
    assert_eq!(added, Err(AgentError::Known(a1.clone())));
    let port = Holding { framework: f1.clone(), role: role("role1"), resources: resources("ports:[1-1]").into() };
    let added = allocator.add_agent(agent_id("a2"), resources("cpus:1"), BTreeMap::new(), &[port.clone(), port]);
    assert!(matches!(added, Err(AgentError::Holdings { .. })));
    assert_eq!(allocator.mark(&agent_id("a2")), Err(AgentError::Unknown(agent_id("a2"))));
    let none = BTreeSet::new();
    assert_eq!(allocator.add_framework(f1.clone(), &none, &none), Err(FrameworkError::Known(f1.clone())));
    assert_eq!(allocator.revive(&f2, &none), Err(FrameworkError::Unknown(f2.clone())));
    let stranger = FrameworkError::NotSubscribed { framework: f1.clone(), role: role("role2") };
    assert_eq!(allocator.suppress(&f1, &roles("role1,role2")), Err(stranger.clone()));
    assert_eq!(allocator.update_framework(&f1, &roles("role1"), &roles("role2")), Err(stranger));
    assert_eq!(allocator.order(), [(f1, role("role1"))]);
    assert!(!allocator.is_pending());
}

#[test]
fn more_than_is_held_does_not_come_back() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "role1");
    cluster.agent("a1", "cpus:4;mem:1024");
    let mut recover = |framework: &str, role: &str, agent: &str, resources: &str| {
        let (framework, role, agent) = (framework_id(framework), self::role(role), agent_id(agent));
        cluster.allocator.recover(Duration::ZERO, &framework, &role, &agent, self::resources(resources), None)
    };
    assert_eq!(recover("f1", "role1", "a2", "cpus:1"), Err(RecoverError::UnknownAgent(agent_id("a2"))));
    assert!(matches!(recover("f1", "role2", "a1", "cpus:1"), Err(RecoverError::NotHeld { source: Some(_), .. })));
    let error = recover("f1", "role1", "a1", "cpus:5").unwrap_err();
    assert_eq!(error.to_string(), "framework f1 does not hold cpus:5 of agent a1 under role role1");
    assert_eq!(recover("f1", "role1", "a1", "cpus:4;mem:1024"), Ok(()));
    assert!(matches!(recover("f1", "role1", "a1", "cpus:1"), Err(RecoverError::NotHeld { source: Some(_), .. })));
    assert_eq!(cluster.allocator.free(&agent_id("a1")), Some(resources("cpus:4;mem:1024").into()));
}

#[test]
fn a_run_counts_the_agents_that_had_something_to_divide() {
    let mut cluster = Cluster::new();
    cluster.agent("a1", "cpus:1;mem:64");
    cluster.agent("a2", "cpus:1;mem:64");
    assert_eq!(cluster.allocator.divided_count(), 1, "the second one, of which nobody wanted anything");
    cluster.framework("f1", "role1");
    assert_eq!(cluster.allocator.divided_count(), 2);
    cluster.batch_after(1);
    assert_eq!(cluster.allocator.divided_count(), 0, "all is offered");
}
