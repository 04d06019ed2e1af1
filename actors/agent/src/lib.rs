//! The agent: executors, sandboxes and status updates.
//!
//! An agent that was killed and is started again goes on with the executors of frameworks that checkpoint;
//! those of others end themselves when their agent is gone. Deliberately absent: resource limits around executors.

mod actor;
mod backoff;
pub mod core;
mod disk;
pub mod effect;
mod fetcher;
mod forwarder;
mod http_get;
mod launcher;
mod mailer;
pub mod measure;
mod node;
mod performer;
mod process_tree;
mod reader;
pub mod resources;
mod sandbox;
mod settings;
mod status_stream;
mod work_dir;

pub use crate::core::ReconfigurationPolicy;
pub use effect::AgentEnd;
pub use node::{AgentNode, StartAgentError};
pub use resources::{OfferedResources, detect_resources};
pub use settings::{AgentLimits, AgentSettings, Recover};
