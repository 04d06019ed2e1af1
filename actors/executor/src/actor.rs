//! The actor of an executor: hands what it hears to the core, and does what the core wants.
//!
//! It decides nothing. Its messages are those of [`ExecutorForAgent`] and the private ones below.
//!
//! [`ExecutorForAgent`]: odeon_protocol::messages::agent_executor::ExecutorForAgent

use crate::command::{CommandTask, STARTS_MAX, Stragglers};
use crate::core::ExecutorCore;
use crate::doorway::Doorway;
use crate::effect::{CheckKind, Effect};
use crate::end::ExecutorEnd;
use crate::leaders::Leaders;
use crate::probe;
use crate::registry::TaskRegistry;
use crate::runner::{self, Channels, Force, RunningTask, TaskNews};
use crate::settings::ExecutorSettings;
use crate::surroundings::Surroundings;
use crate::task::{TaskContext, Urgency};
use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, StreamHandler, WrapFuture,
};
use futures_util::FutureExt;
use odeon_protocol::batch::take_batch;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::id::TaskId;
use odeon_protocol::messages::agent_executor::{
    AgentForExecutors, EndTask, RegisterExecutor, RunTasks, ShutdownExecutor, UpdateStatus, UpdateStatuses,
};
use odeon_protocol::task::{Check, TaskInfo, Work};
use odeon_runtime::{Clock, DeadlineTimer, Endpoint, LinkEvent, Node, NodeId, Peer, begun};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{debug, info};

/// Messages that may wait for the actor. An agent sends one for each task and each kill.
pub(crate) const MAILBOX_CAPACITY: usize = 4096;
/// How long one attempt to register may take; shorter than the time after which the agent is lost.
const REGISTER_ATTEMPT: Duration = Duration::from_secs(1);

/// What is left when an executor has ended.
pub(crate) struct Ended {
    pub(crate) end: ExecutorEnd,
    /// Tasks that did not end by themselves.
    pub(crate) left: Vec<RunningTask>,
}

/// Owns the core and the running tasks of one executor process.
pub(crate) struct ExecutorActor {
    core: ExecutorCore,
    settings: ExecutorSettings,
    base_environment: Arc<BTreeMap<String, String>>,
    registry: TaskRegistry,
    node: Node,
    doorway: Arc<Doorway>,
    agent: Peer<AgentForExecutors>,
    /// The run of the agent that has registered this executor.
    agent_node: Option<NodeId>,
    running: BTreeMap<TaskId, Running>,
    /// What is told to the agent when the messages that wait have been handled. The core has only so many under way.
    reports: VecDeque<UpdateStatus>,
    leaders: Leaders,
    turns: Arc<Semaphore>,
    clock: Clock,
    timer: DeadlineTimer,
    ended: Option<oneshot::Sender<Ended>>,
}

/// A task under way, and what its checks need to know.
struct Running {
    task: RunningTask,
    surroundings: Surroundings,
    over: watch::Receiver<bool>,
}

impl ExecutorActor {
    pub(crate) fn new(
        settings: ExecutorSettings,
        registry: TaskRegistry,
        node: Node,
        ended: oneshot::Sender<Ended>,
    ) -> Self {
        let clock = Clock::start();
        Self {
            core: ExecutorCore::new(settings.identity.clone(), registry.names()),
            agent: node.peer_at(&settings.agent, "agent"),
            doorway: Arc::new(Doorway::new(&node, &settings.actors_listen, &settings.actors_host)),
            base_environment: Arc::new(settings.base_environment.clone()),
            settings,
            registry,
            node,
            agent_node: None,
            running: BTreeMap::new(),
            reports: VecDeque::new(),
            leaders: Leaders::default(),
            turns: Arc::new(Semaphore::new(STARTS_MAX)),
            timer: DeadlineTimer::new(clock),
            clock,
            ended: Some(ended),
        }
    }

    fn do_all(&mut self, effects: Vec<Effect>, ctx: &mut Context<Self>) {
        for effect in effects {
            match effect {
                Effect::Register(message) => self.register(message, ctx),
                Effect::SendUpdate(message) => self.gather(message, ctx),
                Effect::StartTask { task, sandbox } => self.start_task(*task, sandbox, &ctx.address()),
                Effect::Check { task_id, kind, check } => self.check(task_id, kind, *check, ctx),
                Effect::AskToEnd(task_id) => self.with_task(&task_id, RunningTask::ask_to_end),
                Effect::ForceToEnd(task_id) => self.with_task(&task_id, RunningTask::force_to_end),
                Effect::End(end) => self.end(end, ctx),
            }
        }
        self.set_timer(ctx);
    }

