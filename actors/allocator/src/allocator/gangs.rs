//! Gangs: several equal units for one framework, given all at once over any agents, or not at all.
//!
//! A gang that waits takes nothing. In each run it may hold back what is free, up to the even part of its framework
//! by weights; what is held back is found anew in each run, in the order in which frameworks are served, and the
//! first gang in that order sees everything that is free. So no two gangs wait for each other. Filters do not hold
//! for gangs, for a gang is a newer wish than any filter.

use super::agents::Agent;
use super::{Allocator, Grant};
use crate::bundle::{Bundle, Values};
use crate::kinds::{Kind, Kinds};
use crate::refusals::AgentRefusals;
use crate::roster::{Client, RoleView};
use crate::round::{Round, RoundParts, Stage};
use crate::slots::Slot;
use crate::totals::{Amounts, Sums};
use odeon_protocol::id::FrameworkId;
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The most gangs that wait at once; each is looked at in every run.
pub(super) const GANGS_MAX: usize = 256;

/// A gang that was asked for; numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GangId(u64);

impl std::fmt::Display for GangId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "gang {}", self.0)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gang {
    /// Who asks.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// Scalars that have to be on one agent.
    pub unit: Resources,
    /// How many units, on as many agents as it takes.
    pub count: u32,
    /// When waiting ends, on the clock of `now`.
    pub deadline: Duration,
}

/// What became of a gang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GangOutcome {
    /// All of it is given: each agent's part holds a whole number of units, and all parts together the count.
    Placed {
        /// The gang.
        id: GangId,
        /// Charged like any other grant; at most one for each agent.
        grants: Vec<Grant>,
    },
    /// The deadline has come, or the framework has left the role; nothing was given.
    Ended {
        /// The gang.
        id: GangId,
    },
}

/// Why a gang was refused; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GangError {
    /// The framework is not subscribed to the role.
    #[error("framework {framework} is not subscribed to role {role}")]
    NotSubscribed {
        /// The framework.
        framework: FrameworkId,
        /// The role.
        role: Role,
    },
    /// Without units, or with units of nothing.
    #[error("a gang of {count} units of {unit:?} asks for nothing")]
    Empty {
        /// How many units.
        count: u32,
        /// The unit.
        unit: String,
    },
    /// A unit names ranges or sets.
    #[error("a unit of {0:?} is not all scalars")]
    NotScalars(String),
    /// Too many wait.
    #[error("{GANGS_MAX} gangs are waiting: ask again when one has ended")]
    TooMany,
}

/// The gangs that wait, and what is held back for them since the last run.
#[derive(Debug, Default)]
pub(super) struct Gangs {
    waiting: BTreeMap<GangId, Waiting>,
    held_back: BTreeMap<Slot<Agent>, Bundle>,
    outcomes: Vec<GangOutcome>,
    asked: u64,
}

#[derive(Debug, Clone)]
struct Waiting {
    gang: Gang,
    unit: Amounts,
}

/// A part of an agent: how many units it is, and of which kinds.
type Part = (Slot<Agent>, u32, Bundle);

/// What the frameworks of waiting gangs hold back already in this run.
type HeldBy = BTreeMap<Slot<Client>, Sums>;

impl Gangs {
    /// What of a part of an agent is not held back.
    pub(super) fn not_held(&self, agent: Slot<Agent>, part: &Arc<Bundle>) -> Arc<Bundle> {
        self.held_back.get(&agent).map_or_else(|| Arc::clone(part), |held| part.without(held).into())
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.waiting.values().map(|waiting| waiting.gang.deadline).min()
    }

    fn hold_back(&mut self, agent: Slot<Agent>, part: &Bundle) {
        let held = self.held_back.entry(agent).or_default();
        *held = held.checked_add(part).expect("parts of what is free on one agent");
    }
}

impl Allocator {
    /// Lets a gang wait for its units; see [`Self::take_gangs`] after each run.
    ///
    /// # Errors
    /// [`GangError`].
    pub fn request_gang(&mut self, gang: Gang) -> Result<GangId, GangError> {
        let Gang { framework, role, unit, count, .. } = &gang;
        if unit.ranges().next().is_some() || unit.sets().next().is_some() {
            return Err(GangError::NotScalars(unit.to_string()));
        }
        if *count == 0 || unit.is_empty() {
            return Err(GangError::Empty { count: *count, unit: unit.to_string() });
        }
        let client = self.roster.client(framework, role).filter(|client| self.roster.is_subscribed(*client));
        if client.is_none() {
            return Err(GangError::NotSubscribed { framework: framework.clone(), role: role.clone() });
        }
        if self.gangs.waiting.len() == GANGS_MAX {
            return Err(GangError::TooMany);
        }
        self.gangs.asked += 1;
        let (id, unit) = (GangId(self.gangs.asked), self.kinds.quantity(unit));
        self.gangs.waiting.insert(id, Waiting { gang, unit });
        self.candidates.mark_all();
        Ok(id)
    }

