//! A whole scheduler against a master of paper, on a network in memory.

use super::*;
use crate::batch::{BatchPlan, BatchResult, BatchScheduler};
use actix::{Context, Handler};
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::id::{AgentId, MasterId, OfferId, StatusUuid, TaskId};
use odeon_protocol::messages::master_scheduler::{
    AcceptOffers, AcknowledgeUpdates, CallError, DeclineOffers, KillFrameworkTask, ReconcileTasks, SchedulerForMaster,
    Subscribe, SubscribeError, Subscribed, SuppressOffers, TaskUpdated, TeardownFramework,
};
use odeon_protocol::offer::Offer;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusSource, TaskExit, TaskState, TaskStatus};
use odeon_protocol::wire::RemoteMessage;
use odeon_runtime::testkit::node_on;
use odeon_runtime::{FabricLimits, From, InMemoryNetwork, Peer};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

const MASTER: &str = "master-host:1";

/// What the paper master has heard.
#[derive(Debug)]
enum Heard {
    Subscribed(Peer<SchedulerForMaster>),
    Launched(Vec<TaskId>),
    Acknowledged(Vec<String>),
    Other(&'static str),
}

/// Admits whoever calls, agrees to everything, and writes it down.
struct PaperMaster {
    node: Node,
    heard: mpsc::UnboundedSender<Heard>,
    /// Offered in the same breath as a subscription is answered.
    offer: Option<Offer>,
}

impl Actor for PaperMaster {
    type Context = Context<Self>;
}

impl Handler<From<Subscribe>> for PaperMaster {
    type Result = Result<Subscribed, SubscribeError>;
    fn handle(&mut self, message: From<Subscribe>, _ctx: &mut Context<Self>) -> Self::Result {
        let actor = ActorName::new(message.message.actor).unwrap();
        let scheduler = self.node.peer_of::<SchedulerForMaster>(&message.node, actor);
        if let Some(offer) = self.offer.take() {
            scheduler.try_tell(OffersMade { framework_id: framework(), offers: vec![offer] }).unwrap();
        }
        let _ = self.heard.send(Heard::Subscribed(scheduler));
        Ok(Subscribed { framework_id: framework(), master_id: MasterId::new("m").unwrap() })
    }
}

impl Handler<AcceptOffers> for PaperMaster {
    type Result = Result<(), CallError>;
    fn handle(&mut self, message: AcceptOffers, _ctx: &mut Context<Self>) -> Self::Result {
        let _ = self.heard.send(Heard::Launched(message.tasks.into_iter().map(|task| task.task_id).collect()));
        Ok(())
    }
}

macro_rules! notes {
    ($($message:ident),+) => {$(
        impl Handler<$message> for PaperMaster {
            type Result = Result<(), CallError>;
            fn handle(&mut self, _message: $message, _ctx: &mut Context<Self>) -> Self::Result {
                let _ = self.heard.send(Heard::Other($message::WIRE_NAME));
                Ok(())
            }
        }
    )+};
}
notes!(DeclineOffers, SuppressOffers, KillFrameworkTask, ReconcileTasks, TeardownFramework);

impl Handler<AcknowledgeUpdates> for PaperMaster {
    type Result = Result<(), CallError>;
    fn handle(&mut self, message: AcknowledgeUpdates, _ctx: &mut Context<Self>) -> Self::Result {
        let uuids = message.updates.into_iter().map(|update| update.uuid.to_string()).collect();
        let _ = self.heard.send(Heard::Acknowledged(uuids));
        Ok(())
    }
}

fn framework() -> FrameworkId {
    FrameworkId::new("F").unwrap()
}

fn offer() -> Offer {
    Offer {
        offer_id: OfferId::new("O").unwrap(),
        framework_id: framework(),
        role: Role::default(),
        agent_id: AgentId::new("S").unwrap(),
        hostname: "h".into(),
        agent_endpoint: "h:1".into(),
        resources: "cpus:4".parse().unwrap(),
        reserved: Default::default(),
        attributes: BTreeMap::new(),
    }
}

fn updates(updates: &[TaskUpdated]) -> TasksUpdated {
    TasksUpdated { updates: updates.to_vec() }
}

fn update(task: &str, state: TaskState, uuid: &str) -> TaskUpdated {
    let task_id = TaskId::new(task).unwrap();
    let mut status = TaskStatus::new(task_id, state, StatusSource::Executor).on(&AgentId::new("S").unwrap());
    status.uuid = Some(StatusUuid::new(uuid).unwrap());
    status.exit = state.is_terminal().then_some(TaskExit::Code(0));
    TaskUpdated { framework_id: framework(), status }
}

fn batch(instances: usize) -> BatchScheduler {
    let command = CommandInfo { argv: vec!["x".into()], environment: BTreeMap::new(), working_directory: None };
    BatchScheduler::new(BatchPlan::copies("t", instances, &command, &"cpus:1".parse().unwrap()).unwrap(), |_| {})
}

struct Stage {
    network: InMemoryNetwork,
    heard: mpsc::UnboundedReceiver<Heard>,
    /// Keeps the links of the scheduler up.
    client: Node,
}

async fn stage(offer: Option<Offer>) -> Stage {
    tokio::time::pause();
    let network = InMemoryNetwork::new(1);
    let node = node_on(&network, "master-host", 1, FabricLimits::DEFAULT).await;
    node.listen(MASTER).await.unwrap();
    let (sender, heard) = mpsc::unbounded_channel();
    let master = PaperMaster { node: node.clone(), heard: sender, offer }.start();
    let exports = Exports::new()
        .accept_from::<Subscribe, _>(&master)
        .accept::<AcceptOffers, _>(&master)
        .accept::<DeclineOffers, _>(&master)
        .accept::<SuppressOffers, _>(&master)
        .accept::<KillFrameworkTask, _>(&master)
        .accept::<AcknowledgeUpdates, _>(&master)
        .accept::<ReconcileTasks, _>(&master)
        .accept::<TeardownFramework, _>(&master);
    node.export("master", exports);
    let client = node_on(&network, "client", 2, FabricLimits::DEFAULT).await;
    Stage { network, heard, client }
}

impl Stage {
    fn run(&self, scheduler: BatchScheduler) -> RunningScheduler<BatchScheduler> {
        let settings = DriverSettings::new(Endpoint::new(MASTER), FrameworkInfo::new("test"), 7);
        run_scheduler(settings, &self.client, scheduler)
    }

