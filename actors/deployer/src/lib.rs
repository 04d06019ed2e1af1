//! The deployer: a framework that keeps the actors of deployments running, and knows where each one is.
//!
//! Its core decides, without IO; its actor hears people and the scheduler's driver, and writes the journal. What an
//! actor is, and how its host keeps it alive in place, is the executor's.

pub mod core;
pub mod state;

mod actor;
mod binaries;
mod node;
mod placement;
mod scheduler;
mod topics;
mod topics_actor;

pub use node::{DeployerNode, DeployerSettings, StartDeployerError};
pub use topics_actor::TopicRegistry;
