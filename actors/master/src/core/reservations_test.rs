//! Reservations through the core: who makes them, who may use them, and what they outlive.

use super::testkit::{Play, agent_info, command_task, lasting, node, task_id};
use crate::record::Record;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::{AgentTask, RegisterAgent, RegisterAgentError};
use odeon_protocol::messages::master_scheduler::{AcceptOffers, CallError, OfferOperation};
use odeon_protocol::messages::quota::{RoleQuota, SetRoleQuota};
use odeon_protocol::messages::reservations::{ReservationError, ReserveResources, UnreserveResources};
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;
use odeon_protocol::task::TaskState;
use std::collections::{BTreeMap, BTreeSet};

fn role(text: &str) -> Role {
    text.parse().unwrap()
}

fn typed(text: &str) -> TypedResources {
    text.parse().unwrap()
}

fn in_role(name: &str) -> FrameworkInfo {
    FrameworkInfo { roles: BTreeSet::from([role(name)]), ..lasting(name) }
}

impl Play {
    fn reserve(&mut self, agent_id: &AgentId, from: &str, for_role: &str) -> Result<(), ReservationError> {
        let (agent_id, role) = (agent_id.clone(), role(for_role));
        let message = ReserveResources { agent_id, resources: typed(from), role, labels: BTreeMap::new() };
        self.call(|core, now, out| core.on_reserve_resources(&message, now, out))
    }

    fn unreserve(&mut self, agent_id: &AgentId, from: &str) -> Result<(), ReservationError> {
        let message = UnreserveResources { agent_id: agent_id.clone(), resources: typed(from) };
        self.call(|core, now, out| core.on_unreserve_resources(&message, now, out))
    }

    fn operate(&mut self, offer: &Offer, operations: Vec<OfferOperation>, tasks: &[&str]) -> Result<(), CallError> {
        let tasks = tasks.iter().map(|id| command_task(id, "cpus:1;mem:64")).collect();
        let (framework_id, offer_ids) = (offer.framework_id.clone(), vec![offer.offer_id.clone()]);
        let message = AcceptOffers { framework_id, offer_ids, operations, tasks, filters: Filters::default() };
        let name = self.core.node_of_scheduler(&offer.framework_id).unwrap().name.clone();
        self.call(|core, now, out| core.on_accept_offers(&node(&name), message, now, out))
    }

    fn reserved(&self, agent_id: &AgentId) -> String {
        self.core.agents[agent_id].reserved_in_all().to_string()
    }

    /// An agent comes back with what it had, as the same.
    fn returns(&mut self, name: &str, agent_id: &AgentId, total: &str, tasks: Vec<AgentTask>) {
        self.register_as(name, total, Some(agent_id.clone()), tasks);
    }
}

fn reserve(resources: &str) -> OfferOperation {
    OfferOperation::Reserve { resources: typed(resources), labels: BTreeMap::new() }
}

fn unreserve(resources: &str) -> OfferOperation {
    OfferOperation::Unreserve { resources: typed(resources) }
}

#[test]
fn what_an_operator_reserves_is_offered_to_its_role_alone_and_tasks_take_of_it_first() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    assert_eq!(play.reserve(&agent_id, "cpus:3;mem:512", "ads"), Ok(()));
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):3;mem(dynamic:ads):512");
    play.subscribe("web", None, in_role("web"));
    let theirs = play.offers().remove(0);
    assert_eq!((theirs.resources.to_string(), theirs.reserved.is_empty()), ("cpus:1;mem:512".to_owned(), true));
    play.subscribe("ads", None, in_role("ads"));
    let ours = play.offers().remove(0);
    assert_eq!(ours.resources.to_string(), "cpus:3;mem:512");
    assert_eq!(ours.reserved.to_string(), "cpus(dynamic:ads):3;mem(dynamic:ads):512");
    play.accept("ads", &ours, vec![command_task("t", "cpus:2;mem:64")]);
    let task = play.core.task(&(ours.framework_id, task_id("t"))).unwrap();
    assert_eq!(task.takes().to_string(), "cpus(dynamic:ads):2;mem(dynamic:ads):64");
}

#[test]
fn reserving_takes_offers_back_but_nothing_from_a_task() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.subscribe("g", None, lasting("g"));
    assert_eq!(play.offers().len(), 1, "the rest is offered again");
    let refused = play.reserve(&agent_id, "cpus:2", "ads").unwrap_err();
    assert_eq!(refused.to_string(), "cpus:2 is not free: there is cpus:1;mem:960");
    assert_eq!(play.core.offers.len(), 1, "a refusal takes nothing back");
    assert_eq!(play.reserve(&agent_id, "cpus:1", "ads"), Ok(()));
    assert_eq!(play.core.offers.len(), 0);
    assert_eq!(play.state(&key), Some(TaskState::Staging));
}

