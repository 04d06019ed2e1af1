//! `CompactingJournal`: a journal that begins anew at records which say all that was said before them.
//!
//! Which records those are is the writer's to know; when to write one as well.

use crate::journal::Journal;
use crate::record_log::{AppendError, RecordLog};
use serde::Serialize;

/// A journal that does not grow without bound, if its writer now and then says everything in one record.
#[derive(Debug)]
pub struct CompactingJournal<R> {
    /// Absent after a failure.
    journal: Option<Journal<R>>,
    says_all: fn(&R) -> bool,
}

impl<R> CompactingJournal<R> {
    /// A record for which `says_all` holds takes the place of all records before it.
    #[must_use]
    pub fn new(journal: Journal<R>, says_all: fn(&R) -> bool) -> Self {
        Self { journal: Some(journal), says_all }
    }
}

impl<R: Serialize + Send + 'static> RecordLog<R> for CompactingJournal<R> {
    fn append(&mut self, records: &[R]) -> Result<(), AppendError> {
        let failed_before = || AppendError { reason: "a write to the journal has failed before".to_owned() };
        let mut journal = self.journal.take().ok_or_else(failed_before)?;
        let written = match records.iter().rposition(self.says_all) {
            // All or nothing: the new file takes the place of the old one in one step.
            Some(begin) => journal.replace_with(&records[begin..]),
            None => journal.append(records).map(|()| journal),
        };
        self.journal = Some(written.map_err(|error| AppendError::of(&error))?);
        Ok(())
    }
}
