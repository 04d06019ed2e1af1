//! What an agent does, scenario by scenario.

use super::fixture::*;
use super::*;
use crate::effect::Record;
use odeon_protocol::id::StatusUuid;
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::agent_executor::RegisterExecutor;
use odeon_protocol::messages::master_agent::*;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, StatusSource, TaskExit, TaskInfo, TaskState, TaskStatus};
use odeon_runtime::Emission;

#[test]
fn an_agent_asks_again_ever_more_rarely_until_it_is_admitted() {
    let mut agent = Agent::with_limits(AgentLimits::DEFAULT);
    agent.core.on_start(&mut agent.out);
    let mut now = 0;
    for full_ms in [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
        assert_eq!(agent.told(), ["register 0"]);
        agent.core.on_registration(None, at(now), &mut agent.out);
        let due = u64::try_from(agent.core.next_deadline().unwrap().as_nanos().div_ceil(1_000_000)).unwrap();
        assert!((full_ms / 2..=full_ms).contains(&(due - now)), "{full_ms}: waited {}", due - now);
        agent.timer(due - 1);
        assert_eq!(agent.told(), [""; 0]);
        now = due;
        agent.timer(now);
    }
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(now), &mut agent.out);
    assert_eq!(agent.core.agent_id().unwrap().as_str(), "m-S0");
}

#[test]
fn without_a_ping_the_agent_registers_anew_with_its_id_and_tasks() {
    let mut agent = Agent::running(command("t"));
    let agent_id = agent.core.agent_id().cloned();
    let ping = PingAgent { epoch: EPOCH, agent_id: agent_id.clone().unwrap(), connected: true };
    agent.core.on_ping_agent(&ping, at(10_000), &mut agent.out).unwrap();
    agent.timer(84_999);
    assert_eq!(agent.told(), [""; 0]);
    agent.timer(85_000);
    let effects = agent.effects();
    let [Effect::Register(message)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(message.agent_id, agent_id);
    assert_eq!(message.tasks[0].task, command("t"));
    assert_eq!(message.tasks[0].state, TaskState::Running);
}

#[test]
fn a_broken_link_or_a_ping_that_does_not_count_it_makes_the_agent_register_at_once() {
    let mut agent = Agent::admitted();
    agent.core.on_master_disconnected(at(1000));
    agent.timer(1100);
    assert_eq!(agent.told(), ["register 0"]);
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(1200), &mut agent.out);
    let ping = PingAgent { epoch: EPOCH, agent_id: agent.core.agent_id().cloned().unwrap(), connected: false };
    agent.core.on_ping_agent(&ping, at(1300), &mut agent.out).unwrap();
    assert_eq!(agent.told(), ["register 0"]);
}

#[test]
fn commands_of_an_older_master_are_refused() {
    let mut agent = Agent::admitted();
    agent.core.on_registration(Some(Ok(admitted(Epoch(4), vec![]))), at(0), &mut agent.out);
    let message = LaunchTask {
        epoch: EPOCH,
        framework_id: framework("f"),
        role: Role::default(),
        task: command("t"),
        checkpoint: false,
        killing_state: false,
    };
    let refused = agent.core.on_launch_task(message, at(0), &mut agent.out);
    assert_eq!(refused, Err(CommandRefused::OldEpoch { command: EPOCH, current: Epoch(4) }));
    let kill = KillTask { epoch: EPOCH, framework_id: framework("f"), task_id: task_id("t"), grace_max: None };
    assert!(agent.core.on_kill_task(&kill, at(0), &mut agent.out).is_err());
    assert_eq!(agent.told(), [""; 0]);
    agent.core.on_master_disconnected(at(0));
    agent.timer(100);
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(100), &mut agent.out);
    assert!(!agent.core.registration.is_registered(), "the older master does not get the agent");
}

#[test]
fn an_agent_that_never_registered_refuses_commands() {
    let mut agent = Agent::with_limits(AgentLimits::DEFAULT);
    let message = LaunchTask {
        epoch: EPOCH,
        framework_id: framework("f"),
        role: Role::default(),
        task: command("t"),
        checkpoint: false,
        killing_state: false,
    };
    let refused = agent.core.on_launch_task(message, at(0), &mut agent.out);
    assert!(matches!(refused, Err(CommandRefused::NotRegistered(_))));
}

