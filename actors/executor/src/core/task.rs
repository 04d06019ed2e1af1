//! What the core knows of one task.

use super::checks::Checks;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskInfo;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) is_command: bool,
    /// Whether the executor is for this task alone.
    pub(super) owns_executor: bool,
    /// How long it has to end if it names a time.
    pub(super) kill_grace: Option<Duration>,
    /// Set when it is asked to end.
    pub(super) asked: bool,
    /// When it is made to end.
    pub(super) force_at: Option<Duration>,
    /// Why the executor ends it, if it was not told to.
    pub(super) cause: Option<Cause>,
    pub(super) checks: Checks,
    /// How long it may take, and when that is over.
    time_max: Option<(Duration, Duration)>,
}

/// Why an executor ends a task of its own accord.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its health check says so.
    Unhealthy(String),
    /// It takes longer than this.
    TooLong(Duration),
}

impl Task {
    /// A task that is about to start.
    pub(super) fn new(info: &TaskInfo, now: Moment) -> Self {
        Self {
            is_command: info.work.command().is_some(),
            owns_executor: info.work.named_executor().is_none(),
            kill_grace: info.kill_grace,
            asked: false,
            force_at: None,
            cause: None,
            checks: Checks::of(info),
            time_max: info.max_completion_time.map(|max| (max, now.after(max))),
        }
    }

    /// It is to end, or has ended: nothing more is asked of it.
    pub(super) fn stop_supervision(&mut self) {
        self.checks.stop();
        self.time_max = None;
    }

    /// Whether something is asked of it, or it has a longest time.
    pub(super) fn is_supervised(&self) -> bool {
        self.time_max.is_some() || !self.checks.is_empty()
    }

    /// When something is due: an end by force, the end of its longest time, or a check.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let overdue_at = self.time_max.map(|(_, at)| at);
        [self.force_at, overdue_at, self.checks.next_deadline()].into_iter().flatten().min()
    }

    /// How long it may take, if that is over; tells it once.
    pub(super) fn take_overdue(&mut self, now: Moment) -> Option<Duration> {
        self.time_max.take_if(|(_, at)| *at <= now.since_start).map(|(max, _)| max)
    }
}
