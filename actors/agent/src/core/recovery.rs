//! Recovery: an agent that goes on where its predecessor was killed, and what it writes so that this can be.
//!
//! Which processes live is not known here: each run that was not seen to end is adopted, and a run that is gone
//! answers with its exit. After a reboot nothing can live, so nothing is adopted and no process is looked at.

use super::checkpoint::{Checkpoint, KeptExecutor, KeptTask};
use super::executor::{Executor, ExecutorState};
use super::history::FoundSandbox;
use super::reconfigure::{ReconfigurationPolicy, ReconfigureError, reconfigured};
use super::registration::Registration;
use super::streams::Streams;
use super::task::{Kill, Task};
use super::{AgentCore, Out, TaskKey};
use crate::effect::{Effect, Record};
use crate::settings::AgentLimits;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::id::ContainerId;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{DISK, Resources, ResourcesError};
use odeon_protocol::task::{StatusReason, StatusSource, TaskState, TaskStatus};
use std::time::Duration;

/// How the new process finds itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// What it would say about itself.
    pub info: AgentInfo,
    /// The run of the host's system.
    pub boot_id: String,
    /// How far `info` may differ from what was said before.
    pub policy: ReconfigurationPolicy,
    /// Whether the disk in `info` was measured, which gives another number at every start: then the old one stays.
    pub disk_is_measured: bool,
}

