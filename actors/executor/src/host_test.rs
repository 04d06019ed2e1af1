//! A hosted actor on a network in memory, called from another node.

use super::*;
use crate::paper_task::PaperTask;
use crate::task::Urgency;
use actix::{Actor, Context, Handler};
use odeon_protocol::deployment::DeploymentName;
use odeon_protocol::lease::{LEASE, LEASE_RENEWAL};
use odeon_protocol::messages::deployments::{DEPLOYER, LeaseGranted, LeaseRefused};
use odeon_protocol::messages::hosted_actor::{CallActor, DescribeActor, HostedActor};
use odeon_protocol::remote_message;
use odeon_protocol::restart::RestartPolicy;
use odeon_runtime::testkit::node_on;
use odeon_runtime::{Exports, FabricLimits, InMemoryNetwork, Node, Peer, PeerError};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinHandle;

#[derive(Debug, Serialize, Deserialize)]
struct Divide {
    by: u64,
}
remote_message!(Divide => u64, "examples.v1.Divide");

#[derive(Debug, Serialize, Deserialize)]
struct Leave;
remote_message!(Leave => (), "examples.v1.Leave");

/// Divides a number; panics when that cannot be.
struct Divider {
    number: u64,
}

#[derive(Deserialize)]
struct DividerArgs {
    number: u64,
}

impl Actor for Divider {
    type Context = Context<Self>;
}

impl Handler<Divide> for Divider {
    type Result = u64;
    fn handle(&mut self, Divide { by }: Divide, _: &mut Context<Self>) -> u64 {
        self.number /= by;
        self.number
    }
}

impl Handler<Leave> for Divider {
    type Result = ();
    fn handle(&mut self, _: Leave, context: &mut Context<Self>) {
        actix::ActorContext::stop(context);
    }
}

impl Deployable for Divider {
    type Args = DividerArgs;

    fn build(args: DividerArgs, start: &ActorStart) -> Result<Self, TaskFailure> {
        if args.number == 0 {
            return Err(TaskFailure::new(format!("{} has nothing to divide", start.name())));
        }
        Ok(Self { number: args.number })
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Divide>().accept::<Leave>()
    }
}

struct Stage {
    network: InMemoryNetwork,
    task: PaperTask,
    client: Node,
    ended: JoinHandle<Result<(), TaskFailure>>,
}

async fn stage(arguments: &str) -> Stage {
    stage_of(arguments, false).await
}

async fn stage_of(arguments: &str, singleton: bool) -> Stage {
    let network = InMemoryNetwork::new(1);
    let node = node_on(&network, "host", 1, FabricLimits::DEFAULT).await;
    let assignment = ActorAssignment {
        deployment: DeploymentName::new("divider").unwrap(),
        index: 3,
        instances: 5,
        singleton,
        epoch: 9,
        arguments: arguments.into(),
        restart: RestartPolicy { restarts_max: 1, ..RestartPolicy::default() },
        directory: "master:5050".into(),
    };
    let task = PaperTask::new(&node, Path::new("/"), &serde_json::to_vec(&assignment).unwrap());
    let ended = actix_rt::spawn(host::<Divider>(task.context.clone()));
    let client = node_on(&network, "client", 2, FabricLimits::DEFAULT).await;
    Stage { network, task, client, ended }
}

impl Stage {
    async fn report(&mut self) -> ActorReport {
        self.task.reports.changed().await.unwrap();
        serde_json::from_str(&self.task.reports.borrow_and_update()).unwrap()
    }

    fn peer<I>(&self, location: &ActorLocation) -> Peer<I> {
        self.client
            .peer_at(&Endpoint::new(location.endpoint.as_str()), ActorName::new(location.actor.as_str()).unwrap())
    }
}

