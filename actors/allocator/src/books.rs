//! What each role uses of the cluster in the sense of quota, and what has to be held back for guarantees.
//!
//! A role has consumed its reservations, used or not, and the unreserved, non-revocable scalars that its
//! frameworks hold; with all roles below it. All sums are kept as events come, none is made anew in a run.
//! Who is next is not decided here.

use crate::quota::QuotaLevels;
use crate::slots::{Slot, Slots};
use crate::totals::{Amounts, Sums};
use std::collections::BTreeMap;

/// The books of all roles that have a framework, a reservation or a quota, and of the roles above them.
#[derive(Debug)]
pub(crate) struct Books {
    levels: QuotaLevels,
    books: Slots<Book>,
    by_path: BTreeMap<String, Slot<Book>>,
    /// Unreserved and non-revocable scalars of the cluster, and what of them is held.
    total: Sums,
    used: Sums,
    /// What the top-level roles need to have their guarantees.
    needed: Sums,
    bound_count: usize,
    guarantee_count: usize,
}

/// The book of one role.
#[derive(Debug)]
pub(crate) struct Book {
    path: String,
    parent: Option<Slot<Book>>,
    /// Books right below this one, and whoever else relies on it.
    pins: usize,
    reserved: Sums,
    used: Sums,
    guarantees: Amounts,
    limits: Amounts,
    is_bound: bool,
    /// What is missing of the guarantees here and below.
    needed: Sums,
    needed_below: Sums,
}

impl Books {
    pub(crate) fn new(levels: QuotaLevels) -> Self {
        Self {
            levels,
            books: Slots::new(),
            by_path: BTreeMap::new(),
            total: Sums::default(),
            used: Sums::default(),
            needed: Sums::default(),
            bound_count: 0,
            guarantee_count: 0,
        }
    }

    pub(crate) fn levels(&self) -> QuotaLevels {
        self.levels
    }

    /// The book of a path, kept until it is let go as often as it was kept.
    pub(crate) fn keep(&mut self, path: &str) -> Slot<Book> {
        let slot = self.by_path.get(path).copied().unwrap_or_else(|| self.open(path));
        self.books[slot].pins += 1;
        slot
    }

    /// Ends one [`Self::keep`].
    pub(crate) fn let_go(&mut self, slot: Slot<Book>) {
        let mut next = Some(slot);
        while let Some(slot) = next {
            let book = &mut self.books[slot];
            book.pins -= 1;
            if book.pins > 0 {
                return;
            }
            let Some(book) = self.books.remove(slot) else { return };
            self.by_path.remove(&book.path);
            next = book.parent;
        }
    }

    /// Whether any role has a quota; without one, nothing is ever held back.
    pub(crate) fn is_any_bound(&self) -> bool {
        self.bound_count > 0
    }

    /// Whether any role has a guarantee.
    pub(crate) fn is_any_guaranteed(&self) -> bool {
        self.guarantee_count > 0
    }

    /// Whether any guarantee is not met.
    pub(crate) fn is_any_needed(&self) -> bool {
        self.needed.iter().any(|needed| needed > 0)
    }

    /// Sets the quota of a book; empty lists end it.
    pub(crate) fn set_quota(&mut self, path: &str, guarantees: Amounts, limits: Amounts, is_bound: bool) {
        let slot = self.keep(path);
        let before = self.books[slot].is_bound;
        let book = &mut self.books[slot];
        self.guarantee_count -= usize::from(!book.guarantees.is_empty());
        self.guarantee_count += usize::from(!guarantees.is_empty());
        (book.guarantees, book.limits, book.is_bound) = (guarantees, limits, is_bound);
        self.renew_needs();
        match (before, is_bound) {
            (false, true) => self.bound_count += 1,
            (true, false) => {
                self.bound_count -= 1;
                self.let_go(slot);
                self.let_go(slot);
            }
            _ => self.let_go(slot),
        }
    }

    /// Counts what an agent has, or has no more: its unreserved part.
    pub(crate) fn add_total(&mut self, amounts: &[(u32, u64)]) {
        self.total.add(amounts);
    }

    /// Ends [`Self::add_total`].
    pub(crate) fn sub_total(&mut self, amounts: &[(u32, u64)]) {
        self.total.sub(amounts);
    }

    /// Counts a reservation.
    pub(crate) fn add_reserved(&mut self, slot: Slot<Book>, amounts: &[(u32, u64)]) {
        self.for_path(slot, amounts, |book| book.reserved.add(amounts));
    }

