//! What the all-in-one local cluster is configured with.
//!
//! Only what a person with one machine wants to say; its master and agents take their own defaults for the rest.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::load::{FORMAT_VERSION, known_version};
use super::{ByteSize, Fault, RoleConfig, auto};

/// Most agents that one machine is asked to run.
const AGENTS_MAX: u32 = 256;

/// The configuration of a local cluster. Each field is a key of `config/local.toml`, where it is explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalConfig {
    /// The version of the format.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// How many agents to start.
    pub agents: u32,
    /// The processors that each agent offers; without it, those of the machine.
    #[serde(with = "auto")]
    pub cpus: Option<f64>,
    /// The memory that each agent offers; without it, that of the machine.
    #[serde(with = "auto")]
    pub mem: Option<ByteSize>,
    /// The master's port on the loopback address; 0 takes any free one.
    pub port: u16,
    /// Where state is kept; without it, a temporary directory. A relative path counts from the directory of the start.
    #[serde(with = "auto")]
    pub data_dir: Option<PathBuf>,
    /// Whether a temporary directory stays at the end.
    pub keep: bool,
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, agents: 2, cpus: None, mem: None, port: 5050, data_dir: None, keep: false }
    }
}

impl RoleConfig for LocalConfig {
    const ROLE: &'static str = "local";
    const COMMENTED_DEFAULTS: &'static str = include_str!("../../config/local.toml");

    fn validate(&self) -> Result<(), Fault> {
        if !(1..=AGENTS_MAX).contains(&self.agents) {
            return Err(Fault::of("agents", format!("{} is not from 1 to {AGENTS_MAX}", self.agents)));
        }
        if self.cpus.is_some_and(|cpus| !(cpus.is_finite() && cpus > 0.0)) {
            return Err(Fault::of("cpus", "must be above 0"));
        }
        if self.mem.is_some_and(|mem| mem.bytes() == 0) {
            return Err(Fault::of("mem", "must be above 0"));
        }
        self.data_dir.as_ref().map_or(Ok(()), |path| Fault::if_empty("data_dir", path))
    }
}
