//! Which agents the next run looks at, and in which order.
//!
//! The order is shuffled from a seed, so that no framework always meets the same agents first, and two
//! allocators with one seed and one history shuffle alike.

use crate::random::Random;
use crate::slots::{Slot, Slots};
use std::collections::BTreeSet;

/// Agents marked since the last run; any number of events makes one mark.
#[derive(Debug)]
pub(crate) struct Candidates<A> {
    all: bool,
    some: BTreeSet<Slot<A>>,
    random: Random,
}

impl<A> Candidates<A> {
    pub(crate) fn new(seed: u64) -> Self {
        Self { all: false, some: BTreeSet::new(), random: Random::new(seed) }
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
        self.random.shuffle(&mut drained);
        drained
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
