//! The master's promises, one scenario each.

use super::testkit::{Play, command_task, lasting, node, resources, task_id};
use super::*;
use crate::effect::CommandOutcome;
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::ExecutorId;
use odeon_protocol::messages::master_agent::{AgentTask, CommandRefused, RegisterAgent, RegisterAgentError};
use odeon_protocol::messages::master_operator::{
    AgentState, FrameworkState, GetTasks, KillTaskByOperator, KillTaskError,
};
use odeon_protocol::messages::master_scheduler::{
    AcknowledgeUpdate, CallError, DeclineOffers, KillFrameworkTask, ReconcileTasks, ReviveOffers, Subscribe,
    SubscribeError, TeardownFramework,
};
use odeon_protocol::offer::Filters;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{TaskInfo, TaskState, Work};
use odeon_runtime::Emission;

fn brought(key: &TaskKey, state: TaskState) -> AgentTask {
    let task = command_task(key.1.as_str(), "cpus:1;mem:64");
    AgentTask { framework_id: key.0.clone(), role: Role::default(), task, state }
}

fn told(task: &str, state: TaskState) -> Vec<(String, TaskState)> {
    vec![(task.to_owned(), state)]
}

fn reconcile(play: &mut Play, framework_id: &FrameworkId, tasks: Vec<(TaskId, Option<AgentId>)>) {
    let message = ReconcileTasks { framework_id: framework_id.clone(), tasks };
    play.call(|core, now, out| core.on_reconcile_tasks(&node("f"), &message, now, out)).unwrap();
}

fn kill(play: &mut Play, key: &TaskKey) {
    let message = KillFrameworkTask { framework_id: key.0.clone(), task_id: key.1.clone() };
    play.call(|core, now, out| core.on_kill_framework_task(&node("f"), message, now, out)).unwrap();
}

fn outcome(play: &mut Play, agent_id: &AgentId, receipt: &CommandReceipt, outcome: &CommandOutcome) {
    play.call(|core, now, out| core.on_command_outcome(agent_id, &node("a"), receipt, outcome, now, out));
}

/// Time passes, and the agent answers its pings.
fn wait_in_touch(play: &mut Play, agent_id: &AgentId, ms: u64) {
    for _ in 0..ms / 10_000 {
        play.wait(10_000);
        outcome(play, agent_id, &CommandReceipt::Ping, &CommandOutcome::Obeyed);
    }
}

#[test]
fn each_start_begins_a_new_term_before_anything_else() {
    let mut play = Play::new();
    assert_eq!(play.records, vec![Record::EpochStarted { epoch: Epoch(1) }]);
    let agent_id = play.agent("a", "cpus:1;mem:64");
    assert_eq!(agent_id.as_str(), "m-1-S0");
    let play = play.restart();
    assert_eq!(play.records.last(), Some(&Record::EpochStarted { epoch: Epoch(2) }));
    assert_eq!(play.core.master_id().as_str(), "m-2");
}

#[test]
fn an_admission_is_written_before_the_agent_is_offered() {
    let mut play = Play::new();
    play.subscribe("f", None, FrameworkInfo::new("f"));
    let mut out = MasterOutbox::new();
    let info = testkit::agent_info("a", "cpus:1;mem:64");
    let message = RegisterAgent { agent_id: None, info: info.clone(), tasks: Vec::new(), actor: None };
    let now = play.now();
    let registered = play.core.on_register_agent(&node("a"), message, now, &mut out).unwrap();
    play.core.on_timer(Moment::at_ms(100), &mut out);
    let admitted = Record::AgentAdmitted { agent_id: registered.agent_id, info, admitted_ms: 0 };
    assert_eq!(out.emissions().first(), Some(&Emission::Write(admitted)));
    assert!(out.emissions()[1..].iter().any(|emission| matches!(emission, Emission::Send(_))), "an offer follows");
}

#[test]
fn an_agent_without_resources_or_with_an_unknown_id_is_refused() {
    let mut play = Play::new();
    let mut register = |agent_id: Option<AgentId>, total: &str| {
        let message = RegisterAgent { agent_id, info: testkit::agent_info("a", total), tasks: Vec::new(), actor: None };
        play.call(|core, now, out| core.on_register_agent(&node("a"), message, now, out))
    };
    let stranger = AgentId::new("x-S9").unwrap();
    assert_eq!(register(None, ""), Err(RegisterAgentError::NoResources { hostname: "a".into() }));
    assert_eq!(register(Some(stranger.clone()), "cpus:1"), Err(RegisterAgentError::Removed(stranger)));
}

