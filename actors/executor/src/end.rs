//! How things end: a task, and the executor itself.

use crate::task::TaskFailure;
use odeon_protocol::messages::agent_executor::RegisterExecutorError;

/// How a task ended, as its runner saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// It returned without an error.
    Done,
    /// It returned an error.
    Failed(TaskFailure),
    /// It panicked, with this text.
    Panicked(String),
    /// It was aborted after its grace.
    Aborted,
}

/// Why an executor ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecutorEnd {
    /// Its one command has ended and the agent knows.
    TaskDone,
    /// The agent asked for it.
    Shutdown,
    /// The agent could not be reached for too long; the tasks were ended.
    AgentLost,
    /// The agent does not know this run of the executor; the tasks were ended.
    Refused(RegisterExecutorError),
}
