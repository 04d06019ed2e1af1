//! How an executor comes to its end, and how the end of a task is told.

use super::task::Cause;
use super::{END_MARGIN, ExecutorCore, MESSAGE_BYTES_MAX};
use crate::effect::Effect;
use crate::end::{ExecutorEnd, TaskEnd};
use odeon_protocol::id::TaskId;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusReason, StatusSource, TaskExit, TaskState, TaskStatus};
use std::time::Duration;

/// At the end of a shutdown's grace the agent kills this process. The tasks are made to end so much
/// earlier, a quarter of the grace at most, because nobody would be left to do it.
const FORCE_RESERVE: Duration = Duration::from_secs(1);

/// An end that has begun.
#[derive(Debug)]
pub(super) struct Ending {
    end: ExecutorEnd,
    /// Ends then, whatever is still open.
    pub(super) deadline: Duration,
}

impl ExecutorCore {
    /// Asks all tasks to end; the executor ends when they have.
    pub(super) fn begin_end(&mut self, end: ExecutorEnd, grace: Duration, now: Moment, out: &mut Vec<Effect>) {
        if self.ended {
            return;
        }
        let force_at = now.after(grace.saturating_sub(FORCE_RESERVE.min(grace / 4)));
        for task_id in self.tasks.live_ids() {
            self.ask_to_end(&task_id, force_at, now, out);
        }
        let mut deadline = now.after(grace.saturating_add(END_MARGIN));
        if let Some(earlier) = &self.ending {
            deadline = deadline.min(earlier.deadline);
        }
        self.ending = Some(Ending { end, deadline });
        self.end_if_done(now, out);
    }

    /// Ends the executor if nothing is left to wait for.
    pub(super) fn end_if_done(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let end = match &self.ending {
            Some(ending) if ending.deadline <= now.since_start => Some(ending.end.clone()),
            Some(ending) => {
                let nobody_listens = ending.end != ExecutorEnd::Shutdown;
                let done = self.tasks.none_lives() && (nobody_listens || self.updates.is_empty());
                done.then(|| ending.end.clone())
            }
            None => self.owner_is_done().then_some(ExecutorEnd::TaskDone),
        };
        if let Some(end) = end.filter(|_| !self.ended) {
            self.ended = true;
            out.push(Effect::End(end));
        }
    }

    /// An executor of one command is of no use once the agent knows its end.
    fn owner_is_done(&self) -> bool {
        self.tasks.owner_has_ended() && self.updates.is_empty()
    }

    /// Reports the end of a task.
    pub(super) fn finish_task(&mut self, status: TaskStatus, now: Moment, out: &mut Vec<Effect>) {
        self.tasks.end(&status.task_id);
        self.updates.push(status);
        self.send_updates(now, out);
        self.end_if_done(now, out);
    }

    /// What the end of a task means. One that was asked to end is killed, whatever it returned.
    pub(super) fn final_status(&self, task_id: &TaskId, end: TaskEnd, now: Moment) -> TaskStatus {
        let task = self.tasks.get(task_id);
        let asked = task.is_some_and(|task| task.asked);
        let is_command = task.is_some_and(|task| task.is_command);
        let done = if is_command { Some(TaskExit::Code(0)) } else { None };
        let (state, message, reason, exit) = match end {
            TaskEnd::Done => (TaskState::Finished, String::new(), None, done),
            TaskEnd::Failed(failure) => (TaskState::Failed, failure.message, failure.reason, failure.exit),
            TaskEnd::Panicked(text) => (TaskState::Failed, format!("the task panicked: {text}"), None, None),
            TaskEnd::Aborted => (TaskState::Failed, "the task was aborted".to_owned(), None, None),
        };
        let mut status = self.status(task_id, state, now);
        status.message = cut(&message).to_owned();
        (status.reason, status.exit) = (reason, exit);
        match task.and_then(|task| task.cause.as_ref()) {
            Some(Cause::Unhealthy(text)) => {
                let killed = TaskStatus { state: TaskState::Killed, ..status };
                killed.because(StatusReason::TaskHealthCheckStatusUpdated, cut(text))
            }
            Some(Cause::TooLong(max)) => {
                let failed = TaskStatus { state: TaskState::Failed, ..status };
                let text = format!("the task did not end within its max completion time of {max:?}");
                failed.because(StatusReason::MaxCompletionTimeReached, text)
            }
            None if asked => TaskStatus { state: TaskState::Killed, reason: None, ..status },
            None => status,
        }
    }

    pub(super) fn status(&self, task_id: &TaskId, state: TaskState, now: Moment) -> TaskStatus {
        let mut status = TaskStatus::new(task_id.clone(), state, StatusSource::Executor).at(now.wall_ms);
        status.executor_id = Some(self.identity.executor_id.clone());
        if let Some(task) = self.tasks.get(task_id) {
            (status.healthy, status.check) = (task.checks.healthy, task.checks.found);
        }
        status
    }

    pub(super) fn refused(
        &self,
        task_id: &TaskId,
        state: TaskState,
        reason: StatusReason,
        message: &str,
        now: Moment,
    ) -> TaskStatus {
        self.status(task_id, state, now).because(reason, cut(message))
    }
}

/// The beginning of a text, as far as it may travel.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES_MAX)).unwrap_or(text)
}
