//! A deterministic simulator: whole clusters of the real cores in one thread, from one seed.
//!
//! [`expand`] makes a [`Plan`] of a seed, [`simulate`] runs it: first with faults, then healed. After every
//! event the invariants are checked. Two runs of one plan are equal event for event, in any process.
//!
//! Deliberately absent: bytes on the wire and files on the disk, which have tests of their own; threads,
//! clocks and chance from outside; and the learning roles.

mod checks;
mod commit;
mod coverage;
mod defect;
mod ending;
mod faults;
mod hosts;
mod lifecycle;
mod message;
mod network;
mod plan;
mod planner;
mod process;
mod random;
mod run;
mod shrink;
mod wires;
mod workload;
mod world;

pub use checks::Violation;
pub use coverage::{Coverage, Step};
pub use plan::{
    AGENTS_MAX, FAULT_KINDS, FAULT_PHASE_MS_MAX, FRAMEWORKS_MAX, Fault, FrameworkPlan, JOBS_MAX, PLAN_VERSION, Plan,
    PlanError, PlannedFault, Site, SiteError,
};
pub use planner::{Shape, expand};
pub use run::{LIVENESS_BOUND, REST, RunReport, simulate};
pub use shrink::{SHRINK_RUNS_MAX, shrink};
