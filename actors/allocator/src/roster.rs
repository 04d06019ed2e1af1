//! Who may be given something, and who is next: roles, their frameworks, and what each was given.
//!
//! A client is one framework under one role. It stays while the framework is subscribed to the role or still
//! holds something under it, so that tasks of a framework that is gone, or not back yet, count in the role.
//! Not here: what an agent has, and filters.

use crate::bundle::Bundle;
use crate::share::{Share, Weight};
use crate::slots::{Slot, Slots};
use crate::sorter::{Node, Sorter};
use crate::totals::Totals;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// All roles and clients, in order.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) totals: Totals,
    sorter: Sorter<Slot<RoleEntry>>,
    roles: Slots<RoleEntry>,
    by_name: BTreeMap<Role, Slot<RoleEntry>>,
    clients: Slots<Client>,
}

/// A role that has clients.
#[derive(Debug)]
struct RoleEntry {
    role: Role,
    leaf: Slot<Node<Slot<RoleEntry>>>,
    sorter: Sorter<Slot<Client>>,
    clients: BTreeMap<FrameworkId, Slot<Client>>,
}

/// One framework under one role.
#[derive(Debug)]
pub(crate) struct Client {
    framework: FrameworkId,
    role: Slot<RoleEntry>,
    leaf: Slot<Node<Slot<Client>>>,
    is_subscribed: bool,
    /// On how many agents it holds something.
    agent_count: usize,
}

impl Roster {
    pub(crate) fn new(weights: BTreeMap<Role, Weight>) -> Self {
        let weights = weights.into_iter().map(|(role, weight)| (role.into(), weight)).collect();
        Self {
            totals: Totals::default(),
            sorter: Sorter::new(weights),
            roles: Slots::new(),
            by_name: BTreeMap::new(),
            clients: Slots::new(),
        }
    }

    /// The client, if the framework is subscribed to the role or holds something under it.
    pub(crate) fn client(&self, framework: &FrameworkId, role: &Role) -> Option<Slot<Client>> {
        self.roles[*self.by_name.get(role)?].clients.get(framework).copied()
    }

    /// The client, made if there is none; subscribe or charge it, or it stays for nothing.
    pub(crate) fn enter(&mut self, framework: &FrameworkId, role: &Role) -> Slot<Client> {
        if let Some(client) = self.client(framework, role) {
            return client;
        }
        let slot = self.role_entry(role);
        let entry = &mut self.roles[slot];
        let client = self.clients.insert_with(|client| Client {
            framework: framework.clone(),
            role: slot,
            leaf: entry.sorter.insert(framework.as_str(), client),
            is_subscribed: false,
            agent_count: 0,
        });
        entry.clients.insert(framework.clone(), client);
        client
    }

    /// Lets a client stay without holding anything.
    pub(crate) fn subscribe(&mut self, client: Slot<Client>) {
        self.clients[client].is_subscribed = true;
    }

    /// Ends what [`Self::subscribe`] began; the client stays until it holds nothing.
    pub(crate) fn unsubscribe(&mut self, client: Slot<Client>) {
        self.set_active(client, false);
        self.clients[client].is_subscribed = false;
        self.retire(client);
    }

    pub(crate) fn is_subscribed(&self, client: Slot<Client>) -> bool {
        self.clients[client].is_subscribed
    }

    /// Lets a client be given more, or not.
    pub(crate) fn set_active(&mut self, client: Slot<Client>, active: bool) {
        let Client { role, leaf, .. } = self.clients[client];
        let entry = &mut self.roles[role];
        entry.sorter.set_active(leaf, active, &self.totals);
        self.sorter.set_active(entry.leaf, entry.sorter.is_active(), &self.totals);
    }

    /// Counts what a client was given on an agent; `is_first` if it held nothing there before.
    pub(crate) fn charge(&mut self, client: Slot<Client>, bundle: &Bundle, is_first: bool) {
        let Client { role, leaf, .. } = self.clients[client];
        let entry = &mut self.roles[role];
        entry.sorter.charge(leaf, bundle, &self.totals);
        self.sorter.charge(entry.leaf, bundle, &self.totals);
        self.clients[client].agent_count += usize::from(is_first);
    }

    /// Counts what came back from a client; `is_last` if it holds nothing there any more. Then [`Self::retire`] it.
    pub(crate) fn credit(&mut self, client: Slot<Client>, bundle: &Bundle, is_last: bool) {
        let Client { role, leaf, .. } = self.clients[client];
        let entry = &mut self.roles[role];
        entry.sorter.credit(leaf, bundle, &self.totals);
        self.sorter.credit(entry.leaf, bundle, &self.totals);
        self.clients[client].agent_count -= usize::from(is_last);
    }

    pub(crate) fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.sorter.set_weight(role.as_str(), weight, &self.totals);
    }

    /// The first active client, in order, that `may_take` agrees to.
    pub(crate) fn first(&mut self, mut may_take: impl FnMut(Slot<Client>) -> bool) -> Option<Slot<Client>> {
        let Self { totals, sorter, roles, .. } = self;
        sorter.refresh(totals);
        sorter.first(|role| {
            let clients = &mut roles[role].sorter;
            clients.refresh(totals);
            clients.first(|client| may_take(client).then_some(client))
        })
    }

    /// The framework and the role that a client stands for.
    pub(crate) fn name(&self, client: Slot<Client>) -> (&FrameworkId, &Role) {
        let client = &self.clients[client];
        (&client.framework, &self.roles[client.role].role)
    }

    pub(crate) fn client_share(&self, client: Slot<Client>) -> Share {
        let client = &self.clients[client];
        self.roles[client.role].sorter.share(client.leaf, &self.totals)
    }

    /// The nodes of the tree of roles, by path.
    pub(crate) fn role_nodes(&self) -> impl Iterator<Item = &Node<impl Sized>> {
        self.sorter.inner()
    }

    fn role_entry(&mut self, role: &Role) -> Slot<RoleEntry> {
        if let Some(&slot) = self.by_name.get(role) {
            return slot;
        }
        let slot = self.roles.insert_with(|slot| RoleEntry {
            role: role.clone(),
            leaf: self.sorter.insert(&format!("{role}/."), slot),
            sorter: Sorter::new(BTreeMap::new()),
            clients: BTreeMap::new(),
        });
        self.by_name.insert(role.clone(), slot);
        slot
    }

    /// Removes a client if it is neither subscribed nor holding anything, and its role with the last client.
    pub(crate) fn retire(&mut self, slot: Slot<Client>) {
        let client = &self.clients[slot];
        if client.is_subscribed || client.agent_count > 0 {
            return;
        }
        let Some(client) = self.clients.remove(slot) else { return };
        let entry = &mut self.roles[client.role];
        entry.clients.remove(&client.framework);
        entry.sorter.remove(client.leaf, &self.totals);
        if !entry.clients.is_empty() {
            return;
        }
        if let Some(entry) = self.roles.remove(client.role) {
            self.by_name.remove(&entry.role);
            self.sorter.remove(entry.leaf, &self.totals);
        }
    }
}
