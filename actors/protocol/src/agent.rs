//! What an agent says about itself.

use crate::resources::Resources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An agent as it registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The host, for people and for placement.
    pub hostname: String,
    /// `host:port` under which clients and executors reach it.
    pub endpoint: String,
    /// All that it offers.
    pub resources: Resources,
    /// Facts about the host, for placement.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}
