//! What a worker keeps of a block while trees are grown: bins of its cells, and in which node of a tree each row is.
//!
//! All of it follows from the rows and from the state that a request brings, so a worker that comes late, or has lost a
//! block, makes it anew.

use std::sync::Arc;

use super::pass::{EXPONENT_MIN, EXPONENTS, LEAF_SUMS, LOSS_SUMS};
use super::{Bins, FlatTree, Loss, OpenTree, Scales, TreePass, TreeState};
use crate::kernel::{Cell, KernelError, class_number, exp_of_negative, log_of_one_plus};

/// No row of a block is in a node that was not cut yet.
const NO_ROWS: (u32, u32) = (0, 0);
/// Times that a tree sees a row, at most.
const TIMES_MAX: i32 = 15;
/// Streams of chance.
const HELD_OUT: u64 = 1;
const BAGGED: u64 = 2;

/// A block as trees see it.
#[derive(Debug)]
pub(crate) struct TreeRows {
    bins: Arc<Bins>,
    /// Numbers of bins, feature by feature.
    codes: Vec<u8>,
    targets: Vec<f64>,
    /// Position of the first row among the training rows.
    first: usize,
    /// What the trees so far say, output by output.
    scores: Vec<f64>,
    /// Of more than two classes `log Σ exp` of the scores of each row.
    norms: Vec<f64>,
    /// Trees in the scores.
    scored: usize,
    slots: Vec<Slot>,
}

/// A tree that is growing, over the rows of a block.
#[derive(Debug)]
pub(super) struct Slot {
    number: usize,
    is_final: bool,
    scales: Scales,
    /// What a row adds to a histogram: gradient and second derivative, or class and times.
    pub(super) packets: Vec<[i32; 2]>,
    /// Rows that the tree sees, those of a node together.
    order: Vec<u16>,
    /// From where to where, for each node.
    ranges: Vec<(u32, u32)>,
    /// Whether a node was cut.
    is_cut: Vec<bool>,
}

impl TreeRows {
    /// The rows of a block, the first of which is at `first` among the training rows.
    ///
    /// # Errors
    /// [`KernelError::Class`] if there are classes and a target is none.
    pub(crate) fn new<'a, T: Cell + 'a>(
        rows: impl ExactSizeIterator<Item = &'a [T]>,
        targets: &[f64],
        first: usize,
        state: &TreeState,
    ) -> Result<Self, KernelError> {
        let (classes, bins) = (state.loss.classes(), Arc::clone(&state.bins.0));
        for (row, target) in targets.iter().enumerate().filter(|_| classes > 0) {
            class_number(*target, classes, row)?;
        }
        let count = targets.len();
        let mut codes = vec![0; count * bins.feature_count()];
        for (row, cells) in rows.enumerate() {
            for (feature, cell) in cells.iter().enumerate() {
                codes[feature * count + row] = bins.code(feature, cell.wide());
            }
        }
        Ok(Self {
            bins,
            codes,
            targets: targets.to_vec(),
            first,
            scores: Vec::new(),
            norms: Vec::new(),
            scored: 0,
            slots: Vec::new(),
        })
    }

    /// Features of a row.
    pub(crate) fn feature_count(&self) -> usize {
        self.bins.feature_count()
    }

    /// Whether it was made with these bins.
    pub(crate) fn has_bins(&self, bins: &Arc<Bins>) -> bool {
        Arc::ptr_eq(&self.bins, bins) || self.bins == *bins
    }

    /// Brings scores and nodes of rows to the state of a request, which was found sound.
    pub(crate) fn follow(&mut self, pass: &TreePass) {
        let Some(state) = pass.state() else { return };
        self.score(state);
        let mut held = std::mem::take(&mut self.slots);
        held.retain(|slot| slot.scales == state.scales);
        for open in pass.open() {
            let is_it = |slot: &Slot| (slot.number, slot.is_final) == (open.number, open.is_final);
            let mut slot = match held.iter().position(is_it) {
                Some(found) => held.swap_remove(found),
                None => self.slot(state, open),
            };
            slot.cut(&open.tree, |feature| self.column(feature));
            self.slots.push(slot);
        }
    }

    pub(super) fn slot_at(&self, place: usize) -> &Slot {
        &self.slots[place]
    }

    /// Numbers of bins of a feature.
    #[inline(always)]
    pub(super) fn column(&self, feature: usize) -> &[u8] {
        let count = self.targets.len();
        &self.codes[feature * count..(feature + 1) * count]
    }

