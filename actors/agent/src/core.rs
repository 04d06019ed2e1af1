//! Decides what an agent does: its registration, its executors, their tasks and what is told about them.
//!
//! Deliberately absent: processes, files, sockets, clocks.
//! Each `on_*` method takes what has happened, `now` and an outbox.

mod accounting;
mod audit;
mod checkpoint;
mod disk;
mod executor;
mod history;
mod kill;
mod launch;
mod reconfigure;
mod recovery;
mod registration;
mod shutdown;
mod streams;
mod task;
mod updates;

pub use audit::AgentBooks;
pub use checkpoint::Checkpoint;
pub use disk::DiskUsage;
pub use history::{FoundSandbox, SandboxLocation};
pub use reconfigure::{ReconfigurationPolicy, ReconfigureError};
pub use recovery::{RecoverError, Start};

use crate::effect::{AgentEnd, Effect, Record};
use crate::settings::AgentLimits;
use accounting::Accounting;
use executor::Executor;
use history::History;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::id::{AgentId, ContainerId, FrameworkId, IdSource, TaskId};
use odeon_protocol::moment::Moment;
use odeon_runtime::Outbox;
use registration::Registration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use streams::Streams;
use task::Task;

/// What the core emits.
pub type Out = Outbox<Effect, Record>;

/// A task, within its framework.
type TaskKey = (FrameworkId, TaskId);

/// The state of an agent.
#[derive(Debug)]
pub struct AgentCore {
    limits: AgentLimits,
    info: AgentInfo,
    ids: IdSource,
    registration: Registration,
    accounting: Accounting,
    /// Those whose process may be alive.
    executors: BTreeMap<ContainerId, Executor>,
    /// Those that have not ended, or whose end is not acknowledged.
    tasks: BTreeMap<TaskKey, Task>,
    streams: Streams,
    /// When executors are killed for tasks that they were asked to end; what has ended since, or was given another
    /// time, is passed over.
    kills: BTreeSet<(Duration, TaskKey)>,
    history: History,
    /// As it was looked at last.
    disk: DiskUsage,
    /// The run of the host's system.
    boot_id: String,
    /// Written since the last snapshot.
    records: usize,
    /// Set once the agent is to end; then executors only end.
    end: Option<AgentEnd>,
    finished: bool,
}

impl AgentCore {
    /// An agent that has not registered yet. The seed decides ids and jitter.
    #[must_use]
    pub fn new(info: AgentInfo, limits: AgentLimits, seed: u64) -> Self {
        Self {
            accounting: Accounting::new(info.resources.clone()),
            history: History::new(&limits),
            registration: Registration::new(seed),
            ids: IdSource::new(seed),
            executors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            streams: Streams::default(),
            kills: BTreeSet::new(),
            disk: DiskUsage::default(),
            boot_id: String::new(),
            records: 0,
            end: None,
            finished: false,
            limits,
            info,
        }
    }

    /// Its id, once the master has given one.
    #[must_use]
    pub fn agent_id(&self) -> Option<&AgentId> {
        self.registration.agent_id()
    }

    /// Whether a registration is on its way; commands of the master wait until it is answered.
    #[must_use]
    pub fn is_registering(&self) -> bool {
        self.registration.is_asking()
    }

    /// Where the output of a task is, if the agent still has it.
    #[must_use]
    pub fn locate_sandbox(&self, framework_id: &FrameworkId, task_id: &TaskId) -> Option<&SandboxLocation> {
        self.history.locate(&(framework_id.clone(), task_id.clone()))
    }

    /// When [`AgentCore::on_timer`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.finished {
            return None;
        }
        let registration = self.registration.next_deadline().filter(|_| self.end.is_none());
        let executors = self.executors.values().filter_map(|executor| executor.next_deadline(&self.limits)).min();
        let kills = self.kills.first().map(|(at, _)| *at);
        let streams = self.streams.next_deadline().filter(|_| self.registration.is_registered());
        let compaction = self.must_compact().then_some(Duration::ZERO);
        [registration, executors, kills, streams, compaction, self.history.next_deadline()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_timer(&mut self, now: Moment, out: &mut Out) {
        if self.finished {
            return;
        }
        self.register_if_due(now, out);
        self.kill_what_disobeys(now, out);
        self.check_executors(now, out);
        self.resend_updates(now, out);
        self.forget_sandboxes(now, out);
        self.compact_if_due(out);
    }

    fn forget_sandboxes(&mut self, now: Moment, out: &mut Out) {
        for (place, task_id) in self.history.forget_due(now) {
            if !self.limits.sandbox_keep {
                out.send(Effect::RemoveSandbox { place, task_id });
            }
        }
    }
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
#[path = "core/core_test.rs"]
mod tests;

#[cfg(test)]
#[path = "core/invariants_test.rs"]
mod invariants;
