//! `Subscription<M>`: what is published on a topic, taken one after the other by whoever subscribes.
//!
//! An actor takes it as a stream, anybody else waits for the next. Behind it is a small actor of its own, which publishers
//! send to; its end is what ends the subscription.

use crate::directory::Directory;
use crate::topic_inbox::{Arrival, TopicInbox};
use actix::{Actor, Context, Handler};
use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::topics::{Published, PublisherId, SUBSCRIBER_RENEWAL, SubscribeToTopic, TopicError};
use odeon_protocol::wire::RemoteMessage;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{ActorName, Exports, Node, PeerError};
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Before a subscriber is told of again to a registry that has not answered.
const SUBSCRIBE_AGAIN: Duration = Duration::from_millis(500);
/// Messages that may wait for the small actor, which only puts them aside.
const MAILBOX_CAPACITY: usize = 1024;

/// Tells the subscriptions of one process apart.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Why there is no subscription or publisher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The registry does not take it.
    #[error(transparent)]
    Topic(TopicError),
    /// The registry does not answer. A retry helps later.
    #[error("the registry of topics does not answer: {0}")]
    Registry(PeerError),
    /// Publishers could not reach this node.
    #[error("the node {0} does not listen, so no publisher can reach it; call `Node::listen` first")]
    NotListening(String),
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopicEvent<M> {
    /// A message.
    Message {
        /// Who has published it.
        publisher: PublisherId,
        /// The message.
        message: M,
    },
    /// Messages of a publisher are missing at this place: they found no room here or on the way, or were lost with a link.
    Missed {
        /// Whose.
        publisher: PublisherId,
        /// How many.
        count: u64,
    },
}

/// A subscription, until it is dropped.
pub struct Subscription<M> {
    shelf: Arc<Shelf>,
    node: Node,
    name: ActorName,
    renewing: JoinHandle<()>,
    message: PhantomData<fn() -> M>,
}

/// What has arrived.
struct Shelf {
    inbox: Mutex<TopicInbox>,
    arrived: Notify,
}

impl Directory {
    /// Subscribes to a topic, with room for so many messages that were not taken yet: more are missed, and counted. It
    /// hears what is published once publishers know of it, which is soon, and survives a new start of the registry.
    ///
    /// # Errors
    /// [`SubscribeError`] if the topic carries another message, its registry does not answer, or this node does not listen.
    ///
    /// # Panics
    /// Outside an actix arbiter.
    pub async fn subscribe<M: RemoteMessage>(
        &self,
        topic: impl Into<String>,
        capacity: usize,
    ) -> Result<Subscription<M>, SubscribeError> {
        let node = self.node.clone();
        let Some(endpoint) = node.endpoint() else {
            return Err(SubscribeError::NotListening(node.id().name.clone()));
        };
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = ActorName::of_role("subscription", number).expect("a number is a name");
        let id = node.id().clone();
        let subscriber = ActorLocation {
            actor: name.to_string(),
            endpoint: endpoint.to_string(),
            node: id.name,
            incarnation: id.incarnation,
        };
        let request = SubscribeToTopic { topic: topic.into(), message: M::WIRE_NAME.to_owned(), subscriber };
        let shelf = Arc::new(Shelf { inbox: Mutex::new(TopicInbox::new(capacity)), arrived: Notify::new() });
        node.export(&name, TopicDoor::exports(&shelf));
        // From here on the export is taken back at every end.
        let renewing = tokio::spawn(std::future::ready(()));
        let mut subscription = Subscription { shelf, node, name, renewing, message: PhantomData };
        self.topics.send(request.clone()).await.map_err(SubscribeError::Registry)??;
        subscription.renewing = tokio::spawn(self.clone().renew(request));
        Ok(subscription)
    }

    /// Keeps the subscription known; at once again when the registry or the link to it has ended.
    async fn renew(self, request: SubscribeToTopic) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SUBSCRIBER_RENEWAL) => {}
                _ = self.topics.watch() => tokio::time::sleep(SUBSCRIBE_AGAIN).await,
            }
            match self.topics.send(request.clone()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(topic = request.topic, %error, "the subscription is not taken"),
                Err(error) => tracing::debug!(topic = request.topic, %error, "the subscription is not renewed"),
            }
        }
    }
}

impl<M: RemoteMessage> Subscription<M> {
    /// Waits for what comes next. Cancelling the wait loses nothing.
    pub async fn recv(&mut self) -> TopicEvent<M> {
        let shelf = Arc::clone(&self.shelf);
        loop {
            // Made before the look, so that what arrives in between is not missed.
            let arrived = shelf.arrived.notified();
            if let Some(event) = self.try_recv() {
                return event;
            }
            arrived.await;
        }
    }

    /// Takes what has arrived, if something has.
    pub fn try_recv(&mut self) -> Option<TopicEvent<M>> {
        let arrival = self.shelf.inbox.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match arrival {
            Arrival::Missed(publisher, count) => TopicEvent::Missed { publisher, count },
            Arrival::Message(publisher, body) => match M::decode(&body, self.node.limits().body_depth_max) {
                Ok(message) => TopicEvent::Message { publisher, message },
                Err(error) => {
                    tracing::warn!(%error, message = M::WIRE_NAME, "a message of a topic cannot be read");
                    TopicEvent::Missed { publisher, count: 1 }
                }
            },
        })
    }

    /// As a stream that never ends, for [`actix::StreamHandler`]: the actor takes the next one when it has handled the last.
    pub fn into_stream(self) -> impl futures_util::Stream<Item = TopicEvent<M>> {
        futures_util::stream::unfold(self, |mut subscription| async move {
            let event = subscription.recv().await;
            Some((event, subscription))
        })
    }
}

impl<M> Drop for Subscription<M> {
    /// The registry watches the name, and tells publishers.
    fn drop(&mut self) {
        self.renewing.abort();
        self.node.retract(&self.name);
    }
}

impl<M> fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({})", self.name)
    }
}

/// The actor that publishers send to; it ends when its name is taken back.
struct TopicDoor(Arc<Shelf>);

impl TopicDoor {
    fn exports(shelf: &Arc<Shelf>) -> Exports {
        let door = Self::create(|context| {
            context.set_mailbox_capacity(MAILBOX_CAPACITY);
            Self(Arc::clone(shelf))
        });
        Exports::new().only_from(&[PeerRole::Client, PeerRole::ActorHost]).accept::<Published, _>(&door)
    }
}

impl Actor for TopicDoor {
    type Context = Context<Self>;
}

impl Handler<Published> for TopicDoor {
    type Result = ();

    fn handle(&mut self, published: Published, _: &mut Self::Context) {
        self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner).put(published);
        self.0.arrived.notify_waiters();
    }
}