#[test]
fn agents_of_one_node_have_ids_and_commands_of_their_own_and_are_lost_together() {
    let mut play = Play::new();
    let framework_id = play.subscribe("f", None, FrameworkInfo::new("f"));
    let mut register = |actor: &str| {
        let (info, actor) = (testkit::agent_info(actor, "cpus:1;mem:64"), Some(format!("agent/{actor}")));
        let message = RegisterAgent { agent_id: None, info, tasks: Vec::new(), actor };
        play.call(|core, now, out| core.on_register_agent(&node("shared"), message, now, out)).unwrap().agent_id
    };
    let (first, second) = (register("one"), register("two"));
    assert_eq!((register("one") == first, first == second), (true, false));
    let offers = play.offers();
    for offer in &offers {
        play.accept("f", offer, vec![testkit::command_task(&format!("on-{}", offer.hostname), "cpus:1;mem:64")]);
    }
    let launched: Vec<(String, String)> = play.effects.iter().filter_map(launch_of).collect();
    assert_eq!(launched.len(), 2);
    for (actor, task) in launched {
        assert_eq!(format!("on-{}", actor.trim_start_matches("agent/")), task, "a task goes to its own agent");
    }
    play.lose("shared");
    assert!([&first, &second].iter().all(|agent_id| play.core.node_of_agent(agent_id).is_none()));
    assert!(play.core.frameworks[&framework_id].tasks.is_empty(), "both tasks went with the link");
}

/// The actor and the task of a launch.
fn launch_of(effect: &Effect) -> Option<(String, String)> {
    match effect {
        Effect::CommandAgent { to, command: AgentCommand::Launch(launch), .. } => {
            Some((to.actor.as_str().to_owned(), launch.task.task_id.to_string()))
        }
        _ => None,
    }
}

#[test]
fn a_look_at_agents_that_are_all_in_use_lets_no_offer_wait() {
    let (allocation_gap, allocation_gap_agent) = (Duration::ZERO, Duration::from_secs(3));
    let rules = MasterRules { allocation_gap, allocation_gap_agent, ..MasterRules::default() };
    let mut play = Play::with(rules, Vec::new());
    let agent_id = play.agent("a", "cpus:1;mem:64");
    let framework_id = play.subscribe("f", None, FrameworkInfo::new("f"));
    play.wait(4000);
    let offer = play.offers().remove(0);
    play.accept("f", &offer, vec![command_task("t", "cpus:1;mem:64")]);
    // All agents are looked at once a second meanwhile, and nothing of them is divided.
    play.wait(10_500);
    let key = (framework_id, task_id("t"));
    play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    let due = play.core.next_deadline().expect("something is free");
    assert!(due <= play.now().since_start, "it is offered at once");
}

#[test]
fn an_agent_behind_what_is_no_name_is_refused() {
    let mut play = Play::new();
    let info = testkit::agent_info("a", "cpus:1");
    let message = RegisterAgent { agent_id: None, info, tasks: Vec::new(), actor: Some("a/b/c".into()) };
    let refused = play.call(|core, now, out| core.on_register_agent(&node("a"), message, now, out));
    assert_eq!(refused, Err(RegisterAgentError::Actor("a/b/c".into())));
    assert_eq!(play.core.agent_ids().count(), 0);
}

#[test]
fn whoever_lost_the_answer_gets_the_same_id_again() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:1;mem:64");
    assert_eq!(play.agent("a", "cpus:1;mem:64"), agent_id);
    let framework_id = play.subscribe("f", None, lasting("f"));
    assert_eq!(play.subscribe("f", None, lasting("f")), framework_id);
}

#[test]
fn a_task_runs_from_its_offer_to_its_end_and_its_resources_are_offered_again_at_once() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    let offer = play.offers().remove(0);
    assert_eq!((offer.resources.clone(), offer.offer_id.as_str()), (resources("cpus:2;mem:1024"), "m-1-O0"));
    play.accept("f", &offer, vec![command_task("t", "cpus:2;mem:1024")]);
    assert_eq!((play.commands(), play.offers()), (vec!["launch"], Vec::new()));

    let key = (framework_id.clone(), task_id("t"));
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Running);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Running), Some(TaskState::Running)));
    let uuid = odeon_protocol::id::StatusUuid::new("u").unwrap();
    let acknowledge = AcknowledgeUpdate { framework_id, agent_id: agent_id.clone(), task_id: key.1.clone(), uuid };
    play.call(|core, _, out| core.on_acknowledge_update(&node("f"), acknowledge, out)).unwrap();
    assert_eq!(play.commands(), vec!["acknowledge"]);

    play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Finished), None));
    assert_eq!(play.offers().len(), 1, "the agent is offered again before the interval is over");
}

