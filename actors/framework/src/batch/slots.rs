//! `Slots`: all tasks of a batch, and which of them wait or run.
//!
//! What waits is kept apart by what it needs, so that an offer is filled without a look at all that does not fit.

use super::slot::{Progress, Slot};
use odeon_protocol::id::TaskId;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{TaskInfo, TaskStatus};
use std::collections::{BTreeMap, BTreeSet};

/// The slots in the order of the plan, each known by its index.
#[derive(Debug)]
pub(super) struct Slots {
    all: Vec<Slot>,
    /// By what they need.
    waiting: Vec<BTreeSet<usize>>,
    waiting_count: usize,
    /// The slots of the tasks that were sent to an agent and are not known to have ended.
    launched: BTreeMap<TaskId, usize>,
}

impl Slots {
    pub(super) fn new(tasks: Vec<TaskInfo>) -> Self {
        let (mut shapes, mut waiting) = (BTreeMap::new(), Vec::<BTreeSet<usize>>::new());
        let mut all = Vec::with_capacity(tasks.len());
        for (index, task) in tasks.into_iter().enumerate() {
            let mut slot = Slot::new(task);
            slot.shape = *shapes.entry(slot.needs.to_string()).or_insert(waiting.len());
            waiting.resize_with(shapes.len(), BTreeSet::new);
            waiting[slot.shape].insert(index);
            all.push(slot);
        }
        Self { waiting_count: all.len(), all, waiting, launched: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, index: usize) -> &Slot {
        &self.all[index]
    }

    pub(super) fn have_ended(&self) -> bool {
        self.waiting_count == 0 && self.launched.is_empty()
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting_count
    }

    /// Those that wait for an offer, in the order of the plan.
    pub(super) fn waiting(&self) -> Vec<usize> {
        let mut waiting: Vec<usize> = self.waiting.iter().flatten().copied().collect();
        waiting.sort_unstable();
        waiting
    }

    /// What those that wait need, each once.
    pub(super) fn needs(&self) -> Vec<Resources> {
        let first = |waiting: &BTreeSet<usize>| waiting.first().map(|index| self.all[*index].needs.clone());
        self.waiting.iter().filter_map(first).collect()
    }

    pub(super) fn launched_ids(&self) -> impl Iterator<Item = &TaskId> {
        self.launched.keys()
    }

    /// The slot of a task that was sent to an agent.
    pub(super) fn launched(&self, task_id: &TaskId) -> Option<usize> {
        self.launched.get(task_id).copied()
    }

    /// The last reports of those that have ended.
    pub(super) fn ends(&self) -> impl Iterator<Item = &TaskStatus> {
        self.all.iter().filter_map(|slot| match &slot.progress {
            Progress::Ended(status) => Some(status),
            Progress::Waiting | Progress::Launched => None,
        })
    }

    /// Sends what fits to an agent: in the order of the plan, whatever still fits, up to a number.
    pub(super) fn pack(&mut self, offered: &Resources, count_max: usize) -> Vec<TaskInfo> {
        let (mut left, mut packed) = (offered.clone(), Vec::new());
        let heads = self.waiting.iter().enumerate();
        let mut heads: BTreeSet<(usize, usize)> =
            heads.filter_map(|(shape, waiting)| Some((*waiting.first()?, shape))).collect();
        while packed.len() < count_max
            && let Some((index, shape)) = heads.pop_first()
        {
            // What does not fit now does not fit later: others take more.
            if left.take(&self.all[index].needs).is_err() {
                continue;
            }
            packed.push(self.launch(index));
            heads.extend(self.waiting[shape].first().map(|index| (*index, shape)));
        }
        packed
    }

    fn launch(&mut self, index: usize) -> TaskInfo {
        self.stop_waiting(index);
        let slot = &mut self.all[index];
        slot.progress = Progress::Launched;
        self.launched.insert(slot.task.task_id.clone(), index);
        slot.task.clone()
    }

    pub(super) fn end(&mut self, index: usize, status: TaskStatus) {
        self.stop_waiting(index);
        let slot = &mut self.all[index];
        self.launched.remove(&slot.task.task_id);
        slot.progress = Progress::Ended(status);
    }

    fn stop_waiting(&mut self, index: usize) {
        self.waiting_count -= usize::from(self.waiting[self.all[index].shape].remove(&index));
    }

    /// One that was launched waits again, after a failure or without one.
    pub(super) fn wait_again(&mut self, index: usize, has_failed: bool) {
        let slot = &mut self.all[index];
        self.launched.remove(&slot.task.task_id);
        slot.failures += u32::from(has_failed);
        slot.wait_again();
        self.waiting_count += usize::from(self.waiting[slot.shape].insert(index));
    }
}
