//! Frameworks as the allocator sees them: their roles, which of them want offers, and the events that change this.

use super::Allocator;
use crate::profile::FrameworkProfile;
use crate::roster::{Client, Terms};
use crate::slots::Slot;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};

/// Why an event of a framework was refused; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameworkError {
    /// No framework of this id has been added.
    #[error("framework {0} is not known")]
    Unknown(FrameworkId),
    /// A framework of this id is here already.
    #[error("framework {0} is known already")]
    Known(FrameworkId),
    /// It names a role to which it is not subscribed.
    #[error("framework {framework} is not subscribed to role {role}")]
    NotSubscribed {
        /// The framework.
        framework: FrameworkId,
        /// The role.
        role: Role,
    },
}

/// A framework that is subscribed, connected or not.
#[derive(Debug)]
pub(crate) struct Framework {
    pub(super) is_active: bool,
    roles: BTreeMap<Role, Subscription>,
    profile: FrameworkProfile,
}

impl Framework {
    /// Whether it is subscribed to a role; if so, whether it wants nothing under it.
    pub(super) fn is_suppressed(&self, role: &Role) -> Option<bool> {
        self.roles.get(role).map(|subscription| subscription.is_suppressed)
    }
}

#[derive(Debug)]
struct Subscription {
    client: Slot<Client>,
    is_suppressed: bool,
}

impl Allocator {
    /// Adds a framework that takes offers under its roles, except for the suppressed ones.
    ///
    /// # Errors
    /// [`FrameworkError::Known`]; [`FrameworkError::NotSubscribed`] if a suppressed role is not among the roles.
    pub fn add_framework(
        &mut self,
        id: FrameworkId,
        roles: &BTreeSet<Role>,
        suppressed: &BTreeSet<Role>,
    ) -> Result<(), FrameworkError> {
        self.add_framework_with(id, FrameworkProfile::new(roles.clone(), suppressed.clone()))
    }

    /// Adds a framework that says more of itself than its roles.
    ///
    /// # Errors
    /// As [`Self::add_framework`].
    pub fn add_framework_with(&mut self, id: FrameworkId, profile: FrameworkProfile) -> Result<(), FrameworkError> {
        if self.frameworks.contains_key(&id) {
            return Err(FrameworkError::Known(id));
        }
        check_subset(&id, &profile.suppressed, |role| profile.roles.contains(role))?;
        let framework = Framework { is_active: true, roles: BTreeMap::new(), profile: profile.clone() };
        self.frameworks.insert(id.clone(), framework);
        self.set_profile(&id, profile);
        self.candidates.mark_all();
        Ok(())
    }

    /// Replaces the roles of a framework; what it holds under a role that it gave up stays charged there.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`]; [`FrameworkError::NotSubscribed`] if a suppressed role is not among the roles.
    pub fn update_framework(
        &mut self,
        id: &FrameworkId,
        roles: &BTreeSet<Role>,
        suppressed: &BTreeSet<Role>,
    ) -> Result<(), FrameworkError> {
        let profile = self.framework(id)?.profile.clone();
        let (roles, suppressed) = (roles.clone(), suppressed.clone());
        self.update_framework_with(id, FrameworkProfile { roles, suppressed, ..profile })
    }

    /// Replaces all that a framework says of itself. Only a role that is new or no longer suppressed is a reason
    /// for a run in Mesos' way of triggering; here the next run looks at every agent.
    ///
    /// # Errors
    /// As [`Self::update_framework`].
    pub fn update_framework_with(&mut self, id: &FrameworkId, profile: FrameworkProfile) -> Result<(), FrameworkError> {
        self.framework(id)?;
        check_subset(id, &profile.suppressed, |role| profile.roles.contains(role))?;
        self.set_profile(id, profile);
        self.candidates.mark_all();
        Ok(())
    }

    /// Says what a framework could use under a role, in place of what it said before; without a list, any offer.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`]; [`FrameworkError::NotSubscribed`].
    pub fn set_demand(
        &mut self,
        id: &FrameworkId,
        role: &Role,
        units: Option<Vec<Resources>>,
    ) -> Result<(), FrameworkError> {
        let mut profile = self.framework(id)?.profile.clone();
        check_subset(id, &BTreeSet::from([role.clone()]), |role| profile.roles.contains(role))?;
        match units {
            Some(units) => profile.demand.insert(role.clone(), units),
            None => profile.demand.remove(role),
        };
        profile.suppressed = self.suppressed(id);
        self.set_profile(id, profile);
        self.candidates.mark_all();
        Ok(())
    }

    /// The roles under which a framework wants nothing now.
    fn suppressed(&self, id: &FrameworkId) -> BTreeSet<Role> {
        let roles = self.frameworks.get(id).into_iter().flat_map(|framework| &framework.roles);
        roles.filter(|(_, subscription)| subscription.is_suppressed).map(|(role, _)| role.clone()).collect()
    }