#[test]
fn reservations_outlive_the_agents_process_and_the_master() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:3", "ads").unwrap();
    let mut play = play.restart();
    assert_eq!(play.reserve(&agent_id, "cpus:1", "ads"), Err(ReservationError::Away(agent_id.clone())));
    play.returns("a", &agent_id, "cpus:4;mem:1024", Vec::new());
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):3");
    assert_eq!(play.unreserve(&agent_id, "cpus(dynamic:ads):3"), Ok(()));
    let mut play = play.restart();
    play.returns("a", &agent_id, "cpus:4;mem:1024", Vec::new());
    assert_eq!(play.reserved(&agent_id), "");
}

#[test]
fn tasks_that_come_back_to_another_master_take_of_what_is_reserved_for_them() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:2", "ads").unwrap();
    let framework_id = play.subscribe("ads", None, in_role("ads"));
    let mut play = play.restart();
    let task = |id: &str| AgentTask {
        framework_id: framework_id.clone(),
        role: role("ads"),
        task: command_task(id, "cpus:1.5;mem:64"),
        state: TaskState::Running,
    };
    play.returns("a", &agent_id, "cpus:4;mem:1024", vec![task("t1"), task("t2")]);
    let takes = |id: &str| play.core.task(&(framework_id.clone(), task_id(id))).unwrap().takes().to_string();
    assert_eq!(takes("t1"), "mem:64;cpus(dynamic:ads):1.5");
    assert_eq!(takes("t2"), "cpus:1;mem:64;cpus(dynamic:ads):0.5");
    let used = play.unreserve(&agent_id, "cpus(dynamic:ads):1").unwrap_err().to_string();
    assert!(used.starts_with("cpus(dynamic:ads):1 is not free: there is cpus:1"), "{used}");
}

#[test]
fn an_agent_that_comes_back_with_less_keeps_of_its_reservations_what_it_still_has() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:3", "ads").unwrap();
    play.returns("a", &agent_id, "cpus:2;mem:1024", Vec::new());
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):2");
}

#[test]
fn a_framework_reserves_and_unreserves_what_it_is_offered() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.subscribe("ads", None, in_role("ads"));
    let offer = play.offers().remove(0);
    assert_eq!(play.operate(&offer, vec![reserve("cpus:2"), reserve("mem:64")], &["t"]), Ok(()));
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):2;mem(dynamic:ads):64");
    play.wait(6_000);
    let offer = play.offers().remove(0);
    assert_eq!(offer.reserved.to_string(), "cpus(dynamic:ads):1", "the task has the rest");
    assert_eq!(play.operate(&offer, vec![unreserve("cpus(dynamic:ads):0.5")], &[]), Ok(()));
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):1.5;mem(dynamic:ads):64");
}

#[test]
fn one_operation_that_cannot_be_done_keeps_all_others_and_the_tasks_from_being_done() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.subscribe("ads", None, in_role("ads"));
    for (operations, index, text) in [
        (vec![reserve("cpus:2"), reserve("cpus:3")], 1, "cpus:3 is not free: there is cpus:2;mem:1024"),
        (vec![unreserve("cpus:1")], 0, "cpus:1 is not reserved by anybody who could undo it"),
        (vec![reserve("")], 0, "no resources are named"),
    ] {
        play.wait(1_000);
        let offer = play.offers().remove(0);
        let refused = play.operate(&offer, operations, &["t"]).unwrap_err();
        let CallError::Operation { index: at, cause } = refused else { panic!("{refused}") };
        assert_eq!(at, index);
        assert!(cause.to_string().starts_with(text), "{cause}");
        assert_eq!(play.told(), [("t".to_owned(), TaskState::Dropped)]);
        assert_eq!((play.reserved(&agent_id), play.core.offers.len()), (String::new(), 0));
    }
}

#[test]
fn operations_on_an_offer_that_is_void_are_refused_aloud() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.subscribe("ads", None, in_role("ads"));
    let offer = play.offers().remove(0);
    play.lose("a");
    let refused = play.operate(&offer, vec![reserve("cpus:2")], &[]).unwrap_err();
    assert!(matches!(refused, CallError::OffersUnusable(_)), "{refused}");
    assert_eq!(play.core.agents[&agent_id].reserved.to_string(), "");
}

#[test]
fn a_reservation_for_a_role_is_refined_for_one_below_it_and_for_no_other() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:3", "ads").unwrap();
    assert_eq!(play.reserve(&agent_id, "cpus(dynamic:ads):2", "ads/eu"), Ok(()));
    let refused = play.reserve(&agent_id, "cpus(dynamic:ads):1", "web").unwrap_err();
    assert!(matches!(refused, ReservationError::Class(_)), "{refused}");
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):1;cpus(dynamic:ads,dynamic:ads/eu):2");
    assert_eq!(play.unreserve(&agent_id, "cpus(dynamic:ads,dynamic:ads/eu):2"), Ok(()));
    assert_eq!(play.reserved(&agent_id), "cpus(dynamic:ads):3");
    let nobody = play.reserve(&agent_id, "cpus:1", "*").unwrap_err();
    assert!(matches!(nobody, ReservationError::Class(_)), "{nobody}");
}

