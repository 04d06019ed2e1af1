//! Quota and resources by class, where plain calls show more than a scenario file does.

use super::*;
use crate::{AgentProfile, Capabilities, ConvertError, FrameworkProfile, Quota, QuotaError, QuotaLevels, Reason};
use odeon_protocol::resources::TypedResources;

fn typed(text: &str) -> TypedResources {
    text.parse().unwrap()
}

fn scalars(text: &str) -> BTreeMap<String, Scalar> {
    resources(text).scalars().map(|(name, amount)| (name.to_owned(), amount)).collect()
}

fn quota(guarantees: &str, limits: &str) -> Quota {
    Quota { guarantees: scalars(guarantees), limits: scalars(limits) }
}

impl Cluster {
    fn typed_agent(&mut self, id: &str, total: &str) -> Vec<String> {
        self.allocator.add_agent_with(agent_id(id), AgentProfile::new(typed(total)), &[]).unwrap();
        self.run()
    }

    fn why(&self, framework: &str, role: &str, agent: &str) -> &'static str {
        self.allocator.why(self.now, &framework_id(framework), &self::role(role), &agent_id(agent)).word()
    }
}

#[test]
fn what_is_offered_beyond_a_guarantee_leaves_room_for_other_guarantees() {
    let mut cluster = Cluster::new();
    cluster.allocator.set_quota(&role("q"), &quota("cpus:0.5;mem:200", "cpus:0.5;mem:200")).unwrap();
    cluster.framework("f1", "q");
    assert_eq!(cluster.agent("a1", "cpus:1;mem:512"), ["a1 to f1@q"]);
    assert_eq!(cluster.offers["a1"].resources, typed("cpus:0.5;mem:200"));
    assert_eq!(cluster.why("f1", "q", "a1"), "quota-limit");
    assert_eq!(cluster.framework("f2", "n"), ["a1 to f2@n"]);
    assert_eq!(cluster.offers["a1"].resources, typed("cpus:0.5;mem:312"));
    assert_eq!(cluster.why("f2", "n", "a1"), "nothing-free");
}

#[test]
fn quota_at_all_levels_holds_frameworks_below_to_it() {
    for (levels, given) in [(QuotaLevels::Top, "cpus:4;mem:512"), (QuotaLevels::All, "cpus:3;mem:512")] {
        let mut cluster = Cluster::with(AllocatorConfig { quota_levels: levels, ..AllocatorConfig::default() });
        cluster.allocator.set_quota(&role("a"), &quota("", "cpus:3")).unwrap();
        cluster.framework("f1", "a/b");
        assert_eq!(cluster.agent("a1", "cpus:4;mem:512"), ["a1 to f1@a/b"]);
        assert_eq!(cluster.offers["a1"].resources, typed(given));
    }
}

#[test]
fn a_quota_that_cannot_be_met_is_refused() {
    let mut allocator = Allocator::new(AllocatorConfig::default());
    let nested = allocator.set_quota(&role("a/b"), &quota("cpus:1", ""));
    assert_eq!(nested, Err(QuotaError::NotTopLevel(role("a/b"))));
    let above = allocator.set_quota(&role("a"), &quota("cpus:2", "cpus:1"));
    assert!(matches!(above, Err(QuotaError::GuaranteeAboveLimit { .. })));
}

#[test]
fn a_mounted_disk_is_given_out_whole_or_not_at_all() {
    let mut cluster = Cluster::new();
    cluster.allocator.set_quota(&role("q"), &quota("", "cpus:9;disk:50")).unwrap();
    cluster.framework("f1", "q");
    cluster.typed_agent("a1", "cpus:1;mem:64;disk[mount=/mnt/1]:100");
    assert_eq!(cluster.offers["a1"].resources, typed("cpus:1;mem:64"));
    cluster.typed_agent("a2", "cpus:1;mem:64;disk[path=/mnt/1]:100");
    assert_eq!(cluster.offers["a2"].resources, typed("cpus:1;mem:64;disk[path=/mnt/1]:50"));
}

#[test]
fn a_shared_volume_is_held_by_several_and_charged_to_a_role_once() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "r");
    cluster.typed_agent("a1", "cpus:2;mem:1024;disk(r)[id=v,shared]:100");
    let part = typed("cpus:1;mem:512;disk(r)[id=v,shared]:100");
    let (f1, r, a1) = (framework_id("f1"), role("r"), agent_id("a1"));
    cluster.allocator.recover(cluster.now, &f1, &r, &a1, typed("cpus:1;mem:512"), None).unwrap();
    assert_eq!(cluster.run(), ["a1 to f1@r"]);
    assert_eq!(cluster.offers["a1"].resources, part);
    assert_eq!(cluster.allocator.role_shares()[0].allocated, resources("cpus:2;mem:1024;disk:100"));
    cluster.allocator.recover(cluster.now, &f1, &r, &a1, &part, None).unwrap();
    assert_eq!(cluster.allocator.role_shares()[0].allocated, resources("cpus:1;mem:512;disk:100"));
    let shrunk = cluster.allocator.update_agent(&a1, typed("cpus:2;mem:1024"), BTreeMap::new());
    assert_eq!(shrunk, Err(AgentError::SharedInUse(a1.clone())));
    cluster.allocator.remove_agent(&a1).unwrap();
    assert_eq!(cluster.allocator.role_shares()[0].allocated, resources(""));
}