/// Why an agent does not go on where another has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// It is not the agent that it was.
    #[error(transparent)]
    Reconfigured(#[from] ReconfigureError),
    /// What runs takes more than there is.
    #[error("the tasks of the agent need more than it has: {0}")]
    Resources(#[from] ResourcesError),
}

impl AgentCore {
    /// An agent that goes on from a checkpoint; from an empty one it is new. The seed decides ids and jitter.
    ///
    /// # Errors
    /// [`RecoverError`] if the agent has become another, or too small.
    pub fn recover(checkpoint: Checkpoint, start: Start, limits: AgentLimits, seed: u64) -> Result<Self, RecoverError> {
        let mut info = start.info;
        if let Some(old) = &checkpoint.info {
            if start.disk_is_measured {
                info.resources = info.resources.with_scalar(DISK, old.resources.scalar(DISK));
            }
            info = reconfigured(old, info, start.policy, checkpoint.has_live_tasks())?;
        }
        let mut core = Self::new(info, limits, seed);
        let rebooted = checkpoint.boot_id != start.boot_id;
        core.boot_id = start.boot_id;
        core.registration = Registration::recovered(seed, checkpoint.agent_id, checkpoint.epoch);
        if !rebooted {
            let until = core.limits.executor_reregistration_timeout;
            let kept = checkpoint.executors.into_iter().map(|(id, kept)| (id.clone(), returning(id, kept, until)));
            core.executors = kept.collect();
        }
        for (key, kept) in checkpoint.tasks {
            core.take_up(key, kept)?;
        }
        let mut streams = checkpoint.streams;
        streams.retain(|key, _| core.tasks.contains_key(key));
        core.streams = Streams::recovered(streams);
        Ok(core)
    }

    fn take_up(&mut self, key: TaskKey, kept: KeptTask) -> Result<(), RecoverError> {
        let place = kept.place(&key.0);
        let KeptTask { role, info, container_id, state, muted } = kept;
        let is_live = !state.is_terminal();
        if let Some(place) = place {
            self.history.on_launched(key.clone(), place);
        }
        let executor = container_id.as_ref().and_then(|id| self.executors.get_mut(id));
        let charged = is_live && !muted && executor.is_some();
        let killing_state = executor.as_ref().is_some_and(|executor| executor.killing_state);
        if let Some(executor) = executor.filter(|_| is_live) {
            executor.tasks.push_back(key.1.clone());
            let of_executor =
                if charged && !executor.charged { executor.info.resources.clone() } else { Resources::empty() };
            executor.charged |= charged;
            if charged {
                self.accounting.take(&info.resources.checked_add(&of_executor)?)?;
            }
        }
        // It may have been handed over just before the end.
        let task = Task {
            role,
            info,
            container_id,
            state,
            sent: true,
            charged,
            muted,
            kill: Kill::No,
            checkpoint: true,
            killing_state,
        };
        self.tasks.insert(key, task);
        Ok(())
    }

    /// The node of a recovered agent is up: takes the runs up again. Comes before [`AgentCore::on_start`].
    pub fn on_recovered(&mut self, now: Moment, out: &mut Out) {
        let runs: Vec<ContainerId> = self.executors.keys().cloned().collect();
        for container_id in &runs {
            let executor = &self.executors[container_id];
            out.send(Effect::AdoptExecutor { place: executor.place.clone() });
            if executor.tasks.is_empty() {
                self.kill_executor(container_id, "it has no task any more", out);
            }
        }
        let keys: Vec<TaskKey> = self.tasks.keys().cloned().collect();
        for key in keys {
            let task = &self.tasks[&key];
            let owner = task.container_id.as_ref().filter(|id| self.executors.contains_key(*id));
            match (task.is_live(), owner.is_some()) {
                (true, true) if task.muted => self.kill_task(&key, now, out),
                (true, true) => {}
                (true, false) => self.report_gone(&key, now, out),
                (false, _) => self.history.on_task_ended(&key, true, now),
            }
        }
    }

    /// The sandboxes that an earlier process has left: those of runs that are over are kept like any others.
    /// Comes before [`AgentCore::on_start`].
    pub fn on_sandboxes_found(&mut self, mut found: Vec<FoundSandbox>, now: Moment, out: &mut Out) {
        found.retain(|sandbox| !self.executors.contains_key(&sandbox.place.container_id));
        self.history.on_found(found, now);
        self.forget_sandboxes(now, out);
    }

    /// A task whose run cannot have outlived the host's system.
    fn report_gone(&mut self, key: &TaskKey, now: Moment, out: &mut Out) {
        let gone = TaskStatus::new(key.1.clone(), TaskState::Gone, StatusSource::Agent).at(now.wall_ms);
        let gone = gone.because(StatusReason::AgentRestarted, "the host of the agent was started anew");
        self.report(key, gone, now, out);
        self.history.on_task_ended(key, true, now);
    }

    /// What a new process would have to know if this one were killed now.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let tasks = self.tasks.iter().filter(|(_, task)| task.checkpoint);
        let tasks = tasks.map(|(key, task)| (key.clone(), task.kept())).collect();
        let executors = self.executors.values().filter(|executor| executor.checkpoint);
        Checkpoint {
            boot_id: self.boot_id.clone(),
            info: Some(self.info.clone()),
            agent_id: self.agent_id().cloned(),
            epoch: self.registration.epoch(),
            tasks,
            executors: executors.map(|one| (one.place.container_id.clone(), one.kept())).collect(),
            streams: self.streams.kept().map(|(key, stream)| (key.clone(), stream.at_rest())).collect(),
        }
    }

    /// Writes a record, and counts it.
    pub(super) fn write(&mut self, record: Record, out: &mut Out) {
        self.records = self.records.saturating_add(1);
        out.write(record);
    }

    /// Whether the journal is so long that a snapshot takes its place. The more a snapshot has to say, the rarer it is: of
    /// all that is written, it stays a small part.
    pub(super) fn must_compact(&self) -> bool {
        self.records >= self.limits.journal_records_max.max(self.tasks.len().saturating_mul(2))
    }

    pub(super) fn compact_if_due(&mut self, out: &mut Out) {
        if self.must_compact() {
            self.records = 0;
            out.write(Record::Snapshot(Box::new(self.checkpoint())));
        }
    }
}

fn returning(container_id: ContainerId, kept: KeptExecutor, until: Duration) -> Executor {
    let KeptExecutor { framework_id, info, is_command, killing_state, sequences } = kept;
    let mut executor = Executor::new(&framework_id, container_id, info, is_command, true, until);
    executor.state = ExecutorState::Returning { until };
    executor.charged = false;
    executor.killing_state = killing_state;
    executor.sequences = sequences;
    executor
}

#[cfg(test)]
#[path = "recovery_test.rs"]
mod tests;
