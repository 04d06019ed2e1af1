//! Preemption: a role of a higher priority takes back what others hold above their even part.
//!
//! Decided here: who gives back how much of which agent, and until when. A claim is made for a framework that said
//! what it could use, that no agent can serve from what is free, and that stays within its even part with it. Those
//! who give back stay at or above theirs, at every level of the tree below where both roles meet, and above all
//! guarantees. Claims go from higher to lower priority only, so nothing is taken to and fro. Which tasks end is not
//! decided here, nor who is offered what comes back: that is the order of the next run.

use super::Allocator;
use super::agents::Agent;
use crate::bundle::Bundle;
use crate::refusals::AgentRefusals;
use crate::roster::{Client, Excess};
use crate::round::{Judgement, Round, RoundParts, Stage};
use crate::slots::Slot;
use crate::totals::Amounts;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, Scalar};
use odeon_protocol::role::Role;
use std::sync::Arc;
use std::time::Duration;

/// The most claims that are open at once.
const CLAIMS_MAX: usize = 256;

/// A framework is to give back a part of what it holds of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeBack {
    /// Who gives back.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// Of which agent.
    pub agent: AgentId,
    /// How much; unreserved scalars.
    pub resources: Resources,
    /// For whom.
    pub claimant: FrameworkId,
    /// Under which role.
    pub claimant_role: Role,
    /// Whether the framework is asked, or its time is over.
    pub stage: TakeBackStage,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeBackStage {
    /// The framework may choose what it ends until then, on the clock of `now`.
    Ask {
        /// When the grace period is over.
        until: Duration,
    },
    /// What is still missing is taken: tasks that hold as much are to be killed. Told once.
    Kill,
}

/// What is under way for one framework.
#[derive(Debug)]
pub(super) struct Claim {
    claimant: (FrameworkId, Role),
    parts: Vec<Part>,
    until: Duration,
    is_told_to_kill: bool,
}

/// What one framework gives back of one agent.
#[derive(Debug)]
struct Part {
    holder: (FrameworkId, Role),
    agent: AgentId,
    /// By the number of the name: what the holder keeps, and the most that it owes.
    terms: Vec<(u32, u64, u64)>,
}

/// On one agent: who gives back how much.
type Parts = Vec<(Slot<Client>, Amounts)>;

impl Allocator {
    /// Sets the priority of a role and of those below it that have none of their own; zero for all others.
    ///
    /// Above zero, a role may take back from roles of a lower priority; see [`Self::take_back`].
    pub fn set_priority(&mut self, role: &Role, priority: u32) {
        self.priorities.insert(role.clone(), priority);
    }

    /// The roles that have a priority of their own.
    pub fn prioritised(&self) -> impl Iterator<Item = &Role> {
        self.priorities.iter().filter(|(_, priority)| **priority > 0).map(|(role, _)| role)
    }

    /// Who is asked to give something back, and whose grace is over; call it after a run.
    ///
    /// A framework has one claim at a time. A claim ends when all of it came back, and before its grace is over also
    /// when the framework no longer wants it.
    #[must_use = "each is told once"]
    pub fn take_back(&mut self, now: Duration, grace: Duration) -> Vec<TakeBack> {
        if self.claims.is_empty() && self.priorities.values().all(|priority| *priority == 0) {
            return Vec::new();
        }
        let mut claims = std::mem::take(&mut self.claims);
        claims.iter_mut().for_each(|claim| claim.parts.retain(|part| !self.owed(part).is_empty()));
        claims.retain(|claim| !claim.parts.is_empty() && (claim.is_told_to_kill || self.is_wanted(claim)));
        self.claims = claims;
        let mut told = Vec::new();
        for index in 0..self.claims.len() {
            let claim = &mut self.claims[index];
            if now >= claim.until && !std::mem::replace(&mut claim.is_told_to_kill, true) {
                told.extend(self.tell(&self.claims[index], TakeBackStage::Kill));
            }
        }
        let until = now.saturating_add(grace);
        for client in self.clients_in_order() {
            if self.claims.len() < CLAIMS_MAX
                && let Some(claim) = self.claim(client, until)
            {
                told.extend(self.tell(&claim, TakeBackStage::Ask { until }));
                self.claims.push(claim);
            }
        }
        told
    }

