//! The actor of the deployer: hears people, actors and the driver of its framework, and carries out what the core wants.
//!
//! Decides nothing.

use crate::core::{DeployerCore, DeployerOutbox, Effect};
use crate::scheduler::{Forwarder, SchedulerEvent};
use crate::state::Record;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, MessageResult};
use odeon_framework::{DriverSettings, Outcome, SchedulerHandle, run_scheduler};
use odeon_protocol::binary::Digest;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::deployments::{
    DEPLOYER, Deploy, FindActor, GetActors, GetDeployments, RemoveDeployment, RenewLease, RollBackDeployment,
    ScaleDeployment, StartActor, StopActor, UpdateDeployment,
};
use odeon_protocol::messages::directory::{ActorsSeen, WatchActors, WatchError};
use odeon_protocol::moment::Moment;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{
    Clock, Committer, CoreActor, CoreShell, DurableCore, Endpoint, Exports, HeldAnswers, Node, RecordLog, Reply,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tracing::{info, warn};

/// How long actors run on without the deployer: as long as an outage that nobody repairs may last.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the driver looks for the master before the core hears of it.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a new actor begins with.
pub(crate) struct Beginning {
    pub(crate) core: DeployerCore,
    pub(crate) first: DeployerOutbox,
    pub(crate) log: Box<dyn RecordLog<Record>>,
    pub(crate) clock: Clock,
}

/// Where the deployer's framework lives.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The node that hears people.
    pub(crate) node: Node,
    /// The node of the framework.
    pub(crate) framework: Node,
    /// Where the master listens.
    pub(crate) master: Endpoint,
    /// Names this run.
    pub(crate) seed: u64,
}

pub(crate) struct DeployerActor {
    surroundings: Surroundings,
    shell: CoreShell<DeployerCore>,
    /// What the committer begins with; it needs the actor's address, and is built at the start.
    beginning: Option<(DeployerOutbox, Box<dyn RecordLog<Record>>)>,
    /// Those who follow actors.
    followers: HeldAnswers<Result<ActorsSeen, WatchError>>,
}

impl DeployerActor {
    pub(crate) fn new(surroundings: Surroundings, beginning: Beginning) -> Self {
        let Beginning { core, first, log, clock } = beginning;
        Self {
            surroundings,
            shell: CoreShell::new(core, clock),
            beginning: Some((first, log)),
            followers: HeldAnswers::new(|| Err(WatchError::Ended)),
        }
    }

    /// What the deployer takes from peers: changes from clients, and questions where actors are from actors as well.
    pub(crate) fn exports(own: &Addr<Self>) -> Exports {
        Exports::new()
            .only_from(&[PeerRole::Client])
            .accept::<Deploy, _>(own)
            .accept::<UpdateDeployment, _>(own)
            .accept::<RollBackDeployment, _>(own)
            .accept::<ScaleDeployment, _>(own)
            .accept::<RemoveDeployment, _>(own)
            .accept::<StopActor, _>(own)
            .accept::<StartActor, _>(own)
            .accept::<GetDeployments, _>(own)
            .only_from(&[PeerRole::Client, PeerRole::ActorHost])
            .accept::<GetActors, _>(own)
            .accept::<FindActor, _>(own)
            .accept::<WatchActors, _>(own)
            .accept::<RenewLease, _>(own)
    }
}

impl DurableCore for DeployerCore {
    type Effect = Effect;
    type Record = Record;

    fn next_deadline(&self) -> Option<Duration> {
        Self::next_deadline(self)
    }

    fn on_timer(&mut self, now: Moment, out: &mut DeployerOutbox) {
        Self::on_timer(self, now, out);
    }
}

impl CoreActor for DeployerActor {
    type Core = DeployerCore;

    fn shell(&mut self) -> &mut CoreShell<DeployerCore> {
        &mut self.shell
    }
}

impl Actor for DeployerActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        if let Some((first, log)) = self.beginning.take() {
            let carrier = Carrier::new(self, context.address());
            let committer =
                Committer::with_log(&self.surroundings.node, DEPLOYER, log, move |effect| carrier.perform(effect));
            // Effects leave by themselves; a failed write fails the node.
            drop(committer.commit(first));
            self.shell.begin(committer);
        }
        self.keep_deadline(context);
    }
}

/// Carries out effects: starts the framework, and calls the master through its driver.
struct Carrier {
    surroundings: Surroundings,
    deployer: Addr<DeployerActor>,
    driver: Rc<RefCell<Option<SchedulerHandle<Forwarder>>>>,
    followers: HeldAnswers<Result<ActorsSeen, WatchError>>,
}

