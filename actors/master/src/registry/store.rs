//! What a store of the registry must do: keep rows, and change them only for who knows the newest version.
//!
//! The compare-and-swap fits a file that one process has open as well as a remote store with leases: a
//! master that was replaced holds an old version, and its next change is refused.

use super::rows::Change;
use crate::record::Record;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Counts the changes of a store: each commit makes the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StoreVersion(pub u64);

impl fmt::Display for StoreVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why the registry cannot be opened or changed. Nothing has changed; what cannot be used is left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system refuses. After a failed change the store must not be used again.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process has the registry open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer program wrote the file.
    #[error("{} has format {found}, this program reads {known}: start the program that wrote it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u64,
        /// The newest format that is known here.
        known: u64,
    },
    /// The file is damaged, or is no registry.
    #[error("{} is damaged: {cause}; restore it, or move it away to begin with an empty registry", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// Somebody else has changed the registry: this master is not the newest.
    #[error("the registry is at version {found}, not at {expected}: another master has changed it")]
    Conflict {
        /// What this master has seen last.
        expected: StoreVersion,
        /// What is there.
        found: StoreVersion,
    },
}

/// All that a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The newest version.
    pub(crate) version: StoreVersion,
    /// The record behind each row, in the order of the keys.
    pub(crate) records: Vec<Record>,
}

/// Keeps the rows of the registry. Synchronous: called off the arbiter.
pub(crate) trait RegistryStore: Send + 'static {
    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError`] if something cannot be read, or does not have its checksum.
    fn read(&self) -> Result<Contents, StoreError>;

    /// Makes all changes or none, and returns once they are durable; the result is the new version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the newest version is not the expected one; any other means that the
    /// store must not be used again.
    fn commit(&mut self, expected: StoreVersion, changes: &[Change]) -> Result<StoreVersion, StoreError>;
}