    fn tell(&self, claim: &Claim, stage: TakeBackStage) -> Vec<TakeBack> {
        let (claimant, claimant_role) = &claim.claimant;
        let tell = |part: &Part| TakeBack {
            framework: part.holder.0.clone(),
            role: part.holder.1.clone(),
            agent: part.agent.clone(),
            resources: self.owed(part).iter().fold(Resources::empty(), |all, (name, amount)| {
                all.with_scalar(self.kinds.name(*name), Scalar::from_thousandths(*amount))
            }),
            claimant: claimant.clone(),
            claimant_role: claimant_role.clone(),
            stage,
        };
        claim.parts.iter().map(tell).collect()
    }

    /// What has not come back yet.
    fn owed(&self, part: &Part) -> Amounts {
        let holder = self.roster.client(&part.holder.0, &part.holder.1);
        let agent = self.agent_slots.get(&part.agent).map(|slot| &self.agents[*slot]);
        let (Some(holder), Some(agent)) = (holder, agent) else { return Vec::new() };
        let owed = part.terms.iter().map(|(name, kept, asked)| {
            let held = self.plain_held(agent, holder, *name);
            (*name, held.saturating_sub(*kept).min(*asked))
        });
        owed.filter(|(_, amount)| *amount > 0).collect()
    }

    fn is_wanted(&self, claim: &Claim) -> bool {
        let client = self.roster.client(&claim.claimant.0, &claim.claimant.1);
        client.is_some_and(|client| self.roster.active().has(client) && self.roster.view(client).0.demand.is_some())
    }

    /// The priority of a role: its own, or that of the nearest one above it that has one; zero without one.
    #[must_use]
    pub fn priority(&self, role: &Role) -> u32 {
        let mut roles = std::iter::successors(Some(role.clone()), Role::parent);
        roles.find_map(|role| self.priorities.get(&role).copied()).unwrap_or(0)
    }

    /// A claim for a client, if it has to do without and others give enough.
    fn claim(&mut self, client: Slot<Client>, until: Duration) -> Option<Claim> {
        let (framework, role) = self.roster.name(client);
        let claimant = (framework.clone(), role.clone());
        if self.priority(role) == 0 || self.claims.iter().any(|claim| claim.claimant == claimant) {
            return None;
        }
        let units = self.roster.view(client).0.demand.clone()?;
        let is_served = self.agents.slots().collect::<Vec<_>>().into_iter().any(|slot| {
            let free = Arc::clone(self.agents[slot].free());
            self.agents[slot].is_active
                && matches!(self.judge_left(client, slot, free), Ok(()) | Err(Judgement::Refused))
        });
        if is_served {
            return None;
        }
        let (agent, parts) = units.iter().find_map(|unit| self.parts_for(client, unit))?;
        let agent = &self.agents[agent];
        let part = |(holder, amounts): &(Slot<Client>, Amounts)| {
            let (framework, role) = self.roster.name(*holder);
            let terms = amounts.iter().map(|(name, taken)| {
                let held = self.plain_held(agent, *holder, *name);
                (*name, held - taken, *taken)
            });
            Part { holder: (framework.clone(), role.clone()), agent: agent.id.clone(), terms: terms.collect() }
        };
        Some(Claim { claimant, parts: parts.iter().map(part).collect(), until, is_told_to_kill: false })
    }

    fn judge_left(&mut self, client: Slot<Client>, slot: Slot<Agent>, left: Arc<Bundle>) -> Result<(), Judgement> {
        let (terms, view) = self.roster.view(client);
        let (agent, stage, refusals) = (&self.agents[slot], Stage::Fair, AgentRefusals::NONE);
        let (kinds, rules, refusers) = (&self.kinds, &self.rules, &mut self.refusers);
        let parts = RoundParts { stage, agent, left, kinds, rules, refusals, refusers, random: &mut self.random };
        let mut round = Round::new(parts);
        round.see(view);
        round.judge(client, terms, view, &self.roster.books).map(drop)
    }

