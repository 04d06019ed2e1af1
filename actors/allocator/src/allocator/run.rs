//! One run over the marked agents: first what roles are guaranteed, then what is left.

use super::agents::Agent;
use super::{Allocator, Grant};
use crate::bundle::Bundle;
use crate::roster::Client;
use crate::round::{Round, RoundParts, Stage};
use crate::slots::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a run gave so far.
#[derive(Debug, Default)]
struct Given {
    grants: Vec<(Slot<Agent>, Slot<Client>, Arc<Bundle>)>,
    /// Where the grant of an agent to a client stands; both stages make one offer.
    places: BTreeMap<(Slot<Agent>, Slot<Client>), usize>,
    /// Shared volumes that this run has offered already: each is offered once.
    shared: BTreeSet<(Slot<Agent>, u32)>,
}

impl Allocator {
    /// Runs once over the marked agents; each grant is charged already and becomes an offer.
    ///
    /// A refusal that is due ends before the run if it has blocked one, and after it otherwise.
    #[must_use = "what is granted is charged until it is recovered"]
    pub fn allocate(&mut self, now: Duration) -> Vec<Grant> {
        if self.is_paused(now) {
            return Vec::new();
        }
        self.pause = None;
        self.end_refusals(now);
        self.end_gangs(now);
        self.run_count += 1;
        self.divided_count = 0;
        let mut agents = self.candidates.drain(&self.agents);
        let mut given = Given::default();
        if self.roster.books.is_any_guaranteed() {
            for agent in &agents {
                if !self.roster.books.is_any_needed() {
                    break;
                }
                self.divide(*agent, Stage::Guarantees, &mut given);
            }
            self.random.shuffle(&mut agents);
        }
        let let_go = self.place_gangs();
        if !let_go.is_empty() {
            let drained: BTreeSet<_> = agents.iter().copied().collect();
            agents.extend(let_go.into_iter().filter(|slot| !drained.contains(slot)));
        }
        agents.iter().for_each(|agent| self.divide(*agent, Stage::Fair, &mut given));
        self.ask_back(&agents, now);
        self.end_refusals(now);
        given.grants.into_iter().map(|(agent, client, bundle)| self.grant(agent, client, &bundle)).collect()
    }

    fn end_refusals(&mut self, now: Duration) {
        for agent in self.refusals.end_due(now, self.run_count) {
            self.mark_event(agent);
        }
    }

    fn divide(&mut self, slot: Slot<Agent>, stage: Stage, given: &mut Given) {
        let agent = &self.agents[slot];
        let is_too_little = || !self.kinds.is_worth_offering(agent.free(), &self.rules.minimum);
        if !agent.is_active || agent.free().is_empty() || (self.roster.is_minimum_common() && is_too_little()) {
            return;
        }
        self.divided_count += usize::from(stage == Stage::Fair);
        let mut left = if given.shared.is_empty() {
            Arc::clone(agent.free())
        } else {
            agent.free().only(|kind| !given.shared.contains(&(slot, kind))).into()
        };
        if stage == Stage::Fair {
            left = self.gangs.not_held(slot, &left);
        }
        let (kinds, rules, refusals, refusers) = (&self.kinds, &self.rules, self.refusals.of(slot), &mut self.refusers);
        let parts = RoundParts { stage, agent, left, kinds, rules, refusals, refusers, random: &mut self.random };
        let mut round = Round::new(parts);
        if round.is_refused_by(self.roster.active()) {
            return;
        }
        self.roster.walk(&mut round);
        for (client, part) in round.into_grants() {
            self.charge(slot, client, &part);
            let shared = part.scalars.iter().filter(|(kind, _)| self.kinds.kind(*kind).is_shared);
            given.shared.extend(shared.map(|(kind, _)| (slot, *kind)));
            given.add(slot, client, part, stage);
        }
    }

    pub(super) fn grant(&self, agent: Slot<Agent>, client: Slot<Client>, bundle: &Arc<Bundle>) -> Grant {
        let agent = &self.agents[agent];
        let is_all = Arc::ptr_eq(bundle, agent.total());
        let resources = if is_all { agent.profile.total.clone() } else { self.kinds.resources(bundle) };
        let (framework, role) = self.roster.name(client);
        Grant { framework: framework.clone(), role: role.clone(), agent: agent.id.clone(), resources }
    }
}

impl Given {
    fn add(&mut self, agent: Slot<Agent>, client: Slot<Client>, part: Arc<Bundle>, stage: Stage) {
        if let Some(place) = self.places.get(&(agent, client)) {
            let sum = &mut self.grants[*place].2;
            *sum = sum.checked_add(&part).expect("parts of one agent are disjoint").into();
            return;
        }
        if stage == Stage::Guarantees {
            self.places.insert((agent, client), self.grants.len());
        }
        self.grants.push((agent, client, part));
    }
}