#[test]
fn resources_change_their_class_in_the_hands_of_a_framework_and_when_free() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "r");
    cluster.typed_agent("a1", "cpus:2;mem:1024;disk:100");
    let (f1, r, a1) = (framework_id("f1"), role("r"), agent_id("a1"));
    let holder = Some((&f1, &r));
    let reserved = typed("cpus(dynamic:r):1");
    cluster.allocator.convert(holder, &a1, &typed("cpus:1"), &reserved).unwrap();
    assert_eq!(cluster.allocator.consumed(&r), resources("cpus:2;mem:1024;disk:100"));
    let rest = typed("cpus:1;cpus(dynamic:r):1;mem:1024;disk:100");
    cluster.allocator.recover(cluster.now, &f1, &r, &a1, &rest, None).unwrap();
    assert_eq!(cluster.allocator.consumed(&r), resources("cpus:1"));
    assert_eq!(cluster.batch_after(1), ["a1 to f1@r"]);
    assert_eq!(cluster.offers["a1"].resources, rest);
    cluster.allocator.recover(cluster.now, &f1, &r, &a1, &rest, None).unwrap();
    let unequal = cluster.allocator.convert(None, &a1, &typed("cpus:1"), &typed("cpus(dynamic:r):2"));
    assert!(matches!(unequal, Err(ConvertError::Unequal { .. })));
    let absent = cluster.allocator.convert(holder, &a1, &typed("cpus:1"), &reserved);
    assert!(matches!(absent, Err(ConvertError::NotThere { .. })));
    cluster.allocator.convert(None, &a1, &reserved, &typed("cpus:1")).unwrap();
    assert_eq!(cluster.allocator.total(&a1), Some(typed("cpus:2;mem:1024;disk:100")));
}

#[test]
fn what_a_framework_cannot_read_is_not_offered_to_it() {
    let mut cluster = Cluster::new();
    let mut profile = FrameworkProfile::new(roles("a/b"), BTreeSet::new());
    profile.capabilities = Capabilities::NONE;
    cluster.allocator.add_framework_with(framework_id("f1"), profile).unwrap();
    cluster.typed_agent("a1", "cpus:1;mem:64;cpus[revocable]:1;cpus(a,dynamic:a/b):1;disk(a)[id=v,shared]:9");
    assert_eq!(cluster.offers["a1"].resources, typed("cpus:1;mem:64"));
    assert_eq!(cluster.why("f1", "a/b", "a1"), "not-for-this-role");
    assert_eq!(cluster.typed_agent("a2", "cpus:1;mem:64;gpus:1"), NOTHING);
    let reason = cluster.allocator.why(cluster.now, &framework_id("f1"), &role("a/b"), &agent_id("a2"));
    assert_eq!(reason, Reason::Capability("GPU_RESOURCES"));
}

#[test]
fn with_a_quota_nobody_is_offered_anything_until_most_agents_are_back() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "r");
    cluster.allocator.set_quota(&role("q"), &quota("cpus:1", "")).unwrap();
    cluster.allocator.await_agents(cluster.now, 3);
    assert_eq!(cluster.agent("a1", "cpus:2;mem:64"), NOTHING);
    assert_eq!(cluster.why("f1", "r", "a1"), "paused");
    assert_eq!(cluster.agent("a2", "cpus:2;mem:64"), NOTHING);
    assert_eq!(cluster.agent("a3", "cpus:2;mem:64").len(), 3);
}

#[test]
fn an_agent_that_comes_twice_after_a_failover_counts_once() {
    let mut cluster = Cluster::new();
    cluster.framework("f1", "r");
    cluster.allocator.set_quota(&role("q"), &quota("cpus:1", "")).unwrap();
    cluster.allocator.await_agents(cluster.now, 2);
    cluster.agent("a1", "cpus:2;mem:64");
    cluster.allocator.remove_agent(&agent_id("a1")).unwrap();
    assert_eq!(cluster.agent("a1", "cpus:2;mem:64"), NOTHING);
    assert_eq!(cluster.agent("a2", "cpus:2;mem:64").len(), 2);
    cluster.allocator.remove_agent(&agent_id("a2")).unwrap();
    assert_eq!(cluster.agent("a3", "cpus:2;mem:64").len(), 1);
}
