//! Orders clients by dominant share in a tree of paths; used for roles, and for the frameworks of each role.
//!
//! Siblings are ordered by share, then by how often they were given something, then by path; the clients
//! follow in pre-order. A client sits in a leaf. The leaf of a role ends in `/.`, so that a role can have both
//! frameworks of its own and roles below it, and both are siblings in the order.
//!
//! Only clients that are active are in the order, but all count in the share of what is above them. A charge
//! moves only the nodes on its path. A change of the totals changes every share, so the order is made anew,
//! once, when it is next asked for. The sorter knows neither quota nor filters.
//!
//! A sorter may also order by chance: a leaf then comes first with a probability of the product, down its path,
//! of each weight over the sum of those of the active siblings.

use crate::lottery::Lottery;
use crate::random::Random;
use crate::share::{Share, Weight};
use crate::slots::{Slot, Slots};
use crate::totals::{Sums, Totals};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How clients are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SorterKind {
    /// The smallest dominant share first.
    #[default]
    Drf,
    /// By chance, in proportion to the weights.
    Random,
}

/// Of a shared volume: the node that holds it, and which volume of which agent it is.
type SharedKey<C> = (Slot<Node<C>>, u32, u32);

/// A tree of clients of type `C`.
#[derive(Debug)]
pub(crate) struct Sorter<C> {
    random: Option<Random>,
    /// For the order by chance, made anew when who is active or a weight changes.
    lottery: Option<Lottery<C>>,
    /// How many copies of a shared volume each node holds; it counts as one.
    shared: BTreeMap<SharedKey<C>, u64>,
    nodes: Slots<Node<C>>,
    root: Slot<Node<C>>,
    by_path: BTreeMap<Arc<str>, Slot<Node<C>>>,
    weights: BTreeMap<String, Weight>,
    /// The generation of the totals for which the whole order holds.
    generation: u64,
}

/// A part of a grant that others may hold as well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharedPart {
    pub(crate) agent: u32,
    pub(crate) kind: u32,
    pub(crate) copies: u64,
    pub(crate) name: u32,
    /// Of one copy, in thousandths.
    pub(crate) size: u64,
}

/// A step of a path, or a client at its end.
#[derive(Debug)]
pub(crate) struct Node<C> {
    path: Arc<str>,
    parent: Option<Slot<Node<C>>>,
    child_count: usize,
    client: Option<C>,
    weight: Weight,
    allocated: Sums,
    /// How often this node or one below it was given something; never counts down.
    grant_count: u64,
    /// Active clients here and below.
    active_count: usize,
    /// The children with active clients, in order.
    order: BTreeSet<Key<C>>,
    /// This node's own key in the order of its parent.
    key: Option<Key<C>>,
}

/// Where a node stands among its siblings.
#[derive(Debug)]
struct Key<C> {
    /// The share's, at hand.
    steps: Option<u64>,
    share: Share,
    grant_count: u64,
    path: Arc<str>,
    node: Slot<Node<C>>,
    /// The node's, at hand.
    client: Option<C>,
}

impl<C: Copy> Sorter<C> {
    /// An empty tree; `weights` by path, one where none is given.
    pub(crate) fn new(weights: BTreeMap<String, Weight>, random: Option<Random>) -> Self {
        let mut nodes = Slots::new();
        let root = nodes.insert(Node::new("".into(), None, Weight::ONE));
        let (lottery, shared, by_path) = (None, BTreeMap::new(), BTreeMap::new());
        Self { random, lottery, shared, nodes, root, by_path, weights, generation: 0 }
    }

    /// Adds an inactive client that holds nothing; no client is at or above this path.
    pub(crate) fn insert(&mut self, path: &str, client: C) -> Slot<Node<C>> {
        let mut parent = self.root;
        for (end, _) in path.match_indices('/') {
            parent = self.node_at(&path[..end], parent);
        }
        let leaf = self.node_at(path, parent);
        self.nodes[leaf].client = Some(client);
        leaf
    }

