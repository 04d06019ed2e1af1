//! Fixed blocks of rows, and the fixed binary tree along which their sums are added.
//!
//! Both depend on the row count alone, so the bits of a sum do not depend on who computed which
//! part, nor on the order of arrival. What is summed, and by whom, is not known here.

use std::{collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

/// Blocks aimed at when the data is small: enough pieces for many workers.
const BLOCK_COUNT_AIM: usize = 64;
/// Fewest rows in a block, the last one excepted.
const BLOCK_ROWS_MIN: usize = 8;
/// Of so many blocks of a share, one may be moved to a neighbour's so that shares end where subtrees do.
const CUT_SLACK: usize = 24;
/// Most rows in a block.
const BLOCK_ROWS_MAX: usize = 4096;

/// The part of the data a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rows the model is fitted on.
    Train,
    /// Rows the model is judged on.
    Test,
}

/// A node of the tree over block numbers: `(k, i)` covers blocks `[i·2^k, (i+1)·2^k)`, cut at the block count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId {
    /// Height above the blocks, which have level 0.
    pub level: u32,
    /// Position within the level, from 0.
    pub index: usize,
}

/// How the rows of one split are cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLayout {
    row_count: usize,
    block_rows: usize,
}

impl BlockLayout {
    /// The layout of `row_count` rows; the only thing it depends on.
    #[must_use]
    pub fn new(row_count: usize) -> Self {
        let block_rows = match row_count.div_ceil(BLOCK_COUNT_AIM) {
            // A power of two of blocks: two, four, eight … workers then send one vector each.
            BLOCK_ROWS_MAX.. => row_count.div_ceil(row_count.div_ceil(BLOCK_ROWS_MAX).next_power_of_two()),
            few => few.max(BLOCK_ROWS_MIN),
        };
        Self { row_count, block_rows }
    }

    /// Number of blocks; the last may be short.
    #[must_use]
    pub fn block_count(&self) -> usize {
        self.row_count.div_ceil(self.block_rows)
    }

    /// Positions of the rows of a block in the order of the split; empty past the last block.
    #[must_use]
    pub fn rows(&self, block: usize) -> Range<usize> {
        let start = block.saturating_mul(self.block_rows).min(self.row_count);
        start..start.saturating_add(self.block_rows).min(self.row_count)
    }

    /// Blocks that a node covers, or `None` if the tree has no such node.
    #[must_use]
    pub fn blocks(&self, node: NodeId) -> Option<Range<usize>> {
        blocks_of(node, self.block_count())
    }
}

/// The fewest aligned subtrees that cover exactly `blocks`, in block order.
///
/// At most about `2·log2(block_count)` of them. `blocks` is cut at `block_count`.
#[must_use]
pub fn subtrees(blocks: Range<usize>, block_count: usize) -> Vec<NodeId> {
    let end = blocks.end.min(block_count);
    let mut start = blocks.start;
    let mut nodes = Vec::new();
    while start < end {
        let mut node = NodeId { level: 0, index: start };
        let mut reach = start + 1;
        while node.level < root_level(block_count) && node.index.is_multiple_of(2) {
            let parent = NodeId { level: node.level + 1, index: node.index / 2 };
            let parent_reach = ((parent.index + 1) << parent.level).min(block_count);
            if parent_reach > end {
                break;
            }
            (node, reach) = (parent, parent_reach);
        }
        nodes.push(node);
        start = reach;
    }
    nodes
}

/// Blocks `0..block_count` in `parts` contiguous ranges whose lengths differ by at most one.
#[must_use]
pub fn even_ranges(block_count: usize, parts: usize) -> Vec<Range<usize>> {
    (0..parts).map(|part| block_count * part / parts..block_count * (part + 1) / parts).collect()
}

/// Blocks `0..block_count` in `parts` contiguous ranges of nearly equal length, cut where subtrees end: a part is then
/// one vector, or few. What a part is longer for it is at most a block in `CUT_SLACK`.
#[must_use]
pub fn aligned_ranges(block_count: usize, parts: usize) -> Vec<Range<usize>> {
    let even = even_ranges(block_count, parts);
    let slack = block_count / parts.max(1) / CUT_SLACK;
    let cut = |at: usize| match at {
        0 => 0,
        at if at == block_count => at,
        at => (0..usize::BITS).rev().find_map(|level| nearest_multiple(at, level, slack)).unwrap_or(at),
    };
    even.into_iter().map(|range| cut(range.start)..cut(range.end)).collect()
}