    async fn subscribed(&mut self) -> Peer<SchedulerForMaster> {
        match self.heard.recv().await.unwrap() {
            Heard::Subscribed(scheduler) => scheduler,
            other => panic!("expected a subscription, heard {other:?}"),
        }
    }

    async fn launched(&mut self) -> usize {
        match self.heard.recv().await.unwrap() {
            Heard::Launched(tasks) => tasks.len(),
            other => panic!("expected a launch, heard {other:?}"),
        }
    }

    async fn acknowledged(&mut self) -> Vec<String> {
        match self.heard.recv().await.unwrap() {
            Heard::Acknowledged(uuids) => uuids,
            other => panic!("expected acknowledgements, heard {other:?}"),
        }
    }

    async fn other(&mut self) -> &'static str {
        match self.heard.recv().await.unwrap() {
            Heard::Other(name) => name,
            other => panic!("expected another call, heard {other:?}"),
        }
    }
}

#[actix_rt::test]
async fn a_batch_runs_from_the_first_offer_to_the_end_of_its_framework() {
    let mut stage = stage(Some(offer())).await;
    let running = stage.run(batch(2));
    let scheduler = stage.subscribed().await;
    assert_eq!(stage.launched().await, 2);
    assert_eq!(stage.other().await, SuppressOffers::WIRE_NAME);
    let finished = |task: &str, uuid: &str| update(task, TaskState::Finished, uuid);
    let told = [("t.0", TaskState::Running, "r0"), ("t.1", TaskState::Running, "r1")];
    scheduler.try_tell(updates(&told.map(|(task, state, uuid)| update(task, state, uuid)))).unwrap();
    assert_eq!(stage.acknowledged().await, ["r0", "r1"], "what came together is acknowledged together");
    scheduler.try_tell(updates(&[finished("t.0", "u0"), finished("t.0", "u0"), finished("t.1", "u1")])).unwrap();
    assert_eq!(stage.acknowledged().await, ["u0", "u0"]);
    assert_eq!(stage.other().await, TeardownFramework::WIRE_NAME);
    let ended = running.ended().await.unwrap();
    assert_eq!((ended.outcome, ended.scheduler.exit_code()), (Outcome::Finished, Some(0)));
    assert_eq!(ended.scheduler.result(), BatchResult::Ended);
}

#[actix_rt::test]
async fn a_scheduler_comes_back_after_a_break_and_asks_for_its_tasks() {
    let mut stage = stage(Some(offer())).await;
    let running = stage.run(batch(1));
    let _ = stage.subscribed().await;
    assert_eq!(stage.launched().await, 1);
    assert_eq!(stage.other().await, SuppressOffers::WIRE_NAME);
    stage.network.reset("master-host", "client");
    let scheduler = stage.subscribed().await;
    assert_eq!(stage.other().await, ReconcileTasks::WIRE_NAME);
    scheduler.try_tell(updates(&[update("t", TaskState::Finished, "u")])).unwrap();
    assert_eq!(running.ended().await.unwrap().outcome, Outcome::Finished);
}

