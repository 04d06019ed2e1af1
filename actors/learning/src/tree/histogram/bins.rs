//! Bins of features: where their edges are, found by counting alone, and in which bin a value lies.
//!
//! A feature with few different values has a bin for each of them; otherwise edges are quantiles. Values count with 32
//! bits, which are found from the highest down, four in a pass, so that sums over blocks give them exactly.

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Serialize};

use super::SUMS_MAX;
use crate::tree::between;

/// Most bins of a feature: the number of a bin is a byte.
pub const BINS_MAX: usize = 255;
const KEY_BITS: u32 = 32;
/// Bits that a pass finds.
const BITS: u32 = 4;
/// Counts of each prefix.
const CHILDREN: usize = 1 << BITS;
/// Passes over a feature.
const DEPTH: u32 = KEY_BITS / BITS;

/// The edges of all features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Bins {
    /// Of each feature, ascending: a value lies in the first bin whose edge is not below it, or in the last one.
    edges: Vec<F64Block>,
}

/// The highest bits that are known of some values of a feature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinTarget {
    /// The feature.
    pub feature: usize,
    /// Ascending.
    pub prefixes: Vec<u32>,
}

/// Finds the edges of all features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinSearch {
    row_count: u64,
    bins_max: usize,
    depth: u32,
    /// The first feature that is counted next.
    next: usize,
    features: Vec<Followed>,
}

/// The values of a feature that are followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Followed {
    /// Ascending; with the rows that have it, and the rows below.
    prefixes: Vec<(u32, u64, u64)>,
    /// Whether all values are among them.
    is_whole: bool,
}

/// Bits in the order of the numbers that 32 bits make of values.
fn key(value: f64) -> u32 {
    // Adding 0 makes -0 and 0 the same number.
    let bits = (value as f32 + 0.0).to_bits();
    if bits >> 31 == 0 { bits | (1 << 31) } else { !bits }
}

fn number(key: u32) -> f64 {
    f64::from(f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key }))
}

impl Bins {
    /// Edges of each feature, ascending.
    #[must_use]
    pub fn new(edges: Vec<Vec<f64>>) -> Self {
        Self { edges: edges.into_iter().map(F64Block).collect() }
    }

    /// Features.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.edges.len()
    }

    /// Bins of a feature.
    #[must_use]
    pub fn count(&self, feature: usize) -> usize {
        self.edges[feature].0.len() + 1
    }

    /// What divides a bin of a feature from the next one; there must be a next one.
    #[must_use]
    pub fn edge(&self, feature: usize, bin: usize) -> f64 {
        self.edges[feature].0[bin]
    }

    /// The bin of a value of a feature.
    #[must_use]
    pub fn code(&self, feature: usize, value: f64) -> u8 {
        let seen = f64::from(value as f32);
        // There are at most BINS_MAX - 1 edges.
        self.edges[feature].0.partition_point(|edge| *edge < seen) as u8
    }

    /// Whether the numbers of all bins are bytes, and edges ascend.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.edges.iter().all(|edges| edges.0.len() < BINS_MAX && edges.0.is_sorted_by(|a, b| a < b))
    }
}

impl BinSearch {
    /// A search over `row_count` rows of `feature_count` features.
    #[must_use]
    pub fn new(row_count: usize, feature_count: usize, bins_max: usize) -> Self {
        let all = Followed { prefixes: vec![(0, row_count as u64, 0)], is_whole: true };
        let features = vec![all; feature_count];
        Self { row_count: row_count as u64, bins_max: bins_max.clamp(2, BINS_MAX), depth: 0, next: 0, features }
    }

    /// What to count next, and how many passes were made over these features; nothing if all is found.
    #[must_use]
    pub fn targets(&self) -> Option<(Vec<BinTarget>, u32)> {
        if self.depth == DEPTH {
            return None;
        }
        let target = |feature: usize| {
            let prefixes = self.features[feature].prefixes.iter().map(|(prefix, ..)| *prefix).collect();
            BinTarget { feature, prefixes }
        };
        Some((self.window().map(target).collect(), self.depth))
    }

