//! The shells of the simulated roles: each does with the effects of its core what the real actor does.
//!
//! They decide nothing. Where a real shell changes, its host here has to follow. Launches, updates and acknowledgements that
//! real shells put into one message travel one by one here: what can happen to many in a message can happen to these too,
//! and more.

mod agent;
mod executor;
mod mailer;
mod master;
mod operator;
mod scheduler;
mod spoil;

pub(crate) use agent::AgentHost;
pub(crate) use executor::{ExecutorHost, TASK_TYPE};
pub(crate) use master::MasterHost;
pub(crate) use scheduler::SchedulerHost;

use crate::plan::Site;
use crate::process::{Input, Pid};
use crate::world::World;
use odeon_protocol::moment::Moment;
use std::time::Duration;

/// Who is being run, and what time it is there.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub(crate) pid: Pid,
    pub(crate) site: Site,
    pub(crate) now: Moment,
}

/// What becomes of a process after it has handled something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Lives,
    /// It has ended by itself.
    Ends,
    /// It was killed in the middle; it is started again after so long.
    Killed { restart_after_ms: u64 },
}

/// The role of a process.
#[derive(Debug)]
pub(crate) enum Host {
    Master(Box<MasterHost>),
    Agent(Box<AgentHost>),
    Executor(Box<ExecutorHost>),
    Scheduler(Box<SchedulerHost>),
}

impl Host {
    pub(crate) fn handle(&mut self, input: Input, me: &Me, world: &mut World) -> Fate {
        match self {
            Self::Master(host) => host.handle(input, me, world),
            Self::Agent(host) => host.handle(input, me, world),
            Self::Executor(host) => host.handle(input, me, world),
            Self::Scheduler(host) => host.handle(input, me, world),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Self::Master(host) => host.core.next_deadline(),
            Self::Agent(host) => host.core.next_deadline(),
            Self::Executor(host) => host.core.next_deadline(),
            Self::Scheduler(host) => host.core.next_deadline(),
        }
    }
}
