//! What a user writes to have a framework of its own: [`Scheduler`].

use crate::calls::Calls;
use odeon_protocol::id::{AgentId, FrameworkId, OfferId};
use odeon_protocol::messages::master_scheduler::{CallError, ReturnWanted};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Offer;
use odeon_protocol::task::TaskStatus;
use std::time::Duration;

/// Decides what a framework runs where.
///
/// Every method is a plain call: it is told what happened and puts what it wants done into `calls`,
/// so that a scheduler is tested without a cluster. It must not block.
pub trait Scheduler: 'static {
    /// The master knows the framework: at first, and again after each break of the connection, with
    /// the same id. All offers of before are void.
    fn subscribed(&mut self, framework_id: &FrameworkId, calls: &mut Calls);

    /// Resources are offered. Each offer wants to be accepted or declined, soon.
    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls);

    /// A task has another state, or its state was asked for. An update that wants an acknowledgement
    /// gets it after this returned; it is shown once. The state of a task may be told more than once.
    fn update(&mut self, status: &TaskStatus, calls: &mut Calls);

    /// An offer is void.
    fn rescinded(&mut self, _offer_id: &OfferId, _calls: &mut Calls) {}

    /// Operations on offers were not done, and no task of the same call was launched. What is reserved now, later offers
    /// show; operations on an offer that was void already are not told.
    fn refused(&mut self, _error: &CallError, _calls: &mut Calls) {}

    /// A role of a higher priority waits for a part of what the framework holds. The scheduler may choose which tasks
    /// it ends; if it does not in time, the youngest are killed, with the reason `REASON_CONTAINER_PREEMPTED`.
    fn return_wanted(&mut self, _wanted: &ReturnWanted, _calls: &mut Calls) {}

    /// An agent is out of reach; its tasks have updates of their own.
    fn agent_lost(&mut self, _agent_id: &AgentId, _calls: &mut Calls) {}

    /// The connection to the master broke. It is being restored; what is called for meanwhile waits
    /// or, for tasks, is answered by an update that they were never launched.
    fn disconnected(&mut self, _calls: &mut Calls) {}

    /// The framework has ended, not by its own wish. Nothing can be called for any more.
    fn failed(&mut self, _message: &str) {}

    /// The time named by [`Scheduler::next_tick`] has come.
    fn tick(&mut self, _now: Moment, _calls: &mut Calls) {}

    /// When it wants a tick, in the time of [`Moment::since_start`]; asked after every call.
    fn next_tick(&self) -> Option<Duration> {
        None
    }
}
