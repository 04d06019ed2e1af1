//! What an executor sees to while a task runs: its checks, and that it does not run too long.

use super::checks::Verdict;
use super::task::Cause;
use super::{ExecutorCore, cut};
use crate::effect::{CheckKind, Effect};
use odeon_protocol::id::TaskId;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{CheckResult, StatusReason, TaskState};

impl ExecutorCore {
    /// A check was answered. An answer that nobody waits for any more is ignored.
    pub fn on_checked(
        &mut self,
        task_id: &TaskId,
        kind: CheckKind,
        result: CheckResult,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(task) = self.tasks.get_mut(task_id).filter(|_| !self.ended) else { return };
        match task.checks.on_answer(kind, result, now) {
            None => {}
            Some(Verdict::Tell { reason, message }) => self.tell_check(task_id, reason, &message, now, out),
            Some(Verdict::Kill { message }) => {
                self.tell_check(task_id, StatusReason::TaskHealthCheckStatusUpdated, &message, now, out);
                self.end_because(task_id, Cause::Unhealthy(message), now, out);
            }
        }
    }

    fn tell_check(
        &mut self,
        task_id: &TaskId,
        reason: StatusReason,
        message: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let status = self.status(task_id, TaskState::Running, now).because(reason, cut(message));
        self.updates.push(status);
        self.send_updates(now, out);
    }

    /// Asks what is to be asked, and ends what has run too long.
    pub(super) fn supervise(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut overdue = Vec::new();
        self.tasks.each_timed(|task_id, task| {
            for (kind, check) in task.checks.take_due(now) {
                out.push(Effect::Check { task_id: task_id.clone(), kind, check: Box::new(check) });
            }
            if let Some(max) = task.take_overdue(now) {
                overdue.push((task_id.clone(), max));
            }
        });
        for (task_id, max) in overdue {
            self.end_because(&task_id, Cause::TooLong(max), now, out);
        }
    }

    /// Ends a task by the executor's own decision.
    fn end_because(&mut self, task_id: &TaskId, cause: Cause, now: Moment, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(task_id).filter(|task| !task.asked) else { return };
        task.cause = Some(cause);
        let grace = task.kill_grace.unwrap_or(self.kill_grace);
        self.ask_to_end(task_id, now.after(grace), now, out);
    }
}

#[cfg(test)]
#[path = "supervise_test.rs"]
mod tests;
