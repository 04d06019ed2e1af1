//! Tasks that have ended, as many as the settings allow; the oldest are forgotten first.
//!
//! Holds no resources and sends nothing.

use super::tasks::Task;
use odeon_protocol::id::{AgentId, TaskId};
use odeon_protocol::task::TaskState;
use std::collections::{BTreeMap, VecDeque};

/// A task that has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedTask {
    pub(super) task: Task,
    /// The master has declared the end; what its agent still says about the task is not passed on.
    pub(super) by_master: bool,
}

/// The end of a task of which nothing else is known: its agent told of it when the master had forgotten the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BareEnd {
    pub(super) agent_id: AgentId,
    /// In the words of the framework.
    pub(super) state: TaskState,
}

/// The ended tasks of one framework, by the order of their ends.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    next: u64,
    ended: BTreeMap<u64, EndedTask>,
    positions: BTreeMap<TaskId, u64>,
    bare: BTreeMap<TaskId, BareEnd>,
    bare_by_age: VecDeque<TaskId>,
}

impl History {
    /// Adds a task; an earlier one of the same id gives way.
    pub(super) fn push(&mut self, ended: EndedTask, keep: usize) {
        let task_id = ended.task.info.task_id.clone();
        if let Some(earlier) = self.positions.insert(task_id, self.next) {
            self.ended.remove(&earlier);
        }
        self.ended.insert(self.next, ended);
        self.next += 1;
        while self.ended.len() > keep {
            let oldest = self.ended.pop_first();
            oldest.and_then(|(_, ended)| self.positions.remove(&ended.task.info.task_id));
        }
    }

    /// Adds the end of a task that is not known otherwise; the first one stands.
    pub(super) fn push_bare(&mut self, task_id: TaskId, end: BareEnd, keep: usize) {
        if self.positions.contains_key(&task_id) || self.bare.contains_key(&task_id) {
            return;
        }
        self.bare.insert(task_id.clone(), end);
        self.bare_by_age.push_back(task_id);
        while self.bare.len() > keep {
            let oldest = self.bare_by_age.pop_front();
            oldest.and_then(|task_id| self.bare.remove(&task_id));
        }
    }

    pub(super) fn bare(&self, task_id: &TaskId) -> Option<&BareEnd> {
        self.bare.get(task_id)
    }

    pub(super) fn get(&self, task_id: &TaskId) -> Option<&EndedTask> {
        self.positions.get(task_id).and_then(|position| self.ended.get(position))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &EndedTask> {
        self.ended.values()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!((self.ended.len(), self.bare.len()), (self.positions.len(), self.bare_by_age.len()));
        self.ended.len().max(self.bare.len())
    }
}
