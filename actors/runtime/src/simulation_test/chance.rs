//! Numbers that a seed decides, one stream for each concern.

use crate::backoff::Seeded;

/// A stream of numbers; a draw more in one changes no other.
pub(crate) struct Chance(Seeded);

impl Chance {
    pub(crate) fn new(seed: u64, concern: u64) -> Self {
        let mut mixed = Seeded::new(seed ^ concern.wrapping_mul(0xff51_afd7_ed55_8ccd));
        Self(Seeded::new(mixed.next()))
    }

    /// Below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next() % bound
    }

    /// Both ends are possible.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).expect("below a usize")
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
