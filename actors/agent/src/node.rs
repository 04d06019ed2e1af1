//! `AgentNode`: an agent as a value. Many can live in one process; it starts no actor system.

use crate::actor::{AgentActor, MAILBOX_CAPACITY, Stop};
use crate::core::{AgentCore, Checkpoint, FoundSandbox, RecoverError, Start};
use crate::effect::{AgentEnd, Record};
use crate::fetcher::{FetchLimits, Fetcher};
use crate::launcher::Launcher;
use crate::performer::Performer;
use crate::sandbox::Sandboxes;
use crate::settings::AgentSettings;
use crate::work_dir::{WorkDir, boot_id};
use actix::Addr;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::messages::agent_executor::{RegisterExecutor, UpdateStatuses};
use odeon_protocol::messages::binaries::BINARIES;
use odeon_protocol::messages::master_agent::{
    AGENT, AcknowledgeStatuses, KillTask, LaunchTasks, PingAgent, ShutdownAgent, ShutdownFramework,
};
use odeon_protocol::messages::sandbox::ReadSandbox;
use odeon_runtime::journal::JournalError;
use odeon_runtime::transport::Transport;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{
    BinaryDir, Committer, CompactingJournal, Endpoint, Exports, Journal, ListenError, Node, OnPanic, StartError,
    Supervised, SupervisorSpec,
};
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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
    /// The journal cannot be read; it is left as it was.
    #[error(
        "cannot read the journal; to start without the agent's id and tasks, give recover=fresh once: \
         the file is then set aside"
    )]
    Unreadable(#[source] JournalError),
    /// The agent cannot go on where it has ended.
    #[error("cannot go on with what runs")]
    Recover(#[from] RecoverError),
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
    /// It goes on where an earlier one with the same directory has ended, however that was.
    ///
    /// # Errors
    /// [`StartAgentError`] names what stands in the way. Nothing was changed then that a later start would miss.
    ///
    /// # Panics
    /// Outside an actix arbiter or `LocalSet`.
    pub async fn start(settings: AgentSettings, transport: Arc<dyn Transport>) -> Result<Self, StartAgentError> {
        let (work_dir, prepared) = (settings.work_dir.clone(), settings.clone());
        let prepared = blocking(&work_dir, move || Prepared::make(&prepared)).await?;
        let builder = Node::builder(&settings.name).incarnation(settings.incarnation).seed(settings.seed);
        let node = builder.transport(transport).start().await?;
        match Self::start_on(node.clone(), settings, prepared).await {
            Ok(agent) => Ok(agent),
            Err(error) => {
                node.shut_down();
                Err(error)
            }
        }
    }

    async fn start_on(node: Node, settings: AgentSettings, prepared: Prepared) -> Result<Self, StartAgentError> {
        let Prepared { work_dir, journal, checkpoint, found, binaries, last_port } = prepared;
        let bound = listen(&node, &settings.listen, last_port).await?;
        let endpoint = settings.advertise.clone().unwrap_or_else(|| bound.clone());
        let start = Start {
            info: info(&settings, &endpoint),
            boot_id: boot_id(),
            policy: settings.reconfiguration_policy,
            disk_is_measured: settings.disk_is_measured,
        };
        let core = AgentCore::recover(checkpoint, start, settings.limits.clone(), settings.seed)?;
        let (snapshot, reached) = (Record::Snapshot(Box::new(core.checkpoint())), local(&bound));
        let reach = Reach { local: reached.clone(), bound, advertised: &endpoint };
        let launcher = launcher(&settings, &work_dir, reach);
        let written = move || {
            let journal = journal.replace_with(&[snapshot])?;
            work_dir.tell_endpoint(&reached)?;
            Ok(journal)
        };
        let journal = blocking(&settings.work_dir, written).await?;
        let (end, observed) = watch::channel(None);
        let sandboxes = launcher.sandboxes.clone();
        let master = node.peer_at(&settings.master, "master");
        let fetcher = fetcher(&settings, binaries, &node);
        let performer = Rc::new(RefCell::new(Performer::new(node.clone(), master, launcher, fetcher, end)));
        let performing = Rc::clone(&performer);
        let perform = move |effect| performing.borrow_mut().perform(effect);
        let journal = CompactingJournal::new(journal, |record| matches!(record, Record::Snapshot(_)));
        let committer = Committer::with_log(&node, "agent", Box::new(journal), perform);
        let actor = AgentActor::new(core, node.clone(), committer, Rc::clone(&performer), sandboxes, found);
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

/// What is known before the node is up.
struct Prepared {
    work_dir: WorkDir,
    journal: Journal<Record>,
    checkpoint: Checkpoint,
    /// What lies there of earlier runs.
    found: Vec<FoundSandbox>,
    binaries: BinaryDir,
    last_port: Option<Endpoint>,
}

impl Prepared {
    fn make(settings: &AgentSettings) -> Result<Self, StartAgentError> {
        let work_dir = WorkDir::make(&settings.work_dir)?;
        let (journal, checkpoint) = work_dir.open_journal(settings.recover, settings.limits.status_updates_max)?;
        let last_port = work_dir.last_port(&settings.listen);
        let found = Sandboxes::new(work_dir.sandboxes()).found();
        // Behind the lock on the journal: nobody else has what is unfinished there.
        let path = work_dir.binaries();
        let binaries = BinaryDir::open(&path, settings.limits.binaries_bytes_max);
        let binaries = binaries.map_err(|source| StartAgentError::WorkDir { path, source })?;
        Ok(Self { work_dir, journal, checkpoint, found, binaries, last_port })
    }
}

/// Does what blocks off the arbiter.
async fn blocking<T: Send + 'static>(
    work_dir: &Path,
    work: impl FnOnce() -> Result<T, StartAgentError> + Send + 'static,
) -> Result<T, StartAgentError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StartAgentError::WorkDir { path: work_dir.to_owned(), source: io::Error::other(error) })?
}

