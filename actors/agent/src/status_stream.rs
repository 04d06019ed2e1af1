//! `StatusStream`: the updates of one task that the master has not acknowledged, oldest first.
//!
//! Only the head is on its way; it is sent again, ever more rarely, until it is acknowledged. Writing
//! records and sending is the core's business.

use crate::settings::AgentLimits;
use odeon_protocol::id::StatusUuid;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{TaskState, TaskStatus};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// What an acknowledgement has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// It does not name the update that is on its way.
    Stale,
    /// The next update can go.
    Next,
    /// No update is left; more may come.
    Idle,
    /// The terminal update was acknowledged: nothing can come.
    Done,
}

/// The updates of one task. Never without the right to be removed when empty.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct StatusStream {
    waiting: VecDeque<TaskStatus>,
    /// Whether it ends with the process of the agent.
    #[serde(skip)]
    is_transient: bool,
    #[serde(skip)]
    attempts: u32,
    #[serde(skip)]
    retry_at: Option<Duration>,
}

impl StatusStream {
    /// The updates of a task that nobody asks for once the process of the agent has ended.
    pub(crate) fn transient() -> Self {
        Self { is_transient: true, ..Self::default() }
    }

    pub(crate) fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// Adds an update; true if it is the head.
    ///
    /// A full stream gives up its newest update that is neither on its way nor terminal: the later one says more.
    pub(crate) fn push(&mut self, status: TaskStatus, updates_max: usize) -> bool {
        if self.waiting.len() >= updates_max.max(2) {
            self.waiting.pop_back();
        }
        self.waiting.push_back(status);
        self.waiting.len() == 1
    }

    /// Marks the head as sent now; the next attempt is due when its wait is over.
    pub(crate) fn send_head(&mut self, now: Moment, limits: &AgentLimits) -> Option<&TaskStatus> {
        let head = self.waiting.front()?;
        self.attempts = self.attempts.saturating_add(1);
        let wait = crate::backoff::doubled(self.attempts, limits.status_retry_min, limits.status_retry_max);
        self.retry_at = Some(now.after(wait));
        Some(head)
    }

    /// Starts the waits anew, for a new head or a new master.
    pub(crate) fn rewind(&mut self) {
        self.attempts = 0;
        self.retry_at = None;
    }

    /// The same updates, none of them on its way.
    pub(crate) fn at_rest(&self) -> Self {
        Self { waiting: self.waiting.clone(), ..Self::default() }
    }

    /// When the head is sent again.
    pub(crate) fn retry_at(&self) -> Option<Duration> {
        self.retry_at
    }

    /// The oldest update.
    #[cfg(test)]
    pub(crate) fn head(&self) -> Option<&TaskStatus> {
        self.waiting.front()
    }

    /// How many updates wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The state of the newest update.
    pub(crate) fn latest(&self) -> Option<TaskState> {
        self.waiting.back().map(|status| status.state)
    }

    /// Takes an acknowledgement.
    pub(crate) fn acknowledge(&mut self, uuid: &StatusUuid) -> Acknowledged {
        let Some(head) = self.waiting.pop_front_if(|head| head.uuid.as_ref() == Some(uuid)) else {
            return Acknowledged::Stale;
        };
        self.rewind();
        match self.waiting.is_empty() {
            false => Acknowledged::Next,
            true if head.state.is_terminal() => Acknowledged::Done,
            true => Acknowledged::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use odeon_protocol::id::{IdSource, TaskId};
    use odeon_protocol::task::StatusSource;

    fn stream(states: &[TaskState]) -> (StatusStream, Vec<StatusUuid>) {
        let (mut stream, mut ids, mut uuids) = (StatusStream::default(), IdSource::new(1), Vec::new());
        for state in states {
            let mut status = TaskStatus::new(TaskId::new("t").unwrap(), *state, StatusSource::Executor);
            status.uuid = Some(ids.next_status_uuid());
            uuids.extend(status.uuid.clone());
            stream.push(status, 3);
        }
        (stream, uuids)
    }

    #[test]
    fn the_wait_before_the_head_is_sent_again_doubles_up_to_its_limit() {
        let limits = AgentLimits::DEFAULT;
        let (mut stream, _) = stream(&[TaskState::Running]);
        for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
            stream.send_head(Moment::at_ms(5000), &limits);
            assert_eq!(stream.retry_at(), Some(Duration::from_secs(5 + seconds)));
        }
    }

    #[test]
    fn updates_are_acknowledged_in_order_and_by_their_uuid_only() {
        let (mut stream, uuids) = stream(&[TaskState::Running, TaskState::Finished]);
        assert_eq!(stream.acknowledge(&uuids[1]), Acknowledged::Stale);
        assert_eq!(stream.acknowledge(&uuids[0]), Acknowledged::Next);
        assert_eq!(stream.acknowledge(&uuids[0]), Acknowledged::Stale);
        assert_eq!(stream.acknowledge(&uuids[1]), Acknowledged::Done);
        assert_eq!(stream.acknowledge(&uuids[1]), Acknowledged::Stale);
    }

    #[test]
    fn a_full_stream_keeps_its_head_and_its_end() {
        let running = TaskState::Running;
        let (mut stream, uuids) = stream(&[TaskState::Starting, running, running, running, TaskState::Failed]);
        assert_eq!(stream.latest(), Some(TaskState::Failed));
        assert_eq!(stream.acknowledge(&uuids[0]), Acknowledged::Next);
        assert_eq!(stream.acknowledge(&uuids[1]), Acknowledged::Next);
        assert_eq!(stream.acknowledge(&uuids[4]), Acknowledged::Done);
    }
}