#[test]
fn the_first_task_starts_its_executor_and_tasks_wait_until_it_registers() {
    let mut agent = Agent::admitted();
    agent.launch(0, registered("a", "e"));
    agent.launch(1, registered("b", "e"));
    assert_eq!(agent.told(), ["start e"]);
    agent.register("a");
    assert_eq!(agent.told(), ["run a", "run b"]);
    agent.launch(2, registered("c", "e"));
    agent.launch(2, registered("c", "e"));
    assert_eq!(agent.told(), ["run c"]);
}

#[test]
fn every_command_has_an_executor_of_its_own() {
    let mut agent = Agent::admitted();
    agent.launch(0, command("a"));
    agent.launch(0, command("b"));
    assert_eq!(agent.told(), ["start a", "start b"]);
    assert_ne!(agent.container_of("a"), agent.container_of("b"));
}

#[test]
fn commands_that_name_one_executor_share_it_and_it_stays_when_they_have_ended() {
    let mut agent = Agent::admitted();
    agent.launch(0, shared_command("a", "e"));
    agent.launch(0, shared_command("b", "e"));
    assert_eq!(agent.told(), ["start e"]);
    assert_eq!(agent.container_of("a"), agent.container_of("b"));
    agent.register("a");
    agent.update(1, "a", TaskState::Finished);
    agent.update(1, "b", TaskState::Finished);
    agent.take();
    agent.launch(2, shared_command("c", "e"));
    assert_eq!(agent.told(), ["run c"]);
}

#[test]
fn an_executor_that_does_not_register_in_time_is_killed_and_its_tasks_fail() {
    let mut agent = Agent::admitted();
    agent.launch(1000, command("t"));
    agent.take();
    agent.timer(60_999);
    assert_eq!(agent.told(), [""; 0]);
    assert_eq!(agent.core.next_deadline(), Some(Duration::from_secs(61)));
    agent.timer(61_000);
    let effects = agent.effects();
    assert_eq!(effects.iter().map(describe).collect::<Vec<_>>(), ["kill executor", "forward t TASK_FAILED"]);
    assert_eq!(forwarded(&effects).reason, Some(StatusReason::ExecutorRegistrationTimeout));
    agent.core.on_executor_exited(&agent.container_of("t"), Some(TaskExit::Signal(9)), at(61_100), &mut agent.out);
    assert_eq!(agent.told(), [""; 0]);
    assert!(agent.core.executors.is_empty());
}

#[test]
fn an_unknown_or_finished_run_of_an_executor_is_turned_away() {
    let mut agent = Agent::running(command("t"));
    let container_id = agent.container_of("t");
    let place = agent.core.history.locate(&(framework("f"), task_id("t"))).unwrap().place.clone();
    let mut message =
        RegisterExecutor { framework_id: framework("other"), executor_id: place.executor_id, container_id };
    assert!(agent.core.on_register_executor(&message, &mut agent.out).is_err());
    message.framework_id = framework("f");
    assert!(agent.core.on_register_executor(&message, &mut agent.out).is_ok());
    agent.core.on_executor_exited(&message.container_id, None, at(0), &mut agent.out);
    assert!(agent.core.on_register_executor(&message, &mut agent.out).is_err());
}

#[test]
fn an_executor_that_is_back_gets_the_tasks_of_which_it_has_said_nothing() {
    let mut agent = Agent::running(registered("a", "e"));
    agent.launch(0, registered("b", "e"));
    agent.kill(0, "b");
    assert_eq!(agent.told(), ["run b", "end b in 3s"]);
    agent.core.on_executor_disconnected(&agent.container_of("a"), at(1000));
    agent.register("a");
    assert_eq!(agent.told(), ["run b", "end b in 3s"]);
    agent.update(1000, "b", TaskState::Killed);
    agent.take();
    agent.timer(9000);
    assert_eq!(agent.told(), [""; 0], "neither a kill nor a lost link is due");
}

