//! What a driver hears from the master, as one type.

use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::master_scheduler::{
    AgentLost, FrameworkFailed, OfferRescinded, OffersMade, ReturnWanted, TaskUpdated,
};

/// One thing that the master tells.
#[derive(Debug, Clone, PartialEq)]
pub enum MasterEvent {
    /// Resources are offered.
    OffersMade(OffersMade),
    /// An offer is void.
    OfferRescinded(OfferRescinded),
    /// What the framework holds is wanted by others.
    ReturnWanted(ReturnWanted),
    /// A task has a state.
    TaskUpdated(TaskUpdated),
    /// An agent is out of reach.
    AgentLost(AgentLost),
    /// The framework has ended or was taken over.
    FrameworkFailed(FrameworkFailed),
}

impl MasterEvent {
    /// To which framework it is told.
    #[must_use]
    pub fn framework_id(&self) -> &FrameworkId {
        match self {
            Self::OffersMade(event) => &event.framework_id,
            Self::OfferRescinded(event) => &event.framework_id,
            Self::ReturnWanted(event) => &event.framework_id,
            Self::TaskUpdated(event) => &event.framework_id,
            Self::AgentLost(event) => &event.framework_id,
            Self::FrameworkFailed(event) => &event.framework_id,
        }
    }
}
