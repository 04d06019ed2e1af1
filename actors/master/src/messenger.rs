//! `Messenger`: carries out what the master wants others to hear.
//!
//! An agent has only so many commands at a time, in order; the others wait here, so that no burst overruns its mailbox.

use crate::actor::{CommandAnswered, MASTER, MasterActor};
use crate::core::CommandReceipt;
use crate::effect::{AgentCommand, CommandOutcome, Effect, SchedulerAddress, SchedulerEvent};
use actix::Addr;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::{AgentForMaster, CommandRefused};
use odeon_protocol::messages::master_scheduler::SchedulerForMaster;
use odeon_runtime::{Node, NodeId, PeerError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tokio::sync::mpsc;
use tracing::{error, warn};

/// The name behind which an agent is exported.
const AGENT: &str = "agent";
/// Commands that an agent has not answered, at most.
const COMMANDS_UNDER_WAY_MAX: usize = 256;
/// Commands that may wait for one agent; what comes then has not reached it.
const COMMANDS_WAITING_MAX: usize = 1 << 17;

/// Carries effects out. It waits for nothing; what agents answer goes to the actor.
pub(crate) struct Messenger {
    node: Node,
    own: Addr<MasterActor>,
    lanes: Lanes,
}

/// The ways to agents' nodes to which something is under way.
type Lanes = Rc<RefCell<BTreeMap<NodeId, mpsc::Sender<Order>>>>;

/// A command, and whose it is.
struct Order {
    agent_id: AgentId,
    command: AgentCommand,
}

impl Messenger {
    pub(crate) fn new(node: &Node, own: Addr<MasterActor>) -> Self {
        Self { node: node.clone(), own, lanes: Lanes::default() }
    }

    pub(crate) fn perform(&self, effect: Effect) {
        match effect {
            Effect::TellScheduler { to, event } => self.tell(&to, event),
            Effect::CommandAgent { agent_id, node, command } => self.command(node, Order { agent_id, command }),
            Effect::StepDown { reason } => self.node.fail(MASTER, reason),
        }
    }

    fn tell(&self, to: &SchedulerAddress, event: SchedulerEvent) {
        let scheduler = self.node.peer_of::<SchedulerForMaster>(&to.node, &to.actor);
        let told = match event {
            SchedulerEvent::Offers(event) => scheduler.try_tell(event),
            SchedulerEvent::Rescinded(event) => scheduler.try_tell(event),
            SchedulerEvent::Updated(event) => scheduler.try_tell(event),
            SchedulerEvent::AgentLost(event) => scheduler.try_tell(event),
            SchedulerEvent::Failed(event) => scheduler.try_tell(event),
        };
        if let Err(cause) = told {
            warn!(node = %to.node, actor = %to.actor, %cause, "an event did not reach its scheduler");
        }
    }

    fn command(&self, node: NodeId, order: Order) {
        let new = || {
            let (sender, orders) = mpsc::channel(COMMANDS_WAITING_MAX);
            actix_rt::spawn(self.lane(node.clone()).deliver(orders));
            sender
        };
        let posted = self.lanes.borrow_mut().entry(node.clone()).or_insert_with(new).try_send(order);
        if let Err(refused) = posted {
            let (Order { agent_id, command }, lane) = (refused.into_inner(), self.lane(node));
            let outcome = CommandOutcome::Undelivered("too many commands wait for the agent".to_owned());
            actix_rt::spawn(async move { lane.answer(agent_id, CommandReceipt::from(&command), outcome).await });
        }
    }

    fn lane(&self, to: NodeId) -> Lane {
        Lane { node: self.node.clone(), own: self.own.clone(), to, lanes: Rc::clone(&self.lanes) }
    }
}

/// The way to the node of one agent.
struct Lane {
    node: Node,
    own: Addr<MasterActor>,
    to: NodeId,
    lanes: Lanes,
}

impl Lane {
    /// Delivers until nothing is left. Asks are first polled, and so reach the link, in the order in which they are
    /// pushed.
    async fn deliver(self, mut orders: mpsc::Receiver<Order>) {
        let mut under_way = FuturesUnordered::new();
        loop {
            while under_way.len() < COMMANDS_UNDER_WAY_MAX
                && let Ok(order) = orders.try_recv()
            {
                under_way.push(self.send(order));
            }
            if under_way.is_empty() {
                // Nothing can have been posted since: posting happens on this thread.
                self.lanes.borrow_mut().remove(&self.to);
                return;
            }
            tokio::select! {
                _ = under_way.next() => {}
                Some(order) = orders.recv(), if under_way.len() < COMMANDS_UNDER_WAY_MAX => {
                    under_way.push(self.send(order));
                }
            }
        }
    }

    async fn send(&self, Order { agent_id, command }: Order) {
        let receipt = CommandReceipt::from(&command);
        let agent = self.node.peer_of::<AgentForMaster>(&self.to, AGENT);
        let answer = match command {
            AgentCommand::Launch(command) => agent.send(*command).await,
            AgentCommand::Kill(command) => agent.send(command).await,
            AgentCommand::Acknowledge(command) => agent.send(command).await,
            AgentCommand::Ping(command) => agent.send(command).await,
            AgentCommand::ShutdownFramework(command) => agent.send(command).await,
            AgentCommand::ShutdownAgent(command) => agent.send(command).await,
        };
        self.answer(agent_id, receipt, outcome_of(answer)).await;
    }

    async fn answer(&self, agent_id: AgentId, receipt: CommandReceipt, outcome: CommandOutcome) {
        if !receipt.is_of_interest(&outcome) {
            return;
        }
        let node = self.to.clone();
        if self.own.send(CommandAnswered { agent_id, node, receipt, outcome }).await.is_err() {
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
