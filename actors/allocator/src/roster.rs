//! Who may be given something, and who is next: roles, their frameworks, and what each was given.
//!
//! A client is one framework under one role. It stays while the framework is subscribed to the role or still
//! holds something under it, so that tasks of a framework that is gone, or not back yet, count in the role.
//! Not here: what an agent has, and filters.

use crate::bits::Bits;
use crate::books::{Book, Books};
use crate::bundle::Bundle;
use crate::constraints::Constraints;
use crate::kinds::{Kind, Kinds};
use crate::lottery::Lottery;
use crate::profile::Capabilities;
use crate::quota::QuotaLevels;
use crate::random::Random;
use crate::share::{Share, Weight};
use crate::slots::{Slot, Slots};
use crate::sorter::{Node, SharedPart, Sorter, SorterKind};
use crate::totals::{Amounts, Totals};
use odeon_protocol::id::FrameworkId;
use odeon_protocol::role::Role;
use std::collections::BTreeMap;

/// All roles and clients, in order.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) totals: Totals,
    pub(crate) books: Books,
    framework_sorter: SorterKind,
    random: Random,
    /// How many clients have minimum sizes of their own.
    own_minimum_count: usize,
    sorter: Sorter<Slot<RoleEntry>>,
    roles: Slots<RoleEntry>,
    by_name: BTreeMap<Role, Slot<RoleEntry>>,
    clients: Slots<Client>,
    /// Who takes part in the order.
    active: Bits<Client>,
}

/// A role that has clients.
#[derive(Debug)]
struct RoleEntry {
    role: Role,
    book: Slot<Book>,
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
    terms: Terms,
}

/// What a client takes, and what not.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) capabilities: Capabilities,
    /// In place of the cluster's minimum sizes.
    pub(crate) minimum: Option<Vec<Amounts>>,
    pub(crate) constraints: Option<Constraints>,
    /// What it could use, if it said so.
    pub(crate) demand: Option<Vec<Amounts>>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { capabilities: Capabilities::ALL, minimum: None, constraints: None, demand: None }
    }
}

/// Whoever looks at roles and their clients in order.
pub(crate) trait Visitor {
    /// Whether the clients of a role are of interest, and whether anything is.
    fn enter(&mut self, role: RoleView<'_>, books: &Books) -> Interest;
    /// Looks at a client; the answer says whether the walk ends here.
    fn visit(&mut self, slot: Slot<Client>, terms: &Terms, role: RoleView<'_>, books: &mut Books) -> bool;
}

/// A role, and where its quota is booked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoleView<'a> {
    pub(crate) role: &'a Role,
    pub(crate) book: Slot<Book>,
}

/// What a visitor says of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Show its clients.
    Clients,
    /// Go on to the next role.
    Next,
    /// End the walk.
    End,
}

/// How a roster works from the start.
#[derive(Debug)]
pub(crate) struct RosterRules {
    pub(crate) totals: Totals,
    pub(crate) quota_levels: QuotaLevels,
    pub(crate) weights: BTreeMap<Role, Weight>,
    pub(crate) role_sorter: SorterKind,
    pub(crate) framework_sorter: SorterKind,
    pub(crate) seed: u64,
}

