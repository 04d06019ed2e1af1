//! The faults of the catalogue that are the master's to stand, each by its number.

use super::testkit::{Play, command_task, lasting, node};
use super::*;
use crate::effect::CommandOutcome;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::messages::master_agent::{AgentTask, CommandRefused};
use odeon_protocol::messages::master_operator::FrameworkState;
use odeon_protocol::messages::master_scheduler::{DeclineOffers, Subscribe, SubscribeError};
use odeon_protocol::offer::Filters;
use odeon_protocol::role::Role;
use odeon_protocol::task::TaskState;

fn brought(key: &TaskKey) -> Vec<AgentTask> {
    let (framework_id, task) = (key.0.clone(), command_task(key.1.as_str(), "cpus:1;mem:64"));
    vec![AgentTask { framework_id, role: Role::default(), task, state: TaskState::Running }]
}

fn subscribe_again(play: &mut Play, name: &str, framework_id: &FrameworkId) -> Result<(), SubscribeError> {
    let (info, suppressed) = (lasting("f"), BTreeSet::new());
    let (framework_id, actor) = (Some(framework_id.clone()), format!("scheduler/{name}"));
    let message = Subscribe { framework_id, info, suppressed, actor };
    play.call(|core, now, out| core.on_subscribe(&node(name), message, now, out)).map(|_| ())
}

fn state_of(play: &Play, framework_id: &FrameworkId) -> Option<FrameworkState> {
    let frameworks = play.core.on_get_frameworks();
    frameworks.into_iter().find(|framework| framework.framework_id == *framework_id).map(|framework| framework.state)
}

#[test]
fn f12_a_cut_below_75_s_shows_nothing_and_a_longer_one_hides_the_task_until_it_heals() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Running);
    play.told();
    play.wait(74_000);
    assert_eq!(play.told(), []);
    let answered = CommandOutcome::Obeyed;
    let ping = CommandReceipt::Ping;
    play.call(|core, now, out| core.on_command_outcome(&agent_id, &node("a"), &ping, &answered, now, out));
    play.wait(74_000);
    assert_eq!((play.told(), play.state(&key)), (vec![], Some(TaskState::Running)));
    play.wait(17_000);
    assert_eq!(play.told(), [("t".to_owned(), TaskState::Unreachable)]);
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id), brought(&key));
    assert_eq!(play.told(), [("t".to_owned(), TaskState::Running)]);
}

#[test]
fn f14_a_scheduler_that_missed_its_offers_subscribes_again_and_holds_none_of_them_twice() {
    let mut play = Play::new();
    play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    let missed = play.offers().remove(0);
    subscribe_again(&mut play, "f", &framework_id).unwrap();
    let fresh = play.offers();
    assert_eq!((fresh.len(), play.core.offers.len()), (1, 1));
    assert_ne!(fresh[0].offer_id, missed.offer_id);
    play.accept("f", &missed, vec![command_task("t", "cpus:1;mem:64")]);
    assert_eq!(play.told(), [("t".to_owned(), TaskState::Dropped)]);
}

#[test]
fn f24_after_ten_minutes_without_a_master_agents_and_tasks_are_taken_back() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.wait(1000);
    let mut play = play.restart_after(600_000);
    assert_eq!(subscribe_again(&mut play, "f", &key.0), Ok(()));
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id), brought(&key));
    assert_eq!((play.state(&key), play.told()), (Some(TaskState::Running), vec![]));
}

#[test]
fn f25_a_wall_clock_that_jumps_makes_no_timer_early_or_late() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    play.lose("f");
    for jump_ms in [3_600_000, -7_200_000_i64] {
        play.wall_offset_ms += jump_ms;
        play.wait(1_000_000);
        assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Disconnected));
    }
    play.wait(1_600_001);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Completed));
}