#[test]
fn a_state_that_waits_behind_another_frees_the_resources_and_is_told_later() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Failed);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Running), None));
    play.forward("a", &agent_id, &key, TaskState::Failed, TaskState::Failed);
    play.forward("a", &agent_id, &key, TaskState::Failed, TaskState::Failed);
    assert_eq!(play.told(), [told("t", TaskState::Failed), told("t", TaskState::Failed)].concat());
    play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    assert_eq!((play.told(), play.commands()), (Vec::new(), vec!["acknowledge"]), "another end is not believed");
}

#[test]
fn tasks_on_an_offer_that_is_void_are_dropped_and_lost_to_who_does_not_know_the_word() {
    for (info, state) in [(lasting("f"), TaskState::Dropped), (FrameworkInfo::new("f"), TaskState::Lost)] {
        let mut play = Play::new();
        play.agent("a", "cpus:2;mem:1024");
        let framework_id = play.subscribe("f", None, info);
        let offer = play.offers().remove(0);
        play.wait(31_000);
        let tasks = vec![command_task("t", "cpus:1;mem:64")];
        play.accept_ids("f", &framework_id, vec![offer.offer_id], tasks);
        assert_eq!((play.told(), play.commands()), (told("t", state), Vec::new()));
    }
}

#[test]
fn a_task_that_is_not_valid_is_refused_and_those_behind_it_are_launched() {
    let mut play = Play::new();
    play.agent("a", "cpus:2;mem:1024");
    play.subscribe("f", None, lasting("f"));
    let offer = play.offers().remove(0);
    let good = command_task("good", "cpus:1;mem:64");
    let empty = command_task("empty", "");
    let large = command_task("large", "cpus:1.001;mem:64");
    let mut nothing = command_task("nothing", "cpus:0.1;mem:1");
    nothing.work =
        Work::Command(CommandInfo { argv: Vec::new(), environment: BTreeMap::new(), working_directory: None });
    let last = command_task("last", "cpus:1;mem:64");
    play.accept("f", &offer, vec![good.clone(), good, empty, large, nothing, last]);
    let errors: Vec<_> = ["good", "empty", "large", "nothing"].map(|id| (id.to_owned(), TaskState::Error)).into();
    assert_eq!((play.told(), play.commands()), (errors, vec!["launch", "launch"]));
}

fn registered_task(id: &str, executor: &str, takes: &str) -> TaskInfo {
    let executor_id = ExecutorId::new(executor).unwrap();
    let executor =
        ExecutorInfo { executor_id, name: String::new(), resources: resources(takes), program: None, binary: None };
    let work = Work::Registered { executor, task_type: "count".into(), data: Vec::new() };
    TaskInfo { work, ..command_task(id, "cpus:0.5;mem:10") }
}

#[test]
fn an_executor_is_charged_with_its_first_task_and_freed_with_its_last() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    let offer = play.offers().remove(0);
    let tasks = vec![
        registered_task("one", "e", "cpus:0.5;mem:100"),
        registered_task("two", "e", "cpus:0.5;mem:100"),
        registered_task("other", "e", "cpus:0.1;mem:100"),
        registered_task("large", "e2", "cpus:0.1;mem:100"),
    ];
    play.accept("f", &offer, tasks);
    let refused = ["other", "large"].map(|id| (id.to_owned(), TaskState::Error)).to_vec();
    assert_eq!((play.told(), play.commands()), (refused, vec!["launch", "launch"]));
    let used = |play: &Play| play.core.on_get_agents()[0].used.clone();
    assert_eq!(used(&play), resources("cpus:1.5;mem:120"));
    let end = |play: &mut Play, id: &str| {
        let key = (framework_id.clone(), task_id(id));
        play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    };
    end(&mut play, "one");
    assert_eq!(used(&play), resources("cpus:1;mem:110"));
    end(&mut play, "two");
    assert_eq!(used(&play), Resources::empty());
}

