//! The tasks of an executor: those that live, and the names of those that have ended.

use super::task::Task;
use odeon_protocol::id::TaskId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Tasks that have ended whose names are remembered, so that a repeated launch starts none of them again.
pub(super) const ENDED_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Tasks {
    live: BTreeMap<TaskId, Task>,
    /// Those of them that may have a deadline; the others are not looked at when time passes.
    timed: BTreeSet<TaskId>,
    ended: BTreeSet<TaskId>,
    ended_in_order: VecDeque<TaskId>,
    /// Whether there was a task, and the executor was started for it alone.
    owns_executor: Option<bool>,
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self {
            live: BTreeMap::new(),
            timed: BTreeSet::new(),
            ended: BTreeSet::new(),
            ended_in_order: VecDeque::new(),
            owns_executor: None,
        }
    }

    /// Whether the task lives or is remembered.
    pub(super) fn knows(&self, task_id: &TaskId) -> bool {
        self.live.contains_key(task_id) || self.ended.contains(task_id)
    }

    pub(super) fn start(&mut self, task_id: TaskId, task: Task) {
        self.owns_executor = Some(self.owns_executor.unwrap_or(true) && task.owns_executor);
        if task.is_supervised() {
            self.timed.insert(task_id.clone());
        }
        self.live.insert(task_id, task);
    }

    /// A task that lives.
    pub(super) fn get(&self, task_id: &TaskId) -> Option<&Task> {
        self.live.get(task_id)
    }

    /// A task that lives.
    pub(super) fn get_mut(&mut self, task_id: &TaskId) -> Option<&mut Task> {
        self.live.get_mut(task_id)
    }

    /// The task has a deadline from now on.
    pub(super) fn set_force_at(&mut self, task_id: &TaskId, force_at: Duration) {
        if let Some(task) = self.live.get_mut(task_id) {
            task.force_at = Some(force_at);
            self.timed.insert(task_id.clone());
        }
    }

    pub(super) fn end(&mut self, task_id: &TaskId) {
        if self.live.remove(task_id).is_none() {
            return;
        }
        self.timed.remove(task_id);
        self.ended.insert(task_id.clone());
        self.ended_in_order.push_back(task_id.clone());
        if self.ended_in_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_in_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    pub(super) fn live_ids(&self) -> Vec<TaskId> {
        self.live.keys().cloned().collect()
    }

    pub(super) fn none_lives(&self) -> bool {
        self.live.is_empty()
    }

    /// Whether what the executor was started for has ended.
    pub(super) fn owner_has_ended(&self) -> bool {
        self.owns_executor == Some(true) && self.live.is_empty()
    }

    /// When something is due of a task.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.timed.iter().filter_map(|task_id| self.live.get(task_id)?.next_deadline()).min()
    }

    /// Calls for each task that may have a deadline.
    pub(super) fn each_timed(&mut self, mut act: impl FnMut(&TaskId, &mut Task)) {
        for task_id in &self.timed {
            let task = self.live.get_mut(task_id).expect("what may have a deadline lives");
            act(task_id, task);
        }
    }
}