impl Roster {
    pub(crate) fn new(rules: RosterRules) -> Self {
        let weights = rules.weights.into_iter().map(|(role, weight)| (role.into(), weight)).collect();
        let mut random = Random::new(rules.seed);
        let role_random = (rules.role_sorter == SorterKind::Random).then(|| Random::new(random.next()));
        Self {
            totals: rules.totals,
            books: Books::new(rules.quota_levels),
            framework_sorter: rules.framework_sorter,
            random,
            own_minimum_count: 0,
            sorter: Sorter::new(weights, role_random),
            roles: Slots::new(),
            by_name: BTreeMap::new(),
            clients: Slots::new(),
            active: Bits::default(),
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
            terms: Terms::default(),
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
        self.active.set(client, active);
        self.sorter.set_active(entry.leaf, entry.sorter.is_active(), &self.totals);
    }

    /// Who takes part in the order.
    pub(crate) fn active(&self) -> &Bits<Client> {
        &self.active
    }

    /// Sets what a client takes.
    pub(crate) fn set_terms(&mut self, client: Slot<Client>, terms: Terms) {
        let client = &mut self.clients[client];
        self.own_minimum_count -= usize::from(client.terms.minimum.is_some());
        self.own_minimum_count += usize::from(terms.minimum.is_some());
        client.terms = terms;
    }

    /// Whether the cluster's minimum sizes hold for everyone.
    pub(crate) fn is_minimum_common(&self) -> bool {
        self.own_minimum_count == 0
    }

    /// Counts what a client was given on an agent, but not in the books of quota; see [`Self::book`].
    pub(crate) fn charge(&mut self, given: &Given<'_>, kinds: &Kinds) {
        let Client { role, leaf, .. } = self.clients[given.client];
        let entry = &mut self.roles[role];
        let amounts = kinds.amounts(given.bundle, |kind| !kind.is_shared);
        entry.sorter.charge(leaf, &amounts, &self.totals);
        self.sorter.charge(entry.leaf, &amounts, &self.totals);
        for shared in given.shared(kinds) {
            entry.sorter.charge_shared(leaf, &shared, &self.totals);
            self.sorter.charge_shared(entry.leaf, &shared, &self.totals);
        }
        self.clients[given.client].agent_count += usize::from(given.is_only);
    }

    /// Counts what came back from a client; then [`Self::retire`] it.
    pub(crate) fn credit(&mut self, given: &Given<'_>, kinds: &Kinds) {
        let Client { role, leaf, .. } = self.clients[given.client];
        let entry = &mut self.roles[role];
        let amounts = kinds.amounts(given.bundle, |kind| !kind.is_shared);
        entry.sorter.credit(leaf, &amounts, &self.totals);
        self.sorter.credit(entry.leaf, &amounts, &self.totals);
        for shared in given.shared(kinds) {
            entry.sorter.credit_shared(leaf, &shared, &self.totals);
            self.sorter.credit_shared(entry.leaf, &shared, &self.totals);
        }
        self.clients[given.client].agent_count -= usize::from(given.is_only);
    }

    /// Puts what a client was given into the books of quota.
    pub(crate) fn book(&mut self, client: Slot<Client>, bundle: &Bundle, kinds: &Kinds) {
        let book = self.roles[self.clients[client].role].book;
        self.books.add_used(book, &kinds.amounts(bundle, Kind::is_quotable));
    }

    /// Ends [`Self::book`].
    pub(crate) fn unbook(&mut self, client: Slot<Client>, bundle: &Bundle, kinds: &Kinds) {
        let book = self.roles[self.clients[client].role].book;
        self.books.sub_used(book, &kinds.amounts(bundle, Kind::is_quotable));
    }

    /// Replaces a part of what a client holds by something else of the same agent; that is no grant.
    pub(crate) fn convert(&mut self, old: &Given<'_>, new: &Given<'_>, kinds: &Kinds) {
        let Client { role, leaf, .. } = self.clients[old.client];
        let entry = &mut self.roles[role];
        let amounts = |given: &Given<'_>| kinds.amounts(given.bundle, |kind| !kind.is_shared);
        entry.sorter.swap(leaf, &amounts(old), &amounts(new), &self.totals);
        self.sorter.swap(entry.leaf, &amounts(old), &amounts(new), &self.totals);
        for shared in new.shared(kinds) {
            entry.sorter.charge_shared(leaf, &shared, &self.totals);
            self.sorter.charge_shared(entry.leaf, &shared, &self.totals);
        }
        for shared in old.shared(kinds) {
            entry.sorter.credit_shared(leaf, &shared, &self.totals);
            self.sorter.credit_shared(entry.leaf, &shared, &self.totals);
        }
        self.unbook(old.client, old.bundle, kinds);
        self.book(new.client, new.bundle, kinds);
    }

    pub(crate) fn set_weight(&mut self, role: &Role, weight: Weight) {
        self.sorter.set_weight(role.as_str(), weight, &self.totals);
    }

    /// Shows the active clients to a visitor, in order; what the visitor decides does not change this walk.
    pub(crate) fn walk(&mut self, visitor: &mut impl Visitor) {
        let Self { totals, sorter, roles, clients, books, .. } = self;
        sorter.refresh(totals);
        sorter.first(|slot| {
            let RoleEntry { role, book, sorter, .. } = &mut roles[slot];
            let view = RoleView { role, book: *book };
            match visitor.enter(view, books) {
                Interest::Clients => {}
                Interest::Next => return None,
                Interest::End => return Some(()),
            }
            sorter.refresh(totals);
            sorter.first(|client| visitor.visit(client, &clients[client].terms, view, books).then_some(()))
        });
    }

    /// What a client takes, and its role.
    pub(crate) fn view(&self, slot: Slot<Client>) -> (&Terms, RoleView<'_>) {
        let client = &self.clients[slot];
        let RoleEntry { role, book, .. } = &self.roles[client.role];
        (&client.terms, RoleView { role, book: *book })
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

    /// How much of a name a client may have before it is above its even part by weights, among those in the order.
    pub(crate) fn room_to_fair_part(&self, client: Slot<Client>, name: u32) -> u128 {
        let (fair, has) = self.fair_and_held(client, name);
        fair.saturating_sub(has)
    }

    /// As [`Self::room_to_fair_part`], and no more than what its role and each role above lack to theirs.
    pub(crate) fn lack(&self, client: Slot<Client>, name: u32) -> u128 {
        let leaf = self.roles[self.clients[client].role].leaf;
        let levels = self.sorter.levels(leaf, None).map(|node| {
            let part = self.part_of_total(self.sorter.part_of(node, Lottery::<()>::WHOLE), name);
            part.saturating_sub(self.sorter.allocated(node).get(name))
        });
        levels.fold(self.room_to_fair_part(client, name), u128::min)
    }

    /// What of a name a client and the roles above it hold above their even parts, up to where the path of another
    /// client meets theirs, and above the guarantees of all of them.
    pub(crate) fn excess(&self, client: Slot<Client>, other: Slot<Client>, name: u32) -> Excess {
        let (fair, has) = self.fair_and_held(client, name);
        let [leaf, other] = [client, other].map(|client| self.roles[self.clients[client].role].leaf);
        let above_parts = self.sorter.levels(leaf, Some(other)).map(|node| {
            let part = self.part_of_total(self.sorter.part_of(node, Lottery::<()>::WHOLE), name);
            (self.sorter.path(node).to_owned(), self.sorter.allocated(node).get(name).saturating_sub(part))
        });
        let book = self.roles[self.clients[client].role].book;
        let levels = above_parts.chain(self.books.above_guarantees(book, name)).collect();
        Excess { own: has.saturating_sub(fair), levels }
    }

    fn fair_and_held(&self, client: Slot<Client>, name: u32) -> (u128, u128) {
        let Client { role, leaf, .. } = &self.clients[client];
        let entry = &self.roles[*role];
        let part = self.sorter.part_of(entry.leaf, Lottery::<()>::WHOLE);
        let fair = self.part_of_total(entry.sorter.part_of(*leaf, part), name);
        (fair, entry.sorter.allocated(*leaf).get(name))
    }

    /// A part of all that the cluster has of a name.
    fn part_of_total(&self, part: u64, name: u32) -> u128 {
        let (whole, part, total) = (u128::from(Lottery::<()>::WHOLE), u128::from(part), self.totals.get(name));
        total / whole * part + total % whole * part / whole
    }

    /// The nodes of the tree of roles, by path.
    pub(crate) fn role_nodes(&self) -> impl Iterator<Item = &Node<impl Copy>> {
        self.sorter.inner()
    }

    fn role_entry(&mut self, role: &Role) -> Slot<RoleEntry> {
        if let Some(&slot) = self.by_name.get(role) {
            return slot;
        }
        let random = (self.framework_sorter == SorterKind::Random).then(|| Random::new(self.random.next()));
        let slot = self.roles.insert_with(|slot| RoleEntry {
            role: role.clone(),
            book: self.books.keep(role.as_str()),
            leaf: self.sorter.insert(&format!("{role}/."), slot),
            sorter: Sorter::new(BTreeMap::new(), random),
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
        self.own_minimum_count -= usize::from(client.terms.minimum.is_some());
        let entry = &mut self.roles[client.role];
        entry.clients.remove(&client.framework);
        entry.sorter.remove(client.leaf, &self.totals);
        if !entry.clients.is_empty() {
            return;
        }
        if let Some(entry) = self.roles.remove(client.role) {
            self.by_name.remove(&entry.role);
            self.books.let_go(entry.book);
            self.sorter.remove(entry.leaf, &self.totals);
        }
    }
}

/// What a client holds above what is its own.
#[derive(Debug)]
pub(crate) struct Excess {
    /// Above its even part.
    pub(crate) own: u128,
    /// By path: above the even part, or the guarantee, of a role together with all below it. A path that ends in `/.`
    /// is a role without those below.
    pub(crate) levels: Vec<(String, u128)>,
}

/// A part of an agent that a client was given, gives back or exchanges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    pub(crate) client: Slot<Client>,
    /// The number of the agent.
    pub(crate) agent: u32,
    pub(crate) bundle: &'a Bundle,
    /// Whether the client holds nothing else there: before it is given, or after it came back.
    pub(crate) is_only: bool,
    /// What the agent has; tells how much one copy of a shared volume is.
    pub(crate) total: &'a Bundle,
}

impl Given<'_> {
    /// The shared volumes in it.
    fn shared(&self, kinds: &Kinds) -> Vec<SharedPart> {
        let shared = self.bundle.scalars.iter().filter(|(kind, _)| kinds.kind(*kind).is_shared);
        let part = |(kind, amount): &(u32, u64)| {
            let size = self.total.scalar(*kind).max(1);
            SharedPart { agent: self.agent, kind: *kind, copies: amount / size, name: kinds.kind(*kind).name, size }
        };
        shared.map(part).collect()
    }
}
