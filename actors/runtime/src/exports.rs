//! The visible list of messages that an actor takes from peers.
//!
//! A closed list: what is not accepted here cannot reach the actor, whatever the wire says.

use crate::answering::{Errand, ReplyTo};
use crate::entrance::{Entrance, WayIn};
use crate::error::PeerError;
use crate::name::NodeId;
use crate::origin::Origin;
use crate::run::Run;
use crate::sender::From;
use crate::trust::{PeerRole, PeerRoles};
use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use odeon_protocol::schema::Schema;
use odeon_protocol::wire::{Lane, RemoteMessage};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// The messages of an actor that peers may send, near or far.
///
/// Each message is taken from peers of certain roles: from all, or from those that [`Exports::only_from`] names for what
/// follows it. Roles are those of the certificate at the other end of the link; without certificates, and within the
/// node, everybody has all.
#[derive(Clone)]
pub struct Exports {
    doors: BTreeMap<&'static str, Entry>,
    /// Who may send what is added next.
    roles: PeerRoles,
}

#[derive(Clone)]
struct Entry {
    door: Arc<dyn AnyDoor>,
    roles: PeerRoles,
}

impl Default for Exports {
    fn default() -> Self {
        Self { doors: BTreeMap::new(), roles: PeerRoles::ALL }
    }
}

impl Exports {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is added from here on is taken only from peers that have one of these roles.
    #[must_use]
    pub fn only_from(self, roles: &[PeerRole]) -> Self {
        Self { roles: PeerRoles::of(roles), ..self }
    }

    /// Adds a message.
    ///
    /// # Panics
    /// If the wire name is taken by another message of the list, which is a bug of the caller.
    #[must_use]
    pub fn accept<M, A>(self, address: &Addr<A>) -> Self
    where
        M: RemoteMessage,
        A: Actor + Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.add::<M>(Box::new(WayIn::<A, M, M>::new(address.clone(), |_, message| message)))
    }

    /// Adds a message that the actor hears together with its sender, as [`From<M>`].
    ///
    /// # Panics
    /// As [`Exports::accept`].
    #[must_use]
    pub fn accept_from<M, A>(self, address: &Addr<A>) -> Self
    where
        M: RemoteMessage,
        A: Actor + Handler<From<M>>,
        A::Context: ToEnvelope<A, From<M>>,
    {
        let hears = |sender: &NodeId, message| From { node: sender.clone(), message };
        self.add::<M>(Box::new(WayIn::<A, M, From<M>>::new(address.clone(), hears)))
    }

    /// The wire names on the list, in order.
    pub fn messages(&self) -> impl Iterator<Item = &'static str> {
        self.doors.keys().copied()
    }

    /// Leads what is for one actor through its inbox from now on; see [`Entrance::attach`].
    pub(crate) fn attach(&self, inbox: &dyn Any) {
        self.doors.values().for_each(|entry| entry.door.attach(inbox));
    }

    fn add<M: RemoteMessage>(mut self, door: Door<M>) -> Self {
        let entry = Entry { door: Arc::new(door), roles: self.roles };
        let earlier = self.doors.insert(M::WIRE_NAME, entry);
        assert!(earlier.is_none(), "the message {} is accepted twice", M::WIRE_NAME);
        self
    }

    pub(crate) fn door(&self, message: &str) -> Option<&Arc<dyn AnyDoor>> {
        self.doors.get(message).map(|entry| &entry.door)
    }

    /// As [`Exports::door`], for a peer of these roles; `Some(None)` if they do not let it in.
    pub(crate) fn door_for(&self, message: &str, roles: PeerRoles) -> Option<Option<&Arc<dyn AnyDoor>>> {
        self.doors.get(message).map(|entry| entry.roles.meets(roles).then_some(&entry.door))
    }
}

impl fmt::Debug for Exports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.doors.iter().map(|(message, entry)| (message, entry.roles))).finish()
    }
}

