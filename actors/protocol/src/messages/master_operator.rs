//! Between master and operators: what the command line and, later, dashboards ask.

use super::Epoch;
use super::operations::{
    DeactivateAgent, Drain, DrainAgent, ExplainFramework, ExplainTask, MarkAgentGone, ReactivateAgent, SetRolePriority,
    SetRoleWeight, TeardownFrameworkByOperator,
};
use super::quota::{GetRoleQuotas, RemoveRoleQuota, SetRoleQuota};
use super::reservations::{ReserveResources, UnreserveResources};
use crate::id::{AgentId, FrameworkId, MasterId, TaskId};
use crate::resources::{Resources, TypedResources};
use crate::role::Role;
use crate::task::{StatusReason, TaskState};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

interface! {
    /// What the master hears from operators.
    pub MasterForOperators: GetMaster, GetAgents, GetTasks, GetFrameworks, GetRoles, KillTaskByOperator,
        SetRoleWeight, SetRolePriority, DeactivateAgent, ReactivateAgent, MarkAgentGone, DrainAgent,
        TeardownFrameworkByOperator, ExplainTask, ExplainFramework, SetRoleQuota, RemoveRoleQuota, GetRoleQuotas,
        ReserveResources, UnreserveResources
}

/// Asks who the master is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetMaster {}
remote_message!(GetMaster => MasterSummary, "master.v1.GetMaster");

/// The master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterSummary {
    /// The run of the master.
    pub master_id: MasterId,
    /// Its term.
    pub epoch: Epoch,
    /// The version of its binary.
    pub version: String,
    /// Resources of all connected agents.
    pub total: Resources,
    /// What is used or offered of them.
    pub allocated: Resources,
}

/// Asks for the agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetAgents {}
remote_message!(GetAgents => Vec<AgentSummary>, "master.v1.GetAgents");

/// Whether an agent is in touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AgentState {
    /// Registered and connected.
    #[serde(rename = "ACTIVE")]
    Active,
    /// Its connection broke; it may come back.
    #[serde(rename = "DISCONNECTED")]
    Disconnected,
    /// It has not answered for long; its tasks are out of sight.
    #[serde(rename = "UNREACHABLE")]
    Unreachable,
    /// Connected, and not offered on the word of an operator.
    #[serde(rename = "DEACTIVATED")]
    Deactivated,
    /// Connected, and its tasks are being ended on the word of an operator.
    #[serde(rename = "DRAINING")]
    Draining,
    /// Connected, and empty after a drain.
    #[serde(rename = "DRAINED")]
    Drained,
}

impl AgentState {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disconnected => "DISCONNECTED",
            Self::Unreachable => "UNREACHABLE",
            Self::Deactivated => "DEACTIVATED",
            Self::Draining => "DRAINING",
            Self::Drained => "DRAINED",
        }
    }
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSummary {
    /// The agent.
    pub agent_id: AgentId,
    /// Its host.
    pub hostname: String,
    /// `host:port`.
    pub endpoint: String,
    /// Whether it is in touch.
    pub state: AgentState,
    /// All that it has, reserved or not.
    pub total: Resources,
    /// What of it is reserved, by its configuration or since then.
    #[serde(default)]
    pub reserved: TypedResources,
    /// What of that no task uses; it may be offered.
    #[serde(default)]
    pub reserved_unused: TypedResources,
    /// What tasks and executors use.
    pub used: Resources,
    /// What is offered at this moment.
    pub offered: Resources,
    /// Facts about the host.
    pub attributes: BTreeMap<String, String>,
    /// Tasks that have not ended.
    pub active_tasks: usize,
    /// Whether an operator keeps it from being offered; told also while it is not connected.
    #[serde(default)]
    pub deactivated: bool,
    /// The drain that an operator has asked for.
    #[serde(default)]
    pub drain: Option<Drain>,
    /// When it was admitted, in milliseconds since the Unix epoch.
    pub registered_ms: u64,
}

