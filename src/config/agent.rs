//! What an agent is configured with.
//!
//! Resources and attributes stay text here: the agent reads them, because only it knows what the host has.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use odeon_agent::{ReconfigurationPolicy, Recover};
use serde::{Deserialize, Serialize};

use super::load::{FORMAT_VERSION, known_version};
use super::{AgentTlsConfig, Fault, HostPort, HumanDuration, RoleConfig, auto};

/// The configuration of an agent. Each field is a key of `config/agent.toml`, where it is explained for operators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The version of the format.
    #[serde(deserialize_with = "known_version")]
    pub version: u32,
    /// The master to register with.
    pub master: HostPort,
    /// The address to listen on.
    pub bind: IpAddr,
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// The address that the master is told; without it, `bind` and the port in use.
    #[serde(with = "auto")]
    pub advertise: Option<HostPort>,
    /// The name under which the agent is listed; without it, the host's own.
    #[serde(with = "auto")]
    pub hostname: Option<String>,
    /// Where checkpoints and sandboxes are kept; a relative path counts from the directory of the start.
    pub work_dir: PathBuf,
    /// What the agent offers, in Mesos text form; without it, what the host has.
    #[serde(with = "auto")]
    pub resources: Option<String>,
    /// What the agent says of itself, in Mesos text form.
    pub attributes: String,
    /// How long an executor may take to register before its tasks fail.
    pub executor_registration_timeout: HumanDuration,
    /// How long an executor may take to shut down before it is killed.
    pub executor_shutdown_grace: HumanDuration,
    /// How long a task may take to end after a polite signal before it is killed.
    pub task_kill_grace: HumanDuration,
    /// The first wait between two attempts to register.
    pub registration_backoff_min: HumanDuration,
    /// The longest wait between two attempts to register.
    pub registration_backoff_max: HumanDuration,
    /// The first wait before an unacknowledged status update is sent again.
    pub status_retry_min: HumanDuration,
    /// The longest wait before an unacknowledged status update is sent again.
    pub status_retry_max: HumanDuration,
    /// What becomes of what an earlier process has left: `reconnect` or `fresh`.
    pub recover: Recover,
    /// How far the agent may differ from what it was: `equal` or `additive`.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// How long executors of frameworks that checkpoint wait for an agent that is gone; at 0 they do not.
    pub recovery_timeout: HumanDuration,
    /// How long an executor may take to come back to an agent that was restarted.
    pub executor_reregistration_timeout: HumanDuration,
    /// How many completed executors are remembered, with their sandboxes.
    pub completed_executors_max: usize,
    /// How long a sandbox is kept at most, if the disk is empty; the fuller it is, the less.
    pub gc_delay: HumanDuration,
    /// The part of the disk that is to stay free, in percent: at less, sandboxes go as soon as they may.
    pub gc_disk_headroom_percent: u32,
    /// How often the disk is looked at.
    pub disk_watch_interval: HumanDuration,
    /// Whether the sandboxes of executors that are not remembered stay on disk.
    pub sandbox_keep: bool,
    /// What the agent and its executors prove who they are with.
    pub tls: AgentTlsConfig,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            master: HostPort::loopback(5050),
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 5051,
            advertise: None,
            hostname: None,
            work_dir: PathBuf::from("var/odeon-agent"),
            resources: None,
            attributes: String::new(),
            executor_registration_timeout: HumanDuration::from_secs(60),
            executor_shutdown_grace: HumanDuration::from_secs(5),
            task_kill_grace: HumanDuration::from_secs(3),
            registration_backoff_min: HumanDuration::from_secs(1),
            registration_backoff_max: HumanDuration::from_secs(60),
            status_retry_min: HumanDuration::from_secs(10),
            status_retry_max: HumanDuration::from_secs(600),
            recover: Recover::Reconnect,
            reconfiguration_policy: ReconfigurationPolicy::Equal,
            recovery_timeout: HumanDuration::from_secs(15 * 60),
            executor_reregistration_timeout: HumanDuration::from_secs(15),
            completed_executors_max: 150,
            gc_delay: HumanDuration::from_secs(7 * 24 * 3600),
            gc_disk_headroom_percent: 10,
            disk_watch_interval: HumanDuration::from_secs(60),
            sandbox_keep: false,
            tls: AgentTlsConfig::default(),
        }
    }
}

impl RoleConfig for AgentConfig {
    const ROLE: &'static str = "agent";
    const COMMENTED_DEFAULTS: &'static str = include_str!("../../config/agent.toml");

    fn validate(&self) -> Result<(), Fault> {
        Fault::if_empty("work_dir", &self.work_dir)?;
        self.tls.check()?;
        if self.hostname.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err(Fault::of("hostname", "must not be empty, write \"auto\" for the host's own name"));
        }
        if self.resources.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(Fault::of("resources", "must not be empty, write \"auto\" for what the host has"));
        }
        Fault::if_zero("executor_registration_timeout", self.executor_registration_timeout)?;
        Fault::if_zero("executor_reregistration_timeout", self.executor_reregistration_timeout)?;
        Fault::if_zero("registration_backoff_min", self.registration_backoff_min)?;
        Fault::if_zero("status_retry_min", self.status_retry_min)?;
        Fault::if_zero("disk_watch_interval", self.disk_watch_interval)?;
        if self.gc_disk_headroom_percent > 100 {
            return Err(Fault::of("gc_disk_headroom_percent", "must be at most 100"));
        }
        let backoff = [self.registration_backoff_min, self.registration_backoff_max];
        Fault::if_above(["registration_backoff_min", "registration_backoff_max"], backoff)?;
        let retry = [self.status_retry_min, self.status_retry_max];
        Fault::if_above(["status_retry_min", "status_retry_max"], retry)
    }
}
