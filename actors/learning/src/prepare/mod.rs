//! The steps of `[prepare]`: fitted on the training rows by passes, then applied to every row alike.
//!
//! Nothing here reads a file or knows who computes a pass. `pipeline` decides what is wanted of the
//! training rows next, `fitted` is what a step became, `ranks` finds order statistics by counting.

mod fitted;
mod pipeline;
mod plan;
mod ranks;
mod select;

pub use fitted::{ApplyError, FittedStep, Levels, apply, width_after};
pub use pipeline::{LevelCount, Pipeline, PrepareError, PreparePass};
pub use plan::{COLUMNS_MAX, PreparedColumn};
pub use ranks::{BINS, RankTarget, ordered_bits};
pub use select::ColumnScore;