#[test]
fn a_live_executor_whose_link_stays_down_is_killed() {
    let mut agent = Agent::running(command("t"));
    agent.core.on_executor_disconnected(&agent.container_of("t"), at(1000));
    agent.timer(5999);
    assert_eq!(agent.told(), [""; 0]);
    agent.timer(6000);
    assert_eq!(agent.told(), ["kill executor"]);
}

#[test]
fn a_task_that_waits_for_its_executor_is_killed_at_once_and_the_executor_with_the_last() {
    let mut agent = Agent::admitted();
    agent.launch(0, registered("a", "e"));
    agent.launch(0, registered("b", "e"));
    agent.take();
    agent.kill(0, "a");
    assert_eq!(agent.told(), ["forward a TASK_KILLED"]);
    agent.kill(0, "b");
    assert_eq!(agent.told(), ["forward b TASK_KILLED", "kill executor"]);
}

#[test]
fn a_running_task_is_asked_to_end_and_its_executor_is_killed_if_it_does_not_obey() {
    let mut agent = Agent::running(TaskInfo { kill_grace: Some(Duration::from_secs(1)), ..command("t") });
    agent.kill(1000, "t");
    agent.kill(2000, "t");
    assert_eq!(agent.told(), ["end t in 1s", "end t in 1s"]);
    agent.timer(3999);
    assert_eq!(agent.told(), [""; 0]);
    agent.timer(4000);
    assert_eq!(agent.told(), ["kill executor"]);
    agent.core.on_executor_exited(&agent.container_of("t"), Some(TaskExit::Signal(9)), at(4100), &mut agent.out);
    let effects = agent.effects();
    let status = forwarded(&effects);
    assert_eq!((status.state, status.reason), (TaskState::Killed, Some(StatusReason::ExecutorTerminated)));
    assert!(status.message.contains("task t did not end in time"), "{}", status.message);
}

#[test]
fn the_exit_of_an_executor_fails_its_tasks_and_says_how_it_ended() {
    let mut agent = Agent::running(registered("a", "e"));
    agent.launch(0, registered("b", "e"));
    agent.kill(0, "b");
    agent.take();
    agent.core.on_executor_exited(&agent.container_of("a"), Some(TaskExit::Code(3)), at(0), &mut agent.out);
    assert_eq!(
        agent.effects().iter().map(describe).collect::<Vec<_>>(),
        ["forward a TASK_FAILED", "forward b TASK_KILLED"]
    );
    let streams: Vec<Option<TaskState>> = agent.core.streams.iter().map(|(_, stream)| stream.latest()).collect();
    assert_eq!(streams, [Some(TaskState::Failed), Some(TaskState::Killed)]);
    assert_eq!(agent.core.accounting.free(), &agent.core.info.resources);
}

#[test]
fn a_program_that_cannot_be_started_fails_the_task() {
    let mut agent = Agent::admitted();
    agent.launch(0, command("t"));
    agent.take();
    agent.core.on_executor_not_started(&agent.container_of("t"), "no such file", at(0), &mut agent.out);
    let effects = agent.effects();
    assert_eq!(forwarded(&effects).reason, Some(StatusReason::ContainerLaunchFailed));
    assert!(forwarded(&effects).message.contains("no such file"));
}

#[test]
fn the_executor_of_a_command_is_ended_once_the_end_of_its_task_is_taken() {
    let mut agent = Agent::running(command("t"));
    agent.update(0, "t", TaskState::Finished);
    assert_eq!(agent.told(), ["forward t TASK_FINISHED", "shut down executor"]);
    agent.timer(7000);
    assert_eq!(agent.told(), ["kill executor"], "it did not end itself");
}

#[test]
fn an_executor_without_tasks_is_kept_for_a_while() {
    let mut agent = Agent::running(registered("a", "e"));
    agent.update(1000, "a", TaskState::Finished);
    agent.take();
    agent.launch(2000, registered("b", "e"));
    assert_eq!(agent.told(), ["run b"]);
    agent.update(3000, "b", TaskState::Finished);
    agent.core.end = None;
    agent.take();
    agent.core.on_master_disconnected(at(3000));
    agent.timer(602_999);
    agent.take();
    agent.timer(603_000);
    assert_eq!(agent.told(), ["shut down executor"]);
}

