//! Quota: what operators may set, what follows for offers, and that it holds over restarts of the master.

use super::testkit::{Play, command_task, lasting, resources};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::operations::ExplainFramework;
use odeon_protocol::messages::quota::{Amounts, RemoveRoleQuota, RoleQuota, RoleQuotaError, SetRoleQuota};
use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;
use std::collections::BTreeSet;

fn role(text: &str) -> Role {
    Role::new(text).unwrap()
}

fn cpus(amount: u64) -> Amounts {
    Amounts::from([("cpus".to_owned(), Scalar::from_whole(amount))])
}

/// Quota of processors alone; `None` neither guarantees nor limits.
fn quota(guarantee: Option<u64>, limit: Option<u64>) -> RoleQuota {
    RoleQuota { guarantees: guarantee.map(cpus).unwrap_or_default(), limits: limit.map(cpus).unwrap_or_default() }
}

fn set(play: &mut Play, name: &str, quota: RoleQuota) -> Result<(), RoleQuotaError> {
    let message = SetRoleQuota { role: role(name), quota, force: false };
    play.call(|core, now, out| core.on_set_role_quota(message, now, out))
}

fn force(play: &mut Play, name: &str, quota: RoleQuota) -> Result<(), RoleQuotaError> {
    let message = SetRoleQuota { role: role(name), quota, force: true };
    play.call(|core, now, out| core.on_set_role_quota(message, now, out))
}

fn remove(play: &mut Play, name: &str) -> Result<(), RoleQuotaError> {
    play.call(|core, _, out| core.on_remove_role_quota(&RemoveRoleQuota { role: role(name) }, out))
}

fn quotas(play: &Play) -> Vec<(String, RoleQuota)> {
    play.core.on_get_role_quotas().into_iter().map(|listed| (listed.role.to_string(), listed.quota)).collect()
}

fn framework(play: &mut Play, name: &str, in_role: &str) -> FrameworkId {
    play.subscribe(name, None, in_role_of(in_role))
}

fn in_role_of(name: &str) -> FrameworkInfo {
    FrameworkInfo { roles: BTreeSet::from([role(name)]), ..lasting(name) }
}

/// Who is offered how many processors.
fn offered(play: &mut Play) -> Vec<(String, String)> {
    let told = play.offers();
    let mut told: Vec<_> =
        told.iter().map(|offer| (offer.role.to_string(), offer.resources.scalar("cpus").to_string())).collect();
    told.sort();
    told
}

fn some(role: &str, cpus: &str) -> (String, String) {
    (role.to_owned(), cpus.to_owned())
}

#[test]
fn a_role_is_offered_no_more_than_its_limit() {
    let mut play = Play::new();
    play.agent("a", "cpus:4;mem:4096");
    set(&mut play, "ads", quota(None, Some(1))).unwrap();
    framework(&mut play, "f", "ads");
    framework(&mut play, "g", "web");
    assert_eq!(offered(&mut play), [some("ads", "1"), some("web", "3")]);
}

#[test]
fn a_guarantee_is_held_back_while_its_role_has_no_framework() {
    let mut play = Play::new();
    play.agent("a", "cpus:4;mem:4096");
    set(&mut play, "ads", quota(Some(3), None)).unwrap();
    framework(&mut play, "g", "web");
    assert_eq!(offered(&mut play), [some("web", "1")]);
    remove(&mut play, "ads").unwrap();
    assert_eq!(offered(&mut play), [some("web", "3")]);
}

#[test]
fn a_framework_that_waits_for_its_quota_is_told_so() {
    let mut play = Play::new();
    play.agent("a", "cpus:4");
    set(&mut play, "ads", quota(None, Some(0))).unwrap();
    let framework_id = framework(&mut play, "f", "ads");
    assert!(play.offers().is_empty());
    let explained = play.core.on_explain_framework(&ExplainFramework { framework_id }, play.now()).unwrap();
    let told = &explained.findings[0].text;
    assert!(told.ends_with("cpus:4 is free; it is not offered: quota limit, role ads"), "{told}");
}

#[test]
fn a_limit_binds_the_roles_below() {
    let mut play = Play::new();
    play.agent("a", "cpus:4;mem:4096");
    set(&mut play, "eng", quota(None, Some(2))).unwrap();
    framework(&mut play, "f", "eng/ml/vision");
    assert_eq!(offered(&mut play), [some("eng/ml/vision", "2")]);
}

