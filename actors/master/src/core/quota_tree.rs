//! The quotas of all roles, and what must hold between them in the tree of roles.
//!
//! Knows neither agents nor use; what the cluster can meet is checked in `quota`.

use odeon_protocol::messages::quota::{Amounts, RoleQuota, RoleQuotaError};
use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// Quotas by role.
#[derive(Debug, Clone, Default)]
pub(super) struct QuotaTree(BTreeMap<Role, RoleQuota>);

impl QuotaTree {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, role: &Role) -> bool {
        self.0.contains_key(role)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Role, &RoleQuota)> {
        self.0.iter()
    }

    /// The limits of one role itself.
    pub(super) fn limits(&self, role: &Role) -> Option<&Amounts> {
        self.0.get(role).map(|quota| &quota.limits)
    }

    pub(super) fn insert(&mut self, role: Role, quota: RoleQuota) {
        self.0.insert(role, quota);
    }

    /// Returns whether there was one.
    pub(super) fn remove(&mut self, role: &Role) -> bool {
        self.0.remove(role).is_some()
    }

    /// Checks that the quota of a role fits itself, those above and those below.
    ///
    /// What a role does not guarantee by name counts by what is guaranteed below it.
    ///
    /// # Errors
    /// [`RoleQuotaError`] names the role and the scalar at fault.
    pub(super) fn check(&self, role: &Role) -> Result<(), RoleQuotaError> {
        let Some(quota) = self.0.get(role) else { return Ok(()) };
        for name in quota.guarantees.keys().chain(quota.limits.keys()) {
            for holder in std::iter::successors(Some(role.clone()), Role::parent) {
                self.check_guarantees(&holder, name)?;
            }
        }
        quota.limits.keys().try_for_each(|name| self.check_limits(role, name))
    }

    fn check_guarantees(&self, role: &Role, name: &str) -> Result<(), RoleQuotaError> {
        let Some(quota) = self.0.get(role) else { return Ok(()) };
        let below = sum(self.outermost(Some(role), name).map(|(_, guarantee)| guarantee));
        if let Some(&guarantee) = quota.guarantees.get(name).filter(|guarantee| **guarantee < below) {
            let (role, name) = (role.clone(), name.to_owned());
            return Err(RoleQuotaError::GuaranteesBelow { role, name, below, guarantee });
        }
        let guaranteed = quota.guarantees.get(name).copied().unwrap_or(below);
        if let Some(&limit) = quota.limits.get(name).filter(|limit| **limit < guaranteed) {
            let (role, name) = (role.clone(), name.to_owned());
            return Err(RoleQuotaError::GuaranteeAboveLimit { role, name, guaranteed, limit });
        }
        Ok(())
    }

    /// No role has a higher limit than one above it.
    fn check_limits(&self, role: &Role, name: &str) -> Result<(), RoleQuotaError> {
        let limited = self.0.iter().filter_map(|(other, quota)| Some((other, *quota.limits.get(name)?)));
        let own = self.0.get(role).and_then(|quota| quota.limits.get(name)).copied();
        for (other, limit) in limited {
            let (upper, lower) = match own {
                Some(own) if role.is_below(other) => ((other, limit), (role, own)),
                Some(own) if other.is_below(role) => ((role, own), (other, limit)),
                _ => continue,
            };
            if lower.1 > upper.1 {
                return Err(RoleQuotaError::LimitAboveParent {
                    role: lower.0.clone(),
                    name: name.to_owned(),
                    limit: lower.1,
                    above: upper.0.clone(),
                    above_limit: upper.1,
                });
            }
        }
        Ok(())
    }

    /// The guarantees of a name that are within no other one, below a role or in the whole tree.
    pub(super) fn outermost<'a>(
        &'a self,
        below: Option<&'a Role>,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Role, Scalar)> {
        let is_meant = move |role: &Role| below.is_none_or(|below| role.is_below(below));
        let guaranteed = move |role: &Role| self.0.get(role).is_some_and(|quota| quota.guarantees.contains_key(name));
        self.0.iter().filter_map(move |(role, quota)| {
            let guarantee = *quota.guarantees.get(name)?;
            let mut above = std::iter::successors(role.parent(), Role::parent);
            let is_outermost = is_meant(role) && !above.any(|above| is_meant(&above) && guaranteed(&above));
            is_outermost.then_some((role, guarantee))
        })
    }

    /// What is guaranteed of a name in all.
    pub(super) fn guaranteed(&self, name: &str) -> Scalar {
        sum(self.outermost(None, name).map(|(_, guarantee)| guarantee))
    }
}

/// The sum; one out of range is the largest amount, which no cluster has.
pub(super) fn sum(amounts: impl Iterator<Item = Scalar>) -> Scalar {
    let thousandths = amounts.fold(0_u64, |sum, amount| sum.saturating_add(amount.thousandths()));
    Scalar::from_thousandths(thousandths)
}
