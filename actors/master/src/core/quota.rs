//! Quota of roles: set and ended by operators, kept in the registry, handed to the allocator.
//!
//! What must hold between roles is in `quota_tree`; how quota is honoured is the allocator's business.

use super::agents::Presence;
use super::offers::by_class;
use super::quota_tree::{QuotaTree, sum};
use super::{MasterCore, MasterOutbox};
use crate::record::Record;
use crate::settings::MasterRules;
use odeon_allocator::{Allocator, AllocatorConfig, Quota, QuotaLevels};
use odeon_protocol::id::OfferId;
use odeon_protocol::messages::quota::{
    Amounts, RemoveRoleQuota, RoleQuota, RoleQuotaError, RoleQuotaSummary, SetRoleQuota,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Offer;
use odeon_protocol::resources::{Class, Scalar, TypedResources};
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};

/// An allocator in which quota binds at every level of the tree, as the checks here suppose.
pub(super) fn allocator_of(rules: &MasterRules) -> Allocator {
    Allocator::new(AllocatorConfig { quota_levels: QuotaLevels::All, ..rules.allocator.clone() })
}

impl MasterCore {
    /// Sets the whole quota of a role, and takes back as many offers as stand against it.
    ///
    /// # Errors
    /// [`RoleQuotaError`]; nothing has changed then.
    pub fn on_set_role_quota(
        &mut self,
        message: SetRoleQuota,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), RoleQuotaError> {
        let SetRoleQuota { role, quota, force } = message;
        if quota.is_empty() {
            return Err(RoleQuotaError::Empty(role));
        }
        let max = self.rules.role_quotas_max;
        if !self.quotas.contains(&role) && self.quotas.len() >= max {
            return Err(RoleQuotaError::TooMany { max });
        }
        let mut changed = self.quotas.clone();
        changed.insert(role.clone(), quota.clone());
        changed.check(&role)?;
        if !force {
            self.check_capacity(&changed, &quota.guarantees)?;
            self.check_use(&role, &quota.limits)?;
        }
        self.quotas = changed;
        let known = self.allocator.set_quota(&role, &for_allocator(&quota));
        known.expect("the checks above are stricter than those of the allocator");
        out.write(Record::QuotaSet { role: role.clone(), quota: quota.clone() });
        self.rescind_above_limit(&role, &quota.limits, now, out);
        quota.guarantees.keys().for_each(|name| self.rescind_for_guarantees(name, now, out));
        self.allocator.mark_all();
        Ok(())
    }

    /// Ends the quota of a role.
    ///
    /// # Errors
    /// [`RoleQuotaError::NotSet`].
    pub fn on_remove_role_quota(
        &mut self,
        message: &RemoveRoleQuota,
        out: &mut MasterOutbox,
    ) -> Result<(), RoleQuotaError> {
        if !self.quotas.remove(&message.role) {
            return Err(RoleQuotaError::NotSet(message.role.clone()));
        }
        let known = self.allocator.set_quota(&message.role, &Quota::default());
        known.expect("every role may have no quota");
        out.write(Record::QuotaRemoved { role: message.role.clone() });
        self.allocator.mark_all();
        Ok(())
    }

    /// All roles with a quota.
    #[must_use]
    pub fn on_get_role_quotas(&self) -> Vec<RoleQuotaSummary> {
        let summary = |(role, quota): (&Role, &RoleQuota)| {
            let consumed = self.allocator.consumed(role);
            let names = quota.guarantees.keys().chain(quota.limits.keys());
            RoleQuotaSummary {
                role: role.clone(),
                quota: quota.clone(),
                consumed: names.map(|name| (name.clone(), consumed.scalar(name))).collect(),
            }
        };
        self.quotas.iter().map(summary).collect()
    }

    /// Takes over the quotas of the registry. With any, no offers are made until most agents are back.
    pub(super) fn recover_quotas(&mut self, quotas: BTreeMap<Role, RoleQuota>, now: Moment) {
        for (role, quota) in quotas {
            // What is no quota for this program was one for another; the role has none then.
            if self.allocator.set_quota(&role, &for_allocator(&quota)).is_ok() {
                self.quotas.insert(role, quota);
            }
        }
        self.allocator.await_agents(now.since_start, self.recovered_count);
    }

