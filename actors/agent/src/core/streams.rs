//! `Streams`: the updates of all tasks that the master has not acknowledged, and when each is told again.
//!
//! Of each framework only so many are under way at a time, so that a scheduler is not told more than it can take.
//! What a single task has to tell, and how often, is in `status_stream`.

use super::TaskKey;
use crate::settings::AgentLimits;
use crate::status_stream::{Acknowledged, StatusStream};
use odeon_protocol::id::{FrameworkId, StatusUuid};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{TaskState, TaskStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// The streams by task; none of them is empty.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_task: BTreeMap<TaskKey, StatusStream>,
    /// Exactly those whose head is on its way.
    retries: BTreeSet<(Duration, TaskKey)>,
    flows: BTreeMap<FrameworkId, Flow>,
    /// Frameworks that can be told more, and for which something waits.
    freed: BTreeSet<FrameworkId>,
}

/// The updates of one framework.
#[derive(Debug, Default)]
struct Flow {
    /// How many heads are on their way.
    under_way: usize,
    /// Tasks whose head waits for one of those to be acknowledged; some may have nothing to tell any more.
    waiting: VecDeque<TaskKey>,
}

impl Streams {
    /// Streams that an earlier process has left, none of them on its way.
    pub(super) fn recovered(by_task: BTreeMap<TaskKey, StatusStream>) -> Self {
        Self { by_task, ..Self::default() }
    }

    pub(super) fn contains(&self, key: &TaskKey) -> bool {
        self.by_task.contains_key(key)
    }

    /// Whether there are updates of the task that outlive the process of the agent.
    pub(super) fn is_kept(&self, key: &TaskKey) -> bool {
        self.by_task.get(key).is_some_and(|stream| !stream.is_transient())
    }

    /// Those that outlive the process of the agent.
    pub(super) fn kept(&self) -> impl Iterator<Item = (&TaskKey, &StatusStream)> {
        self.iter().filter(|(_, stream)| !stream.is_transient())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&TaskKey, &StatusStream)> {
        self.by_task.iter()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &TaskKey> {
        self.by_task.keys()
    }

    /// The updates of a task, for another one to be added.
    pub(super) fn of_task(&mut self, key: &TaskKey, is_transient: bool) -> &mut StatusStream {
        let new = || if is_transient { StatusStream::transient() } else { StatusStream::default() };
        self.by_task.entry(key.clone()).or_insert_with(new)
    }

    /// Marks the head as sent now, and returns it with the newest state of its task; nothing if it has to wait.
    pub(super) fn send_head(
        &mut self,
        key: &TaskKey,
        now: Moment,
        limits: &AgentLimits,
    ) -> Option<(TaskStatus, TaskState)> {
        let stream = self.by_task.get_mut(key)?;
        let flow = self.flows.entry(key.0.clone()).or_default();
        match stream.retry_at() {
            Some(at) => drop(self.retries.remove(&(at, key.clone()))),
            None if flow.under_way >= limits.status_updates_under_way_max => {
                flow.waiting.push_back(key.clone());
                return None;
            }
            None => flow.under_way += 1,
        }
        let latest = stream.latest()?;
        let head = stream.send_head(now, limits)?.clone();
        self.retries.extend(stream.retry_at().map(|at| (at, key.clone())));
        Some((head, latest))
    }

    /// Takes an acknowledgement; a stream that is empty then is gone.
    pub(super) fn acknowledge(&mut self, key: &TaskKey, uuid: &StatusUuid) -> Acknowledged {
        let Some(stream) = self.by_task.get_mut(key) else { return Acknowledged::Stale };
        let retry_at = stream.retry_at();
        let acknowledged = stream.acknowledge(uuid);
        if acknowledged != Acknowledged::Stale {
            self.end_way(key, retry_at);
        }
        if matches!(acknowledged, Acknowledged::Idle | Acknowledged::Done) {
            self.by_task.remove(key);
        }
        acknowledged
    }

    /// Forgets the updates of a task.
    pub(super) fn remove(&mut self, key: &TaskKey) {
        if let Some(stream) = self.by_task.remove(key) {
            self.end_way(key, stream.retry_at());
        }
    }

    /// A head is not on its way any more, if it was.
    fn end_way(&mut self, key: &TaskKey, retry_at: Option<Duration>) {
        let Some(at) = retry_at else { return };
        self.retries.remove(&(at, key.clone()));
        let flow = self.flows.get_mut(&key.0).expect("it counts what is on its way");
        flow.under_way -= 1;
        if !flow.waiting.is_empty() {
            self.freed.insert(key.0.clone());
        } else if flow.under_way == 0 {
            self.flows.remove(&key.0);
        }
    }

    /// A task whose head has waited and can be sent now.
    pub(super) fn take_waiting(&mut self, limits: &AgentLimits) -> Option<TaskKey> {
        while let Some(framework_id) = self.freed.first() {
            let flow = self.flows.get_mut(framework_id);
            let flow = flow.filter(|flow| flow.under_way < limits.status_updates_under_way_max);
            let Some(key) = flow.and_then(|flow| flow.waiting.pop_front()) else {
                self.freed.pop_first();
                continue;
            };
            if self.by_task.get(&key).is_some_and(|stream| stream.retry_at().is_none()) {
                return Some(key);
            }
        }
        None
    }

    /// Starts the waits of all of them anew, for a new master.
    pub(super) fn rewind(&mut self) {
        self.retries.clear();
        self.flows.clear();
        self.freed.clear();
        self.by_task.values_mut().for_each(StatusStream::rewind);
    }

    /// When the next head is sent, again or after it has waited.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let retry = self.retries.first().map(|(at, _)| *at);
        if self.freed.is_empty() { retry } else { Some(Duration::ZERO) }
    }

    /// The tasks whose heads are to be sent again.
    pub(super) fn due(&self, now: Moment) -> Vec<TaskKey> {
        let due = self.retries.iter().take_while(|(at, _)| *at <= now.since_start);
        due.map(|(_, key)| key.clone()).collect()
    }
}
