//! The updates that the agent has not answered yet: numbered, in order for each task, one of each task under way.
//!
//! Updates of different tasks do not wait for each other, so that one sync of the agent's disk serves many.

use odeon_protocol::id::TaskId;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskStatus;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Updates that are sent and not answered; the agent remembers the numbers of as many that overtook others.
pub(super) const UNDER_WAY_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct UpdateQueue {
    tasks: BTreeMap<TaskId, Reports>,
    /// Tasks with something to tell and nothing under way, in the order in which they came.
    ready: VecDeque<TaskId>,
    /// By number: numbered, and not answered.
    under_way: BTreeMap<u64, TaskStatus>,
    /// Those of them that are to be sent as soon as there is a link.
    due: BTreeSet<u64>,
    /// Those of them that are to be sent again at their time.
    later: BTreeSet<(Duration, u64)>,
    last_sequence: u64,
}

/// What one task has to tell.
#[derive(Debug, Default)]
struct Reports {
    waiting: VecDeque<TaskStatus>,
    is_under_way: bool,
}

impl UpdateQueue {
    /// Adds an update. A task that talks faster than the agent listens overwrites its own words, so that at most
    /// one report waits for each of its non-terminal states and reasons, and the newest is told last.
    pub(super) fn push(&mut self, status: TaskStatus) {
        let what = |status: &TaskStatus| (status.state, status.reason);
        let task_id = status.task_id.clone();
        let reports = self.tasks.entry(task_id.clone()).or_default();
        if reports.waiting.is_empty() && !reports.is_under_way {
            self.ready.push_back(task_id);
        }
        if !status.state.is_terminal() {
            reports.waiting.retain(|old| what(old) != what(&status));
        }
        reports.waiting.push_back(status);
    }

    /// The number and content of what is to be sent now, if anything.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<(u64, TaskStatus)> {
        if let Some((at, _)) = self.later.first()
            && *at <= now.since_start
        {
            let (_, sequence) = self.later.pop_first().expect("it was just there");
            self.due.insert(sequence);
        }
        if let Some(sequence) = self.due.pop_first() {
            return Some((sequence, self.under_way[&sequence].clone()));
        }
        if self.under_way.len() >= UNDER_WAY_MAX {
            return None;
        }
        let reports = self.tasks.get_mut(&self.ready.pop_front()?).expect("what is ready has something to tell");
        let status = reports.waiting.pop_front().expect("what is ready has something to tell");
        reports.is_under_way = true;
        self.last_sequence += 1;
        self.under_way.insert(self.last_sequence, status.clone());
        Some((self.last_sequence, status))
    }

    pub(super) fn on_answered(&mut self, sequence: u64) {
        let Some(status) = self.under_way.remove(&sequence) else { return };
        self.due.remove(&sequence);
        self.later.retain(|(_, later)| *later != sequence);
        let reports = self.tasks.get_mut(&status.task_id).expect("it has one under way");
        reports.is_under_way = false;
        match reports.waiting.is_empty() {
            true => drop(self.tasks.remove(&status.task_id)),
            false => self.ready.push_back(status.task_id),
        }
    }

    pub(super) fn on_not_answered(&mut self, sequence: u64, again_at: Duration) {
        if self.under_way.contains_key(&sequence) && !self.due.contains(&sequence) {
            self.later.insert((again_at, sequence));
        }
    }

    /// There is a new link: what waits for another attempt need not wait longer.
    pub(super) fn on_link_up(&mut self) {
        self.due.extend(std::mem::take(&mut self.later).into_iter().map(|(_, sequence)| sequence));
    }

    /// When something is to be sent again.
    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.later.first().map(|(at, _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }
}
