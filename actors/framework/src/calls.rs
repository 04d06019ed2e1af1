//! What a scheduler wants done: a list that its driver carries out after the scheduler returned.

use odeon_protocol::id::{AgentId, OfferId, TaskId};
use odeon_protocol::messages::master_scheduler::OfferOperation;
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Filters;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::TaskInfo;

/// One thing that a scheduler wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// Use offers.
    Accept {
        /// Offers of one agent and one role.
        offer_ids: Vec<OfferId>,
        /// What is done to their sum before; all of it, or nothing and no task is launched.
        operations: Vec<OfferOperation>,
        /// What is launched on their sum.
        tasks: Vec<TaskInfo>,
        /// For what is left of them.
        filters: Filters,
    },
    /// Give offers back.
    Decline {
        /// The offers.
        offer_ids: Vec<OfferId>,
        /// For how long they are not wanted.
        filters: Filters,
    },
    /// Want offers again.
    Revive,
    /// Want no offers.
    Suppress,
    /// Say what is waited for, under all roles.
    Demand(Option<Vec<Resources>>),
    /// End a task.
    Kill(TaskId),
    /// Ask for the state of tasks, or of all.
    Reconcile(Vec<(TaskId, Option<AgentId>)>),
    /// End the framework and all that it runs.
    Finish(Outcome),
}

/// How a run of a scheduler ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The scheduler was done.
    Finished,
    /// Somebody asked it to end.
    Interrupted,
    /// The master was out of reach for too long.
    MasterUnreachable {
        /// What stood in the way at last.
        cause: String,
    },
    /// The framework was not admitted, was ended by others, or gave up.
    Failed(String),
}

/// The list that a scheduler fills, in the order in which it is carried out.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    now: Moment,
    list: Vec<Call>,
}

impl Calls {
    /// An empty list, at a moment.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self { now, list: Vec::new() }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.now
    }

    /// Launches tasks on offers of one agent and role. What they leave is not offered again for the
    /// time of the filters. A task that does not come to run has an update that says why.
    pub fn accept(&mut self, offer_ids: Vec<OfferId>, tasks: Vec<TaskInfo>, filters: Filters) {
        self.accept_after(Vec::new(), offer_ids, tasks, filters);
    }

    /// The same after operations on the offers, such as reserving a part of them. If one cannot be done, none is, and
    /// the tasks are dropped: each has an update, and [`Scheduler::refused`](crate::Scheduler::refused) tells why.
    pub fn accept_after(
        &mut self,
        operations: Vec<OfferOperation>,
        offer_ids: Vec<OfferId>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
    ) {
        self.list.push(Call::Accept { offer_ids, operations, tasks, filters });
    }

    /// Gives offers back, not to be offered again for the time of the filters.
    pub fn decline(&mut self, offer_ids: Vec<OfferId>, filters: Filters) {
        self.list.push(Call::Decline { offer_ids, filters });
    }

    /// Wants offers again, filtered ones included.
    pub fn revive(&mut self) {
        self.list.push(Call::Revive);
    }

    /// Wants no offers until [`Calls::revive`].
    pub fn suppress(&mut self) {
        self.list.push(Call::Suppress);
    }

    /// Says what is waited for: what one task takes, for each kind of task. Only offers that hold one of them are made
    /// then, and a role of a priority may take back for them what others hold above their even part. Without a list any
    /// offer is welcome.
    pub fn demand(&mut self, units: Option<Vec<Resources>>) {
        self.list.push(Call::Demand(units));
    }

    /// Ends a task. Repeated by the driver until an update tells that it has ended.
    pub fn kill(&mut self, task_id: TaskId) {
        self.list.push(Call::Kill(task_id));
    }

    /// Asks for the state of tasks, or of all that have not ended if none is named. The driver does
    /// so by itself after each break of the connection and every quarter of an hour.
    pub fn reconcile(&mut self, tasks: Vec<(TaskId, Option<AgentId>)>) {
        self.list.push(Call::Reconcile(tasks));
    }

    /// Ends the framework, and what it still runs. What is called for later has no effect.
    pub fn finish(&mut self, outcome: Outcome) {
        self.list.push(Call::Finish(outcome));
    }

    /// Adds one thing, for a scheduler that has decided elsewhere.
    pub fn push(&mut self, call: Call) {
        self.list.push(call);
    }

    /// What was called for, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Call] {
        &self.list
    }

    /// Takes what was called for, in order.
    #[must_use]
    pub fn into_vec(self) -> Vec<Call> {
        self.list
    }
}
