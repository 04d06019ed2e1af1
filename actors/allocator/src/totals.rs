//! Sums of scalars over the cluster, kept as agents and grants come and go.
//!
//! Ranges and sets are not counted: shares are shares of scalars.

use crate::bundle::Bundle;

/// Sums by dense number, in thousandths; wider than one agent's amounts, so that they cannot overflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums(Vec<u128>);

impl Sums {
    pub(crate) fn add(&mut self, bundle: &Bundle) {
        for &(number, amount) in bundle.scalars() {
            let index = number as usize;
            if self.0.len() <= index {
                self.0.resize(index + 1, 0);
            }
            self.0[index] += u128::from(amount);
        }
    }

    /// Takes away what has been added before.
    pub(crate) fn sub(&mut self, bundle: &Bundle) {
        for &(number, amount) in bundle.scalars() {
            let sum = self.0.get_mut(number as usize).expect("only what was added is taken away");
            *sum = sum.checked_sub(u128::from(amount)).expect("no more than was added is taken away");
        }
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
    generation: u64,
}

impl Totals {
    /// Counts changes: whoever computed shares in another generation computes them again.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Pairs sums with how much the cluster has; where it has nothing there is no pair.
    pub(crate) fn parts(&self, sums: &Sums) -> impl Iterator<Item = (u128, u128)> {
        sums.iter().zip(self.sums.iter()).filter(|(_, whole)| *whole > 0)
    }

    pub(crate) fn add(&mut self, bundle: &Bundle) {
        self.sums.add(bundle);
        self.generation += 1;
    }

    /// Takes away what has been added before.
    pub(crate) fn sub(&mut self, bundle: &Bundle) {
        self.sums.sub(bundle);
        self.generation += 1;
    }
}
