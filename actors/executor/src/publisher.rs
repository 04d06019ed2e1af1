//! `Publisher<M>`: sends messages of a topic straight to all who subscribe to it.

use crate::directory::Directory;
use crate::subscription::SubscribeError;
use odeon_protocol::codec::CodecError;
use odeon_protocol::messages::directory::{ANSWERED_WITHIN, Revision};
use odeon_protocol::messages::topics::{Published, PublisherId, TopicError, TopicSeen, WatchTopic};
use odeon_protocol::wire::RemoteMessage;
use odeon_runtime::Peer;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Before the registry of topics is asked again after it has not answered.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Tells the publishers of one process apart; that of another has another node.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

type Subscribers = BTreeMap<(String, u64, String), Peer<Published>>;

/// One who publishes on a topic. Messages of one publisher reach each subscriber in their order, at most once.
pub struct Publisher<M> {
    id: PublisherId,
    /// What was published so far.
    count: u64,
    subscribers: watch::Receiver<Arc<Subscribers>>,
    message: PhantomData<fn(M)>,
}

/// What has become of a message that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Subscribers on the way to which it is.
    pub taken: usize,
    /// Subscribers on the way to which there was no room, or no way. They are told that they have missed it once a later
    /// one arrives.
    pub refused: usize,
}

impl Directory {
    /// A publisher of a topic, which knows the subscribers of now and hears of those that come and go.
    ///
    /// # Errors
    /// [`SubscribeError`] if the topic carries another message, or its registry does not answer.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn publisher<M: RemoteMessage>(&self, topic: impl Into<String>) -> Result<Publisher<M>, SubscribeError> {
        let question = WatchTopic { topic: topic.into(), message: M::WIRE_NAME.to_owned(), seen: None };
        let first = self.ask_for_subscribers(&question, None).await?;
        let (sender, subscribers) = watch::channel(Arc::new(self.subscribers(&first, &Subscribers::new())));
        tokio::spawn(self.clone().keep_asking_for_subscribers(question, first.revision, sender));
        let node = self.node.id().clone();
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = PublisherId { node: node.name, incarnation: node.incarnation, number };
        Ok(Publisher { id, count: 0, subscribers, message: PhantomData })
    }

    async fn keep_asking_for_subscribers(
        self,
        question: WatchTopic,
        mut seen: Revision,
        sender: watch::Sender<Arc<Subscribers>>,
    ) {
        loop {
            let answer = tokio::select! {
                answer = self.ask_for_subscribers(&question, Some(seen)) => answer,
                () = sender.closed() => return,
            };
            match answer {
                Ok(answer) => {
                    seen = answer.revision;
                    if answer.subscribers.is_some() {
                        sender.send_modify(|known| *known = Arc::new(self.subscribers(&answer, known)));
                    }
                }
                Err(error) => {
                    tracing::debug!(topic = question.topic, %error, "subscribers may come and go unseen");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    async fn ask_for_subscribers(
        &self,
        question: &WatchTopic,
        seen: Option<Revision>,
    ) -> Result<TopicSeen, SubscribeError> {
        let answer = self.topics.send_within(WatchTopic { seen, ..question.clone() }, ANSWERED_WITHIN).await;
        Ok(answer.map_err(SubscribeError::Registry)??)
    }

    /// Those that the registry names, and those that were known while it may not know all.
    fn subscribers(&self, seen: &TopicSeen, known: &Subscribers) -> Subscribers {
        let mut subscribers = if seen.complete { Subscribers::new() } else { known.clone() };
        for location in seen.subscribers.iter().flatten() {
            let key = (location.node.clone(), location.incarnation, location.actor.clone());
            // The same peer as before, whose way is known.
            let peer = known.get(&key).cloned().or_else(|| self.peer(location.clone()).ok());
            subscribers.extend(peer.map(|peer| (key, peer)));
        }
        subscribers
    }
}

impl<M: RemoteMessage> Publisher<M> {
    /// Sends a message to all who subscribe now, and waits for none of them.
    ///
    /// # Errors
    /// [`CodecError`] if the message cannot be written; nobody is sent anything then.
    pub fn publish(&mut self, message: &M) -> Result<Handed, CodecError> {
        let mut body = Vec::new();
        message.encode_into(&mut body)?;
        self.count += 1;
        let published = Published { publisher: self.id.clone(), number: self.count, body };
        let mut handed = Handed { taken: 0, refused: 0 };
        let subscribers = Arc::clone(&self.subscribers.borrow());
        for subscriber in subscribers.values() {
            match subscriber.try_tell(published.clone()) {
                Ok(()) => handed.taken += 1,
                Err(_) => handed.refused += 1,
            }
        }
        Ok(handed)
    }

    /// Its name, which subscribers hear with its messages.
    #[must_use]
    pub fn id(&self) -> &PublisherId {
        &self.id
    }

    /// How many subscribe now, as far as is known.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.subscribers.borrow().len()
    }

    /// Waits until so many subscribe, as far as is known.
    pub async fn reaches(&mut self, count: usize) {
        if self.subscribers.wait_for(|subscribers| subscribers.len() == count).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<M> fmt::Debug for Publisher<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("id", &self.id).field("count", &self.count).finish_non_exhaustive()
    }
}

impl From<TopicError> for SubscribeError {
    fn from(error: TopicError) -> Self {
        Self::Topic(error)
    }
}
