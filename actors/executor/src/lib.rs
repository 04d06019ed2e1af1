//! The executor: runs tasks, and the trait that users implement for theirs.
//!
//! An agent starts an executor process, which calls [`run_executor`]. Deliberately absent: resource
//! limits, which the agent puts around the process, and recovery of an executor that has ended itself.

pub mod core;
pub mod effect;
pub mod settings;

mod actor;
mod command;
mod end;
mod node;
#[cfg(target_os = "linux")]
mod orphans;
mod probe;
mod registry;
mod runner;
mod surroundings;
mod task;

pub use end::{ExecutorEnd, TaskEnd};
pub use node::{RunExecutorError, run_executor};
pub use registry::{RegisterTaskError, TaskRegistry};
pub use settings::{ExecutorSettings, SettingsError};
pub use task::{Task, TaskContext, TaskFailure};
