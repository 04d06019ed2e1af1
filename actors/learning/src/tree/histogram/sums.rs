//! Adds up histograms over the rows of many blocks at once: sums are whole numbers, so no order is better than another.
//!
//! Four features go by together while a row is at hand. A cell of a histogram is a pair of 64-bit numbers, so that one
//! vector instruction adds a row to it: the gradient, and the second derivative with a count of rows in its low bits.

use super::rows::Slot;
use super::{Loss, Part, TreePass, TreeRows, TreeState};

/// Features that go by together.
const TOGETHER: usize = 4;
/// Features whose histograms stay in a near cache while all blocks go by.
const NEAR: usize = 16;
/// Low bits of the second number, in which rows are counted.
const COUNT_BITS: u32 = 18;
/// Bins that a byte can tell apart.
const BYTES: usize = 256;

type Cell = [i64; 2];
type Histogram = [Cell; BYTES];

/// The sums of [`TreePass::Histograms`] over all rows of some blocks, which have followed its state.
pub(crate) fn histogram_sums(blocks: &[&TreeRows], pass: &TreePass) -> Vec<f64> {
    let TreePass::Histograms { state, parts, sums, .. } = pass else { return Vec::new() };
    let mut out = vec![0.0; *sums];
    let mut rest = out.as_mut_slice();
    for part in parts {
        let (here, others) = rest.split_at_mut(part.len(&state.bins.0, state.loss.width()));
        match state.loss {
            Loss::Counts(classes) => add_classes(blocks, state, part, classes, here),
            _ => add_gradients(blocks, state, part, here),
        }
        rest = others;
    }
    out
}

fn add_classes(blocks: &[&TreeRows], state: &TreeState, part: &Part, classes: usize, out: &mut [f64]) {
    let mut start = 0;
    for feature in part.from..part.to {
        let here = &mut out[start..start + state.bins.0.count(feature) * classes];
        for block in blocks {
            let (slot, codes) = (block.slot_at(part.tree), block.column(feature));
            for row in slot.rows(part.node) {
                let [class, times] = slot.packets[usize::from(*row)];
                here[usize::from(codes[usize::from(*row)]) * classes + class as usize] += f64::from(times);
            }
        }
        start += here.len();
    }
}

fn add_gradients(blocks: &[&TreeRows], state: &TreeState, part: &Part, out: &mut [f64]) {
    let (has_curvature, mut start) = (state.loss.width() == 3, 0);
    let mut near = vec![[[0; 2]; BYTES]; NEAR];
    for from in (part.from..part.to).step_by(NEAR) {
        let to = (from + NEAR).min(part.to);
        let len: usize = (from..to).map(|feature| state.bins.0.count(feature) * state.loss.width()).sum();
        let here = &mut out[start..start + len];
        let mut counted = 0;
        for block in blocks {
            let slot = block.slot_at(part.tree);
            let rows = slot.rows(part.node);
            if has_curvature && counted + rows.len() >= 1 << COUNT_BITS {
                empty(&mut near, state, from..to, here);
                counted = 0;
            }
            counted += rows.len();
            add_block(&mut near[..to - from], block, slot, rows, from, has_curvature);
        }
        empty(&mut near, state, from..to, here);
        start += len;
    }
}

/// Adds rows of a block to the histograms of the features from `from`.
fn add_block(near: &mut [Histogram], block: &TreeRows, slot: &Slot, rows: &[u16], from: usize, has_curvature: bool) {
    let (groups, rest) = near.as_chunks_mut::<TOGETHER>();
    let first_of_rest = from + groups.len() * TOGETHER;
    for (group, histograms) in groups.iter_mut().enumerate() {
        let first = from + group * TOGETHER;
        let columns = std::array::from_fn(|place| block.column(first + place));
        match has_curvature {
            true => add_rows::<TOGETHER, true>(histograms, columns, rows, &slot.packets),
            false => add_rows::<TOGETHER, false>(histograms, columns, rows, &slot.packets),
        }
    }
    for (place, histogram) in rest.iter_mut().enumerate() {
        let (histogram, columns) = (std::array::from_mut(histogram), [block.column(first_of_rest + place)]);
        match has_curvature {
            true => add_rows::<1, true>(histogram, columns, rows, &slot.packets),
            false => add_rows::<1, false>(histogram, columns, rows, &slot.packets),
        }
    }
}

#[inline(never)]
fn add_rows<const N: usize, const CURVED: bool>(
    histograms: &mut [Histogram; N],
    columns: [&[u8]; N],
    rows: &[u16],
    packets: &[[i32; 2]],
) {
    let columns = columns.map(|column| &column[..packets.len()]);
    for row in rows {
        let row = usize::from(*row);
        let [first, second] = packets[row].map(i64::from);
        let second = if CURVED { (second << COUNT_BITS) | 1 } else { second };
        for feature in 0..N {
            let cell = &mut histograms[feature][usize::from(columns[feature][row])];
            cell[0] += first;
            cell[1] += second;
        }
    }
}

/// Moves the near histograms to the sums, and empties them.
fn empty(near: &mut [Histogram], state: &TreeState, features: std::ops::Range<usize>, mut out: &mut [f64]) {
    let width = state.loss.width();
    for (feature, histogram) in features.zip(near) {
        let (here, others) = out.split_at_mut(state.bins.0.count(feature) * width);
        for (sums, cell) in here.chunks_mut(width).zip(histogram.iter_mut()) {
            let [first, second] = std::mem::take(cell);
            sums[0] += first as f64;
            if width == 3 {
                sums[1] += (second >> COUNT_BITS) as f64;
                sums[2] += (second & ((1 << COUNT_BITS) - 1)) as f64;
            } else {
                sums[1] += second as f64;
            }
        }
        out = others;
    }
}
