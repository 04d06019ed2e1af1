//! What a worker keeps, and the sums of it, beside loops that one would write first.

use std::sync::Arc;

use ndarray::Array2;
use proptest::prelude::*;

use super::super::{FlatNode, OpenTree, Part, Shared, histogram_sums};
use super::*;

const COUNT: usize = 97;

fn x() -> Array2<f64> {
    Array2::from_shape_fn((COUNT, 5), |(row, column)| ((row * (column + 3) * 7 + column) % 31) as f64)
}

fn bins() -> Bins {
    Bins::new((0..5).map(|feature| (0..30 - 6 * feature).map(|edge| edge as f64 + 0.5).collect()).collect())
}

fn state(loss: Loss) -> TreeState {
    TreeState {
        bins: Shared::new(bins()),
        trees: Shared::default(),
        trees_known: 0,
        loss,
        base: vec![0.25; loss.outputs()].into(),
        held_out: 0.0,
        seed: 7,
        is_bagged: false,
        scales: Scales { gradient: 20, curvature: 20 },
    }
}

fn targets(classes: usize) -> Vec<f64> {
    (0..COUNT).map(|row| if classes > 0 { ((row * 5) % classes) as f64 } else { (row % 13) as f64 / 3.0 }).collect()
}

fn rows(state: &TreeState, first: usize) -> TreeRows {
    let x = x();
    let cells = x.outer_iter().map(|row| row.to_vec()).collect::<Vec<_>>();
    TreeRows::new(cells.iter().map(Vec::as_slice), &targets(state.loss.classes()), first, state).unwrap()
}

fn split(feature: u32, bin: f64, left: u32) -> FlatNode {
    FlatNode { feature, left, threshold: bin, value: 0.0 }
}

fn leaf(value: f64) -> FlatNode {
    FlatNode { value, ..FlatNode::default() }
}

/// Feature 1 at bin 9, and on its left feature 3 at bin 2.
fn tree() -> FlatTree {
    FlatTree { nodes: vec![split(1, 9.0, 1), split(3, 2.0, 3), leaf(0.5), leaf(-0.75), leaf(0.125)] }
}

fn histograms(state: &TreeState, open: Vec<OpenTree>, nodes: &[usize]) -> TreePass {
    let part = |node: &usize| Part { tree: 0, node: *node, from: 0, to: 5 };
    let parts: Vec<Part> = nodes.iter().map(part).collect();
    let sums = parts.iter().map(|part| part.len(&state.bins.0, state.loss.width())).sum();
    TreePass::Histograms { state: state.clone(), open, parts, sums }
}

fn open(number: usize, tree: FlatTree) -> OpenTree {
    OpenTree { number, tree, is_final: false }
}

/// The sums of a node, row by row.
fn naive(state: &TreeState, node: usize, packet: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
    let (x, bins) = (x(), bins());
    let mut sums = Vec::new();
    for feature in 0..5 {
        let mut of_feature = vec![0.0; bins.count(feature) * state.loss.width()];
        for row in 0..COUNT {
            let leaf = tree().leaf(|feature| f64::from(bins.code(feature as usize, x[[row, feature as usize]])));
            let is_in = leaf == node || (node == 1 && leaf > 2) || node == 0;
            if is_in {
                let start = usize::from(bins.code(feature, x[[row, feature]])) * state.loss.width();
                packet(row).iter().enumerate().for_each(|(place, value)| of_feature[start + place] += value);
            }
        }
        sums.extend(of_feature);
    }
    sums
}

#[test]
fn histograms_of_errors_are_those_of_a_loop_over_rows() {
    let state = state(Loss::HalfSquared);
    let mut rows = rows(&state, 0);
    let pass = histograms(&state, vec![open(0, tree())], &[3, 1, 0, 2]);
    assert!(pass.is_sound(5));
    rows.follow(&pass);
    let unit = f64::from(1 << 20);
    let packet = |row: usize| vec![((0.25 - targets(0)[row]) * unit).round(), 1.0];
    let expected: Vec<f64> = [3, 1, 0, 2].iter().flat_map(|node| naive(&state, *node, packet)).collect();
    assert_eq!(histogram_sums(&[&rows], &pass), expected);
}