#[actix_rt::test]
async fn a_hosted_actor_is_reached_at_the_place_that_it_reports() {
    let mut stage = stage(r#"{"number": 12}"#).await;
    let report = stage.report().await;
    assert_eq!((report.state, report.restarts), (HostedState::Running, 0));
    assert_eq!(report.location.actor, "divider/3");
    assert!(report.location.endpoint.starts_with("host:"), "the host of the agent: {}", report.location.endpoint);
    assert_eq!(stage.peer::<Divide>(&report.location).send(Divide { by: 3 }).await, Ok(4));
    let door = stage.peer::<HostedActor>(&report.location);
    let call = CallActor { message: r#"{"Divide": {"by": 2}}"#.into(), wait: true };
    assert_eq!(door.send(call).await, Ok(Ok("2".into())));
    let description = door.send(DescribeActor {}).await.unwrap();
    assert_eq!(description.messages, ["examples.v1.Divide", "examples.v1.Leave"]);
}

#[actix_rt::test]
async fn a_panic_starts_the_actor_anew_behind_its_name_until_it_is_given_up() {
    tokio::time::pause();
    let mut stage = stage(r#"{"number": 12}"#).await;
    let location = stage.report().await.location;
    let peer = stage.peer::<Divide>(&location);
    assert_eq!(peer.send(Divide { by: 2 }).await, Ok(6));
    assert_eq!(peer.send(Divide { by: 0 }).await, Err(PeerError::Stopped));
    let report = stage.report().await;
    assert_eq!(report.state, HostedState::Restarting);
    assert!(report.last_failure.unwrap().contains("divide by zero"));
    let report = stage.report().await;
    assert_eq!((report.state, report.restarts), (HostedState::Running, 1));
    assert_eq!(peer.send(Divide { by: 1 }).await, Ok(12), "it begins with its arguments again");
    assert_eq!(peer.send(Divide { by: 0 }).await, Err(PeerError::Stopped));
    assert_eq!(stage.report().await.state, HostedState::GivenUp);
    let failure = stage.ended.await.unwrap().unwrap_err();
    assert!(failure.message().starts_with("panics too often: attempt to divide by zero"), "{failure:?}");
}

#[actix_rt::test]
async fn an_actor_that_cannot_be_built_is_given_up_with_the_reason() {
    for (arguments, told) in [
        (r#"{"number": 0}"#, "divider/3 has nothing to divide"),
        (r#"{"number": 1, "colour": 2}"#, "args: there is no field colour"),
        ("{}", "args: missing field `number`"),
    ] {
        let mut stage = stage(arguments).await;
        assert_eq!(stage.report().await.state, HostedState::GivenUp);
        let failure = stage.ended.await.unwrap().unwrap_err();
        assert_eq!(failure.message(), format!("cannot be built: {told}"));
    }
}

#[actix_rt::test]
async fn an_actor_that_stops_ends_its_task_as_done() {
    let mut stage = stage(r#"{"number": 1}"#).await;
    let location = stage.report().await.location;
    let _ = stage.peer::<Leave>(&location).send(Leave).await;
    assert_eq!(stage.ended.await.unwrap(), Ok(()));
}

#[actix_rt::test]
async fn a_killed_task_takes_its_actor_along() {
    let mut stage = stage(r#"{"number": 1}"#).await;
    let location = stage.report().await.location;
    stage.task.urgency.send_replace(Urgency::Asked);
    let peer = stage.peer::<Divide>(&location);
    assert_eq!(stage.ended.await.unwrap(), Ok(()));
    let error = peer.send_within(Divide { by: 1 }, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, PeerError::NoSuchActor { .. }), "{error:?}");
}

/// Grants leases until it is told to refuse.
struct Granting(Rc<Cell<bool>>);

impl Actor for Granting {
    type Context = Context<Self>;
}

impl Handler<RenewLease> for Granting {
    type Result = odeon_runtime::Reply<Result<LeaseGranted, LeaseRefused>>;
    fn handle(&mut self, asked: RenewLease, _: &mut Context<Self>) -> Self::Result {
        assert_eq!((asked.actor.as_str(), asked.task_id.as_str()), ("divider/3", "t-1"));
        let granted = self.0.get().then_some(LeaseGranted {});
        odeon_runtime::Reply::now(granted.ok_or(LeaseRefused { actor: asked.actor }))
    }
}

/// A singleton, and the node that grants it leases as long as the cell says so.
async fn leased() -> (Stage, Node, Rc<Cell<bool>>) {
    tokio::time::pause();
    let stage = stage_of(r#"{"number": 12}"#, true).await;
    let master = node_on(&stage.network, "master", 3, FabricLimits::DEFAULT).await;
    master.listen("master:5050").await.unwrap();
    let grants = Rc::new(Cell::new(true));
    let granting = Granting(Rc::clone(&grants)).start();
    master.export(DEPLOYER, Exports::new().accept::<RenewLease, _>(&granting));
    (stage, master, grants)
}

#[actix_rt::test]
async fn a_singleton_runs_as_long_as_its_lease_is_renewed() {
    let (mut stage, _master, grants) = leased().await;
    let location = stage.report().await.location;
    let peer = stage.peer::<Divide>(&location);
    for _ in 0..6 {
        tokio::time::sleep(LEASE).await;
        assert_eq!(peer.send(Divide { by: 1 }).await, Ok(12));
    }
    grants.set(false);
    let report = stage.report().await;
    assert_eq!(report.state, HostedState::LeaseLost);
    assert!(matches!(peer.send(Divide { by: 1 }).await, Err(PeerError::NoSuchActor { .. })));
    assert!(stage.ended.await.unwrap().is_err());
}

#[actix_rt::test]
async fn a_singleton_that_is_cut_off_has_ended_when_its_lease_is_over() {
    let (mut stage, _master, _grants) = leased().await;
    let location = stage.report().await.location;
    let peer = stage.peer::<Divide>(&location);
    stage.network.cut("host", "master");
    let cut_at = tokio::time::Instant::now();
    let report = stage.report().await;
    assert_eq!(report.state, HostedState::LeaseLost);
    assert!(report.last_failure.unwrap().starts_with("its lease was not renewed: "));
    let lasted = cut_at.elapsed();
    assert!(lasted > LEASE - 2 * LEASE_RENEWAL && lasted <= LEASE + Duration::from_millis(10), "{lasted:?}");
    assert!(matches!(peer.send(Divide { by: 1 }).await, Err(PeerError::NoSuchActor { .. })));
}

#[actix_rt::test]
async fn a_singleton_that_is_refused_a_lease_never_begins() {
    let (mut stage, _master, grants) = leased().await;
    grants.set(false);
    let report = stage.report().await;
    assert_eq!(report.state, HostedState::LeaseLost);
    assert_eq!(stage.ended.await.unwrap().unwrap_err().message(), "divider/3 is not to run here any more");
}
