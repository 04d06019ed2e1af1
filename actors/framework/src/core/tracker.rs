//! The tasks of a framework that have not ended, and those that it wants to end.

use odeon_protocol::id::{AgentId, TaskId};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskStatus;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Where each is, as far as known.
    tasks: BTreeMap<TaskId, Option<AgentId>>,
    /// When each kill is repeated.
    kills: BTreeMap<TaskId, Duration>,
}

impl Tracker {
    pub(super) fn on_launched(&mut self, task_id: TaskId) {
        self.tasks.insert(task_id, None);
    }

    pub(super) fn on_update(&mut self, status: &TaskStatus) {
        if status.state.is_terminal() {
            self.tasks.remove(&status.task_id);
            self.kills.remove(&status.task_id);
        } else {
            let agent_id = self.tasks.entry(status.task_id.clone()).or_default();
            *agent_id = status.agent_id.clone().or_else(|| agent_id.take());
        }
    }

    pub(super) fn on_kill(&mut self, task_id: TaskId, again_at: Duration) {
        self.kills.insert(task_id, again_at);
    }

    /// The kills that are due; each is put off until `again_at`.
    pub(super) fn take_kills(&mut self, now: Moment, again_at: Duration) -> Vec<TaskId> {
        let due = self.kills.iter_mut().filter(|(_, at)| **at <= now.since_start);
        due.map(|(task_id, at)| {
            *at = again_at;
            task_id.clone()
        })
        .collect()
    }

    /// All kills are due.
    pub(super) fn hasten_kills(&mut self, now: Moment) {
        self.kills.values_mut().for_each(|at| *at = now.since_start);
    }

    pub(super) fn next_kill(&self) -> Option<Duration> {
        self.kills.values().min().copied()
    }

    pub(super) fn unfinished(&self) -> Vec<(TaskId, Option<AgentId>)> {
        self.tasks.iter().map(|(task_id, agent_id)| (task_id.clone(), agent_id.clone())).collect()
    }
}
