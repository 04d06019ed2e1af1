//! What a framework says about itself.

use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// What a framework can do; without a word for it, the master assumes that it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Capability {
    /// Tells tasks that are out of sight from tasks that are lost.
    #[serde(rename = "PARTITION_AWARE")]
    PartitionAware,
    /// Understands `TASK_KILLING`.
    #[serde(rename = "TASK_KILLING_STATE")]
    TaskKillingState,
    /// Has several roles.
    #[serde(rename = "MULTI_ROLE")]
    MultiRole,
}

/// A framework as it subscribes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkInfo {
    /// A name for people.
    pub name: String,
    /// The user in whose name it runs; shown to people.
    #[serde(default)]
    pub user: String,
    /// The host of the scheduler; shown to people.
    #[serde(default)]
    pub hostname: String,
    /// The roles under which it takes offers; the default role if empty.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// How long its tasks run on without it; at zero they are killed as soon as its connection breaks.
    #[serde(default)]
    pub failover_timeout: Duration,
    /// Whether its tasks outlive a break between agent and master.
    #[serde(default)]
    pub checkpoint: bool,
    /// What it can do.
    #[serde(default)]
    pub capabilities: BTreeSet<Capability>,
}

impl FrameworkInfo {
    /// A framework of the default role that ends with its scheduler.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            user: String::new(),
            hostname: String::new(),
            roles: BTreeSet::from([Role::default()]),
            failover_timeout: Duration::ZERO,
            checkpoint: false,
            capabilities: BTreeSet::new(),
        }
    }

    /// Whether it tells tasks that are out of sight from tasks that are lost.
    #[must_use]
    pub fn is_partition_aware(&self) -> bool {
        self.capabilities.contains(&Capability::PartitionAware)
    }
}
