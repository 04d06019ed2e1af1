//! The typed messages between roles, one file per pair that talks, with the interfaces they form.
//!
//! Commands are imperative, events past tense, questions start with `Get`.

pub mod agent_executor;
pub mod binaries;
pub mod deployments;
pub mod directory;
pub mod hosted_actor;
pub mod master_agent;
pub mod master_operator;
pub mod master_scheduler;
pub mod members;
pub mod operations;
pub mod quota;
pub mod reservations;
pub mod sandbox;
pub mod topics;

use serde::{Deserialize, Serialize};

/// Counts the terms of masters; a command of an older term is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
