//! What of the agent's resources is charged. The master decides; this only refuses what cannot be.

use odeon_protocol::resources::{Resources, ResourcesError};

#[derive(Debug)]
pub(super) struct Accounting {
    free: Resources,
}

impl Accounting {
    pub(super) fn new(total: Resources) -> Self {
        Self { free: total }
    }

    /// Charges resources.
    pub(super) fn take(&mut self, resources: &Resources) -> Result<(), ResourcesError> {
        self.free.take(resources)
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&mut self, resources: &Resources) {
        self.free.add(resources).expect("what was taken fits back");
    }

    pub(super) fn free(&self) -> &Resources {
        &self.free
    }
}
