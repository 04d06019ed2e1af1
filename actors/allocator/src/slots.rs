//! Entries under small numbers that stay the same while the entry lives and are used again afterwards.
//!
//! Names are looked up once at the boundary; inside, everything refers to slots. Which slot an entry gets
//! depends only on the history of insertions and removals.

use std::marker::PhantomData;

/// Where an entry of type `T` lives.
pub(crate) struct Slot<T>(u32, PhantomData<fn() -> T>);

// Not derived, because a derive would ask the same traits of `T`.
impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Slot<T> {}
impl<T> PartialEq for Slot<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Slot<T> {}
impl<T> PartialOrd for Slot<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Slot<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> std::fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<T> Slot<T> {
    /// The first slot.
    #[cfg(test)]
    pub(crate) const MIN: Self = Self(0, PhantomData);

    /// The slot at an index; it has been in use.
    pub(crate) fn of_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("4 billion entries do not fit into memory"), PhantomData)
    }

    /// The place of the entry.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// The number, for keys that do not name the type.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// Entries by slot.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    entries: Vec<Option<T>>,
    vacant: Vec<Slot<T>>,
}

impl<T> Slots<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), vacant: Vec::new() }
    }

    pub(crate) fn insert(&mut self, entry: T) -> Slot<T> {
        self.insert_with(|_| entry)
    }

    /// Inserts an entry that knows its own slot.
    pub(crate) fn insert_with(&mut self, entry: impl FnOnce(Slot<T>) -> T) -> Slot<T> {
        if let Some(slot) = self.vacant.pop() {
            self.entries[slot.index()] = Some(entry(slot));
            return slot;
        }
        let slot = Slot::of_index(self.entries.len());
        self.entries.push(Some(entry(slot)));
        slot
    }

    pub(crate) fn remove(&mut self, slot: Slot<T>) -> Option<T> {
        let entry = self.entries.get_mut(slot.index())?.take()?;
        self.vacant.push(slot);
        Some(entry)
    }

    /// Whether an entry lives there.
    pub(crate) fn is_used(&self, slot: Slot<T>) -> bool {
        self.entries.get(slot.index()).is_some_and(Option::is_some)
    }

    /// The slots in use, in ascending order.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot<T>> {
        self.iter().map(|(slot, _)| slot)
    }

    /// Slots and entries, in ascending order of slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot<T>, &T)> {
        let numbered = (0_u32..).zip(&self.entries);
        numbered.filter_map(|(number, entry)| Some((Slot(number, PhantomData), entry.as_ref()?)))
    }
}

impl<T> std::ops::Index<Slot<T>> for Slots<T> {
    type Output = T;
    fn index(&self, slot: Slot<T>) -> &T {
        self.entries[slot.index()].as_ref().expect("a slot is kept only while its entry lives")
    }
}

impl<T> std::ops::IndexMut<Slot<T>> for Slots<T> {
    fn index_mut(&mut self, slot: Slot<T>) -> &mut T {
        self.entries[slot.index()].as_mut().expect("a slot is kept only while its entry lives")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_only_after_its_entry_is_gone() {
        let mut slots = Slots::new();
        let (a, b) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(a), Some('a'));
        assert_eq!(slots.remove(a), None);
        assert_eq!((slots.insert('c'), slots[b]), (a, 'b'));
        assert_eq!(slots.iter().map(|(_, entry)| *entry).collect::<String>(), "cb");
    }
}
