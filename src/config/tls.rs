//! Where the credentials of a process are: the table `[tls]` of a role, and the same for whoever dials.
//!
//! Paths only. Whether the files are good shows when they are read, which is at the start.

use std::path::{Path, PathBuf};

use odeon_runtime::trust::CredentialFiles;
use serde::{Deserialize, Serialize};

use super::{Fault, RoleConfig, auto};

/// The table `[tls]` of a master, and the settings `ODEON_TLS__…` of a client and of an executor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate of the cluster's authority.
    #[serde(with = "auto")]
    pub ca: Option<PathBuf>,
    /// The certificate of this process.
    #[serde(with = "auto")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(with = "auto")]
    pub key: Option<PathBuf>,
}

/// The table `[tls]` of an agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentTlsConfig {
    /// The certificate of the cluster's authority.
    #[serde(with = "auto")]
    pub ca: Option<PathBuf>,
    /// The certificate of the agent.
    #[serde(with = "auto")]
    pub cert: Option<PathBuf>,
    /// Its key.
    #[serde(with = "auto")]
    pub key: Option<PathBuf>,
    /// The certificate of the executors that the agent starts.
    #[serde(with = "auto")]
    pub executor_cert: Option<PathBuf>,
    /// Its key.
    #[serde(with = "auto")]
    pub executor_key: Option<PathBuf>,
}

impl TlsConfig {
    /// The files, if there are any.
    ///
    /// # Panics
    /// If only some are set, which [`RoleConfig::validate`] refuses.
    #[must_use]
    pub fn files(&self) -> Option<CredentialFiles> {
        files([&self.ca, &self.cert, &self.key])
    }

    pub(super) fn check(&self, table: &str) -> Result<(), Fault> {
        all_or_none(table, &[("ca", &self.ca), ("cert", &self.cert), ("key", &self.key)])
    }
}

impl AgentTlsConfig {
    /// The files of the agent, if there are any.
    ///
    /// # Panics
    /// As [`TlsConfig::files`].
    #[must_use]
    pub fn files(&self) -> Option<CredentialFiles> {
        files([&self.ca, &self.cert, &self.key])
    }

    /// The files of its executors, if there are any.
    ///
    /// # Panics
    /// As [`TlsConfig::files`].
    #[must_use]
    pub fn executor_files(&self) -> Option<CredentialFiles> {
        files([&self.ca, &self.executor_cert, &self.executor_key])
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        let Self { ca, cert, key, executor_cert, executor_key } = self;
        let all = [("ca", ca), ("cert", cert), ("key", key)];
        let of_executors = [("executor_cert", executor_cert), ("executor_key", executor_key)];
        all_or_none("tls.", &[&all[..], &of_executors].concat())
    }
}

impl RoleConfig for TlsConfig {
    const ROLE: &'static str = "tls";
    const COMMENTED_DEFAULTS: &'static str = "";

    fn validate(&self) -> Result<(), Fault> {
        self.check("")
    }
}

fn files([ca, cert, key]: [&Option<PathBuf>; 3]) -> Option<CredentialFiles> {
    let one = |path: &Option<PathBuf>| path.clone().expect("all are set, or none");
    ca.as_ref().map(|ca| CredentialFiles { ca: ca.clone(), cert: one(cert), key: one(key) })
}

/// Half a set of credentials would protect nothing and say nothing.
fn all_or_none(table: &str, keys: &[(&str, &Option<PathBuf>)]) -> Result<(), Fault> {
    for (name, path) in keys {
        path.as_deref().map_or(Ok(()), |path: &Path| Fault::if_empty(&format!("{table}{name}"), path))?;
    }
    let set = keys.iter().find(|(_, path)| path.is_some());
    let missing = keys.iter().find(|(_, path)| path.is_none());
    match (set, missing) {
        (Some((set, _)), Some((missing, _))) => {
            let reason = format!("is set and {table}{missing} is not: credentials are all of these files, or none");
            Err(Fault::of(format!("{table}{set}"), reason))
        }
        _ => Ok(()),
    }
}
