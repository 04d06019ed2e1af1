//! Executors and commands: the processes that an agent starts.

use crate::binary::Binary;
use crate::id::ExecutorId;
use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An executor: a process that runs the tasks of one framework on one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorInfo {
    /// Chosen by the framework; tasks with the same one share the process.
    pub executor_id: ExecutorId,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// What the process takes besides its tasks.
    #[serde(default, skip_serializing_if = "Resources::is_empty")]
    pub resources: Resources,
    /// The binary, as an absolute path on the agent's host; the agent's own binary if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The binary, to be fetched; instead of `program`.
    #[serde(default)]
    pub binary: Option<Binary>,
}

/// A command: a program and its arguments, without a shell between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInfo {
    /// The program, found on the `PATH` of the task, and its arguments.
    pub argv: Vec<String>,
    /// Added to the environment of the task.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where it runs; its sandbox if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<String>,
}
