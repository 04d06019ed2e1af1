//! Between master and agents.

use super::Epoch;
use super::reservations::ReservationError;
use crate::agent::AgentInfo;
use crate::id::{AgentId, FrameworkId, MasterId, StatusUuid, TaskId};
use crate::resources::TypedResources;
use crate::role::Role;
use crate::task::{TaskInfo, TaskState, TaskStatus};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

interface! {
    /// What the master hears from agents.
    pub MasterForAgents: RegisterAgent, ForwardStatuses
}

interface! {
    /// What an agent hears from the master.
    pub AgentForMaster: LaunchTasks, KillTask, AcknowledgeStatuses, PingAgent, ShutdownFramework, ShutdownAgent
}

/// The name behind which an agent is exported that has its node for itself.
pub const AGENT: &str = "agent";

/// Asks the master for admission; sent by an agent at its start, after a broken connection, and when pings stop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegisterAgent {
    /// The id of an earlier admission in the life of this process, if there was one.
    pub agent_id: Option<AgentId>,
    /// What the agent says about itself.
    pub info: AgentInfo,
    /// The tasks that it has, with those that ended but are not yet acknowledged.
    pub tasks: Vec<AgentTask>,
    /// The actor on the sender's node that hears the commands; [`AGENT`] if none is named. A node may have many agents,
    /// each with an endpoint of its own: who names that of an agent which is away takes its place.
    #[serde(default)]
    pub actor: Option<String>,
}
remote_message!(RegisterAgent => Result<AgentRegistered, RegisterAgentError>, "master.v1.RegisterAgent");

/// A task that an agent brings back to a master.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentTask {
    /// Its framework.
    pub framework_id: FrameworkId,
    /// The role that it is charged to.
    pub role: Role,
    /// What it is.
    pub task: TaskInfo,
    /// The newest state that the agent knows.
    pub state: TaskState,
}

/// The answer to an admitted agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRegistered {
    /// Its id: the one that it brought, or a new one.
    pub agent_id: AgentId,
    /// The run of the master.
    pub master_id: MasterId,
    /// The term of the master; the agent refuses commands of an older one from now on.
    pub epoch: Epoch,
    /// Without a ping for this long, the agent registers anew.
    pub ping_timeout: Duration,
    /// Tasks that the master has given up; the agent kills them and forgets their updates.
    pub kill: Vec<(FrameworkId, TaskId)>,
}

/// Why an agent is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RegisterAgentError {
    /// It has nothing to offer. A retry fails the same way.
    #[error("agent on {hostname} has no resources to offer")]
    NoResources {
        /// The host.
        hostname: String,
    },
    /// Its configuration reserves what makes no sense, or more than it has. A retry fails the same way.
    #[error("agent on {hostname} cannot reserve {reserved}: {cause}")]
    Reservations {
        /// The host.
        hostname: String,
        /// What it reserves.
        reserved: TypedResources,
        /// Why it cannot.
        cause: ReservationError,
    },
    /// Its id was removed for good. The agent ends its executors and starts anew without an id.
    #[error("agent {0} was removed and cannot come back under its id")]
    Removed(AgentId),
    /// An operator has declared it gone. It ends; a retry fails the same way.
    #[error("agent {0} was marked gone by an operator; with an empty work_dir the host joins as a new agent")]
    Gone(AgentId),
    /// The name of the actor that should hear the commands cannot be one. A retry fails the same way.
    #[error("{0:?} is not the name of an actor")]
    Actor(String),
    /// The master has as many agents as it takes. A retry helps when one has gone.
    #[error("the master takes no more than {max} agents")]
    TooMany {
        /// How many it takes.
        max: usize,
    },
}

/// Hands status updates on, in this order; sent by an agent, each again and again until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForwardStatuses {
    /// The updates, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub updates: Vec<ForwardStatus>,
}
remote_message!(ForwardStatuses => (), "master.v1.ForwardStatuses");

/// A status update that an agent hands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForwardStatus {
    /// The agent.
    pub agent_id: AgentId,
    /// The framework of the task.
    pub framework_id: FrameworkId,
    /// The update; it has a uuid.
    pub status: TaskStatus,
    /// The newest state, where later updates wait behind this one.
    pub latest: TaskState,
}

/// Starts tasks, in this order; sent by the master for accepted offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchTasks {
    /// The tasks, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub launches: Vec<LaunchTask>,
}
remote_message!(LaunchTasks => Result<(), CommandRefused>, "agent.v1.LaunchTasks");

/// A task that is to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaunchTask {
    /// The term of the master.
    pub epoch: Epoch,
    /// The framework.
    pub framework_id: FrameworkId,
    /// The role that the task is charged to.
    pub role: Role,
    /// The task.
    pub task: TaskInfo,
    /// Whether the framework checkpoints: the agent then keeps the task through its own restart.
    #[serde(default)]
    pub checkpoint: bool,
    /// Whether the framework understands `TASK_KILLING`.
    #[serde(default)]
    pub killing_state: bool,
}

/// Ends a task; sent by the master for its framework or an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillTask {
    /// The term of the master.
    pub epoch: Epoch,
    /// The framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
    /// The task has no longer to end, whatever its own grace.
    #[serde(default)]
    pub grace_max: Option<Duration>,
}
remote_message!(KillTask => Result<(), CommandRefused>, "agent.v1.KillTask");

/// Tells that schedulers have taken note of updates; the agent sends the next one of each task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgeStatuses {
    /// The updates, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub updates: Vec<AcknowledgeStatus>,
}
remote_message!(AcknowledgeStatuses => Result<(), CommandRefused>, "agent.v1.AcknowledgeStatuses");

/// An update that the scheduler has taken note of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgeStatus {
    /// The term of the master.
    pub epoch: Epoch,
    /// The framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
    /// The update.
    pub uuid: StatusUuid,
}

/// Asks whether the agent is there; sent by the master in a fixed interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingAgent {
    /// The term of the master.
    pub epoch: Epoch,
    /// Whom the master believes to ask.
    pub agent_id: AgentId,
    /// Whether the master counts the agent as connected; an agent that is not registers anew.
    pub connected: bool,
}
remote_message!(PingAgent => Result<(), CommandRefused>, "agent.v1.PingAgent");

/// Ends all tasks and executors of a framework; sent by the master when the framework is torn down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownFramework {
    /// The term of the master.
    pub epoch: Epoch,
    /// The framework.
    pub framework_id: FrameworkId,
}
remote_message!(ShutdownFramework => Result<(), CommandRefused>, "agent.v1.ShutdownFramework");

/// Ends all executors of an agent and then the agent; sent by the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownAgent {
    /// The term of the master.
    pub epoch: Epoch,
    /// For people.
    pub message: String,
}
remote_message!(ShutdownAgent => Result<(), CommandRefused>, "agent.v1.ShutdownAgent");

/// Why an agent does not obey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CommandRefused {
    /// The sender is not the master of the newest term. The sender steps down.
    #[error("command of epoch {command}, but the agent follows epoch {current}")]
    OldEpoch {
        /// The term of the command.
        command: Epoch,
        /// The term that the agent follows.
        current: Epoch,
    },
    /// The agent has not registered yet or has another id.
    #[error("the agent is not registered as {0}")]
    NotRegistered(AgentId),
}
