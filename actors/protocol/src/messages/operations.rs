//! What operators change: agents, roles and frameworks; and the question why something waits.
//!
//! The lists that operators read are in `master_operator`.

use crate::id::{AgentId, FrameworkId, TaskId};
use crate::remote_message;
use crate::resources::Scalar;
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sets the weight of a role from now on; it is kept over restarts of the master, and wins over its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoleWeight {
    /// The role, at any level.
    pub role: Role,
    /// Above zero; a role for which none is set weighs 1.
    pub weight: Scalar,
}
remote_message!(SetRoleWeight => Result<(), SetRoleWeightError>, "master.v1.SetRoleWeight");

/// Why a weight is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SetRoleWeightError {
    /// It cannot be a weight. A retry fails the same way.
    #[error("the weight of role {role} cannot be {weight}: a weight is above 0 and below 4294967")]
    NotAWeight {
        /// The role.
        role: Role,
        /// What was given.
        weight: Scalar,
    },
}

/// Sets the priority of a role, and of those below it that have none of their own, from now on; it is kept over restarts
/// of the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRolePriority {
    /// The role, at any level.
    pub role: Role,
    /// Above zero it may take back from roles of a lower one; a role for which none is set has zero.
    pub priority: u32,
}
remote_message!(SetRolePriority => (), "master.v1.SetRolePriority");

/// Makes no more offers of an agent; what runs there runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeactivateAgent {
    /// The agent.
    pub agent_id: AgentId,
}
remote_message!(DeactivateAgent => Result<(), AgentChangeError>, "master.v1.DeactivateAgent");

/// Offers a deactivated or drained agent again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactivateAgent {
    /// The agent.
    pub agent_id: AgentId,
}
remote_message!(ReactivateAgent => Result<(), AgentChangeError>, "master.v1.ReactivateAgent");

/// Declares that an agent will never come back: its tasks have ended, its id is void, and if it lives it is shut down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkAgentGone {
    /// The agent.
    pub agent_id: AgentId,
}
remote_message!(MarkAgentGone => Result<(), AgentChangeError>, "master.v1.MarkAgentGone");

/// Ends all tasks of an agent and offers it no more, until it is reactivated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// No task has longer to end, whatever its own grace.
    #[serde(default)]
    pub grace_max: Option<Duration>,
    /// Whether the agent is declared gone once it is empty.
    #[serde(default)]
    pub mark_gone: bool,
}
remote_message!(DrainAgent => Result<(), AgentChangeError>, "master.v1.DrainAgent");

/// A drain, under way or done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Why, for people.
    pub reason: String,
    /// No task has longer to end.
    pub grace_max: Option<Duration>,
    /// Whether the agent is declared gone once it is empty.
    pub mark_gone: bool,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// Whether all tasks have ended.
    pub drained: bool,
}

/// Why an agent is not changed; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AgentChangeError {
    /// There is no such agent.
    #[error("there is no agent {0}")]
    Unknown(AgentId),
    /// It was declared gone, which is final.
    #[error("agent {0} was marked gone")]
    Gone(AgentId),
    /// Its tasks are being ended. Wait until it is drained.
    #[error("agent {0} is draining: wait until it is drained")]
    Draining(AgentId),
}

/// Ends a framework, its tasks and executors; its id is not usable any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeardownFrameworkByOperator {
    /// The framework.
    pub framework_id: FrameworkId,
}
remote_message!(TeardownFrameworkByOperator => Result<(), TeardownError>, "master.v1.TeardownFrameworkByOperator");

/// Why a framework is not ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TeardownError {
    /// There is no such framework.
    #[error("there is no framework {0}")]
    Unknown(FrameworkId),
    /// It has ended already.
    #[error("framework {0} has ended already")]
    Ended(FrameworkId),
}

/// Asks what a task waits for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainTask {
    /// The task.
    pub task_id: TaskId,
    /// Its framework; needed where several have a task of that id.
    pub framework_id: Option<FrameworkId>,
}
remote_message!(ExplainTask => Result<Explanation, ExplainError>, "master.v1.ExplainTask");

/// Asks what a framework waits for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainFramework {
    /// The framework.
    pub framework_id: FrameworkId,
}
remote_message!(ExplainFramework => Result<Explanation, ExplainError>, "master.v1.ExplainFramework");

/// How things stand with a task or a framework, most important first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The id of what was asked about.
    pub id: String,
    /// Its state, in the words of the lists.
    pub state: String,
    /// What the state follows from.
    pub findings: Vec<Finding>,
}

/// One thing that bears on the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in one word for programs.
    pub about: String,
    /// For people.
    pub text: String,
}

/// Why nothing can be explained.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ExplainError {
    /// There is no such task, or it is forgotten.
    #[error("there is no task {0}")]
    UnknownTask(TaskId),
    /// More than one framework has a task of that id.
    #[error("several frameworks have a task {0}: name the framework")]
    AmbiguousTask(TaskId),
    /// There is no such framework, or it is forgotten.
    #[error("there is no framework {0}")]
    UnknownFramework(FrameworkId),
}
