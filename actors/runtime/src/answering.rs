//! Asks of the other node while they are in work here: how many, until when, and the way back of their replies.
//!
//! A reply that its handler knows at once is written into the buffer of the link by the actor itself. One that comes
//! later is awaited by the reader of the link, which also answers for actors without an inbox.

use crate::error::PeerError;
use crate::exports::Answer;
use crate::fabric::lock;
use crate::frame::{self, Head};
use crate::limits::FabricLimits;
use crate::link::{Link, with_scratch};
use crate::outgoing::NotTaken;
use crate::slots::Slots;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use odeon_protocol::codec;
use odeon_protocol::wire::{Lane, RemoteMessage};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Something for the reader of the link to see to its end.
pub(crate) type Errand = BoxFuture<'static, ()>;

/// The asks of the other node that are in work.
#[derive(Default)]
pub(crate) struct Answering {
    open: Mutex<Slots<()>>,
    errands: Mutex<Errands>,
    has_errands: Notify,
}

#[derive(Default)]
struct Errands {
    left: Vec<Errand>,
    /// Set once nobody sees to them any more.
    ended: bool,
}

impl Answering {
    /// Waits until there are errands, and takes them.
    pub(crate) async fn errands(&self) -> Vec<Errand> {
        loop {
            let errands = std::mem::take(&mut lock(&self.errands).left);
            if !errands.is_empty() {
                return errands;
            }
            self.has_errands.notified().await;
        }
    }

    fn leave(&self, errand: Errand) {
        let mut errands = lock(&self.errands);
        if !errands.ended {
            errands.left.push(errand);
            self.has_errands.notify_one();
        }
    }

    /// When [`expire`](Self::expire) is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        lock(&self.open).deadline()
    }

    /// Forgets asks of which the asker has gone by now: they are not handled, or not answered.
    pub(crate) fn expire(&self, now: Instant) {
        let mut open = lock(&self.open);
        for key in open.expire(now) {
            open.remove(key);
        }
    }

    /// Forgets all: the link has ended.
    pub(crate) fn end(&self) {
        *lock(&self.open) = Slots::default();
        let left = std::mem::replace(&mut *lock(&self.errands), Errands { left: Vec::new(), ended: true });
        // What they hold may tell that it is gone, so not under the lock.
        drop(left);
    }
}

/// The other node's side of an ask.
pub(crate) struct Asked {
    pub(crate) correlation: u64,
    pub(crate) lane: Lane,
    /// After this nobody waits for the reply; none if that is too far away to be a time.
    pub(crate) deadline: Option<Instant>,
}

/// Where the reply to one ask goes. Dropped without one, it says that the actor has stopped.
pub(crate) struct ReplyTo {
    link: Arc<Link>,
    asked: Asked,
    bytes_max: usize,
    /// Its place among the asks in work; gone past the deadline.
    key: u64,
    is_open: bool,
}

impl ReplyTo {
    /// Takes in an ask.
    ///
    /// # Errors
    /// [`PeerError::MailboxFull`] if as many are in work as may be.
    pub(crate) fn new(link: &Arc<Link>, asked: Asked, limits: &FabricLimits) -> Result<Self, PeerError> {
        let mut open = lock(&link.answering.open);
        if open.len() >= limits.inbound_asks_max {
            return Err(PeerError::MailboxFull);
        }
        let (key, is_earliest) = open.insert((), asked.deadline);
        drop(open);
        if is_earliest {
            link.on_earlier_deadline();
        }
        Ok(Self { link: Arc::clone(link), asked, bytes_max: limits.frame_bytes_max, key, is_open: true })
    }

    /// Whether somebody waits for the reply.
    pub(crate) fn is_wanted(&self) -> bool {
        lock(&self.link.answering.open).get_mut(self.key).is_some()
    }

    /// Gives the place back.
    pub(crate) fn close(&mut self) {
        self.is_open = false;
        lock(&self.link.answering.open).remove(self.key);
    }

