//! One report about a task: its state, who says so, and why.

use super::{CheckResult, TaskState};
use crate::id::{AgentId, ExecutorId, StatusUuid, TaskId};
use serde::{Deserialize, Serialize};

/// Who reports a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StatusSource {
    /// The master.
    #[serde(rename = "SOURCE_MASTER")]
    Master,
    /// The agent.
    #[serde(rename = "SOURCE_AGENT")]
    Agent,
    /// The executor.
    #[serde(rename = "SOURCE_EXECUTOR")]
    Executor,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)+) => {
        /// Why a task is in a state; the names are those of Mesos.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum StatusReason { $($(#[$doc])* #[serde(rename = $name)] $variant,)+ }

        impl StatusReason {
            /// The name in Mesos.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

reasons! {
    /// The connection to the agent broke, and the framework does not checkpoint.
    AgentDisconnected = "REASON_AGENT_DISCONNECTED";
    /// The agent did not answer and was removed.
    AgentRemoved = "REASON_AGENT_REMOVED";
    /// An operator has declared the agent gone.
    AgentRemovedByOperator = "REASON_AGENT_REMOVED_BY_OPERATOR";
    /// The agent is not known.
    AgentUnknown = "REASON_AGENT_UNKNOWN";
    /// The agent ended, and with it its executors.
    AgentRestarted = "REASON_AGENT_RESTARTED";
    /// The command ended with a code other than zero, or by a signal.
    CommandExecutorFailed = "REASON_COMMAND_EXECUTOR_FAILED";
    /// The executor process could not be started.
    ContainerLaunchFailed = "REASON_CONTAINER_LAUNCH_FAILED";
    /// What the task took is given to a role of a higher priority.
    ContainerPreempted = "REASON_CONTAINER_PREEMPTED";
    /// The executor did not register in time.
    ExecutorRegistrationTimeout = "REASON_EXECUTOR_REGISTRATION_TIMEOUT";
    /// The executor process ended while the task ran.
    ExecutorTerminated = "REASON_EXECUTOR_TERMINATED";
    /// The framework was torn down or is not connected.
    FrameworkRemoved = "REASON_FRAMEWORK_REMOVED";
    /// The task took longer than it said that it would at most.
    MaxCompletionTimeReached = "REASON_MAX_COMPLETION_TIME_REACHED";
    /// The offer is not valid any more.
    InvalidOffers = "REASON_INVALID_OFFERS";
    /// The answer to a question about the state.
    Reconciliation = "REASON_RECONCILIATION";
    /// The task does not fit the offer.
    ResourcesUnknown = "REASON_RESOURCES_UNKNOWN";
    /// A check has found something else than before.
    TaskCheckStatusUpdated = "REASON_TASK_CHECK_STATUS_UPDATED";
    /// A health check has found something worth telling.
    TaskHealthCheckStatusUpdated = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
    /// The description of the task is not valid.
    TaskInvalid = "REASON_TASK_INVALID";
    /// The kill was asked for while the task was on its way.
    TaskKilledDuringLaunch = "REASON_TASK_KILLED_DURING_LAUNCH";
    /// The task is not known to who should run it.
    TaskUnknown = "REASON_TASK_UNKNOWN";
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TaskExit {
    /// It returned a code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl TaskExit {
    /// The code that a shell would show: that of the process, or 128 and the number of the signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl std::fmt::Display for TaskExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(signal) => write!(f, "terminated by signal {signal}"),
        }
    }
}

/// One report about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// The task.
    pub task_id: TaskId,
    /// Its state.
    pub state: TaskState,
    /// Who says so.
    pub source: StatusSource,
    /// Why, where there is more to say than the state does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<StatusReason>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Where it runs or ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// What runs or ran it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_id: Option<ExecutorId>,
    /// When, in milliseconds since the Unix epoch, by the clock of the source.
    #[serde(default)]
    pub timestamp_ms: u64,
    /// Present if the update wants an acknowledgement; made by the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<StatusUuid>,
    /// How the process ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<TaskExit>,
    /// Whether its health check finds it well; nothing before the first answer that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What its check has found last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckResult>,
}

impl TaskStatus {
    /// A report with nothing but the state and its source.
    #[must_use]
    pub fn new(task_id: TaskId, state: TaskState, source: StatusSource) -> Self {
        Self {
            task_id,
            state,
            source,
            reason: None,
            message: String::new(),
            agent_id: None,
            executor_id: None,
            timestamp_ms: 0,
            uuid: None,
            exit: None,
            healthy: None,
            check: None,
        }
    }

    /// Adds why, in a word for programs and one for people.
    #[must_use]
    pub fn because(mut self, reason: StatusReason, message: impl Into<String>) -> Self {
        self.reason = Some(reason);
        self.message = message.into();
        self
    }

    /// Adds when.
    #[must_use]
    pub fn at(mut self, wall_ms: u64) -> Self {
        self.timestamp_ms = wall_ms;
        self
    }

    /// Adds where.
    #[must_use]
    pub fn on(mut self, agent_id: &AgentId) -> Self {
        self.agent_id = Some(agent_id.clone());
        self
    }
}
