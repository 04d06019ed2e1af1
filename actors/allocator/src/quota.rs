//! What a role is guaranteed and what it may have at most.

use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// Guarantee and limit of a role, by the names of scalars.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quota {
    /// What is held back for the role, whether or not it has a framework.
    pub guarantees: BTreeMap<String, Scalar>,
    /// What the role never exceeds; zero gives it nothing. What is not named is not limited.
    pub limits: BTreeMap<String, Scalar>,
}

impl Quota {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// At which levels of the tree quota binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuotaLevels {
    /// As in Mesos: only top-level roles have quota; the use of roles below them counts against it, but only
    /// frameworks of the role itself are held to it.
    #[default]
    Top,
    /// Every role may have quota, and a framework is held to that of its role and of all roles above it.
    All,
}

/// Why a quota was refused; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuotaError {
    /// Below the top level, where quota does not bind.
    #[error("role {0} is not at the top level: quota binds only there, unless it is set to bind at all levels")]
    NotTopLevel(Role),
    /// More is guaranteed than allowed.
    #[error("role {role} is guaranteed {guarantee} of {name}, above its limit of {limit}")]
    GuaranteeAboveLimit {
        /// The role.
        role: Role,
        /// The scalar at fault.
        name: String,
        /// What is guaranteed.
        guarantee: Scalar,
        /// What is allowed.
        limit: Scalar,
    },
}

impl Quota {
    /// Checks that it can be met.
    pub(crate) fn check(&self, role: &Role, levels: QuotaLevels) -> Result<(), QuotaError> {
        if levels == QuotaLevels::Top && !role.is_top_level() {
            return Err(QuotaError::NotTopLevel(role.clone()));
        }
        for (name, &guarantee) in &self.guarantees {
            if let Some(&limit) = self.limits.get(name).filter(|limit| **limit < guarantee) {
                let (role, name) = (role.clone(), name.clone());
                return Err(QuotaError::GuaranteeAboveLimit { role, name, guarantee, limit });
            }
        }
        Ok(())
    }
}