#[test]
fn an_offer_is_used_once_and_only_by_its_framework() {
    let mut play = Play::new();
    play.agent("a", "cpus:2;mem:1024");
    play.subscribe("f", None, lasting("f"));
    let offer = play.offers().remove(0);
    let thief = play.subscribe("g", None, lasting("g"));
    play.accept_ids("g", &thief, vec![offer.offer_id.clone()], vec![command_task("x", "cpus:1;mem:64")]);
    assert_eq!((play.told(), play.commands()), (told("x", TaskState::Dropped), Vec::new()));
    play.accept("f", &offer, vec![command_task("t", "cpus:1;mem:64")]);
    play.accept("f", &offer, vec![command_task("u", "cpus:1;mem:64")]);
    assert_eq!((play.told(), play.commands()), (told("u", TaskState::Dropped), vec!["launch"]));
}

#[test]
fn what_is_refused_goes_to_others_at_once_and_comes_back_after_a_revival() {
    let mut play = Play::new();
    play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    let decline = |play: &mut Play, name: &str, offer: &Offer| {
        let (framework_id, offer_ids) = (offer.framework_id.clone(), vec![offer.offer_id.clone()]);
        let message = DeclineOffers { framework_id, offer_ids, filters: Filters { refuse: Duration::from_secs(60) } };
        play.call(|core, now, _| core.on_decline_offers(&node(name), &message, now)).unwrap();
    };
    let offer = play.offers().remove(0);
    decline(&mut play, "f", &offer);
    assert_eq!(play.offers(), Vec::new());
    let other = play.subscribe("g", None, lasting("g"));
    let offer = play.offers().remove(0);
    assert_eq!(offer.framework_id, other);
    decline(&mut play, "g", &offer);
    play.wait(5_000);
    assert_eq!(play.offers(), Vec::new());
    let revive = ReviveOffers { framework_id: framework_id.clone(), roles: BTreeSet::new() };
    play.call(|core, _, _| core.on_revive_offers(&node("f"), &revive)).unwrap();
    assert_eq!(play.offers()[0].framework_id, framework_id);
}

#[test]
fn only_the_subscribed_node_calls_for_a_framework() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    let stranger = FrameworkId::new("x").unwrap();
    let mut call = |framework_id: &FrameworkId, sender: &str| {
        let message = TeardownFramework { framework_id: framework_id.clone() };
        play.call(|core, now, out| core.on_teardown_framework(&node(sender), &message, now, out))
    };
    assert_eq!(call(&key.0, "g"), Err(CallError::NotSubscribed(key.0.clone())));
    assert_eq!(call(&stranger, "f"), Err(CallError::UnknownFramework(stranger.clone())));
    assert_eq!(call(&key.0, "f"), Ok(()));
    assert_eq!(call(&key.0, "f"), Err(CallError::UnknownFramework(key.0.clone())));
}

#[test]
fn a_framework_that_ends_leaves_no_executor_where_its_tasks_had_ended() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    play.commands();
    let message = TeardownFramework { framework_id: key.0.clone() };
    play.call(|core, now, out| core.on_teardown_framework(&node("f"), &message, now, out)).unwrap();
    assert_eq!(play.commands(), vec!["shutdown framework"]);
}

#[test]
fn the_newest_scheduler_wins_and_the_earlier_one_is_told() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.subscribe("g", Some(key.0.clone()), lasting("f"));
    let failed = |effect: &Effect| matches!(effect, Effect::TellScheduler { to, event: SchedulerEvent::Failed(_) } if to.node == node("f"));
    assert_eq!(play.effects.iter().filter(|effect| failed(effect)).count(), 1);
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Running);
    assert!(matches!(play.effects.last(), Some(Effect::TellScheduler { to, .. }) if to.node == node("g")));
    play.lose("f");
    assert_eq!(play.core.on_get_frameworks()[0].state, FrameworkState::Active, "the earlier node has no say");
}

