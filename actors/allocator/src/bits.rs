//! Sets of slots as bits, for questions about many clients at once.

use crate::slots::Slot;

/// Which slots of type `T` are in the set.
#[derive(Debug)]
pub(crate) struct Bits<T>(Vec<u64>, std::marker::PhantomData<fn() -> T>);

impl<T> Default for Bits<T> {
    fn default() -> Self {
        Self(Vec::new(), std::marker::PhantomData)
    }
}

impl<T> Bits<T> {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn set(&mut self, slot: Slot<T>, is_in: bool) {
        let (word, bit) = (slot.index() / 64, 1 << (slot.index() % 64));
        if is_in {
            if self.0.len() <= word {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= bit;
        } else if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    pub(crate) fn has(&self, slot: Slot<T>) -> bool {
        self.0.get(slot.index() / 64).is_some_and(|word| word >> (slot.index() % 64) & 1 == 1)
    }

    /// Whether every slot of the other set is in this one.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let here = self.0.iter().copied().chain(std::iter::repeat(0));
        other.0.iter().zip(here).all(|(other, here)| other & !here == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn a_set_covers_another_if_it_has_all_of_it() {
        let mut slots = Slots::new();
        let all: Vec<_> = (0..130).map(|number| slots.insert(number)).collect();
        let (mut some, mut more) = (Bits::default(), Bits::default());
        more.set(all[3], true);
        assert!(more.covers(&some) && some.covers(&some));
        some.set(all[129], true);
        assert!(!more.covers(&some) && !some.covers(&more));
        more.set(all[129], true);
        assert!(more.covers(&some) && more.has(all[129]) && !more.has(all[128]));
        more.set(all[129], false);
        assert!(!more.covers(&some) && !more.has(all[129]));
        more.clear();
        assert!(!more.has(all[3]));
    }
}