async fn turns() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The scheduler has a thread of its own, which stands still meanwhile.
#[actix_rt::test]
async fn a_scheduler_whose_link_breaks_before_it_knows_the_answer_to_its_subscription_subscribes_again() {
    let mut stage = stage(None).await;
    tokio::time::resume();
    let arbiter = actix::Arbiter::new();
    let (client, (sender, handle)) = (stage.client.clone(), oneshot::channel());
    arbiter.spawn_fn(move || {
        let settings = DriverSettings::new(Endpoint::new(MASTER), FrameworkInfo::new("test"), 7);
        let _ = sender.send(run_scheduler(settings, &client, batch(1)).handle());
    });
    let handle = handle.await.unwrap();
    let _ = stage.subscribed().await;
    // Blocking, so that nothing moves on this thread before that one stands still.
    let ((is_still, still), (go_on, gate)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let act = move |_: &mut BatchScheduler, _: &mut Calls| is_still.send(()).is_ok() && gate.recv().is_ok();
    handle.address.do_send(Input { act: Box::new(act) });
    still.recv().unwrap();
    turns().await;
    stage.network.reset("master-host", "client");
    turns().await;
    assert!(stage.client.linked_nodes().is_empty());
    go_on.send(()).unwrap();
    let again = tokio::time::timeout(Duration::from_secs(30), stage.subscribed()).await;
    assert!(again.is_ok(), "it believes that it is subscribed");
    arbiter.stop();
    arbiter.join().unwrap();
}

#[actix_rt::test]
async fn a_handle_reaches_the_scheduler_from_outside_until_its_end() {
    let mut stage = stage(Some(offer())).await;
    let running = stage.run(batch(1));
    let handle = running.handle();
    let scheduler = stage.subscribed().await;
    assert_eq!(stage.launched().await, 1);
    assert_eq!(stage.other().await, SuppressOffers::WIRE_NAME);
    let result = handle.with(|batch, calls| {
        batch.kill_all(calls);
        batch.result()
    });
    assert_eq!(result.await, Some(BatchResult::Unfinished));
    assert_eq!(stage.other().await, KillFrameworkTask::WIRE_NAME);
    scheduler.try_tell(updates(&[update("t", TaskState::Killed, "u")])).unwrap();
    assert_eq!(running.ended().await.unwrap().outcome, Outcome::Interrupted);
    assert_eq!(handle.with(|_, _| ()).await, None);
}

#[actix_rt::test]
async fn an_interrupt_takes_the_framework_down() {
    let mut stage = stage(None).await;
    let running = stage.run(batch(1));
    let _ = stage.subscribed().await;
    running.handle().interrupt();
    assert_eq!(running.ended().await.unwrap().outcome, Outcome::Interrupted);
    assert_eq!(stage.other().await, TeardownFramework::WIRE_NAME);
}

#[actix_rt::test]
async fn a_master_that_is_not_there_is_given_up_after_the_timeout() {
    let stage = stage(None).await;
    let settings = DriverSettings::new(Endpoint::new("nowhere:1"), FrameworkInfo::new("test"), 7);
    let before = tokio::time::Instant::now();
    let ended = run_scheduler(settings, &stage.client, batch(1)).ended().await.unwrap();
    let Outcome::MasterUnreachable { cause } = ended.outcome else { panic!("{:?}", ended.outcome) };
    assert!(cause.contains("nowhere:1"), "{cause}");
    assert!((Duration::from_secs(10)..Duration::from_secs(11)).contains(&before.elapsed()));
}

/// Panics as soon as it is subscribed.
struct Clumsy;
impl Scheduler for Clumsy {
    fn subscribed(&mut self, _framework_id: &FrameworkId, _calls: &mut Calls) {
        panic!("dropped it");
    }
    fn offers(&mut self, _offers: Vec<Offer>, _calls: &mut Calls) {}
    fn update(&mut self, _status: &TaskStatus, _calls: &mut Calls) {}
}

#[actix_rt::test]
async fn a_scheduler_that_panics_is_told_from_one_that_ends() {
    let stage = stage(None).await;
    let settings = DriverSettings::new(Endpoint::new(MASTER), FrameworkInfo::new("test"), 7);
    let ended = run_scheduler(settings, &stage.client, Clumsy).ended().await;
    assert!(matches!(ended, Err(SchedulerPanicked)));
}
