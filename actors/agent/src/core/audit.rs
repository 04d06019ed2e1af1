//! What others may see of the books of an agent, to check them. Changes nothing.

use super::AgentCore;
use odeon_protocol::id::ContainerId;
use odeon_protocol::messages::Epoch;
use odeon_protocol::resources::{Resources, ResourcesError};

/// The resources of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentBooks {
    /// All that it has.
    pub total: Resources,
    /// What is not charged.
    pub free: Resources,
    /// What is charged for tasks and executors, one by one.
    pub charged: Resources,
}

impl AgentCore {
    /// The resources.
    ///
    /// # Errors
    /// If something is counted twice.
    pub fn books(&self) -> Result<AgentBooks, ResourcesError> {
        let tasks = self.tasks.values().filter(|task| task.charged).map(|task| &task.info.resources);
        let executors = self.executors.values().filter(|one| one.charged).map(|one| &one.info.resources);
        let charged = tasks.chain(executors).try_fold(Resources::empty(), |sum, more| sum.checked_add(more))?;
        Ok(AgentBooks { total: self.info.resources.clone(), free: self.accounting.free().clone(), charged })
    }

    /// The term that it follows.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.registration.epoch()
    }

    /// Whether the master has admitted it, and the link has not broken since.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// Tasks that have not ended, or whose end is not acknowledged.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The updates that wait for one task, at most.
    #[must_use]
    pub fn longest_stream(&self) -> usize {
        self.streams.iter().map(|(_, stream)| stream.len()).max().unwrap_or(0)
    }

    /// The runs of executors whose process may be alive.
    pub fn container_ids(&self) -> impl Iterator<Item = &ContainerId> {
        self.executors.keys()
    }
}
