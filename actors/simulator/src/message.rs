//! What travels between simulated processes: the messages of the roles, their answers, and why there is none.
//!
//! Nothing is encoded: bytes are the fabric's business, and tested there.

use crate::process::Pid;
use odeon_framework::effect::{MasterCall, Ticket};
use odeon_master::CommandReceipt;
use odeon_master::effect::{AgentCommand, SchedulerEvent};
use odeon_protocol::id::{AgentId, ContainerId};
use odeon_protocol::messages::agent_executor::{
    EndTask, ExecutorRegistered, RegisterExecutor, RegisterExecutorError, RunTask, ShutdownExecutor, UpdateStatus,
};
use odeon_protocol::messages::master_agent::{
    AgentRegistered, CommandRefused, ForwardStatus, RegisterAgent, RegisterAgentError,
};
use odeon_protocol::messages::master_scheduler::{CallError, Subscribe, SubscribeError, Subscribed};
use odeon_runtime::NodeId;

/// A message to an actor.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    RegisterAgent(Box<RegisterAgent>),
    ForwardStatus(Box<ForwardStatus>),
    Subscribe(Box<Subscribe>),
    Call(Box<MasterCall>),
    Command(Box<AgentCommand>),
    Event(Box<SchedulerEvent>),
    RegisterExecutor(Box<RegisterExecutor>),
    UpdateStatus(Box<UpdateStatus>),
    RunTask(Box<RunTask>),
    EndTask(Box<EndTask>),
    ShutdownExecutor(ShutdownExecutor),
}

/// What a handler answers.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    RegisterAgent(Result<AgentRegistered, RegisterAgentError>),
    Subscribe(Result<Subscribed, SubscribeError>),
    Call(Result<(), CallError>),
    Command(Result<(), CommandRefused>),
    RegisterExecutor(Result<ExecutorRegistered, RegisterExecutorError>),
    UpdateStatus(Result<(), RegisterExecutorError>),
    Taken,
}

/// Why an ask has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAnswer {
    /// It was not sent.
    Unreachable,
    /// The link broke; it may have been handled.
    LinkLost,
    /// It took too long; it may have been handled.
    Timeout,
}

impl NoAnswer {
    pub(crate) fn may_have_run(self) -> bool {
        self != Self::Unreachable
    }
}

/// What an asker has to know of its question when the answer comes.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Command { agent_id: AgentId, node: NodeId, receipt: CommandReceipt },
    RegisterAgent,
    Subscribe,
    Call(Ticket),
    RegisterExecutor,
    Update(u64),
    Letter { container_id: ContainerId, mailer: u64 },
}

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    pub(crate) link: u64,
    pub(crate) asker: Pid,
    pub(crate) ask: u64,
}

impl Body {
    /// A small number for the trace.
    pub(crate) fn code(&self) -> u64 {
        match self {
            Self::RegisterAgent(_) => 1,
            Self::ForwardStatus(_) => 2,
            Self::Subscribe(_) => 3,
            Self::Call(_) => 4,
            Self::Command(_) => 5,
            Self::Event(_) => 6,
            Self::RegisterExecutor(_) => 7,
            Self::UpdateStatus(_) => 8,
            Self::RunTask(_) => 9,
            Self::EndTask(_) => 10,
            Self::ShutdownExecutor(_) => 11,
        }
    }
}
