//! `Performer`: carries effects out. It starts things and waits for none; what comes of them goes to the actor.

use crate::actor::{AgentActor, BinaryFetched, ExecutorOver, ExecutorUnresponsive, RegistrationAnswered};
use crate::effect::{AgentEnd, ContainerPlace, Effect};
use crate::fetcher::Fetcher;
use crate::forwarder::Forwarder;
use crate::launcher::{KillSwitch, Launcher, Program, RunEnd};
use crate::mailer::{Letter, Mailer};
use actix::Addr;
use futures_util::FutureExt;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{ContainerId, TaskId};
use odeon_protocol::messages::agent_executor::{EndTask, ShutdownExecutor};
use odeon_protocol::messages::master_agent::{MasterForAgents, RegisterAgent};
use odeon_runtime::{LinkEvent, Node, NodeId, Peer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::sync::watch;
use tracing::{info, warn};

/// Carries effects out for one agent.
pub(crate) struct Performer {
    node: Node,
    master: Peer<MasterForAgents>,
    forwarder: Forwarder,
    launcher: Launcher,
    fetcher: Fetcher,
    end: watch::Sender<Option<AgentEnd>>,
    /// Set before the actor runs.
    actor: Option<Addr<AgentActor>>,
    crew: BTreeMap<ContainerId, Member>,
}

/// An executor whose process may be alive.
struct Member {
    place: ContainerPlace,
    kill: Option<KillSwitch>,
    /// Where it has registered from, and the way to it.
    reached: Option<(NodeId, Mailer)>,
}

impl Performer {
    /// Call it on the arbiter of the actor: it tells updates there.
    pub(crate) fn new(
        node: Node,
        master: Peer<MasterForAgents>,
        launcher: Launcher,
        fetcher: Fetcher,
        end: watch::Sender<Option<AgentEnd>>,
    ) -> Self {
        let (forwarder, telling) = Forwarder::new(master.clone());
        actix_rt::spawn(telling);
        Self { node, master, forwarder, launcher, fetcher, end, actor: None, crew: BTreeMap::new() }
    }

    /// Tells where the outcomes go.
    pub(crate) fn serve(&mut self, actor: Addr<AgentActor>) {
        self.actor = Some(actor);
    }

    pub(crate) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Register(message) => self.register(message),
            Effect::Forward(message) => self.forwarder.forward(message),
            Effect::StartExecutor { place, executor, is_command, checkpoint } => {
                self.start(place, executor, is_command, checkpoint);
            }
            Effect::AdoptExecutor { place } => self.adopt(place),
            Effect::RunTask { container_id, task } => self.post(&container_id, Letter::Run(Box::new(task))),
            Effect::EndTask { container_id, task_id, grace } => {
                self.post(&container_id, Letter::End(EndTask { task_id, grace }));
            }
            Effect::ShutdownExecutor { container_id, grace } => {
                self.post(&container_id, Letter::Shutdown(ShutdownExecutor { grace }));
            }
            Effect::KillExecutor { container_id } => self.kill(&container_id),
            Effect::RemoveSandbox { place, task_id } => self.remove_sandbox(place, task_id),
            Effect::Finish(end) => self.finish(end),
        }
    }

    fn register(&self, message: RegisterAgent) {
        let (master, actor) = (self.master.clone(), self.actor());
        actix_rt::spawn(async move {
            let answer = master.send(message).await;
            if let Err(error) = &answer {
                warn!(master = %master.address(), %error, "the master does not admit the agent");
            }
            let node = master.address().node;
            // An actor that is gone needs no answer.
            let _ = actor.send(RegistrationAnswered { answer: answer.ok(), node }).await;
        });
    }

    fn start(&mut self, place: ContainerPlace, executor: ExecutorInfo, is_command: bool, checkpoint: bool) {
        info!(container_id = %place.container_id, executor_id = %place.executor_id, "an executor is started");
        let program = self.program(&place.container_id, executor);
        let (switch, run) = self.launcher.run(place.clone(), program, is_command, checkpoint);
        self.enlist(place, switch, run);
    }

    /// What an executor is started from; the actor hears when that is there.
    fn program(&self, container_id: &ContainerId, executor: ExecutorInfo) -> Program {
        let Some(binary) = executor.binary else {
            return executor.program.map_or(Program::Own, |path| Program::At(PathBuf::from(path)));
        };
        let (fetching, actor, container_id) = (self.fetcher.fetch(&binary), self.actor(), container_id.clone());
        let fetched = async move {
            let fetched = fetching.await?;
            // An actor that is gone starts nothing.
            let _ = actor.send(BinaryFetched { container_id }).await;
            Ok(fetched)
        };
        Program::Fetched(fetched.boxed())
    }

    fn adopt(&mut self, place: ContainerPlace) {
        info!(container_id = %place.container_id, executor_id = %place.executor_id, "an executor is taken over");
        let (switch, run) = self.launcher.adopt(place.clone());
        self.enlist(place, switch, run);
    }

    fn enlist(&mut self, place: ContainerPlace, switch: KillSwitch, run: impl Future<Output = RunEnd> + 'static) {
        let (actor, container_id) = (self.actor(), place.container_id.clone());
        self.crew.insert(container_id.clone(), Member { place, kill: Some(switch), reached: None });
        actix_rt::spawn(async move {
            let end = run.await;
            let _ = actor.send(ExecutorOver { container_id, end }).await;
        });
    }

    /// An executor has registered from a node.
    pub(crate) fn bind(&mut self, container_id: &ContainerId, node: NodeId) {
        let actor = self.actor();
        let Some(member) = self.crew.get_mut(container_id) else { return };
        if member.reached.as_ref().is_some_and(|(known, _)| *known == node) {
            return;
        }
        let peer = self.node.peer_of(&node, "executor");
        let (mailer, delivery) = Mailer::new(peer, self.launcher.sandboxes.clone(), member.place.clone());
        member.reached = Some((node, mailer));
        let container_id = container_id.clone();
        actix_rt::spawn(async move {
            if let Some(cause) = delivery.await {
                let _ = actor.send(ExecutorUnresponsive { container_id, cause }).await;
            }
        });
    }

    /// A run is over: nothing is sent there any more.
    pub(crate) fn dismiss(&mut self, container_id: &ContainerId) {
        self.crew.remove(container_id);
    }

    /// The executors to which the link is down.
    pub(crate) fn out_of_reach(&self, event: &LinkEvent) -> Vec<ContainerId> {
        // The link may be up again by now.
        let linked = self.node.linked_nodes();
        let concerns = |node: &NodeId| match event {
            LinkEvent::Down { node: down, .. } => down == node,
            LinkEvent::Missed { .. } => true,
            _ => false,
        };
        let lost =
            |member: &Member| member.reached.as_ref().is_some_and(|(node, _)| concerns(node) && !linked.contains(node));
        self.crew.iter().filter(|(_, member)| lost(member)).map(|(container_id, _)| container_id.clone()).collect()
    }

    fn post(&self, container_id: &ContainerId, letter: Letter) {
        let reached = self.crew.get(container_id).and_then(|member| member.reached.as_ref());
        let posted = reached.is_some_and(|(_, mailer)| mailer.post(letter));
        if !posted {
            let (actor, container_id) = (self.actor(), container_id.clone());
            let cause = "too much waits for it, or it is gone".to_owned();
            actix_rt::spawn(async move {
                let _ = actor.send(ExecutorUnresponsive { container_id, cause }).await;
            });
        }
    }

    fn kill(&mut self, container_id: &ContainerId) {
        let switch = self.crew.get_mut(container_id).and_then(|member| member.kill.take());
        if let Some(switch) = switch {
            info!(%container_id, "an executor is killed");
            // A run that has just ended does not listen any more.
            let _ = switch.send(());
        }
    }

    fn remove_sandbox(&self, place: ContainerPlace, task_id: Option<TaskId>) {
        let sandboxes = self.launcher.sandboxes.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = sandboxes.remove(&place, task_id.as_ref()) {
                warn!(container_id = %place.container_id, %error, "a sandbox cannot be removed");
            }
        });
    }

    fn finish(&self, end: AgentEnd) {
        info!(?end, "the agent has ended");
        self.end.send_replace(Some(end));
    }

    fn actor(&self) -> Addr<AgentActor> {
        self.actor.clone().expect("set before the actor runs")
    }
}
