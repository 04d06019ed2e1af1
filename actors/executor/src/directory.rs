//! Finds deployed actors by name, and follows a name to wherever its actor is now.

use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::deployments::{
    ActorDirectory, ActorState, ActorSummary, DEPLOYER, FindActor, FindActorError, GetActors,
};
use odeon_protocol::messages::directory::WatchError;
use odeon_protocol::messages::members::MembersOfCluster;
use odeon_protocol::messages::topics::{TOPICS, TopicRegistryApi};
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{ActorAddress, ActorName, Endpoint, NameError, Node, NodeId, Peer, PeerError};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a message to a name waits for an actor that is being started or moved.
pub const FOUND_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at where an actor is.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Why an actor behind a name has not replied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The directory itself does not answer. Nothing was sent.
    #[error("the directory of actors does not answer: {0}")]
    Directory(PeerError),
    /// There is no such actor, or it takes no messages. Nothing was sent.
    #[error(transparent)]
    NotFound(#[from] FindActorError),
    /// The directory has too many followers.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The directory names what cannot be an actor.
    #[error("the directory answers with no actor's name: {0}")]
    Name(#[from] NameError),
    /// It was found, and the message failed.
    #[error("{actor}: {error}")]
    Failed {
        /// The name.
        actor: String,
        /// How.
        error: PeerError,
    },
}

/// Knows where deployed actors are, by asking the deployer, and who belongs to the cluster, by asking the master.
#[derive(Debug, Clone)]
pub struct Directory {
    pub(crate) node: Node,
    pub(crate) deployer: Peer<ActorDirectory>,
    pub(crate) master: Peer<MembersOfCluster>,
    pub(crate) topics: Peer<TopicRegistryApi>,
}

impl Directory {
    /// The directory of a cluster, asked from a node of one's own.
    #[must_use]
    pub fn at(node: &Node, master: &Endpoint) -> Self {
        Self {
            node: node.clone(),
            deployer: node.peer_at(master, DEPLOYER),
            master: node.peer_at(master, "master"),
            topics: node.peer_at(master, TOPICS),
        }
    }

    /// Looks up where an actor is now. The peer is good until the actor is started elsewhere: see
    /// [`Directory::actor`] for one that follows.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing waits for an actor that is being started.
    pub async fn find<I>(&self, name: &str) -> Result<Peer<I>, DirectoryError> {
        let found = self.deployer.send(FindActor { actor: name.to_owned() }).await;
        self.peer(found.map_err(DirectoryError::Directory)??)
    }

    /// The actors of the cluster, or some of them.
    ///
    /// # Errors
    /// [`DirectoryError::Directory`].
    pub async fn list(&self, wanted: GetActors) -> Result<Vec<ActorSummary>, DirectoryError> {
        self.deployer.send(wanted).await.map_err(DirectoryError::Directory)
    }

    /// An actor by name, wherever it is when a message is sent.
    pub fn actor<I>(&self, name: impl Into<String>) -> NamedActor<I> {
        NamedActor { directory: self.clone(), name: name.into(), found: Mutex::default() }
    }

    /// The actors of a registered type that take messages now, in the order of their names: see
    /// [`Directory::group`] for those that come and go.
    ///
    /// # Errors
    /// [`DirectoryError`]; nothing waits for an actor that is being started.
    pub async fn of_type<I>(&self, actor_type: impl Into<String>) -> Result<Vec<Peer<I>>, DirectoryError> {
        let actors = self.list(GetActors { deployment: None, actor_type: Some(actor_type.into()) }).await?;
        let running = actors.into_iter().filter(|actor| actor.state == ActorState::Running);
        running.filter_map(|actor| actor.location).map(|location| self.peer(location)).collect()
    }

    pub(crate) fn peer<I>(&self, location: ActorLocation) -> Result<Peer<I>, DirectoryError> {
        let actor = ActorName::new(location.actor)?;
        let node = Some(NodeId { name: location.node, incarnation: location.incarnation });
        let endpoint = Some(Endpoint::new(location.endpoint));
        Ok(self.node.resolve(&ActorAddress { actor, node, endpoint }))
    }
}

/// An actor behind a name, which may move between two messages.
pub struct NamedActor<I> {
    directory: Directory,
    name: String,
    /// Where it was when the last message was sent.
    found: Mutex<Option<Peer<I>>>,
}

impl<I> fmt::Debug for NamedActor<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedActor({})", self.name)
    }
}

impl<I> NamedActor<I> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a message and waits for its reply; for up to [`FOUND_WITHIN`] it looks for an actor that is being
    /// started or moved.
    ///
    /// A message that may have been handled is never sent again.
    ///
    /// # Errors
    /// [`DirectoryError`] says whether anything was sent.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, DirectoryError>
    where
        M: RemoteMessage + Clone,
        I: Accepts<M>,
    {
        let deadline = Instant::now() + FOUND_WITHIN;
        loop {
            let failed = match self.try_send(message.clone()).await {
                Err(error) if may_pass(&error) && Instant::now() < deadline => error,
                done => return done,
            };
            tracing::debug!(actor = self.name, error = %failed, "looking for the actor again");
            self.forget();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn try_send<M>(&self, message: M) -> Result<M::Result, DirectoryError>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let peer = match known {
            Some(peer) => peer,
            None => self.directory.find(&self.name).await?,
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer.clone());
        let reply = peer.send(message).await;
        reply.map_err(|error| DirectoryError::Failed { actor: self.name.clone(), error })
    }

    fn forget(&self) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Whether it helps to look again: nothing was handled, and the actor may be elsewhere or ready soon.
fn may_pass(error: &DirectoryError) -> bool {
    match error {
        DirectoryError::Directory(error) => error.retry_can_help(),
        DirectoryError::NotFound(FindActorError::NotRunning { state, .. }) => {
            matches!(state, ActorState::Waiting | ActorState::Starting | ActorState::Restarting)
        }
        DirectoryError::NotFound(_) | DirectoryError::Name(_) | DirectoryError::Watch(_) => false,
        DirectoryError::Failed { error, .. } => {
            matches!(error, PeerError::Unreachable { .. } | PeerError::NoSuchActor { .. })
        }
    }
}
