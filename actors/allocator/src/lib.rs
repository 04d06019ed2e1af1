//! Divides agents' resources between roles and frameworks by dominant resource fairness; pure.
//!
//! [`Allocator`] is a plain state machine: events in, grants out. It keeps no clock, no float and no
//! hash map, so one sequence of calls with one seed gives one sequence of grants on every machine.
//!
//! # How resources are divided
//! Roles form a tree by path, and the frameworks of a role are ordered as the roles are. Each agent goes,
//! with all that it has free, to the first framework in that order that may take it. Shares are exact
//! fractions ([`Share`]), compared without rounding.
//!
//! # When offers are made
//! Events mark agents, [`Allocator::allocate`] drains the marks. Beyond what Mesos does, resources that come
//! back and filters that end mark their agent too, so that a caller need not wait for a timer: it runs
//! `allocate` soon after [`Allocator::is_pending`] becomes true and at [`Allocator::next_deadline`]. A timer
//! with [`Allocator::mark_all`] is only a backstop. A refusal of zero length sets no filter: the resources
//! may go to the same framework in the next run, so whoever calls `allocate` bounds that loop by how long
//! it gathers events before a run.
//!
//! # Source
//! Ghodsi et al., *Dominant Resource Fairness*, NSDI 2011; the order, filters and minimum sizes are those of
//! the hierarchical allocator of Mesos.
//!
//! # What else is here
//! Quota with guarantees and limits, reservations, volumes that are given out whole or shared, revocable resources,
//! capabilities, constraints, declared demand, gangs, priorities, maintenance with inverse offers, the pause after a failover,
//! and the reason why somebody is not offered something ([`Allocator::why`]). The rules are in `docs/allocator.md`.
//!
//! Deliberately absent: what becomes of an offer, and which tasks end when something is taken back.

mod allocator;
mod bits;
mod books;
mod bundle;
mod candidates;
mod constraints;
mod kinds;
mod lottery;
pub mod measure;
mod profile;
mod quota;
mod random;
mod refusals;
mod roster;
mod round;
mod share;
mod slots;
mod sorter;
mod totals;

pub use allocator::agents::{AgentError, Holding};
pub use allocator::convert::ConvertError;
pub use allocator::frameworks::FrameworkError;
pub use allocator::gangs::{Gang, GangError, GangId, GangOutcome};
pub use allocator::listing::RoleShare;
pub use allocator::maintenance::{InverseGrant, Unavailability};
pub use allocator::preemption::{TakeBack, TakeBackStage};
pub use allocator::recover::RecoverError;
pub use allocator::why::Reason;
pub use allocator::{Allocator, AllocatorConfig, Grant};
pub use constraints::{Constraint, Constraints, Pattern, PatternError, Predicate, Selector};
pub use profile::{AgentProfile, Capabilities, Domain, FrameworkProfile};
pub use quota::{Quota, QuotaError, QuotaLevels};
pub use share::{Share, Weight, WeightError};
pub use sorter::SorterKind;

#[cfg(test)]
mod allocator_test;
#[cfg(test)]
mod property_test;
