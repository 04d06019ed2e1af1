//! The updates that the agent has not answered yet: numbered, in order, one in flight.

use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskStatus;
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct UpdateQueue {
    waiting: VecDeque<TaskStatus>,
    head: Option<Head>,
    last_sequence: u64,
}

#[derive(Debug)]
struct Head {
    sequence: u64,
    status: TaskStatus,
    attempt: Attempt,
}

#[derive(Debug, PartialEq, Eq)]
enum Attempt {
    /// To be sent as soon as there is a link.
    Due,
    /// Sent, not answered.
    UnderWay,
    /// Not answered; to be sent again then.
    Later(Duration),
}

impl UpdateQueue {
    /// Adds an update. A task that talks faster than the agent listens overwrites its own words, so that at most
    /// one report waits for each of its non-terminal states and reasons, and the newest is told last.
    pub(super) fn push(&mut self, status: TaskStatus) {
        let what = |status: &TaskStatus| (status.state, status.reason);
        if !status.state.is_terminal() {
            self.waiting.retain(|old| old.task_id != status.task_id || what(old) != what(&status));
        }
        self.waiting.push_back(status);
    }

    /// The number and content of what is to be sent now, if anything.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<(u64, TaskStatus)> {
        if self.head.is_none() {
            let status = self.waiting.pop_front()?;
            self.last_sequence += 1;
            self.head = Some(Head { sequence: self.last_sequence, status, attempt: Attempt::Due });
        }
        let head = self.head.as_mut().filter(|head| match head.attempt {
            Attempt::Due => true,
            Attempt::UnderWay => false,
            Attempt::Later(at) => at <= now.since_start,
        })?;
        head.attempt = Attempt::UnderWay;
        Some((head.sequence, head.status.clone()))
    }

    pub(super) fn on_answered(&mut self, sequence: u64) {
        if self.head.as_ref().is_some_and(|head| head.sequence == sequence) {
            self.head = None;
        }
    }

    pub(super) fn on_not_answered(&mut self, sequence: u64, again_at: Duration) {
        if let Some(head) = self.head.as_mut().filter(|head| head.sequence == sequence) {
            head.attempt = Attempt::Later(again_at);
        }
    }

    /// There is a new link: what waits for another attempt need not wait longer.
    pub(super) fn on_link_up(&mut self) {
        if let Some(head) = self.head.as_mut().filter(|head| matches!(head.attempt, Attempt::Later(_))) {
            head.attempt = Attempt::Due;
        }
    }

    /// When the head is to be sent again.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        match self.head.as_ref()?.attempt {
            Attempt::Later(at) => Some(at),
            Attempt::Due | Attempt::UnderWay => None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none() && self.waiting.is_empty()
    }
}