#[test]
fn histograms_of_probabilities_and_classes_are_those_of_a_loop_over_rows() {
    for loss in [Loss::Logistic, Loss::Softmax(3), Loss::Counts(3)] {
        let state = state(loss);
        let mut rows = rows(&state, 0);
        let pass = histograms(&state, vec![open(2, tree())], &[0, 4]);
        rows.follow(&pass);
        let unit = f64::from(1 << 20);
        let packet = |row: usize| {
            let target = targets(loss.classes())[row];
            let p = if loss == Loss::Logistic { 1.0 / (1.0 + (-0.25_f64).exp()) } else { 1.0 / 3.0 };
            let class = if loss == Loss::Logistic { 1.0 } else { 2.0 };
            match loss {
                Loss::Counts(_) => (0..3).map(|class| f64::from(u8::from(target == f64::from(class)))).collect(),
                _ => {
                    let g = p - f64::from(u8::from(target == class));
                    vec![(g * unit).round(), (p * (1.0 - p) * unit).round(), 1.0]
                }
            }
        };
        let expected: Vec<f64> = [0, 4].iter().flat_map(|node| naive(&state, *node, packet)).collect();
        assert_eq!(histogram_sums(&[&rows], &pass), expected, "{loss:?}");
    }
}

/// One comes late and makes everything anew, the other has followed node by node.
#[test]
fn rows_that_come_late_are_in_the_same_nodes_as_rows_that_followed() {
    let mut at_last = state(Loss::HalfSquared);
    at_last.trees = Shared::new(vec![tree(), tree()]);
    let mut early = rows(&at_last, 0);
    let first = FlatTree { nodes: vec![split(1, 9.0, 1), leaf(0.0), leaf(0.0)] };
    early.follow(&histograms(&state(Loss::HalfSquared), vec![open(0, FlatTree { nodes: vec![leaf(0.0)] })], &[0]));
    early.follow(&histograms(&at_last, vec![open(2, first)], &[0]));
    let pass = histograms(&at_last, vec![open(2, tree())], &[3, 4, 2]);
    early.follow(&pass);
    let mut late = rows(&at_last, 0);
    late.follow(&pass);
    assert_eq!(histogram_sums(&[&early], &pass), histogram_sums(&[&late], &pass));
    assert_eq!(early.losses(&at_last), late.losses(&at_last));
    let twice = 2.0 * tree().nodes[tree().leaf(|feature| f64::from(early.column(feature as usize)[0]))].value;
    assert_eq!(early.scores[0], 0.25 + twice);
}