#[test]
fn an_update_is_written_before_it_is_told_and_only_the_oldest_is_on_its_way() {
    let mut agent = Agent::admitted();
    agent.launch_as(0, command("t"), true);
    agent.register("t");
    agent.take();
    agent.update(0, "t", TaskState::Running);
    let first = agent.take();
    let [Emission::Write(Record::Updated { status, .. }), Emission::Send(Effect::Forward(forward))] = first.as_slice()
    else {
        panic!("{first:?}")
    };
    assert_eq!(&forward.status, status);
    assert_eq!(status.agent_id.as_ref(), agent.core.agent_id());
    agent.update(0, "t", TaskState::Finished);
    let second = agent.take();
    assert!(matches!(second.as_slice(), [Emission::Write(_), Emission::Send(Effect::ShutdownExecutor { .. })]));
    agent.timer(10_000);
    let effects = agent.effects();
    let latest = effects.iter().find_map(|effect| match effect {
        Effect::Forward(forward) => Some((forward.status.state, forward.latest)),
        _ => None,
    });
    assert_eq!(latest, Some((TaskState::Running, TaskState::Finished)));
    agent.acknowledge(10_000, "t", status.uuid.clone().unwrap());
    let third = agent.take();
    let [Emission::Send(Effect::Forward(last)), Emission::Write(Record::Acknowledged { .. })] = third.as_slice() else {
        panic!("the next update does not wait for the acknowledgement to be written: {third:?}")
    };
    assert_eq!(last.status.state, TaskState::Finished);
    agent.acknowledge(10_000, "t", last.status.uuid.clone().unwrap());
    assert!(agent.core.tasks.is_empty() && agent.core.streams.keys().count() == 0);
}

#[test]
fn nothing_is_written_about_a_task_of_a_framework_that_does_not_checkpoint() {
    let mut agent = Agent::running(command("t"));
    agent.kill(0, "t");
    agent.update(0, "t", TaskState::Killed);
    let emitted = agent.take();
    assert!(emitted.iter().all(|emission| matches!(emission, Emission::Send(_))), "{emitted:?}");
    let uuid = emitted.into_iter().find_map(|emission| match emission {
        Emission::Send(Effect::Forward(forward)) => forward.status.uuid,
        _ => None,
    });
    agent.acknowledge(0, "t", uuid.unwrap());
    assert_eq!(agent.take(), []);
    assert!(agent.core.tasks.is_empty() && agent.core.streams.keys().count() == 0);
}

#[test]
fn a_repeated_update_is_answered_and_told_once() {
    let mut agent = Agent::admitted();
    agent.launch(0, command("t"));
    agent.register("t");
    agent.take();
    let message = odeon_protocol::messages::agent_executor::UpdateStatus {
        framework_id: framework("f"),
        container_id: agent.container_of("t"),
        status: TaskStatus::new(task_id("t"), TaskState::Running, StatusSource::Executor),
        sequence: 1,
    };
    assert_eq!(agent.core.on_update_status(message.clone(), at(0), &mut agent.out), Ok(()));
    assert_eq!(agent.told(), ["forward t TASK_RUNNING"]);
    assert_eq!(agent.core.on_update_status(message, at(0), &mut agent.out), Ok(()));
    assert_eq!(agent.take(), []);
}

#[test]
fn an_update_waits_while_there_is_no_master_and_is_told_when_there_is() {
    let mut agent = Agent::running(command("t"));
    agent.core.on_master_disconnected(at(1000));
    agent.update(1000, "t", TaskState::Failed);
    assert_eq!(agent.told(), ["shut down executor"]);
    agent.timer(1200);
    assert_eq!(agent.told(), ["register 1"]);
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(1200), &mut agent.out);
    assert_eq!(agent.told(), ["forward t TASK_FAILED"]);
}

