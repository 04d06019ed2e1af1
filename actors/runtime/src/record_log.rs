//! `RecordLog`: where a committer's records go. A file of records, or an embedded or remote store.
//!
//! Says nothing about how records are found again; that is the business of whoever wrote them.

use crate::journal::Journal;
use serde::Serialize;

/// Records were not written, or it is not known whether they were; the log must not be used again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct AppendError {
    /// What happened, with its causes, for people.
    pub reason: String,
}

impl AppendError {
    /// The text of an error and of what caused it.
    #[must_use]
    pub fn of(error: &dyn std::error::Error) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            reason = format!("{reason}: {error}");
            cause = error.source();
        }
        Self { reason }
    }
}

/// Takes records in order. Synchronous: a committer calls it where blocking is allowed.
pub trait RecordLog<R>: Send + 'static {
    /// Returns once the records are durable: all of them or, after an error, perhaps none.
    ///
    /// # Errors
    /// [`AppendError`]; the log must not be used again.
    fn append(&mut self, records: &[R]) -> Result<(), AppendError>;
}

impl<R: Serialize + 'static> RecordLog<R> for Journal<R> {
    fn append(&mut self, records: &[R]) -> Result<(), AppendError> {
        Self::append(self, records).map_err(|error| AppendError::of(&error))
    }
}
