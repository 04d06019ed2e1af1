//! A whole master on a network in memory: what agents and schedulers see of it from far.

use super::*;
use crate::registry::StoreError;
use actix::{Actor, Context, Handler, Message};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::TaskId;
use odeon_protocol::messages::master_agent::{
    CommandRefused, ForwardStatus, ForwardStatuses, KillTask, LaunchTask, LaunchTasks, MasterForAgents, PingAgent,
    RegisterAgent,
};
use odeon_protocol::messages::master_operator::{AgentState, GetAgents, MasterForOperators};
use odeon_protocol::messages::master_scheduler::{
    AcceptOffers, KillFrameworkTask, MasterForSchedulers, OfferRescinded, OffersMade, Subscribe, TaskUpdated,
    TasksUpdated,
};
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::task::{StatusSource, TaskInfo, TaskState, TaskStatus, Work};
use odeon_runtime::testkit::node_on;
use odeon_runtime::{Exports, InMemoryNetwork, Peer};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// What the far side was told.
#[derive(Debug, PartialEq)]
enum Heard {
    Offers(Vec<Offer>),
    Rescinded(OfferRescinded),
    Updated(Vec<TaskUpdated>),
    Launch(Vec<LaunchTask>),
    Kill(KillTask),
    Ping,
}

/// An agent or a scheduler that writes down what it hears.
struct Listener(mpsc::UnboundedSender<Heard>);

impl Actor for Listener {
    type Context = Context<Self>;
}

macro_rules! listens {
    ($($message:ident => $heard:expr, $answer:expr;)+) => {
        $(impl Handler<$message> for Listener {
            type Result = <$message as Message>::Result;
            fn handle(&mut self, message: $message, _: &mut Self::Context) -> Self::Result {
                let heard: fn($message) -> Heard = $heard;
                self.0.send(heard(message)).unwrap();
                $answer
            }
        })+
    };
}

listens! {
    OffersMade => |made| Heard::Offers(made.offers), ();
    OfferRescinded => Heard::Rescinded, ();
    TasksUpdated => |told| Heard::Updated(told.updates), ();
    LaunchTasks => |told| Heard::Launch(told.launches), Ok::<(), CommandRefused>(());
    KillTask => Heard::Kill, Ok::<(), CommandRefused>(());
    PingAgent => |_| Heard::Ping, Ok::<(), CommandRefused>(());
}