#[test]
fn an_acknowledgement_that_names_another_update_changes_nothing() {
    let mut agent = Agent::running(command("t"));
    agent.update(0, "t", TaskState::Finished);
    agent.take();
    agent.acknowledge(0, "t", StatusUuid::new("other").unwrap());
    assert_eq!(agent.take(), []);
    assert_eq!(agent.core.streams.keys().count(), 1);
}

#[test]
fn a_task_beyond_what_the_agent_has_is_an_error_and_leaves_what_is_charged() {
    let mut agent = Agent::admitted();
    agent.launch(0, TaskInfo { resources: resources("cpus:3.6"), ..registered("a", "e") });
    let effects = agent.effects();
    assert_eq!(effects.iter().map(describe).collect::<Vec<_>>(), ["forward a TASK_ERROR"]);
    assert!(forwarded(&effects).message.contains("cpus is short"), "{}", forwarded(&effects).message);
    assert_eq!(agent.core.accounting.free(), &agent.core.info.resources);
    agent.launch(0, TaskInfo { resources: resources("cpus:3.5"), ..registered("b", "e") });
    assert_eq!(agent.told(), ["start e"]);
}

#[test]
fn an_executor_id_with_another_description_is_an_error() {
    let mut agent = Agent::running(registered("a", "e"));
    let mut other = registered("b", "e");
    let odeon_protocol::task::Work::Registered { executor, .. } = &mut other.work else { unreachable!() };
    executor.name = "other".into();
    agent.launch(0, other);
    assert_eq!(agent.told(), ["forward b TASK_ERROR"]);
}

#[test]
fn a_kill_of_a_task_that_is_not_there_is_answered_once_until_acknowledged() {
    let mut agent = Agent::admitted();
    agent.kill(0, "t");
    agent.kill(0, "t");
    assert_eq!(agent.told(), ["forward t TASK_GONE"]);
}

#[test]
fn what_the_master_has_given_up_ends_in_silence_and_counts_as_free() {
    let mut agent = Agent::running(command("t"));
    agent.core.on_master_disconnected(at(0));
    agent.timer(100);
    let kill = vec![(framework("f"), task_id("t"))];
    agent.core.on_registration(Some(Ok(admitted(EPOCH, kill))), at(100), &mut agent.out);
    assert_eq!(agent.told(), ["register 1", "end t in 3s"]);
    assert_eq!(agent.core.accounting.free(), &agent.core.info.resources);
    agent.launch(200, command("t"));
    assert_eq!(agent.told(), ["forward t TASK_ERROR"], "the earlier one has not ended");
    agent.update(300, "t", TaskState::Killed);
    assert_eq!(agent.told(), ["shut down executor"]);
    assert!(agent.core.tasks.is_empty());
}

#[test]
fn the_end_of_a_framework_ends_its_executors_and_tells_nothing() {
    let mut agent = Agent::running(command("t"));
    agent.launch(0, registered("waits", "e"));
    agent.update(0, "t", TaskState::Running);
    agent.take();
    let message = ShutdownFramework { epoch: EPOCH, framework_id: framework("f") };
    agent.core.on_shutdown_framework(&message, at(0), &mut agent.out).unwrap();
    let mut told = agent.told();
    told.sort();
    assert_eq!(told, ["kill executor", "shut down executor"]);
    let containers: Vec<ContainerId> = agent.core.executors.keys().cloned().collect();
    for container_id in containers {
        agent.core.on_executor_exited(&container_id, Some(TaskExit::Code(0)), at(100), &mut agent.out);
    }
    assert_eq!(agent.told(), [""; 0]);
    assert!(agent.core.tasks.is_empty() && agent.core.streams.keys().count() == 0);
}

