//! What a new process makes of what the one before it has written.

use super::super::fixture::*;
use super::*;
use crate::status_stream::StatusStream;
use odeon_protocol::messages::agent_executor::UpdateStatus;
use odeon_protocol::messages::master_agent::{KillTask, RegisterAgentError};
use odeon_protocol::task::TaskExit;
use odeon_runtime::Emission;

/// Everything that the agent has written is in the journal; then its process is killed.
fn journal_of(agent: &mut Agent) -> Vec<Record> {
    let written = |emission| if let Emission::Write(record) = emission { Some(record) } else { None };
    agent.take().into_iter().filter_map(written).collect()
}

fn replay(records: Vec<Record>) -> Checkpoint {
    let mut checkpoint = Agent::with_limits(AgentLimits::DEFAULT).core.checkpoint();
    records.into_iter().for_each(|record| checkpoint.apply(record, AgentLimits::DEFAULT.status_updates_max));
    checkpoint
}

fn start(boot_id: &str) -> Start {
    let info = Agent::with_limits(AgentLimits::DEFAULT).core.info;
    Start { info, boot_id: boot_id.into(), policy: ReconfigurationPolicy::Equal, disk_is_measured: false }
}

/// The agent as the next process, which has not registered yet.
fn started_again(checkpoint: Checkpoint, boot_id: &str) -> Agent {
    let mut agent = Agent::with_limits(AgentLimits::DEFAULT);
    agent.core = AgentCore::recover(checkpoint, start(boot_id), AgentLimits::DEFAULT, 8).unwrap();
    agent.core.on_recovered(at(0), &mut agent.out);
    agent.core.on_start(&mut agent.out);
    agent
}

fn admit(agent: &mut Agent) {
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![]))), at(0), &mut agent.out);
}

