//! `AgentActor`: hears the master, executors, clients and its own shell, and lets the core decide.
//!
//! No decision is made here, except to let the master's commands wait while a registration is being
//! answered: the answer and the first command travel together, and the core must see the answer first.

use crate::core::{AgentCore, FoundSandbox, Out, SandboxLocation};
use crate::disk;
use crate::effect::{Effect, Record};
use crate::launcher::RunEnd;
use crate::performer::Performer;
use crate::reader::read_sandbox;
use crate::sandbox::Sandboxes;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use odeon_protocol::id::{ContainerId, FrameworkId, TaskId};
use odeon_protocol::messages::agent_executor::{
    ExecutorRegistered, RegisterExecutor, RegisterExecutorError, UpdateStatuses,
};
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatuses, AgentRegistered, CommandRefused, KillTask, LaunchTasks, PingAgent, RegisterAgentError,
    ShutdownAgent, ShutdownFramework,
};
use odeon_protocol::messages::sandbox::{ReadSandbox, ReadSandboxError, SandboxChunk};
use odeon_protocol::moment::Moment;
use odeon_runtime::{Clock, Committer, CoreActor, CoreShell, DurableCore, From, LinkEvent, Node, NodeId, Reply};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Messages that may wait for the agent, besides one for each waiting asker.
pub(crate) const MAILBOX_CAPACITY: usize = 4096;

/// Something that waits for the answer to a registration. The links bound how many asks are open.
type Deferred = Box<dyn FnOnce(&mut AgentActor, &mut Context<AgentActor>)>;

/// The actor behind the name `agent`.
pub(crate) struct AgentActor {
    shell: CoreShell<AgentCore>,
    node: Node,
    performer: Rc<RefCell<Performer>>,
    sandboxes: Sandboxes,
    /// Left by earlier processes, until the core knows of it.
    found: Vec<FoundSandbox>,
    deferred: VecDeque<Deferred>,
    /// The node of the master that has answered last.
    master: Option<NodeId>,
}

impl AgentActor {
    pub(crate) fn new(
        core: AgentCore,
        node: Node,
        committer: Committer<Effect, Record>,
        performer: Rc<RefCell<Performer>>,
        sandboxes: Sandboxes,
        found: Vec<FoundSandbox>,
    ) -> Self {
        let mut shell = CoreShell::new(core, Clock::start());
        shell.begin(committer);
        let (deferred, master) = (VecDeque::new(), None);
        Self { shell, node, performer, sandboxes, found, deferred, master }
    }

    /// Obeys a command of the master, after the answer to a registration if one is awaited.
    fn obey<M: 'static, R: 'static>(
        &mut self,
        context: &mut Context<Self>,
        message: M,
        obey: fn(&mut AgentCore, M, Moment, &mut Out) -> R,
    ) -> Reply<R> {
        if !self.shell.core().is_registering() && self.deferred.is_empty() {
            return self.decide(context, |core, now, out| obey(core, message, now, out));
        }
        let (answer, answered) = oneshot::channel();
        self.deferred.push_back(Box::new(move |actor, context| {
            let reply = actor.decide(context, |core, now, out| obey(core, message, now, out));
            // An asker that is gone needs no reply.
            let _ = answer.send(reply);
        }));
        Reply::later(async move {
            match answered.await {
                Ok(reply) => reply.wait().await,
                // The actor is gone; the asker hears that from the fabric.
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn look_at_disk(&mut self, context: &mut Context<Self>) {
        let path = self.sandboxes.root().to_owned();
        let looked = tokio::task::spawn_blocking(move || disk::measure(&path));
        context.spawn(looked.into_actor(self).map(|usage, actor, context| {
            if let Some(usage) = usage.ok().flatten() {
                actor.note(context, |core, now, out| core.on_disk_measured(usage, now, out));
            }
        }));
    }
}

impl DurableCore for AgentCore {
    type Effect = Effect;
    type Record = Record;

    fn next_deadline(&self) -> Option<Duration> {
        Self::next_deadline(self)
    }

    fn on_timer(&mut self, now: Moment, out: &mut Out) {
        Self::on_timer(self, now, out);
    }
}

impl CoreActor for AgentActor {
    type Core = AgentCore;

    fn shell(&mut self) -> &mut CoreShell<AgentCore> {
        &mut self.shell
    }
}

impl Actor for AgentActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let (mut links, actor) = (self.node.subscribe_links(), context.address());
        actix_rt::spawn(async move {
            while let Some(event) = links.recv().await {
                if actor.send(LinkChanged(event)).await.is_err() {
                    break;
                }
            }
        });
        let found = std::mem::take(&mut self.found);
        self.look_at_disk(context);
        context.run_interval(self.shell.core().disk_watch_interval(), Self::look_at_disk);
        self.note(context, |core, now, out| {
            core.on_recovered(now, out);
            core.on_sandboxes_found(found, now, out);
            core.on_start(out);
        });
    }
}

/// The master has answered, or could not be asked.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct RegistrationAnswered {
    pub(crate) answer: Option<Result<AgentRegistered, RegisterAgentError>>,
    pub(crate) node: Option<NodeId>,
}

impl Handler<RegistrationAnswered> for AgentActor {
    type Result = ();
    fn handle(&mut self, message: RegistrationAnswered, context: &mut Context<Self>) {
        let RegistrationAnswered { answer, node } = message;
        match &answer {
            Some(Ok(registered)) => info!(agent_id = %registered.agent_id, epoch = %registered.epoch, "registered"),
            Some(Err(error)) => warn!(%error, "the master turns the agent away"),
            None => {}
        }
        let lost = answer.is_some() && node.as_ref().is_none_or(|node| !self.node.linked_nodes().contains(node));
        self.master = node;
        self.note(context, |core, now, out| {
            core.on_registration(answer, now, out);
            // The link may have broken between the answer and now.
            if lost {
                core.on_master_disconnected(now);
            }
        });
        while !self.shell.core().is_registering() {
            let Some(next) = self.deferred.pop_front() else { break };
            next(self, context);
        }
    }
}

/// The run of an executor is over.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ExecutorOver {
    pub(crate) container_id: ContainerId,
    pub(crate) end: RunEnd,
}

