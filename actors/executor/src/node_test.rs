//! A whole executor against an agent of paper, on a network in memory.

use super::*;
use crate::core::Identity;
use crate::task::{Task, TaskContext, TaskFailure};
use actix::{Context, Handler};
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, TaskId};
use odeon_protocol::messages::agent_executor::{
    ExecutorForAgent, ExecutorRegistered, RegisterExecutor, RegisterExecutorError, RunTask, UpdateStatuses,
};
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{StatusReason, TaskExit, TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::testkit::node_on;
use odeon_runtime::{Endpoint, FabricLimits, From, InMemoryNetwork, NodeId, Peer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::mpsc;

const AGENT: &str = "agent-host:1";

/// Admits whoever calls, and writes down what it hears.
struct PaperAgent {
    registered: mpsc::UnboundedSender<NodeId>,
    updates: mpsc::UnboundedSender<TaskStatus>,
    refuses: bool,
}

impl Actor for PaperAgent {
    type Context = Context<Self>;
}

impl Handler<From<RegisterExecutor>> for PaperAgent {
    type Result = Result<ExecutorRegistered, RegisterExecutorError>;
    fn handle(&mut self, message: From<RegisterExecutor>, _ctx: &mut Context<Self>) -> Self::Result {
        let RegisterExecutor { executor_id, container_id, .. } = message.message;
        if self.refuses {
            return Err(RegisterExecutorError::UnknownContainer(container_id));
        }
        let _ = self.registered.send(message.node);
        let executor = ExecutorInfo {
            executor_id,
            name: String::new(),
            resources: Resources::empty(),
            program: None,
            binary: None,
        };
        Ok(ExecutorRegistered {
            agent_id: AgentId::new("S").unwrap(),
            executor,
            kill_grace: Duration::ZERO,
            killing_state: false,
        })
    }
}

impl Handler<UpdateStatuses> for PaperAgent {
    type Result = Result<(), RegisterExecutorError>;
    fn handle(&mut self, message: UpdateStatuses, _ctx: &mut Context<Self>) -> Self::Result {
        for report in message.reports {
            let _ = self.updates.send(report.status);
        }
        Ok(())
    }
}

struct Stage {
    network: InMemoryNetwork,
    node: Node,
    registered: mpsc::UnboundedReceiver<NodeId>,
    updates: mpsc::UnboundedReceiver<TaskStatus>,
    ended: actix_rt::task::JoinHandle<Result<ExecutorEnd, RunExecutorError>>,
}

async fn stage(refuses: bool) -> Stage {
    let network = InMemoryNetwork::new(1);
    let node = node_on(&network, "agent-host", 1, FabricLimits::DEFAULT).await;
    node.listen(AGENT).await.unwrap();
    let ((registered_in, registered), (updates_in, updates)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let agent = PaperAgent { registered: registered_in, updates: updates_in, refuses }.start();
    let exports = Exports::new().accept_from::<RegisterExecutor, _>(&agent).accept::<UpdateStatuses, _>(&agent);
    node.export("agent", exports);
    let registry = TaskRegistry::new().register::<Echo>().unwrap().register::<Stubborn>().unwrap();
    let registry = registry.register::<Clumsy>().unwrap();
    let ended = actix_rt::spawn(run_executor(settings(), registry, network.host("executor-host")));
    Stage { network, node, registered, updates, ended }
}

fn settings() -> ExecutorSettings {
    let identity = Identity {
        framework_id: FrameworkId::new("F").unwrap(),
        executor_id: ExecutorId::new("e").unwrap(),
        container_id: ContainerId::new("c").unwrap(),
        shutdown_grace: Duration::from_secs(1),
        recovery_timeout: None,
    };
    let base_environment = BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]);
    ExecutorSettings {
        agent: Endpoint::new(AGENT),
        actors_listen: Endpoint::new("executor-host:0"),
        actors_host: "executor-host".into(),
        agent_file: None,
        identity,
        sandbox: PathBuf::from("/"),
        owns_process: false,
        base_environment,
    }
}

impl Stage {
    async fn executor(&mut self) -> Peer<ExecutorForAgent> {
        let node = self.registered.recv().await.unwrap();
        self.node.peer_of(&node, "executor")
    }

    async fn next(&mut self) -> (String, TaskState, String) {
        let status = self.updates.recv().await.unwrap();
        (status.task_id.to_string(), status.state, status.message)
    }
}

fn run_task(task_id: &str, work: Work, sandbox: &str) -> RunTasks {
    let task_id = TaskId::new(task_id).unwrap();
    let task = TaskInfo::new(task_id, "n", Resources::empty(), work);
    RunTasks { tasks: vec![RunTask { task, sandbox: sandbox.into() }] }
}

fn registered(task_type: &str, data: &str) -> Work {
    let executor_id = ExecutorId::new("e").unwrap();
    let executor =
        ExecutorInfo { executor_id, name: String::new(), resources: Resources::empty(), program: None, binary: None };
    Work::Registered { executor, task_type: task_type.into(), data: data.into() }
}

fn expected(task_id: &str, state: TaskState, message: &str) -> (String, TaskState, String) {
    (task_id.into(), state, message.into())
}

/// Says what it was given, and ends when asked.
struct Echo;
impl Task for Echo {
    const NAME: &'static str = "echo";
    async fn run(context: TaskContext) -> Result<(), TaskFailure> {
        context.report(std::str::from_utf8(context.data())?);
        context.killed().await;
        context.report("last words");
        Ok(())
    }
}

/// Never ends by itself.
struct Stubborn;
impl Task for Stubborn {
    const NAME: &'static str = "stubborn";
    async fn run(_context: TaskContext) -> Result<(), TaskFailure> {
        std::future::pending().await
    }
}

/// Panics.
struct Clumsy;
impl Task for Clumsy {
    const NAME: &'static str = "clumsy";
    async fn run(context: TaskContext) -> Result<(), TaskFailure> {
        panic!("dropped {}", context.name());
    }
}

#[actix_rt::test]
async fn a_task_reports_and_ends_and_a_panic_beside_it_harms_it_not() {
    tokio::time::pause();
    let mut stage = stage(false).await;
    let executor = stage.executor().await;
    executor.send(run_task("t1", registered("echo", "hello"), "/")).await.unwrap();
    assert_eq!(stage.next().await, expected("t1", TaskState::Running, "hello"));
    executor.send(run_task("t2", registered("clumsy", ""), "/")).await.unwrap();
    let panicked = expected("t2", TaskState::Failed, "the task panicked: dropped n");
    assert_eq!(stage.next().await, panicked, "it had ended before anybody could be told that it ran");
    executor.send(run_task("t3", registered("nope", ""), "/")).await.unwrap();
    let (_, state, message) = stage.next().await;
    assert_eq!(state, TaskState::Error);
    assert!(message.ends_with("registered: clumsy, echo, stubborn"), "{message}");
    executor.send(EndTask { task_id: TaskId::new("t1").unwrap(), grace: Duration::from_secs(9) }).await.unwrap();
    assert_eq!(stage.next().await, expected("t1", TaskState::Running, "last words"));
    assert_eq!(stage.next().await, expected("t1", TaskState::Killed, ""));
    // It may be gone before it answers.
    let _ = executor.send(ShutdownExecutor { grace: Duration::from_secs(1) }).await;
    assert_eq!(stage.ended.await.unwrap(), Ok(ExecutorEnd::Shutdown));
}

#[actix_rt::test]
async fn a_stubborn_task_is_dropped_after_its_grace() {
    tokio::time::pause();
    let mut stage = stage(false).await;
    let executor = stage.executor().await;
    executor.send(run_task("t", registered("stubborn", ""), "/")).await.unwrap();
    assert_eq!(stage.next().await, expected("t", TaskState::Running, ""));
    let before = tokio::time::Instant::now();
    executor.send(EndTask { task_id: TaskId::new("t").unwrap(), grace: Duration::from_secs(5) }).await.unwrap();
    assert_eq!(stage.next().await, expected("t", TaskState::Killed, "the task was aborted"));
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&before.elapsed()));
}