    /// Removes a client that holds nothing, and what of its path leads nowhere then.
    pub(crate) fn remove(&mut self, leaf: Slot<Node<C>>, totals: &Totals) {
        self.set_active(leaf, false, totals);
        let mut next = Some(leaf);
        while let Some(slot) = next.filter(|slot| self.nodes[*slot].child_count == 0) {
            let Some(parent) = self.nodes[slot].parent else { return };
            self.by_path.remove(&self.nodes[slot].path);
            self.nodes.remove(slot);
            self.nodes[parent].child_count -= 1;
            next = Some(parent);
        }
    }

    /// Lets a client take part in the order, or not.
    pub(crate) fn set_active(&mut self, leaf: Slot<Node<C>>, active: bool, totals: &Totals) {
        if (self.nodes[leaf].active_count > 0) == active {
            return;
        }
        self.lottery = None;
        self.for_path(leaf, totals, |node| if active { node.active_count += 1 } else { node.active_count -= 1 });
    }

    /// Counts what a client was given, and that it was given something.
    pub(crate) fn charge(&mut self, leaf: Slot<Node<C>>, amounts: &[(u32, u64)], totals: &Totals) {
        self.for_path(leaf, totals, |node| {
            node.allocated.add(amounts);
            node.grant_count += 1;
        });
    }

    /// Replaces some of what was charged; that is no grant.
    pub(crate) fn swap(&mut self, leaf: Slot<Node<C>>, old: &[(u32, u64)], new: &[(u32, u64)], totals: &Totals) {
        self.for_path(leaf, totals, |node| {
            node.allocated.add(new);
            node.allocated.sub(old);
        });
    }

    /// Takes back some of what was charged.
    pub(crate) fn credit(&mut self, leaf: Slot<Node<C>>, amounts: &[(u32, u64)], totals: &Totals) {
        self.for_path(leaf, totals, |node| node.allocated.sub(amounts));
    }

    /// Counts copies of a shared volume, as one for each node however many clients below it hold it.
    pub(crate) fn charge_shared(&mut self, leaf: Slot<Node<C>>, shared: &SharedPart, totals: &Totals) {
        let SharedPart { agent, kind, copies, name, size } = *shared;
        let mut next = Some(leaf);
        while let Some(slot) = next {
            let held = self.shared.entry((slot, agent, kind)).or_insert(0);
            *held += copies;
            if *held == copies {
                self.nodes[slot].allocated.add(&[(name, size)]);
                self.reposition(slot, totals);
            }
            next = self.nodes[slot].parent;
        }
    }

    /// Ends [`Self::charge_shared`]; a node is credited when nobody below it holds the volume any more.
    pub(crate) fn credit_shared(&mut self, leaf: Slot<Node<C>>, shared: &SharedPart, totals: &Totals) {
        let SharedPart { agent, kind, copies, name, size } = *shared;
        let mut next = Some(leaf);
        while let Some(slot) = next {
            let held = self.shared.get_mut(&(slot, agent, kind)).expect("only what was charged is credited");
            *held -= copies;
            if *held == 0 {
                self.shared.remove(&(slot, agent, kind));
                self.nodes[slot].allocated.sub(&[(name, size)]);
                self.reposition(slot, totals);
            }
            next = self.nodes[slot].parent;
        }
    }

    /// Sets the weight of a path, whether or not there is a client at it now.
    pub(crate) fn set_weight(&mut self, path: &str, weight: Weight, totals: &Totals) {
        self.weights.insert(path.to_owned(), weight);
        self.lottery = None;
        if let Some(&slot) = self.by_path.get(path) {
            self.nodes[slot].weight = weight;
            self.reposition(slot, totals);
        }
    }

    /// Makes the order hold for the totals of now; call it before [`Self::first`].
    pub(crate) fn refresh(&mut self, totals: &Totals) {
        if self.generation == totals.generation() {
            return;
        }
        self.generation = totals.generation();
        let slots: Vec<_> = self.nodes.slots().collect();
        for slot in slots {
            let stale = std::mem::take(&mut self.nodes[slot].order);
            let keys: Vec<Key<C>> = stale.iter().map(|key| self.nodes[key.node].key(key.node, totals)).collect();
            for key in &keys {
                self.nodes[key.node].key = Some(key.clone());
            }
            self.nodes[slot].order = keys.into_iter().collect();
        }
    }

