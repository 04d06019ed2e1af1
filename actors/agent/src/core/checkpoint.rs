//! `Checkpoint`: what an agent must still know after its process has been killed, as the journal tells it.
//!
//! A fold over records, without IO. Only frameworks that checkpoint leave tasks here: what was written about
//! others ends with the process. Times are not kept: the waits of a new process begin anew.

use super::TaskKey;
use super::executor::Sequences;
use crate::effect::{ContainerPlace, Record};
use crate::status_stream::{Acknowledged, StatusStream};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ContainerId, FrameworkId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::role::Role;
use odeon_protocol::task::{TaskInfo, TaskState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What survives an agent process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The run of the host's system in which this was written.
    pub boot_id: String,
    /// What the agent said about itself; nothing before its first start has ended.
    pub info: Option<AgentInfo>,
    /// Its id, if a master has given one.
    pub agent_id: Option<AgentId>,
    /// The newest term of a master that it has followed.
    pub epoch: Epoch,
    pub(super) tasks: BTreeMap<TaskKey, KeptTask>,
    /// Runs whose end was not seen.
    pub(super) executors: BTreeMap<ContainerId, KeptExecutor>,
    /// Updates that were not acknowledged; those of no kept task are of no use to another process.
    pub(super) streams: BTreeMap<TaskKey, StatusStream>,
}

/// A task that has not ended, or whose end was not acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptTask {
    pub(super) role: Role,
    pub(super) info: TaskInfo,
    /// The run that has or had it; none if it was refused.
    pub(super) container_id: Option<ContainerId>,
    pub(super) state: TaskState,
    pub(super) muted: bool,
}

impl KeptTask {
    /// The run that has or had it.
    pub(super) fn place(&self, framework_id: &FrameworkId) -> Option<ContainerPlace> {
        let (framework_id, executor_id) = (framework_id.clone(), self.info.executor_id());
        self.container_id.clone().map(|container_id| ContainerPlace { framework_id, executor_id, container_id })
    }
}

/// A run of an executor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptExecutor {
    pub(super) framework_id: FrameworkId,
    pub(super) info: ExecutorInfo,
    pub(super) is_command: bool,
    #[serde(default)]
    pub(super) killing_state: bool,
    pub(super) sequences: Sequences,
}

impl Checkpoint {
    /// Whether a task that has not ended is in it.
    #[must_use]
    pub fn has_live_tasks(&self) -> bool {
        self.tasks.values().any(|task| !task.state.is_terminal())
    }

    /// The runs of executors whose end was not seen.
    pub fn container_ids(&self) -> impl Iterator<Item = &ContainerId> {
        self.executors.keys()
    }

    /// Takes in the next record. `updates_max` bounds how many updates wait for one task.
    pub fn apply(&mut self, record: Record, updates_max: usize) {
        match record {
            Record::Snapshot(snapshot) => *self = *snapshot,
            Record::Admitted { agent_id, epoch } => (self.agent_id, self.epoch) = (agent_id, epoch),
            Record::Launched { framework_id, role, task, container_id, killing_state } => {
                self.launch(framework_id, role, *task, container_id, killing_state);
            }
            Record::Updated { framework_id, status, report } => {
                let executor = report.as_ref().and_then(|report| self.executors.get_mut(&report.container_id));
                if let (Some(executor), Some(report)) = (executor, report) {
                    executor.sequences.insert(report.sequence);
                }
                let key = (framework_id, status.task_id.clone());
                // About one that was given up only a refusal is told: of a later task with its id.
                if let Some(task) = self.tasks.get_mut(&key).filter(|task| !task.muted) {
                    task.state = status.state;
                }
                self.streams.entry(key).or_default().push(status, updates_max);
            }
            Record::Acknowledged { framework_id, task_id, uuid } => {
                let key = (framework_id, task_id);
                match self.streams.get_mut(&key).map(|stream| stream.acknowledge(&uuid)) {
                    Some(Acknowledged::Idle | Acknowledged::Done) => self.end_stream(&key),
                    Some(Acknowledged::Next | Acknowledged::Stale) | None => {}
                }
            }
            Record::Forgotten { framework_id, task_id } => self.forget(&(framework_id, task_id)),
            Record::Dropped { framework_id, task_id } => {
                self.tasks.remove(&(framework_id, task_id));
            }
            Record::Ended { container_id } => {
                self.executors.remove(&container_id);
            }
        }
    }

    fn launch(
        &mut self,
        framework_id: FrameworkId,
        role: Role,
        info: TaskInfo,
        container_id: Option<ContainerId>,
        killing_state: bool,
    ) {
        if let Some(container_id) = &container_id {
            let new = || KeptExecutor {
                framework_id: framework_id.clone(),
                info: info.executor().into_owned(),
                is_command: info.work.named_executor().is_none(),
                killing_state,
                sequences: Sequences::default(),
            };
            self.executors.entry(container_id.clone()).or_insert_with(new);
        }
        let key = (framework_id, info.task_id.clone());
        self.tasks.insert(key, KeptTask { role, info, container_id, state: TaskState::Staging, muted: false });
    }

    fn end_stream(&mut self, key: &TaskKey) {
        self.streams.remove(key);
        if self.tasks.get(key).is_some_and(|task| task.state.is_terminal()) {
            self.tasks.remove(key);
        }
    }

    fn forget(&mut self, key: &TaskKey) {
        if let Some(task) = self.tasks.get_mut(key) {
            task.muted = true;
        }
        self.end_stream(key);
    }
}