#[actix_rt::test]
async fn a_command_runs_and_its_executor_ends_with_it() {
    let mut stage = stage(false).await;
    let executor = stage.executor().await;
    let sandbox = tempfile::tempdir().unwrap();
    let argv = ["sh", "-c", "echo out; exit 4"].map(str::to_owned).to_vec();
    let work = Work::Command(CommandInfo { argv, environment: BTreeMap::new(), working_directory: None });
    executor.send(run_task("t", work, sandbox.path().to_str().unwrap())).await.unwrap();
    assert_eq!(stage.next().await, expected("t", TaskState::Running, ""));
    let status = stage.updates.recv().await.unwrap();
    assert_eq!((status.state, status.exit), (TaskState::Failed, Some(TaskExit::Code(4))));
    assert_eq!(status.reason, Some(StatusReason::CommandExecutorFailed));
    assert_eq!(stage.ended.await.unwrap(), Ok(ExecutorEnd::TaskDone));
    assert_eq!(std::fs::read_to_string(sandbox.path().join("stdout")).unwrap(), "out\n");
}

#[actix_rt::test]
async fn an_executor_survives_a_break_of_its_link_and_registers_again() {
    tokio::time::pause();
    let mut stage = stage(false).await;
    let executor = stage.executor().await;
    executor.send(run_task("t", registered("echo", "hello"), "/")).await.unwrap();
    assert_eq!(stage.next().await, expected("t", TaskState::Running, "hello"));
    stage.network.reset("agent-host", "executor-host");
    let executor = stage.executor().await;
    executor.send(EndTask { task_id: TaskId::new("t").unwrap(), grace: Duration::from_secs(9) }).await.unwrap();
    assert_eq!(stage.next().await, expected("t", TaskState::Running, "last words"));
    assert_eq!(stage.next().await, expected("t", TaskState::Killed, ""));
}

#[actix_rt::test]
async fn an_executor_whose_agent_is_gone_ends() {
    tokio::time::pause();
    let mut stage = stage(false).await;
    let executor = stage.executor().await;
    executor.send(run_task("t", registered("stubborn", ""), "/")).await.unwrap();
    stage.next().await;
    let before = tokio::time::Instant::now();
    stage.node.shut_down();
    assert_eq!(stage.ended.await.unwrap(), Ok(ExecutorEnd::AgentLost));
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&before.elapsed()), "{:?}", before.elapsed());
}

#[actix_rt::test]
async fn an_executor_that_its_agent_does_not_know_ends() {
    let stage = stage(true).await;
    let container_id = ContainerId::new("c").unwrap();
    let refusal = RegisterExecutorError::UnknownContainer(container_id);
    assert_eq!(stage.ended.await.unwrap(), Ok(ExecutorEnd::Refused(refusal)));
}
