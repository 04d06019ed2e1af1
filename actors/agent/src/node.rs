//! `AgentNode`: an agent as a value. Many can live in one process; it starts no actor system.

use crate::actor::{AgentActor, MAILBOX_CAPACITY, Stop};
use crate::core::AgentCore;
use crate::effect::{AgentEnd, Record};
use crate::launcher::Launcher;
use crate::performer::Performer;
use crate::sandbox::Sandboxes;
use crate::settings::AgentSettings;
use actix::Addr;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::messages::agent_executor::{RegisterExecutor, UpdateStatus};
use odeon_protocol::messages::master_agent::{
    AcknowledgeStatus, KillTask, LaunchTask, PingAgent, ShutdownAgent, ShutdownFramework,
};
use odeon_protocol::messages::sandbox::ReadSandbox;
use odeon_runtime::journal::JournalError;
use odeon_runtime::transport::Transport;
use odeon_runtime::{
    Committer, Endpoint, Exports, Journal, ListenError, Node, OnPanic, StartError, Supervised, SupervisorSpec,
};
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const JOURNAL: &str = "agent.journal";
const SANDBOXES: &str = "sandboxes";
/// What was told last has so long to leave before the links close.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartAgentError {
    /// The directory cannot be made or used.
    #[error("cannot use the working directory {}", path.display())]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be opened; another agent may be using the directory.
    #[error("cannot open the journal")]
    Journal(#[from] JournalError),
    /// The node does not start.
    #[error("cannot start the node")]
    Node(#[from] StartError),
    /// The node does not listen.
    #[error("cannot listen")]
    Listen(#[from] ListenError),
}

/// A running agent. Dropped without [`AgentNode::stop`], it goes on until its arbiter ends.
#[derive(Debug)]
pub struct AgentNode {
    node: Node,
    endpoint: Endpoint,
    actor: Addr<AgentActor>,
    supervised: Supervised,
    end: watch::Receiver<Option<AgentEnd>>,
}

impl AgentNode {
    /// Starts an agent on the current arbiter. It registers by itself, now and whenever it must.
    ///
    /// A journal of an earlier run is set aside as `agent.journal.old`: its tasks have ended with it.
    ///
    /// # Errors
    /// [`StartAgentError`] names what stands in the way.
    ///
    /// # Panics
    /// Outside an actix arbiter or `LocalSet`.
    pub async fn start(settings: AgentSettings, transport: Arc<dyn Transport>) -> Result<Self, StartAgentError> {
        let (work_dir, journal) = prepare(settings.work_dir.clone()).await?;
        let builder = Node::builder(&settings.name).incarnation(settings.incarnation).seed(settings.seed);
        let node = builder.transport(transport).start().await?;
        let bound = match node.listen(&settings.listen).await {
            Ok(bound) => bound,
            Err(error) => {
                node.shut_down();
                return Err(error.into());
            }
        };
        let endpoint = settings.advertise.clone().unwrap_or_else(|| bound.clone());
        let (end, observed) = watch::channel(None);
        let launcher = launcher(&settings, &work_dir, local(&bound));
        let sandboxes = launcher.sandboxes.clone();
        let master = node.peer_at(&settings.master, "master");
        let performer = Rc::new(RefCell::new(Performer::new(node.clone(), master, launcher, end)));
        let core = AgentCore::new(info(&settings, &endpoint), settings.limits, settings.seed);
        let performing = Rc::clone(&performer);
        let perform = move |effect| performing.borrow_mut().perform(effect);
        let committer = Committer::new(&node, "agent", Some(journal), perform);
        let actor = AgentActor::new(core, node.clone(), committer, Rc::clone(&performer), sandboxes);
        let (actor, supervised) = supervise(&node, actor, performer);
        Ok(Self { node, endpoint, actor, supervised, end: observed })
    }

    /// What others are told to dial.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The node of the agent in the fabric.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Resolves when the agent has ended, by itself or by its master: then call [`AgentNode::stop`].
    pub async fn finished(&self) -> AgentEnd {
        let mut end = self.end.clone();
        tokio::select! {
            biased;
            Ok(end) = async { end.wait_for(Option::is_some).await.map(|end| end.clone()) } => {
                end.expect("waited for")
            }
            failure = self.node.failed() => AgentEnd::Failed(failure.to_string()),
        }
    }

    /// Ends the agent in order: executors are asked, then killed; nothing of them survives.
    pub async fn stop(self) -> AgentEnd {
        // An actor that is gone has failed, which `finished` tells.
        let _ = self.actor.send(Stop).await;
        let end = self.finished().await;
        tokio::time::sleep(LAST_WORDS).await;
        self.node.shut_down();
        // With the actor goes the lock on its journal.
        self.supervised.stop();
        self.supervised.ended().await;
        end
    }
}

async fn prepare(work_dir: PathBuf) -> Result<(PathBuf, Journal<Record>), StartAgentError> {
    let path = work_dir.clone();
    let prepared = tokio::task::spawn_blocking(move || prepare_blocking(&work_dir)).await;
    prepared.map_err(|error| StartAgentError::WorkDir { path, source: io::Error::other(error) })?
}

fn prepare_blocking(work_dir: &Path) -> Result<(PathBuf, Journal<Record>), StartAgentError> {
    let failed = |source| StartAgentError::WorkDir { path: work_dir.to_owned(), source };
    let path = std::path::absolute(work_dir).map_err(failed)?;
    Sandboxes::make(&path.join(SANDBOXES)).map_err(failed)?;
    let journal = fresh_journal(&path)?;
    Ok((path, journal))
}

/// Sets an old journal aside, whatever state it is in, and begins a new one.
fn fresh_journal(work_dir: &Path) -> Result<Journal<Record>, StartAgentError> {
    let path = work_dir.join(JOURNAL);
    // Opened first, because that finds out whether another agent uses it.
    if let Err(error @ (JournalError::Locked { .. } | JournalError::Io { .. })) = Journal::<Record>::open(&path) {
        return Err(error.into());
    }
    let aside = work_dir.join(format!("{JOURNAL}.old"));
    std::fs::rename(&path, aside).map_err(|source| StartAgentError::WorkDir { path: work_dir.to_owned(), source })?;
    Ok(Journal::open(path)?.0)
}

fn launcher(settings: &AgentSettings, work_dir: &Path, endpoint: Endpoint) -> Launcher {
    Launcher {
        sandboxes: Sandboxes::new(work_dir.join(SANDBOXES)),
        program: settings.program.clone(),
        environment: settings.environment.clone(),
        endpoint,
        shutdown_grace: settings.limits.executor_shutdown_grace,
    }
}

fn info(settings: &AgentSettings, endpoint: &Endpoint) -> AgentInfo {
    AgentInfo {
        hostname: settings.hostname.clone(),
        endpoint: endpoint.to_string(),
        resources: settings.resources.clone(),
        attributes: settings.attributes.clone(),
    }
}

/// How processes of the same host reach an endpoint that may be bound to all addresses.
fn local(bound: &Endpoint) -> Endpoint {
    let address: Option<SocketAddr> = bound.as_str().parse().ok();
    match address {
        Some(address) if address.ip().is_unspecified() => {
            let loopback = match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            Endpoint::new(SocketAddr::new(loopback, address.port()).to_string())
        }
        _ => bound.clone(),
    }
}

fn supervise(node: &Node, actor: AgentActor, performer: Rc<RefCell<Performer>>) -> (Addr<AgentActor>, Supervised) {
    // What the agent knows of its executors is gone with a panic, so it is not started again.
    let spec = SupervisorSpec { name: "agent".into(), on_panic: OnPanic::Escalate, mailbox_capacity: MAILBOX_CAPACITY };
    let mut once = Some(actor);
    let address = Rc::new(RefCell::new(None));
    let taken = Rc::clone(&address);
    let supervised = node.supervise(
        spec,
        move || once.take().expect("a panic escalates, so it is started once"),
        move |actor| {
            performer.borrow_mut().serve(actor.clone());
            taken.replace(Some(actor.clone()));
            exports(actor)
        },
    );
    (address.take().expect("the supervisor has asked for the exports"), supervised)
}

fn exports(actor: &Addr<AgentActor>) -> Exports {
    Exports::new()
        .accept::<LaunchTask, _>(actor)
        .accept::<KillTask, _>(actor)
        .accept::<AcknowledgeStatus, _>(actor)
        .accept::<PingAgent, _>(actor)
        .accept::<ShutdownFramework, _>(actor)
        .accept::<ShutdownAgent, _>(actor)
        .accept_from::<RegisterExecutor, _>(actor)
        .accept::<UpdateStatus, _>(actor)
        .accept::<ReadSandbox, _>(actor)
}

#[cfg(test)]
#[path = "node_test.rs"]
mod tests;
