//! `[resources]` of a job file: what one worker needs.
//!
//! What a cluster has is not looked at here.

use serde::{Deserialize, Serialize};

use super::{JobError, require, within};

/// Most processors a worker may ask for.
pub const CPUS_MAX: f64 = 1e6;
/// Most memory a worker may ask for, in MiB: an exbibyte.
pub const MEM_MIB_MAX: u64 = 1 << 40;

/// `[resources]`: what each worker needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResourceSettings {
    /// Processors.
    pub cpus: f64,
    /// Memory in MiB.
    pub mem_mib: u64,
}

impl Default for ResourceSettings {
    fn default() -> Self {
        Self { cpus: 0.5, mem_mib: 64 }
    }
}

impl ResourceSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub(super) fn validate(&self) -> Result<(), JobError> {
        let cpus = self.cpus;
        require("resources.cpus", cpus > 0.0 && cpus <= CPUS_MAX, || {
            format!("{cpus:?} is not above 0 and at most {CPUS_MAX}")
        })?;
        within("resources.mem_mib", self.mem_mib, MEM_MIB_MAX)
    }
}
