//! A whole agent between a scripted master and a scripted executor; its processes are real.

use super::*;
use crate::core::ReconfigurationPolicy;
use crate::settings::{AgentLimits, Recover};
use actix::{Actor, Context, Handler, ResponseFuture};
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ContainerId, ExecutorId, FrameworkId, MasterId, TaskId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::agent_executor::{
    AgentForExecutors, EndTask, RunTask, RunTasks, ShutdownExecutor, UpdateStatus,
};
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, AgentForMaster, AgentRegistered, CommandRefused, ForwardStatus, ForwardStatuses, LaunchTask,
    RegisterAgent, RegisterAgentError,
};
use odeon_protocol::messages::sandbox::{AgentForClients, ReadSandboxError, SandboxFile};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::testkit::node_on;
use odeon_runtime::{FabricLimits, From, InMemoryNetwork, NodeId, Peer};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use tokio::sync::mpsc;

const EPOCH: Epoch = Epoch(1);
/// Turns of the arbiter in which a message surely arrives.
const HEAD_START: usize = 100;

/// Passes on what it hears.
struct Ear<M>(mpsc::UnboundedSender<M>);

impl<M: Unpin + 'static> Actor for Ear<M> {
    type Context = Context<Self>;
}

#[derive(Debug)]
enum ToMaster {
    Register(NodeId),
    Forward(Vec<ForwardStatus>),
}

impl Handler<From<RegisterAgent>> for Ear<ToMaster> {
    type Result = Result<AgentRegistered, RegisterAgentError>;
    fn handle(&mut self, from: From<RegisterAgent>, _: &mut Context<Self>) -> Self::Result {
        self.0.send(ToMaster::Register(from.node)).unwrap();
        Ok(admitted())
    }
}

fn admitted() -> AgentRegistered {
    AgentRegistered {
        agent_id: AgentId::new("m-S0").unwrap(),
        master_id: MasterId::new("m").unwrap(),
        epoch: EPOCH,
        ping_timeout: Duration::from_secs(75),
        kill: vec![],
    }
}

/// A master whose first command overtakes its answer to the registration.
struct Hasty {
    node: Node,
    answers: mpsc::UnboundedSender<Result<(), CommandRefused>>,
}

impl Actor for Hasty {
    type Context = Context<Self>;
}

impl Handler<From<RegisterAgent>> for Hasty {
    type Result = ResponseFuture<Result<AgentRegistered, RegisterAgentError>>;
    fn handle(&mut self, from: From<RegisterAgent>, _: &mut Context<Self>) -> Self::Result {
        let agent: Peer<AgentForMaster> = self.node.peer_of(&from.node, "agent");
        let answers = self.answers.clone();
        let command = ShutdownFramework { epoch: EPOCH, framework_id: framework() };
        actix_rt::spawn(async move { answers.send(agent.send(command).await.unwrap()) });
        // The command is on its way before the answer is.
        Box::pin(async {
            for _ in 0..HEAD_START {
                tokio::task::yield_now().await;
            }
            Ok(admitted())
        })
    }
}

impl Handler<ForwardStatuses> for Ear<ToMaster> {
    type Result = ();
    fn handle(&mut self, message: ForwardStatuses, _: &mut Context<Self>) {
        self.0.send(ToMaster::Forward(message.updates)).unwrap();
    }
}

#[derive(Debug)]
enum ToExecutor {
    Run(Vec<RunTask>),
    End,
    Shutdown,
}

macro_rules! hears {
    ($($message:ty => $heard:expr),+) => {
        $(impl Handler<$message> for Ear<ToExecutor> {
            type Result = ();
            fn handle(&mut self, message: $message, _: &mut Context<Self>) {
                let heard: fn($message) -> ToExecutor = $heard;
                self.0.send(heard(message)).unwrap();
            }
        })+
    };
}
hears!(RunTasks => |message| ToExecutor::Run(message.tasks), EndTask => |_| ToExecutor::End, ShutdownExecutor => |_| ToExecutor::Shutdown);

