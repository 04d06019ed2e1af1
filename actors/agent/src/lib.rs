//! The agent: executors, sandboxes and status updates.
//!
//! Deliberately absent: resource limits around executors, and the recovery of tasks after the agent
//! has ended: executors end themselves when their agent is gone.

mod actor;
mod backoff;
pub mod core;
pub mod effect;
mod launcher;
mod mailer;
mod node;
mod performer;
mod process_tree;
mod reader;
pub mod resources;
mod sandbox;
mod settings;
mod status_stream;

pub use effect::AgentEnd;
pub use node::{AgentNode, StartAgentError};
pub use resources::detect_resources;
pub use settings::{AgentLimits, AgentSettings};