/// Asks for tasks, those that ended included as long as the master remembers them; sorted by launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetTasks {
    /// Only of this framework.
    pub framework_id: Option<FrameworkId>,
}
remote_message!(GetTasks => Vec<TaskSummary>, "master.v1.GetTasks");

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSummary {
    /// The task.
    pub task_id: TaskId,
    /// Its name.
    pub name: String,
    /// Its framework.
    pub framework_id: FrameworkId,
    /// The name of the framework.
    pub framework_name: String,
    /// Where it runs or ran.
    pub agent_id: AgentId,
    /// The host of the agent.
    pub hostname: String,
    /// The role that it is charged to.
    pub role: Role,
    /// Its state.
    pub state: TaskState,
    /// Why, where there is more to say.
    pub reason: Option<StatusReason>,
    /// For people.
    pub message: String,
    /// What it takes.
    pub resources: Resources,
    /// When it was launched, in milliseconds since the Unix epoch.
    pub launched_ms: u64,
    /// When its state last changed, in milliseconds since the Unix epoch.
    pub updated_ms: u64,
}

/// Asks for the frameworks, those that ended included as long as the master remembers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFrameworks {}
remote_message!(GetFrameworks => Vec<FrameworkSummary>, "master.v1.GetFrameworks");

/// Whether a framework is in touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FrameworkState {
    /// Its scheduler is connected.
    #[serde(rename = "ACTIVE")]
    Active,
    /// Its scheduler is not connected; its tasks run until the failover timeout.
    #[serde(rename = "DISCONNECTED")]
    Disconnected,
    /// It has ended.
    #[serde(rename = "COMPLETED")]
    Completed,
}

impl FrameworkState {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Disconnected => "DISCONNECTED",
            Self::Completed => "COMPLETED",
        }
    }
}

/// A framework.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameworkSummary {
    /// The framework.
    pub framework_id: FrameworkId,
    /// Its name.
    pub name: String,
    /// Its user.
    pub user: String,
    /// The host of its scheduler.
    pub hostname: String,
    /// Its roles.
    pub roles: BTreeSet<Role>,
    /// Whether it is in touch.
    pub state: FrameworkState,
    /// Tasks that have not ended.
    pub active_tasks: usize,
    /// What they and their executors use.
    pub used: Resources,
    /// What is offered to it at this moment.
    pub offered: Resources,
    /// When it subscribed first, in milliseconds since the Unix epoch.
    pub registered_ms: u64,
}

/// Asks for the roles that have a framework or a weight of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRoles {}
remote_message!(GetRoles => Vec<RoleSummary>, "master.v1.GetRoles");

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoleSummary {
    /// The role.
    pub role: Role,
    /// Its weight.
    pub weight: f64,
    /// Its priority: its own, or that of the nearest role above it that has one.
    #[serde(default)]
    pub priority: u32,
    /// Its dominant share of the cluster, from 0 to 1, before the weight.
    pub share: f64,
    /// What is used or offered under it.
    pub allocated: Resources,
    /// Its frameworks.
    pub frameworks: BTreeSet<FrameworkId>,
}

/// Ends a task of any framework, by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillTaskByOperator {
    /// The task.
    pub task_id: TaskId,
    /// Its framework; needed where several have a task of that id.
    pub framework_id: Option<FrameworkId>,
}
remote_message!(KillTaskByOperator => Result<(), KillTaskError>, "master.v1.KillTaskByOperator");

/// Why a task cannot be killed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KillTaskError {
    /// There is no such task.
    #[error("there is no task {0}")]
    Unknown(TaskId),
    /// It has ended.
    #[error("task {task_id} has ended: {state}")]
    Ended {
        /// The task.
        task_id: TaskId,
        /// Its state.
        state: TaskState,
    },
    /// More than one framework has a task of that id.
    #[error("several frameworks have a task {0}: name the framework")]
    Ambiguous(TaskId),
}