#[test]
fn a_framework_that_is_back_in_time_keeps_its_tasks_and_one_that_is_late_is_gone_for_good() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.lose("f");
    wait_in_touch(&mut play, &agent_id, 3_590_000);
    assert_eq!(play.subscribe("f", Some(key.0.clone()), lasting("f")), key.0);
    assert_eq!((play.state(&key), play.commands()), (Some(TaskState::Staging), Vec::new()));

    play.lose("f");
    wait_in_touch(&mut play, &agent_id, 3_600_000);
    assert_eq!(play.commands(), vec!["shutdown framework"]);
    assert_eq!(
        play.records.last(),
        Some(&Record::FrameworkRemoved { framework_id: key.0.clone(), removed_ms: play.now_ms })
    );
    let task = &play.core.on_get_tasks(&GetTasks { framework_id: None })[0];
    assert_eq!((task.state, task.message.as_str()), (TaskState::Killed, "the framework has been removed"));
    let message = Subscribe {
        framework_id: Some(key.0.clone()),
        info: lasting("f"),
        suppressed: BTreeSet::new(),
        actor: "scheduler/f".into(),
    };
    let late = play.call(|core, now, out| core.on_subscribe(&node("f"), message.clone(), now, out));
    assert_eq!(late, Err(SubscribeError::Removed(key.0.clone())));
    let mut play = play.restart();
    let late = play.call(|core, now, out| core.on_subscribe(&node("f"), message, now, out));
    assert_eq!(late, Err(SubscribeError::Removed(key.0)), "a restart does not bring it back");
}

#[test]
fn a_framework_without_a_timeout_ends_with_its_connection() {
    let (mut play, _, key) = Play::with_task(FrameworkInfo::new("f"));
    play.lose("f");
    assert_eq!((play.commands(), play.state(&key)), (vec!["shutdown framework"], None));
}

#[test]
fn a_subscription_that_makes_no_sense_is_refused() {
    let mut play = Play::new();
    let (unknown, role) = (FrameworkId::new("x").unwrap(), Role::new("ads").unwrap());
    let plain =
        Subscribe { framework_id: None, info: lasting("f"), suppressed: BTreeSet::new(), actor: "scheduler/f".into() };
    let mut subscribe =
        |message: Subscribe| play.call(|core, now, out| core.on_subscribe(&node("f"), message, now, out)).unwrap_err();
    let message = Subscribe { framework_id: Some(unknown.clone()), ..plain.clone() };
    assert_eq!(subscribe(message), SubscribeError::Unknown(unknown));
    let message = Subscribe { suppressed: BTreeSet::from([role.clone()]), ..plain.clone() };
    assert_eq!(subscribe(message), SubscribeError::SuppressedRole(role));
    let message = Subscribe { actor: "a/b/c".into(), ..plain };
    assert_eq!(subscribe(message), SubscribeError::Actor("a/b/c".into()));
}

#[test]
fn a_broken_link_loses_tasks_at_once_unless_their_framework_checkpoints() {
    let (mut play, agent_id, key) = Play::with_task(FrameworkInfo { checkpoint: false, ..lasting("f") });
    play.lose("a");
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Lost), None));
    let back =
        play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), vec![brought(&key, TaskState::Running)]);
    assert_eq!(back.kill, vec![key.clone()], "what was told to be lost does not run on");
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    assert_eq!((play.told(), play.commands()), (Vec::new(), vec!["acknowledge"]), "and is not told again");
}

#[test]
fn a_task_that_was_given_up_stays_so_when_the_history_has_forgotten_it() {
    let mut play = Play::with(MasterRules { ended_tasks_max: 0, ..MasterRules::default() }, Vec::new());
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    let info = FrameworkInfo { checkpoint: false, ..lasting("f") };
    let key = (play.subscribe("f", None, info), task_id("t"));
    let offer = play.offers().remove(0);
    play.accept("f", &offer, vec![command_task("t", "cpus:1;mem:64")]);
    play.lose("a");
    assert_eq!((play.told(), play.commands()), (told("t", TaskState::Lost), vec!["launch"]));
    let back =
        play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), vec![brought(&key, TaskState::Running)]);
    assert_eq!(back.kill, vec![key.clone()]);
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    assert_eq!((play.told(), play.commands()), (Vec::new(), vec!["acknowledge"]));
}

#[test]
fn a_task_that_was_declared_dropped_and_runs_all_the_same_is_killed_in_silence() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let lost = CommandOutcome::Undelivered("the queue is full".into());
    outcome(&mut play, &agent_id, &CommandReceipt::Launch(key.clone()), &lost);
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), Vec::new());
    assert_eq!(play.told(), told("t", TaskState::Dropped));
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Running);
    assert_eq!((play.told(), play.commands()), (Vec::new(), vec!["acknowledge", "kill"]));
}