    /// Ends [`Self::add_reserved`].
    pub(crate) fn sub_reserved(&mut self, slot: Slot<Book>, amounts: &[(u32, u64)]) {
        self.for_path(slot, amounts, |book| book.reserved.sub(amounts));
    }

    /// Counts what a framework was given of the unreserved resources.
    pub(crate) fn add_used(&mut self, slot: Slot<Book>, amounts: &[(u32, u64)]) {
        self.used.add(amounts);
        self.for_path(slot, amounts, |book| book.used.add(amounts));
    }

    /// Ends [`Self::add_used`].
    pub(crate) fn sub_used(&mut self, slot: Slot<Book>, amounts: &[(u32, u64)]) {
        self.used.sub(amounts);
        self.for_path(slot, amounts, |book| book.used.sub(amounts));
    }

    /// What is missing of a role's guarantees: its own, or also those of roles above if they bind it.
    pub(crate) fn unsatisfied(&self, slot: Slot<Book>) -> BTreeMap<u32, u128> {
        let mut missing = BTreeMap::new();
        for book in self.binding(slot) {
            for (name, guarantee) in &book.guarantees {
                let short = u128::from(*guarantee).saturating_sub(book.consumed(*name));
                let entry = missing.entry(*name).or_insert(0);
                *entry = short.max(*entry);
            }
        }
        missing.retain(|_, short| *short > 0);
        missing
    }

    /// Whether a role, or one that binds it, still lacks some of its guarantees.
    pub(crate) fn is_unsatisfied(&self, slot: Slot<Book>) -> bool {
        self.binding(slot)
            .any(|book| book.guarantees.iter().any(|(name, guarantee)| book.consumed(*name) < u128::from(*guarantee)))
    }

    /// How much more of a name the role may get; nothing if it is not limited.
    pub(crate) fn room(&self, slot: Slot<Book>, name: u32) -> Option<u128> {
        let limits = self.binding(slot).filter_map(|book| {
            let (_, limit) = book.limits.iter().find(|(limited, _)| *limited == name)?;
            Some(u128::from(*limit).saturating_sub(book.consumed(name)))
        });
        limits.min()
    }

    /// By path: what a role with a guarantee of a name, and each above it, has consumed beyond the guarantee.
    pub(crate) fn above_guarantees(&self, slot: Slot<Book>, name: u32) -> impl Iterator<Item = (String, u128)> {
        let above = |book: &&Book| book.parent.map(|parent| &self.books[parent]);
        std::iter::successors(Some(&self.books[slot]), above).filter_map(move |book| {
            let (_, guarantee) = book.guarantees.iter().find(|(guaranteed, _)| *guaranteed == name)?;
            Some((book.path.clone(), book.consumed(name).saturating_sub(u128::from(*guarantee))))
        })
    }

    /// How much of a name is free beyond what guarantees still need.
    pub(crate) fn surplus(&self, name: u32) -> u128 {
        self.total.get(name).saturating_sub(self.used.get(name)).saturating_sub(self.needed.get(name))
    }

    /// What a path has consumed.
    pub(crate) fn consumed(&self, path: &str) -> Option<Sums> {
        let book = &self.books[*self.by_path.get(path)?];
        let mut sums = book.reserved.clone();
        (0_u32..).zip(book.used.iter()).for_each(|(name, used)| sums.set(name, sums.get(name) + used));
        Some(sums)
    }

    /// The books whose quota holds for a role: its own, and with quota at all levels those above.
    fn binding(&self, slot: Slot<Book>) -> impl Iterator<Item = &Book> {
        let depth = if self.levels == QuotaLevels::All { usize::MAX } else { 1 };
        let above = |book: &&Book| book.parent.map(|parent| &self.books[parent]);
        std::iter::successors(Some(&self.books[slot]), above).take(depth)
    }

    fn open(&mut self, path: &str) -> Slot<Book> {
        let parent = path.rsplit_once('/').map(|(parent, _)| self.keep(parent));
        let slot = self.books.insert(Book {
            path: path.to_owned(),
            parent,
            pins: 0,
            reserved: Sums::default(),
            used: Sums::default(),
            guarantees: Vec::new(),
            limits: Vec::new(),
            is_bound: false,
            needed: Sums::default(),
            needed_below: Sums::default(),
        });
        self.by_path.insert(path.to_owned(), slot);
        slot
    }

