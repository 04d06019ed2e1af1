//! Tasks that have ended, as many as the settings allow; the oldest are forgotten first.
//!
//! Holds no resources and sends nothing.

use super::tasks::Task;
use odeon_protocol::id::TaskId;
use std::collections::BTreeMap;

/// A task that has ended.
#[derive(Debug, Clone)]
pub(super) struct EndedTask {
    pub(super) task: Task,
    /// The master has declared the end; what its agent still says about the task is not passed on.
    pub(super) by_master: bool,
}

/// The ended tasks of one framework, by the order of their ends.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    next: u64,
    ended: BTreeMap<u64, EndedTask>,
    positions: BTreeMap<TaskId, u64>,
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

    pub(super) fn get(&self, task_id: &TaskId) -> Option<&EndedTask> {
        self.positions.get(task_id).and_then(|position| self.ended.get(position))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &EndedTask> {
        self.ended.values()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.ended.len(), self.positions.len());
        self.ended.len()
    }
}