#[test]
fn a_tree_goes_on_from_where_it_was_and_others_are_let_go() {
    let state = state(Loss::HalfSquared);
    let mut rows = rows(&state, 0);
    rows.follow(&histograms(&state, vec![open(0, tree()), open(1, tree())], &[0]));
    rows.follow(&histograms(&state, vec![open(1, tree()), open(5, tree())], &[0]));
    assert_eq!(rows.slots.iter().map(|slot| slot.number).collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn losses_are_those_computed_by_hand() {
    let squares = state(Loss::HalfSquared);
    let mut of_squares = rows(&squares, 0);
    of_squares.follow(&TreePass::Losses { state: squares.clone() });
    let sums = of_squares.losses(&squares);
    let expected: f64 = targets(0).iter().map(|target| (0.25 - target) * (0.25 - target) / 2.0).sum();
    assert!((sums[0] / expected - 1.0).abs() < 1e-14 && sums[1] == COUNT as f64);
    let highest = sums.iter().rposition(|count| *count > 0.0).unwrap();
    // The largest error is 3.75, below 2^2.
    assert_eq!((highest - LOSS_SUMS) as i32 + EXPONENT_MIN, 2);
    let logistic = state(Loss::Logistic);
    let mut of_logistic = rows(&logistic, 0);
    of_logistic.follow(&TreePass::Losses { state: logistic.clone() });
    let loss = |target: &f64| (1.0 + 0.25_f64.exp()).ln() - target * 0.25;
    let expected: f64 = targets(2).iter().map(loss).sum();
    assert!((of_logistic.losses(&logistic)[0] / expected - 1.0).abs() < 1e-14);
    let softmax = state(Loss::Softmax(4));
    let mut of_softmax = rows(&softmax, 0);
    of_softmax.follow(&TreePass::Losses { state: softmax.clone() });
    assert!((of_softmax.losses(&softmax)[0] / (COUNT as f64 * 4.0_f64.ln()) - 1.0).abs() < 1e-14);
}

#[test]
fn what_is_left_in_leaves_is_told_around_their_values() {
    let state = state(Loss::HalfSquared);
    let mut rows = rows(&state, 0);
    let grown = vec![OpenTree { is_final: true, ..open(0, tree()) }];
    let pass = TreePass::Leaves { state: state.clone(), open: grown.clone() };
    rows.follow(&pass);
    let sums = rows.leaves(&state, &grown);
    assert_eq!((sums.len(), pass.partial_len()), (9, 9));
    assert_eq!(sums[0] + sums[3] + sums[6], COUNT as f64);
    let errors: f64 =
        targets(0).iter().sum::<f64>() - 0.25 * COUNT as f64 - 0.5 * sums[0] + 0.75 * sums[3] - 0.125 * sums[6];
    assert!((sums[1] + sums[4] + sums[7] - errors).abs() < 1e-10);
}

#[test]
fn rows_held_out_are_in_no_histogram_and_chances_do_not_depend_on_blocks() {
    let mut state = state(Loss::HalfSquared);
    state.held_out = 0.25;
    let (mut whole, mut tail) = (rows(&state, 1000), rows(&state, 1040));
    let pass = histograms(&state, vec![open(0, tree())], &[0]);
    whole.follow(&pass);
    tail.follow(&pass);
    let held_out: Vec<bool> = (0..COUNT).map(|row| whole.is_held_out(&state, row)).collect();
    let count = held_out.iter().filter(|is| **is).count();
    assert!((10..45).contains(&count), "{count}");
    assert!((0..COUNT - 40).all(|row| tail.is_held_out(&state, row) == held_out[row + 40]));
    assert_eq!(whole.slots[0].order.len(), COUNT - count);
    let sums = whole.losses(&state);
    assert_eq!((sums[1], sums[3]), ((COUNT - count) as f64, count as f64));
}

#[test]
fn a_bag_has_about_as_many_rows_as_there_are_and_leaves_a_third_out() {
    let times: Vec<i32> = (0..100_000).map(|row| times_of(chance_of(3, BAGGED, 5, row))).collect();
    let (sum, out) = (times.iter().sum::<i32>(), times.iter().filter(|times| **times == 0).count());
    assert!((99_000..101_000).contains(&sum) && (36_200..37_400).contains(&out), "{sum} {out}");
    assert_eq!((times_of(0.0), times_of(1.0 - 1e-16)), (0, TIMES_MAX));
}

proptest! {
    #[test]
    fn a_division_keeps_order_and_loses_no_row(codes in prop::collection::vec(any::<u8>(), 1..200), bin in any::<u8>()) {
        let mut rows: Vec<u16> = (0..codes.len() as u16).collect();
        let at = divide(&mut rows, &codes, bin, &mut Vec::new());
        let codes = &codes;
        let of = |is_left: bool| (0..codes.len() as u16).filter(move |row| (codes[usize::from(*row)] <= bin) == is_left);
        prop_assert_eq!(of(true).chain(of(false)).collect::<Vec<_>>(), rows);
        prop_assert_eq!(of(true).count(), at);
    }

    #[test]
    fn sums_of_many_blocks_are_the_sums_of_each(cut in 1_usize..96) {
        let state = state(Loss::Logistic);
        let (x, y, pass) = (x(), targets(2), histograms(&state, vec![open(0, tree())], &[0, 3]));
        let cells = x.outer_iter().map(|row| row.to_vec()).collect::<Vec<_>>();
        let block = |from: usize, to: usize| {
            let mut rows = TreeRows::new(cells[from..to].iter().map(Vec::as_slice), &y[from..to], from, &state).unwrap();
            rows.follow(&pass);
            rows
        };
        let (whole, left, right) = (block(0, COUNT), block(0, cut), block(cut, COUNT));
        prop_assert_eq!(histogram_sums(&[&whole], &pass), histogram_sums(&[&right, &left], &pass));
    }
}

#[test]
fn a_target_that_is_no_class_is_refused() {
    let state = state(Loss::Counts(2));
    let cells = [[0.0; 5]];
    let refused = TreeRows::new(cells.iter().map(|row| row.as_slice()), &[2.0], 0, &state).unwrap_err();
    assert_eq!(refused, KernelError::Class { value: 2.0, row: 0, class_count: 2 });
    assert!(
        TreeRows::new(cells.iter().map(|row| row.as_slice()), &[1.0], 0, &state).unwrap().has_bins(&Arc::new(bins()))
    );
}
