//! One agent in one stage of a run: what of it goes to whom.
//!
//! The first stage serves guarantees, the second divides what is left. Roles and frameworks come in the order of
//! the sorters; what is decided here is charged to the sorters only after the agent is done with, but to quota
//! at once. The same rules answer afterwards why somebody was not offered something; see [`Judgement`].

use crate::allocator::agents::Agent;
use crate::bits::Bits;
use crate::books::Books;
use crate::bundle::{Bundle, Values};
use crate::kinds::{Kind, Kinds};
use crate::profile::Domain;
use crate::random::Random;
use crate::refusals::AgentRefusals;
use crate::roster::{Client, Interest, RoleView, Terms, Visitor};
use crate::slots::Slot;
use crate::totals::Amounts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which part of a run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Roles get what is missing of their guarantees.
    Guarantees,
    /// Everything that is not held back.
    Fair,
}

/// What holds for all agents and frameworks.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) minimum: Vec<Amounts>,
    /// The number of the name of GPUs, if agents with GPUs go only to frameworks that know them.
    pub(crate) filtered_gpus: Option<u32>,
    /// Where the master stands.
    pub(crate) domain: Option<Domain>,
}

/// Why a client is not offered anything of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// The framework lacks a capability for the agent.
    Capability(&'static str),
    /// Its constraints do not admit the agent.
    Constraint,
    /// Nothing that is left is for its role, or readable for it.
    NothingFor,
    /// The limit of its role leaves nothing.
    Limit,
    /// What is left is held back for guarantees.
    Headroom,
    /// In the first stage: nothing of it serves a guarantee.
    NoGuarantee,
    /// Too little.
    Minimum,
    /// Less than the framework says that it could use.
    NoDemand,
    /// Refused by the framework itself.
    Refused,
}

/// An agent while it is divided.
#[derive(Debug)]
pub(crate) struct Round<'a> {
    stage: Stage,
    agent: &'a Agent,
    kinds: &'a Kinds,
    rules: &'a Rules,
    refusals: AgentRefusals<'a, Client>,
    random: &'a mut Random,
    /// What nobody was given yet.
    left: Arc<Bundle>,
    /// Whether all that is left is plain, so that everyone may have all of it.
    is_plain: bool,
    /// Who refuses all that is left, and so every part of it.
    refusers: &'a mut Bits<Client>,
    /// What the role that is looked at may have of it, if that is not all.
    visible: Option<Arc<Bundle>>,
    grants: Vec<(Slot<Client>, Arc<Bundle>)>,
}

/// What a round is made of.
#[derive(Debug)]
pub(crate) struct RoundParts<'a> {
    pub(crate) stage: Stage,
    pub(crate) agent: &'a Agent,
    /// What of the agent is there to be offered.
    pub(crate) left: Arc<Bundle>,
    pub(crate) kinds: &'a Kinds,
    pub(crate) rules: &'a Rules,
    pub(crate) refusals: AgentRefusals<'a, Client>,
    /// Room to work in.
    pub(crate) refusers: &'a mut Bits<Client>,
    pub(crate) random: &'a mut Random,
}

impl<'a> Round<'a> {
    pub(crate) fn new(parts: RoundParts<'a>) -> Self {
        let RoundParts { stage, agent, left, kinds, rules, refusals, refusers, random } = parts;
        let is_plain = left.is_only(|kind| kinds.kind(kind).is_plain);
        refusals.refusers(&left, refusers);
        let (visible, grants) = (None, Vec::new());
        Self { stage, agent, kinds, rules, refusals, random, left, is_plain, refusers, visible, grants }
    }

    /// Whether all of these clients refuse all that is left.
    pub(crate) fn is_refused_by(&self, clients: &Bits<Client>) -> bool {
        self.refusers.covers(clients)
    }

    /// Who is given what.
    pub(crate) fn into_grants(self) -> Vec<(Slot<Client>, Arc<Bundle>)> {
        self.grants
    }