#[test]
fn a_task_that_outlives_a_break_goes_on() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.lose("a");
    assert_eq!((play.told(), play.core.on_get_agents()[0].state), (Vec::new(), AgentState::Disconnected));
    play.wait(60_000);
    let back = play.register_as("a", "cpus:2;mem:1024", Some(agent_id), vec![brought(&key, TaskState::Running)]);
    assert_eq!((back.kill, play.told(), play.state(&key)), (Vec::new(), Vec::new(), Some(TaskState::Running)));
}

#[test]
fn an_agent_that_misses_five_pings_is_out_of_sight_and_its_tasks_return_with_it() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    play.wait(89_000);
    assert_eq!(play.told(), Vec::new());
    play.wait(1_100);
    assert_eq!(play.told(), told("t", TaskState::Unreachable));
    assert_eq!(play.records.last(), Some(&Record::AgentUnreachable { agent_id: agent_id.clone() }));
    assert!(
        play.effects.iter().any(|e| matches!(e, Effect::TellScheduler { event: SchedulerEvent::AgentLost(_), .. }))
    );
    reconcile(&mut play, &key.0, vec![(key.1.clone(), None)]);
    assert_eq!(play.told(), told("t", TaskState::Unreachable));
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id), vec![brought(&key, TaskState::Running)]);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Running), Some(TaskState::Running)));
}

#[test]
fn an_unreachable_agent_loses_the_tasks_of_who_cannot_tell_the_difference() {
    let (mut play, agent_id, key) = Play::with_task(FrameworkInfo { capabilities: BTreeSet::new(), ..lasting("f") });
    play.wait(91_000);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Lost), None));
    let back = play.register_as("a", "cpus:2;mem:1024", Some(agent_id), vec![brought(&key, TaskState::Running)]);
    assert_eq!((back.kill, play.told()), (vec![key], Vec::new()));
}

#[test]
fn an_answered_ping_starts_the_count_again() {
    let (mut play, agent_id, _) = Play::with_task(lasting("f"));
    wait_in_touch(&mut play, &agent_id, 200_000);
    assert_eq!(play.core.on_get_agents()[0].state, AgentState::Active);
}

#[test]
fn a_task_that_a_returning_agent_does_not_have_is_gone_and_killed_should_it_arrive() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let back = play.register_as("a", "cpus:2;mem:1024", Some(agent_id), Vec::new());
    assert_eq!((back.kill, play.told()), (vec![key], told("t", TaskState::Gone)));
}

#[test]
fn an_agent_in_the_place_of_one_that_is_away_ends_that_ones_tasks() {
    let (mut play, agent_id, _) = Play::with_task(lasting("f"));
    play.lose("a");
    let message = RegisterAgent {
        agent_id: None,
        info: testkit::agent_info("a", "cpus:2;mem:1024"),
        tasks: Vec::new(),
        actor: None,
    };
    let restarted = NodeId { incarnation: 2, ..node("a") };
    let back = play.call(|core, now, out| core.on_register_agent(&restarted, message, now, out)).unwrap();
    assert_ne!(back.agent_id, agent_id);
    assert_eq!((play.told(), play.core.on_get_agents().len()), (told("t", TaskState::Lost), 1));
}

#[test]
fn a_task_that_never_reached_its_agent_is_dropped_once() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let receipt = CommandReceipt::Launch(key.clone());
    let refused = CommandOutcome::Refused(CommandRefused::NotRegistered(agent_id.clone()));
    outcome(&mut play, &agent_id, &receipt, &refused);
    outcome(&mut play, &agent_id, &receipt, &refused);
    assert_eq!((play.told(), play.state(&key)), (told("t", TaskState::Dropped), None));
}

#[test]
fn a_command_that_may_be_lost_makes_the_agent_register_anew() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let lost = CommandOutcome::Uncertain("no reply".into());
    outcome(&mut play, &agent_id, &CommandReceipt::Launch(key.clone()), &lost);
    assert_eq!(play.state(&key), Some(TaskState::Staging));
    play.wait(15_000);
    let pings = |play: &Play| {
        let connected = |effect: &Effect| match effect {
            Effect::CommandAgent { command: AgentCommand::Ping(ping), .. } => Some(ping.connected),
            _ => None,
        };
        play.effects.iter().filter_map(connected).collect::<Vec<_>>()
    };
    assert_eq!(pings(&play), vec![false]);
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id), vec![brought(&key, TaskState::Staging)]);
    play.wait(15_000);
    assert_eq!(pings(&play), vec![false, true]);
}

