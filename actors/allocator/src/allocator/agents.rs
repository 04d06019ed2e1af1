//! Agents as the allocator sees them: what each has, who holds what of it, and the events that change this.

use super::Allocator;
use super::maintenance::Maintenance;
use crate::books::{Book, Books};
use crate::bundle::Bundle;
use crate::kinds::{Kind, Kinds};
use crate::profile::AgentProfile;
use crate::roster::{Client, Given};
use crate::slots::Slot;
use crate::totals::Amounts;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a framework holds of an agent, offered or in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Who holds it.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// What is held.
    pub resources: TypedResources,
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
    /// A shared volume that somebody holds would vanish or change its size.
    #[error("agent {0} cannot drop or resize a shared volume that is held")]
    SharedInUse(AgentId),
}

/// An agent's resources. Always: `free` is what of `total` is not `used`, and `used` is the sum of `held`.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(super) id: AgentId,
    pub(super) is_active: bool,
    /// Its total is always what `total` says.
    pub(crate) profile: AgentProfile,
    pub(super) maintenance: Option<Maintenance>,
    pub(super) total: Arc<Bundle>,
    /// What of the total each role has reserved.
    reserved: Vec<(Slot<Book>, Amounts)>,
    /// Sorted by client; short, and so kept in one piece.
    held: Vec<(Slot<Client>, Arc<Bundle>)>,
    /// Without shared volumes: these stay free, whoever holds them.
    used: Arc<Bundle>,
    free: Arc<Bundle>,
}

impl Agent {
    pub(super) fn total(&self) -> &Arc<Bundle> {
        &self.total
    }

    pub(super) fn free(&self) -> &Arc<Bundle> {
        &self.free
    }

    pub(super) fn held(&self) -> &[(Slot<Client>, Arc<Bundle>)] {
        &self.held
    }

    /// Whether it has any scalar of a name.
    pub(crate) fn has(&self, name: u32, kinds: &Kinds) -> bool {
        self.total.scalars.iter().any(|(kind, _)| kinds.kind(*kind).name == name)
    }

    /// Replaces what it has, and enters it into the books.
    pub(super) fn set_total(&mut self, total: Bundle, books: &mut Books, kinds: &Kinds) {
        books.sub_total(&kinds.amounts(&self.total, Kind::is_quotable));
        books.add_total(&kinds.amounts(&total, Kind::is_quotable));
        let before = std::mem::take(&mut self.reserved);
        for (kind, amount) in &total.scalars {
            let Some(role) = kinds.reserved_for(*kind) else { continue };
            let amounts = vec![(kinds.kind(*kind).name, *amount)];
            let book = books.keep(role.as_str());
            books.add_reserved(book, &amounts);
            self.reserved.push((book, amounts));
        }
        for (book, amounts) in before {
            books.sub_reserved(book, &amounts);
            books.let_go(book);
        }
        self.total = Arc::new(total);
        self.renew_free();
    }

    /// Whether with another total no shared volume that is held would vanish or change its size.
    pub(super) fn keeps_shared(&self, total: &Bundle, kinds: &Kinds) -> bool {
        let held = self.held.iter().flat_map(|(_, held)| held.scalars.iter().map(|(kind, _)| *kind));
        held.filter(|kind| kinds.kind(*kind).is_shared).all(|kind| total.scalar(kind) == self.total.scalar(kind))
    }

    /// Where a client's part is, or where it would be.
    fn held_index(&self, client: Slot<Client>) -> Result<usize, usize> {
        self.held.binary_search_by_key(&client, |(holder, _)| *holder)
    }

    /// Gives a part of what is free to a client; says whether the client held nothing here before.
    pub(super) fn take(&mut self, client: Slot<Client>, part: &Arc<Bundle>, kinds: &Kinds) -> bool {
        let sum = |held: &Arc<Bundle>, part: &Arc<Bundle>| {
            Bundle::joined(held, part).expect("held and free are disjoint parts of one agent")
        };
        let own = own(part, kinds);
        self.used = sum(&self.used, &own);
        self.free = if Arc::ptr_eq(&self.free, &own) { Bundle::nothing() } else { self.free.without(&own).into() };
        let place = self.held_index(client);
        match place {
            Ok(index) => self.held[index].1 = sum(&self.held[index].1, part),
            Err(index) => self.held.insert(index, (client, Arc::clone(part))),
        }
        place.is_err()
    }

    /// Takes resources back from a client; says whether it holds nothing here any more.
    ///
    /// Nothing happens, and nothing is said, if it holds less.
    pub(super) fn give_back(&mut self, client: Slot<Client>, part: &Arc<Bundle>, kinds: &Kinds) -> Option<bool> {
        if part.is_empty() {
            return Some(false);
        }
        let index = self.held_index(client).ok()?;
        let held = &mut self.held[index].1;
        let is_last = **held == **part;
        if is_last {
            self.held.remove(index);
        } else {
            *held = held.checked_sub(part)?.into();
        }
        let own = own(part, kinds);
        self.used = if *self.used == *own { Bundle::nothing() } else { self.used.without(&own).into() };
        self.renew_free();
        Some(is_last)
    }

    fn renew_free(&mut self) {
        self.free = if self.used.is_empty() { Arc::clone(&self.total) } else { self.total.without(&self.used).into() };
    }
}

