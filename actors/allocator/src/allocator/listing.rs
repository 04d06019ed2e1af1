//! What the allocator shows of itself; changes nothing that a decision depends on.

use super::Allocator;
use crate::books::Books;
use crate::roster::{Client, Interest, RoleView, Terms, Visitor};
use crate::share::{Share, Weight};
use crate::slots::Slot;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, TypedResources};
use odeon_protocol::role::Role;

/// Where a role stands, with all roles below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleShare {
    /// The role; may be one that only has roles below it.
    pub path: String,
    /// Its weight.
    pub weight: Weight,
    /// Its dominant share of the cluster, divided by its weight.
    pub share: Share,
    /// The scalars that frameworks hold under it.
    pub allocated: Resources,
    /// How often a framework under it was given something.
    pub grant_count: u64,
}

/// Notes whom it is shown.
#[derive(Default)]
struct Listing(Vec<Slot<Client>>);

impl Visitor for Listing {
    fn enter(&mut self, _: RoleView<'_>, _: &Books) -> Interest {
        Interest::Clients
    }

    fn visit(&mut self, slot: Slot<Client>, _: &Terms, _: RoleView<'_>, _: &mut Books) -> bool {
        self.0.push(slot);
        false
    }
}

impl Allocator {
    /// All roles with a framework at or below them, by path.
    #[must_use]
    pub fn role_shares(&self) -> Vec<RoleShare> {
        let totals = &self.roster.totals;
        let nodes = self.roster.role_nodes().map(|node| RoleShare {
            path: node.path().to_owned(),
            weight: node.weight(),
            share: node.share(totals),
            allocated: self.kinds.sums(node.allocated()),
            grant_count: node.grant_count(),
        });
        nodes.collect()
    }

    /// The share of a framework under a role; nothing if it neither is subscribed to it nor holds anything.
    #[must_use]
    pub fn framework_share(&self, framework: &FrameworkId, role: &Role) -> Option<Share> {
        Some(self.roster.client_share(self.roster.client(framework, role)?))
    }

    /// Frameworks and roles in the order in which the next offer would be held out to them.
    pub fn order(&mut self) -> Vec<(FrameworkId, Role)> {
        let clients = self.clients_in_order();
        let names = clients.into_iter().map(|client| self.roster.name(client));
        names.map(|(framework, role)| (framework.clone(), role.clone())).collect()
    }

    /// As [`Self::order`], by slot.
    pub(super) fn clients_in_order(&mut self) -> Vec<Slot<Client>> {
        let mut listing = Listing::default();
        self.roster.walk(&mut listing);
        listing.0
    }

    /// All that an agent has.
    #[must_use]
    pub fn total(&self, agent: &AgentId) -> Option<TypedResources> {
        Some(self.kinds.resources(self.agents[*self.agent_slots.get(agent)?].total()))
    }

    /// What nobody holds of an agent.
    #[must_use]
    pub fn free(&self, agent: &AgentId) -> Option<TypedResources> {
        Some(self.kinds.resources(self.agents[*self.agent_slots.get(agent)?].free()))
    }

    /// Who holds what of an agent; nobody of one that is not known.
    pub fn holdings(&self, agent: &AgentId) -> impl Iterator<Item = (&FrameworkId, &Role, TypedResources)> {
        let held = self.agent_slots.get(agent).map(|slot| self.agents[*slot].held());
        held.into_iter().flatten().map(|(client, bundle)| {
            let (framework, role) = self.roster.name(*client);
            (framework, role, self.kinds.resources(bundle))
        })
    }

    /// What a role and all roles below it have consumed in the sense of quota.
    #[must_use]
    pub fn consumed(&self, role: &Role) -> Resources {
        self.roster.books.consumed(role.as_str()).map(|sums| self.kinds.sums(&sums)).unwrap_or_default()
    }

    /// How many refusals hold back offers now.
    #[must_use]
    pub fn refusal_count(&self) -> usize {
        self.refusals.len()
    }
}
