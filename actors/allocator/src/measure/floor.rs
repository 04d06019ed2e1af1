//! The least that has to be computed: dominant shares in flat arrays, an ordered set, and a bit for each refusal.
//!
//! No names, no roles, no quota, no offers: what an allocator takes beyond this is the price of its rules.

use super::Setup;
use std::collections::BTreeSet;
use std::hint::black_box;

/// Shares are counted in parts of this.
const WHOLE: u64 = 1 << 20;

/// Agents and frameworks as numbers.
pub(super) struct Floor {
    agents: Vec<[u64; 3]>,
    totals: [u64; 3],
    held: Vec<[u64; 3]>,
    holder: Vec<u32>,
    order: BTreeSet<(u64, u32)>,
    refused: Vec<u64>,
}

impl Floor {
    pub(super) fn new(setup: &Setup) -> Self {
        let amounts = |number: u32| {
            let size = u64::from(number % 5 + 1);
            [8_000 * size, 16_384_000 * size, 65_536_000 * size]
        };
        let agents: Vec<[u64; 3]> = (0..setup.agents).map(amounts).collect();
        let totals = agents.iter().fold([0; 3], |sum, agent| [0, 1, 2].map(|name| sum[name] + agent[name]));
        let frameworks = setup.frameworks.max(1);
        let refused = if setup.filters { agents.len() * (frameworks as usize).div_ceil(64) } else { 0 };
        Self {
            holder: vec![0; agents.len()],
            agents,
            totals,
            held: vec![[0; 3]; frameworks as usize],
            order: (0..frameworks).map(|framework| (0, framework)).collect(),
            refused: vec![0; refused],
        }
    }

    /// What all arrays take, in MiB.
    pub(super) fn bytes(&self) -> f64 {
        let numbers = (self.agents.len() + self.held.len()) * 24 + self.holder.len() * 4;
        let all = numbers + self.order.len() * 16 + self.refused.len() * 8;
        super::mib(all as u64)
    }

    /// Copies what the agents have, as registering does at the least.
    pub(super) fn copy(&self) {
        black_box(self.agents.clone());
    }

    /// Every agent goes to whoever has the smallest share.
    pub(super) fn cycle(&mut self) {
        (0..self.agents.len()).for_each(|agent| self.give(agent));
    }

    /// One agent comes back and goes out again.
    pub(super) fn event(&mut self, number: usize) {
        if !self.agents.is_empty() {
            let agent = number.wrapping_mul(7919) % self.agents.len();
            self.take(agent);
            self.give(agent);
        }
    }

    /// All agents come back.
    pub(super) fn give_all_back(&mut self) {
        (0..self.agents.len()).for_each(|agent| self.take(agent));
    }

    /// Everyone refuses everything.
    pub(super) fn refuse_all(&mut self) {
        self.refused.fill(u64::MAX);
    }

    /// Looks at the bit of each pair.
    pub(super) fn refused_cycle(&self) {
        let words = self.held.len().div_ceil(64);
        let order: Vec<u32> = self.order.iter().map(|(_, framework)| *framework).collect();
        for bits in self.refused.chunks(words) {
            let wants = |framework: &&u32| bits[**framework as usize / 64] >> (**framework % 64) & 1 == 0;
            black_box(order.iter().find(wants));
        }
    }

    fn give(&mut self, agent: usize) {
        let Some((_, framework)) = self.order.pop_first() else { return };
        self.holder[agent] = framework;
        self.change(framework, agent, u64::wrapping_add);
    }

    fn take(&mut self, agent: usize) {
        let framework = self.holder[agent];
        self.order.remove(&(self.share(framework), framework));
        self.change(framework, agent, u64::wrapping_sub);
    }

    fn change(&mut self, framework: u32, agent: usize, by: impl Fn(u64, u64) -> u64) {
        for name in 0..3 {
            let held = &mut self.held[framework as usize][name];
            *held = by(*held, self.agents[agent][name]);
        }
        self.order.insert((self.share(framework), framework));
    }

    fn share(&self, framework: u32) -> u64 {
        let parts = self.held[framework as usize].iter().zip(&self.totals);
        let shares = parts.map(|(part, whole)| u128::from(*part) * u128::from(WHOLE) / u128::from((*whole).max(1)));
        shares.max().and_then(|share| u64::try_from(share).ok()).unwrap_or(WHOLE)
    }
}