    /// Ends the wait of a gang; says whether it was waiting.
    pub fn cancel_gang(&mut self, id: GangId) -> bool {
        let was_waiting = self.gangs.waiting.remove(&id).is_some();
        if was_waiting {
            self.candidates.mark_all();
        }
        was_waiting
    }

    /// The gangs that wait, in the order in which they were asked for.
    pub fn waiting_gangs(&self) -> impl Iterator<Item = (GangId, &Gang)> {
        self.gangs.waiting.iter().map(|(id, waiting)| (*id, &waiting.gang))
    }

    /// What became of gangs in the runs since the last call.
    #[must_use = "what is placed is charged until it is recovered"]
    pub fn take_gangs(&mut self) -> Vec<GangOutcome> {
        std::mem::take(&mut self.gangs.outcomes)
    }

    /// Ends the gangs whose time is over or whose framework has left.
    pub(super) fn end_gangs(&mut self, now: Duration) {
        let is_over = |waiting: &Waiting| {
            let client = self.roster.client(&waiting.gang.framework, &waiting.gang.role);
            waiting.gang.deadline <= now || client.is_none_or(|client| !self.roster.is_subscribed(client))
        };
        let over: Vec<GangId> =
            self.gangs.waiting.iter().filter(|(_, waiting)| is_over(waiting)).map(|(id, _)| *id).collect();
        for id in over {
            self.cancel_gang(id);
            self.gangs.outcomes.push(GangOutcome::Ended { id });
        }
    }

    /// Gives what gangs wait for where all of it is there, and finds anew what the others hold back; returns the
    /// agents of which less is held back than before.
    pub(super) fn place_gangs(&mut self) -> Vec<Slot<Agent>> {
        let before = std::mem::take(&mut self.gangs.held_back);
        let (mut tried, mut held_by) = (BTreeSet::new(), HeldBy::new());
        while let Some((id, client, waiting)) = self.next_gang(&tried) {
            let (parts, is_whole) = self.parts(client, &waiting);
            if is_whole {
                self.gangs.waiting.remove(&id);
                let grants = parts.into_iter().map(|(agent, _, part)| self.give_part(agent, client, part)).collect();
                self.gangs.outcomes.push(GangOutcome::Placed { id, grants });
                // What is given counts towards the even part, so what was held back before is found anew.
                self.gangs.held_back.clear();
                held_by.clear();
                tried.clear();
            } else {
                tried.insert(id);
                self.unbook_parts(client, &parts);
                self.hold_back(client, &waiting, parts, &mut held_by);
            }
        }
        let after = &self.gangs.held_back;
        let is_less = |agent: &Slot<Agent>, held: &Bundle| after.get(agent).is_none_or(|now| !held.is_within(now));
        let let_go = before.into_iter().filter(|(agent, held)| is_less(agent, held) && self.agents.is_used(*agent));
        let_go.map(|(agent, _)| agent).collect()
    }

    /// The gang that is next, of those that were not tried yet: in the order of frameworks, then of asking.
    fn next_gang(&mut self, tried: &BTreeSet<GangId>) -> Option<(GangId, Slot<Client>, Waiting)> {
        if self.gangs.waiting.len() == tried.len() {
            return None;
        }
        let order = self.clients_in_order();
        let place = |waiting: &Waiting| {
            let client = self.roster.client(&waiting.gang.framework, &waiting.gang.role)?;
            Some((order.iter().position(|other| *other == client)?, client))
        };
        let untried = self.gangs.waiting.iter().filter(|(id, _)| !tried.contains(id));
        let placed = untried.filter_map(|(id, waiting)| Some((place(waiting)?, *id, waiting)));
        let ((_, client), id, waiting) = placed.min_by_key(|((place, _), id, _)| (*place, *id))?;
        Some((id, client, waiting.clone()))
    }