    fn score(&mut self, state: &TreeState) {
        let (count, outputs) = (self.targets.len(), state.loss.outputs());
        if self.scored > state.trees.0.len() || self.scores.len() != count * outputs {
            self.scores = state.base.0.iter().flat_map(|base| std::iter::repeat_n(*base, count)).collect();
            self.scored = 0;
            self.norms.clear();
        }
        for (number, tree) in state.trees.0.iter().enumerate().skip(self.scored) {
            let output = number % outputs.max(1);
            let codes = &self.codes;
            for (row, score) in self.scores[output * count..(output + 1) * count].iter_mut().enumerate() {
                let leaf = tree.leaf(|feature| f64::from(codes[feature as usize * count + row]));
                *score += tree.nodes[leaf].value;
            }
        }
        if let Loss::Softmax(classes) = state.loss
            && (self.scored < state.trees.0.len() || self.norms.len() != count)
        {
            self.norms = (0..count).map(|row| self.norm(classes, row)).collect();
        }
        self.scored = state.trees.0.len();
    }

    fn slot(&self, state: &TreeState, open: &OpenTree) -> Slot {
        let (number, count) = (open.number, self.targets.len());
        let times: Vec<i32> = (0..count).map(|row| self.times(state, number, row)).collect();
        let order: Vec<u16> = (0..count).filter(|row| times[*row] > 0).map(|row| row as u16).collect();
        let (gradient, curvature) = (power_of_two(state.scales.gradient), power_of_two(state.scales.curvature));
        let packet = |row: usize| match state.loss {
            Loss::Counts(_) => [self.targets[row] as i32, times[row]],
            // Numbers beyond 32 bits become the largest one.
            Loss::HalfSquared => {
                let error = ((self.scores[row] - self.targets[row]) * gradient).round() as i32;
                [error.saturating_mul(times[row]), times[row]]
            }
            Loss::Logistic | Loss::Softmax(_) => {
                let (g, h) = self.derivatives(state.loss, number, row);
                [(g * gradient).round() as i32, (h * curvature).round() as i32]
            }
        };
        let packets = (0..count).map(packet).collect();
        let ranges = vec![(0, order.len() as u32)];
        Slot { number, is_final: open.is_final, scales: state.scales, packets, order, ranges, is_cut: vec![false] }
    }

    /// First and second derivative of a loss of probabilities.
    fn derivatives(&self, loss: Loss, number: usize, row: usize) -> (f64, f64) {
        let (p, is_class) = match loss {
            Loss::Softmax(classes) => {
                // The trees of a round stand in the order of the classes.
                let class = number % classes;
                let log = self.scores[class * self.targets.len() + row] - self.norms[row];
                (exp_of_negative(log.min(0.0)), self.targets[row] == class as f64)
            }
            _ => (chance(self.scores[row]), self.targets[row] == 1.0),
        };
        (p - f64::from(u8::from(is_class)), p * (1.0 - p))
    }

    /// `log Σ exp f_k` of a row.
    fn norm(&self, classes: usize, row: usize) -> f64 {
        let count = self.targets.len();
        let scores = (0..classes).map(|class| self.scores[class * count + row]);
        let most = scores.clone().fold(f64::NEG_INFINITY, f64::max);
        most + libm::log(scores.map(|score| exp_of_negative(score - most)).sum())
    }

    /// Whether a row is held out of all trees.
    fn is_held_out(&self, state: &TreeState, row: usize) -> bool {
        state.held_out > 0.0 && chance_of(state.seed, HELD_OUT, 0, self.first + row) < state.held_out
    }

    /// How often a tree sees a row.
    fn times(&self, state: &TreeState, number: usize, row: usize) -> i32 {
        if self.is_held_out(state, row) {
            return 0;
        }
        if state.is_bagged { times_of(chance_of(state.seed, BAGGED, number as u64, self.first + row)) } else { 1 }
    }

    /// The sums of [`TreePass::Losses`].
    pub(crate) fn losses(&self, state: &TreeState) -> Vec<f64> {
        let exponents = if state.loss == Loss::HalfSquared { EXPONENTS } else { 0 };
        let mut sums = vec![0.0; LOSS_SUMS + exponents];
        for (row, target) in self.targets.iter().enumerate() {
            let loss = match state.loss {
                Loss::Counts(_) => 0.0,
                Loss::HalfSquared => {
                    let error = self.scores[row] - target;
                    sums[LOSS_SUMS + exponent_place(error)] += 1.0;
                    0.5 * error * error
                }
                Loss::Logistic => {
                    let score = self.scores[row];
                    score.max(0.0) - target * score + log_of_one_plus(exp_of_negative(-score.abs()))
                }
                Loss::Softmax(classes) => {
                    let class = (*target as usize).min(classes - 1);
                    self.norms[row] - self.scores[class * self.targets.len() + row]
                }
            };
            let part = 2 * usize::from(self.is_held_out(state, row));
            sums[part] += loss;
            sums[part + 1] += 1.0;
        }
        sums
    }

