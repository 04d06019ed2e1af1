//! The books of one agent: what its tasks and executors use, and what is offered of it, by framework and role.
//!
//! Keeps exact amounts only; who gets what is the allocator's business.

use odeon_protocol::id::FrameworkId;
use odeon_protocol::resources::{Resources, ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// Amounts by framework and role; no entry is empty.
pub(super) type Shares = BTreeMap<(FrameworkId, Role), TypedResources>;

/// What is used and offered of one agent.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    pub(super) used: Shares,
    pub(super) offered: Shares,
}

impl Ledger {
    /// Books something as used.
    ///
    /// # Errors
    /// If it is used already, as a port can be used once only; nothing has changed.
    pub(super) fn charge(
        &mut self,
        framework_id: &FrameworkId,
        role: &Role,
        resources: &TypedResources,
    ) -> Result<(), ResourcesError> {
        // Of a scalar there is only more or less, which the allocator counts.
        let has_items = |amounts: &Resources| amounts.ranges().next().is_some() || amounts.sets().next().is_some();
        if resources.parts().any(|(_, amounts)| has_items(amounts)) {
            self.allocated()?.checked_add(&resources.quantities()?)?;
        }
        add(&mut self.used, framework_id, role, resources);
        Ok(())
    }

    pub(super) fn release(&mut self, framework_id: &FrameworkId, role: &Role, resources: &TypedResources) {
        take(&mut self.used, framework_id, role, resources);
    }

    pub(super) fn hold_out(&mut self, framework_id: &FrameworkId, role: &Role, resources: &TypedResources) {
        add(&mut self.offered, framework_id, role, resources);
    }

    pub(super) fn take_back(&mut self, framework_id: &FrameworkId, role: &Role, resources: &TypedResources) {
        take(&mut self.offered, framework_id, role, resources);
    }

    /// What is used or offered.
    ///
    /// # Errors
    /// If the books count something twice.
    pub(super) fn allocated(&self) -> Result<Resources, ResourcesError> {
        sum(&self.used)?.checked_add(&sum(&self.offered)?)
    }
}

/// The sum of all shares, whatever their class.
///
/// # Errors
/// If something is counted twice.
pub(super) fn sum(shares: &Shares) -> Result<Resources, ResourcesError> {
    let parts = shares.values().flat_map(|share| share.parts());
    parts.map(|(_, amounts)| amounts).try_fold(Resources::empty(), |total, amounts| total.checked_add(amounts))
}

fn add(shares: &mut Shares, framework_id: &FrameworkId, role: &Role, resources: &TypedResources) {
    if resources.is_empty() {
        return;
    }
    let share = shares.entry((framework_id.clone(), role.clone())).or_default();
    share.add(resources).expect("the books of an agent count nothing twice");
}

fn take(shares: &mut Shares, framework_id: &FrameworkId, role: &Role, resources: &TypedResources) {
    if resources.is_empty() {
        return;
    }
    let key = (framework_id.clone(), role.clone());
    let share = shares.get_mut(&key).expect("what is taken was booked under the same framework and role");
    share.take(resources).expect("no more is taken than was booked");
    if share.is_empty() {
        shares.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_used_once() {
        let (framework, role) = (FrameworkId::new("f").unwrap(), Role::default());
        let mut ledger = Ledger::default();
        let ports = "ports:[1-2]".parse().unwrap();
        let reserved = "ports(a):[2-3]".parse().unwrap();
        assert_eq!(ledger.charge(&framework, &role, &ports), Ok(()));
        assert!(ledger.charge(&FrameworkId::new("g").unwrap(), &role, &ports).is_err());
        assert!(ledger.charge(&framework, &role, &reserved).is_err(), "whatever its class");
        ledger.release(&framework, &role, &ports);
        assert!(ledger.used.is_empty());
    }
}