    /// Parts of agents for a gang, as many units as are there but no more than it asks for, and whether it is all of
    /// them. They are booked, so that each sees the quota that the others leave.
    fn parts(&mut self, client: Slot<Client>, waiting: &Waiting) -> (Vec<Part>, bool) {
        let (terms, view) = self.roster.view(client);
        let (mut terms, role) = (terms.clone(), view.role.clone());
        (terms.minimum, terms.demand) = (Some(Vec::new()), None);
        let view = RoleView { role: &role, book: view.book };
        let (mut parts, mut missing) = (Vec::new(), waiting.gang.count);
        for (slot, agent) in self.agents.iter() {
            if missing == 0 {
                break;
            }
            if !agent.is_active || agent.free().is_empty() {
                continue;
            }
            let (stage, left, refusals) = (Stage::Fair, self.gangs.not_held(slot, agent.free()), AgentRefusals::NONE);
            let (kinds, rules, refusers) = (&self.kinds, &self.rules, &mut self.refusers);
            let round = RoundParts { stage, agent, left, kinds, rules, refusals, refusers, random: &mut self.random };
            let mut round = Round::new(round);
            round.see(view);
            let Ok(offer) = round.judge(client, &terms, view, &self.roster.books) else { continue };
            let (units, part) = cut(&offer, &waiting.unit, missing, &self.kinds);
            if units > 0 {
                missing -= units;
                self.roster.books.add_used(view.book, &self.kinds.amounts(&part, Kind::is_quotable));
                parts.push((slot, units, part));
            }
        }
        (parts, missing == 0)
    }

    fn unbook_parts(&mut self, client: Slot<Client>, parts: &[Part]) {
        parts.iter().for_each(|(_, _, part)| self.roster.unbook(client, part, &self.kinds));
    }

    fn give_part(&mut self, agent: Slot<Agent>, client: Slot<Client>, part: Bundle) -> Grant {
        let part = Arc::new(part);
        self.charge(agent, client, &part);
        self.grant(agent, client, &part)
    }

    /// Holds back parts for a gang while its framework stays within its even part of the cluster.
    fn hold_back(&mut self, client: Slot<Client>, waiting: &Waiting, parts: Vec<Part>, held_by: &mut HeldBy) {
        let held = held_by.entry(client).or_default();
        let room = |(name, amount): &(u32, u64)| {
            let room = self.roster.room_to_fair_part(client, *name).saturating_sub(held.get(*name));
            room / u128::from(*amount)
        };
        let mut room = waiting.unit.iter().map(room).min().unwrap_or(0);
        for (agent, units, part) in parts {
            let units = u32::try_from(room).unwrap_or(u32::MAX).min(units);
            if units == 0 {
                return;
            }
            room -= u128::from(units);
            let (_, part) = cut(&part, &waiting.unit, units, &self.kinds);
            held.add(&self.kinds.amounts(&part, |_| true));
            self.gangs.hold_back(agent, &part);
        }
    }
}

/// Takes units out of a bundle, at most so many: from reservations first, and never from what is given out whole,
/// shared or revocable.
fn cut(bundle: &Bundle, unit: &Amounts, units_max: u32, kinds: &Kinds) -> (u32, Bundle) {
    let mut usable = bundle.only(|kind| {
        let kind = kinds.kind(kind);
        !kind.is_whole && !kind.is_shared && !kind.is_revocable
    });
    let fits = |(name, amount): &(u32, u64)| kinds.amount(&usable, *name) / u128::from(*amount);
    let units = unit.iter().map(fits).min().unwrap_or(0);
    let units = u32::try_from(units).unwrap_or(u32::MAX).min(units_max);
    usable.scalars.sort_by_key(|(kind, _)| !kinds.kind(*kind).is_reserved);
    let mut scalars: Values<u64> = Vec::new();
    for (name, amount) in unit {
        let mut wanted = u128::from(*amount) * u128::from(units);
        for (kind, free) in usable.scalars.iter().filter(|(kind, _)| kinds.kind(*kind).name == *name) {
            let taken = u64::try_from(wanted).unwrap_or(u64::MAX).min(*free);
            wanted -= u128::from(taken);
            scalars.extend((taken > 0).then_some((*kind, taken)));
        }
    }
    scalars.sort_unstable();
    (units, Bundle { scalars, ..Bundle::default() })
}

#[cfg(test)]
#[path = "gangs_test.rs"]
mod tests;
