//! `Node`: one member of the fabric. Many can live in one process.
//!
//! It starts no actor system and keeps no global registry: it runs on whichever tokio runtime it is
//! started on, and actors are handed to it by address.

use crate::build::{self, BUILD_BYTES_MAX};
use crate::error::{ListenError, PeerError, StartError};
use crate::events::LinkEvents;
use crate::exports::Exports;
use crate::fabric::{Fabric, Target, lock};
use crate::limits::FabricLimits;
use crate::name::{ActorAddress, ActorName, Endpoint, NodeId};
use crate::peer::Peer;
use crate::transport::{Tcp, Transport};
use crate::watch::Terminated;
use odeon_protocol::id::check_id;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::error;

/// A handle to a node; clones are the same node.
#[derive(Clone)]
pub struct Node {
    pub(crate) fabric: Arc<Fabric>,
}

/// Why a node cannot go on; the process should end with a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} failed: {reason}")]
pub struct NodeFailure {
    /// The actor or the part at fault.
    pub part: String,
    /// What happened to it.
    pub reason: String,
}

/// What a node has refused or lost since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FabricCounters {
    /// Frames that were none, or too large; each closed its link.
    pub frames_refused: u64,
    /// Incoming connections that did not greet as they should.
    pub greetings_refused: u64,
    /// Connections, dialled or incoming, of which one end did not trust the other.
    pub peers_distrusted: u64,
    /// Messages that the roles of their sender do not allow.
    pub messages_forbidden: u64,
    /// Tells from far that found no actor, no room, or were not readable.
    pub tells_dropped: u64,
    /// Refusals that found no room on the link.
    pub refusals_dropped: u64,
    /// Replies that nobody waited for any more.
    pub replies_late: u64,
}

/// Settings of a node before it starts.
#[derive(Debug, Clone)]
pub struct NodeBuilder {
    name: String,
    incarnation: Option<u64>,
    seed: Option<u64>,
    build: Option<String>,
    transport: Arc<dyn Transport>,
    limits: FabricLimits,
}

impl NodeBuilder {
    /// Tells this start of the node from any other; give a random number.
    #[must_use]
    pub fn incarnation(mut self, incarnation: u64) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// Seeds the jitter between dials; the incarnation by default.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Names another build than that of this process. Nodes of different builds compare the schemas of their messages.
    #[must_use]
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.build = Some(build.into());
        self
    }

    /// Uses another network than TCP within this host. On one that asks for certificates, the name of the own one is
    /// added to that of the node.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = transport;
        self
    }

    /// Uses other limits than [`FabricLimits::DEFAULT`].
    #[must_use]
    pub fn limits(mut self, limits: FabricLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts the node on the current tokio runtime, where its links will run.
    ///
    /// # Errors
    /// [`StartError`] names the setting at fault.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[allow(clippy::unused_async)] // so that it cannot be called where no runtime is
    pub async fn start(self) -> Result<Node, StartError> {
        if let Err(source) = check_id(&self.name) {
            return Err(StartError::Name { name: self.name, source });
        }
        let Some(incarnation) = self.incarnation else {
            return Err(StartError::NoIncarnation(self.name));
        };
        self.limits.validate()?;
        let name = self.transport.identity().node_name(&self.name);
        if let Err(source) = check_id(&name) {
            return Err(StartError::Name { name, source });
        }
        let id = NodeId { name, incarnation };
        let seed = self.seed.unwrap_or(incarnation);
        let mut build = self.build.unwrap_or_else(|| build::of_this_process().to_owned());
        build.retain(|c| c.is_ascii_graphic() || c == ' ');
        build.truncate(BUILD_BYTES_MAX);
        Ok(Node { fabric: Arc::new(Fabric::new(id, build, self.limits, self.transport, seed)) })
    }
}

impl Node {
    /// Begins the settings of a node.
    pub fn builder(name: impl Into<String>) -> NodeBuilder {
        NodeBuilder {
            name: name.into(),
            incarnation: None,
            seed: None,
            build: None,
            transport: Arc::new(Tcp),
            limits: FabricLimits::DEFAULT,
        }
    }