    /// Writes the reply into the buffer of the link.
    pub(crate) fn answer<M: RemoteMessage>(self, reply: &M::Result) {
        match self.asked.lane {
            Lane::Control => with_scratch(|bytes| self.answer_in::<M>(reply, bytes)),
            Lane::Bulk => {
                let mut bytes = self.link.outgoing.spare();
                self.answer_in::<M>(reply, &mut bytes);
            }
        }
    }

    fn answer_in<M: RemoteMessage>(self, reply: &M::Result, bytes: &mut Vec<u8>) {
        let (correlation, bytes_max) = (self.asked.correlation, self.bytes_max);
        let framed = AssertUnwindSafe(|| {
            frame::begin(bytes, &Head::Reply(correlation));
            M::encode_reply_into(reply, bytes).map_err(|error| PeerError::unencodable(M::WIRE_NAME, &error))?;
            frame::finish(bytes, 0, bytes_max)
        });
        // A panic costs this ask, and neither the actor nor the link.
        let framed = catch_unwind(framed).unwrap_or_else(|_| {
            Err(PeerError::Unencodable { message: M::WIRE_NAME.into(), cause: "its encoding panics".into() })
        });
        match framed {
            Ok(()) => self.send(bytes),
            Err(refused) => self.send(&mut refusal(correlation, &refused, bytes_max)),
        }
    }

    /// Answers when the handler has.
    pub(crate) fn answer_later<M: RemoteMessage>(self, reply: oneshot::Receiver<M::Result>) {
        let (link, deadline) = (Arc::clone(&self.link), self.asked.deadline);
        link.answering.leave(by(deadline, async move {
            // Without a reply, dropping this says so.
            if let Ok(reply) = reply.await {
                self.answer::<M>(&reply);
            }
        }));
    }

    /// Answers for an actor without an inbox.
    pub(crate) fn answer_with<M: RemoteMessage>(self, answer: Answer<M::Result>) -> Errand {
        by(self.asked.deadline, async move {
            // Without a reply, dropping this says so.
            if let Ok(reply) = answer.await {
                self.answer::<M>(&reply);
            }
        })
    }

    /// Sends a frame, or leaves it with the reader until there is room; until then it keeps its place.
    fn send(mut self, frame: &mut Vec<u8>) {
        if self.link.outgoing.push(self.asked.lane, frame, None) != Err(NotTaken::Full) {
            return self.close();
        }
        self.is_open = false;
        let (link, mut frame) = (Arc::clone(&self.link), std::mem::take(frame));
        link.answering.leave(by(self.asked.deadline, async move {
            self.link.outgoing.push_when_room(self.asked.lane, &mut frame, None).await;
            self.close();
        }));
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        let is_due = || self.asked.deadline.is_none_or(|deadline| Instant::now() < deadline);
        if !self.is_open {
            return;
        }
        if !self.is_wanted() || !is_due() {
            return self.close();
        }
        let Asked { correlation, lane, deadline } = self.asked;
        let (link, asked) = (Arc::clone(&self.link), Asked { correlation, lane, deadline });
        let own = Self { link, asked, bytes_max: self.bytes_max, key: self.key, is_open: true };
        own.send(&mut refusal(correlation, &PeerError::Stopped, self.bytes_max));
    }
}

/// Past the deadline it is dropped. A panic, which can only come from how a reply is encoded, costs its ask alone.
fn by(deadline: Option<Instant>, errand: impl Future<Output = ()> + Send + 'static) -> Errand {
    let contained = AssertUnwindSafe(errand).catch_unwind().map(|_| ());
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, contained).map(|_| ()).boxed(),
        None => contained.boxed(),
    }
}

/// A refusal that would not fit, as it quotes names from a hostile frame, says only that.
pub(crate) fn refusal(correlation: u64, error: &PeerError, frame_bytes_max: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut write = |error: &PeerError| {
        let body = codec::encode(error).expect("errors are plain data");
        frame::write(&mut frame, &Head::Refusal(correlation), &body, frame_bytes_max)
    };
    write(error).or_else(|too_large| write(&too_large)).expect("two numbers fit any allowed frame");
    frame
}
