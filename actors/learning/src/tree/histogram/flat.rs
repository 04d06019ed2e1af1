//! A tree as numbers alone: what travels between coordinator and workers, and what rows go through quickly.
//!
//! It says nothing of how it was grown. Values are compared with thresholds, or numbers of bins with numbers of bins.

use odeon_protocol::block::F64Block;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::tree::Tree;

/// Numbers of a node on the wire.
const WIDTH: usize = 4;

/// A node: what goes left has at most the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FlatNode {
    /// Position of the feature; without meaning in a leaf.
    pub feature: u32,
    /// Position of the left child, which the right one follows; 0 of a leaf.
    pub left: u32,
    /// Where it is cut.
    pub threshold: f64,
    /// What a leaf says.
    pub value: f64,
}

/// A tree; its root comes first, children behind their parent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FlatTree {
    /// The nodes.
    pub nodes: Vec<FlatNode>,
}

impl FlatTree {
    /// The same tree; a leaf says the first of its values, or its number among the leaves if there are several.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let (mut nodes, mut queue, mut leaves) = (vec![FlatNode::default()], vec![(0, 0)], 0);
        while let Some((from, to)) = queue.pop() {
            let node = &tree.nodes[from];
            let next = nodes.len();
            match &node.split {
                None => {
                    nodes[to].value = if tree.class_count == 0 { node.value[0] } else { f64::from(leaves) };
                    leaves += 1;
                }
                Some(split) => {
                    let (feature, left) = (split.feature as u32, next as u32);
                    nodes[to] = FlatNode { feature, left, threshold: split.threshold, value: 0.0 };
                    nodes.extend([FlatNode::default(); 2]);
                    queue.extend([(split.right, next + 1), (split.left, next)]);
                }
            }
        }
        Self { nodes }
    }

    /// The position of the leaf of a row; `value` tells its features.
    #[inline(always)]
    pub fn leaf(&self, value: impl Fn(u32) -> f64) -> usize {
        let mut at = 0;
        loop {
            let node = &self.nodes[at];
            if node.left == 0 {
                return at;
            }
            at = node.left as usize + usize::from(value(node.feature) > node.threshold);
        }
    }

    /// Whether every row of so many features comes to a leaf.
    #[must_use]
    pub fn is_sound(&self, feature_count: usize) -> bool {
        let is_sound = |(place, node): (usize, &FlatNode)| {
            let left = node.left as usize;
            left == 0 || (left > place && left + 1 < self.nodes.len() && (node.feature as usize) < feature_count)
        };
        !self.nodes.is_empty() && self.nodes.iter().enumerate().all(is_sound)
    }
}

impl Serialize for FlatTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let numbers = |node: &FlatNode| [f64::from(node.feature), f64::from(node.left), node.threshold, node.value];
        F64Block(self.nodes.iter().flat_map(numbers).collect()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FlatTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let numbers = F64Block::deserialize(deserializer)?.0;
        let (nodes, rest) = numbers.as_chunks::<WIDTH>();
        if !rest.is_empty() {
            return Err(D::Error::custom(format!("a tree of {} numbers, not a multiple of {WIDTH}", numbers.len())));
        }
        let node = |[feature, left, threshold, value]: &[f64; WIDTH]| FlatNode {
            feature: *feature as u32,
            left: *left as u32,
            threshold: *threshold,
            value: *value,
        };
        Ok(Self { nodes: nodes.iter().map(node).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{TreeSettings, grow};
    use ndarray::Array2;

    #[test]
    fn a_row_comes_to_the_leaf_of_the_tree_it_was_made_of() {
        let x = Array2::from_shape_fn((40, 2), |(row, column)| ((row * 7 + column * 13) % 23) as f64);
        let targets: Vec<f64> = (0..40).map(|row| f64::from(row * row % 11)).collect();
        let tree = grow(x.view(), &targets, 0, &TreeSettings::default());
        let flat = FlatTree::of(&tree);
        assert!(flat.is_sound(2) && !flat.is_sound(1) && flat.nodes.len() == tree.nodes.len());
        for row in x.outer_iter() {
            let leaf = flat.leaf(|feature| row[feature as usize]);
            assert_eq!(flat.nodes[leaf].value, tree.leaf(row).value[0]);
        }
    }

    #[test]
    fn a_tree_in_which_a_row_could_get_lost_is_unsound() {
        let node = |left| FlatNode { left, ..FlatNode::default() };
        let is_sound = |lefts: &[u32]| FlatTree { nodes: lefts.iter().map(|left| node(*left)).collect() }.is_sound(1);
        assert!(is_sound(&[1, 0, 0]) && is_sound(&[0]));
        assert!(!is_sound(&[]) && !is_sound(&[1, 0]) && !is_sound(&[1, 1, 0]) && !is_sound(&[2, 0, 0]));
    }
}
