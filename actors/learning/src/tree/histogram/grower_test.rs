//! Growing from histograms, beside a naive twin that cuts rows at hand, and beside the exact growth.

use ndarray::{Array2, array};
use proptest::prelude::*;

use super::super::{Loss, OpenTree, Scales, TreePass, TreeRows, TreeState};
use super::super::{Shared, histogram_sums};
use super::*;
use crate::tree::{Criterion, TreeSettings, grow};

const LIMITS: GrowLimits = GrowLimits {
    max_depth: None,
    max_leaf_nodes: None,
    min_samples_split: 2,
    min_samples_leaf: 1,
    min_gain: 0.0,
    max_features: None,
    seed: 0,
};
const SCALES: Scales = Scales { gradient: 24, curvature: 24 };

struct Case {
    x: Array2<f64>,
    y: Vec<f64>,
    loss: Loss,
    rule: Rule,
}

/// A bin for each value.
fn bins_of(x: &Array2<f64>) -> Bins {
    let edges = x.columns().into_iter().map(|column| {
        let mut values = column.to_vec();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect()
    });
    Bins::new(edges.collect())
}

fn units(loss: Loss) -> Vec<f64> {
    let [gradient, curvature] = [SCALES.gradient, SCALES.curvature].map(|exponent| 2.0_f64.powi(-exponent));
    match loss {
        Loss::Counts(classes) => vec![1.0; classes],
        Loss::HalfSquared => vec![gradient, 1.0],
        _ => vec![gradient, curvature, 1.0],
    }
}

/// Grows as the passes of a job do; the tree and the number of passes.
fn grown(case: &Case, limits: GrowLimits, sums_max: usize) -> (Vec<GrownNode>, Bins, usize) {
    let bins = bins_of(&case.x);
    let state = TreeState {
        bins: Shared::new(bins.clone()),
        trees: Shared::default(),
        trees_known: 0,
        loss: case.loss,
        base: vec![0.0; case.loss.outputs()].into(),
        held_out: 0.0,
        seed: 0,
        is_bagged: false,
        scales: SCALES,
    };
    let cells: Vec<Vec<f64>> = case.x.outer_iter().map(|row| row.to_vec()).collect();
    let mut rows = TreeRows::new(cells.iter().map(Vec::as_slice), &case.y, 0, &state).unwrap();
    let mut grower = Grower::new(0, Arc::clone(&state.bins.0), case.rule, limits, units(case.loss));
    let mut passes = 0;
    while !grower.is_done() {
        let (parts, sums) = grower.parts(0, sums_max, true);
        assert!(!parts.is_empty(), "a tree that is not done wants something");
        let open = vec![OpenTree { number: 0, tree: grower.tree(), is_final: false }];
        let pass = TreePass::Histograms { state: state.clone(), open, parts: parts.clone(), sums };
        assert!(pass.is_sound(case.x.ncols()));
        rows.follow(&pass);
        grower.absorb(&parts, &histogram_sums(&[&rows], &pass), sums_max).unwrap();
        passes += 1;
    }
    (grower.made(), bins, passes)
}

/// A tree as nested text, with the sums of its leaves, which does not depend on the order of nodes.
fn text(nodes: &[GrownNode], node: usize) -> String {
    match nodes[node].split {
        None => format!("{:?}", nodes[node].sums),
        Some((feature, bin, left)) => {
            format!("({feature}<={bin} {} {})", text(nodes, left), text(nodes, left + 1))
        }
    }
}

/// The same by looking at the rows of each node, for each cut, one node after the other.
struct Twin<'a> {
    case: &'a Case,
    bins: Bins,
    limits: GrowLimits,
    nodes: Vec<GrownNode>,
    rows: Vec<Vec<usize>>,
    depths: Vec<usize>,
}