    /// The answer of the first active client, in order, that gives one.
    pub(crate) fn first<R>(&mut self, mut answer: impl FnMut(C) -> Option<R>) -> Option<R> {
        let Some(mut random) = self.random.take() else { return self.first_below(self.root, &mut answer) };
        let lottery = self.lottery.take().unwrap_or_else(|| self.new_lottery());
        let found = lottery.draw(&mut random, answer);
        (self.random, self.lottery) = (Some(random), Some(lottery));
        found
    }

    fn new_lottery(&self) -> Lottery<C> {
        let mut tickets = Vec::new();
        self.tickets(self.root, Lottery::<C>::WHOLE, &mut tickets);
        Lottery::new(tickets)
    }

    /// The clients below a node, and what of the node's chance is theirs.
    fn tickets(&self, slot: Slot<Node<C>>, chance: u64, tickets: &mut Vec<(C, u64)>) {
        let children = || self.nodes[slot].order.iter().map(|key| key.node);
        let weight = |child: Slot<Node<C>>| u128::from(self.nodes[child].weight.thousandths());
        let sum = children().map(weight).sum::<u128>().max(1);
        for child in children() {
            let share = u64::try_from(u128::from(chance) * weight(child) / sum).expect("a part of 64 bits");
            match self.nodes[child].client {
                Some(client) => tickets.push((client, share.max(1))),
                None => self.tickets(child, share, tickets),
            }
        }
    }

    /// What of a whole is a leaf's by the weights of the active siblings down its path and its own, rounded down.
    pub(crate) fn part_of(&self, leaf: Slot<Node<C>>, whole: u64) -> u64 {
        let (mut part, mut slot) = (whole, leaf);
        while let Some(parent) = self.nodes[slot].parent {
            let weight = |slot: Slot<Node<C>>| u128::from(self.nodes[slot].weight.thousandths());
            let sum: u128 = self.nodes[parent].order.iter().map(|key| weight(key.node)).sum();
            let own = if self.nodes[slot].active_count > 0 { 0 } else { weight(slot) };
            part = u64::try_from(u128::from(part) * weight(slot) / (sum + own)).expect("a part of 64 bits");
            slot = parent;
        }
        part
    }

    /// A leaf and the nodes above it, without the root and those that another leaf has in common with it.
    pub(crate) fn levels(
        &self,
        leaf: Slot<Node<C>>,
        other: Option<Slot<Node<C>>>,
    ) -> impl Iterator<Item = Slot<Node<C>>> {
        let above = |slot: &Slot<Node<C>>| self.nodes[*slot].parent;
        let others: BTreeSet<_> = std::iter::successors(other, above).chain([self.root]).collect();
        std::iter::successors(Some(leaf), above).take_while(move |slot| !others.contains(slot))
    }

    /// Where a node is.
    pub(crate) fn path(&self, node: Slot<Node<C>>) -> &str {
        &self.nodes[node].path
    }

    /// What a node was charged and not credited.
    pub(crate) fn allocated(&self, node: Slot<Node<C>>) -> &Sums {
        &self.nodes[node].allocated
    }

    /// Whether any client is active.
    pub(crate) fn is_active(&self) -> bool {
        self.nodes[self.root].active_count > 0
    }

    /// The share of a node as of now.
    pub(crate) fn share(&self, node: Slot<Node<C>>, totals: &Totals) -> Share {
        self.nodes[node].share(totals)
    }

    /// The steps of all paths, without the clients' leaves, by path.
    pub(crate) fn inner(&self) -> impl Iterator<Item = &Node<C>> {
        self.by_path.values().map(|slot| &self.nodes[*slot]).filter(|node| node.client.is_none())
    }

    fn first_below<R>(&self, slot: Slot<Node<C>>, answer: &mut impl FnMut(C) -> Option<R>) -> Option<R> {
        self.nodes[slot].order.iter().find_map(|key| match key.client {
            Some(client) => answer(client),
            None => self.first_below(key.node, answer),
        })
    }

