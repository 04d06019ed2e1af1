//! The way of one kind of message into one actor: through the inbox of a supervised actor, or else through its mailbox.

use crate::answering::ReplyTo;
use crate::error::PeerError;
use crate::exports::Answer;
use crate::inbox::{Ask, Inbox};
use crate::name::NodeId;
use crate::origin::Origin;
use crate::run::{Gathered, Run};
use actix::dev::{Request, SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, MailboxError, Message};
use futures_util::FutureExt;
use odeon_protocol::wire::RemoteMessage;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use tokio::sync::oneshot;

/// Where a message of a peer goes.
pub(crate) trait Entrance<M: RemoteMessage>: Send + Sync {
    /// Puts an ask in before it returns, so that order is the order of calls.
    ///
    /// A full mailbox does not refuse an ask: each waiting ask has a slot of its own. The bound is
    /// the number of askers, which links and callers limit.
    fn ask(&self, sender: &NodeId, message: M) -> Answer<M::Result>;
    /// As `ask` for an ask of another node, whose reply goes where it says; handed back if the actor has no inbox.
    fn ask_from_afar(&self, sender: &NodeId, message: M, to: ReplyTo) -> Result<(), (M, ReplyTo)>;
    /// Puts a tell in, if there is room.
    fn tell(&self, sender: &NodeId, message: M) -> Result<(), PeerError>;
    /// As `tell`, but without room the message gets a slot of its own, as an ask does; then the answer says when it
    /// has been handled.
    fn tell_or_wait(&self, sender: &NodeId, message: M) -> Result<Option<Answer<M::Result>>, PeerError>;
    /// Begins a run of tells to the actor of this name; none if it has no inbox.
    fn run(&self, actor: &Arc<str>, origin: &Arc<Origin>) -> Option<Box<dyn Run>>;
    /// Goes through this inbox from now on, if it is an [`Attached`] one of the same actor.
    fn attach(&self, inbox: &dyn Any);
}

/// The inbox of an actor.
pub(crate) struct Attached<A: Actor> {
    pub(crate) address: Addr<A>,
    pub(crate) inbox: Arc<Inbox<A>>,
}

/// An actor that hears messages `M` of peers as `T`.
pub(crate) struct WayIn<A: Actor, M, T> {
    address: Addr<A>,
    inbox: OnceLock<Arc<Inbox<A>>>,
    hears: fn(&NodeId, M) -> T,
}

impl<A: Actor, M, T> WayIn<A, M, T> {
    pub(crate) fn new(address: Addr<A>, hears: fn(&NodeId, M) -> T) -> Self {
        Self { address, inbox: OnceLock::new(), hears }
    }
}

impl<A, M, T> Entrance<M> for WayIn<A, M, T>
where
    A: Actor + Handler<T>,
    A::Context: ToEnvelope<A, T>,
    M: RemoteMessage,
    T: Message<Result = M::Result> + Send + 'static,
{
    fn ask(&self, sender: &NodeId, message: M) -> Answer<M::Result> {
        let message = (self.hears)(sender, message);
        match self.inbox.get() {
            Some(inbox) => ask(inbox, message),
            None => accepted(self.address.send(message)),
        }
    }

    fn ask_from_afar(&self, sender: &NodeId, message: M, to: ReplyTo) -> Result<(), (M, ReplyTo)> {
        let Some(inbox) = self.inbox.get() else { return Err((message, to)) };
        inbox.ask_from_afar::<M, T>((self.hears)(sender, message), to);
        Ok(())
    }

    fn tell(&self, sender: &NodeId, message: M) -> Result<(), PeerError> {
        let message = (self.hears)(sender, message);
        match self.inbox.get() {
            Some(inbox) if inbox.room() == 0 => Err(PeerError::MailboxFull),
            Some(inbox) => tell(inbox, message),
            None => self.address.try_send(message).map_err(|refused| match refused {
                SendError::Full(_) => PeerError::MailboxFull,
                SendError::Closed(_) => PeerError::Stopped,
            }),
        }
    }

    fn tell_or_wait(&self, sender: &NodeId, message: M) -> Result<Option<Answer<M::Result>>, PeerError> {
        let message = (self.hears)(sender, message);
        match self.inbox.get() {
            Some(inbox) if inbox.room() == 0 => Ok(Some(ask(inbox, message))),
            Some(inbox) => tell(inbox, message).map(|()| None),
            None => match self.address.try_send(message) {
                Ok(()) => Ok(None),
                Err(SendError::Full(message)) => Ok(Some(accepted(self.address.send(message)))),
                Err(SendError::Closed(_)) => Err(PeerError::Stopped),
            },
        }
    }

    fn run(&self, actor: &Arc<str>, origin: &Arc<Origin>) -> Option<Box<dyn Run>> {
        Some(Box::new(Gathered::new(self.inbox.get()?, self.hears, actor, origin)))
    }

    fn attach(&self, inbox: &dyn Any) {
        if let Some(attached) = inbox.downcast_ref::<Attached<A>>().filter(|inbox| inbox.address == self.address) {
            // An actor has one inbox.
            let _ = self.inbox.set(Arc::clone(&attached.inbox));
        }
    }
}

fn tell<A, T>(inbox: &Inbox<A>, message: T) -> Result<(), PeerError>
where
    A: Actor + Handler<T>,
    T: Message + Send + 'static,
{
    if inbox.tell(message) { Ok(()) } else { Err(PeerError::Stopped) }
}

fn ask<A, T>(inbox: &Inbox<A>, message: T) -> Answer<T::Result>
where
    A: Actor + Handler<T>,
    T: Message<Result: Send> + Send + 'static,
{
    let (asker, reply) = oneshot::channel();
    // One that is not taken is dropped with its asker, and the reply says so.
    inbox.put(Box::new(Ask::new(message, asker)));
    Answer::Reply(reply)
}

/// Polls a request once: only then is it surely in the mailbox.
fn accepted<A, T>(request: Request<A, T>) -> Answer<T::Result>
where
    A: Actor + Handler<T>,
    A::Context: ToEnvelope<A, T>,
    T: Message<Result: Send> + Send + 'static,
{
    let mut request = Box::pin(request);
    let early = request.as_mut().now_or_never();
    let answer = async move {
        let outcome = match early {
            Some(outcome) => outcome,
            None => request.await,
        };
        outcome.map_err(|(MailboxError::Closed | MailboxError::Timeout)| PeerError::Stopped)
    };
    Answer::Other(answer.boxed())
}
