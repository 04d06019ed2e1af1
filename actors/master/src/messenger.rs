//! `Messenger`: carries out what the master wants others to hear.
//!
//! An agent has only so many commands at a time, and a scheduler only as many events as it has room for; the others
//! wait here, in order, so that no burst overruns anybody. Launches, acknowledgements and updates that wait together
//! travel together.

use crate::actor::{CommandsAnswered, MASTER, MasterActor};
use crate::core::CommandReceipt;
use crate::effect::{AgentAddress, CommandOutcome, Effect, SchedulerAddress};
use crate::lanes::{LaneLimits, Lanes};
use crate::parcels::{Commands, Events, Order};
use actix::Addr;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::directory::WatchError;
use odeon_protocol::messages::master_agent::{AcknowledgeStatuses, AgentForMaster, CommandRefused, LaunchTasks};
use odeon_protocol::messages::master_scheduler::{SchedulerForMaster, TasksUpdated};
use odeon_protocol::messages::members::MembersSeen;
use odeon_runtime::{HeldAnswers, Node, NodeId, PeerError};
use std::fmt::Display;
use tracing::{error, warn};

/// The messages of one agent, of which some carry many commands; what finds no room has not reached it.
const COMMANDS: LaneLimits = LaneLimits { under_way_max: 16, waiting_max: 1 << 17 };
/// The events of one scheduler, one after the other; what finds no room is lost, and made good as any lost event is.
const EVENTS: LaneLimits = LaneLimits { under_way_max: 1, waiting_max: 1 << 15 };

/// Carries effects out. It waits for nothing; what agents answer goes to the actor.
pub(crate) struct Messenger {
    node: Node,
    commands: Lanes<AgentAddress, Order>,
    events: Lanes<SchedulerAddress, Events>,
    followers: Followers,
    desk: Desk,
}

/// Those who follow the members of the cluster.
pub(crate) type Followers = HeldAnswers<Result<MembersSeen, WatchError>>;

impl Messenger {
    pub(crate) fn new(node: &Node, own: Addr<MasterActor>, followers: Followers) -> Self {
        let desk = Desk { node: node.clone(), own };
        let (agents, schedulers) = (desk.clone(), node.clone());
        let commands = Lanes::new(COMMANDS, move |to, order| agents.clone().send(to, order));
        let events = Lanes::new(EVENTS, move |to, events| tell(schedulers.clone(), to, events));
        Self { node: node.clone(), commands, events, followers, desk }
    }

    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::TellScheduler { to, event } => {
                if self.events.post(&to, event.into()).is_err() {
                    warn_lost(&to, &"too many events wait for it");
                }
            }
            Effect::CommandAgent { agent_id, to, command } => self.command(to, Order::new(agent_id, command)),
            Effect::TellMembers(id, seen) => self.followers.give(id, Ok(seen)),
            Effect::StepDown { reason } => self.node.fail(MASTER, reason),
        }
    }

    fn command(&self, to: AgentAddress, order: Order) {
        if let Err(order) = self.commands.post(&to, order) {
            let desk = self.desk.clone();
            let outcome = CommandOutcome::Undelivered("too many commands wait for the agent".to_owned());
            actix_rt::spawn(
                async move { desk.answer(to.node, order.agent_id, order.commands.receipts(), outcome).await },
            );
        }
    }
}

/// Tells a scheduler as soon as there is room on the way to it.
async fn tell(node: Node, to: SchedulerAddress, events: Events) {
    let scheduler = node.peer_of::<SchedulerForMaster>(&to.node, &to.actor);
    let told = match events {
        Events::Updates(updates, _) => scheduler.tell(TasksUpdated { updates }).await,
        Events::Offers(event) => scheduler.tell(event).await,
        Events::Rescinded(event) => scheduler.tell(event).await,
        Events::ReturnWanted(event) => scheduler.tell(event).await,
        Events::AgentLost(event) => scheduler.tell(event).await,
        Events::Failed(event) => scheduler.tell(event).await,
    };
    if let Err(cause) = told {
        warn_lost(&to, &cause);
    }
}

fn warn_lost(to: &SchedulerAddress, cause: &dyn Display) {
    warn!(node = %to.node, actor = %to.actor, %cause, "an event did not reach its scheduler");
}

/// Sends commands and takes in what agents answer.
#[derive(Clone)]
struct Desk {
    node: Node,
    own: Addr<MasterActor>,
}

impl Desk {
    async fn send(self, to: AgentAddress, order: Order) {
        let Order { agent_id, commands } = order;
        let receipts = commands.receipts();
        let agent = self.node.peer_of::<AgentForMaster>(&to.node, &to.actor);
        let answer = match commands {
            Commands::Launches(launches, _) => agent.send(LaunchTasks { launches }).await,
            Commands::Acknowledgements(updates) => agent.send(AcknowledgeStatuses { updates }).await,
            Commands::Kill(command) => agent.send(command).await,
            Commands::Ping(command) => agent.send(command).await,
            Commands::ShutdownFramework(command) => agent.send(command).await,
            Commands::ShutdownAgent(command) => agent.send(command).await,
        };
        self.answer(to.node, agent_id, receipts, outcome_of(answer)).await;
    }

    async fn answer(
        &self,
        node: NodeId,
        agent_id: AgentId,
        mut receipts: Vec<CommandReceipt>,
        outcome: CommandOutcome,
    ) {
        receipts.retain(|receipt| receipt.is_of_interest(&outcome));
        if receipts.is_empty() {
            return;
        }
        if self.own.send(CommandsAnswered { agent_id, node, receipts, outcome }).await.is_err() {
            error!("the master has stopped before a command was answered");
        }
    }
}

fn outcome_of(answer: Result<Result<(), CommandRefused>, PeerError>) -> CommandOutcome {
    match answer {
        Ok(Ok(())) => CommandOutcome::Obeyed,
        Ok(Err(refusal)) => CommandOutcome::Refused(refusal),
        Err(cause) if cause.may_have_run() => CommandOutcome::Uncertain(cause.to_string()),
        Err(cause) => CommandOutcome::Undelivered(cause.to_string()),
    }
}