impl Twin<'_> {
    fn sums(&self, rows: &[usize]) -> Vec<f64> {
        let mut sums = vec![0.0; self.case.rule.width()];
        for row in rows {
            let y = self.case.y[*row];
            let rounded =
                |value: f64, exponent: i32| (value * 2.0_f64.powi(exponent)).round() * 2.0_f64.powi(-exponent);
            match self.case.loss {
                Loss::Counts(_) => sums[y as usize] += 1.0,
                Loss::HalfSquared => {
                    sums[0] += rounded(-y, SCALES.gradient);
                    sums[1] += 1.0;
                }
                _ => {
                    sums[0] += rounded(0.5 - y, SCALES.gradient);
                    sums[1] += rounded(0.25, SCALES.curvature);
                    sums[2] += 1.0;
                }
            }
        }
        sums
    }

    fn best(&self, node: usize) -> Option<(f64, usize, usize)> {
        let (rule, rows) = (self.case.rule, &self.rows[node]);
        let is_leaf = self.limits.max_depth.is_some_and(|max| self.depths[node] >= max)
            || rows.len() < self.limits.min_samples_split.max(2 * self.limits.min_samples_leaf)
            || rule.is_pure(&self.nodes[node].sums)
            || !rule.is_enough(&self.nodes[node].sums);
        let mut best: Option<(f64, usize, usize)> = None;
        for feature in 0..self.case.x.ncols() {
            for bin in 0..self.bins.count(feature) - 1 {
                let [left, right] = self.sides(node, feature, bin);
                if left.len().min(right.len()) < self.limits.min_samples_leaf.max(1) {
                    continue;
                }
                let [left, right] = [self.sums(&left), self.sums(&right)];
                if !rule.is_enough(&left) || !rule.is_enough(&right) {
                    continue;
                }
                let score = rule.merit(&left) + rule.merit(&right);
                let gain = score - rule.merit(&self.nodes[node].sums);
                let is_better = best.is_none_or(|(best, ..)| gain - best > TIE * score.abs());
                let is_worth_it = gain + f64::EPSILON >= self.limits.min_gain
                    && (rule.classes().is_some() || gain > TIE * score.abs());
                if is_better && is_worth_it {
                    best = Some((gain.max(0.0), feature, bin));
                }
            }
        }
        best.filter(|_| !is_leaf)
    }

    fn sides(&self, node: usize, feature: usize, bin: usize) -> [Vec<usize>; 2] {
        let is_left = |row: &usize| usize::from(self.bins.code(feature, self.case.x[[*row, feature]])) <= bin;
        let (left, right) = self.rows[node].iter().partition(|row| is_left(row));
        [left, right]
    }

    fn grow(case: &Case, limits: GrowLimits) -> String {
        let all: Vec<usize> = (0..case.y.len()).collect();
        let mut twin =
            Twin { case, bins: bins_of(&case.x), limits, nodes: Vec::new(), rows: vec![all.clone()], depths: vec![0] };
        twin.nodes.push(GrownNode { split: None, sums: twin.sums(&all) });
        let mut leaves = 1;
        while limits.max_leaf_nodes.is_none_or(|most| leaves < most) {
            let open = (0..twin.nodes.len()).filter(|node| twin.nodes[*node].split.is_none());
            let cuts = open.filter_map(|node| twin.best(node).map(|(gain, feature, bin)| (gain, node, feature, bin)));
            let Some((_, node, feature, bin)) = cuts.reduce(|a, b| if b.0 > a.0 { b } else { a }) else { break };
            for side in twin.sides(node, feature, bin) {
                twin.nodes.push(GrownNode { split: None, sums: twin.sums(&side) });
                twin.rows.push(side);
                twin.depths.push(twin.depths[node] + 1);
            }
            twin.nodes[node].split = Some((feature, bin, twin.nodes.len() - 2));
            leaves += 1;
        }
        text(&twin.nodes, 0)
    }
}

fn case(rows: usize, loss: Loss, rule: Rule, seed: usize) -> Case {
    let cell =
        |(row, column): (usize, usize)| ((row * (2 * column + 3) * 29 + seed * 7 + row * row) % (17 + column)) as f64;
    let x = Array2::from_shape_fn((rows, 3), cell);
    let of_row = |row: usize| {
        let sum = x[[row, 0]] * 3.0 - x[[row, 1]] * 2.0 + ((row * 31 + seed) % 7) as f64;
        if loss.classes() > 0 { (sum.abs() as usize % loss.classes()) as f64 } else { sum / 64.0 }
    };
    let y = (0..rows).map(of_row).collect();
    Case { x, y, loss, rule }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever a pass has room for: what is prepared and not made leaves no trace.
    #[test]
    fn the_tree_is_that_of_the_twin_node_by_node(
        seed in 0_usize..1000,
        rows in 20_usize..70,
        kind in 0_usize..5,
        leaves in prop::option::of(2_usize..12),
        depth in prop::option::of(1_usize..6),
        least in 1_usize..6,
        room in 1_usize..2000,
    ) {
        let (loss, rule) = [
            (Loss::Counts(3), Rule::Gini(3)),
            (Loss::Counts(2), Rule::Entropy(2)),
            (Loss::HalfSquared, Rule::Squares(0.0)),
            (Loss::HalfSquared, Rule::Squares(2.5)),
            (Loss::Logistic, Rule::Newton(0.5)),
        ][kind];
        let case = case(rows, loss, rule, seed);
        let limits = GrowLimits { max_depth: depth, max_leaf_nodes: leaves, min_samples_leaf: least, ..LIMITS };
        let (made, ..) = grown(&case, limits, room);
        prop_assert_eq!(text(&made, 0), Twin::grow(&case, limits));
    }
}

