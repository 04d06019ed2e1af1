//! `Group<I>`: several actors that do the same work, of which one, all, or the one of a key is meant.
//!
//! A group is a value: it knows the members it was given. Who they are is found elsewhere, by the deployer for instance;
//! a group sends nothing by itself and does not notice that a member is gone.

use crate::name::ActorName;
use crate::peer::Peer;
use crate::placement::{self, HandOver};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Actors of one interface, each known by its name, near or far.
///
/// A member that comes back elsewhere behind its name is the same member and keeps its keys.
pub struct Group<I> {
    members: BTreeMap<ActorName, Peer<I>>,
    turn: AtomicUsize,
}

impl<I> Group<I> {
    /// A group of these; of two with the same name the last is the member.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = Peer<I>>) -> Self {
        let members = members.into_iter().map(|peer| (peer.actor().clone(), peer)).collect();
        Self { members, turn: AtomicUsize::new(0) }
    }

    /// One of the members, each in its turn; none if there are none.
    pub fn one(&self) -> Option<&Peer<I>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.members.values().nth(turn.checked_rem(self.members.len())?)
    }

    /// All members, in the order of their names.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Peer<I>> {
        self.members.values()
    }

    /// The member that has a key; none if there are none. All who know the same members agree on it, and a member that
    /// joins or leaves moves no key between two others.
    #[must_use]
    pub fn by_key(&self, key: &[u8]) -> Option<&Peer<I>> {
        self.members.get(placement::owner(self.members.keys(), key)?)
    }

    /// Replaces the members; the result says what moves, for whoever keeps something for the keys.
    #[must_use]
    pub fn change(&mut self, members: impl IntoIterator<Item = Peer<I>>) -> HandOver {
        let before = self.names();
        self.members = Self::new(members).members;
        HandOver::new(before, self.names())
    }

    fn names(&self) -> BTreeSet<ActorName> {
        self.members.keys().cloned().collect()
    }
}

impl<I> fmt::Debug for Group<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.members.values()).finish()
    }
}
