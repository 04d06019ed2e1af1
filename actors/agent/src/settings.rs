//! What an agent is started with.
//!
//! Plain data: where it comes from, files or flags, is the caller's business.

use crate::core::ReconfigurationPolicy;
use odeon_protocol::resources::{Resources, TypedResources};
use odeon_runtime::Endpoint;
use odeon_runtime::trust::CredentialFiles;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// All that an agent process needs to know.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The name of the node, such as `agent-3`.
    pub name: String,
    /// Random for each start of the process.
    pub incarnation: u64,
    /// Seeds ids and jitter; random for each start, or the ids of containers repeat.
    pub seed: u64,
    /// Where the master listens.
    pub master: Endpoint,
    /// Where to listen.
    pub listen: Endpoint,
    /// What others are told to dial; where the agent listens in fact if not given.
    pub advertise: Option<Endpoint>,
    /// The host, for people and for placement.
    pub hostname: String,
    /// Facts about the host, for placement.
    pub attributes: BTreeMap<String, String>,
    /// All that it offers; see [`crate::resources`].
    pub resources: Resources,
    /// What of it is reserved for roles.
    pub reserved: TypedResources,
    /// Holds the journal and the sandboxes; made if it is not there.
    pub work_dir: PathBuf,
    /// The agent's own environment; executors get the basics of it, such as `PATH`, and nothing else.
    pub environment: BTreeMap<String, String>,
    /// The binary of executors that name no program of their own; started with the argument `executor`.
    pub program: PathBuf,
    /// Where executors find the certificate that they are known by; without, they speak in plain text to this host only.
    /// The paths are absolute: an executor runs in a directory of its own.
    pub executor_credentials: Option<CredentialFiles>,
    /// What becomes of what an earlier process has left.
    pub recover: Recover,
    /// How far the agent may differ from what it was in an earlier process.
    pub reconfiguration_policy: ReconfigurationPolicy,
    /// Whether the disk in `resources` was measured: then what was offered before stays.
    pub disk_is_measured: bool,
    /// Waits and bounds.
    pub limits: AgentLimits,
}

/// What an agent does with what an earlier process has left in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recover {
    /// It goes on with its id, its executors and their tasks.
    #[default]
    Reconnect,
    /// It begins anew: the journal is set aside, and executors that wait are turned away.
    Fresh,
}

/// Waits and bounds of an agent; the defaults are in [`AgentLimits::DEFAULT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentLimits {
    /// The first wait after a registration that failed, before jitter.
    pub registration_backoff_min: Duration,
    /// The longest wait between two registrations, before jitter.
    pub registration_backoff_max: Duration,
    /// How long an executor may take from its start to its registration.
    pub executor_registration_timeout: Duration,
    /// How long the binary of an executor may take to be fetched; the time to register begins then.
    pub fetch_within: Duration,
    /// How long that may go without another byte.
    pub fetch_stall_max: Duration,
    /// Bytes of fetched binaries that are kept; those used least recently make room.
    pub binaries_bytes_max: u64,
    /// How long an executor may take to end its tasks and itself.
    pub executor_shutdown_grace: Duration,
    /// How long an executor without a task is kept.
    pub executor_idle_max: Duration,
    /// How long an executor may take to come back to an agent that was restarted.
    pub executor_reregistration_timeout: Duration,
    /// How long executors of frameworks that checkpoint wait for an agent that is gone; at zero they do not.
    pub recovery_timeout: Duration,
    /// Records that are written to the journal before a snapshot replaces them.
    pub journal_records_max: usize,
    /// How long a live executor may be out of reach before it is killed.
    pub executor_reconnect_max: Duration,
    /// How long a task may take to end if it names no grace of its own.
    pub task_kill_grace: Duration,
    /// What an executor may take beyond a grace before it is killed.
    pub kill_margin: Duration,
    /// The first wait before an update that was not acknowledged is sent again; each wait is twice the last.
    pub status_retry_min: Duration,
    /// The longest wait before an update is sent again.
    pub status_retry_max: Duration,
    /// Updates that may wait for one task.
    pub status_updates_max: usize,
    /// Updates of one framework that are on their way at a time; the others wait for these to be acknowledged.
    pub status_updates_under_way_max: usize,
    /// How many sandboxes of ended executors and tasks are remembered, and kept on disk.
    pub sandboxes_max: usize,
    /// A sandbox is kept for so long, however many there are.
    pub sandbox_age_min: Duration,
    /// A sandbox is kept for so long at most, if the disk is empty; the fuller it is, the less.
    pub sandbox_age_max: Duration,
    /// The part of the disk that is to stay free, in thousandths: at less, sandboxes are kept no longer than they must.
    pub disk_headroom_permille: u32,
    /// No task is taken if more of the disk is in use, in thousandths.
    pub disk_full_permille: u32,
    /// How often the disk is looked at.
    pub disk_watch_interval: Duration,
    /// Whether sandboxes stay on disk after the agent has forgotten them.
    pub sandbox_keep: bool,
}

impl AgentLimits {
    /// What an agent uses unless told otherwise.
    pub const DEFAULT: Self = Self {
        registration_backoff_min: Duration::from_secs(1),
        registration_backoff_max: Duration::from_secs(60),
        executor_registration_timeout: Duration::from_secs(60),
        fetch_within: Duration::from_secs(15 * 60),
        fetch_stall_max: Duration::from_secs(20),
        binaries_bytes_max: 4 * 1024 * 1024 * 1024,
        executor_shutdown_grace: Duration::from_secs(5),
        executor_idle_max: Duration::from_secs(600),
        executor_reregistration_timeout: Duration::from_secs(15),
        recovery_timeout: Duration::from_secs(15 * 60),
        journal_records_max: 4096,
        executor_reconnect_max: Duration::from_secs(5),
        task_kill_grace: Duration::from_secs(3),
        kill_margin: Duration::from_secs(2),
        status_retry_min: Duration::from_secs(10),
        status_retry_max: Duration::from_secs(600),
        status_updates_max: 1000,
        status_updates_under_way_max: 256,
        sandboxes_max: 150,
        sandbox_age_min: Duration::from_secs(60),
        sandbox_age_max: Duration::from_secs(7 * 24 * 3600),
        disk_headroom_permille: 100,
        disk_full_permille: 990,
        disk_watch_interval: Duration::from_secs(60),
        sandbox_keep: false,
    };
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