    fn register(&mut self, message: RegisterExecutor, ctx: &mut Context<Self>) {
        let (node, given, file) = (self.node.clone(), self.settings.agent.clone(), self.settings.agent_file.clone());
        let asked = async move {
            let agent: Peer<AgentForExecutors> = node.peer_at(&agent_endpoint(given, file).await, "agent");
            let answer = agent.send_within(message, REGISTER_ATTEMPT).await;
            (agent, answer)
        };
        ctx.spawn(asked.into_actor(self).map(|(agent, answer), actor, ctx| {
            actor.agent = agent;
            let answer = answer.inspect_err(|error| debug!(%error, "cannot register with the agent")).ok();
            let mut out = Vec::new();
            actor.core.on_register_answered(answer, actor.clock.now(), &mut out);
            actor.agent_node = actor.agent.address().node;
            // The link may have broken behind the answer, before it was known whose link to watch.
            if !actor.is_linked() {
                actor.core.on_link_down(actor.clock.now(), &mut out);
            }
            actor.do_all(out, ctx);
        }));
    }

    /// Reports that come together go together.
    fn gather(&mut self, report: UpdateStatus, ctx: &mut Context<Self>) {
        if self.reports.is_empty() {
            let soon = std::future::ready(()).into_actor(self);
            ctx.spawn(soon.map(|(), actor, ctx| actor.send_reports(ctx)));
        }
        self.reports.push_back(report);
    }

    fn send_reports(&mut self, ctx: &mut Context<Self>) {
        while !self.reports.is_empty() {
            let reports = take_batch(&mut self.reports);
            self.ask_agent(reports, ctx);
        }
    }

    fn ask_agent(&self, reports: Vec<UpdateStatus>, ctx: &mut Context<Self>) {
        let sequences: Vec<u64> = reports.iter().map(|report| report.sequence).collect();
        let agent = self.agent.clone();
        let asked = begun(async move { agent.send(UpdateStatuses { reports }).await });
        ctx.spawn(asked.into_actor(self).map(move |answer, actor, ctx| {
            let answer = answer.inspect_err(|error| debug!(%error, ?sequences, "updates are not answered")).ok();
            let (now, mut out) = (actor.clock.now(), Vec::new());
            for sequence in sequences {
                actor.core.on_update_answered(sequence, answer.clone(), now, &mut out);
            }
            actor.do_all(out, ctx);
        }));
    }

    fn start_task(&mut self, task: TaskInfo, sandbox: String, address: &Addr<Self>) {
        info!(task_id = %task.task_id, name = task.name, "a task starts");
        let task_id = task.task_id.clone();
        let surroundings = Surroundings {
            base_environment: Arc::clone(&self.base_environment),
            container_id: self.settings.identity.container_id.clone(),
            task_id: task_id.clone(),
            sandbox: PathBuf::from(sandbox),
        };
        let (context, channels) = self.context(&task, &surroundings);
        let over = context.over.subscribe();
        let (work, force) = self.work(task.work, context, &surroundings);
        let (address, news_of) = (address.clone(), task_id.clone());
        // Not lost unless the executor has ended. Bounded: a task has one report and one end waiting.
        let tell = move |news| address.do_send(Heard { task_id: news_of.clone(), news });
        let task = RunningTask::start(work, channels, force, tell);
        self.running.insert(task_id, Running { task, surroundings, over });
    }

    /// Asks the task beside its work. Once that is over, the answer says nothing about it.
    fn check(&self, task_id: TaskId, kind: CheckKind, check: Check, ctx: &mut Context<Self>) {
        let Some(running) = self.running.get(&task_id) else { return };
        let (surroundings, mut over) = (running.surroundings.clone(), running.over.clone());
        let asked = async move {
            tokio::select! {
                biased;
                _ = over.wait_for(|over| *over) => None,
                result = probe::ask(check, surroundings) => Some(result),
            }
        };
        ctx.spawn(asked.into_actor(self).map(move |result, actor, ctx| {
            let mut out = Vec::new();
            if let Some(result) = result {
                actor.core.on_checked(&task_id, kind, result, actor.clock.now(), &mut out);
            }
            actor.do_all(out, ctx);
        }));
    }

    fn context(&self, task: &TaskInfo, surroundings: &Surroundings) -> (TaskContext, Channels) {
        let (urgency, observed) = watch::channel(Urgency::None);
        let (report, reports) = watch::channel(String::new());
        let data: Arc<[u8]> = match &task.work {
            Work::Registered { data, .. } => data.as_slice().into(),
            Work::Command(_) | Work::SharedCommand { .. } => Arc::default(),
        };
        let context = TaskContext {
            task_id: task.task_id.clone(),
            name: task.name.clone(),
            data,
            resources: task.resources.clone(),
            sandbox: surroundings.sandbox.clone(),
            node: self.node.clone(),
            doorway: Arc::clone(&self.doorway),
            urgency: observed,
            reports: report,
            over: watch::Sender::new(false),
        };
        (context, Channels { urgency, reports })
    }

