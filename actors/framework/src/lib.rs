//! The framework side: the scheduler trait, its driver and the built-in batch scheduler.
//!
//! [`run_scheduler`] runs any [`Scheduler`] against a master. Deliberately absent: any memory beyond
//! the process. A scheduler that wants one stores what it is told before it returns.

pub mod batch;
pub mod core;
pub mod effect;
pub mod measure;

mod actor;
mod calls;
mod event;
mod node;
mod scheduler;

pub use actor::SchedulerDriver;
pub use calls::{Call, Calls, Outcome};
pub use event::MasterEvent;
pub use node::{DriverSettings, EndedScheduler, RunningScheduler, SchedulerHandle, SchedulerPanicked, run_scheduler};
pub use scheduler::Scheduler;
