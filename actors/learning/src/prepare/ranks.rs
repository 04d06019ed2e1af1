//! Order statistics of many columns by counting alone, so that sums over blocks give them exactly.
//!
//! A number is found from its highest bits down: each pass counts, for every column and bits known so
//! far, which four bits come next. Sixteen passes find any rank of any number of rows.

use serde::{Deserialize, Serialize};

/// Bits found by a pass.
const BITS: u32 = 4;
/// Counts that a pass makes of each target.
pub const BINS: usize = 1 << BITS;
/// Passes that find all 64 bits.
const DEPTH: u32 = 64 / BITS;

/// What a counting pass is after: the highest bits of a cell of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RankTarget {
    /// The column.
    pub column: usize,
    /// The bits known, the lowest of which are the last found.
    pub prefix: u64,
}

/// Finds cells by their rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RankSearch {
    /// For each wanted: its column, the rank among the cells with its bits, and its bits.
    wanted: Vec<(usize, u64, u64)>,
    depth: u32,
}

/// Bits in the order of the numbers they stand for; NaN has none.
#[must_use]
pub fn ordered_bits(value: f64) -> u64 {
    // Adding 0 makes -0 and 0 the same number.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}

fn number_of(ordered: u64) -> f64 {
    f64::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered })
}

impl RankTarget {
    /// The bin of a cell after `depth` passes, if it has the bits.
    #[must_use]
    pub fn bin(&self, depth: u32, ordered: u64) -> Option<usize> {
        let known = if depth == 0 { 0 } else { ordered >> (64 - BITS * depth) };
        let next = ordered >> (64 - BITS * (depth + 1));
        (known == self.prefix).then_some((next & (BINS as u64 - 1)) as usize)
    }
}

impl RankSearch {
    /// A search for the cells of some ranks (from 0, in ascending order) of columns.
    pub(super) fn new(wanted: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self { wanted: wanted.into_iter().map(|(column, rank)| (column, rank as u64, 0)).collect(), depth: 0 }
    }

    /// What to count next and how many passes were made, or nothing if all are found.
    pub(super) fn targets(&self) -> Option<(Vec<RankTarget>, u32)> {
        (self.depth < DEPTH).then(|| (self.distinct(), self.depth))
    }

    fn distinct(&self) -> Vec<RankTarget> {
        let mut targets: Vec<RankTarget> =
            self.wanted.iter().map(|(column, _, prefix)| RankTarget { column: *column, prefix: *prefix }).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Takes in the counts, [`BINS`] for each target; `false` if they cannot be those of the ranks.
    pub(super) fn absorb(&mut self, counts: &[f64]) -> bool {
        let targets = self.distinct();
        for (column, rank, prefix) in &mut self.wanted {
            let place = targets.binary_search(&RankTarget { column: *column, prefix: *prefix });
            let place = place.expect("the targets are made of what is wanted");
            let Some(bin) = counts[place * BINS..(place + 1) * BINS].iter().position(|count| {
                let found = *rank < *count as u64;
                if !found {
                    *rank -= *count as u64;
                }
                found
            }) else {
                return false;
            };
            *prefix = (*prefix << BITS) | bin as u64;
        }
        self.depth += 1;
        true
    }

    /// The cells, in the order wanted.
    pub(super) fn found(&self) -> Vec<f64> {
        self.wanted.iter().map(|(_, _, bits)| number_of(*bits)).collect()
    }
}

/// The ranks between which a quantile of `count` cells lies, and how far it is from the first to the second.
pub(super) fn quantile_ranks(quantile: f64, count: usize) -> (usize, usize, f64) {
    let last = count.saturating_sub(1);
    let place = quantile * last as f64;
    let lower = (place.floor() as usize).min(last);
    (lower, (lower + 1).min(last), place - lower as f64)
}

/// Between two cells, without leaving them.
///
/// # Source
/// `numpy.quantile`, method `linear`.
pub(super) fn between(lower: f64, upper: f64, part: f64) -> f64 {
    let span = upper - lower;
    if part >= 0.5 { upper - span * (1.0 - part) } else { lower + span * part }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches as the passes of a job do.
    fn cells_at(cells: &[f64], ranks: &[usize]) -> Vec<f64> {
        let mut search = RankSearch::new(ranks.iter().map(|rank| (0, *rank)));
        while let Some((targets, depth)) = search.targets() {
            let mut counts = vec![0.0; targets.len() * BINS];
            for (place, target) in targets.iter().enumerate() {
                let bins = cells.iter().filter_map(|cell| target.bin(depth, ordered_bits(*cell)));
                bins.for_each(|bin| counts[place * BINS + bin] += 1.0);
            }
            assert!(search.absorb(&counts));
        }
        search.found()
    }

    #[test]
    fn every_rank_of_numbers_of_any_sign_and_size_is_found_to_the_bit() {
        let cells = [3.5, -1e100, 0.1 + 0.2, 2.0, -0.0, 2.0, 5e-324, -7.25, 1e100, 0.0];
        let mut sorted = cells;
        sorted.sort_by(f64::total_cmp);
        let ranks: Vec<usize> = (0..cells.len()).collect();
        assert_eq!(cells_at(&cells, &ranks), sorted);
    }

    #[test]
    fn a_rank_that_no_cell_has_is_noticed() {
        let mut search = RankSearch::new([(0, 3)]);
        assert!(!search.absorb(&[1.0; BINS][..2].iter().copied().chain([0.0; BINS - 2]).collect::<Vec<_>>()));
    }

    #[test]
    fn a_quantile_lies_between_two_ranks_as_in_numpy() {
        assert_eq!(quantile_ranks(0.25, 5), (1, 2, 0.0));
        assert_eq!(quantile_ranks(0.5, 4), (1, 2, 0.5));
        assert_eq!(quantile_ranks(1.0, 4), (3, 3, 0.0));
        assert_eq!(quantile_ranks(0.3, 1), (0, 0, 0.0));
        assert_eq!(between(1.0, 3.0, 0.25), 1.5);
        assert_eq!(between(1.0, 3.0, 0.75), 2.5);
    }
}
