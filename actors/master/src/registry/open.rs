//! Opening the registry at the start of a master: a new one, the one that is there, or the journal of
//! the first version, which is read once.
//!
//! A file gets its name only when it is complete. Synchronous; called off the arbiter.

use super::embedded::EmbeddedStore;
use super::log::RegistryLog;
use super::rows::changes_of;
use super::store::{RegistryStore, StoreError};
use crate::record::{Record, Registry};
use odeon_runtime::Journal;
use odeon_runtime::journal::JournalError;
use std::fs::{self, File};
use std::path::Path;
use tracing::info;

/// The file of the registry in the working directory.
pub(super) const STORE_FILE: &str = "registry.redb";
/// The file under way; it is not looked at again.
const NEW_FILE: &str = "registry.redb.new";
/// The registry of the first version.
pub(super) const JOURNAL_FILE: &str = "registry.journal";
/// That registry, once it has been taken over.
pub(super) const OLD_JOURNAL_FILE: &str = "registry.journal.migrated";

/// Why there is no registry to start with; what was found is left as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRegistryError {
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The journal of the first version cannot be read.
    #[error("cannot take over the registry of an earlier version")]
    Journal(#[from] JournalError),
}

/// Opens the registry of a directory, or makes an empty one.
///
/// # Errors
/// [`OpenRegistryError`] names the file at fault.
pub(crate) fn open_registry(work_dir: &Path) -> Result<(RegistryLog, Registry), OpenRegistryError> {
    let path = work_dir.join(STORE_FILE);
    let exists = path.try_exists().map_err(|source| io_error(&path, "look for", source))?;
    if !exists {
        let records = records_of_journal(work_dir)?;
        create(work_dir, &records)?;
    }
    put_journal_aside(work_dir)?;
    let store = EmbeddedStore::open(&path)?;
    let contents = store.read()?;
    let registry = Registry::of(contents.records);
    Ok((RegistryLog::new(Box::new(store), contents.version), registry))
}

fn records_of_journal(work_dir: &Path) -> Result<Vec<Record>, OpenRegistryError> {
    let path = work_dir.join(JOURNAL_FILE);
    if !path.try_exists().map_err(|source| io_error(&path, "look for", source))? {
        return Ok(Vec::new());
    }
    let (_, records, _) = Journal::<Record>::open(&path)?;
    info!(path = %path.display(), records = records.len(), "takes over the registry of an earlier version");
    Ok(records)
}

fn create(work_dir: &Path, records: &[Record]) -> Result<(), StoreError> {
    let (new, path) = (work_dir.join(NEW_FILE), work_dir.join(STORE_FILE));
    let changes: Vec<_> = records.iter().flat_map(changes_of).collect();
    EmbeddedStore::create(&new, &changes)?;
    rename(&new, &path, work_dir)
}

/// The journal stays for people, under a name that no start looks at.
fn put_journal_aside(work_dir: &Path) -> Result<(), StoreError> {
    let journal = work_dir.join(JOURNAL_FILE);
    match journal.try_exists() {
        Ok(true) => rename(&journal, &work_dir.join(OLD_JOURNAL_FILE), work_dir),
        Ok(false) => Ok(()),
        Err(source) => Err(io_error(&journal, "look for", source)),
    }
}

fn rename(from: &Path, to: &Path, directory: &Path) -> Result<(), StoreError> {
    fs::rename(from, to).map_err(|source| io_error(to, "put in place", source))?;
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| io_error(directory, "sync", source))
}

fn io_error(path: &Path, operation: &'static str, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), operation, source }
}
