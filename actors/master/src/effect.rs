//! What the core of the master wants done: messages to schedulers and agents, each in order.
//!
//! An effect carries all that its sending needs; the shell looks nothing up.

use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, KillTask, LaunchTask, PingAgent, ShutdownAgent, ShutdownFramework,
};
use odeon_protocol::messages::master_scheduler::{
    AgentLost, FrameworkFailed, OfferRescinded, OffersMade, ReturnWanted, TaskUpdated,
};
use odeon_protocol::messages::members::MembersSeen;
use odeon_runtime::{ActorName, NodeId, QuestionId};

/// Where an agent hears its commands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentAddress {
    /// The run of the process that has registered it.
    pub node: NodeId,
    /// The actor on it; a node may have many agents.
    pub actor: ActorName,
}

/// Where a framework's scheduler hears its events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SchedulerAddress {
    /// The node that subscribed.
    pub node: NodeId,
    /// The actor on it.
    pub actor: ActorName,
}

/// An event for a scheduler.
#[derive(Debug, Clone, PartialEq)]
pub enum SchedulerEvent {
    /// New offers.
    Offers(OffersMade),
    /// An offer is void.
    Rescinded(OfferRescinded),
    /// What the framework holds is wanted by others.
    ReturnWanted(ReturnWanted),
    /// A report about a task.
    Updated(TaskUpdated),
    /// An agent is out of reach.
    AgentLost(AgentLost),
    /// The scheduler is not one any more.
    Failed(FrameworkFailed),
}

/// A command for an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum AgentCommand {
    /// Start a task.
    Launch(Box<LaunchTask>),
    /// End a task.
    Kill(KillTask),
    /// An update is acknowledged.
    Acknowledge(AcknowledgeStatus),
    /// Answer.
    Ping(PingAgent),
    /// End all of a framework.
    ShutdownFramework(ShutdownFramework),
    /// End.
    ShutdownAgent(ShutdownAgent),
}

/// One thing to be done, in the order in which the core has said it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell a scheduler; a loss is made good by reconciliation, or by the repetition of an update.
    TellScheduler {
        /// To whom.
        to: SchedulerAddress,
        /// What.
        event: SchedulerEvent,
    },
    /// Command an agent; what it answers comes back as a [`CommandOutcome`].
    CommandAgent {
        /// The agent.
        agent_id: AgentId,
        /// Where it hears them.
        to: AgentAddress,
        /// What.
        command: AgentCommand,
    },
    /// Answer one who follows the members; a loss is made good by the next question.
    TellMembers(QuestionId, MembersSeen),
    /// A newer master is followed by an agent: this one may not go on.
    StepDown {
        /// For people.
        reason: String,
    },
}

/// What has become of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandOutcome {
    /// The agent has taken it.
    Obeyed,
    /// The agent has refused it.
    Refused(odeon_protocol::messages::master_agent::CommandRefused),
    /// It has certainly not been handled.
    Undelivered(String),
    /// Nobody knows whether it has been handled.
    Uncertain(String),
}
