//! `Peer<I>`: a handle to an actor, near or far, typed by the messages it accepts.
//!
//! A peer holds a name and a direction, not a link: it stays good when the actor or the link is replaced.

use crate::error::PeerError;
use crate::exports::{self, AnyDoor, Door};
use crate::fabric::{Fabric, Route, Target, lock};
use crate::frame::Names;
use crate::link::{Call, Link};
use crate::name::{ActorAddress, ActorName, NodeId};
use crate::outgoing::{Spoken, Told};
use crate::watch::{EndReason, Terminated};
use futures_util::FutureExt;
use odeon_protocol::codec;
use odeon_protocol::wire::{Accepts, Lane, RemoteMessage};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// A location-transparent handle to an actor that accepts the messages of the interface `I`.
///
/// Cheap to clone, usable from any thread with a tokio runtime. See the page on the fabric's
/// guarantees for order, loss and back-pressure.
pub struct Peer<I> {
    fabric: Arc<Fabric>,
    target: Target,
    actor: ActorName,
    /// The link of the first message to an endpoint: every message finds it without a lock, for as long as it is open.
    first: OnceLock<Arc<Link>>,
    /// The way of the first message to an actor of this node, and as of when: as [`Last::Door`], without a lock.
    near: OnceLock<(Weak<dyn AnyDoor>, u64)>,
    last: Mutex<Last>,
    interface: PhantomData<fn() -> I>,
}

/// The way of the last message.
#[derive(Default)]
enum Last {
    #[default]
    Unknown,
    /// To an endpoint, not over the first link to it: it stays the right one until it is closed.
    Link(Arc<Link>),
    /// To an actor of this node: it stays the right one until the exports change. Never kept alive from here.
    Door { door: Weak<dyn AnyDoor>, generation: u64 },
}

/// Where a message goes now.
enum Way<'a> {
    Near,
    Far(Through<'a>),
}

/// A link for one message.
enum Through<'a> {
    First(&'a Link),
    Other(Arc<Link>),
}

impl Deref for Through<'_> {
    type Target = Link;

    fn deref(&self) -> &Link {
        match self {
            Self::First(link) => link,
            Self::Other(link) => link,
        }
    }
}

impl From<Route> for Way<'_> {
    fn from(route: Route) -> Self {
        match route {
            Route::Near => Self::Near,
            Route::Far(link) => Self::Far(Through::Other(link)),
        }
    }
}

impl<I> Clone for Peer<I> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.fabric), self.target.clone(), self.actor.clone())
    }
}

impl<I> fmt::Debug for Peer<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.address())
    }
}

impl<I> Peer<I> {
    pub(crate) fn new(fabric: Arc<Fabric>, target: Target, actor: ActorName) -> Self {
        Self {
            fabric,
            target,
            actor,
            first: OnceLock::new(),
            near: OnceLock::new(),
            last: Mutex::default(),
            interface: PhantomData,
        }
    }