#[test]
fn offers_that_stand_against_a_new_limit_are_taken_back_and_no_others() {
    let mut play = Play::new();
    let hosts: Vec<_> = (0..4).map(|number| play.agent(&format!("a{number}"), "cpus:2;mem:1024")).collect();
    framework(&mut play, "f", "ads");
    assert_eq!(offered(&mut play).len(), hosts.len());
    set(&mut play, "ads", quota(None, Some(4))).unwrap();
    let kept = play.core.offers.len();
    assert_eq!(kept, 2, "as many are left as the limit allows");
    let rest = offered(&mut play);
    assert_eq!(rest, [some("ads", "0"), some("ads", "0")], "memory is not limited");
}

#[test]
fn offers_are_taken_back_for_a_guarantee_and_only_as_many_as_it_needs() {
    let mut play = Play::new();
    (0..4).for_each(|number| drop(play.agent(&format!("a{number}"), "cpus:2;mem:1024")));
    framework(&mut play, "g", "web");
    assert_eq!(offered(&mut play).len(), 4);
    let guaranteed = framework(&mut play, "f", "ads");
    set(&mut play, "ads", quota(Some(3), None)).unwrap();
    assert_eq!(play.core.offers.len(), 2, "two agents of four have the three processors");
    let offers = play.offers();
    let theirs = offers.iter().filter(|offer| offer.framework_id == guaranteed);
    let theirs: u64 = theirs.map(|offer| offer.resources.scalar("cpus").thousandths()).sum();
    assert!(theirs >= 3000, "{offers:?}");
}

#[test]
fn quota_that_says_nothing_contradicts_itself_or_is_not_there_is_refused() {
    let mut play = Play::new();
    play.agent("a", "cpus:8;mem:4096");
    assert_eq!(set(&mut play, "ads", RoleQuota::default()), Err(RoleQuotaError::Empty(role("ads"))));
    assert_eq!(remove(&mut play, "ads"), Err(RoleQuotaError::NotSet(role("ads"))));
    let refused = set(&mut play, "ads", quota(Some(3), Some(2))).unwrap_err().to_string();
    assert_eq!(refused, "role ads and those below it would be guaranteed 3 of cpus, above the limit of 2");
    assert_eq!(force(&mut play, "ads", quota(Some(3), Some(2))).unwrap_err().to_string(), refused);
    assert!(play.records.len() == 2 && quotas(&play).is_empty(), "nothing has changed");
}

#[test]
fn the_roles_below_one_are_not_guaranteed_more_than_it() {
    let mut play = Play::new();
    play.agent("a", "cpus:8;mem:4096");
    set(&mut play, "eng", quota(Some(4), None)).unwrap();
    set(&mut play, "eng/a", quota(Some(3), None)).unwrap();
    set(&mut play, "eng/a/x", quota(Some(3), None)).unwrap();
    let refused = set(&mut play, "eng/b", quota(Some(2), None)).unwrap_err().to_string();
    assert_eq!(refused, "the roles below eng would be guaranteed 5 of cpus, above its own guarantee of 4");
    let refused = set(&mut play, "eng", quota(Some(2), None)).unwrap_err().to_string();
    assert_eq!(refused, "the roles below eng would be guaranteed 3 of cpus, above its own guarantee of 2");
    set(&mut play, "eng/b", quota(Some(1), None)).unwrap();
    set(&mut play, "eng-b", quota(Some(2), None)).unwrap();
}

#[test]
fn a_limit_is_neither_above_one_above_nor_below_what_is_guaranteed_below() {
    let mut play = Play::new();
    play.agent("a", "cpus:8;mem:4096");
    set(&mut play, "eng/a", quota(Some(3), Some(5))).unwrap();
    let refused = set(&mut play, "eng", quota(None, Some(4))).unwrap_err().to_string();
    assert_eq!(refused, "role eng/a would be limited to 5 of cpus, above the limit of 4 of role eng");
    set(&mut play, "eng/a", quota(Some(3), None)).unwrap();
    let refused = set(&mut play, "eng", quota(None, Some(2))).unwrap_err();
    assert!(matches!(refused, RoleQuotaError::GuaranteeAboveLimit { .. }), "{refused}");
    set(&mut play, "eng", quota(None, Some(4))).unwrap();
    let refused = set(&mut play, "eng/b", quota(Some(2), None)).unwrap_err().to_string();
    assert_eq!(refused, "role eng and those below it would be guaranteed 5 of cpus, above the limit of 4");
    let refused = set(&mut play, "eng/b", quota(None, Some(5))).unwrap_err();
    assert!(matches!(refused, RoleQuotaError::LimitAboveParent { .. }), "{refused}");
}