    /// All guarantees together must be there, by a rule of thumb: agents may be too small for what they add up to.
    fn check_capacity(&self, changed: &QuotaTree, guarantees: &Amounts) -> Result<(), RoleQuotaError> {
        let agents = || self.agents.values().filter(|agent| agent.presence != Presence::Unreachable);
        for name in guarantees.keys() {
            let guaranteed = changed.guaranteed(name);
            let total = sum(agents().map(|agent| agent.info.resources.scalar(name)));
            if guaranteed > total {
                return Err(RoleQuotaError::BeyondCapacity { name: name.clone(), guaranteed, total });
            }
        }
        Ok(())
    }

    /// Offers can be taken back; what tasks use cannot, and what is reserved is not.
    fn check_use(&self, role: &Role, limits: &Amounts) -> Result<(), RoleQuotaError> {
        for (name, &limit) in limits {
            let shares = self.agents.values().flat_map(|agent| &agent.ledger.used);
            let theirs = shares.filter(|((_, user), _)| is_within(user, role));
            let plain = theirs.map(|(_, share)| plain(share, name));
            let reserved = self.agents.values().map(|agent| reserved_within(&agent.reserved_in_all(), role, name));
            let used = sum(plain.chain(reserved));
            if used > limit {
                return Err(RoleQuotaError::InUse { role: role.clone(), name: name.clone(), used, limit });
            }
        }
        Ok(())
    }

    /// Takes back offers under a role, until it has no more than its limit or holds none.
    fn rescind_above_limit(&mut self, role: &Role, limits: &Amounts, now: Moment, out: &mut MasterOutbox) {
        for offer_id in self.offers_that(|offer| is_within(&offer.role, role)) {
            let consumed = self.allocator.consumed(role);
            let is_exceeded = |name: &str| limits.get(name).is_some_and(|limit| consumed.scalar(name) > *limit);
            let plain = by_class(&self.offers[&offer_id]).of(&Class::default());
            if plain.scalars().any(|(name, _)| is_exceeded(name)) {
                self.rescind(&offer_id, now, out);
            }
        }
    }

    /// Takes back offers of roles without a guarantee, until what guarantees still need of a name is free.
    fn rescind_for_guarantees(&mut self, name: &str, now: Moment, out: &mut MasterOutbox) {
        let guaranteed: Vec<(Role, Scalar)> =
            self.quotas.outermost(None, name).map(|(role, amount)| (role.clone(), amount)).collect();
        let short =
            |(role, guarantee): &(Role, Scalar)| missing(*guarantee, self.allocator.consumed(role).scalar(name));
        let needed = sum(guaranteed.iter().map(short));
        let offerable = self.agents.values().filter(|agent| agent.is_connected() && agent.may_be_offered());
        let free = offerable.map(|agent| {
            let shares = agent.ledger.used.values().chain(agent.ledger.offered.values());
            missing(plain(&agent.total(), name), sum(shares.map(|share| plain(share, name))))
        });
        let mut short = missing(needed, sum(free));
        let is_free_to_take = |offer: &Offer| !guaranteed.iter().any(|(role, _)| is_within(&offer.role, role));
        for offer_id in self.offers_that(is_free_to_take) {
            let held = plain(&by_class(&self.offers[&offer_id]), name);
            if short > Scalar::ZERO && held > Scalar::ZERO {
                self.rescind(&offer_id, now, out);
                short = missing(short, held);
            }
        }
    }

    fn offers_that(&self, is_meant: impl Fn(&Offer) -> bool) -> BTreeSet<OfferId> {
        self.offers.values().filter(|offer| is_meant(offer)).map(|offer| offer.offer_id.clone()).collect()
    }
}

/// Whether a role is another one or below it.
fn is_within(role: &Role, other: &Role) -> bool {
    role == other || role.is_below(other)
}

/// How much of a scalar is not reserved for anybody.
fn plain(resources: &TypedResources, name: &str) -> Scalar {
    resources.of(&Class::default()).scalar(name)
}

/// How much of a scalar is reserved for a role or those below it.
fn reserved_within(reserved: &TypedResources, role: &Role, name: &str) -> Scalar {
    let is_theirs = |class: &Class| class.reserved_for().is_some_and(|of| is_within(of, role));
    sum(reserved.parts().filter(|(class, _)| is_theirs(class)).map(|(_, amounts)| amounts.scalar(name)))
}

/// What is missing of an amount; nothing if there is more.
fn missing(wanted: Scalar, have: Scalar) -> Scalar {
    Scalar::from_thousandths(wanted.thousandths().saturating_sub(have.thousandths()))
}

fn for_allocator(quota: &RoleQuota) -> Quota {
    Quota { guarantees: quota.guarantees.clone(), limits: quota.limits.clone() }
}
