//! Quota of roles, between operators and the master: what a role is guaranteed, and what it has at most.
//!
//! How quota is honoured is the allocator's business.

use crate::remote_message;
use crate::resources::Scalar;
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Amounts by the names of scalars. Zero is an amount: a limit of zero gives nothing.
pub type Amounts = BTreeMap<String, Scalar>;

/// What a role is guaranteed, and what it has at most; with all roles below it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleQuota {
    /// Held back for the role while it has less, whether or not it has a framework.
    #[serde(default)]
    pub guarantees: Amounts,
    /// Never exceeded; what is not named is not limited.
    #[serde(default)]
    pub limits: Amounts,
}

impl RoleQuota {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// Sets the whole quota of a role from now on; it is kept over restarts of the master.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRoleQuota {
    /// The role, at any level.
    pub role: Role,
    /// All of its quota: what is not named here is neither guaranteed nor limited any more.
    pub quota: RoleQuota,
    /// Whether it is set though the cluster cannot meet it now, or the role uses more.
    #[serde(default)]
    pub force: bool,
}
remote_message!(SetRoleQuota => Result<(), RoleQuotaError>, "master.v1.SetRoleQuota");

/// Ends the quota of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveRoleQuota {
    /// The role.
    pub role: Role,
}
remote_message!(RemoveRoleQuota => Result<(), RoleQuotaError>, "master.v1.RemoveRoleQuota");

/// Asks for all roles that have a quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRoleQuotas {}
remote_message!(GetRoleQuotas => Vec<RoleQuotaSummary>, "master.v1.GetRoleQuotas");

/// The quota of a role, and how much of it is consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleQuotaSummary {
    /// The role.
    pub role: Role,
    /// What it is guaranteed, and what it has at most.
    pub quota: RoleQuota,
    /// What it and the roles below it use or are offered, of the scalars that the quota names.
    pub consumed: Amounts,
}

/// Why the quota of a role is not changed; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RoleQuotaError {
    /// It neither guarantees nor limits anything. Remove the quota instead.
    #[error("the quota of role {0} names nothing: give a guarantee or a limit, or remove it")]
    Empty(Role),
    /// There is no quota to remove.
    #[error("role {0} has no quota")]
    NotSet(Role),
    /// Too many roles have a quota.
    #[error("{max} roles have a quota: remove one first")]
    TooMany {
        /// As many may have one.
        max: usize,
    },
    /// More would be guaranteed to a role and those below it than its limit.
    #[error("role {role} and those below it would be guaranteed {guaranteed} of {name}, above the limit of {limit}")]
    GuaranteeAboveLimit {
        /// The role whose limit it is.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// What would be guaranteed.
        guaranteed: Scalar,
        /// The limit.
        limit: Scalar,
    },
    /// The roles below one would be guaranteed more than it is itself.
    #[error("the roles below {role} would be guaranteed {below} of {name}, above its own guarantee of {guarantee}")]
    GuaranteesBelow {
        /// The role above.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// The sum below.
        below: Scalar,
        /// What the role itself is guaranteed.
        guarantee: Scalar,
    },
    /// A role would have a higher limit than one above it.
    #[error("role {role} would be limited to {limit} of {name}, above the limit of {above_limit} of role {above}")]
    LimitAboveParent {
        /// The lower role.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// Its limit.
        limit: Scalar,
        /// The role above.
        above: Role,
        /// The limit of that.
        above_limit: Scalar,
    },
    /// All guarantees together would be more than the agents have that are there.
    #[error("guarantees would be {guaranteed} of {name} in all, and the agents have {total}: add agents, or force it")]
    BeyondCapacity {
        /// The scalar at fault.
        name: String,
        /// The sum of all guarantees.
        guaranteed: Scalar,
        /// What the agents have.
        total: Scalar,
    },
    /// The role uses more than the limit. Tasks are not killed for a limit, and no reservation is ended.
    #[error(
        "role {role} uses {used} of {name}, above the limit of {limit}: end tasks or reservations first, or force it"
    )]
    InUse {
        /// The role.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// What its tasks and those of roles below it use, and what is reserved for them.
        used: Scalar,
        /// The limit.
        limit: Scalar,
    },
}