    /// The features that are counted together: as many as a pass has room for, and at least one.
    fn window(&self) -> std::ops::Range<usize> {
        let mut sums = 0;
        let more = self.features[self.next..].iter().take_while(|followed| {
            sums += followed.prefixes.len() * CHILDREN;
            sums <= SUMS_MAX
        });
        let count = more.count().max(1);
        self.next..(self.next + count).min(self.features.len())
    }

    /// Takes in the counts of the targets; `false` if they cannot be those of the rows.
    pub fn absorb(&mut self, counts: &[f64]) -> bool {
        let window = self.window();
        let mut rest = counts;
        for followed in &mut self.features[window.clone()] {
            let Some((here, others)) = rest.split_at_checked(followed.prefixes.len() * CHILDREN) else { return false };
            if !followed.absorb(here, self.row_count, self.bins_max) {
                return false;
            }
            rest = others;
        }
        self.next = window.end;
        if self.next == self.features.len() {
            (self.next, self.depth) = (0, self.depth + 1);
        }
        rest.is_empty()
    }

    /// The edges, once all is found.
    #[must_use]
    pub fn bins(&self) -> Bins {
        Bins::new(self.features.iter().map(|followed| followed.edges(self.row_count, self.bins_max)).collect())
    }
}

impl Followed {
    fn absorb(&mut self, counts: &[f64], row_count: u64, bins_max: usize) -> bool {
        let mut children = Vec::new();
        for ((prefix, rows, below), counts) in self.prefixes.iter().zip(counts.chunks(CHILDREN)) {
            let mut at = *below;
            for (child, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                children.push(((*prefix << BITS) | child as u32, *count as u64, at));
                at += *count as u64;
            }
            if at != below + rows {
                return false;
            }
        }
        if self.is_whole && children.len() > bins_max {
            self.is_whole = false;
        }
        if !self.is_whole {
            // Ranks ascend, and so do the prefixes.
            let wanted: Vec<u64> = quantile_ranks(row_count, bins_max).flat_map(|(low, high)| [low, high]).collect();
            children.retain(|(_, rows, below)| {
                wanted.get(wanted.partition_point(|rank| rank < below)).is_some_and(|rank| *rank < below + rows)
            });
        }
        self.prefixes = children;
        true
    }

    fn edges(&self, row_count: u64, bins_max: usize) -> Vec<f64> {
        let values: Vec<f64> = self.prefixes.iter().map(|(key, ..)| number(*key)).collect();
        if self.is_whole {
            return values.windows(2).map(|pair| between(pair[0], pair[1])).collect();
        }
        let of_rank = |rank: u64| values[self.prefixes.partition_point(|(_, rows, below)| below + rows <= rank)];
        let mut edges: Vec<f64> =
            quantile_ranks(row_count, bins_max).map(|(low, high)| of_rank(low) / 2.0 + of_rank(high) / 2.0).collect();
        edges.dedup();
        edges
    }
}

/// The ranks, from 0, whose values an edge is the middle of.
///
/// # Source
/// `numpy.percentile`, method `averaged_inverted_cdf`, which scikit-learn's `HistGradientBoosting` takes.
fn quantile_ranks(row_count: u64, bins_max: usize) -> impl Iterator<Item = (u64, u64)> {
    (1..bins_max as u64).map(move |edge| {
        let place = u128::from(row_count) * u128::from(edge);
        // Below the number of rows.
        let (high, is_between) = ((place / bins_max as u128) as u64, place.is_multiple_of(bins_max as u128));
        (if is_between { high.saturating_sub(1) } else { high }, high)
    })
}