/// The multiple of `2^level` nearest to `at`, if it is at most `slack` away and not 0.
fn nearest_multiple(at: usize, level: u32, slack: usize) -> Option<usize> {
    let below = at >> level << level;
    let above = below.checked_add(1_usize.checked_shl(level)?)?;
    let nearest = if at - below <= above - at { below } else { above };
    (nearest > 0 && nearest.abs_diff(at) <= slack).then_some(nearest)
}

/// Adds partial vectors of disjoint subtrees along the tree, whatever the order they come in.
///
/// The value of a parent is left + right, element by element, or left alone if right is empty.
#[derive(Debug, Clone)]
pub struct Reduction {
    block_count: usize,
    /// By first block; disjoint, and merged as far as the tree allows.
    held: BTreeMap<usize, (NodeId, Vec<f64>)>,
}

/// Why a partial vector was not taken into a [`Reduction`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReduceError {
    /// The tree over this many blocks has no such node.
    #[error("a tree over {block_count} blocks has no node {node:?}")]
    UnknownNode {
        /// The node of the partial.
        node: NodeId,
        /// Blocks of the tree.
        block_count: usize,
    },
    /// Some block of the node is already counted.
    #[error("node {0:?} overlaps blocks that are already counted")]
    Overlap(NodeId),
    /// Partials of one pass must have one length.
    #[error("node {node:?} has {actual} values, the others have {expected}")]
    Length {
        /// The node of the partial.
        node: NodeId,
        /// Values in the partials held.
        expected: usize,
        /// Values in this one.
        actual: usize,
    },
}

impl Reduction {
    /// An empty sum over a tree of `block_count` blocks.
    #[must_use]
    pub fn new(block_count: usize) -> Self {
        Self { block_count, held: BTreeMap::new() }
    }

    /// Takes the partial vector of one subtree.
    ///
    /// # Errors
    /// [`ReduceError`] if the node is unknown, counted already, or of another length; nothing changes then.
    pub fn insert(&mut self, node: NodeId, values: Vec<f64>) -> Result<(), ReduceError> {
        let blocks = blocks_of(node, self.block_count)
            .ok_or(ReduceError::UnknownNode { node, block_count: self.block_count })?;
        if blocks.clone().any(|block| self.covers(block)) {
            return Err(ReduceError::Overlap(node));
        }
        if let Some((_, (_, other))) = self.held.first_key_value()
            && other.len() != values.len()
        {
            return Err(ReduceError::Length { node, expected: other.len(), actual: values.len() });
        }
        self.merge_upwards(node, values);
        Ok(())
    }

    /// Takes the partial vector of a subtree of which parts may be counted already: those are given back.
    ///
    /// # Errors
    /// As [`Self::insert`]; [`ReduceError::Overlap`] only if every block of the node is counted.
    pub fn supersede(&mut self, node: NodeId, values: Vec<f64>) -> Result<(), ReduceError> {
        let blocks = blocks_of(node, self.block_count)
            .ok_or(ReduceError::UnknownNode { node, block_count: self.block_count })?;
        if blocks.clone().all(|block| self.covers(block)) {
            return Err(ReduceError::Overlap(node));
        }
        // A partial that reaches beyond the node would hold all of it.
        self.held.retain(|start, _| !blocks.contains(start));
        self.insert(node, values)
    }

    /// Whether a block is part of a partial that was taken.
    #[must_use]
    pub fn covers(&self, block: usize) -> bool {
        self.held.range(..=block).next_back().is_some_and(|(_, (node, _))| {
            blocks_of(*node, self.block_count).is_some_and(|blocks| blocks.contains(&block))
        })
    }

    /// The sum over all blocks once every block is counted.
    #[must_use]
    pub fn root(&self) -> Option<&[f64]> {
        let (node, values) = self.held.get(&0)?;
        (blocks_of(*node, self.block_count)? == (0..self.block_count)).then_some(values.as_slice())
    }

    /// Whether all blocks of a node are parts of partials that were taken.
    #[must_use]
    pub fn covers_node(&self, node: NodeId) -> bool {
        blocks_of(node, self.block_count).is_some_and(|mut blocks| blocks.all(|block| self.covers(block)))
    }