    fn node_at(&mut self, path: &str, parent: Slot<Node<C>>) -> Slot<Node<C>> {
        if let Some(&slot) = self.by_path.get(path) {
            return slot;
        }
        let weight = self.weights.get(path).copied().unwrap_or(Weight::ONE);
        let path: Arc<str> = path.into();
        let slot = self.nodes.insert(Node::new(Arc::clone(&path), Some(parent), weight));
        self.by_path.insert(path, slot);
        self.nodes[parent].child_count += 1;
        slot
    }

    /// Changes every node from a leaf to the root, and moves each to its new place.
    fn for_path(&mut self, leaf: Slot<Node<C>>, totals: &Totals, mut change: impl FnMut(&mut Node<C>)) {
        let mut next = Some(leaf);
        while let Some(slot) = next {
            change(&mut self.nodes[slot]);
            self.reposition(slot, totals);
            next = self.nodes[slot].parent;
        }
    }

    fn reposition(&mut self, slot: Slot<Node<C>>, totals: &Totals) {
        let node = &mut self.nodes[slot];
        let Some(parent) = node.parent else { return };
        let is_active = node.active_count > 0;
        match (node.key.is_some(), is_active) {
            (false, false) => return,
            // Who has no siblings in the order is first with any key; the right one is made when one joins.
            (true, true) if self.nodes[parent].order.len() == 1 => return,
            (false, true) => self.renew_only_child(parent, totals),
            _ => {}
        }
        let node = &mut self.nodes[slot];
        let new = is_active.then(|| node.key(slot, totals));
        let old = std::mem::replace(&mut node.key, new.clone());
        let order = &mut self.nodes[parent].order;
        if let Some(old) = old {
            order.remove(&old);
        }
        order.extend(new);
    }

    /// Gives the only child in an order the key that it should have.
    fn renew_only_child(&mut self, parent: Slot<Node<C>>, totals: &Totals) {
        let order = &mut self.nodes[parent].order;
        if order.len() != 1 {
            return;
        }
        let Some(old) = order.pop_first() else { return };
        let new = self.nodes[old.node].key(old.node, totals);
        self.nodes[old.node].key = Some(new.clone());
        self.nodes[parent].order.insert(new);
    }
}

impl<C: Copy> Node<C> {
    fn new(path: Arc<str>, parent: Option<Slot<Self>>, weight: Weight) -> Self {
        Self {
            path,
            parent,
            child_count: 0,
            client: None,
            weight,
            allocated: Sums::default(),
            grant_count: 0,
            active_count: 0,
            order: BTreeSet::new(),
            key: None,
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn weight(&self) -> Weight {
        self.weight
    }

    pub(crate) fn allocated(&self) -> &Sums {
        &self.allocated
    }

    pub(crate) fn grant_count(&self) -> u64 {
        self.grant_count
    }

    /// The largest part of any scalar of the cluster, per weight.
    pub(crate) fn share(&self, totals: &Totals) -> Share {
        let parts = totals.parts(&self.allocated).map(|(part, whole)| Share::of(part, whole));
        parts.max().unwrap_or(Share::ZERO).per(self.weight)
    }

    fn key(&self, node: Slot<Self>, totals: &Totals) -> Key<C> {
        let (path, client, share) = (Arc::clone(&self.path), self.client, self.share(totals));
        Key { steps: share.steps(), share, grant_count: self.grant_count, path, node, client }
    }
}

// Not derived, because a derive would ask the same traits of `C`.
impl<C: Copy> Clone for Key<C> {
    fn clone(&self) -> Self {
        Self { path: Arc::clone(&self.path), ..*self }
    }
}
impl<C> Ord for Key<C> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_share = match (self.steps, other.steps) {
            (Some(steps), Some(others)) if steps != others => steps.cmp(&others),
            _ => self.share.cmp(&other.share),
        };
        by_share.then(self.grant_count.cmp(&other.grant_count)).then_with(|| self.path.cmp(&other.path))
    }
}
impl<C> PartialOrd for Key<C> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<C> PartialEq for Key<C> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<C> Eq for Key<C> {}

#[cfg(test)]
#[path = "sorter_test.rs"]
mod tests;
