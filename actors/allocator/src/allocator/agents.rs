//! Agents as the allocator sees them: what each has, who holds what of it, and the events that change this.

use super::Allocator;
use crate::bundle::Bundle;
use crate::roster::Client;
use crate::slots::Slot;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, ResourcesError};
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// What a framework holds of an agent, offered or in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who holds it.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// What is held.
    pub resources: Resources,
}

/// Why an event of an agent was refused; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// No agent of this id has been added.
    #[error("agent {0} is not known")]
    Unknown(AgentId),
    /// An agent of this id is here already.
    #[error("agent {0} is known already")]
    Known(AgentId),
    /// What it says is in use cannot be summed up.
    #[error("what agent {agent} has in use does not add up")]
    Holdings {
        /// The agent.
        agent: AgentId,
        /// Why not.
        #[source]
        source: ResourcesError,
    },
}

/// An agent's resources. Always: `free` is what of `total` is not `used`, and `used` is the sum of `held`.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(super) id: AgentId,
    pub(super) is_active: bool,
    attributes: BTreeMap<String, String>,
    total: Bundle,
    /// Sorted by client; short, and so kept in one piece.
    held: Vec<(Slot<Client>, Bundle)>,
    used: Bundle,
    free: Bundle,
}

impl Agent {
    pub(super) fn total(&self) -> &Bundle {
        &self.total
    }

    pub(super) fn free(&self) -> &Bundle {
        &self.free
    }

    pub(super) fn held(&self) -> &[(Slot<Client>, Bundle)] {
        &self.held
    }

    /// Where a client's part is, or where it would be.
    fn held_index(&self, client: Slot<Client>) -> Result<usize, usize> {
        self.held.binary_search_by_key(&client, |(holder, _)| *holder)
    }

    /// Gives all that is free to a client; also says whether the client held nothing here before.
    pub(super) fn take_free(&mut self, client: Slot<Client>) -> (Bundle, bool) {
        let taken = std::mem::take(&mut self.free);
        let sum = |held: &Bundle| held.checked_add(&taken).expect("held and free are disjoint parts of one agent");
        self.used = sum(&self.used);
        let place = self.held_index(client);
        match place {
            Ok(index) => self.held[index].1 = sum(&self.held[index].1),
            Err(index) => self.held.insert(index, (client, taken.clone())),
        }
        (taken, place.is_err())
    }

    /// Takes resources back from a client; says whether it holds nothing here any more.
    ///
    /// Nothing happens, and nothing is said, if it holds less.
    pub(super) fn give_back(&mut self, client: Slot<Client>, part: &Bundle) -> Option<bool> {
        if part.is_empty() {
            return Some(false);
        }
        let index = self.held_index(client).ok()?;
        let rest = self.held[index].1.checked_sub(part)?;
        let is_last = rest.is_empty();
        if is_last {
            self.held.remove(index);
        } else {
            self.held[index].1 = rest;
        }
        self.used = self.used.without(part);
        self.free = self.total.without(&self.used);
        Some(is_last)
    }
}

impl Allocator {
    /// Adds an agent, with what its tasks use; their frameworks need not be here yet.
    ///
    /// # Errors
    /// [`AgentError::Known`]; [`AgentError::Holdings`] if two holdings share a port, or a sum overflows.
    pub fn add_agent(
        &mut self,
        id: AgentId,
        total: &Resources,
        attributes: BTreeMap<String, String>,
        holdings: &[Holding],
    ) -> Result<(), AgentError> {
        if self.agent_slots.contains_key(&id) {
            return Err(AgentError::Known(id));
        }
        let used = holdings.iter().try_fold(Resources::empty(), |sum, holding| sum.checked_add(&holding.resources));
        let used = used.map_err(|source| AgentError::Holdings { agent: id.clone(), source })?;
        let (total, used) = (self.names.bundle(total), self.names.bundle(&used));
        let free = total.without(&used);
        self.roster.totals.add(&total);
        let mut held: BTreeMap<_, Bundle> = BTreeMap::new();
        for Holding { framework, role, resources } in holdings.iter().filter(|holding| !holding.resources.is_empty()) {
            let client = self.roster.enter(framework, role);
            let part = self.names.bundle(resources);
            let before = held.remove(&client);
            self.roster.charge(client, &part, before.is_none());
            let sum = before.unwrap_or_default().checked_add(&part).expect("the sum of all holdings is possible");
            held.insert(client, sum);
        }
        let held = held.into_iter().collect();
        let slot = self.agents.insert(Agent { id: id.clone(), is_active: true, attributes, total, held, used, free });
        self.agent_slots.insert(id, slot);
        self.candidates.mark(slot);
        Ok(())
    }

    /// Replaces what an agent has and says about itself; other attributes make frameworks forget their refusals.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn update_agent(
        &mut self,
        id: &AgentId,
        total: &Resources,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        let total = self.names.bundle(total);
        let agent = &mut self.agents[slot];
        if agent.attributes != attributes {
            self.refusals.clear_agent(slot);
            agent.attributes = attributes;
        }
        if agent.total != total {
            self.roster.totals.sub(&agent.total);
            self.roster.totals.add(&total);
            agent.free = total.without(&agent.used);
            agent.total = total;
        }
        self.candidates.mark(slot);
        Ok(())
    }

    /// Removes an agent; what was held of it is charged to nobody any more.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn remove_agent(&mut self, id: &AgentId) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        self.agent_slots.remove(id);
        self.refusals.clear_agent(slot);
        self.candidates.unmark(slot);
        let Some(agent) = self.agents.remove(slot) else { return Ok(()) };
        self.roster.totals.sub(&agent.total);
        for (client, resources) in agent.held {
            self.roster.credit(client, &resources, true);
            self.roster.retire(client);
        }
        Ok(())
    }

    /// Lets an agent be offered, as every new agent is.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn activate_agent(&mut self, id: &AgentId) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        self.agents[slot].is_active = true;
        self.candidates.mark(slot);
        Ok(())
    }

    /// Keeps an agent from being offered; what is held of it stays held.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn deactivate_agent(&mut self, id: &AgentId) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        self.agents[slot].is_active = false;
        Ok(())
    }

    /// Has the next run look at an agent.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn mark(&mut self, id: &AgentId) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        self.candidates.mark(slot);
        Ok(())
    }

    fn agent_slot(&self, id: &AgentId) -> Result<Slot<Agent>, AgentError> {
        self.agent_slots.get(id).copied().ok_or_else(|| AgentError::Unknown(id.clone()))
    }
}