    /// Sends a message and waits for its reply, for as long as
    /// [`send_timeout`](crate::FabricLimits::send_timeout) allows.
    ///
    /// # Errors
    /// [`PeerError`]; an error of the handler is part of the reply.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, PeerError>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        self.send_within(message, self.fabric.limits.send_timeout).await
    }

    /// Sends a message and waits for its reply for as long as told.
    ///
    /// Dropping the future takes the message back if its actor has not begun with it.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub async fn send_within<M>(&self, message: M, within: Duration) -> Result<M::Result, PeerError>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        match self.route()? {
            Way::Near => {
                let due = Instant::now().checked_add(within);
                let mut answer = self.door::<M>()?.ask(&self.fabric.id, message);
                match (soon(&mut answer).await, due) {
                    (Some(reply), _) => reply,
                    (None, None) => answer.await,
                    (None, Some(due)) => Box::pin(timeout_at(due, answer)).await.unwrap_or_else(|_| {
                        let after_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
                        Err(PeerError::Timeout { after_ms })
                    }),
                }
            }
            Way::Far(link) => {
                let asking = link.ask(&self.call::<M>(), &|bytes| encode(&message, bytes), within)?;
                drop(message);
                let reply = asking.reply().await?;
                let depth_max = self.fabric.limits.body_depth_max;
                M::decode_reply(&reply, depth_max).map_err(|error| PeerError::undecodable(M::WIRE_NAME, &error))
            }
        }
    }

    /// Sends a message without waiting for a reply: delivered at most once.
    ///
    /// A refusal is certain; an acceptance is not: a far message is lost without notice to the sender if the link
    /// breaks, if the far actor is missing, or, on the bulk lane, if its mailbox is full. The far node logs and counts
    /// the last two.
    ///
    /// # Errors
    /// [`PeerError`] if the message is refused here, at once.
    pub fn try_tell<M>(&self, message: M) -> Result<(), PeerError>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        match self.tell_at_once(&message)? {
            Told::Taken => return Ok(()),
            Told::Full => return Err(PeerError::MailboxFull),
            Told::NotHere => {}
        }
        match self.route()? {
            Way::Near => self.door::<M>()?.tell(&self.fabric.id, message),
            Way::Far(link) => link.tell(&self.call::<M>(), &|bytes| encode(&message, bytes)),
        }
    }

    /// Sends a message without waiting for a reply, but waits for room, for as long as
    /// [`send_timeout`](crate::FabricLimits::send_timeout) allows: far for room on the link, near, if the mailbox is
    /// full, until the message has been handled. A sender that goes on only then is as slow as what it sends to, and nothing is made in vain.
    ///
    /// An acceptance is as uncertain as that of [`try_tell`](Self::try_tell). Dropping the future takes a message back
    /// that still waits.
    ///
    /// # Errors
    /// [`PeerError::Timeout`] if there was no room in time, or as [`try_tell`](Self::try_tell).
    pub async fn tell<M>(&self, message: M) -> Result<(), PeerError>
    where
        M: RemoteMessage,
        I: Accepts<M>,
    {
        if self.tell_at_once(&message)? == Told::Taken {
            return Ok(());
        }
        let within = self.fabric.limits.send_timeout;
        let late = || PeerError::Timeout { after_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX) };
        match self.route()? {
            Way::Near => {
                let Some(handled) = self.door::<M>()?.tell_or_wait(&self.fabric.id, message)? else { return Ok(()) };
                Box::pin(timeout(within, handled)).await.unwrap_or_else(|_| Err(late())).map(drop)
            }
            Way::Far(link) => {
                let untold = link.tell_when_room(&self.call::<M>(), &|bytes| encode(&message, bytes))?;
                drop(message);
                let Some(untold) = untold else { return Ok(()) };
                Box::pin(timeout(within, untold.taken())).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// Waits for the end of the actor, and tells it once: that it stopped, failed for good, or that its node is lost,
    /// which is heard within [`heartbeat_timeout`](crate::FabricLimits::heartbeat_timeout) if it is cut off. A name that
    /// leads nowhere has ended already.
    ///
    /// It watches from the moment in which the future is first polled. Dropping the future ends the watch.
    ///
    /// # Errors
    /// [`PeerError::MailboxFull`] if the node is watched as often over this link as it allows.
    pub async fn watch(&self) -> Result<Terminated, PeerError> {
        let reason = match self.route() {
            Ok(Way::Near) => Ok(self.fabric.watch(&self.actor).await),
            Ok(Way::Far(link)) => self.watch_far(&link).await,
            Err(error) => Err(error),
        };
        let reason = match reason {
            Err(PeerError::LinkLost { cause } | PeerError::Unreachable { cause, .. }) => EndReason::NodeLost { cause },
            other => other?,
        };
        Ok(Terminated { actor: self.actor.clone(), reason })
    }

    async fn watch_far(&self, link: &Link) -> Result<EndReason, PeerError> {
        let reply = link.watch(&self.actor, self.only()).await?;
        let reason = codec::decode(&reply, self.fabric.limits.body_depth_max);
        reason.map_err(|error| PeerError::undecodable("the end of an actor", &error))
    }

    /// The name behind which the actor is.
    #[must_use]
    pub fn actor(&self) -> &ActorName {
        &self.actor
    }

    /// Where the actor is, for use inside messages.
    #[must_use]
    pub fn address(&self) -> ActorAddress {
        let (node, endpoint) = match &self.target {
            Target::Near => (Some(self.fabric.id.clone()), lock(&self.fabric.advertised).clone()),
            Target::At(endpoint) => (self.fabric.node_at(endpoint), Some(endpoint.clone())),
            Target::Of(node) => (Some(node.clone()), None),
            Target::OfAt(node, endpoint) => (Some(node.clone()), Some(endpoint.clone())),
        };
        ActorAddress { actor: self.actor.clone(), node, endpoint }
    }

    /// The same actor seen through another interface; what it does not accept is refused when sent.
    #[must_use]
    pub fn cast<J>(&self) -> Peer<J> {
        Peer::new(Arc::clone(&self.fabric), self.target.clone(), self.actor.clone())
    }

    /// Tells over the first link, if nothing stands in the way; the message can then be dropped.
    #[inline]
    fn tell_at_once<M: RemoteMessage>(&self, message: &M) -> Result<Told, PeerError> {
        match self.first.get() {
            Some(link) if M::LANE == Lane::Control && self.is_open(link) && self.only().is_none() => {
                let names = Names { actor: self.actor.as_str(), message: M::WIRE_NAME };
                link.tell_at_once(names, &|bytes| encode(message, bytes))
            }
            _ => Ok(Told::NotHere),
        }
    }

    /// The way of this message into an actor of this node.
    fn door<M: RemoteMessage>(&self) -> Result<Arc<Door<M>>, PeerError> {
        let now = self.fabric.exports_generation();
        if let Some((door, generation)) = self.near.get()
            && *generation == now
            && let Some(door) = door.upgrade().and_then(exports::typed)
        {
            return Ok(door);
        }
        self.other_door(now)
    }

    fn other_door<M: RemoteMessage>(&self, now: u64) -> Result<Arc<Door<M>>, PeerError> {
        let mut last = lock(&self.last);
        if let Last::Door { door, generation } = &*last
            && *generation == now
            && let Some(door) = door.upgrade().and_then(exports::typed)
        {
            return Ok(door);
        }
        let exports = self.fabric.exports_of(&self.actor)?;
        let door = exports.door(M::WIRE_NAME).ok_or_else(|| self.not_exported::<M>())?;
        if let Err((door, generation)) = self.near.set((Arc::downgrade(door), now)) {
            *last = Last::Door { door, generation };
        }
        exports::typed(Arc::clone(door)).ok_or_else(|| self.not_exported::<M>())
    }

    fn route(&self) -> Result<Way<'_>, PeerError> {
        match self.first.get() {
            Some(link) if self.is_open(link) => Ok(Way::Far(Through::First(link))),
            _ if self.target == Target::Near => Ok(Way::Near),
            _ => self.other_route(),
        }
    }

    fn other_route(&self) -> Result<Way<'_>, PeerError> {
        let Target::At(_) = &self.target else { return Ok(self.fabric.route(&self.target)?.into()) };
        let mut last = lock(&self.last);
        if let Last::Link(link) = &*last
            && self.is_open(link)
        {
            return Ok(Way::Far(Through::Other(Arc::clone(link))));
        }
        let route = self.fabric.route(&self.target)?;
        if let Route::Far(link) = &route
            && let Err(other) = self.first.set(Arc::clone(link))
        {
            *last = Last::Link(other);
        }
        Ok(route.into())
    }

    fn is_open(&self, link: &Link) -> bool {
        !link.is_closing() && !self.fabric.is_stopped()
    }

    fn call<M: RemoteMessage>(&self) -> Call<'_> {
        let message = Spoken { name: M::WIRE_NAME, schema: M::schema };
        Call { actor: &self.actor, message, lane: M::LANE, only: self.only() }
    }

    /// The only node that will do, if it matters.
    fn only(&self) -> Option<&NodeId> {
        match &self.target {
            Target::OfAt(node, _) => Some(node),
            _ => None,
        }
    }

    fn not_exported<M: RemoteMessage>(&self) -> PeerError {
        PeerError::NotExported { actor: self.actor.clone(), message: M::WIRE_NAME.to_owned() }
    }
}

/// What the future ends with, if it does so while the tasks that are ready now have a turn.
///
/// An actor of this thread answers in that time, and a timer for what takes longer costs more than the answer.
async fn soon<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut is_second = false;
    poll_fn(|task| match future.poll_unpin(task) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if is_second => Poll::Ready(None),
        Poll::Pending => {
            is_second = true;
            task.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

fn encode<M: RemoteMessage>(message: &M, bytes: &mut Vec<u8>) -> Result<(), PeerError> {
    message.encode_into(bytes).map_err(|error| PeerError::unencodable(M::WIRE_NAME, &error))
}