/// Listens where the agent did before if that is free, so that who knows it finds it again.
async fn listen(node: &Node, wanted: &Endpoint, last: Option<Endpoint>) -> Result<Endpoint, ListenError> {
    if let Some(last) = last
        && let Ok(bound) = node.listen(&last).await
    {
        return Ok(bound);
    }
    node.listen(wanted).await
}

/// Where the agent is.
struct Reach<'a> {
    /// For processes of its host.
    local: Endpoint,
    bound: Endpoint,
    /// For other hosts.
    advertised: &'a Endpoint,
}

fn fetcher(settings: &AgentSettings, binaries: BinaryDir, node: &Node) -> Fetcher {
    let store = node.peer_at(&settings.master, BINARIES);
    let limits = FetchLimits { stall: settings.limits.fetch_stall_max, within: settings.limits.fetch_within };
    Fetcher::new(binaries, settings.program.clone(), store, limits)
}

/// An executor listens where its agent does, and is reached where that is.
fn launcher(settings: &AgentSettings, work_dir: &WorkDir, reach: Reach<'_>) -> Launcher {
    Launcher {
        sandboxes: Sandboxes::new(work_dir.sandboxes()),
        program: settings.program.clone(),
        environment: settings.environment.clone(),
        endpoint: reach.local,
        actors_listen: Endpoint::new(format!("{}:0", host(&reach.bound))),
        actors_host: host(reach.advertised).to_owned(),
        shutdown_grace: settings.limits.executor_shutdown_grace,
        credentials: settings.executor_credentials.clone(),
        endpoint_file: work_dir.endpoint_file(),
        recovery_timeout: settings.limits.recovery_timeout,
    }
}

fn info(settings: &AgentSettings, endpoint: &Endpoint) -> AgentInfo {
    AgentInfo {
        hostname: settings.hostname.clone(),
        endpoint: endpoint.to_string(),
        resources: settings.resources.clone(),
        reserved: settings.reserved.clone(),
        attributes: settings.attributes.clone(),
    }
}

/// An endpoint without its port.
fn host(endpoint: &Endpoint) -> &str {
    endpoint.as_str().rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host)
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
    // What the actor knows is gone with a panic: only a new process reads the journal.
    let spec = SupervisorSpec { name: AGENT.into(), on_panic: OnPanic::Escalate, mailbox_capacity: MAILBOX_CAPACITY };
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

/// What the agent takes from peers: only its master has things run or ended, and only executors speak of them.
fn exports(actor: &Addr<AgentActor>) -> Exports {
    Exports::new()
        .only_from(&[PeerRole::Master])
        .accept::<LaunchTasks, _>(actor)
        .accept::<KillTask, _>(actor)
        .accept::<AcknowledgeStatuses, _>(actor)
        .accept::<PingAgent, _>(actor)
        .accept::<ShutdownFramework, _>(actor)
        .accept::<ShutdownAgent, _>(actor)
        .only_from(&[PeerRole::ActorHost])
        .accept_from::<RegisterExecutor, _>(actor)
        .accept::<UpdateStatuses, _>(actor)
        .only_from(&[PeerRole::Client])
        .accept::<ReadSandbox, _>(actor)
}

#[cfg(test)]
#[path = "node_test.rs"]
mod tests;