    /// The sums of [`TreePass::Leaves`].
    pub(crate) fn leaves(&self, state: &TreeState, open: &[OpenTree]) -> Vec<f64> {
        let base = state.base.0.first().copied().unwrap_or_default();
        let mut sums = Vec::new();
        for (slot, open) in self.slots.iter().zip(open) {
            for (place, leaf) in open.tree.nodes.iter().enumerate().filter(|(_, node)| node.left == 0) {
                let mut of_leaf = [0.0; LEAF_SUMS];
                for row in slot.rows(place) {
                    let (row, told) = (usize::from(*row), base + leaf.value);
                    let (error, times) = (self.targets[row] - told, f64::from(slot.packets[row][1]));
                    of_leaf[0] += times;
                    of_leaf[1] += times * error;
                    of_leaf[2] += times * error * error;
                }
                sums.extend(of_leaf);
            }
        }
        sums
    }
}

impl Slot {
    /// The rows of a node.
    #[inline(always)]
    pub(super) fn rows(&self, node: usize) -> &[u16] {
        let (from, to) = self.ranges[node];
        &self.order[from as usize..to as usize]
    }

    /// Divides the rows of nodes that were cut since.
    fn cut<'a>(&mut self, tree: &FlatTree, column: impl Fn(usize) -> &'a [u8]) {
        self.ranges.resize(tree.nodes.len(), NO_ROWS);
        self.is_cut.resize(tree.nodes.len(), false);
        let mut right = Vec::new();
        for (place, node) in tree.nodes.iter().enumerate() {
            if node.left == 0 || self.is_cut[place] {
                continue;
            }
            self.is_cut[place] = true;
            let (from, to) = self.ranges[place];
            let rows = &mut self.order[from as usize..to as usize];
            // Numbers of bins are bytes.
            let at = divide(rows, column(node.feature as usize), node.threshold as u8, &mut right);
            let (left, middle) = (node.left as usize, from + at as u32);
            (self.ranges[left], self.ranges[left + 1]) = ((from, middle), (middle, to));
        }
    }
}

/// Puts the rows of at most `bin` before all others, in their order; how many there are.
fn divide(rows: &mut [u16], codes: &[u8], bin: u8, right: &mut Vec<u16>) -> usize {
    right.clear();
    right.resize(rows.len(), 0);
    let (mut lefts, mut rights) = (0, 0);
    for at in 0..rows.len() {
        let row = rows[at];
        let is_left = codes[usize::from(row)] <= bin;
        // Both are written, one of them counts: no branch that the processor would have to guess.
        rows[lefts] = row;
        right[rights] = row;
        lefts += usize::from(is_left);
        rights += usize::from(!is_left);
    }
    rows[lefts..].copy_from_slice(&right[..rights]);
    lefts
}

/// `1 / (1 + exp(-score))`.
fn chance(score: f64) -> f64 {
    let e = exp_of_negative(-score.abs());
    if score >= 0.0 { 1.0 / (1.0 + e) } else { e / (1.0 + e) }
}

fn power_of_two(exponent: i32) -> f64 {
    libm::ldexp(1.0, exponent)
}

/// Where an error counts: below the power of two of the place, and not below the one before.
fn exponent_place(error: f64) -> usize {
    let exponent = libm::frexp(error).1;
    (exponent - EXPONENT_MIN).clamp(0, EXPONENTS as i32 - 1) as usize
}

/// From 0 to 1, of a stream, a tree and a row: whoever asks gets the same.
///
/// # Source
/// Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011, for the idea of counters; the output
/// step is that of SplitMix64: Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.
pub(super) fn chance_of(seed: u64, stream: u64, tree: u64, row: usize) -> f64 {
    let counters = [stream, tree, row as u64];
    let bits =
        counters.iter().fold(mix(seed), |state, counter| mix(state ^ counter.wrapping_mul(0xD6E8_FEB8_6659_FD93)));
    (bits >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

fn mix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// A Poisson number of mean 1, which is what a bootstrap of many rows gives each of them.
fn times_of(chance: f64) -> i32 {
    let (mut times, mut term) = (0, libm::exp(-1.0));
    let mut below = term;
    while chance >= below && times < TIMES_MAX {
        times += 1;
        term /= f64::from(times);
        below += term;
    }
    times
}

#[cfg(test)]
#[path = "rows_test.rs"]
mod tests;
