//! Where the output of tasks is, and how long it is kept after their end.
//!
//! Those that are not too old are kept, up to a number, and any that is young; what the files hold is not known here.

use super::TaskKey;
use crate::effect::ContainerPlace;
use crate::settings::AgentLimits;
use odeon_protocol::id::TaskId;
use odeon_protocol::moment::Moment;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Where the output of a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxLocation {
    /// The run that has or had the task.
    pub place: ContainerPlace,
    /// Whether the task has ended, so that nothing will be added.
    pub is_complete: bool,
}

/// The sandbox of a run that an earlier process of the agent has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSandbox {
    /// The run.
    pub place: ContainerPlace,
    /// How long ago something was done there.
    pub age: Duration,
}

#[derive(Debug)]
pub(super) struct History {
    sandboxes_max: usize,
    age_min: Duration,
    /// For the disk as it is now.
    age_max: Duration,
    locations: BTreeMap<TaskKey, SandboxLocation>,
    /// In the order of their end; a run comes after its tasks.
    ended: VecDeque<Ended>,
}

#[derive(Debug)]
struct Ended {
    place: ContainerPlace,
    /// The task, if only its part of the run has ended.
    task_id: Option<TaskId>,
    at: Duration,
    /// How old it was then.
    age: Duration,
}

impl History {
    pub(super) fn new(limits: &AgentLimits) -> Self {
        Self {
            sandboxes_max: limits.sandboxes_max,
            age_min: limits.sandbox_age_min,
            age_max: limits.sandbox_age_max,
            locations: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    pub(super) fn locate(&self, key: &TaskKey) -> Option<&SandboxLocation> {
        self.locations.get(key)
    }

    pub(super) fn on_launched(&mut self, key: TaskKey, place: ContainerPlace) {
        self.locations.insert(key, SandboxLocation { place, is_complete: false });
    }

    /// A task has ended; the sandbox of a command goes with its run.
    pub(super) fn on_task_ended(&mut self, key: &TaskKey, is_command: bool, now: Moment) {
        let Some(location) = self.locations.get_mut(key) else { return };
        location.is_complete = true;
        if !is_command {
            let place = location.place.clone();
            self.ended.push_back(Ended {
                place,
                task_id: Some(key.1.clone()),
                at: now.since_start,
                age: Duration::ZERO,
            });
        }
    }

    pub(super) fn on_exited(&mut self, place: &ContainerPlace, now: Moment) {
        self.ended.push_back(Ended { place: place.clone(), task_id: None, at: now.since_start, age: Duration::ZERO });
    }

    /// What an earlier process has left, which is older than all that ends here.
    pub(super) fn on_found(&mut self, mut found: Vec<FoundSandbox>, now: Moment) {
        found.sort_by_key(|sandbox| sandbox.age);
        for FoundSandbox { place, age } in found {
            self.ended.push_front(Ended { place, task_id: None, at: now.since_start, age });
        }
    }

    /// How long a sandbox is kept from now on, unless there are too many.
    pub(super) fn set_age_max(&mut self, age_max: Duration) {
        self.age_max = age_max.max(self.age_min);
    }

    /// When the oldest one goes.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let oldest = self.ended.front()?;
        let age_max = if self.ended.len() > self.sandboxes_max { self.age_min } else { self.age_max };
        Some(oldest.at.saturating_add(age_max.saturating_sub(oldest.age)))
    }

    /// Forgets those that are neither new nor young, and returns whose directories can go.
    pub(super) fn forget_due(&mut self, now: Moment) -> Vec<(ContainerPlace, Option<TaskId>)> {
        let mut forgotten = Vec::new();
        while self.next_deadline().is_some_and(|at| at <= now.since_start) {
            let Ended { place, task_id, .. } = self.ended.pop_front().expect("it has a deadline");
            // The run of a command is named after its task, and stands for it.
            let task = task_id.clone().or_else(|| TaskId::new(place.executor_id.as_str()).ok());
            let key = task.map(|task_id| (place.framework_id.clone(), task_id));
            if let Some(key) = key.filter(|key| self.locations.get(key).is_some_and(|one| one.place == place)) {
                self.locations.remove(&key);
            }
            forgotten.push((place, task_id));
        }
        forgotten
    }
}