    /// What a client is offered of what is left, or why it is not.
    pub(crate) fn judge(
        &mut self,
        slot: Slot<Client>,
        terms: &Terms,
        role: RoleView<'_>,
        books: &Books,
    ) -> Result<Arc<Bundle>, Judgement> {
        if let Some(missing) = self.missing_capability(terms, role) {
            return Err(Judgement::Capability(missing));
        }
        if terms.constraints.as_ref().is_some_and(|constraints| !constraints.admit(&self.agent.profile)) {
            return Err(Judgement::Constraint);
        }
        let seen = match self.readable(terms) {
            Some(part) if part.is_empty() => return Err(Judgement::NothingFor),
            Some(part) => Arc::new(part),
            None => Arc::clone(self.visible.as_ref().unwrap_or(&self.left)),
        };
        let offer = self.within_quota(&seen, role, books)?.map_or(seen, Arc::new);
        if !self.kinds.is_worth_offering(&offer, terms.minimum.as_ref().unwrap_or(&self.rules.minimum)) {
            return Err(Judgement::Minimum);
        }
        if terms.demand.as_ref().is_some_and(|units| !self.kinds.holds_any(&offer, units)) {
            return Err(Judgement::NoDemand);
        }
        let is_refused =
            if Arc::ptr_eq(&offer, &self.left) { self.refusers.has(slot) } else { self.is_refused(slot, &offer) };
        if is_refused { Err(Judgement::Refused) } else { Ok(offer) }
    }

    fn is_refused(&self, slot: Slot<Client>, offer: &Bundle) -> bool {
        self.refusals.until(slot, offer).is_some()
    }

