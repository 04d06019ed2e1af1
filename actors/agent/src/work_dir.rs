//! What an agent finds in its working directory, and what it leaves there for its executors.
//!
//! Everything here blocks: it is called off the arbiter. What the records of the journal mean is the core's business.

use crate::core::Checkpoint;
use crate::effect::Record;
use crate::node::StartAgentError;
use crate::sandbox::Sandboxes;
use crate::settings::Recover;
use odeon_runtime::Endpoint;
use odeon_runtime::Journal;
use odeon_runtime::journal::JournalError;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

const JOURNAL: &str = "agent.journal";
const SANDBOXES: &str = "sandboxes";
const BINARIES: &str = "binaries";
const ENDPOINT: &str = "agent.endpoint";
/// Journals that were given up and still lie in the directory.
const SET_ASIDE_MAX: u32 = 1000;

/// The directory of one agent.
#[derive(Debug, Clone)]
pub(crate) struct WorkDir {
    path: PathBuf,
}

impl WorkDir {
    /// Makes the directory if it is not there.
    pub(crate) fn make(path: &Path) -> Result<Self, StartAgentError> {
        let failed = |source| StartAgentError::WorkDir { path: path.to_owned(), source };
        let directory = Self { path: std::path::absolute(path).map_err(failed)? };
        Sandboxes::make(&directory.sandboxes()).map_err(failed)?;
        Ok(directory)
    }

    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.path.join(SANDBOXES)
    }

    /// Where fetched binaries are kept.
    pub(crate) fn binaries(&self) -> PathBuf {
        self.path.join(BINARIES)
    }

    /// Where executors read how to reach the agent.
    pub(crate) fn endpoint_file(&self) -> PathBuf {
        self.path.join(ENDPOINT)
    }

    /// Opens the journal, and gives what it says.
    ///
    /// One that cannot be read is refused and left as it was, unless it is to be given up: then it is set aside
    /// under a name that is free.
    pub(crate) fn open_journal(
        &self,
        recover: Recover,
        updates_max: usize,
    ) -> Result<(Journal<Record>, Checkpoint), StartAgentError> {
        let path = self.path.join(JOURNAL);
        // Opened first in any case, because that finds out whether another agent uses it.
        let opened = Journal::<Record>::open(&path);
        let (journal, records) = match (opened, recover) {
            (Ok((journal, records, report)), Recover::Reconnect) => {
                if report.torn_bytes > 0 {
                    warn!(journal = %path.display(), bytes = report.torn_bytes, "an unfinished record is cut off");
                }
                (journal, records)
            }
            (Err(error @ (JournalError::Locked { .. } | JournalError::Io { .. })), _) => return Err(error.into()),
            (Err(error), Recover::Reconnect) => return Err(StartAgentError::Unreadable(error)),
            (Ok(_) | Err(_), Recover::Fresh) => {
                self.set_aside(&path)?;
                (Journal::open(&path)?.0, Vec::new())
            }
        };
        let mut checkpoint = Checkpoint::default();
        records.into_iter().for_each(|record| checkpoint.apply(record, updates_max));
        Ok((journal, checkpoint))
    }

    fn set_aside(&self, path: &Path) -> Result<(), StartAgentError> {
        let names = (1..=SET_ASIDE_MAX).map(|number| self.path.join(format!("{JOURNAL}.aside-{number}")));
        let failed = |source| StartAgentError::WorkDir { path: self.path.clone(), source };
        let full = || io::Error::other(format!("{SET_ASIDE_MAX} journals were set aside here: remove some"));
        let free = names.into_iter().find(|name| !name.exists()).ok_or_else(|| failed(full()))?;
        std::fs::rename(path, &free).map_err(failed)?;
        info!(journal = %free.display(), "the journal is set aside");
        Ok(())
    }

    /// Where to listen: at the port of the last time, if any port will do. Whoever knows the agent finds it again.
    pub(crate) fn last_port(&self, listen: &Endpoint) -> Option<Endpoint> {
        let listen: SocketAddr = listen.as_str().parse().ok().filter(|address: &SocketAddr| address.port() == 0)?;
        let last = std::fs::read_to_string(self.endpoint_file()).ok()?;
        let last: SocketAddr = last.trim().parse().ok()?;
        Some(Endpoint::new(SocketAddr::new(listen.ip(), last.port()).to_string()))
    }

    /// Tells executors where the agent is, all or nothing.
    pub(crate) fn tell_endpoint(&self, endpoint: &Endpoint) -> Result<(), StartAgentError> {
        let (path, beside) = (self.endpoint_file(), self.path.join(format!("{ENDPOINT}.new")));
        let told = std::fs::write(&beside, format!("{endpoint}\n")).and_then(|()| std::fs::rename(&beside, &path));
        told.map_err(|source| StartAgentError::WorkDir { path, source })
    }
}

/// The run of the host's system; the same for all times where the system does not tell.
pub(crate) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
#[path = "work_dir_test.rs"]
mod tests;
