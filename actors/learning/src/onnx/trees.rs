//! Trees in a graph: in which leaf of each tree a row ends, and what the leaves say.
//!
//! Leaves are numbered and looked up, because `TreeEnsembleRegressor` knows values of 32 bits only.

use super::format::Element;
use super::graph::{Graph, ML, Value, floats, int, ints, strings};
use crate::tree::Tree;
use crate::tree::ensemble::{Ensemble, Link};

/// What the leaf of each row says, shape `[rows, outputs]`.
pub(super) fn leaf_values(tree: &Tree, graph: &mut Graph, rows: &str) -> Value {
    let leaf = leaf_numbers(&[tree], graph, rows);
    let leaf = graph.flat(&leaf);
    let values: Vec<f64> = leaves(tree).flat_map(|leaf| tree.nodes[leaf].value.iter().copied()).collect();
    let outputs = tree.nodes[0].value.len();
    let values = graph.doubles(&[values.len() / outputs, outputs], values);
    graph.op_with("", "Gather", &[&values, &leaf], vec![int("axis", 0)])
}

/// Predictions or probabilities of many trees, shape `[rows, scores]`.
pub(super) fn ensemble_scores(ensemble: &Ensemble, graph: &mut Graph, rows: &str) -> Value {
    let Ensemble { base, link, trees } = ensemble;
    let base = graph.row(base.clone());
    let outputs = ensemble.base.len();
    let all: Vec<&Tree> = trees.iter().collect();
    let number = leaf_numbers(&all, graph, rows);
    // Leaves of all trees stand in one list.
    let starts = trees.iter().scan(0, |next, tree| {
        let start = *next;
        *next += tree.leaf_count() as i64;
        Some(start)
    });
    let starts = graph.ints(starts.collect());
    let place = graph.op("Add", &[&number, &starts]);
    let values: Vec<f64> = trees.iter().flat_map(|tree| leaves(tree).map(|leaf| tree.nodes[leaf].value[0])).collect();
    let values = graph.doubles(&[values.len()], values);
    let told = graph.op_with("", "Gather", &[&values, &place], vec![int("axis", 0)]);
    // One where the tree is of the output.
    let is_of = (0..trees.len() * outputs).map(|place| {
        let (tree, output) = (place / outputs, place % outputs);
        f64::from(u8::from(tree % outputs == output))
    });
    let is_of = graph.doubles(&[trees.len(), outputs], is_of.collect());
    let sums = graph.op("MatMul", &[&told, &is_of]);
    let sums = graph.op("Add", &[&sums, &base]);
    match link {
        Link::Identity => sums,
        Link::Softmax => graph.op_with("", "Softmax", &[&sums], vec![int("axis", 1)]),
        Link::Logistic => {
            // A second class whose log-odds are 0.
            let none = graph.scalar(0.0);
            let zeros = graph.op("Mul", &[&sums, &none]);
            let both = graph.beside(&[&zeros, &sums]);
            graph.op_with("", "Softmax", &[&both], vec![int("axis", 1)])
        }
    }
}

/// The leaves of a tree, in the order of its nodes.
fn leaves(tree: &Tree) -> impl Iterator<Item = usize> {
    (0..tree.nodes.len()).filter(|node| tree.nodes[*node].split.is_none())
}

/// The number of the leaf in each tree, shape `[rows, trees]`.
fn leaf_numbers(trees: &[&Tree], graph: &mut Graph, rows: &str) -> Value {
    let features = graph.cast(rows, Element::Float);
    let nodes = || trees.iter().flat_map(|tree| tree.nodes.iter());
    let of_split = |of: fn(&crate::tree::TreeSplit) -> i64| {
        nodes().map(|node| node.split.as_ref().map_or(0, of)).collect::<Vec<i64>>()
    };
    let numbered = |count: fn(&Tree) -> Vec<usize>| {
        let of_tree =
            |(number, tree): (usize, &&Tree)| count(tree).into_iter().map(move |place| (number as i64, place as i64));
        trees.iter().enumerate().flat_map(of_tree).unzip::<i64, i64, Vec<i64>, Vec<i64>>()
    };
    let (node_trees, node_numbers) = numbered(|tree| (0..tree.nodes.len()).collect());
    let (leaf_trees, leaf_nodes) = numbered(|tree| leaves(tree).collect());
    let modes = nodes().map(|node| if node.split.is_some() { "BRANCH_LEQ" } else { "LEAF" }.to_owned());
    let thresholds = nodes().map(|node| node.split.as_ref().map_or(0.0, |split| rounded_down(split.threshold)));
    // The number of the leaf in its tree: there are fewer than a float counts exactly.
    let numbers = trees.iter().flat_map(|tree| (0..tree.leaf_count()).map(|number| number as f32));
    let attributes = vec![
        ints("nodes_treeids", node_trees),
        ints("nodes_nodeids", node_numbers),
        ints("nodes_featureids", of_split(|split| split.feature as i64)),
        strings("nodes_modes", modes.collect()),
        floats("nodes_values", thresholds.collect()),
        ints("nodes_truenodeids", of_split(|split| split.left as i64)),
        ints("nodes_falsenodeids", of_split(|split| split.right as i64)),
        ints("target_treeids", leaf_trees.clone()),
        ints("target_nodeids", leaf_nodes),
        // Each tree tells its own.
        ints("target_ids", leaf_trees),
        floats("target_weights", numbers.collect()),
        int("n_targets", trees.len() as i64),
    ];
    let leaf = graph.op_with(ML, "TreeEnsembleRegressor", &[&features], attributes);
    graph.cast(&leaf, Element::Int64)
}

/// The largest number of 32 bits that is not above: what is at most this number is at most the threshold.
pub(super) fn rounded_down(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold { nearest.next_down() } else { nearest }
}