    /// Changes the books from a role to the top, and what they need of these names.
    fn for_path(&mut self, slot: Slot<Book>, names: &[(u32, u64)], mut change: impl FnMut(&mut Book)) {
        let mut next = Some(slot);
        while let Some(slot) = next {
            change(&mut self.books[slot]);
            if self.guarantee_count > 0 {
                names.iter().for_each(|(name, _)| self.renew_need(slot, *name));
            }
            next = self.books[slot].parent;
        }
    }

    fn renew_need(&mut self, slot: Slot<Book>, name: u32) {
        let book = &mut self.books[slot];
        let guarantee = book.guarantees.iter().find(|(guaranteed, _)| *guaranteed == name).map_or(0, |(_, g)| *g);
        let own = u128::from(guarantee).saturating_sub(book.consumed(name));
        let (old, new) = (book.needed.get(name), own.max(book.needed_below.get(name)));
        book.needed.set(name, new);
        let above = match book.parent {
            Some(parent) => &mut self.books[parent].needed_below,
            None => &mut self.needed,
        };
        above.set(name, above.get(name) - old + new);
    }

    /// Computes all needs again, from the leaves to the top.
    fn renew_needs(&mut self) {
        let slots: Vec<_> = self.by_path.values().rev().copied().collect();
        for slot in &slots {
            let book = &mut self.books[*slot];
            (book.needed, book.needed_below) = (Sums::default(), Sums::default());
        }
        self.needed = Sums::default();
        for slot in slots {
            let book = &self.books[slot];
            let own = book.guarantees.iter().map(|(name, _)| *name);
            let below = (0_u32..).zip(book.needed_below.iter()).filter(|(_, sum)| *sum > 0).map(|(name, _)| name);
            let names: Vec<u32> = own.chain(below).collect();
            names.into_iter().for_each(|name| self.renew_need(slot, name));
        }
    }
}

impl Book {
    fn consumed(&self, name: u32) -> u128 {
        self.reserved.get(name) + self.used.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUS: u32 = 0;

    #[test]
    fn a_guarantee_is_needed_until_it_is_consumed_here_or_below() {
        let mut books = Books::new(QuotaLevels::Top);
        let below = books.keep("a/b");
        books.set_quota("a", vec![(CPUS, 10)], vec![(CPUS, 10)], true);
        books.add_total(&[(CPUS, 30)]);
        assert_eq!(books.surplus(CPUS), 20);
        books.add_used(below, &[(CPUS, 4)]);
        assert_eq!(books.surplus(CPUS), 20);
        books.add_used(below, &[(CPUS, 8)]);
        assert_eq!(books.surplus(CPUS), 18);
        let top = books.keep("a");
        assert_eq!((books.room(top, CPUS), books.room(below, CPUS)), (Some(0), None));
        books.sub_used(below, &[(CPUS, 12)]);
        assert_eq!((books.surplus(CPUS), books.room(top, CPUS)), (20, Some(10)));
    }

    #[test]
    fn quota_at_all_levels_binds_what_is_below_and_needs_no_more_than_once() {
        let mut books = Books::new(QuotaLevels::All);
        let below = books.keep("a/b");
        books.add_total(&[(CPUS, 30)]);
        books.set_quota("a", vec![(CPUS, 10)], vec![(CPUS, 12)], true);
        books.set_quota("a/b", vec![(CPUS, 6)], vec![], true);
        assert_eq!(books.surplus(CPUS), 20);
        assert_eq!(books.unsatisfied(below), BTreeMap::from([(CPUS, 10)]));
        assert_eq!(books.room(below, CPUS), Some(12));
        let beside = books.keep("a/c");
        books.add_used(beside, &[(CPUS, 8)]);
        // Only 2 are missing of the 10, but a/b still needs its 6.
        assert_eq!(books.surplus(CPUS), 30 - 8 - 6);
        assert_eq!(books.room(below, CPUS), Some(4));
    }

    #[test]
    fn books_that_nobody_keeps_are_closed() {
        let mut books = Books::new(QuotaLevels::Top);
        let slot = books.keep("a/b/c");
        books.set_quota("a/b", vec![], vec![(CPUS, 1)], true);
        assert!(books.is_any_bound() && !books.is_any_guaranteed());
        books.let_go(slot);
        assert_eq!(books.by_path.keys().collect::<Vec<_>>(), ["a", "a/b"]);
        books.set_quota("a/b", vec![], vec![], false);
        assert!(books.by_path.is_empty() && !books.is_any_bound());
    }
}
