//! `RegistryLog`: takes the records of a master and makes them changes of a store, one commit for many.
//!
//! Knows the version that it has seen last, and nothing else.

use super::rows::changes_of;
use super::store::{RegistryStore, StoreError, StoreVersion};
use crate::record::Record;
use odeon_runtime::{AppendError, RecordLog};

/// The registry of a master that runs.
pub(crate) struct RegistryLog {
    store: Box<dyn RegistryStore>,
    version: StoreVersion,
}

impl RegistryLog {
    /// Goes on from a version that has been read.
    pub(crate) fn new(store: Box<dyn RegistryStore>, version: StoreVersion) -> Self {
        Self { store, version }
    }

    /// Commits records; they are durable then.
    ///
    /// # Errors
    /// [`StoreError`]; the log must not be used again.
    pub(crate) fn commit(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let changes: Vec<_> = records.iter().flat_map(changes_of).collect();
        self.version = self.store.commit(self.version, &changes)?;
        Ok(())
    }
}

impl RecordLog<Record> for RegistryLog {
    fn append(&mut self, records: &[Record]) -> Result<(), AppendError> {
        self.commit(records).map_err(|error| AppendError::of(&error))
    }
}
