//! Allocation scenarios: a cluster written down step by step, played against the real allocator.
//!
//! `format` is what can be written, `expectation` what can be expected, `stage` plays, `report` is what came of it.
//! Reads no file and prints nothing; see docs/scenarios.md for the format.

mod expectation;
mod format;
mod parsed;
mod report;
mod stage;

pub(crate) use format::Scenario;
pub(crate) use report::{Report, StepReport};
pub(crate) use stage::play;
