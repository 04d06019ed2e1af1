//! One task of a batch, over all its attempts.

use odeon_protocol::id::TaskId;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{TaskInfo, TaskStatus};

/// How far a task has come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Progress {
    /// For an offer that it fits.
    Waiting,
    /// Sent to an agent, not known to have ended.
    Launched,
    /// For good.
    Ended(TaskStatus),
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The task of the present attempt.
    pub(super) task: TaskInfo,
    /// What it and its executor take from an offer.
    pub(super) needs: Resources,
    /// The same for those that need the same.
    pub(super) shape: usize,
    pub(super) progress: Progress,
    /// Attempts that ran and did not finish.
    pub(super) failures: u32,
    /// All launches but the first.
    relaunches: u32,
    first_id: TaskId,
}

impl Slot {
    pub(super) fn new(task: TaskInfo) -> Self {
        let needs = needs(&task);
        let first_id = task.task_id.clone();
        Self { task, needs, shape: 0, progress: Progress::Waiting, failures: 0, relaunches: 0, first_id }
    }

    /// Waits again, under a new id: that of a task that has ended may not be used twice.
    pub(super) fn wait_again(&mut self) {
        self.relaunches += 1;
        self.task.task_id = TaskId::new(format!("{}-retry-{}", self.first_id, self.relaunches))
            .expect("the plan has left room behind its ids");
        self.progress = Progress::Waiting;
    }
}

/// An executor that is shared is counted with every task: at worst a little is left unused.
fn needs(task: &TaskInfo) -> Resources {
    // The plan has checked that the sum is possible.
    task.resources.checked_add(&task.executor().resources).unwrap_or_else(|_| task.resources.clone())
}