#[test]
fn what_an_agents_configuration_reserves_is_kept_apart_and_cannot_be_unreserved() {
    let mut play = Play::new();
    let info = |reserved: &str| AgentInfo { reserved: typed(reserved), ..agent_info("a", "cpus:4;mem:1024") };
    let register = |play: &mut Play, reserved: &str| {
        let message = RegisterAgent { agent_id: None, info: info(reserved), tasks: Vec::new(), actor: None };
        play.call(|core, now, out| core.on_register_agent(&node("a"), message, now, out))
    };
    for nonsense in ["cpus(ads):5", "cpus(dynamic:ads):1", "cpus:1"] {
        let refused = register(&mut play, nonsense).unwrap_err();
        assert!(matches!(refused, RegisterAgentError::Reservations { .. }), "{nonsense}: {refused}");
    }
    let agent_id = register(&mut play, "cpus(ads):1").unwrap().agent_id;
    play.subscribe("web", None, in_role("web"));
    assert_eq!(play.offers().remove(0).resources.to_string(), "cpus:3;mem:1024");
    let refused = play.unreserve(&agent_id, "cpus(ads):1").unwrap_err();
    assert!(matches!(refused, ReservationError::NotDynamic(_)), "{refused}");
    assert_eq!(play.reserve(&agent_id, "cpus(ads):1", "ads/eu"), Ok(()));
    assert_eq!(play.reserved(&agent_id), "cpus(ads,dynamic:ads/eu):1");
}

#[test]
fn a_reservation_counts_against_the_limits_of_its_role_and_those_above_once() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:8;mem:1024");
    let limits = BTreeMap::from([("cpus".to_owned(), odeon_protocol::resources::Scalar::from_whole(3))]);
    let quota = RoleQuota { limits, ..RoleQuota::default() };
    let message = SetRoleQuota { role: role("ads"), quota, force: false };
    play.call(|core, now, out| core.on_set_role_quota(message, now, out)).unwrap();
    let refused = play.reserve(&agent_id, "cpus:4", "ads/eu").unwrap_err();
    assert_eq!(refused.to_string(), "role ads would have 4 of cpus, above its limit of 3");
    assert_eq!(play.reserve(&agent_id, "cpus:3", "ads"), Ok(()));
    assert_eq!(play.reserve(&agent_id, "cpus(dynamic:ads):2", "ads/eu"), Ok(()), "it counts already");
    assert!(play.reserve(&agent_id, "cpus:0.1", "ads").is_err());
}

#[test]
fn what_is_reserved_of_an_agent_ends_with_its_id() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:3", "ads").unwrap();
    let gone = odeon_protocol::messages::operations::MarkAgentGone { agent_id: agent_id.clone() };
    play.call(|core, now, out| core.on_mark_agent_gone(&gone, now, out)).unwrap();
    assert!(matches!(play.records.last(), Some(Record::AgentGone { .. })));
    let unknown = play.reserve(&agent_id, "cpus:1", "ads").unwrap_err();
    assert_eq!(unknown, ReservationError::UnknownAgent(agent_id));
}

#[test]
fn only_offers_of_what_is_wanted_are_taken_back() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:2;mem:512", "ads").unwrap();
    play.subscribe("web", None, in_role("web"));
    assert_eq!(play.offers().len(), 1);
    let ads = play.subscribe("ads", None, in_role("ads"));
    assert_eq!(play.offers().len(), 1);
    assert_eq!(play.reserve(&agent_id, "cpus:1", "web"), Ok(()));
    let left: Vec<_> = play.core.offers.values().map(|offer| offer.framework_id.clone()).collect();
    assert_eq!(left, [ads]);
}

#[test]
fn what_is_reserved_for_others_is_not_free_for_a_guarantee_and_counts_against_a_limit() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    play.reserve(&agent_id, "cpus:2", "ads").unwrap();
    play.subscribe("web", None, in_role("web"));
    assert_eq!(play.offers().len(), 1);
    let two = || BTreeMap::from([("cpus".to_owned(), odeon_protocol::resources::Scalar::from_whole(2))]);
    let quota = RoleQuota { guarantees: two(), ..RoleQuota::default() };
    let message = SetRoleQuota { role: role("prod"), quota, force: false };
    play.call(|core, now, out| core.on_set_role_quota(message, now, out)).unwrap();
    assert_eq!(play.core.offers.len(), 0, "what is plain was all offered, and is needed");
    play.reserve(&agent_id, "cpus:1", "ads").unwrap();
    let quota = RoleQuota { limits: two(), ..RoleQuota::default() };
    let message = SetRoleQuota { role: role("ads"), quota, force: false };
    let refused = play.call(|core, now, out| core.on_set_role_quota(message, now, out)).unwrap_err();
    assert!(refused.to_string().starts_with("role ads uses 3 of cpus, above the limit of 2"), "{refused}");
}