/// What of a part nobody else can hold: all but shared volumes.
fn own(part: &Arc<Bundle>, kinds: &Kinds) -> Arc<Bundle> {
    if part.scalars.iter().any(|(kind, _)| kinds.kind(*kind).is_shared) {
        return part.only(|kind| !kinds.kind(kind).is_shared).into();
    }
    Arc::clone(part)
}

impl Allocator {
    /// Adds an agent, with what its tasks use; their frameworks need not be here yet.
    ///
    /// # Errors
    /// As [`Self::add_agent_with`].
    pub fn add_agent(
        &mut self,
        id: AgentId,
        total: impl Into<TypedResources>,
        attributes: BTreeMap<String, String>,
        holdings: &[Holding],
    ) -> Result<(), AgentError> {
        self.add_agent_with(id, AgentProfile { attributes, ..AgentProfile::new(total.into()) }, holdings)
    }

    /// Adds an agent that says more of itself than what it has.
    ///
    /// # Errors
    /// [`AgentError::Known`]; [`AgentError::Holdings`] if two holdings share a port, or a sum overflows.
    pub fn add_agent_with(
        &mut self,
        id: AgentId,
        profile: AgentProfile,
        holdings: &[Holding],
    ) -> Result<(), AgentError> {
        if self.agent_slots.contains_key(&id) {
            return Err(AgentError::Known(id));
        }
        let used = holdings.iter().try_fold(TypedResources::empty(), |sum, held| sum.checked_add(&held.resources));
        used.map_err(|source| AgentError::Holdings { agent: id.clone(), source })?;
        let total = self.kinds.bundle(&profile.total);
        self.roster.totals.add(&self.kinds.amounts(&total, |_| true));
        let slot = self.agents.insert(Agent {
            id: id.clone(),
            is_active: true,
            profile,
            maintenance: None,
            total: Bundle::nothing(),
            reserved: Vec::new(),
            held: Vec::new(),
            used: Bundle::nothing(),
            free: Bundle::nothing(),
        });
        self.agents[slot].set_total(total, &mut self.roster.books, &self.kinds);
        for Holding { framework, role, resources } in holdings.iter().filter(|held| !held.resources.is_empty()) {
            let client = self.roster.enter(framework, role);
            let part = Arc::new(self.kinds.bundle(resources));
            self.roster.book(client, &part, &self.kinds);
            self.charge(slot, client, &part);
        }
        self.agent_slots.insert(id, slot);
        self.candidates.mark(slot);
        self.note_agent_back();
        Ok(())
    }

    /// Gives a part of an agent to a client; quota has booked it already.
    pub(super) fn charge(&mut self, slot: Slot<Agent>, client: Slot<Client>, part: &Arc<Bundle>) {
        let agent = &mut self.agents[slot];
        let is_only = agent.take(client, part, &self.kinds);
        let given = Given { client, agent: slot.number(), bundle: part, is_only, total: &agent.total };
        self.roster.charge(&given, &self.kinds);
    }

    /// Replaces what an agent has and says about itself; other attributes make frameworks forget their refusals.
    ///
    /// # Errors
    /// As [`Self::update_agent_with`].
    pub fn update_agent(
        &mut self,
        id: &AgentId,
        total: impl Into<TypedResources>,
        attributes: BTreeMap<String, String>,
    ) -> Result<(), AgentError> {
        let before = &self.agents[self.agent_slot(id)?].profile;
        let profile = AgentProfile { total: total.into(), attributes, ..before.clone() };
        self.update_agent_with(id, profile)
    }

    /// Replaces all that an agent says of itself.
    ///
    /// # Errors
    /// [`AgentError::Unknown`]; [`AgentError::SharedInUse`].
    pub fn update_agent_with(&mut self, id: &AgentId, profile: AgentProfile) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        let total = self.kinds.bundle(&profile.total);
        let agent = &mut self.agents[slot];
        if !agent.keeps_shared(&total, &self.kinds) {
            return Err(AgentError::SharedInUse(id.clone()));
        }
        if agent.profile.attributes != profile.attributes {
            self.refusals.clear_agent(slot);
        }
        agent.profile = profile;
        self.replace_total(slot, total);
        self.candidates.mark(slot);
        Ok(())
    }

    pub(super) fn replace_total(&mut self, slot: Slot<Agent>, total: Bundle) {
        let agent = &mut self.agents[slot];
        if *agent.total == total {
            return;
        }
        self.roster.totals.sub(&self.kinds.amounts(&agent.total, |_| true));
        self.roster.totals.add(&self.kinds.amounts(&total, |_| true));
        agent.set_total(total, &mut self.roster.books, &self.kinds);
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
        let Some(mut agent) = self.agents.remove(slot) else { return Ok(()) };
        self.roster.totals.sub(&self.kinds.amounts(&agent.total, |_| true));
        for (client, bundle) in std::mem::take(&mut agent.held) {
            let given = Given { client, agent: slot.number(), bundle: &bundle, is_only: true, total: &agent.total };
            self.roster.credit(&given, &self.kinds);
            self.roster.unbook(client, &bundle, &self.kinds);
            self.roster.retire(client);
        }
        agent.set_total(Bundle::default(), &mut self.roster.books, &self.kinds);
        Ok(())
    }

    /// Lets an agent be offered, as every new agent is.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn activate_agent(&mut self, id: &AgentId) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        self.agents[slot].is_active = true;
        self.mark_event(slot);
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

    pub(super) fn agent_slot(&self, id: &AgentId) -> Result<Slot<Agent>, AgentError> {
        self.agent_slots.get(id).copied().ok_or_else(|| AgentError::Unknown(id.clone()))
    }
}