#[test]
fn with_a_bin_for_each_value_the_tree_is_the_exact_one() {
    for (classes, criterion, rule) in
        [(0, None, Rule::Squares(0.0)), (3, None, Rule::Gini(3)), (3, Some(Criterion::Entropy), Rule::Entropy(3))]
    {
        let loss = if classes == 0 { Loss::HalfSquared } else { Loss::Counts(classes) };
        let case = case(150, loss, rule, 5);
        let settings = TreeSettings { criterion, max_depth: Some(4), min_samples_leaf: 3, ..TreeSettings::default() };
        let exact = grow(case.x.view(), &case.y, classes, &settings);
        let limits = GrowLimits { max_depth: Some(4), min_samples_leaf: 3, ..LIMITS };
        let (made, bins, _) = grown(&case, limits, 1 << 12);
        assert_eq!(made.len(), exact.nodes.len());
        let mut queue = vec![(0, 0)];
        while let Some((node, of_exact)) = queue.pop() {
            let (here, there) = (&made[node], &exact.nodes[of_exact]);
            assert_eq!(rule.rows(&here.sums), there.rows as f64);
            let split = there.split.map(|split| (split.feature, split.left, split.right));
            assert_eq!(here.split.map(|(feature, ..)| feature), split.map(|(feature, ..)| feature));
            if let (Some((feature, bin, left)), Some(split)) = (here.split, there.split) {
                let code = usize::from(bins.code(feature, split.threshold));
                assert!(code == bin || code == bin + 1, "{code} {bin}: a threshold lies between the rows of the node");
                queue.extend([(left, split.left), (left + 1, split.right)]);
            }
        }
    }
}

#[test]
fn a_step_is_found_in_one_split_and_in_two_passes() {
    let x = array![[5.0, 1.0], [6.0, 2.0], [5.0, 3.0], [6.0, 4.0]];
    let case = Case { x, y: vec![0.0, 0.0, 7.0, 7.0], loss: Loss::HalfSquared, rule: Rule::Squares(0.0) };
    let (made, bins, passes) = grown(&case, LIMITS, 1 << 10);
    assert_eq!((made[0].split, bins.edge(1, 1), passes), (Some((1, 1, 1)), 2.5, 2));
    assert_eq!((case.rule.value(&made[2].sums)[0] * 1e9).round() / 1e9, 7.0);
    // Both children are too small to be cut: nobody asks for their histograms.
    let (_, _, passes) = grown(&case, GrowLimits { min_samples_leaf: 2, ..LIMITS }, 1 << 10);
    assert_eq!(passes, 1);
}

#[test]
fn classes_that_only_two_features_together_tell_apart_are_told_apart() {
    let x = array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let case = Case { x, y: vec![0.0, 1.0, 1.0, 0.0], loss: Loss::Counts(2), rule: Rule::Gini(2) };
    assert_eq!(grown(&case, LIMITS, 1 << 10).0.len(), 7);
}

#[test]
fn equal_targets_are_not_cut_whatever_rounding_says() {
    let x = Array2::from_shape_fn((60, 2), |(row, column)| ((row * (column + 7)) % 31) as f64);
    let case = Case { x, y: vec![0.1; 60], loss: Loss::HalfSquared, rule: Rule::Squares(0.0) };
    assert_eq!(grown(&case, LIMITS, 1 << 10).0.len(), 1);
}

#[test]
fn features_are_drawn_by_the_place_of_a_node_and_not_by_what_a_pass_has_room_for() {
    let case = case(120, Loss::HalfSquared, Rule::Squares(0.0), 3);
    let limits = GrowLimits { max_features: Some(1), max_leaf_nodes: Some(9), seed: 4, ..LIMITS };
    let trees: Vec<String> = [1, 300, 5000].map(|room| text(&grown(&case, limits, room).0, 0)).to_vec();
    assert!(trees[0] == trees[1] && trees[1] == trees[2]);
    assert_ne!(trees[0], text(&grown(&case, GrowLimits { seed: 5, ..limits }, 300).0, 0));
}