    /// Removes a framework and its refusals; what it holds stays charged until it is recovered.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`].
    pub fn remove_framework(&mut self, id: &FrameworkId) -> Result<(), FrameworkError> {
        self.framework(id)?;
        self.set_profile(id, FrameworkProfile::new(BTreeSet::new(), BTreeSet::new()));
        self.forget_inverse(id);
        self.frameworks.remove(id);
        Ok(())
    }

    /// Lets a framework take offers again.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`].
    pub fn activate_framework(&mut self, id: &FrameworkId) -> Result<(), FrameworkError> {
        self.framework(id)?.is_active = true;
        self.apply(id);
        self.candidates.mark_all();
        Ok(())
    }

    /// Keeps a framework from offers, as while its connection is broken, and forgets its refusals.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`].
    pub fn deactivate_framework(&mut self, id: &FrameworkId) -> Result<(), FrameworkError> {
        let framework = self.framework(id)?;
        framework.is_active = false;
        let clients: Vec<_> = framework.roles.values().map(|subscription| subscription.client).collect();
        clients.into_iter().for_each(|client| self.refusals.clear_client(client));
        self.apply(id);
        Ok(())
    }

    /// Stops offers under these roles, or under all without any; refusals stay.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`]; [`FrameworkError::NotSubscribed`].
    pub fn suppress(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) -> Result<(), FrameworkError> {
        self.set_suppressed(id, roles, true)?;
        self.apply(id);
        Ok(())
    }

    /// Restarts offers under these roles, or under all without any, and forgets what was refused under them.
    ///
    /// # Errors
    /// [`FrameworkError::Unknown`]; [`FrameworkError::NotSubscribed`].
    pub fn revive(&mut self, id: &FrameworkId, roles: &BTreeSet<Role>) -> Result<(), FrameworkError> {
        let clients = self.set_suppressed(id, roles, false)?;
        clients.into_iter().for_each(|client| self.refusals.clear_client(client));
        self.apply(id);
        self.candidates.mark_all();
        Ok(())
    }

    /// Returns the clients that the roles stand for.
    fn set_suppressed(
        &mut self,
        id: &FrameworkId,
        roles: &BTreeSet<Role>,
        is_suppressed: bool,
    ) -> Result<Vec<Slot<Client>>, FrameworkError> {
        let framework = self.framework(id)?;
        check_subset(id, roles, |role| framework.roles.contains_key(role))?;
        let named = framework.roles.iter_mut().filter(|(role, _)| roles.is_empty() || roles.contains(*role));
        let change = |(_, subscription): (&Role, &mut Subscription)| {
            subscription.is_suppressed = is_suppressed;
            subscription.client
        };
        Ok(named.map(change).collect())
    }

    fn set_profile(&mut self, id: &FrameworkId, profile: FrameworkProfile) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let mut before = std::mem::take(&mut framework.roles);
        for role in &profile.roles {
            let client = self.roster.enter(id, role);
            self.roster.subscribe(client);
            let own = profile.minimum.get(role);
            let minimum = own.map(|sizes| sizes.iter().map(|size| self.kinds.quantity(size)).collect());
            let demand = profile.demand.get(role);
            let demand = demand.map(|units| units.iter().map(|unit| self.kinds.quantity(unit)).collect());
            let (capabilities, constraints) = (profile.capabilities, profile.constraints.get(role).cloned());
            self.roster.set_terms(client, Terms { capabilities, minimum, constraints, demand });
            let is_suppressed = profile.suppressed.contains(role);
            framework.roles.insert(role.clone(), Subscription { client, is_suppressed });
            before.remove(role);
        }
        framework.profile = profile;
        for subscription in before.into_values() {
            self.refusals.clear_client(subscription.client);
            self.roster.unsubscribe(subscription.client);
        }
        self.apply(id);
    }

    /// Puts into the order exactly the clients of a framework that want offers.
    fn apply(&mut self, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else { return };
        for subscription in framework.roles.values() {
            self.roster.set_active(subscription.client, framework.is_active && !subscription.is_suppressed);
        }
    }

    fn framework(&mut self, id: &FrameworkId) -> Result<&mut Framework, FrameworkError> {
        self.frameworks.get_mut(id).ok_or_else(|| FrameworkError::Unknown(id.clone()))
    }
}

fn check_subset(
    id: &FrameworkId,
    roles: &BTreeSet<Role>,
    is_subscribed: impl Fn(&Role) -> bool,
) -> Result<(), FrameworkError> {
    let stranger = roles.iter().find(|role| !is_subscribed(role));
    stranger.map_or(Ok(()), |role| Err(FrameworkError::NotSubscribed { framework: id.clone(), role: role.clone() }))
}
