//! Tasks: what a framework launches, and the states that it goes through.

mod check;
mod state;
mod status;

pub use check::{CHECK_INTERVAL_MIN, CHECK_PATH_BYTES_MAX, Check, CheckInvalid, CheckResult, HealthCheck, Probe};
pub use state::TaskState;
pub use status::{StatusReason, StatusSource, TaskExit, TaskStatus};

use crate::executor::{CommandInfo, ExecutorInfo};
use crate::id::{ExecutorId, TaskId};
use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// What a framework asks an agent to run on an offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// Chosen by the framework; unique within it.
    pub task_id: TaskId,
    /// A name for people; need not be unique.
    pub name: String,
    /// What the task takes from the offer.
    pub resources: Resources,
    /// What runs.
    pub work: Work,
    /// Between asking the task to end and killing it; the agent's default if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill_grace: Option<Duration>,
    /// What is asked again and again, and told; it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Box<Check>>,
    /// What is asked again and again, and kills the task if the answers are bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Box<HealthCheck>>,
    /// A task that has not ended after so long is ended, and has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_time: Option<Duration>,
}

/// What runs in a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Work {
    /// A command, in an executor process of its own.
    Command(CommandInfo),
    /// A command, in an executor process that it shares with others; it costs a process less.
    SharedCommand {
        /// The executor that runs it; started by the first of its tasks.
        executor: ExecutorInfo,
        /// The command.
        command: CommandInfo,
    },
    /// A task type that is registered in the executor's binary; tasks with one executor id share a process.
    Registered {
        /// The executor that runs it; started by the first of its tasks.
        executor: ExecutorInfo,
        /// The registered name of the task type.
        task_type: String,
        /// Handed to the task as it is.
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
}

impl Work {
    /// The command, if it is one.
    #[must_use]
    pub fn command(&self) -> Option<&CommandInfo> {
        match self {
            Self::Command(command) | Self::SharedCommand { command, .. } => Some(command),
            Self::Registered { .. } => None,
        }
    }

    /// The executor that the framework names; none if the work has one of its own.
    #[must_use]
    pub fn named_executor(&self) -> Option<&ExecutorInfo> {
        match self {
            Self::SharedCommand { executor, .. } | Self::Registered { executor, .. } => Some(executor),
            Self::Command(_) => None,
        }
    }
}

impl TaskInfo {
    /// A task with nothing but what every task has.
    #[must_use]
    pub fn new(task_id: TaskId, name: impl Into<String>, resources: Resources, work: Work) -> Self {
        Self {
            task_id,
            name: name.into(),
            resources,
            work,
            kill_grace: None,
            check: None,
            health_check: None,
            max_completion_time: None,
        }
    }

    /// The executor that runs the task; a command has one of its own, named after the task.
    #[must_use]
    pub fn executor(&self) -> Cow<'_, ExecutorInfo> {
        self.work.named_executor().map_or_else(|| Cow::Owned(self.own_executor()), Cow::Borrowed)
    }

    /// The id of that executor.
    #[must_use]
    pub fn executor_id(&self) -> ExecutorId {
        let named = self.work.named_executor().map(|executor| executor.executor_id.clone());
        named.unwrap_or_else(|| self.own_executor_id())
    }

    fn own_executor(&self) -> ExecutorInfo {
        ExecutorInfo {
            executor_id: self.own_executor_id(),
            name: format!("command executor of {}", self.task_id),
            resources: Resources::empty(),
            program: None,
            binary: None,
        }
    }

    fn own_executor_id(&self) -> ExecutorId {
        ExecutorId::new(self.task_id.as_str()).expect("ids of tasks and executors have one rule")
    }
}
