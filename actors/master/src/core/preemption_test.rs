//! Priorities and demand: who is asked to give back, what is killed when the time is over, and that it holds over restarts.

use super::testkit::{Play, command_task, lasting, node, resources, task_id};
use crate::effect::{AgentCommand, Effect, SchedulerEvent};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::master_scheduler::{CallError, DEMAND_UNITS_MAX, DeclareDemand, ReturnWanted};
use odeon_protocol::messages::operations::SetRolePriority;
use odeon_protocol::messages::reservations::ReserveResources;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskState};
use std::collections::{BTreeMap, BTreeSet};

const GRACE_MS: u64 = 30_000;

fn role(text: &str) -> Role {
    Role::new(text).unwrap()
}

fn in_role(name: &str) -> FrameworkInfo {
    FrameworkInfo { roles: BTreeSet::from([role(name)]), ..lasting(name) }
}

fn prioritise(play: &mut Play, name: &str, priority: u32) {
    let message = SetRolePriority { role: role(name), priority };
    play.call(|core, _, out| core.on_set_role_priority(message, out));
}

fn demand(
    play: &mut Play,
    name: &str,
    framework_id: &FrameworkId,
    units: Option<Vec<Resources>>,
) -> Result<(), CallError> {
    let message = DeclareDemand { framework_id: framework_id.clone(), roles: BTreeSet::new(), units };
    play.call(|core, _, _| core.on_declare_demand(&node(name), message))
}

/// Those who are asked to give back since this was last asked.
fn asked(play: &mut Play) -> Vec<ReturnWanted> {
    let mut asked = Vec::new();
    play.effects.retain(|effect| match effect {
        Effect::TellScheduler { event: SchedulerEvent::ReturnWanted(wanted), .. } => {
            asked.push(wanted.clone());
            false
        }
        _ => true,
    });
    asked
}

fn killed(play: &mut Play) -> Vec<String> {
    let mut killed = Vec::new();
    play.effects.retain(|effect| match effect {
        Effect::CommandAgent { command: AgentCommand::Kill(kill), .. } => {
            killed.push(kill.task_id.to_string());
            false
        }
        _ => true,
    });
    killed
}

/// An agent of four processors that `low` has filled with four tasks, and `high`, which waits for one processor.
fn crowded() -> (Play, AgentId, FrameworkId, FrameworkId) {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:4096");
    let low = play.subscribe("low", None, in_role("low"));
    let offer = play.offers().remove(0);
    play.accept("low", &offer, (0..3).map(|at| command_task(&format!("t{at}"), "cpus:1;mem:64")).collect());
    play.wait(10_000);
    let mut rest = play.offers();
    if rest.is_empty() {
        let revive = odeon_protocol::messages::master_scheduler::ReviveOffers {
            framework_id: low.clone(),
            roles: BTreeSet::new(),
        };
        play.call(|core, _, _| core.on_revive_offers(&node("low"), &revive)).unwrap();
        rest = play.offers();
    }
    play.accept("low", &rest.remove(0), vec![command_task("young", "cpus:1;mem:3904")]);
    let high = play.subscribe("high", None, in_role("high"));
    assert_eq!(play.offers(), []);
    play.effects.clear();
    (play, agent_id, low, high)
}

fn unit() -> Option<Vec<Resources>> {
    Some(vec![resources("cpus:1;mem:64")])
}

#[test]
fn without_a_priority_nobody_gives_anything_back() {
    let (mut play, .., high) = crowded();
    demand(&mut play, "high", &high, unit()).unwrap();
    play.wait(2 * GRACE_MS);
    assert_eq!((asked(&mut play), killed(&mut play)), (vec![], vec![]));
}

#[test]
fn who_holds_more_than_its_part_is_asked_first_and_then_loses_its_youngest_task() {
    let (mut play, agent_id, low, high) = crowded();
    prioritise(&mut play, "high", 10);
    demand(&mut play, "high", &high, unit()).unwrap();
    play.wait(100);
    let wanted = asked(&mut play).remove(0);
    assert_eq!((&wanted.framework_id, &wanted.role, &wanted.agent_id), (&low, &role("low"), &agent_id));
    assert_eq!((wanted.resources, wanted.claimant_role), (resources("cpus:1;mem:64"), role("high")));
    assert_eq!(wanted.within.as_millis(), u128::from(GRACE_MS));
    play.wait(GRACE_MS - 1000);
    assert_eq!(killed(&mut play), Vec::<String>::new(), "its time is not over");
    play.wait(1000);
    assert_eq!(killed(&mut play), ["young"]);
    play.wait(10 * GRACE_MS);
    assert_eq!(killed(&mut play), Vec::<String>::new(), "once");
    assert_eq!(asked(&mut play), [], "once");
}

