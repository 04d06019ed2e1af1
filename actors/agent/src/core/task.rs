//! One task on the agent, from its launch until its end is acknowledged.

use super::checkpoint::KeptTask;
use odeon_protocol::id::ContainerId;
use odeon_protocol::role::Role;
use odeon_protocol::task::{TaskInfo, TaskState};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Task {
    pub(super) role: Role,
    pub(super) info: TaskInfo,
    /// The run that has it; none if it was refused.
    pub(super) container_id: Option<ContainerId>,
    pub(super) state: TaskState,
    /// Whether its executor was told to run it.
    pub(super) sent: bool,
    /// Whether its resources are charged.
    pub(super) charged: bool,
    /// The master has given it up: nothing is told about it, and its resources count as free.
    pub(super) muted: bool,
    pub(super) kill: Kill,
    /// Whether its framework checkpoints.
    pub(super) checkpoint: bool,
    /// Whether its framework understands `TASK_KILLING`.
    pub(super) killing_state: bool,
}

/// How far the end of a task is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kill {
    No,
    /// The executor kills it; if it does not, it is killed itself at the given time.
    Asked {
        until: Duration,
    },
    /// The executor is being ended, which ends the task.
    WithExecutor,
}

impl Task {
    /// What the next process of the agent has to know of it.
    pub(super) fn kept(&self) -> KeptTask {
        KeptTask {
            role: self.role.clone(),
            info: self.info.clone(),
            container_id: self.container_id.clone(),
            state: self.state,
            muted: self.muted,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        !self.state.is_terminal()
    }

    /// When the executor is killed for not killing the task.
    pub(super) fn kill_at(&self) -> Option<Duration> {
        match self.kill {
            Kill::Asked { until } if self.is_live() => Some(until),
            _ => None,
        }
    }
}
