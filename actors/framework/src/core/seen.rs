//! Which updates the scheduler has been shown, so that it is shown none twice.

use odeon_protocol::id::StatusUuid;
use std::collections::{BTreeSet, VecDeque};

/// How many updates are remembered. An update comes again only while its acknowledgement is on its
/// way, and a task has one such update at a time.
const SEEN_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct SeenUpdates {
    known: BTreeSet<StatusUuid>,
    order: VecDeque<StatusUuid>,
}

impl SeenUpdates {
    /// Remembers an update; false if it was remembered already.
    pub(super) fn insert(&mut self, uuid: &StatusUuid) -> bool {
        if !self.known.insert(uuid.clone()) {
            return false;
        }
        self.order.push_back(uuid.clone());
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