    fn merge_upwards(&mut self, mut node: NodeId, mut values: Vec<f64>) {
        while node.level < root_level(self.block_count) {
            let sibling = NodeId { level: node.level, index: node.index ^ 1 };
            match blocks_of(sibling, self.block_count) {
                None => {}
                Some(blocks) => match self.held.get(&blocks.start) {
                    Some((held, _)) if *held == sibling => {
                        let (_, other) = self.held.remove(&blocks.start).expect("the entry was just looked up");
                        values = if sibling.index < node.index { add(other, &values) } else { add(values, &other) };
                    }
                    _ => break,
                },
            }
            node = NodeId { level: node.level + 1, index: node.index / 2 };
        }
        self.held.insert(node.index << node.level, (node, values));
    }
}

/// The root of disjoint partials that together cover all blocks, or `None` if some block is missing.
///
/// # Errors
/// As [`Reduction::insert`].
pub fn reduce(
    block_count: usize,
    partials: impl IntoIterator<Item = (NodeId, Vec<f64>)>,
) -> Result<Option<Vec<f64>>, ReduceError> {
    let mut reduction = Reduction::new(block_count);
    for (node, values) in partials {
        reduction.insert(node, values)?;
    }
    Ok(reduction.root().map(<[f64]>::to_vec))
}

/// The sum of one subtree from the partials of its blocks, which `block_partial` computes in block order.
///
/// # Errors
/// What `block_partial` returns. A node outside the tree counts as its cut part.
pub(crate) fn sum_subtree<E>(
    node: NodeId,
    block_count: usize,
    block_partial: &mut impl FnMut(usize) -> Result<Vec<f64>, E>,
) -> Result<Vec<f64>, E> {
    if node.level == 0 {
        return block_partial(node.index);
    }
    let child = |index| NodeId { level: node.level - 1, index };
    let left = sum_subtree(child(2 * node.index), block_count, block_partial)?;
    let right_node = child(2 * node.index + 1);
    if blocks_of(right_node, block_count).is_none() {
        return Ok(left);
    }
    Ok(add(left, &sum_subtree(right_node, block_count, block_partial)?))
}

fn add(mut left: Vec<f64>, right: &[f64]) -> Vec<f64> {
    left.iter_mut().zip(right).for_each(|(sum, value)| *sum += value);
    left
}

/// The smallest level whose first node covers all blocks.
fn root_level(block_count: usize) -> u32 {
    block_count.next_power_of_two().trailing_zeros()
}

