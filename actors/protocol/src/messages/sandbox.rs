//! Reading what a task has printed, from the agent that runs it.

use crate::id::{FrameworkId, TaskId};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most bytes that one answer carries.
pub const CHUNK_BYTES_MAX: u32 = 256 * 1024;
/// The longest time that an agent waits for more before it answers with nothing.
pub const READ_WAIT_MAX: Duration = Duration::from_secs(2);

interface! {
    /// What an agent hears from clients.
    pub AgentForClients: ReadSandbox
}

/// A file of a task's sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SandboxFile {
    /// What the task prints.
    Stdout,
    /// What it prints as errors.
    Stderr,
}

/// Reads a piece of a file; waits for a while if there is nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadSandbox {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
    /// The file.
    pub file: SandboxFile,
    /// From which byte on.
    pub offset: u64,
    /// How long to wait for a first byte; at most [`READ_WAIT_MAX`] is used.
    pub wait: Duration,
}
remote_message!(ReadSandbox => Result<SandboxChunk, ReadSandboxError>, "agent.v1.ReadSandbox", Bulk);

/// A piece of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxChunk {
    /// The bytes from the offset on, at most [`CHUNK_BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// Whether nothing will ever come behind these bytes: the task has ended.
    pub complete: bool,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReadSandboxError {
    /// The agent does not have the task, or has forgotten it.
    #[error("task {0} has no sandbox on this agent")]
    UnknownTask(TaskId),
    /// The host refuses; the text is the system's.
    #[error("cannot read the sandbox of task {task_id}: {cause}")]
    Io {
        /// The task.
        task_id: TaskId,
        /// The system's words.
        cause: String,
    },
}