#[test]
fn more_than_the_cluster_has_is_guaranteed_only_by_force() {
    let mut play = Play::new();
    play.agent("a", "cpus:4;mem:4096");
    set(&mut play, "ads", quota(Some(3), None)).unwrap();
    let refused = set(&mut play, "web", quota(Some(2), None)).unwrap_err();
    let RoleQuotaError::BeyondCapacity { guaranteed, total, .. } = &refused else { panic!("{refused}") };
    assert_eq!((*guaranteed, *total), (Scalar::from_whole(5), Scalar::from_whole(4)));
    force(&mut play, "web", quota(Some(2), None)).unwrap();
    set(&mut play, "db", quota(None, Some(100))).unwrap();
}

#[test]
fn a_limit_below_what_is_used_is_set_only_by_force_and_kills_nothing() {
    let mut play = Play::new();
    play.agent("a", "cpus:4;mem:4096");
    framework(&mut play, "f", "eng/ml");
    let offer = play.offers().remove(0);
    play.accept("f", &offer, vec![command_task("t", "cpus:3;mem:64")]);
    play.commands();
    let refused = set(&mut play, "eng", quota(None, Some(2))).unwrap_err();
    assert!(refused.to_string().starts_with("role eng uses 3"), "{refused}");
    force(&mut play, "eng", quota(None, Some(2))).unwrap();
    assert!(play.commands().is_empty());
    assert_eq!(play.core.on_get_role_quotas()[0].consumed, cpus(3));
}

#[test]
fn no_more_roles_have_a_quota_than_the_rules_allow() {
    let mut play = Play::new();
    play.core.rules.role_quotas_max = 1;
    set(&mut play, "ads", quota(None, Some(1))).unwrap();
    assert_eq!(set(&mut play, "web", quota(None, Some(1))), Err(RoleQuotaError::TooMany { max: 1 }));
    set(&mut play, "ads", quota(None, Some(2))).unwrap();
}

#[test]
fn quota_holds_over_a_restart_and_offers_wait_for_most_agents() {
    let mut play = Play::new();
    let agents: Vec<_> = (0..5).map(|number| play.agent(&format!("a{number}"), "cpus:2;mem:1024")).collect();
    let framework_id = framework(&mut play, "g", "web");
    set(&mut play, "ads", quota(Some(4), Some(6))).unwrap();
    set(&mut play, "db", quota(None, Some(6))).unwrap();
    remove(&mut play, "db").unwrap();
    let mut play = play.restart();
    assert_eq!(quotas(&play), [("ads".to_owned(), quota(Some(4), Some(6)))]);
    play.subscribe("g", Some(framework_id), in_role_of("web"));
    for (number, agent_id) in agents.into_iter().enumerate() {
        let offers = play.offers();
        assert!(offers.is_empty() || number >= 4, "an offer with {number} agents of 5: {offers:?}");
        play.register_as(&format!("a{number}"), "cpus:2;mem:1024", Some(agent_id), Vec::new());
    }
    play.wait(1000);
    let sum: u64 = play.offers().iter().map(|offer| offer.resources.scalar("cpus").thousandths()).sum();
    assert!(sum <= 6000, "four of ten are guaranteed to another role");
    assert!(sum > 0, "the pause is over");
}

#[test]
fn a_pause_ends_by_itself_if_agents_stay_away() {
    let mut play = Play::new();
    let agents: Vec<_> = (0..5).map(|number| play.agent(&format!("a{number}"), "cpus:2;mem:1024")).collect();
    let framework_id = framework(&mut play, "g", "web");
    set(&mut play, "ads", quota(None, Some(1))).unwrap();
    let mut play = play.restart();
    play.subscribe("g", Some(framework_id), in_role_of("web"));
    play.wait(598_000);
    play.register_as("a0", "cpus:2;mem:1024", Some(agents[0].clone()), Vec::new());
    play.wait(1_500);
    assert!(play.offers().is_empty());
    play.wait(2_000);
    assert_eq!(play.offers()[0].resources, resources("cpus:2;mem:1024"));
}
