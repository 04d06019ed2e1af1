//! What the core of an executor wants done. The actor does it and tells the core how it went.

use crate::end::ExecutorEnd;
use odeon_protocol::id::TaskId;
use odeon_protocol::messages::agent_executor::{RegisterExecutor, UpdateStatus};
use odeon_protocol::task::{Check, TaskInfo};

/// What a check is for; a task has at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// The answer decides whether the task may live on.
    Health,
    /// The answer is told, and nothing else.
    Plain,
}

/// One thing to do; effects are done in the order in which they were emitted.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the agent; answered by [`ExecutorCore::on_register_answered`](crate::core::ExecutorCore::on_register_answered).
    Register(RegisterExecutor),
    /// Ask the agent; answered by [`ExecutorCore::on_update_answered`](crate::core::ExecutorCore::on_update_answered).
    SendUpdate(UpdateStatus),
    /// Start the task; it reports by [`ExecutorCore::on_task_report`](crate::core::ExecutorCore::on_task_report)
    /// and ends by [`ExecutorCore::on_task_ended`](crate::core::ExecutorCore::on_task_ended), always.
    StartTask {
        /// The task.
        task: Box<TaskInfo>,
        /// Its directory.
        sandbox: String,
    },
    /// Ask a running task how it is; answered by [`ExecutorCore::on_checked`](crate::core::ExecutorCore::on_checked),
    /// unless the task ends before.
    Check {
        /// The task.
        task_id: TaskId,
        /// Of which kind the check is.
        kind: CheckKind,
        /// The question.
        check: Box<Check>,
    },
    /// Ask the task to end.
    AskToEnd(TaskId),
    /// End the task whether it wants or not.
    ForceToEnd(TaskId),
    /// End the executor. Nothing follows.
    End(ExecutorEnd),
}
