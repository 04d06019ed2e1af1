//! What the core wants done: plain data, carried out by the actor in the order given.

use crate::core::Checkpoint;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ContainerId, ExecutorId, FrameworkId, StatusUuid, TaskId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::master_agent::{ForwardStatus, RegisterAgent, RegisterAgentError};
use odeon_protocol::role::Role;
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
        /// Whether it runs one command, and ends with it.
        is_command: bool,
        /// Whether it goes on without the agent for a while.
        checkpoint: bool,
    },
    /// Takes an executor over from the process of the agent before this one; one that is gone has exited.
    AdoptExecutor {
        /// The run.
        place: ContainerPlace,
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
    /// Its actor has failed; the executors end themselves, or wait for the next process.
    Failed(String),
}

/// What is written before it may be seen: enough for a new process to go on, see [`Checkpoint`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// All that the records before it say; they are not needed any more.
    Snapshot(Box<Checkpoint>),
    /// A master has given the agent its id, or has taken it away.
    Admitted {
        /// The id.
        agent_id: Option<AgentId>,
        /// The term of the master.
        epoch: Epoch,
    },
    /// A task of a framework that checkpoints was taken; comes before anything is started for it.
    Launched {
        /// The framework.
        framework_id: FrameworkId,
        /// The role that is charged.
        role: Role,
        /// The task.
        task: Box<TaskInfo>,
        /// The run of the executor that gets it; none if it is refused.
        container_id: Option<ContainerId>,
        /// Whether the framework understands `TASK_KILLING`.
        #[serde(default)]
        killing_state: bool,
    },
    /// An update that the master will be told.
    Updated {
        /// The framework.
        framework_id: FrameworkId,
        /// The update.
        status: TaskStatus,
        /// The report of an executor that it came with.
        #[serde(default)]
        report: Option<ReportNumber>,
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
    /// A task that was given up has ended.
    Dropped {
        /// The framework.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
    },
    /// The run of an executor of a framework that checkpoints is over.
    Ended {
        /// The run.
        container_id: ContainerId,
    },
}

/// The number of a report, so that a repeated one is recognised by the next process of the agent as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportNumber {
    /// The run of the executor.
    pub container_id: ContainerId,
    /// The executor's own count.
    pub sequence: u64,
}
