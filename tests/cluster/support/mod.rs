//! What the tests of the whole binary stand on: stages, commands under way, clusters, and waits with an end.
//!
//! The clock of another process cannot be paused. Hence a wait polls a condition, and its failure names it.

mod client;
mod cluster;
mod jobs;
mod process;
mod running;
pub(crate) mod stage;

pub(crate) use client::{Client, text};
pub(crate) use cluster::{Cluster, Roles};
pub(crate) use jobs::{Trained, example_job, repository, slow_job, slow_job_model};
pub(crate) use process::{Process, signal};
pub(crate) use running::{Finished, Running};
pub(crate) use stage::{Stage, example};

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that a test waits for. Generous: it is reached only when something is wrong.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until `look` finds something, at most [`WAIT_MAX`].
///
/// # Panics
/// If it never does; the message says what was waited for.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {WAIT_MAX:?} in vain for: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}