#[test]
fn a_command_of_an_older_term_ends_the_master() {
    let (mut play, agent_id, _) = Play::with_task(lasting("f"));
    let old = CommandOutcome::Refused(CommandRefused::OldEpoch { command: Epoch(1), current: Epoch(2) });
    outcome(&mut play, &agent_id, &CommandReceipt::Ping, &old);
    assert!(matches!(play.effects.as_slice(), [Effect::StepDown { .. }]));
}

#[test]
fn a_kill_reaches_the_agent_behind_the_launch_and_again_when_it_was_away() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    kill(&mut play, &key);
    assert_eq!((play.commands(), play.told()), (vec!["kill"], Vec::new()));
    play.lose("a");
    kill(&mut play, &key);
    assert_eq!(play.commands(), Vec::<&str>::new());
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), vec![brought(&key, TaskState::Running)]);
    play.wait(1_000);
    outcome(&mut play, &agent_id, &CommandReceipt::Ping, &CommandOutcome::Obeyed);
    assert_eq!(play.commands(), vec!["kill"]);
}

#[test]
fn the_kill_of_a_task_that_nobody_knows_is_answered() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    kill(&mut play, &(key.0.clone(), task_id("x")));
    assert_eq!((play.told(), play.commands()), (told("x", TaskState::Unknown), Vec::new()));
    let (mut play, _, key) = Play::with_task(FrameworkInfo::new("f"));
    kill(&mut play, &(key.0, task_id("x")));
    assert_eq!(play.told(), told("x", TaskState::Lost));
}

#[test]
fn an_operator_kills_by_the_id_of_the_task_where_that_is_enough() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let message = KillTaskByOperator { task_id: key.1.clone(), framework_id: None };
    let kill = |play: &mut Play, message: &KillTaskByOperator| {
        play.call(|core, _, out| core.on_kill_task_by_operator(message.clone(), out))
    };
    assert_eq!((kill(&mut play, &message), play.commands()), (Ok(()), vec!["kill"]));
    play.subscribe("g", None, lasting("g"));
    let offer = play.offers().remove(0);
    play.accept("g", &offer, vec![command_task("t", "cpus:1;mem:64")]);
    assert_eq!(kill(&mut play, &message), Err(KillTaskError::Ambiguous(key.1.clone())));
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    let message = KillTaskByOperator { framework_id: Some(key.0.clone()), ..message };
    let ended = KillTaskError::Ended { task_id: key.1.clone(), state: TaskState::Killed };
    assert_eq!(kill(&mut play, &message), Err(ended));
    let message = KillTaskByOperator { task_id: task_id("x"), ..message };
    assert_eq!(kill(&mut play, &message), Err(KillTaskError::Unknown(task_id("x"))));
}

#[test]
fn reconciliation_answers_by_what_is_known_of_task_and_agent() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let away = play.agent("b", "cpus:1;mem:64");
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Running);
    play.call(|core, now, out| core.lose_agent(&away, now, out));
    play.effects.clear();
    let stranger = AgentId::new("x").unwrap();
    let cases = [
        ("t", None, TaskState::Running),
        ("x", Some(agent_id), TaskState::Gone),
        ("x", Some(away), TaskState::Unreachable),
        ("x", Some(stranger), TaskState::Unknown),
        ("x", None, TaskState::Unknown),
    ];
    for (id, believed_on, state) in cases {
        reconcile(&mut play, &key.0, vec![(task_id(id), believed_on)]);
        assert_eq!(play.told(), told(id, state));
    }
    reconcile(&mut play, &key.0, Vec::new());
    assert_eq!(play.told(), told("t", TaskState::Running));
}

#[test]
fn a_new_master_is_silent_about_agents_that_are_not_back_and_adopts_what_they_bring() {
    let (play, agent_id, key) = Play::with_task(lasting("f"));
    let mut play = play.restart();
    play.subscribe("f", Some(key.0.clone()), lasting("f"));
    reconcile(&mut play, &key.0, vec![(key.1.clone(), Some(agent_id.clone())), (key.1.clone(), None)]);
    assert_eq!(play.told(), Vec::new());
    let foreign = (FrameworkId::new("nobody").unwrap(), task_id("y"));
    let ended = (key.0.clone(), task_id("z"));
    let tasks = vec![
        brought(&key, TaskState::Running),
        brought(&foreign, TaskState::Running),
        brought(&ended, TaskState::Finished),
    ];
    let back = play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), tasks);
    assert_eq!((back.kill, back.epoch), (vec![foreign], Epoch(2)));
    assert_eq!(play.state(&key), Some(TaskState::Running));
    play.forward("a", &agent_id, &ended, TaskState::Finished, TaskState::Finished);
    assert_eq!(play.told(), told("z", TaskState::Finished));
    assert_eq!(play.offers()[0].resources, resources("cpus:1;mem:960"));
}

