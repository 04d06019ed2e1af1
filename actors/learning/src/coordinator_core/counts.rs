//! What became of the updates of a training: counted, or refused and why.
//!
//! It is told; nothing depends on it.

use serde::{Deserialize, Serialize};

use super::BadPartial;

/// Counts over the life of a coordinator. An update is the sum over one node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UpdateCounts {
    /// Entered the sums.
    pub counted: u64,
    /// Came after another worker's for the same blocks.
    pub overtaken: u64,
    /// Came again from the same worker.
    pub repeated: u64,
    /// Were for a pass that is over.
    pub stale: u64,
    /// Held NaN or an infinity.
    pub not_finite: u64,
    /// Held more or fewer values than the pass has.
    pub wrong_shape: u64,
    /// Were not asked for.
    pub not_asked_for: u64,
    /// Requests to others for what a late worker owed.
    pub backups: u64,
    /// Workers that have joined.
    pub workers_joined: u64,
    /// Workers that were lost, silent, or dropped for what they sent.
    pub workers_dropped: u64,
}

impl UpdateCounts {
    /// Updates that were refused for what they hold.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.not_finite + self.wrong_shape + self.not_asked_for
    }

    pub(super) fn refuse(&mut self, fault: BadPartial) {
        match fault {
            BadPartial::NotFinite => self.not_finite += 1,
            BadPartial::WrongShape { .. } => self.wrong_shape += 1,
            BadPartial::NotAskedFor => self.not_asked_for += 1,
        }
    }
}
