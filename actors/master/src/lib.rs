//! The master: registry, offers, tasks, frameworks and reconciliation.
//!
//! [`MasterCore`] decides, the actor carries out, [`MasterNode`] is the whole in one process.

mod actor;
mod core;
pub mod effect;
mod lanes;
pub mod measure;
mod messenger;
mod node;
mod parcels;
mod record;
mod registry;
mod settings;

pub use crate::core::{AgentBooks, CommandReceipt, MasterCore, MasterOutbox, TaskKey};
pub use node::{MasterNode, MasterSettings, StartMasterError};
pub use record::{GoneAgent, Record, RegisteredAgent, RegisteredFramework, Registry, RemovedFramework};
pub use registry::{OpenRegistryError, StoreError, StoreVersion};
pub use settings::{MasterRules, RemovalRate};