#[test]
fn an_agent_that_does_not_come_back_to_a_new_master_is_out_of_sight() {
    let (play, agent_id, key) = Play::with_task(lasting("f"));
    let mut play = play.restart();
    play.subscribe("f", Some(key.0.clone()), lasting("f"));
    play.wait(600_000);
    assert_eq!(play.core.on_get_agents()[0].state, AgentState::Unreachable);
    reconcile(&mut play, &key.0, vec![(key.1.clone(), Some(agent_id))]);
    assert_eq!(play.told(), told("t", TaskState::Unreachable));
}

#[test]
fn the_agents_that_are_away_longest_are_forgotten_first() {
    let rules = MasterRules { unreachable_agents_max: 1, ..MasterRules::default() };
    let mut play = Play::with(rules, Vec::new());
    let (first, second) = (play.agent("a", "cpus:1;mem:64"), play.agent("b", "cpus:1;mem:64"));
    play.call(|core, now, out| core.lose_agent(&first, now, out));
    play.call(|core, now, out| core.lose_agent(&second, now, out));
    let left: Vec<AgentId> = play.core.on_get_agents().into_iter().map(|agent| agent.agent_id).collect();
    assert_eq!(left, vec![second]);
    assert_eq!(play.records.last(), Some(&Record::AgentRemoved { agent_id: first }));
}

#[test]
fn the_sums_for_operators_add_up() {
    let (play, _, key) = Play::with_task(lasting("f"));
    let (master, framework) = (play.core.on_get_master(), play.core.on_get_frameworks().remove(0));
    assert_eq!((master.total, master.allocated), (resources("cpus:2;mem:1024"), resources("cpus:1;mem:64")));
    assert_eq!((framework.used, framework.active_tasks), (resources("cpus:1;mem:64"), 1));
    let roles = play.core.on_get_roles();
    assert_eq!(roles[0].frameworks, BTreeSet::from([key.0]));
    assert!((roles[0].share - 0.5).abs() < 1e-9, "half of the processors");
}

#[test]
fn an_end_that_was_told_stands_though_the_master_did_not_know_the_task() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    let key = (play.subscribe("f", None, lasting("f")), task_id("forgotten"));
    play.forward("a", &agent_id, &key, TaskState::Running, TaskState::Finished);
    play.forward("a", &agent_id, &key, TaskState::Finished, TaskState::Finished);
    assert_eq!(play.told(), [told("forgotten", TaskState::Running), told("forgotten", TaskState::Finished)].concat());
    reconcile(&mut play, &key.0, vec![(key.1.clone(), Some(agent_id.clone())), (key.1.clone(), None)]);
    let twice = [told("forgotten", TaskState::Finished), told("forgotten", TaskState::Finished)].concat();
    assert_eq!(play.told(), twice);
    play.commands();
    play.forward("a", &agent_id, &key, TaskState::Failed, TaskState::Failed);
    assert_eq!((play.told(), play.commands()), (Vec::new(), vec!["acknowledge"]), "another end is not told");
}

#[test]
fn ends_of_tasks_that_the_master_did_not_know_are_forgotten_oldest_first() {
    let rules = MasterRules { ended_tasks_max: 2, ..MasterRules::default() };
    let mut play = Play::with(rules, Vec::new());
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    let framework_id = play.subscribe("f", None, lasting("f"));
    for id in ["t0", "t1", "t2"] {
        let key = (framework_id.clone(), task_id(id));
        play.forward("a", &agent_id, &key, TaskState::Failed, TaskState::Failed);
    }
    play.told();
    let ask = ["t0", "t1", "t2"].map(|id| (task_id(id), Some(agent_id.clone())));
    reconcile(&mut play, &framework_id, ask.to_vec());
    let states: Vec<TaskState> = play.told().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, [TaskState::Gone, TaskState::Failed, TaskState::Failed]);
}
