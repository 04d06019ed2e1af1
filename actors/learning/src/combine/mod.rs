//! Ways to combine what workers sum other than in rounds.
//!
//! The synchronous way, in which every block enters a sum once, is that of `coordinator_core` and `blocks`.

mod descent;

pub(crate) use descent::{Absorbed, Descent, DescentEnd, DescentProblem};