fn blocks_of(node: NodeId, block_count: usize) -> Option<Range<usize>> {
    if node.level > root_level(block_count) || node.index > block_count >> node.level {
        return None;
    }
    let start = node.index << node.level;
    (start < block_count).then(|| start..(start + (1 << node.level)).min(block_count))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(level: u32, index: usize) -> NodeId {
        NodeId { level, index }
    }

    #[test]
    fn iris_has_work_for_eight_workers_and_big_data_has_bounded_blocks() {
        let iris = BlockLayout::new(120);
        assert_eq!((iris.block_count(), iris.rows(14)), (15, 112..120));
        assert_eq!(
            (BlockLayout::new(1_600_000).block_count(), BlockLayout::new(1_600_000).rows(511)),
            (512, 1_596_875..1_600_000)
        );
        assert_eq!((BlockLayout::new(262_144).block_count(), BlockLayout::new(262_145).block_count()), (64, 128));
        assert_eq!(BlockLayout::new(121).rows(15), 120..121);
        assert_eq!(BlockLayout::new(0).block_count(), 0);
    }

    #[test]
    fn a_range_is_covered_by_the_fewest_aligned_subtrees() {
        assert_eq!(subtrees(0..15, 15), [node(4, 0)]);
        assert_eq!(subtrees(3..8, 15), [node(0, 3), node(2, 1)]);
        assert_eq!(subtrees(8..15, 15), [node(3, 1)]);
        assert_eq!(subtrees(8..14, 15), [node(2, 2), node(1, 6)]);
        assert_eq!(subtrees(0..1, 1), [node(0, 0)]);
        assert!(subtrees(3..3, 15).is_empty());
    }

    #[test]
    fn shares_end_where_subtrees_do_and_stay_nearly_even() {
        assert_eq!(aligned_ranges(512, 2), [0..256, 256..512]);
        assert_eq!(aligned_ranges(512, 3), [0..176, 176..336, 336..512]);
        assert_eq!(aligned_ranges(63, 2), [0..32, 32..63]);
        assert_eq!(aligned_ranges(15, 2), [0..7, 7..15]);
        for (blocks, parts) in [(15, 8), (512, 16), (391, 7), (3, 5), (1, 2), (1000, 1)] {
            let (ranges, even) = (aligned_ranges(blocks, parts), even_ranges(blocks, parts));
            assert!(ranges[0].start == 0 && ranges[parts - 1].end == blocks);
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start), "{ranges:?}");
            let slack = blocks / parts / CUT_SLACK;
            assert!(ranges.iter().zip(&even).all(|(cut, even)| cut.end.abs_diff(even.end) <= slack), "{ranges:?}");
        }
    }

    #[test]
    fn a_parent_is_left_plus_right_or_left_alone() {
        let leaves = (0..3).map(|block| (node(0, block), vec![[1e16, 1.0, -1e16][block]]));
        assert_eq!(reduce(3, leaves), Ok(Some(vec![(1e16 + 1.0) + -1e16])));
    }

    #[test]
    fn a_block_is_never_counted_twice_and_a_foreign_node_is_refused() {
        let mut reduction = Reduction::new(5);
        reduction.insert(node(1, 1), vec![1.0]).unwrap();
        assert_eq!(reduction.insert(node(0, 3), vec![1.0]), Err(ReduceError::Overlap(node(0, 3))));
        assert_eq!(reduction.insert(node(2, 0), vec![1.0]), Err(ReduceError::Overlap(node(2, 0))));
        for foreign in [node(0, 5), node(200, 0), node(3, usize::MAX)] {
            let expected = ReduceError::UnknownNode { node: foreign, block_count: 5 };
            assert_eq!(reduction.insert(foreign, vec![1.0]), Err(expected));
        }
        let expected = ReduceError::Length { node: node(0, 0), expected: 1, actual: 2 };
        assert_eq!(reduction.insert(node(0, 0), vec![1.0, 2.0]), Err(expected));
        assert_eq!(reduction.root(), None);
    }

    proptest! {
        #[test]
        fn any_partition_in_any_order_of_arrival_gives_the_same_bits(
            values in prop::collection::vec(-1e9..1e9_f64, 1..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
            order in any::<u64>(),
        ) {
            let count = values.len();
            let mut leaf = |block: usize| Ok::<_, ()>(vec![values[block], values[block] / 3.0]);
            let whole = sum_subtree(subtrees(0..count, count)[0], count, &mut leaf).unwrap();

            let mut edges: Vec<usize> = cuts.iter().map(|cut| cut.index(count + 1)).chain([0, count]).collect();
            edges.sort_unstable();
            let nodes = edges.windows(2).flat_map(|edge| subtrees(edge[0]..edge[1], count));
            let mut partials: Vec<_> =
                nodes.map(|node| (node, sum_subtree(node, count, &mut leaf).unwrap())).collect();
            partials.sort_by_key(|(node, _)| (node.index as u64 + 7 * u64::from(node.level)).wrapping_mul(order | 1));

            let root = reduce(count, partials).unwrap().unwrap();
            prop_assert_eq!(root.iter().map(|v| v.to_bits()).collect::<Vec<_>>(),
                            whole.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_node_takes_the_place_of_its_parts_and_of_nothing_else() {
        let leaf = |index| (NodeId { level: 0, index }, vec![0.1 * (index as f64 + 1.0)]);
        let whole = reduce(5, (0..5).map(leaf)).unwrap().unwrap();
        let of = |index: usize| vec![0.1 * (index as f64 + 1.0)];
        let mut reduction = Reduction::new(5);
        for index in [0, 2, 4] {
            reduction.insert(NodeId { level: 0, index }, of(index)).unwrap();
        }
        let right = add(of(2), &of(3));
        reduction.supersede(NodeId { level: 1, index: 1 }, right.clone()).unwrap();
        assert!(reduction.covers(0) && !reduction.covers(1) && reduction.covers(3) && reduction.covers(4));
        assert!(
            reduction.covers_node(NodeId { level: 1, index: 1 })
                && !reduction.covers_node(NodeId { level: 1, index: 0 })
        );
        let again = NodeId { level: 1, index: 1 };
        assert_eq!(reduction.supersede(again, right), Err(ReduceError::Overlap(again)));
        let left = add(add(of(0), &of(1)), &add(of(2), &of(3)));
        reduction.supersede(NodeId { level: 2, index: 0 }, left).unwrap();
        assert_eq!(reduction.root(), Some(whole.as_slice()), "the very bits");
    }
}