impl Carrier {
    fn new(actor: &DeployerActor, deployer: Addr<DeployerActor>) -> Self {
        let (surroundings, followers) = (actor.surroundings.clone(), actor.followers.clone());
        Self { surroundings, deployer, driver: Rc::default(), followers }
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Subscribe(framework_id) => self.subscribe(framework_id),
            Effect::Call(call) => {
                if let Some(driver) = self.driver.borrow().as_ref() {
                    driver.tell(move |_, calls| calls.push(call));
                }
            }
            Effect::TellActors(id, seen) => self.followers.give(id, Ok(seen)),
        }
    }

    fn subscribe(&self, framework_id: Option<FrameworkId>) {
        let info = FrameworkInfo { failover_timeout: FAILOVER_TIMEOUT, ..FrameworkInfo::new("deployments") };
        let settings = DriverSettings {
            framework_id,
            subscribe_timeout: SUBSCRIBE_TIMEOUT,
            ..DriverSettings::new(self.surroundings.master.clone(), info, self.surroundings.seed)
        };
        let deployer = self.deployer.clone();
        let running = run_scheduler(settings, &self.surroundings.framework, Forwarder { deployer: deployer.clone() });
        self.driver.replace(Some(running.handle()));
        actix_rt::spawn(async move {
            let outcome = match running.ended().await {
                Ok(ended) => ended.outcome,
                Err(panicked) => Outcome::Failed(panicked.to_string()),
            };
            match outcome {
                Outcome::Finished => info!("nothing is deployed any more"),
                ref other => warn!(outcome = ?other, "the framework of the deployer has ended"),
            }
            deployer.do_send(SchedulerEvent::Ended(outcome));
        });
    }
}

impl Handler<SchedulerEvent> for DeployerActor {
    type Result = ();

    fn handle(&mut self, event: SchedulerEvent, context: &mut Self::Context) {
        self.note(context, |core, now, out| match event {
            SchedulerEvent::Subscribed(framework_id) => core.on_subscribed(&framework_id, now, out),
            SchedulerEvent::Offers(offers) => core.on_offers(offers, now, out),
            SchedulerEvent::Update(status) => core.on_update(&status, now, out),
            SchedulerEvent::Disconnected => core.on_disconnected(),
            SchedulerEvent::Ended(outcome) => core.on_framework_ended(&outcome, now, out),
        });
    }
}

/// Ends the actor once all that was decided is durable. Its framework and actors run on.
pub(crate) struct StopDeployer;

impl Message for StopDeployer {
    type Result = ();
}

impl Handler<StopDeployer> for DeployerActor {
    type Result = ();

    fn handle(&mut self, _: StopDeployer, context: &mut Self::Context) {
        self.stop_when_durable(context);
    }
}

impl Handler<WatchActors> for DeployerActor {
    type Result = Reply<Result<ActorsSeen, WatchError>>;

    fn handle(&mut self, question: WatchActors, context: &mut Self::Context) -> Self::Result {
        let followers = self.followers.clone();
        self.answer_or_hold(context, &followers, |core, now| core.on_watch_actors(question, now))
    }
}

/// Asks which binaries deployments name.
pub(crate) struct BinariesInUse;

impl Message for BinariesInUse {
    type Result = BTreeSet<Digest>;
}

impl Handler<BinariesInUse> for DeployerActor {
    type Result = MessageResult<BinariesInUse>;

    fn handle(&mut self, _: BinariesInUse, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.shell.core().binaries_in_use())
    }
}

/// Declares how a message of a peer reaches the core.
macro_rules! hears {
    ($($message:ident => |$core:ident, $body:ident, $now:ident, $out:ident| $decision:expr;)+) => {
        $(impl Handler<$message> for DeployerActor {
            type Result = Reply<<$message as Message>::Result>;

            fn handle(&mut self, $body: $message, context: &mut Self::Context) -> Self::Result {
                self.decide(context, |$core, $now, $out| $decision)
            }
        })+
    };
}

hears! {
    Deploy => |core, body, now, out| core.on_deploy(body.spec, now, out);
    UpdateDeployment => |core, body, now, out| core.on_update_deployment(body.spec, now, out);
    RollBackDeployment => |core, body, now, out| core.on_roll_back(&body.name, now, out);
    ScaleDeployment => |core, body, now, out| core.on_scale(&body.name, body.instances, now, out);
    RemoveDeployment => |core, body, now, out| core.on_remove(&body.name, now, out);
    StopActor => |core, body, now, out| core.on_stop_actor(&body.actor, now, out);
    StartActor => |core, body, now, out| core.on_start_actor(&body.actor, now, out);
    GetDeployments => |core, _body, _now, _out| core.on_get_deployments();
    GetActors => |core, body, _now, _out| core.on_get_actors(&body);
    FindActor => |core, body, _now, _out| core.on_find_actor(&body.actor);
    RenewLease => |core, body, now, _out| core.on_renew_lease(&body, now);
}