#[test]
fn the_framework_of_a_task_that_is_killed_for_another_hears_why_and_the_other_gets_the_offer() {
    let (mut play, agent_id, low, high) = crowded();
    prioritise(&mut play, "high", 10);
    demand(&mut play, "high", &high, unit()).unwrap();
    play.wait(GRACE_MS + 1000);
    play.effects.clear();
    play.forward("a", &agent_id, &(low, task_id("young")), TaskState::Killed, TaskState::Killed);
    let status = play.effects.iter().find_map(|effect| match effect {
        Effect::TellScheduler { event: SchedulerEvent::Updated(updated), .. } => Some(updated.status.clone()),
        _ => None,
    });
    let status = status.expect("it is told");
    assert_eq!((status.state, status.reason), (TaskState::Killed, Some(StatusReason::ContainerPreempted)));
    assert!(status.message.contains("role high has a higher priority"), "{}", status.message);
    let offer = play.offers().remove(0);
    assert_eq!(offer.framework_id, high);
}

#[test]
fn what_the_framework_ends_itself_in_time_saves_the_others() {
    let (mut play, agent_id, low, high) = crowded();
    prioritise(&mut play, "high", 10);
    demand(&mut play, "high", &high, unit()).unwrap();
    play.wait(1000);
    play.forward("a", &agent_id, &(low, task_id("t0")), TaskState::Finished, TaskState::Finished);
    let offer = play.offers().remove(0);
    play.accept("high", &offer, vec![command_task("h", "cpus:1;mem:64")]);
    demand(&mut play, "high", &high, None).unwrap();
    play.wait(2 * GRACE_MS);
    assert_eq!(killed(&mut play), Vec::<String>::new());
}

#[test]
fn who_waits_no_longer_takes_nothing() {
    let (mut play, .., high) = crowded();
    prioritise(&mut play, "high", 10);
    demand(&mut play, "high", &high, unit()).unwrap();
    play.wait(1000);
    demand(&mut play, "high", &high, None).unwrap();
    play.wait(2 * GRACE_MS);
    assert_eq!(killed(&mut play), Vec::<String>::new());
}

#[test]
fn priorities_hold_over_a_restart_of_the_master_and_for_the_roles_below() {
    let mut play = Play::new();
    prioritise(&mut play, "high", 10);
    prioritise(&mut play, "high/low", 0);
    prioritise(&mut play, "alone", 3);
    let mut play = play.restart();
    for name in ["high/a", "high/low", "other"] {
        play.subscribe(name.trim_start_matches("high/"), None, in_role(name));
    }
    let roles = play.core.on_get_roles().into_iter();
    let listed: Vec<(String, u32)> = roles.map(|listed| (listed.role.to_string(), listed.priority)).collect();
    let expected = [("*", 0), ("alone", 3), ("high", 10), ("high/a", 10), ("high/low", 0), ("other", 0)];
    assert_eq!(listed, expected.map(|(name, priority)| (name.to_owned(), priority)));
}

#[test]
fn only_an_offer_that_holds_a_unit_is_made_to_who_has_said_what_it_needs() {
    let mut play = Play::new();
    let framework_id = play.subscribe("f", None, lasting("f"));
    demand(&mut play, "f", &framework_id, Some(vec![resources("cpus:4")])).unwrap();
    play.agent("small", "cpus:2;mem:1024");
    assert_eq!(play.offers(), []);
    play.agent("large", "cpus:4;mem:1024");
    assert_eq!(play.offers().len(), 1);
    demand(&mut play, "f", &framework_id, None).unwrap();
    assert_eq!(play.offers().len(), 1, "any offer is welcome again");
}

#[test]
fn a_demand_that_is_too_long_or_anothers_is_refused() {
    let mut play = Play::new();
    let framework_id = play.subscribe("f", None, lasting("f"));
    let many = vec![resources("cpus:1"); DEMAND_UNITS_MAX + 1];
    let refused = demand(&mut play, "f", &framework_id, Some(many));
    assert_eq!(refused, Err(CallError::TooManyUnits(DEMAND_UNITS_MAX + 1)));
    assert!(matches!(demand(&mut play, "g", &framework_id, None), Err(CallError::NotSubscribed(_))));
    let message = DeclareDemand { framework_id, roles: BTreeSet::from([role("x")]), units: None };
    let stranger = play.call(|core, _, _| core.on_declare_demand(&node("f"), message));
    assert_eq!(stranger, Err(CallError::UnknownRole(role("x"))));
}

#[test]
fn a_task_that_takes_only_what_is_reserved_is_not_killed_for_others() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:4;mem:1024");
    let batch = play.subscribe("batch", None, in_role("batch"));
    let offer = play.offers().remove(0);
    play.accept("batch", &offer, vec![command_task("plain", "cpus:2;mem:64")]);
    let resources_of_batch = ReserveResources {
        agent_id,
        resources: resources("cpus:2;mem:64").into(),
        role: role("batch"),
        labels: BTreeMap::new(),
    };
    play.call(|core, now, out| core.on_reserve_resources(&resources_of_batch, now, out)).unwrap();
    play.wait(1_000);
    let offer = play.offers().remove(0);
    play.accept("batch", &offer, vec![command_task("reserved", "cpus:2;mem:64")]);
    prioritise(&mut play, "prod", 10);
    let prod = play.subscribe("prod", None, in_role("prod"));
    demand(&mut play, "prod", &prod, Some(vec![resources("cpus:1;mem:64")])).unwrap();
    play.wait(GRACE_MS + 2_000);
    assert_eq!(killed(&mut play), ["plain"], "the younger one would give nothing back");
    assert_eq!(play.state(&(batch, task_id("reserved"))), Some(TaskState::Staging));
}