    /// This run of this node.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.fabric.id
    }

    /// The bounds it works within.
    #[must_use]
    pub fn limits(&self) -> &FabricLimits {
        &self.fabric.limits
    }

    /// Takes connections at an endpoint, and returns where it listens in fact.
    ///
    /// The first endpoint is what [`Peer::address`] tells others to dial, unless told otherwise by
    /// [`advertise`](Self::advertise).
    ///
    /// # Errors
    /// [`ListenError`] names the address.
    pub async fn listen(&self, endpoint: impl Into<Endpoint>) -> Result<Endpoint, ListenError> {
        let endpoint = endpoint.into();
        let listener = self.fabric.transport.listen(&endpoint).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { endpoint: endpoint.clone() },
            io::ErrorKind::PermissionDenied if source.get_ref().is_some() => {
                ListenError::Unprotected { endpoint: endpoint.clone(), cause: source.to_string() }
            }
            _ => ListenError::Failed { endpoint: endpoint.clone(), source },
        })?;
        let bound = listener.endpoint();
        self.fabric.listens_at(&bound);
        self.fabric.accept_all(listener);
        Ok(bound)
    }

    /// Sets what this node tells others to dial, for a node that listens at all addresses or behind
    /// a forwarded port.
    pub fn advertise(&self, endpoint: impl Into<Endpoint>) {
        self.fabric.advertise(endpoint.into());
    }

    /// What this node tells others to dial: as advertised, or the first endpoint it listens at.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        lock(&self.fabric.advertised).clone()
    }

    /// Makes an actor reachable behind a name; replaces an earlier export of that name.
    pub fn export(&self, actor: impl Into<ActorName>, exports: Exports) {
        self.fabric.export(actor.into(), exports);
    }

    /// Takes a name back; false if nothing was behind it.
    pub fn retract(&self, actor: impl Into<ActorName>) -> bool {
        self.fabric.retract(&actor.into())
    }

    /// An actor of this node.
    pub fn peer<I>(&self, actor: impl Into<ActorName>) -> Peer<I> {
        Peer::new(Arc::clone(&self.fabric), Target::Near, actor.into())
    }

    /// An actor of whichever node listens at an endpoint; dialled when the first message is sent.
    pub fn peer_at<I>(&self, endpoint: &Endpoint, actor: impl Into<ActorName>) -> Peer<I> {
        Peer::new(Arc::clone(&self.fabric), Target::At(endpoint.clone()), actor.into())
    }

    /// An actor of a node to which there is a link, whoever opened it.
    pub fn peer_of<I>(&self, node: &NodeId, actor: impl Into<ActorName>) -> Peer<I> {
        Peer::new(Arc::clone(&self.fabric), Target::Of(node.clone()), actor.into())
    }

    /// The actor that an address means, seen from this node.
    #[must_use]
    pub fn resolve<I>(&self, address: &ActorAddress) -> Peer<I> {
        let target = match (&address.node, &address.endpoint) {
            (Some(node), _) if *node == self.fabric.id => Target::Near,
            (None, None) => Target::Near,
            (Some(node), None) => Target::Of(node.clone()),
            (None, Some(endpoint)) => Target::At(endpoint.clone()),
            (Some(node), Some(endpoint)) => Target::OfAt(node.clone(), endpoint.clone()),
        };
        Peer::new(Arc::clone(&self.fabric), target, address.actor.clone())
    }

    /// Waits for the end of an actor, wherever it is, and tells it once; see [`Peer::watch`].
    ///
    /// # Errors
    /// As [`Peer::watch`].
    pub async fn watch(&self, address: &ActorAddress) -> Result<Terminated, PeerError> {
        self.resolve::<()>(address).watch().await
    }

    /// Hears about links from now on.
    #[must_use]
    pub fn subscribe_links(&self) -> LinkEvents {
        LinkEvents(self.fabric.events.subscribe())
    }

    /// The nodes to which a link is up.
    #[must_use]
    pub fn linked_nodes(&self) -> BTreeSet<NodeId> {
        self.fabric.linked_nodes()
    }

    /// What was refused or lost.
    #[must_use]
    pub fn counters(&self) -> FabricCounters {
        let counters = &self.fabric.counters;
        FabricCounters {
            frames_refused: counters.frames_refused.load(Ordering::Relaxed),
            greetings_refused: counters.greetings_refused.load(Ordering::Relaxed),
            peers_distrusted: counters.peers_distrusted.load(Ordering::Relaxed),
            messages_forbidden: counters.messages_forbidden.load(Ordering::Relaxed),
            tells_dropped: counters.tells_dropped.load(Ordering::Relaxed),
            refusals_dropped: counters.refusals_dropped.load(Ordering::Relaxed),
            replies_late: counters.replies_late.load(Ordering::Relaxed),
        }
    }

    /// Declares that the node cannot go on; the first reason stays.
    pub fn fail(&self, part: impl Into<String>, reason: impl Into<String>) {
        let failure = NodeFailure { part: part.into(), reason: reason.into() };
        error!(node = %self.fabric.id, part = failure.part, reason = failure.reason, "the node has failed");
        self.fabric.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
    }

    /// Resolves when the node cannot go on; main should then exit with a failure.
    pub async fn failed(&self) -> NodeFailure {
        let mut failure = self.fabric.failure.subscribe();
        let seen = failure.wait_for(Option::is_some).await.expect("the fabric holds the sender");
        seen.clone().expect("waited for")
    }

    /// Closes all links and listeners at once; asks on the way fail. Actors are not stopped.
    pub fn shut_down(&self) {
        self.fabric.shut_down();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.fabric.id)
    }
}