    /// The agent where the fewest have to give back for a unit, and what they give.
    fn parts_for(&mut self, client: Slot<Client>, unit: &Amounts) -> Option<(Slot<Agent>, Parts)> {
        let book = self.roster.view(client).1.book;
        let may_have = |(name, amount): &(u32, u64)| {
            let amount = u128::from(*amount);
            self.roster.lack(client, *name) >= amount
                && self.roster.books.room(book, *name).is_none_or(|room| room >= amount)
        };
        if unit.is_empty() || !unit.iter().all(may_have) {
            return None;
        }
        let slots: Vec<Slot<Agent>> = self.agents.slots().filter(|slot| self.agents[*slot].is_active).collect();
        let found = slots.into_iter().filter_map(|slot| Some((slot, self.parts_on(client, slot, unit)?)));
        let (slot, parts) = found.min_by_key(|(slot, parts)| (parts.len(), *slot))?;
        Some((slot, parts))
    }

    /// What others would have to give back of an agent; nothing if they do not hold enough above what is theirs.
    fn parts_on(&self, client: Slot<Client>, slot: Slot<Agent>, unit: &Amounts) -> Option<Parts> {
        let agent = &self.agents[slot];
        let terms = self.roster.view(client).0;
        if terms.constraints.as_ref().is_some_and(|constraints| !constraints.admit(&agent.profile)) {
            return None;
        }
        let mine = self.priority(self.roster.name(client).1);
        let holders = agent.held().iter().map(|(holder, _)| *holder);
        let may_be_asked = |holder: &Slot<Client>| {
            let (framework, role) = self.roster.name(*holder);
            let is_it = |part: &Part| part.agent == agent.id && part.holder.0 == *framework && part.holder.1 == *role;
            // Who owes something here already gives that first, so that nothing is promised twice.
            self.priority(role) < mine && !self.claims.iter().flat_map(|claim| &claim.parts).any(is_it)
        };
        let holders: Vec<_> = holders.filter(may_be_asked).collect();
        let mut parts: Parts = holders.iter().map(|holder| (*holder, Amounts::new())).collect();
        for (name, amount) in unit {
            let mut short = amount.saturating_sub(self.plain(agent.free(), *name));
            for (holder, taken) in &mut parts {
                let may_give = u64::try_from(self.may_give(*holder, client, *name)).unwrap_or(u64::MAX);
                let part = short.min(may_give).min(self.plain_held(agent, *holder, *name));
                short -= part;
                taken.extend((part > 0).then_some((*name, part)));
            }
            if short > 0 {
                return None;
            }
        }
        parts.retain(|(_, taken)| !taken.is_empty());
        (!parts.is_empty()).then_some(parts)
    }

    /// How much of a name a holder has above its even part and above guarantees, without what it owes already.
    fn may_give(&self, holder: Slot<Client>, claimant: Slot<Client>, name: u32) -> u128 {
        let (framework, role) = self.roster.name(holder);
        let owed_by = |is_meant: &dyn Fn(&(FrameworkId, Role)) -> bool| {
            let parts = self.claims.iter().flat_map(|claim| &claim.parts).filter(|part| is_meant(&part.holder));
            let owed = parts.flat_map(|part| self.owed(part)).filter(|(owed, _)| *owed == name);
            owed.map(|(_, amount)| u128::from(amount)).sum::<u128>()
        };
        let Excess { own, levels } = self.roster.excess(holder, claimant, name);
        let own = own.saturating_sub(owed_by(&|(id, under)| id == framework && under == role));
        let levels = levels.into_iter().map(|(path, above)| {
            above.saturating_sub(owed_by(&|(_, role)| {
                role.as_str()
                    .strip_prefix(path.trim_end_matches("/."))
                    .is_some_and(|rest| rest.is_empty() || (rest.starts_with('/') && !path.ends_with("/.")))
            }))
        });
        levels.fold(own, u128::min)
    }

    /// How much a client holds of an agent that is neither reserved nor of a class of its own.
    fn plain_held(&self, agent: &Agent, client: Slot<Client>, name: u32) -> u64 {
        agent.held().iter().find(|(holder, _)| *holder == client).map_or(0, |(_, held)| self.plain(held, name))
    }

    fn plain(&self, bundle: &Bundle, name: u32) -> u64 {
        let plain = bundle.scalars.iter().map(|(kind, amount)| (self.kinds.kind(*kind), amount));
        plain.filter(|(kind, _)| kind.is_plain && kind.name == name).map(|(_, amount)| amount).sum()
    }
}

#[cfg(test)]
#[path = "preemption_test.rs"]
mod tests;