#[test]
fn a_removed_agent_ends_its_executors_and_registers_without_an_id() {
    let mut agent = Agent::running(command("t"));
    let agent_id = agent.core.agent_id().cloned().unwrap();
    agent.core.on_master_disconnected(at(0));
    agent.timer(100);
    agent.take();
    agent.core.on_registration(Some(Err(RegisterAgentError::Removed(agent_id))), at(100), &mut agent.out);
    assert_eq!(agent.told(), ["shut down executor"]);
    agent.timer(1100);
    let effects = agent.effects();
    let [Effect::Register(message)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((&message.agent_id, message.tasks.len()), (&None, 0));
}

#[test]
fn a_stopped_agent_finishes_when_its_last_executor_is_gone() {
    let mut agent = Agent::running(command("t"));
    agent.launch(0, command("waits"));
    agent.take();
    agent.core.on_stop(at(0), &mut agent.out);
    let mut told = agent.told();
    told.sort();
    assert_eq!(told, ["kill executor", "shut down executor"]);
    agent.core.on_executor_exited(&agent.container_of("waits"), None, at(0), &mut agent.out);
    assert_eq!(agent.told(), ["forward waits TASK_KILLED"]);
    agent.timer(7000);
    assert_eq!(agent.told(), ["kill executor"]);
    agent.core.on_executor_exited(&agent.container_of("t"), None, at(7100), &mut agent.out);
    assert_eq!(agent.told(), ["forward t TASK_KILLED", "finish Stopped"]);
    assert_eq!(agent.core.next_deadline(), None);
}

#[test]
fn a_master_ends_an_idle_agent_at_once_and_one_that_cannot_be_admitted_ends_itself() {
    let mut agent = Agent::admitted();
    let message = ShutdownAgent { epoch: EPOCH, message: "maintenance".into() };
    agent.core.on_shutdown_agent(message, at(0), &mut agent.out).unwrap();
    assert_eq!(agent.effects(), [Effect::Finish(AgentEnd::ShutDown("maintenance".into()))]);
    let gone = RegisterAgentError::Gone(odeon_protocol::id::AgentId::new("S").unwrap());
    for refusal in [RegisterAgentError::NoResources { hostname: "host".into() }, gone] {
        let mut agent = Agent::with_limits(AgentLimits::DEFAULT);
        agent.core.on_registration(Some(Err(refusal.clone())), at(0), &mut agent.out);
        assert_eq!(agent.effects(), [Effect::Finish(AgentEnd::Refused(refusal))]);
        assert_eq!(agent.core.next_deadline(), None, "it does not ask again");
    }
}

#[test]
fn the_newest_sandboxes_and_all_young_ones_are_kept() {
    let mut agent = Agent::admitted();
    agent.core.limits.sandboxes_max = 2;
    agent.core.history = History::new(&agent.core.limits);
    for (ms, name) in [(0, "a"), (1000, "b"), (2000, "c"), (3000, "d")] {
        agent.launch(ms, command(name));
        agent.core.on_executor_exited(&agent.container_of(name), None, at(ms), &mut agent.out);
    }
    agent.core.on_master_disconnected(at(3000));
    agent.take();
    assert!(agent.core.locate_sandbox(&framework("f"), &task_id("a")).unwrap().is_complete);
    agent.timer(59_999);
    assert!(!agent.told().iter().any(|told| told.starts_with("remove")));
    agent.timer(61_000);
    let removed: Vec<String> = agent.told().into_iter().filter(|told| told.starts_with("remove")).collect();
    assert_eq!(removed, ["remove a None", "remove b None"]);
    assert!(agent.core.locate_sandbox(&framework("f"), &task_id("a")).is_none());
    assert!(agent.core.locate_sandbox(&framework("f"), &task_id("c")).is_some());
}

fn removed(agent: &mut Agent) -> Vec<String> {
    agent.told().into_iter().filter(|told| told.starts_with("remove")).collect()
}

#[test]
fn a_sandbox_goes_after_a_time_that_is_the_shorter_the_fuller_the_disk_is() {
    let mut agent = Agent::admitted();
    agent.core.limits.sandbox_age_max = Duration::from_secs(1000);
    for (second, name) in [(0, "a"), (100, "b"), (850, "c")] {
        agent.launch(second * 1000, command(name));
        agent.core.on_executor_exited(&agent.container_of(name), None, at(second * 1000), &mut agent.out);
    }
    agent.core.on_master_disconnected(at(850_000));
    agent.take();
    let used = |permille: u64| DiskUsage::new(1000, 1000 - permille);
    agent.core.on_disk_measured(used(100), at(850_000), &mut agent.out);
    assert_eq!(removed(&mut agent), ["remove a None"], "800 s at a tenth in use and a tenth to stay free");
    agent.core.on_disk_measured(used(150), at(851_000), &mut agent.out);
    assert_eq!(removed(&mut agent), ["remove b None"]);
    agent.core.on_disk_measured(used(1000), at(852_000), &mut agent.out);
    assert_eq!(removed(&mut agent), [""; 0], "who has just ended is still read from");
    agent.timer(910_000);
    assert_eq!(removed(&mut agent), ["remove c None"]);
}

#[test]
fn what_an_earlier_process_has_left_is_as_old_as_it_is_and_what_lives_is_left_alone() {
    let mut agent = Agent::running(command("t"));
    agent.core.limits.sandbox_age_max = Duration::from_secs(1000);
    agent.core.on_disk_measured(DiskUsage::new(1000, 1000), at(0), &mut agent.out);
    let found = |name: &str, seconds| {
        let executor_id = odeon_protocol::id::ExecutorId::new(name).unwrap();
        let container_id = odeon_protocol::id::ContainerId::new(format!("c-{name}")).unwrap();
        let place = crate::effect::ContainerPlace { framework_id: framework("f"), executor_id, container_id };
        FoundSandbox { place, age: Duration::from_secs(seconds) }
    };
    let alive = FoundSandbox {
        place: agent.core.executors[&agent.container_of("t")].place.clone(),
        age: Duration::from_secs(5000),
    };
    agent.take();
    agent.core.on_sandboxes_found(
        vec![found("new", 1), found("old", 901), alive, found("mid", 850)],
        at(0),
        &mut agent.out,
    );
    assert_eq!(removed(&mut agent), ["remove old None"]);
    agent.timer(50_000);
    assert_eq!(removed(&mut agent), ["remove mid None"]);
    agent.timer(899_000);
    assert_eq!(removed(&mut agent), ["remove new None"]);
}

#[test]
fn a_full_disk_takes_no_task_and_says_so() {
    let mut agent = Agent::admitted();
    agent.core.on_disk_measured(DiskUsage::new(1000, 9), at(0), &mut agent.out);
    agent.launch(0, command("t"));
    let effects = agent.effects();
    let status = forwarded(&effects);
    assert_eq!((status.state, status.reason), (TaskState::Failed, Some(StatusReason::ContainerLaunchFailed)));
    assert!(status.message.starts_with("99.1 % of the disk of the agent is in use"), "{}", status.message);
    agent.core.on_disk_measured(DiskUsage::new(1000, 10), at(0), &mut agent.out);
    agent.launch(0, command("u"));
    assert_eq!(agent.told(), ["start u"]);
}

#[test]
fn an_executor_is_told_whether_its_framework_understands_killing() {
    for killing_state in [false, true] {
        let mut agent = Agent::admitted();
        let launch = LaunchTask {
            epoch: EPOCH,
            framework_id: framework("f"),
            role: Role::default(),
            task: command("t"),
            checkpoint: false,
            killing_state,
        };
        agent.core.on_launch_task(launch, at(0), &mut agent.out).unwrap();
        let place = agent.core.executors[&agent.container_of("t")].place.clone();
        let crate::effect::ContainerPlace { framework_id, executor_id, container_id } = place;
        let register =
            odeon_protocol::messages::agent_executor::RegisterExecutor { framework_id, executor_id, container_id };
        let answer = agent.core.on_register_executor(&register, &mut agent.out).unwrap();
        assert_eq!(answer.killing_state, killing_state);
    }
}

#[test]
fn the_output_of_ended_tasks_of_a_long_lived_executor_is_forgotten_as_well() {
    let mut agent = Agent::running(registered("a", "e"));
    agent.core.limits.sandboxes_max = 0;
    agent.core.history = History::new(&agent.core.limits);
    agent.launch(0, registered("b", "e"));
    agent.update(0, "b", TaskState::Finished);
    agent.take();
    agent.core.on_master_disconnected(at(0));
    agent.timer(60_000);
    assert!(agent.told().contains(&"remove e Some(TaskId(\"b\"))".to_owned()));
}