/// An agent whose executor processes sleep, with a scripted master to which it has registered.
struct Stage {
    agent: AgentNode,
    network: InMemoryNetwork,
    master: Node,
    heard: mpsc::UnboundedReceiver<ToMaster>,
    commands: Peer<AgentForMaster>,
    directory: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let network = InMemoryNetwork::new(1);
        let master = node_on(&network, "master", 1, FabricLimits::DEFAULT).await;
        master.listen("master:1").await.unwrap();
        let (sender, mut heard) = mpsc::unbounded_channel();
        let ear = Ear(sender).start();
        let exports = Exports::new().accept_from::<RegisterAgent, _>(&ear).accept::<ForwardStatuses, _>(&ear);
        master.export("master", exports);
        let agent = AgentNode::start(settings(directory.path()), network.host("agent")).await.unwrap();
        let Some(ToMaster::Register(node)) = heard.recv().await else { panic!("it registers first") };
        let commands = master.peer_of(&node, "agent");
        Self { agent, network, master, heard, commands, directory }
    }

    async fn launch(&self, tasks: &[TaskInfo]) {
        let launch = |task: &TaskInfo| LaunchTask {
            epoch: EPOCH,
            framework_id: framework(),
            role: Role::default(),
            task: task.clone(),
            checkpoint: false,
            killing_state: false,
        };
        let launches = tasks.iter().map(launch).collect();
        self.commands.send(LaunchTasks { launches }).await.unwrap().unwrap();
    }

    /// The updates of one message.
    async fn forwarded(&mut self) -> Vec<TaskStatus> {
        match self.heard.recv().await {
            Some(ToMaster::Forward(forward)) => forward.into_iter().map(|update| update.status).collect(),
            other => panic!("an update is awaited: {other:?}"),
        }
    }

    async fn acknowledge(&self, statuses: &[TaskStatus]) {
        let acknowledge = |status: &TaskStatus| {
            let (task_id, uuid) = (status.task_id.clone(), status.uuid.clone().unwrap());
            AcknowledgeStatus { epoch: EPOCH, framework_id: framework(), task_id, uuid }
        };
        let updates = statuses.iter().map(acknowledge).collect();
        self.commands.send(AcknowledgeStatuses { updates }).await.unwrap().unwrap();
    }

    /// The run that the agent has started, once its process is there; with the number of the process.
    async fn run(&self) -> (ContainerId, String) {
        let runs = self.directory.path().join("work/sandboxes/f/e");
        loop {
            let run = std::fs::read_dir(&runs).ok().and_then(|mut runs| runs.next()).map(|run| run.unwrap().path());
            let pid = run.as_ref().and_then(|run| std::fs::read_to_string(run.join("pid")).ok()).unwrap_or_default();
            if let (Some(run), Some(pid)) = (run, pid.strip_suffix('\n')) {
                return (ContainerId::new(run.file_name().unwrap().to_str().unwrap()).unwrap(), pid.to_owned());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn executor(&self) -> (Peer<AgentForExecutors>, mpsc::UnboundedReceiver<ToExecutor>) {
        let node = node_on(&self.network, "executor", 9, FabricLimits::DEFAULT).await;
        let (sender, heard) = mpsc::unbounded_channel();
        let ear = Ear(sender).start();
        let exports = Exports::new().accept::<RunTasks, _>(&ear).accept::<EndTask, _>(&ear);
        node.export("executor", exports.accept::<ShutdownExecutor, _>(&ear));
        (node.peer_at(self.agent.endpoint(), "agent"), heard)
    }
}

fn settings(directory: &Path) -> AgentSettings {
    let program = directory.join("executor.sh");
    std::fs::write(&program, "#!/bin/sh\necho $$ > pid\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    AgentSettings {
        name: "agent".into(),
        incarnation: 2,
        seed: 3,
        master: Endpoint::new("master:1"),
        listen: Endpoint::new("agent:1"),
        advertise: None,
        hostname: "agent".into(),
        attributes: BTreeMap::new(),
        resources: "cpus:4;mem:1024".parse().unwrap(),
        reserved: Default::default(),
        work_dir: directory.join("work"),
        environment: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        program,
        executor_credentials: None,
        recover: Recover::Reconnect,
        reconfiguration_policy: ReconfigurationPolicy::Equal,
        disk_is_measured: false,
        limits: AgentLimits {
            executor_shutdown_grace: Duration::from_millis(50),
            kill_margin: Duration::from_millis(50),
            ..AgentLimits::DEFAULT
        },
    }
}

fn framework() -> FrameworkId {
    FrameworkId::new("f").unwrap()
}

/// Two tasks of one executor.
fn tasks() -> [TaskInfo; 2] {
    [task(), TaskInfo { task_id: TaskId::new("u").unwrap(), ..task() }]
}

fn task() -> TaskInfo {
    let executor_id = ExecutorId::new("e").unwrap();
    let resources: odeon_protocol::resources::Resources = "cpus:1".parse().unwrap();
    let executor =
        ExecutorInfo { executor_id, name: "e".into(), resources: resources.clone(), program: None, binary: None };
    let work = Work::Registered { executor, task_type: "echo".into(), data: vec![] };
    TaskInfo::new(TaskId::new("t").unwrap(), "t", resources, work)
}

/// Reports about both tasks, numbered from here.
fn update(container_id: &ContainerId, state: TaskState, sequence: u64) -> UpdateStatuses {
    let report = |(task, sequence): (TaskInfo, u64)| {
        let status = TaskStatus::new(task.task_id, state, StatusSource::Executor);
        UpdateStatus { framework_id: framework(), container_id: container_id.clone(), status, sequence }
    };
    UpdateStatuses { reports: tasks().into_iter().zip(sequence..).map(report).collect() }
}

fn read_from(offset: u64) -> ReadSandbox {
    let (task_id, wait) = (task().task_id, Duration::from_secs(2));
    ReadSandbox { framework_id: framework(), task_id, file: SandboxFile::Stdout, offset, wait }
}

fn is_alive(pid: &str) -> bool {
    // On a system without /proc nothing is seen to be alive, and the test says less.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[actix::test]
async fn tasks_go_together_from_launch_to_their_end_and_the_output_can_be_followed() {
    let mut stage = Stage::set().await;
    stage.launch(&tasks()).await;
    let (container_id, _) = stage.run().await;
    let (agent, mut heard) = stage.executor().await;
    let executor_id = ExecutorId::new("e").unwrap();
    let register = RegisterExecutor { framework_id: framework(), executor_id, container_id: container_id.clone() };
    let registered = agent.send(register).await.unwrap().unwrap();
    assert_eq!(registered.agent_id.as_str(), "m-S0");
    let Some(ToExecutor::Run(runs)) = heard.recv().await else { panic!("the tasks are handed over") };
    assert_eq!(runs.iter().map(|run| run.task.clone()).collect::<Vec<_>>(), tasks());
    let run = &runs[0];

    agent.send(update(&container_id, TaskState::Running, 1)).await.unwrap().unwrap();
    let running = stage.forwarded().await;
    let said = |status: &TaskStatus| (status.state, status.agent_id.as_ref().map(|id| id.to_string()));
    assert_eq!(running.iter().map(said).collect::<Vec<_>>(), vec![(TaskState::Running, Some("m-S0".to_owned())); 2]);
    stage.acknowledge(&running).await;

    let client: Peer<AgentForClients> = stage.master.peer_at(stage.agent.endpoint(), "agent");
    let stdout = PathBuf::from(&run.sandbox).join("stdout");
    let (first, ()) = tokio::join!(client.send(read_from(0)), async {
        // It waits before there is something to read.
        for _ in 0..HEAD_START {
            tokio::task::yield_now().await;
        }
        std::fs::create_dir_all(&run.sandbox).unwrap();
        std::fs::write(&stdout, "hello\n").unwrap();
    });
    let first = first.unwrap().unwrap();
    assert_eq!((first.data.as_slice(), first.complete), (b"hello\n".as_slice(), false));

    agent.send(update(&container_id, TaskState::Finished, 3)).await.unwrap().unwrap();
    let finished = stage.forwarded().await;
    assert_eq!(finished.iter().map(|status| status.state).collect::<Vec<_>>(), [TaskState::Finished; 2]);
    stage.acknowledge(&finished).await;
    let last = client.send(read_from(6)).await.unwrap().unwrap();
    assert!(last.data.is_empty() && last.complete);

    assert_eq!(stage.agent.stop().await, AgentEnd::Stopped);
    assert!(matches!(heard.recv().await, Some(ToExecutor::Shutdown)));
}

#[actix::test]
async fn nothing_of_an_agent_survives_its_stop() {
    let mut stage = Stage::set().await;
    stage.launch(&[task()]).await;
    let (_, pid) = stage.run().await;
    assert!(is_alive(&pid) || !Path::new("/proc").exists());
    let end = stage.agent.stop().await;
    assert_eq!(end, AgentEnd::Stopped);
    assert!(!is_alive(&pid));
    let last = stage.heard.recv().await;
    assert!(matches!(&last, Some(ToMaster::Forward(one)) if one[0].status.state == TaskState::Killed), "{last:?}");
    let again = AgentNode::start(settings(stage.directory.path()), stage.network.host("agent")).await;
    again.expect("the directory is free again").stop().await;
}

#[actix::test]
async fn two_agents_cannot_share_a_directory() {
    let stage = Stage::set().await;
    let settings = AgentSettings { listen: Endpoint::new("agent:2"), ..settings(stage.directory.path()) };
    let second = AgentNode::start(settings, stage.network.host("agent")).await;
    assert!(matches!(second, Err(StartAgentError::Journal(JournalError::Locked { .. }))), "{second:?}");
    stage.agent.stop().await;
}

#[actix::test]
async fn an_agent_registers_anew_when_its_link_breaks_and_ends_when_its_master_says_so() {
    let mut stage = Stage::set().await;
    stage.network.reset("master", "agent");
    let Some(ToMaster::Register(node)) = stage.heard.recv().await else { panic!("it registers again") };
    let commands: Peer<AgentForMaster> = stage.master.peer_of(&node, "agent");
    let message = ShutdownAgent { epoch: EPOCH, message: "maintenance".into() };
    commands.send(message).await.unwrap().unwrap();
    assert_eq!(stage.agent.finished().await, AgentEnd::ShutDown("maintenance".into()));
    stage.agent.stop().await;
}

#[actix::test]
async fn a_command_that_overtakes_the_answer_to_the_registration_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let network = InMemoryNetwork::new(1);
    let node = node_on(&network, "master", 1, FabricLimits::DEFAULT).await;
    node.listen("master:1").await.unwrap();
    let (answers, mut answered) = mpsc::unbounded_channel();
    let master = Hasty { node: node.clone(), answers }.start();
    node.export("master", Exports::new().accept_from::<RegisterAgent, _>(&master));
    let agent = AgentNode::start(settings(directory.path()), network.host("agent")).await.unwrap();
    assert_eq!(answered.recv().await, Some(Ok(())));
    agent.stop().await;
}

#[actix::test]
async fn the_output_of_an_unknown_task_is_refused() {
    let stage = Stage::set().await;
    let client: Peer<AgentForClients> = stage.master.peer_at(stage.agent.endpoint(), "agent");
    let answer = client.send(read_from(0)).await.unwrap();
    assert_eq!(answer, Err(ReadSandboxError::UnknownTask(task().task_id)));
    stage.agent.stop().await;
}

#[test]
fn executors_reach_an_agent_that_listens_everywhere_through_the_loopback() {
    for (bound, expected) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
        assert_eq!(local(&Endpoint::new(bound)), Endpoint::new(expected));
    }
}
