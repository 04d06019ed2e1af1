//! Sums of scalars over the cluster, kept as agents and grants come and go.
//!
//! Ranges and sets are not counted: shares are shares of scalars.

use std::collections::BTreeSet;

/// Amounts of scalars by the number of their name, in thousandths; a name may stand more than once.
pub(crate) type Amounts = Vec<(u32, u64)>;

/// Sums by dense number, in thousandths; wider than one agent's amounts, so that they cannot overflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums(Vec<u128>);

impl Sums {
    pub(crate) fn add(&mut self, amounts: &[(u32, u64)]) {
        for &(number, amount) in amounts {
            self.set(number, self.get(number) + u128::from(amount));
        }
    }

    /// Takes away what has been added before.
    pub(crate) fn sub(&mut self, amounts: &[(u32, u64)]) {
        for &(number, amount) in amounts {
            let sum = self.0.get_mut(number as usize).expect("only what was added is taken away");
            *sum = sum.checked_sub(u128::from(amount)).expect("no more than was added is taken away");
        }
    }

    /// One sum.
    pub(crate) fn get(&self, number: u32) -> u128 {
        self.0.get(number as usize).copied().unwrap_or_default()
    }

    /// Sets one sum.
    pub(crate) fn set(&mut self, number: u32, sum: u128) {
        let index = number as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, 0);
        }
        self.0[index] = sum;
    }

    /// The sums in the order of their numbers; what lies behind the end is zero.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u128> {
        self.0.iter().copied()
    }
}

/// What all agents have together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    sums: Sums,
    /// What plays no part in shares.
    excluded: BTreeSet<u32>,
    generation: u64,
}

impl Totals {
    /// Nothing yet; the excluded names never count.
    pub(crate) fn new(excluded: BTreeSet<u32>) -> Self {
        Self { excluded, ..Self::default() }
    }

    /// Counts changes: whoever computed shares in another generation computes them again.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// How much the cluster has of a name.
    pub(crate) fn get(&self, name: u32) -> u128 {
        self.sums.get(name)
    }

    /// Pairs sums with how much the cluster has; where it has nothing there is no pair.
    pub(crate) fn parts(&self, sums: &Sums) -> impl Iterator<Item = (u128, u128)> {
        let parts = (0_u32..).zip(sums.iter().zip(self.sums.iter()));
        parts
            .filter(|(name, (_, whole))| *whole > 0 && (self.excluded.is_empty() || !self.excluded.contains(name)))
            .map(|(_, part)| part)
    }

    pub(crate) fn add(&mut self, amounts: &[(u32, u64)]) {
        self.sums.add(amounts);
        self.generation += 1;
    }

    /// Takes away what has been added before.
    pub(crate) fn sub(&mut self, amounts: &[(u32, u64)]) {
        self.sums.sub(amounts);
        self.generation += 1;
    }
}