    /// Which capability the framework or the agent lacks for them to meet.
    fn missing_capability(&self, terms: &Terms, role: RoleView<'_>) -> Option<&'static str> {
        let (agent, can) = (&self.agent.profile, terms.capabilities);
        let is_remote = match (&self.rules.domain, &agent.domain) {
            (Some(here), Some(there)) => here.region != there.region,
            (None, Some(_)) | (_, None) => false,
        };
        if !can.gpu && self.rules.filtered_gpus.is_some_and(|gpus| self.agent.has(gpus, self.kinds)) {
            return Some("GPU_RESOURCES");
        }
        if is_remote && !can.region_aware {
            return Some("REGION_AWARE");
        }
        if can.multi_role && !agent.multi_role {
            return Some("MULTI_ROLE of the agent");
        }
        (!agent.hierarchical_role && !role.role.is_top_level()).then_some("HIERARCHICAL_ROLE of the agent")
    }

    /// The part of what is visible that a framework can read; nothing if that is all of it.
    fn readable(&self, terms: &Terms) -> Option<Bundle> {
        if self.is_plain {
            return None;
        }
        let can = terms.capabilities;
        let is_readable = |kind: u32| {
            let kind = self.kinds.kind(kind);
            (can.shared || !kind.is_shared)
                && (can.revocable || !kind.is_revocable)
                && (can.refinement || !kind.is_refined)
        };
        let visible = self.visible.as_deref().unwrap_or(&self.left);
        (!visible.is_only(is_readable)).then(|| visible.only(is_readable))
    }

    /// What quota leaves of an offer; nothing if that is all of it.
    fn within_quota(&mut self, offer: &Bundle, role: RoleView<'_>, books: &Books) -> Result<Option<Bundle>, Judgement> {
        if !books.is_any_bound() {
            return Ok(None);
        }
        let kinds = self.kinds;
        let is_quotable = |kind: u32| kinds.kind(kind).is_quotable();
        let quotable: Values<u64> = offer.scalars.iter().filter(|(kind, _)| is_quotable(*kind)).copied().collect();
        let granted = match self.stage {
            Stage::Guarantees => self.guaranteed(&quotable, role, books)?,
            Stage::Fair => {
                let within = self.shrink(&quotable, |name| books.room(role.book, name));
                self.beyond_headroom(&within, books)
            }
        };
        let is_own =
            |kind: u32| self.stage == Stage::Fair || kinds.reserved_for(kind).is_none_or(|owner| owner == role.role);
        let mut kept = offer.only(is_own);
        kept.scalars.retain(|(kind, _)| !is_quotable(*kind));
        kept.scalars.extend(granted);
        kept.scalars.sort_unstable();
        if kept.is_empty() {
            let is_limited = self.shrink(&quotable, |name| books.room(role.book, name)).is_empty();
            return Err(if is_limited { Judgement::Limit } else { Judgement::Headroom });
        }
        Ok((kept != *offer).then_some(kept))
    }

    /// What serves a guarantee, and beside it what neither the limit nor other guarantees forbid.
    fn guaranteed(
        &mut self,
        quotable: &Values<u64>,
        role: RoleView<'_>,
        books: &Books,
    ) -> Result<Values<u64>, Judgement> {
        let missing = books.unsatisfied(role.book);
        // A role above may allow less than is guaranteed below it: its limit goes first.
        let serving = self.shrink(quotable, |name| {
            let missing = missing.get(&name).copied().unwrap_or(0);
            Some(books.room(role.book, name).map_or(missing, |room| room.min(missing)))
        });
        if serving.is_empty() {
            return Err(Judgement::NoGuarantee);
        }
        let of =
            |values: &Values<u64>, kind: u32| values.iter().find(|(other, _)| *other == kind).map_or(0, |(_, n)| *n);
        let rest = quotable.iter().map(|(kind, amount)| (*kind, amount - of(&serving, *kind)));
        let rest: Values<u64> = rest.filter(|(_, amount)| *amount > 0).collect();
        let given = |name: u32| {
            let named = serving.iter().filter(|(kind, _)| self.kinds.kind(*kind).name == name);
            named.map(|(_, amount)| u128::from(*amount)).sum::<u128>()
        };
        let given: BTreeMap<u32, u128> =
            rest.iter().map(|(kind, _)| self.kinds.kind(*kind).name).map(|n| (n, given(n))).collect();
        let within = self.shrink(&rest, |name| Some(books.room(role.book, name)?.saturating_sub(given[&name])));
        let beside = self.beyond_headroom(&within, books);
        let sum = quotable.iter().map(|(kind, _)| (*kind, of(&serving, *kind) + of(&beside, *kind)));
        Ok(sum.filter(|(_, amount)| *amount > 0).collect())
    }

    fn beyond_headroom(&mut self, quotable: &Values<u64>, books: &Books) -> Values<u64> {
        if !books.is_any_guaranteed() {
            return quotable.clone();
        }
        self.shrink(quotable, |name| Some(books.surplus(name)))
    }

    /// As much of the scalars as the target of each name allows; what has none is kept. Kinds that are given out
    /// whole are kept whole or dropped. Which kind of a name is looked at first is decided by chance.
    fn shrink(&mut self, scalars: &Values<u64>, target: impl Fn(u32) -> Option<u128>) -> Values<u64> {
        let mut order: Vec<usize> = (0..scalars.len()).collect();
        if scalars.iter().any(|(kind, _)| !self.kinds.kind(*kind).is_plain) {
            self.random.shuffle(&mut order);
        }
        let mut used: BTreeMap<u32, u128> = BTreeMap::new();
        let mut kept: Values<u64> = Vec::with_capacity(scalars.len());
        for (kind, amount) in order.into_iter().map(|index| scalars[index]) {
            let Kind { name, is_whole, .. } = self.kinds.kind(kind);
            let Some(target) = target(name) else {
                kept.push((kind, amount));
                continue;
            };
            let used = used.entry(name).or_insert(0);
            let room = u64::try_from(target.saturating_sub(*used)).unwrap_or(u64::MAX);
            let part = if is_whole && room < amount { 0 } else { room.min(amount) };
            *used += u128::from(part);
            kept.extend((part > 0).then_some((kind, part)));
        }
        kept.sort_unstable();
        kept
    }
}

impl Visitor for Round<'_> {
    fn enter(&mut self, role: RoleView<'_>, books: &Books) -> Interest {
        if self.left.is_empty() {
            return Interest::End;
        }
        if self.stage == Stage::Guarantees && !books.is_unsatisfied(role.book) {
            return Interest::Next;
        }
        self.see(role);
        if self.visible.as_deref().is_some_and(Bundle::is_empty) { Interest::Next } else { Interest::Clients }
    }

    fn visit(&mut self, slot: Slot<Client>, terms: &Terms, role: RoleView<'_>, books: &mut Books) -> bool {
        if self.refusers.has(slot) {
            return false;
        }
        let Ok(offer) = self.judge(slot, terms, role, books) else { return false };
        books.add_used(role.book, &self.kinds.amounts(&offer, Kind::is_quotable));
        let is_all = Arc::ptr_eq(&offer, &self.left);
        self.grants.push((slot, Arc::clone(&offer)));
        if is_all {
            self.left = Bundle::nothing();
            return true;
        }
        self.left = Arc::new(self.left.without(&offer));
        self.refusals.refusers(&self.left, self.refusers);
        self.see(role);
        self.left.is_empty()
    }
}

impl Round<'_> {
    /// Works out what a role may have of what is left.
    pub(crate) fn see(&mut self, role: RoleView<'_>) {
        let is_for_role = |kind: u32| self.kinds.is_for(kind, role.role);
        self.visible = (!self.is_plain && !self.left.is_only(is_for_role)).then(|| self.left.only(is_for_role).into());
    }
}
