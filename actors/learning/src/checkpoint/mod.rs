//! What a killed training goes on from, as bytes: the state of its program, and what it belongs to.
//!
//! Three parts: a line with version and SHA-256 of all that follows; a line of JSON that says of which job and rows it
//! is, for people and for whoever would go on with it; the state as a record. Only `file` opens anything.

mod clock;
mod file;

use std::fmt;

use odeon_protocol::codec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use clock::CheckpointClock;
pub use file::{CheckpointError, CheckpointFile, OpenedCheckpoint, content_sha256, replace_durably};

use crate::data::DataSummary;
use crate::job::{ResourceSettings, TrainSettings, TrainingJob};
use crate::program::TrainerState;

/// What a checkpoint begins with.
const MAGIC: &str = "odeon-checkpoint";
/// To be raised when a number in the state of the program gets another meaning; another shape is noticed anyway.
const VERSION: u32 = 1;

/// What a checkpoint is of: it serves this job on these rows, and no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointBinding {
    job: Value,
    rows_sha256: String,
}

/// A training between two passes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Passes that are done.
    pub passes: u64,
    /// What came of them.
    pub state: TrainerState,
}

/// Why bytes are not a checkpoint that this training can go on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// It begins with something else.
    #[error("this is no checkpoint of a training")]
    NotACheckpoint,
    /// Written by another version of the program.
    #[error("it is of version {0}, this program goes on from version {VERSION}")]
    Version(String),
    /// Changed or cut short.
    #[error("it is damaged: its SHA-256 is {actual}, the first line says {expected}")]
    Damaged {
        /// What the first line says.
        expected: String,
        /// Of the bytes behind it.
        actual: String,
    },
    /// It is of a job that would give another model.
    #[error("it is of another job: {key} is {there} there and {here} here")]
    OtherJob {
        /// The first key that differs, as in a job file.
        key: String,
        /// Its value in the checkpoint.
        there: String,
        /// Its value in the job.
        here: String,
    },
    /// The rows are not those that it has learned from.
    #[error("it is of other data: the SHA-256 of the rows is {there} there and {here} here")]
    OtherRows {
        /// In the checkpoint.
        there: String,
        /// Now.
        here: String,
    },
    /// The state has another shape: an older or newer program.
    #[error("its state does not fit this program: {0}")]
    OtherShape(String),
}

impl CheckpointBinding {
    /// Of a job and of rows: `content_sha256` is of where they come from, `data` what was found in them.
    ///
    /// What does not change the model may change between two runs: workers, their resources, how often a checkpoint is
    /// written, and the path of the data.
    ///
    /// # Panics
    /// Never: a job and a summary have a form in JSON.
    #[must_use]
    pub fn new(job: &TrainingJob, data: &DataSummary, content_sha256: &str) -> Self {
        let mut job = job.clone();
        (job.data.path, job.data.test_path) = Default::default();
        job.resources = ResourceSettings::default();
        let TrainSettings { workers, checkpoint_rounds, checkpoint_seconds, .. } = TrainSettings::default();
        job.train = TrainSettings { workers, checkpoint_rounds, checkpoint_seconds, ..job.train };
        let found = serde_json::to_vec(data).expect("names and numbers have a form in JSON");
        let rows_sha256 = hex(Sha256::new().chain_update(content_sha256).chain_update(found).finalize());
        Self { job: serde_json::to_value(job).expect("keys and values have a form in JSON"), rows_sha256 }
    }

    fn check(&self, found: &Self) -> Result<(), CheckpointFault> {
        if let Some((key, there, here)) = first_difference(&found.job, &self.job) {
            return Err(CheckpointFault::OtherJob { key, there, here });
        }
        match self.rows_sha256 == found.rows_sha256 {
            true => Ok(()),
            false => {
                Err(CheckpointFault::OtherRows { there: found.rows_sha256.clone(), here: self.rows_sha256.clone() })
            }
        }
    }
}

impl Checkpoint {
    /// The bytes of a checkpoint.
    ///
    /// # Panics
    /// Never: all of a state has a form as a record.
    #[must_use]
    pub fn encode(&self, binding: &CheckpointBinding) -> Vec<u8> {
        let mut body = serde_json::to_vec(binding).expect("texts and numbers have a form in JSON");
        body.push(b'\n');
        codec::encode_into(self, &mut body).expect("numbers, lists and names have a form as a record");
        let mut bytes = format!("{MAGIC} {VERSION} {}\n", hex(Sha256::digest(&body))).into_bytes();
        bytes.extend(body);
        bytes
    }

    /// The checkpoint in these bytes, if it is whole and of this job and these rows.
    ///
    /// # Errors
    /// [`CheckpointFault`].
    pub fn decode(bytes: &[u8], binding: &CheckpointBinding) -> Result<Self, CheckpointFault> {
        let (first, body) = line(bytes).ok_or(CheckpointFault::NotACheckpoint)?;
        let mut words = first.split(' ');
        let (magic, version, sha256) = (words.next(), words.next(), words.next());
        let (Some(MAGIC), Some(version), Some(expected), None) = (magic, version, sha256, words.next()) else {
            return Err(CheckpointFault::NotACheckpoint);
        };
        if version != VERSION.to_string() {
            return Err(CheckpointFault::Version(version.to_owned()));
        }
        let actual = hex(Sha256::digest(body));
        if actual != expected {
            return Err(CheckpointFault::Damaged { expected: expected.to_owned(), actual });
        }
        let other_shape = |error: &dyn fmt::Display| CheckpointFault::OtherShape(error.to_string());
        let (second, record) = line(body).ok_or_else(|| other_shape(&"it has no second line"))?;
        let found: CheckpointBinding = serde_json::from_str(second).map_err(|error| other_shape(&error))?;
        binding.check(&found)?;
        codec::decode(record, codec::RECORD_DEPTH_MAX).map_err(|error| other_shape(&error))
    }
}

/// The first line, and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first key under which two jobs differ, and both values.
fn first_difference(there: &Value, here: &Value) -> Option<(String, String, String)> {
    let (Value::Object(a), Value::Object(b)) = (there, here) else {
        return (there != here).then(|| (String::new(), there.to_string(), here.to_string()));
    };
    let nothing = Value::Null;
    let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
    keys.sort_unstable();
    keys.into_iter().find_map(|key| {
        let (a, b) = (a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing));
        let (below, there, here) = first_difference(a, b)?;
        let dot = if below.is_empty() { "" } else { "." };
        Some((format!("{key}{dot}{below}"), there, here))
    })
}

#[cfg(test)]
#[path = "checkpoint_test.rs"]
mod tests;