/// A node that plays both an agent and a scheduler.
struct Far {
    node: Node,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl Far {
    async fn start(network: &InMemoryNetwork) -> Self {
        let node = node_on(network, "far", 7, FabricLimits::DEFAULT).await;
        let (send, heard) = mpsc::unbounded_channel();
        let listener = Listener(send).start();
        let agent = Exports::new().accept::<LaunchTasks, _>(&listener).accept::<KillTask, _>(&listener);
        node.export("agent", agent.accept::<PingAgent, _>(&listener));
        let scheduler = Exports::new().accept::<OffersMade, _>(&listener).accept::<OfferRescinded, _>(&listener);
        node.export("scheduler", scheduler.accept::<TasksUpdated, _>(&listener));
        Self { node, heard }
    }

    fn master<I>(&self) -> Peer<I> {
        self.node.peer_at(&"master:5050".into(), "master")
    }

    async fn hear(&mut self) -> Heard {
        self.heard.recv().await.unwrap()
    }
}

fn settings(work_dir: &std::path::Path) -> MasterSettings {
    MasterSettings {
        node_name: "master".into(),
        incarnation: 1,
        seed: 1,
        bind: "master:5050".into(),
        advertise: None,
        work_dir: work_dir.to_owned(),
        master_id: MasterId::new("m").unwrap(),
        limits: FabricLimits::DEFAULT,
        rules: MasterRules::default(),
    }
}

/// A node closes its listener soon after it was told to.
async fn until_nobody_listens(network: &InMemoryNetwork, endpoint: &str) {
    let (caller, endpoint) = (network.host("caller"), Endpoint::from(endpoint));
    while caller.dial(&endpoint).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

fn register() -> RegisterAgent {
    let resources = "cpus:1;mem:64".parse().unwrap();
    let info = AgentInfo {
        hostname: "far".into(),
        endpoint: "far:1".into(),
        resources,
        attributes: BTreeMap::new(),
        reserved: Default::default(),
    };
    RegisterAgent { agent_id: None, info, tasks: Vec::new(), actor: None }
}

fn subscribe() -> Subscribe {
    let (info, suppressed) = (FrameworkInfo::new("f"), BTreeSet::new());
    Subscribe { framework_id: None, info, suppressed, actor: "scheduler".into() }
}

fn task(id: &str) -> TaskInfo {
    let argv = vec!["true".into()];
    let command = CommandInfo { argv, environment: BTreeMap::new(), working_directory: None };
    let (task_id, resources) = (TaskId::new(id).unwrap(), "cpus:0.5;mem:32".parse().unwrap());
    TaskInfo::new(task_id, "t", resources, Work::Command(command))
}

#[actix_rt::test]
async fn a_task_goes_from_scheduler_to_agent_and_its_state_comes_back() {
    let (network, directory) = (InMemoryNetwork::new(1), tempfile::tempdir().unwrap());
    let master = MasterNode::start(settings(directory.path()), network.host("master")).await.unwrap();
    let mut far = Far::start(&network).await;
    let agent = far.master::<MasterForAgents>().send(register()).await.unwrap().unwrap();
    assert_eq!((agent.epoch, agent.agent_id.as_str()), (Epoch(1), "m-1-S0"));
    let schedulers = far.master::<MasterForSchedulers>();
    let framework_id = schedulers.send(subscribe()).await.unwrap().unwrap().framework_id;
    let Heard::Offers(offers) = far.hear().await else { panic!("offers come first") };

    let offer_ids = vec![offers[0].offer_id.clone()];
    let (task, filters) = (task("t"), Filters::default());
    let tasks = vec![task.clone(), self::task("u")];
    let accept = AcceptOffers { framework_id: framework_id.clone(), offer_ids, operations: Vec::new(), tasks, filters };
    let kill = KillFrameworkTask { framework_id: framework_id.clone(), task_id: task.task_id.clone() };
    let (accepted, killed) = tokio::join!(schedulers.send(accept), schedulers.send(kill));
    assert_eq!((accepted, killed), (Ok(Ok(())), Ok(Ok(()))));
    let Heard::Launch(launches) = far.hear().await else { panic!("the launch comes before the kill") };
    let launched: Vec<&str> = launches.iter().map(|launch| launch.task.task_id.as_str()).collect();
    assert_eq!((launches[0].epoch, launched), (Epoch(1), vec!["t", "u"]), "tasks of one call travel together");
    assert!(matches!(far.hear().await, Heard::Kill(_)));

    let forward = |task_id: &str| {
        let status = TaskStatus::new(TaskId::new(task_id).unwrap(), TaskState::Killed, StatusSource::Executor);
        let (agent_id, framework_id) = (agent.agent_id.clone(), framework_id.clone());
        ForwardStatus { agent_id, framework_id, status, latest: TaskState::Killed }
    };
    let updates = ["t", "u"].map(forward).to_vec();
    far.master::<MasterForAgents>().try_tell(ForwardStatuses { updates }).unwrap();
    let Heard::Updated(updated) = far.hear().await else { panic!("the updates come next") };
    let told: Vec<_> = updated.iter().map(|update| (update.status.task_id.as_str(), update.status.state)).collect();
    assert_eq!(told, [("t", TaskState::Killed), ("u", TaskState::Killed)], "updates of one message travel together");
    assert!(matches!(far.hear().await, Heard::Offers(_)), "what the task has freed is offered again");
    master.stop().await;
}

#[actix_rt::test]
async fn a_lost_link_takes_the_agent_out_of_service() {
    let (network, directory) = (InMemoryNetwork::new(1), tempfile::tempdir().unwrap());
    let master = MasterNode::start(settings(directory.path()), network.host("master")).await.unwrap();
    let far = Far::start(&network).await;
    far.master::<MasterForAgents>().send(register()).await.unwrap().unwrap();
    let mut links = master.node.subscribe_links();
    far.node.shut_down();
    while !matches!(links.recv().await, Some(odeon_runtime::LinkEvent::Down { .. })) {}
    let operators = master.node.peer::<MasterForOperators>("master");
    let mut state = AgentState::Active;
    while state == AgentState::Active {
        state = operators.send(GetAgents {}).await.unwrap()[0].state;
        tokio::task::yield_now().await;
    }
    assert_eq!(state, AgentState::Disconnected);
    master.stop().await;
}

#[actix_rt::test]
async fn a_master_that_starts_again_in_its_directory_follows_itself() {
    let (network, directory) = (InMemoryNetwork::new(1), tempfile::tempdir().unwrap());
    let first = MasterNode::start(settings(directory.path()), network.host("master")).await.unwrap();
    let far = Far::start(&network).await;
    let agent = far.master::<MasterForAgents>().send(register()).await.unwrap().unwrap();
    first.stop().await;
    until_nobody_listens(&network, "master:5050").await;
    let settings = MasterSettings { incarnation: 2, ..settings(directory.path()) };
    let second = MasterNode::start(settings, network.host("master")).await.unwrap();
    assert_eq!((second.epoch, second.master_id.as_str()), (Epoch(2), "m-2"));
    let agents = second.node.peer::<MasterForOperators>("master").send(GetAgents {}).await.unwrap();
    assert_eq!((&agents[0].agent_id, agents[0].state), (&agent.agent_id, AgentState::Disconnected));
    second.stop().await;
}

#[actix_rt::test]
async fn a_directory_is_used_by_one_master_at_a_time() {
    let (network, directory) = (InMemoryNetwork::new(1), tempfile::tempdir().unwrap());
    let first = MasterNode::start(settings(directory.path()), network.host("master")).await.unwrap();
    let second = MasterNode::start(settings(directory.path()), network.host("other")).await;
    assert!(matches!(second, Err(StartMasterError::Registry(OpenRegistryError::Store(StoreError::InUse { .. })))));
    first.stop().await;
}

#[actix_rt::test]
async fn a_master_that_cannot_listen_leaves_nothing_behind() {
    let (network, directory) = (InMemoryNetwork::new(1), tempfile::tempdir().unwrap());
    let taken = node_on(&network, "master", 9, FabricLimits::DEFAULT).await;
    taken.listen("master:5050").await.unwrap();
    let failed = MasterNode::start(settings(directory.path()), network.host("master")).await;
    assert!(matches!(failed, Err(StartMasterError::Listen(_))));
    taken.shut_down();
    until_nobody_listens(&network, "master:5050").await;
    MasterNode::start(settings(directory.path()), network.host("master")).await.unwrap().stop().await;
}
