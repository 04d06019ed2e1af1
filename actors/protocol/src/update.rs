//! How a deployment changes while it runs. Pure data: the deployer decides.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How fast the actors of a deployment are replaced, and when the new ones count as healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatePolicy {
    /// The most actors that take no messages at a time because of the update; at least 1.
    pub unavailable_max: u32,
    /// How long a new actor runs without a failure before the next one is replaced.
    pub healthy_after: Duration,
    /// How long the update may go without another healthy actor before it is taken back.
    pub progress_within: Duration,
}

impl Default for UpdatePolicy {
    /// One at a time, each watched for 3 s; 2 min for the next one to be healthy.
    fn default() -> Self {
        Self { unavailable_max: 1, healthy_after: Duration::from_secs(3), progress_within: Duration::from_secs(120) }
    }
}

/// How an update stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateState {
    /// Actors are being replaced by those of the new version.
    Rolling,
    /// Actors are being replaced by those of the version before.
    RollingBack {
        /// Why.
        reason: String,
    },
    /// All actors are of the version before again.
    RolledBack {
        /// Why.
        reason: String,
    },
}
