//! A run: tells of one kind that came with one read of a link, as bytes.
//!
//! Whoever reads the link only copies them together; the actor reads each one when it handles it. So a message is made
//! and dropped in one breath, which the allocator does for a third of what it takes to make hundreds and then drop
//! them, and one that cannot be read costs nobody else anything. Which tells belong together is decided in `session.rs`.

use crate::error::PeerError;
use crate::figures::Counts;
use crate::frame::Names;
use crate::inbox::{Inbox, Item};
use crate::name::NodeId;
use crate::origin::Origin;
use actix::dev::MessageResponse;
use actix::{Actor, Handler, Message};
use odeon_protocol::wire::RemoteMessage;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The length in front of each body, in bytes.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Tells of one link that are gathered, to be handed to their actor together.
pub(crate) trait Run: Send {
    /// Makes room for so many bytes of bodies at once.
    fn reserve(&mut self, bytes: usize);
    /// How many more of them have room.
    fn room(&self) -> usize;
    /// Adds another one.
    fn push(&mut self, body: &[u8]);
    /// How many there are.
    fn len(&self) -> usize;
    /// How many bytes they have, with what is kept beside each.
    fn bytes(&self) -> usize;
    /// Hands them to the actor, whether they have room or not; false if it is gone. `until` is dropped once all have been
    /// handled or never will be.
    fn deliver(self: Box<Self>, until: Option<oneshot::Sender<()>>) -> bool;
}

/// Messages `M` for one actor, which hears them as `T`.
pub(crate) struct Gathered<A: Actor, M, T> {
    /// Until they are handed over.
    inbox: Option<Arc<Inbox<A>>>,
    /// How many more there was room for when the run began.
    room: usize,
    count: usize,
    /// The bodies, each behind its length.
    bytes: Vec<u8>,
    /// Where the first begins that is not handled yet.
    at: usize,
    hears: fn(&NodeId, M) -> T,
    actor: Arc<str>,
    origin: Arc<Origin>,
    until: Option<oneshot::Sender<()>>,
}

impl<A: Actor, M, T> Gathered<A, M, T> {
    pub(crate) fn new(
        inbox: &Arc<Inbox<A>>,
        hears: fn(&NodeId, M) -> T,
        actor: &Arc<str>,
        origin: &Arc<Origin>,
    ) -> Self {
        Self {
            inbox: Some(Arc::clone(inbox)),
            room: inbox.room(),
            count: 0,
            bytes: Vec::new(),
            at: 0,
            hears,
            actor: Arc::clone(actor),
            origin: Arc::clone(origin),
            until: None,
        }
    }

    /// The next body; they were written here, one behind the other.
    #[inline]
    fn next_body(&mut self) -> Option<&[u8]> {
        let (length, rest) = self.bytes[self.at..].split_first_chunk::<LENGTH_BYTES>()?;
        let body = rest.get(..u32::from_ne_bytes(*length) as usize)?;
        self.at += LENGTH_BYTES + body.len();
        Some(body)
    }
}

impl<A, M, T> Run for Gathered<A, M, T>
where
    A: Actor + Handler<T>,
    M: RemoteMessage,
    T: Message + Send + 'static,
{
    fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    fn room(&self) -> usize {
        self.room.saturating_sub(self.count)
    }

    fn push(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).expect("it is part of a frame, of which the length has four bytes");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(body);
        self.count += 1;
    }

    fn len(&self) -> usize {
        self.count
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }

    fn deliver(mut self: Box<Self>, until: Option<oneshot::Sender<()>>) -> bool {
        self.until = until;
        self.inbox.take().is_some_and(|inbox| inbox.put(self))
    }
}

impl<A, M, T> Item<A> for Gathered<A, M, T>
where
    A: Actor + Handler<T>,
    M: RemoteMessage,
    T: Message + Send + 'static,
{
    fn handle_next(&mut self, actor: &mut A, context: &mut A::Context, counts: &Counts) -> bool {
        self.count = self.count.saturating_sub(1);
        let depth_max = self.origin.depth_max;
        // A panic can only come from how the message is read, and costs neither the actor nor its link.
        let read = self.next_body().map(|body| catch_unwind(AssertUnwindSafe(|| M::decode(body, depth_max))));
        match read {
            Some(Ok(Ok(message))) => {
                let message = (self.hears)(&self.origin.node, message);
                Handler::handle(actor, message, context).handle(context, None);
            }
            unread => {
                counts.on_unread();
                let cause = match unread {
                    Some(Ok(Err(error))) => error.to_string(),
                    _ => "reading it panics".into(),
                };
                let error = PeerError::Undecodable { message: M::WIRE_NAME.into(), cause };
                self.origin.dropped(Names { actor: &self.actor, message: M::WIRE_NAME }, 1, &error);
            }
        }
        self.count > 0
    }

    fn len(&self) -> usize {
        self.count
    }
}
