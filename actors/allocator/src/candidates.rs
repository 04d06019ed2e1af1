//! Which agents the next run looks at, and in which order.
//!
//! The order is shuffled from a seed, so that no framework always meets the same agents first, and two
//! allocators with one seed and one history shuffle alike.

use crate::slots::{Slot, Slots};
use std::collections::BTreeSet;

/// Agents marked since the last run; any number of events makes one mark.
#[derive(Debug)]
pub(crate) struct Candidates<A> {
    all: bool,
    some: BTreeSet<Slot<A>>,
    random: u64,
}

impl<A> Candidates<A> {
    pub(crate) fn new(seed: u64) -> Self {
        Self { all: false, some: BTreeSet::new(), random: seed }
    }

    pub(crate) fn mark(&mut self, agent: Slot<A>) {
        self.some.insert(agent);
    }

    pub(crate) fn mark_all(&mut self) {
        self.all = true;
    }

    pub(crate) fn unmark(&mut self, agent: Slot<A>) {
        self.some.remove(&agent);
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.all && self.some.is_empty()
    }

    /// Takes the marked agents, shuffled.
    pub(crate) fn drain(&mut self, agents: &Slots<A>) -> Vec<Slot<A>> {
        let some = std::mem::take(&mut self.some);
        let mut drained: Vec<_> =
            if std::mem::take(&mut self.all) { agents.slots().collect() } else { some.into_iter().collect() };
        for last in (1..drained.len()).rev() {
            let chosen = self.below(last as u64 + 1);
            drained.swap(last, chosen);
        }
        drained
    }

    /// A number below `bound`; the bias of the remainder is below 2^-32 for less than 2^32 agents.
    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).expect("an index below a length fits")
    }

    /// The next number of SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marked_agent_is_drained_once_in_an_order_that_the_seed_decides() {
        let mut agents = Slots::new();
        let slots: Vec<_> = (0..50).map(|number| agents.insert(number)).collect();
        let drain = |seed| {
            let mut candidates = Candidates::new(seed);
            candidates.mark(slots[3]);
            candidates.mark_all();
            let drained = candidates.drain(&agents);
            assert!(candidates.is_empty());
            drained
        };
        assert_eq!(drain(1), drain(1));
        assert_ne!(drain(1), drain(2));
        assert_eq!(drain(1).into_iter().collect::<BTreeSet<_>>().len(), 50);
    }

    #[test]
    fn an_unmarked_agent_is_not_drained() {
        let mut agents = Slots::new();
        let (a, b) = (agents.insert('a'), agents.insert('b'));
        let mut candidates = Candidates::new(0);
        candidates.mark(a);
        candidates.mark(b);
        candidates.unmark(a);
        assert_eq!(candidates.drain(&agents), [b]);
    }
}
