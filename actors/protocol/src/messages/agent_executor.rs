//! Between an agent and its executors.

use crate::executor::ExecutorInfo;
use crate::id::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId};
use crate::task::{TaskInfo, TaskStatus};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

interface! {
    /// What an agent hears from its executors.
    pub AgentForExecutors: RegisterExecutor, UpdateStatuses
}

interface! {
    /// What an executor hears from its agent.
    pub ExecutorForAgent: RunTasks, EndTask, ShutdownExecutor
}

/// Tells the agent that an executor process is ready; its first message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisterExecutor {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// The run, as the agent named it when it started the process.
    pub container_id: ContainerId,
}
remote_message!(RegisterExecutor => Result<ExecutorRegistered, RegisterExecutorError>, "agent.v1.RegisterExecutor");

/// The answer to an executor. The tasks that wait for it come next, by [`RunTasks`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorRegistered {
    /// The agent.
    pub agent_id: AgentId,
    /// The executor as its framework described it.
    pub executor: ExecutorInfo,
    /// How long a task has to end that names no time itself.
    pub kill_grace: Duration,
    /// Whether its framework understands `TASK_KILLING`, and hears `TASK_STARTING` as well.
    #[serde(default)]
    pub killing_state: bool,
}

/// Why an executor is turned away; it ends itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RegisterExecutorError {
    /// The agent did not start this run, or has given it up.
    #[error("container {0} is not one of this agent's")]
    UnknownContainer(ContainerId),
}

/// Reports about tasks, in this order; sent by an executor until the agent answers, which it does when they are safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateStatuses {
    /// The reports of one run, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub reports: Vec<UpdateStatus>,
}
remote_message!(UpdateStatuses => Result<(), RegisterExecutorError>, "agent.v1.UpdateStatuses");

/// A report about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The run of the executor.
    pub container_id: ContainerId,
    /// The report, without a uuid.
    pub status: TaskStatus,
    /// Counts the reports of this run from 1, so that a repeated one is recognised.
    pub sequence: u64,
}

/// Starts tasks in an executor, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunTasks {
    /// The tasks, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub tasks: Vec<RunTask>,
}
remote_message!(RunTasks => (), "executor.v1.RunTasks");

/// A task that an executor is to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunTask {
    /// The task.
    pub task: TaskInfo,
    /// The directory of the task, where `stdout` and `stderr` are; absolute, on the host of both.
    pub sandbox: String,
}

/// Ends a task: asks it first, and kills it after the grace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndTask {
    /// The task.
    pub task_id: TaskId,
    /// The grace.
    pub grace: Duration,
}
remote_message!(EndTask => (), "executor.v1.EndTask");

/// Ends all tasks of an executor and then its process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownExecutor {
    /// After this the agent kills the process.
    pub grace: Duration,
}
remote_message!(ShutdownExecutor => (), "executor.v1.ShutdownExecutor");