/// A reply on its way, whose question is already with the actor.
pub(crate) enum Answer<R> {
    /// From an inbox.
    Reply(oneshot::Receiver<R>),
    /// From a mailbox.
    Other(BoxFuture<'static, Result<R, PeerError>>),
}

impl<R> Future for Answer<R> {
    type Output = Result<R, PeerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Reply(reply) => reply.poll_unpin(context).map_err(|_| PeerError::Stopped),
            Self::Other(answer) => answer.poll_unpin(context),
        }
    }
}

/// The way into one actor for one message, whether it hears the sender or not.
pub(crate) type Door<M> = Box<dyn Entrance<M>>;

pub(crate) fn decode<M: RemoteMessage>(body: &[u8], depth_max: usize) -> Result<M, PeerError> {
    M::decode(body, depth_max).map_err(|error| PeerError::undecodable(M::WIRE_NAME, &error))
}

/// The door, if it is one for this message.
pub(crate) fn typed<M: RemoteMessage>(door: Arc<dyn AnyDoor>) -> Option<Arc<Door<M>>> {
    let door: Arc<dyn Any + Send + Sync> = door;
    door.downcast().ok()
}

/// The end of a tell that waits behind a full mailbox.
pub(crate) type Handled = BoxFuture<'static, ()>;

/// A [`Door`] whose message type the link does not know.
pub(crate) trait AnyDoor: Any + Send + Sync {
    /// Decodes and asks; who has no inbox is answered for by an errand.
    fn ask_bytes(
        &self,
        sender: &NodeId,
        body: &[u8],
        depth_max: usize,
        to: ReplyTo,
    ) -> Result<Option<Errand>, PeerError>;
    /// Decodes and tells.
    fn tell_bytes(&self, sender: &NodeId, body: &[u8], depth_max: usize) -> Result<(), PeerError>;
    /// Decodes and tells; at a full mailbox the message waits in a slot of its own, and the future ends when it has been
    /// handled or never will be.
    fn tell_bytes_or_wait(&self, sender: &NodeId, body: &[u8], depth_max: usize) -> Result<Option<Handled>, PeerError>;
    /// As [`Entrance::run`].
    fn run(&self, actor: &Arc<str>, origin: &Arc<Origin>) -> Option<Box<dyn Run>>;
    /// As [`Entrance::attach`].
    fn attach(&self, inbox: &dyn Any);
    /// The lane of the message and of its reply.
    fn lane(&self) -> Lane;
    /// The schema of the message and of its reply.
    fn schema(&self) -> &'static Schema;
}

impl<M: RemoteMessage> AnyDoor for Door<M> {
    fn ask_bytes(
        &self,
        sender: &NodeId,
        body: &[u8],
        depth_max: usize,
        mut to: ReplyTo,
    ) -> Result<Option<Errand>, PeerError> {
        let message = decode::<M>(body, depth_max).inspect_err(|_| to.close())?;
        let Err((message, to)) = self.ask_from_afar(sender, message, to) else { return Ok(None) };
        Ok(Some(to.answer_with::<M>(self.ask(sender, message))))
    }

    fn tell_bytes(&self, sender: &NodeId, body: &[u8], depth_max: usize) -> Result<(), PeerError> {
        self.tell(sender, decode(body, depth_max)?)
    }

    fn tell_bytes_or_wait(&self, sender: &NodeId, body: &[u8], depth_max: usize) -> Result<Option<Handled>, PeerError> {
        let waits = self.tell_or_wait(sender, decode(body, depth_max)?)?;
        Ok(waits.map(|answer| answer.map(drop).boxed()))
    }

    fn run(&self, actor: &Arc<str>, origin: &Arc<Origin>) -> Option<Box<dyn Run>> {
        self.as_ref().run(actor, origin)
    }

    fn attach(&self, inbox: &dyn Any) {
        self.as_ref().attach(inbox);
    }

    fn lane(&self) -> Lane {
        M::LANE
    }

    fn schema(&self) -> &'static Schema {
        M::schema()
    }
}
