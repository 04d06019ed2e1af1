//! Reservations that are made while agents run: by operators here, by frameworks with an operation on their offers.
//!
//! What an agent's own configuration reserves is in [`AgentInfo`](crate::agent::AgentInfo).

use crate::id::AgentId;
use crate::remote_message;
use crate::resources::{ClassError, Reservation, ResourcesError, Scalar, TypedResources};
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most kinds of reservations of one agent: roles, labels and what they refine.
pub const RESERVATIONS_MAX: usize = 256;

/// Keeps resources of an agent for a role and the roles below it, over restarts of agent and master, until they are
/// unreserved. Offers of them are taken back; what a task uses cannot be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveResources {
    /// The agent.
    pub agent_id: AgentId,
    /// As they are now: plain, or reserved for a role above.
    pub resources: TypedResources,
    /// For whom.
    pub role: Role,
    /// Free words that make it another reservation.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}
remote_message!(ReserveResources => Result<(), ReservationError>, "master.v1.ReserveResources");

impl ReserveResources {
    /// The reservation that it makes.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        Reservation::dynamic(self.role.clone(), self.labels.clone())
    }
}

/// Ends the last reservation of resources that nobody uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreserveResources {
    /// The agent.
    pub agent_id: AgentId,
    /// As they are now.
    pub resources: TypedResources,
}
remote_message!(UnreserveResources => Result<(), ReservationError>, "master.v1.UnreserveResources");

/// Why resources are not reserved or unreserved; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReservationError {
    /// There is no such agent.
    #[error("there is no agent {0}")]
    UnknownAgent(AgentId),
    /// What is used of it is not known now. A retry helps when it is back.
    #[error("agent {0} is not in touch: what it has can be reserved when it is back")]
    Away(AgentId),
    /// There is nothing to do.
    #[error("no resources are named")]
    Nothing,
    /// A role, or what it refines, makes no sense.
    #[error(transparent)]
    Class(#[from] ClassError),
    /// The amounts do not add up.
    #[error(transparent)]
    Amounts(#[from] ResourcesError),
    /// It is not there, or in use.
    #[error("{wanted} is not free: there is {free}")]
    NotFree {
        /// What was named.
        wanted: TypedResources,
        /// What could be had: free, offered or, in an operation on offers, left of them.
        free: TypedResources,
    },
    /// Its last reservation, if it has any, is not one that can be undone.
    #[error("{0} is not reserved by anybody who could undo it: it is plain, or reserved by the agent's configuration")]
    NotDynamic(TypedResources),
    /// Only what is plain or reserved can be reserved.
    #[error("{0} cannot be reserved or unreserved: it is a volume, a disk of its own, or revocable")]
    Special(TypedResources),
    /// The role would have more than its quota allows.
    #[error("role {role} would have {amount} of {name}, above its limit of {limit}")]
    OverLimit {
        /// The role whose limit it is.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// What it would have.
        amount: Scalar,
        /// The limit.
        limit: Scalar,
    },
    /// The agent has as many kinds of reservations as it may have.
    #[error("the agent has {RESERVATIONS_MAX} kinds of reservations: end one first")]
    TooMany,
    /// More operations than one call may have.
    #[error("{0} operations in one call are over the limit of {max}", max = super::master_scheduler::OPERATIONS_MAX)]
    TooManyOperations(usize),
}
