//! What the core wants done: plain data, carried out by the actor in the order given.

use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{ContainerId, ExecutorId, FrameworkId, StatusUuid, TaskId};
use odeon_protocol::messages::master_agent::{ForwardStatus, RegisterAgent, RegisterAgentError};
use odeon_protocol::task::{TaskInfo, TaskStatus};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One run of an executor; names its directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerPlace {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// The run.
    pub container_id: ContainerId,
}

/// What the core wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Asks the master for admission; the answer goes to `on_registration`.
    Register(RegisterAgent),
    /// Tells the master an update.
    Forward(ForwardStatus),
    /// Starts an executor process; its end goes to `on_executor_exited`.
    StartExecutor {
        /// The run.
        place: ContainerPlace,
        /// What to run.
        executor: ExecutorInfo,
    },
    /// Hands a task to its executor.
    RunTask {
        /// The run of the executor.
        container_id: ContainerId,
        /// The task.
        task: TaskInfo,
    },
    /// Asks an executor to end a task.
    EndTask {
        /// The run of the executor.
        container_id: ContainerId,
        /// The task.
        task_id: TaskId,
        /// How long the task may take.
        grace: Duration,
    },
    /// Asks an executor to end.
    ShutdownExecutor {
        /// The run of the executor.
        container_id: ContainerId,
        /// How long it may take.
        grace: Duration,
    },
    /// Kills an executor and all that it has started.
    KillExecutor {
        /// The run of the executor.
        container_id: ContainerId,
    },
    /// Removes the sandbox of a task, or of a whole run.
    RemoveSandbox {
        /// The run of the executor.
        place: ContainerPlace,
        /// The only task whose sandbox goes.
        task_id: Option<TaskId>,
    },
    /// Ends the agent; nothing comes after it.
    Finish(AgentEnd),
}

/// Why an agent has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentEnd {
    /// It was stopped here.
    Stopped,
    /// The master has shut it down; the text is the master's.
    ShutDown(String),
    /// The master does not admit it, and a retry would fail the same way.
    Refused(RegisterAgentError),
    /// Its actor has failed; the executors end themselves.
    Failed(String),
}

/// What is written before it may be seen: enough to take up the updates of each task again.
///
/// Recovery is not built yet: an agent starts with a fresh journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// An update that the master will be told.
    Updated {
        /// The framework.
        framework_id: FrameworkId,
        /// The update.
        status: TaskStatus,
    },
    /// The scheduler has taken note of an update.
    Acknowledged {
        /// The framework.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
        /// The update.
        uuid: StatusUuid,
    },
    /// The master has given a task up: nothing about it will be told any more.
    Forgotten {
        /// The framework.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
    },
}