/// The steps of the life of one command, each by what is done to the agent.
type Step = (&'static str, fn(&mut Agent));

/// From the launch to the acknowledged end; after each of them the process may be killed.
const T_CYCLE: [Step; 7] = [
    ("launched", |agent| agent.launch_as(0, command("t"), true)),
    ("executor registered", |agent| agent.register("t")),
    ("starting", |agent| agent.update(1, "t", TaskState::Starting)),
    ("starting acknowledged", |agent| acknowledge_head(agent)),
    ("running", |agent| agent.update(2, "t", TaskState::Running)),
    ("running acknowledged", |agent| acknowledge_head(agent)),
    ("finished", |agent| agent.update(3, "t", TaskState::Finished)),
];

fn acknowledge_head(agent: &mut Agent) {
    let key = (framework("f"), task_id("t"));
    let uuid = agent.core.checkpoint().streams[&key].head().unwrap().uuid.clone().unwrap();
    agent.acknowledge(5, "t", uuid);
}

#[test]
fn an_agent_that_is_killed_after_any_step_of_a_task_goes_on_with_it() {
    for steps in 1..=T_CYCLE.len() {
        let mut agent = Agent::admitted();
        let mut journal = vec![Record::Admitted { agent_id: agent.core.agent_id().cloned(), epoch: EPOCH }];
        for (_, step) in &T_CYCLE[..steps] {
            step(&mut agent);
        }
        journal.extend(journal_of(&mut agent));
        let name = T_CYCLE[steps - 1].0;
        let (before, container_id) = (agent.core.checkpoint(), agent.container_of("t"));
        let mut again = started_again(replay(journal), "");
        assert_eq!(again.core.checkpoint(), before, "killed when {name}");
        let told = again.told();
        assert_eq!(told[0], "adopt t", "killed when {name}");
        assert_eq!(told.last().unwrap(), "register 1", "killed when {name}");
        assert_eq!(again.container_of("t"), container_id, "killed when {name}");
        admit(&mut again);
        let head = before.streams.values().next().and_then(StatusStream::head);
        let again_told = again.effects();
        match head {
            Some(head) => {
                assert_eq!(forwarded(&again_told), head, "the same update with the same uuid, killed when {name}")
            }
            None => assert_eq!(again_told, [], "killed when {name}"),
        }
    }
}

#[test]
fn a_task_of_a_framework_that_does_not_checkpoint_is_not_brought_back() {
    let mut agent = Agent::admitted();
    agent.launch(0, command("t"));
    agent.register("t");
    agent.update(1, "t", TaskState::Running);
    let mut again = started_again(replay(journal_of(&mut agent)), "");
    assert_eq!(again.told(), ["register 0"]);
}

/// An agent with a running task, killed and started again.
fn recovered() -> (Agent, ContainerId) {
    let mut agent = Agent::admitted();
    let mut journal = vec![Record::Admitted { agent_id: agent.core.agent_id().cloned(), epoch: EPOCH }];
    agent.launch_as(0, registered("t", "e"), true);
    agent.register("t");
    agent.update(1, "t", TaskState::Running);
    acknowledge_head(&mut agent);
    journal.extend(journal_of(&mut agent));
    let container_id = agent.container_of("t");
    let mut again = started_again(replay(journal), "");
    admit(&mut again);
    again.take();
    (again, container_id)
}

fn report(agent: &mut Agent, container_id: &ContainerId, state: TaskState, sequence: u64) {
    let status = TaskStatus::new(task_id("t"), state, StatusSource::Executor);
    let message = UpdateStatus { framework_id: framework("f"), container_id: container_id.clone(), status, sequence };
    agent.core.on_update_status(message, at(10), &mut agent.out).unwrap();
}

#[test]
fn a_report_that_was_taken_before_the_kill_is_not_taken_again_and_the_next_one_is() {
    let (mut agent, container_id) = recovered();
    agent.register("t");
    assert_eq!(agent.told(), [""; 0], "a task that runs is not run again");
    report(&mut agent, &container_id, TaskState::Running, 1);
    assert_eq!(agent.told(), [""; 0]);
    report(&mut agent, &container_id, TaskState::Finished, 2);
    assert_eq!(agent.told(), ["forward t TASK_FINISHED"]);
    assert_eq!(agent.core.accounting.free().scalar("cpus").to_string(), "4");
}

#[test]
fn an_executor_that_does_not_come_back_is_killed_and_its_task_fails() {
    let (mut agent, container_id) = recovered();
    agent.timer(14_999);
    assert_eq!(agent.told(), [""; 0]);
    agent.timer(15_000);
    assert_eq!(agent.told(), ["kill executor"]);
    agent.core.on_executor_exited(&container_id, None, at(15_100), &mut agent.out);
    let effects = agent.effects();
    let status = forwarded(&effects);
    assert_eq!((status.state, status.reason), (TaskState::Failed, Some(StatusReason::ExecutorTerminated)));
    assert!(status.message.contains("did not come back"), "{}", status.message);
}

#[test]
fn an_executor_that_is_gone_when_the_agent_is_back_has_failed_its_task() {
    let (mut agent, container_id) = recovered();
    agent.core.on_executor_exited(&container_id, None, at(10), &mut agent.out);
    assert_eq!(forwarded(&agent.effects()).state, TaskState::Failed);
    assert_eq!(agent.core.checkpoint().executors.len(), 0);
}

#[test]
fn a_kill_waits_for_the_executor_to_come_back() {
    let (mut agent, _) = recovered();
    let kill = KillTask { epoch: EPOCH, framework_id: framework("f"), task_id: task_id("t"), grace_max: None };
    agent.core.on_kill_task(&kill, at(5), &mut agent.out).unwrap();
    assert_eq!(agent.told(), [""; 0], "nobody would hear it now");
    agent.register("t");
    assert_eq!(agent.told(), ["end t in 3s"]);
}

#[test]
fn after_a_reboot_tasks_are_gone_and_no_process_is_looked_at() {
    let mut agent = Agent::admitted();
    agent.launch_as(0, registered("t", "e"), true);
    agent.register("t");
    agent.update(1, "t", TaskState::Running);
    acknowledge_head(&mut agent);
    let mut again = started_again(replay(journal_of(&mut agent)), "another boot");
    assert_eq!(again.told(), ["register 1"], "nothing is adopted, nothing is killed");
    admit(&mut again);
    let effects = again.effects();
    let status = forwarded(&effects);
    assert_eq!((status.state, status.reason), (TaskState::Gone, Some(StatusReason::AgentRestarted)));
    assert_eq!(again.core.accounting.free(), &again.core.info.resources);
}

#[test]
fn the_id_and_the_term_of_the_master_outlive_the_process() {
    let (mut agent, _) = recovered();
    assert_eq!(agent.core.agent_id().unwrap().as_str(), "m-S0");
    let older = KillTask {
        epoch: odeon_protocol::messages::Epoch(2),
        framework_id: framework("f"),
        task_id: task_id("t"),
        grace_max: None,
    };
    assert!(agent.core.on_kill_task(&older, at(0), &mut agent.out).is_err());
}

#[test]
fn an_agent_whose_id_was_removed_starts_anew_and_ends_what_it_brought() {
    let (mut agent, _) = recovered();
    agent.core.on_master_disconnected(at(0));
    agent.timer(1000);
    agent.take();
    let removed = RegisterAgentError::Removed(agent.core.agent_id().cloned().unwrap());
    agent.core.on_registration(Some(Err(removed)), at(1000), &mut agent.out);
    assert!(agent.told().contains(&"kill executor".to_owned()));
    assert_eq!(agent.core.checkpoint().agent_id, None);
}

#[test]
fn what_has_changed_is_refused_and_a_measured_disk_is_not_a_change() {
    let (agent, _) = recovered();
    let checkpoint = agent.core.checkpoint();
    let more = |text: &str| Start { info: AgentInfo { resources: resources(text), ..start("").info }, ..start("") };
    let refused = AgentCore::recover(checkpoint.clone(), more("cpus:8;mem:1024"), AgentLimits::DEFAULT, 8);
    assert!(matches!(refused, Err(RecoverError::Reconfigured(_))));
    let disk = more("cpus:4;mem:1024;ports:[31000-31009];disk:77");
    assert!(AgentCore::recover(checkpoint.clone(), disk.clone(), AgentLimits::DEFAULT, 8).is_err());
    let measured = Start { disk_is_measured: true, ..disk };
    assert!(AgentCore::recover(checkpoint, measured, AgentLimits::DEFAULT, 8).is_ok());
}

#[test]
fn a_long_journal_is_replaced_by_a_snapshot_of_all_that_it_says() {
    let mut agent = Agent::with_limits(AgentLimits { journal_records_max: 3, ..AgentLimits::DEFAULT });
    agent.core.on_start(&mut agent.out);
    admit(&mut agent);
    agent.launch_as(0, command("t"), true);
    agent.register("t");
    assert!(agent.core.next_deadline() > Some(Duration::ZERO));
    agent.update(0, "t", TaskState::Running);
    assert_eq!(agent.core.next_deadline(), Some(Duration::ZERO));
    agent.take();
    agent.timer(0);
    let expected = agent.core.checkpoint();
    assert_eq!(agent.take(), [Emission::Write(Record::Snapshot(Box::new(expected.clone())))]);
    assert!(agent.core.next_deadline() > Some(Duration::ZERO));
    assert_eq!(replay(vec![Record::Snapshot(Box::new(expected.clone()))]), expected);
}

#[test]
fn a_task_that_was_given_up_is_killed_when_its_executor_is_back() {
    let mut agent = Agent::admitted();
    agent.launch_as(0, registered("t", "e"), true);
    agent.register("t");
    agent.update(1, "t", TaskState::Running);
    agent.core.on_master_disconnected(at(2));
    agent.timer(1000);
    let key = (framework("f"), task_id("t"));
    agent.core.on_registration(Some(Ok(admitted(EPOCH, vec![key]))), at(1000), &mut agent.out);
    let mut journal = vec![Record::Admitted { agent_id: agent.core.agent_id().cloned(), epoch: EPOCH }];
    journal.extend(journal_of(&mut agent));
    let mut again = started_again(replay(journal), "");
    again.register("t");
    let told = again.told();
    assert_eq!((told[0].as_str(), told.last().unwrap().as_str()), ("adopt e", "end t in 3s"));
    assert!(told.contains(&"register 0".to_owned()), "{told:?}");
    let container_id = again.container_of("t");
    again.core.on_executor_exited(&container_id, Some(TaskExit::Code(0)), at(10), &mut again.out);
    let (tasks, told) = (again.core.checkpoint().tasks, again.told());
    assert_eq!((tasks.len(), told), (0, vec![]));
}

#[test]
fn the_launch_of_a_task_that_is_kept_is_written_before_anything_is_started_for_it() {
    let mut agent = Agent::admitted();
    agent.launch_as(0, command("t"), true);
    let emitted = agent.take();
    let [Emission::Write(Record::Launched { .. }), Emission::Send(Effect::StartExecutor { .. })] = emitted.as_slice()
    else {
        panic!("{emitted:?}")
    };
}