#[test]
fn f27_a_scheduler_that_is_back_in_time_has_its_tasks_and_a_later_one_is_refused() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    play.lose("f");
    play.wait(3_599_000);
    assert_eq!(subscribe_again(&mut play, "f", &key.0), Ok(()));
    assert!(play.state(&key).is_some());
    play.lose("f");
    play.wait(3_600_000);
    assert_eq!(subscribe_again(&mut play, "f", &key.0), Err(SubscribeError::Removed(key.0.clone())));
    assert!(play.state(&key).is_none());
}

#[test]
fn f28_the_failover_timeout_counts_from_the_disconnect_over_any_number_of_masters() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    play.lose("f");
    play.wait(1_000_000);
    let mut play = play.restart_after(500_000).restart_after(500_000);
    play.wait(1_599_000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Disconnected));
    play.wait(1000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Completed), "3600 s after the disconnect, to the second");
}

#[test]
fn f28_a_scheduler_that_was_there_when_the_master_died_has_its_whole_time_and_once_only() {
    let (play, _, key) = Play::with_task(lasting("f"));
    let mut play = play.restart();
    play.wait(3_000_000);
    let mut play = play.restart();
    play.wait(599_000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Disconnected));
    play.wait(1000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Completed));
}

#[test]
fn f28_a_scheduler_that_came_back_starts_its_time_anew_at_the_next_disconnect() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    play.lose("f");
    play.wait(3_000_000);
    subscribe_again(&mut play, "f", &key.0).unwrap();
    let mut play = play.restart();
    play.wait(3_599_000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Disconnected));
}

#[test]
fn f29_of_two_schedulers_with_one_id_the_newest_wins_and_no_offer_is_in_two_hands() {
    let mut play = Play::new();
    play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    let mut holder = "f";
    for round in 0..6 {
        let earlier = play.offers();
        let newest = if round % 2 == 0 { "g" } else { "f" };
        play.effects.clear();
        subscribe_again(&mut play, newest, &framework_id).unwrap();
        let told_off = play.effects.iter().any(|effect| {
            matches!(effect, Effect::TellScheduler { to, event: SchedulerEvent::Failed(failed) }
                if to.node == node(holder) && failed.message == "framework failed over")
        });
        assert!(told_off, "{holder} hears that {newest} has taken over");
        let offer_ids = earlier.iter().map(|offer| offer.offer_id.clone()).collect();
        let late = DeclineOffers { framework_id: framework_id.clone(), offer_ids, filters: Filters::default() };
        let refused = play.call(|core, now, _| core.on_decline_offers(&node(holder), &late, now));
        assert!(refused.is_err(), "{holder} cannot call any more");
        assert!(play.core.offers.is_empty(), "what {holder} was offered is void");
        holder = newest;
    }
}

#[test]
fn f30_a_scheduler_without_an_id_is_a_new_framework_and_adopts_nothing() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    play.lose("f");
    let newcomer = play.subscribe("g", None, lasting("f"));
    assert_ne!(newcomer, key.0);
    assert!(play.core.frameworks[&newcomer].tasks.is_empty());
    assert!(play.state(&key).is_some(), "the task of the old one runs on");
    play.wait(3_600_000);
    assert_eq!(state_of(&play, &key.0), Some(FrameworkState::Completed));
    assert_eq!(state_of(&play, &newcomer), Some(FrameworkState::Active));
}

#[test]
fn f31_a_master_whose_command_meets_a_newer_epoch_steps_down() {
    let (mut play, agent_id, key) = Play::with_task(FrameworkInfo::new("f"));
    let refused = CommandOutcome::Refused(CommandRefused::OldEpoch { command: Epoch(1), current: Epoch(2) });
    let receipt = CommandReceipt::Launch(key);
    play.call(|core, now, out| core.on_command_outcome(&agent_id, &node("a"), &receipt, &refused, now, out));
    assert!(matches!(play.effects.as_slice(), [Effect::StepDown { .. }]), "{:?}", play.effects);
}
