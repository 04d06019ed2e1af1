//! Places for what is awaited, each under a key that is never used twice, with or without a deadline. Pure.
//!
//! Who waits and how it is woken is elsewhere. A key is an index and a turn: finding one is no search, and what comes
//! too late for a place does not find who has it now.

use tokio::time::Instant;

/// What is awaited.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    /// No deadline is before this; the one that was may have gone.
    earliest: Option<Instant>,
}

#[derive(Debug)]
struct Slot<T> {
    /// How often the place was given away; counts from 1, so that no key is 0.
    turn: u32,
    held: Option<Held<T>>,
}

#[derive(Debug)]
struct Held<T> {
    value: T,
    deadline: Option<Instant>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), earliest: None }
    }
}

impl<T> Slots<T> {
    /// Takes a place; also says whether this is the earliest deadline by now, which is to be heard of in time.
    pub(crate) fn insert(&mut self, value: T, deadline: Option<Instant>) -> (u64, bool) {
        let is_earliest = deadline.is_some_and(|deadline| self.earliest.is_none_or(|earliest| deadline < earliest));
        if is_earliest {
            self.earliest = deadline;
        }
        let held = Some(Held { value, deadline });
        let index = match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.turn = slot.turn.wrapping_add(1).max(1);
                slot.held = held;
                index
            }
            None => {
                self.slots.push(Slot { turn: 1, held });
                u32::try_from(self.slots.len() - 1).expect("what is awaited is bounded by far fewer")
            }
        };
        (u64::from(self.slots[index as usize].turn) << 32 | u64::from(index), is_earliest)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let held = self.slot(key)?.held.as_mut()?;
        Some(&mut held.value)
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let held = self.slot(key)?.held.take()?;
        self.free.push(index_of(key));
        Some(held.value)
    }

    fn slot(&mut self, key: u64) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut(index_of(key) as usize)?;
        (u64::from(slot.turn) == key >> 32).then_some(slot)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.held.as_mut()).map(|held| &mut held.value)
    }

    /// When [`expire`](Self::expire) is due; it may find nothing.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.earliest
    }

    /// The keys of which the deadline has come; each is said once.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<u64> {
        let (mut due, mut earliest) = (Vec::new(), None::<Instant>);
        for (index, slot) in (0_u64..).zip(&mut self.slots) {
            let Some(held) = &mut slot.held else { continue };
            let Some(deadline) = held.deadline else { continue };
            if deadline <= now {
                held.deadline = None;
                due.push(u64::from(slot.turn) << 32 | index);
            } else {
                earliest = Some(earliest.map_or(deadline, |earliest| earliest.min(deadline)));
            }
        }
        self.earliest = earliest;
        due
    }
}

fn index_of(key: u64) -> u32 {
    const LOW: u64 = u32::MAX as u64;
    u32::try_from(key & LOW).expect("these are 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_key_finds_its_value_until_it_is_removed_and_never_another() {
        let mut slots = Slots::default();
        let (first, _) = slots.insert("first", None);
        let (second, _) = slots.insert("second", None);
        assert_eq!((slots.get_mut(first).copied(), slots.len()), (Some("first"), 2));
        assert_eq!((slots.remove(first), slots.remove(first), slots.len()), (Some("first"), None, 1));
        let (third, _) = slots.insert("third", None);
        assert_eq!((slots.get_mut(first).copied(), slots.remove(first)), (None, None));
        assert_eq!(slots.values_mut().map(|value| *value).collect::<Vec<_>>(), ["third", "second"]);
        assert_eq!((slots.remove(third), slots.remove(second), slots.len()), (Some("third"), Some("second"), 0));
        assert!([0, 9, u64::MAX].into_iter().all(|key| slots.get_mut(key).is_none()));
    }

    #[test]
    fn a_place_is_used_again_and_its_key_is_not() {
        let mut slots = Slots::default();
        let keys: Vec<u64> = (0..1000)
            .map(|number| {
                let (key, _) = slots.insert(number, None);
                slots.remove(key);
                key
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!((distinct.len(), slots.slots.len(), distinct.contains(&0)), (1000, 1, false));
    }

    #[test]
    fn each_deadline_is_said_once_and_the_earliest_is_known() {
        let (start, mut slots) = (Instant::now(), Slots::<char>::default());
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let (late, is_earliest) = slots.insert('l', at(9));
        assert!(is_earliest);
        let (never, is_earliest) = slots.insert('n', None);
        assert!(!is_earliest);
        let (soon, is_earliest) = slots.insert('s', at(5));
        assert!(is_earliest);
        let (gone, is_earliest) = slots.insert('g', at(7));
        assert!(!is_earliest);
        slots.remove(gone);
        assert_eq!((slots.deadline(), slots.expire(start)), (at(5), vec![]));
        assert_eq!(slots.expire(start + Duration::from_secs(5)), [soon]);
        assert_eq!((slots.deadline(), slots.get_mut(soon).copied()), (at(9), Some('s')));
        assert!(slots.expire(start + Duration::from_secs(8)).is_empty());
        assert_eq!(slots.expire(start + Duration::from_secs(10)), [late]);
        assert_eq!((slots.deadline(), slots.expire(start + Duration::from_secs(99))), (None, vec![]));
        assert_eq!(slots.remove(never), Some('n'));
    }
}
