//! Trees that are grown where the rows are: workers sum histograms of binned features, the coordinator picks the cuts.
//!
//! Every sum of a histogram is a whole number that 64 bits hold exactly: counts, and gradients as multiples of a power of
//! two. So sums have the same bits in any order, and what is left for a sibling, parent less child, is exact as well.
//! `bins` finds the edges by counting, `grower` decides, `rows` is what a worker keeps of a block, `sums` adds it up,
//! `pass` is what is said between them. Who sends what to whom is not known here.

mod bins;
mod flat;
mod gain;
mod grower;
mod memory;
mod pass;
mod rows;
mod sums;

pub use bins::{BINS_MAX, BinSearch, BinTarget, Bins, bin_counts};
pub use flat::{FlatNode, FlatTree};
pub use gain::Rule;
pub use grower::{GrowLimits, Grower, GrownNode, LEAVES_MAX, TooManyLeaves};
pub use memory::{TreeMemory, TreesMissing};
pub use pass::{Loss, OpenTree, Part, Scales, Shared, TreePass, TreeState, exponent_of};
pub(crate) use rows::TreeRows;
pub(crate) use sums::histogram_sums;

/// Most sums of a pass: half a mebibyte, so that an answer for many nodes of the reduction still fits a frame.
pub const SUMS_MAX: usize = 1 << 16;
/// Rows from which bin edges are found, at least, if there are as many; of more rows some blocks stand for all.
pub const EDGE_ROWS: usize = 200_000;