impl Handler<ExecutorOver> for AgentActor {
    type Result = ();
    fn handle(&mut self, message: ExecutorOver, context: &mut Context<Self>) {
        let ExecutorOver { container_id, end } = message;
        info!(%container_id, ?end, "an executor is over");
        self.performer.borrow_mut().dismiss(&container_id);
        self.note(context, |core, now, out| match end {
            RunEnd::Exited(exit) => core.on_executor_exited(&container_id, exit, now, out),
            RunEnd::NotStarted(cause) => core.on_executor_not_started(&container_id, &cause, now, out),
        });
    }
}

/// The binary of an executor is there, so that its process is started now.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BinaryFetched {
    pub(crate) container_id: ContainerId,
}

impl Handler<BinaryFetched> for AgentActor {
    type Result = ();
    fn handle(&mut self, BinaryFetched { container_id }: BinaryFetched, context: &mut Context<Self>) {
        self.note(context, |core, now, _| core.on_binary_fetched(&container_id, now));
    }
}

/// An executor does not take its tasks.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct ExecutorUnresponsive {
    pub(crate) container_id: ContainerId,
    pub(crate) cause: String,
}

impl Handler<ExecutorUnresponsive> for AgentActor {
    type Result = ();
    fn handle(&mut self, message: ExecutorUnresponsive, context: &mut Context<Self>) {
        let ExecutorUnresponsive { container_id, cause } = message;
        warn!(%container_id, cause, "an executor does not take its tasks");
        self.note(context, |core, _, out| core.on_executor_unresponsive(&container_id, &cause, out));
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct LinkChanged(LinkEvent);

impl Handler<LinkChanged> for AgentActor {
    type Result = ();
    fn handle(&mut self, LinkChanged(event): LinkChanged, context: &mut Context<Self>) {
        let is_master = match &event {
            LinkEvent::Down { node, .. } => self.master.as_ref() == Some(node),
            LinkEvent::Missed { .. } => true,
            _ => false,
        };
        let lost = self.performer.borrow().out_of_reach(&event);
        self.note(context, |core, now, _| {
            if is_master {
                core.on_master_disconnected(now);
            }
            lost.iter().for_each(|container_id| core.on_executor_disconnected(container_id, now));
        });
    }
}

/// Ends the agent, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

impl Handler<Stop> for AgentActor {
    type Result = ();
    fn handle(&mut self, _: Stop, context: &mut Context<Self>) {
        self.note(context, AgentCore::on_stop);
    }
}

/// Asks where the output of a task is.
#[derive(Message)]
#[rtype(result = "Option<SandboxLocation>")]
pub(crate) struct LocateSandbox {
    pub(crate) framework_id: FrameworkId,
    pub(crate) task_id: TaskId,
}

impl Handler<LocateSandbox> for AgentActor {
    type Result = Option<SandboxLocation>;
    fn handle(&mut self, message: LocateSandbox, _: &mut Context<Self>) -> Self::Result {
        self.shell.core().locate_sandbox(&message.framework_id, &message.task_id).cloned()
    }
}

impl Handler<ReadSandbox> for AgentActor {
    type Result = Reply<Result<SandboxChunk, ReadSandboxError>>;
    fn handle(&mut self, message: ReadSandbox, context: &mut Context<Self>) -> Self::Result {
        Reply::later(read_sandbox(context.address(), self.sandboxes.clone(), message))
    }
}

impl Handler<From<RegisterExecutor>> for AgentActor {
    type Result = Reply<Result<ExecutorRegistered, RegisterExecutorError>>;
    fn handle(&mut self, from: From<RegisterExecutor>, context: &mut Context<Self>) -> Self::Result {
        let From { node, message } = from;
        let performer = Rc::clone(&self.performer);
        self.decide(context, |core, _, out| {
            let registered = core.on_register_executor(&message, out)?;
            // Before the tasks that it gets now are sent.
            performer.borrow_mut().bind(&message.container_id, node);
            Ok(registered)
        })
    }
}

impl Handler<UpdateStatuses> for AgentActor {
    type Result = Reply<Result<(), RegisterExecutorError>>;
    fn handle(&mut self, message: UpdateStatuses, context: &mut Context<Self>) -> Self::Result {
        self.decide(context, |core, now, out| core.on_update_statuses(message, now, out))
    }
}

macro_rules! commands {
    ($($message:ty => $obey:expr),+ $(,)?) => {
        $(impl Handler<$message> for AgentActor {
            type Result = Reply<Result<(), CommandRefused>>;
            fn handle(&mut self, message: $message, context: &mut Context<Self>) -> Self::Result {
                self.obey(context, message, $obey)
            }
        })+
    };
}

commands! {
    LaunchTasks => AgentCore::on_launch_tasks,
    KillTask => |core, message, now, out| core.on_kill_task(&message, now, out),
    AcknowledgeStatuses => AgentCore::on_acknowledge_statuses,
    PingAgent => |core, message, now, out| core.on_ping_agent(&message, now, out),
    ShutdownFramework => |core, message, now, out| core.on_shutdown_framework(&message, now, out),
    ShutdownAgent => AgentCore::on_shutdown_agent,
}