/// Of each prefix of each target the rows, by the bits that come next; a row is a slice of features.
pub fn bin_counts<'a, T: crate::kernel::Cell + 'a>(
    rows: impl Iterator<Item = &'a [T]>,
    targets: &[BinTarget],
    depth: u32,
) -> Vec<f64> {
    let places = targets.iter().scan(0, |next, target| {
        let place = *next;
        *next += target.prefixes.len() * CHILDREN;
        Some(place)
    });
    let places: Vec<usize> = places.collect();
    let mut counts = vec![0.0; counted(targets)];
    for row in rows {
        for (target, place) in targets.iter().zip(&places) {
            let key = u64::from(key(row[target.feature].wide()));
            let known = (key >> (KEY_BITS - BITS * depth)) as u32;
            if let Ok(prefix) = target.prefixes.binary_search(&known) {
                let child = (key >> (KEY_BITS - BITS * (depth + 1))) as usize % CHILDREN;
                counts[place + prefix * CHILDREN + child] += 1.0;
            }
        }
    }
    counts
}

/// Sums of [`bin_counts`].
pub(super) fn counted(targets: &[BinTarget]) -> usize {
    targets.iter().map(|target| target.prefixes.len() * CHILDREN).sum()
}

/// Whether the targets can be counted in rows of so many features.
pub(super) fn fits(targets: &[BinTarget], depth: u32, feature_count: usize) -> bool {
    depth < DEPTH && targets.iter().all(|target| target.feature < feature_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches as the passes of a job do.
    fn bins_of(columns: &[Vec<f64>], bins_max: usize) -> Bins {
        let rows: Vec<Vec<f64>> =
            (0..columns[0].len()).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
        let mut search = BinSearch::new(rows.len(), columns.len(), bins_max);
        while let Some((targets, depth)) = search.targets() {
            assert!(counted(&targets) <= SUMS_MAX && fits(&targets, depth, columns.len()));
            assert!(search.absorb(&bin_counts(rows.iter().map(Vec::as_slice), &targets, depth)));
        }
        search.bins()
    }

    fn edges(bins: &Bins, feature: usize) -> Vec<f64> {
        (0..bins.count(feature) - 1).map(|bin| bins.edge(feature, bin)).collect()
    }

    #[test]
    fn few_values_have_a_bin_each_and_edges_in_the_middle() {
        let bins = bins_of(&[vec![3.0, -1.0, 0.0, -0.0, 3.0, 8.0], vec![2.0; 6]], 4);
        assert_eq!(edges(&bins, 0), [-0.5, 1.5, 5.5]);
        assert_eq!([-7.0, -0.5, 0.0, 3.0, 9.0].map(|value| bins.code(0, value)), [0, 0, 1, 2, 3]);
        assert_eq!((bins.count(1), bins.code(1, 5.0)), (1, 0));
        assert!(bins.is_sound());
    }

    /// Expected: `numpy.percentile(range(10), [25, 50, 75], method="averaged_inverted_cdf")`.
    #[test]
    fn many_values_are_cut_at_quantiles() {
        let column: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(edges(&bins_of(&[column], 4), 0), [2.0, 4.5, 7.0]);
        let mostly_one: Vec<f64> = (0..100).map(|row| if row < 90 { 5.0 } else { f64::from(row) }).collect();
        assert_eq!(edges(&bins_of(&[mostly_one], 4), 0), [5.0]);
    }

    #[test]
    fn edges_are_those_of_sorted_values_whatever_their_size_and_sign() {
        let cell = |row: u32| f64::from(row.wrapping_mul(2_654_435_769) as i32) * 1e-3_f64.powi(row as i32 % 5);
        let column: Vec<f64> = (0..3000).map(cell).collect();
        let mut sorted: Vec<f64> = column.iter().map(|value| f64::from(*value as f32)).collect();
        sorted.sort_by(f64::total_cmp);
        let expected: Vec<f64> =
            quantile_ranks(3000, 255).map(|(a, b)| (sorted[a as usize] + sorted[b as usize]) / 2.0).collect();
        assert_eq!(edges(&bins_of(&[column], 255), 0), expected);
    }

    #[test]
    fn counts_that_no_rows_can_have_are_noticed() {
        let mut search = BinSearch::new(3, 1, 255);
        let mut counts = [0.0; CHILDREN];
        counts[4] = 2.0;
        assert!(!search.clone().absorb(&counts) && !search.absorb(&[]));
    }
}
