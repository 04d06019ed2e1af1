//! What a master is configured with.
//!
//! Plain values only: binding, directories and timers are the master's business.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::load::{FORMAT_VERSION, known_version};
use super::{ByteSize, Fault, HostPort, HumanDuration, RateLimit, RoleConfig, TlsConfig, auto};

/// The configuration of a master. Each field is a key of `config/master.toml`, where it is explained for operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MasterConfig {
    /// The version of the format.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// The address to listen on.
    pub bind: IpAddr,
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// The address that agents and clients are told; without it, `bind` and the port in use.
    #[serde(with = "auto")]
    pub advertise: Option<HostPort>,
    /// Where state is kept; a relative path counts from the directory of the start.
    pub work_dir: PathBuf,
    /// How long a framework may hold an offer before it is rescinded.
    pub offer_timeout: HumanDuration,
    /// How long a framework has to give back what a role of a higher priority waits for.
    pub preemption_grace: HumanDuration,
    /// How often resources are offered anew.
    pub allocation_interval: HumanDuration,
    /// How long an agent may take to answer one ping.
    pub agent_ping_timeout: HumanDuration,
    /// How many pings in a row may stay unanswered before an agent counts as unreachable.
    pub agent_ping_timeouts_max: u32,
    /// How long an agent that is not connected has to come back before it counts as unreachable.
    pub agent_reregister_timeout: HumanDuration,
    /// How fast agents may be given up as unreachable.
    pub agent_removal_rate_limit: RateLimit,
    /// Of the agents of the registry, the percentage that may be given up after a restart.
    pub recovery_agent_removal_limit: u32,
    /// How many agents are taken.
    pub agents_max: usize,
    /// How many frameworks are taken that have not ended.
    pub frameworks_max: usize,
    /// How many completed frameworks are remembered.
    pub completed_frameworks_max: usize,
    /// How many completed tasks are remembered of each framework.
    pub completed_tasks_per_framework_max: usize,
    /// The least processors that are worth an offer; an offer needs these or `min_allocatable_mem`.
    pub min_allocatable_cpus: f64,
    /// The least memory that is worth an offer.
    pub min_allocatable_mem: ByteSize,
    /// The share of a role relative to others; a role that is not named weighs 1.
    pub weights: BTreeMap<String, f64>,
    /// What the master proves who it is with.
    pub tls: TlsConfig,
}

impl Default for MasterConfig {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5050,
            advertise: None,
            work_dir: PathBuf::from("var/odeon-master"),
            offer_timeout: HumanDuration::from_secs(30),
            preemption_grace: HumanDuration::from_secs(30),
            allocation_interval: HumanDuration::from_secs(1),
            agent_ping_timeout: HumanDuration::from_secs(15),
            agent_ping_timeouts_max: 5,
            agent_reregister_timeout: HumanDuration::from_secs(600),
            agent_removal_rate_limit: RateLimit::Unlimited,
            recovery_agent_removal_limit: 100,
            agents_max: 100_000,
            frameworks_max: 10_000,
            completed_frameworks_max: 50,
            completed_tasks_per_framework_max: 1000,
            min_allocatable_cpus: 0.01,
            min_allocatable_mem: ByteSize::from_mib(32),
            weights: BTreeMap::new(),
            tls: TlsConfig::default(),
        }
    }
}

impl RoleConfig for MasterConfig {
    const ROLE: &'static str = "master";
    const COMMENTED_DEFAULTS: &'static str = include_str!("../../config/master.toml");

    fn validate(&self) -> Result<(), Fault> {
        Fault::if_empty("work_dir", &self.work_dir)?;
        self.tls.check("tls.")?;
        Fault::if_zero("offer_timeout", self.offer_timeout)?;
        Fault::if_zero("allocation_interval", self.allocation_interval)?;
        Fault::if_zero("agent_ping_timeout", self.agent_ping_timeout)?;
        Fault::if_zero("agent_reregister_timeout", self.agent_reregister_timeout)?;
        if self.recovery_agent_removal_limit > 100 {
            return Err(Fault::of("recovery_agent_removal_limit", "is a percentage, from 0 to 100"));
        }
        for (key, max) in [("agents_max", self.agents_max), ("frameworks_max", self.frameworks_max)] {
            if max == 0 {
                return Err(Fault::of(key, "must be at least 1"));
            }
        }
        if self.agent_ping_timeouts_max == 0 {
            return Err(Fault::of("agent_ping_timeouts_max", "must be at least 1"));
        }
        if !(self.min_allocatable_cpus.is_finite() && self.min_allocatable_cpus >= 0.0) {
            return Err(Fault::of("min_allocatable_cpus", "must be 0 or more"));
        }
        let unsound = |weight: &f64| !(weight.is_finite() && *weight > 0.0);
        match self.weights.iter().find(|(_, weight)| unsound(weight)) {
            Some((role, weight)) => Err(Fault::of(format!("weights.{role}"), format!("{weight} is not above 0"))),
            None => Ok(()),
        }
    }
}