    fn command(
        &self,
        command: CommandInfo,
        stragglers: Stragglers,
        context: TaskContext,
        surroundings: &Surroundings,
    ) -> (runner::Work, Force) {
        let stragglers = if self.settings.owns_process { stragglers } else { Stragglers::Spared };
        let turns = Arc::clone(&self.turns);
        let task = CommandTask { command, surroundings: surroundings.clone(), stragglers, turns };
        (task.run(context).boxed_local(), Force::Own)
    }

    fn work(&self, work: Work, context: TaskContext, surroundings: &Surroundings) -> (runner::Work, Force) {
        match work {
            Work::Command(command) => self.command(command, Stragglers::Children, context, surroundings),
            Work::SharedCommand { command, .. } => {
                self.command(command, Stragglers::OfTask(self.leaders.clone()), context, surroundings)
            }
            Work::Registered { task_type, .. } => {
                let run = self.registry.get(&task_type).expect("the core starts types of the registry only");
                context.report("");
                (run(context), Force::Abort)
            }
        }
    }

    fn with_task(&self, task_id: &TaskId, act: impl Fn(&RunningTask)) {
        if let Some(running) = self.running.get(task_id) {
            act(&running.task);
        }
    }

    fn end(&mut self, end: ExecutorEnd, ctx: &mut Context<Self>) {
        info!(?end, "the executor ends");
        self.send_reports(ctx);
        let left = std::mem::take(&mut self.running).into_values().map(|running| running.task).collect();
        if let Some(ended) = self.ended.take() {
            // Nobody waits: then the tasks are dropped here, which ends them as well.
            let _ = ended.send(Ended { end, left });
        }
        ctx.stop();
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer.keep(ctx, self.core.next_deadline(), Self::on_timer);
    }

    fn on_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer.fired();
        let mut out = Vec::new();
        self.core.on_timer(self.clock.now(), &mut out);
        self.do_all(out, ctx);
    }

    fn is_linked(&self) -> bool {
        self.agent_node.as_ref().is_some_and(|node| self.node.linked_nodes().contains(node))
    }
}

/// Where the agent listens: where it says so now, or where it was when it started this executor.
async fn agent_endpoint(given: Endpoint, file: Option<PathBuf>) -> Endpoint {
    let Some(file) = file else { return given };
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
    match read {
        Ok(Ok(text)) if !text.trim().is_empty() => Endpoint::new(text.trim()),
        _ => given,
    }
}

impl Actor for ExecutorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        let events = self.node.subscribe_links();
        ctx.add_stream(futures_util::stream::unfold(events, |mut events| async move {
            events.recv().await.map(|event| (event, events))
        }));
        let mut out = Vec::new();
        self.core.on_start(self.clock.now(), &mut out);
        self.do_all(out, ctx);
    }
}

impl StreamHandler<LinkEvent> for ExecutorActor {
    fn handle(&mut self, event: LinkEvent, ctx: &mut Context<Self>) {
        let concerns = match event {
            LinkEvent::Down { node, .. } => Some(&node) == self.agent_node.as_ref(),
            LinkEvent::Missed { .. } => true,
            _ => false,
        };
        if concerns && !self.is_linked() {
            let mut out = Vec::new();
            self.core.on_link_down(self.clock.now(), &mut out);
            self.do_all(out, ctx);
        }
    }

    /// Without this the actor would stop together with its node.
    fn finished(&mut self, _ctx: &mut Context<Self>) {}
}

/// A task has something to tell.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Heard {
    task_id: TaskId,
    news: TaskNews,
}

impl Handler<Heard> for ExecutorActor {
    type Result = ();
    fn handle(&mut self, message: Heard, ctx: &mut Context<Self>) {
        let (Heard { task_id, news }, now) = (message, self.clock.now());
        let mut out = Vec::new();
        match news {
            TaskNews::Report(text) => self.core.on_task_report(&task_id, &text, now, &mut out),
            TaskNews::Ended(end) => {
                self.running.remove(&task_id);
                self.core.on_task_ended(&task_id, end, now, &mut out);
            }
        }
        self.do_all(out, ctx);
    }
}

impl Handler<RunTasks> for ExecutorActor {
    type Result = ();
    fn handle(&mut self, message: RunTasks, ctx: &mut Context<Self>) {
        let (now, mut out) = (self.clock.now(), Vec::new());
        message.tasks.into_iter().for_each(|task| self.core.on_run_task(task, now, &mut out));
        self.do_all(out, ctx);
    }
}

impl Handler<EndTask> for ExecutorActor {
    type Result = ();
    fn handle(&mut self, message: EndTask, ctx: &mut Context<Self>) {
        let mut out = Vec::new();
        self.core.on_end_task(&message, self.clock.now(), &mut out);
        self.do_all(out, ctx);
    }
}

impl Handler<ShutdownExecutor> for ExecutorActor {
    type Result = ();
    fn handle(&mut self, message: ShutdownExecutor, ctx: &mut Context<Self>) {
        let mut out = Vec::new();
        self.core.on_shutdown(&message, self.clock.now(), &mut out);
        self.do_all(out, ctx);
    }
}
