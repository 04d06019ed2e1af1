//! One link as its senders see it: what waits to be written, the asks that wait for a reply, and how it ended.
//!
//! The queues are in `outgoing.rs`, the socket side in `session.rs`; which link leads where is in `fabric.rs`.

use crate::error::PeerError;
use crate::fabric::lock;
use crate::figures::LinkFigures;
use crate::frame::{self, Head, Names, Way};
use crate::heartbeat::Heartbeat;
use crate::limits::FabricLimits;
use crate::name::{ActorName, NodeId};
use crate::outgoing::{NamedFrame, NotTaken, OnlyFor, Outgoing, Spoken};
use bytes::Bytes;
use odeon_protocol::wire::Lane;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Writes the body of a message behind what a buffer holds.
pub(crate) type Encode<'a> = &'a dyn Fn(&mut Vec<u8>) -> Result<(), PeerError>;

/// What an ask or a tell is about.
pub(crate) struct Call<'a> {
    pub(crate) actor: &'a ActorName,
    pub(crate) message: Spoken,
    pub(crate) lane: Lane,
    /// The only node that will do, if it matters.
    pub(crate) only: Option<&'a NodeId>,
}

/// How a link has ended, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EndCause {
    pub(crate) text: String,
    /// Whether one end does not trust the other.
    pub(crate) is_distrust: bool,
}

impl EndCause {
    /// What a message fails with that would have gone there.
    pub(crate) fn error(self, target: String) -> PeerError {
        let Self { text: cause, is_distrust } = self;
        if is_distrust { PeerError::Untrusted { target, cause } } else { PeerError::Unreachable { target, cause } }
    }
}

impl From<&str> for EndCause {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), is_distrust: false }
    }
}

impl From<String> for EndCause {
    fn from(text: String) -> Self {
        Self { text, is_distrust: false }
    }
}

struct Waiting {
    reply: oneshot::Sender<Result<Bytes, PeerError>>,
    /// None for a watch, which the other end counts.
    _permit: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct State {
    /// Known once the link is up.
    node: Option<NodeId>,
    /// Set once and for all when the link ends.
    ended: Option<EndCause>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Default)]
struct Arrived {
    frames: AtomicU64,
    bytes: AtomicU64,
    /// In microseconds, and one more; 0 before the first.
    round_trip: AtomicU64,
}

/// The senders' end of a link.
pub(crate) struct Link {
    pub(crate) number: u64,
    /// What the link leads to, for error texts.
    target: String,
    /// What waits for the session's writer.
    pub(crate) outgoing: Outgoing,
    permits: Arc<Semaphore>,
    next: AtomicU64,
    pub(crate) frame_bytes_max: usize,
    begun: Instant,
    /// What has arrived; changed by the session's reader alone.
    arrived: Arrived,
    state: Mutex<State>,
    /// Asks the session to end.
    pub(crate) close: CancellationToken,
}

impl Link {
    pub(crate) fn new(number: u64, target: String, limits: &FabricLimits, close: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            number,
            target,
            outgoing: Outgoing::new(limits),
            permits: Arc::new(Semaphore::new(limits.pending_asks_max)),
            next: AtomicU64::new(1),
            frame_bytes_max: limits.frame_bytes_max,
            begun: Instant::now(),
            arrived: Arrived::default(),
            state: Mutex::default(),
            close,
        })
    }

    /// Begins an ask: it is on its way when this returns, if there was room for it.
    pub(crate) fn ask(&self, call: &Call<'_>, encode: Encode<'_>, within: Duration) -> Result<Asking<'_>, PeerError> {
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let only_for = self.only_for(call.only, correlation)?;
        let head = Head::Ask { way: call.way(), correlation, deadline_ms };
        self.framed(call, head, encode, |mut frame| {
            let mut asking = Asking { link: self, lane: call.lane, correlation, reply: None, unsent: None };
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                asking.reply = Some(self.wait_for(correlation, Some(permit))?);
                match self.outgoing.push_call(call.lane, &mut frame, only_for.clone()) {
                    Ok(()) => return Ok(asking),
                    Err(NotTaken::Ended) => return Err(self.unreachable()),
                    Err(NotTaken::Full) => {}
                }
            }
            self.outgoing.speak(call.message);
            asking.unsent = Some((std::mem::take(frame.bytes), only_for));
            Ok(asking)
        })
    }

    /// Queues a tell, or refuses at once.
    pub(crate) fn tell(&self, call: &Call<'_>, encode: Encode<'_>) -> Result<(), PeerError> {
        let only_for = self.only_for(call.only, 0)?;
        if call.lane == Lane::Bulk && !self.outgoing.has_room(call.lane) {
            return Err(if self.is_ended() { self.unreachable() } else { PeerError::MailboxFull });
        }
        self.framed(call, Head::Tell(call.way()), encode, |mut frame| {
            self.outgoing.push_call(call.lane, &mut frame, only_for).map_err(|not_taken| match not_taken {
                NotTaken::Full => PeerError::MailboxFull,
                NotTaken::Ended => self.unreachable(),
            })
        })
    }

    /// Queues a tell, or hands it back as a frame that waits for room on its lane.
    pub(crate) fn tell_when_room<'a>(
        &'a self,
        call: &Call<'a>,
        encode: Encode<'_>,
    ) -> Result<Option<Untold<'a>>, PeerError> {
        let only_for = self.only_for(call.only, 0)?;
        self.framed(call, Head::Tell(call.way()), encode, |mut frame| {
            match self.outgoing.push_call(call.lane, &mut frame, only_for.clone()) {
                Ok(()) => Ok(None),
                Err(NotTaken::Ended) => Err(self.unreachable()),
                Err(NotTaken::Full) => {
                    let NamedFrame { bytes, body_at, .. } = frame;
                    let bytes = std::mem::take(bytes);
                    let (lane, way, spoken) = (call.lane, call.way(), call.message);
                    Ok(Some(Untold { link: self, lane, way, spoken, bytes, body_at, only_for }))
                }
            }
        })
    }

    /// Watches an actor; the reply is how it ended.
    pub(crate) async fn watch(&self, actor: &ActorName, only: Option<&NodeId>) -> Result<Bytes, PeerError> {
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let only_for = self.only_for(only, correlation)?;
        let reply = self.wait_for(correlation, None)?;
        let mut watching = Watching { link: self, correlation, is_open: true };
        let mut frame = Vec::new();
        frame::write(&mut frame, &Head::Watch(correlation), actor.as_str().as_bytes(), self.frame_bytes_max)?;
        if !self.outgoing.push_when_room(Lane::Control, &mut frame, only_for).await {
            return Err(self.unreachable());
        }
        let ended = reply.await;
        watching.is_open = false;
        ended.unwrap_or_else(|_| Err(self.unreachable()))
    }

    /// Writes a frame, encoding its body in place: a bulk frame into a buffer that the lane will take, a control frame
    /// into one of this thread, so that no code of a message runs while the lane is locked.
    fn framed<R>(
        &self,
        call: &Call<'_>,
        head: Head<'_>,
        encode: Encode<'_>,
        push: impl FnOnce(NamedFrame<'_>) -> Result<R, PeerError>,
    ) -> Result<R, PeerError> {
        let bytes_max = self.frame_bytes_max;
        let write = |bytes: &mut Vec<u8>| {
            frame::begin(bytes, &head);
            let body_at = bytes.len();
            encode(bytes)?;
            frame::finish(bytes, 0, bytes_max)?;
            push(NamedFrame { head, spoken: call.message, bytes, body_at })
        };
        match call.lane {
            Lane::Control => with_scratch(write),
            Lane::Bulk => write(&mut self.outgoing.spare()),
        }
    }

    /// The node at the other end, once the link is up.
    pub(crate) fn node(&self) -> Option<NodeId> {
        lock(&self.state).node.clone()
    }

    pub(crate) fn is_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }

    pub(crate) fn on_up(&self, node: NodeId) {
        lock(&self.state).node = Some(node);
    }

    /// So many frames have arrived since this was last said, and so many bytes since the link began.
    pub(crate) fn on_arrived(&self, frames: u64, bytes: u64) {
        let earlier = self.arrived.frames.load(Ordering::Relaxed);
        self.arrived.frames.store(earlier + frames, Ordering::Relaxed);
        self.arrived.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Sends a ping, if there is room: a lane that is full says by itself that this node lives.
    pub(crate) fn beat(&self) {
        self.ping(Heartbeat::There(self.age_micros()));
    }

    pub(crate) fn on_heartbeat(&self, heartbeat: Heartbeat) {
        match heartbeat {
            Heartbeat::There(left) => self.ping(Heartbeat::Back(left)),
            Heartbeat::Back(left) => {
                // A time that has not come yet is not one that left here.
                if let Some(round_trip) = self.age_micros().checked_sub(left) {
                    self.arrived.round_trip.store(round_trip.saturating_add(1), Ordering::Relaxed);
                }
            }
        }
    }

    fn ping(&self, heartbeat: Heartbeat) {
        let mut ping = Vec::new();
        frame::write(&mut ping, &Head::Ping, &heartbeat.encode(), self.frame_bytes_max).expect("a ping is small");
        let _ = self.outgoing.push(Lane::Control, &mut ping, None);
    }

    fn age_micros(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// What can be told of it.
    pub(crate) fn figures(&self, node: &NodeId, is_dialled: bool) -> LinkFigures {
        let (sent, waiting) = self.outgoing.volumes();
        let round_trip = self.arrived.round_trip.load(Ordering::Relaxed).checked_sub(1);
        LinkFigures {
            node: node.clone(),
            is_dialled,
            bytes_in: self.arrived.bytes.load(Ordering::Relaxed),
            frames_in: self.arrived.frames.load(Ordering::Relaxed),
            bytes_out: sent.bytes,
            frames_out: sent.frames,
            frames_waiting: waiting.frames,
            bytes_waiting: waiting.bytes,
            asks_waiting: lock(&self.state).waiting.len() as u64,
            round_trip: round_trip.map(Duration::from_micros),
        }
    }

    /// Hands a reply to its asker; false if nobody waits for it any more.
    pub(crate) fn on_reply(&self, correlation: u64, reply: Result<Bytes, PeerError>) -> bool {
        let waiting = lock(&self.state).waiting.remove(&correlation);
        waiting.is_some_and(|waiting| waiting.reply.send(reply).is_ok())
    }

    /// Ends the link for good: fails all that waits, at once.
    pub(crate) fn on_end(&self, cause: &EndCause) {
        let (waiting, was_up) = {
            let mut state = lock(&self.state);
            state.ended.get_or_insert_with(|| cause.clone());
            (std::mem::take(&mut state.waiting), state.node.is_some())
        };
        self.permits.close();
        self.outgoing.end();
        self.close.cancel();
        let lost = PeerError::LinkLost { cause: cause.text.clone() };
        let error = if was_up { lost } else { self.unreachable() };
        for (_, waiting) in waiting {
            // An asker that has given up meanwhile needs no answer.
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Refuses an ask that was meant for another run of the node.
    pub(crate) fn refuse_other_node(&self, wanted: &NodeId, correlation: u64) {
        let error = self.other_incarnation(wanted);
        self.on_reply(correlation, Err(error));
    }

    /// What the frame of a call must be guarded with as long as the other node is not known.
    fn only_for(&self, only: Option<&NodeId>, correlation: u64) -> Result<OnlyFor, PeerError> {
        let Some(wanted) = only else { return Ok(None) };
        match self.node() {
            Some(node) if node != *wanted => Err(self.other_incarnation(wanted)),
            Some(_) => Ok(None),
            None => Ok(Some((wanted.clone(), correlation))),
        }
    }

    fn wait_for(
        &self,
        correlation: u64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<oneshot::Receiver<Result<Bytes, PeerError>>, PeerError> {
        let (reply, receiver) = oneshot::channel();
        let mut state = lock(&self.state);
        if state.ended.is_some() {
            drop(state);
            return Err(self.unreachable());
        }
        state.waiting.insert(correlation, Waiting { reply, _permit: permit });
        Ok(receiver)
    }

    fn unreachable(&self) -> PeerError {
        let cause = lock(&self.state).ended.clone().unwrap_or_else(|| "the link is ending".into());
        cause.error(self.target.clone())
    }

    fn other_incarnation(&self, wanted: &NodeId) -> PeerError {
        let answers = self.node().map_or_else(|| "nobody".into(), |node| node.to_string());
        let cause = format!("another incarnation: {answers} answers at {}", self.target);
        PeerError::Unreachable { target: wanted.to_string(), cause }
    }
}

/// An ask that has begun; dropping it gives its slot back.
pub(crate) struct Asking<'a> {
    link: &'a Link,
    lane: Lane,
    correlation: u64,
    /// Where the reply comes; none while too many asks are pending.
    reply: Option<oneshot::Receiver<Result<Bytes, PeerError>>>,
    /// The frame, if it waits for a slot or for room on its lane.
    unsent: Option<(Vec<u8>, OnlyFor)>,
}

impl Asking<'_> {
    /// Waits for room if there was none, then for the reply; bounded by the caller's timeout.
    pub(crate) async fn reply(mut self) -> Result<Bytes, PeerError> {
        let reply = match self.reply.take() {
            Some(reply) => reply,
            None => {
                let permit = Arc::clone(&self.link.permits).acquire_owned().await;
                self.link.wait_for(self.correlation, Some(permit.map_err(|_| self.link.unreachable())?))?
            }
        };
        if let Some((mut frame, only_for)) = self.unsent.take()
            && !self.link.outgoing.push_when_room(self.lane, &mut frame, only_for).await
        {
            return Err(self.link.unreachable());
        }
        reply.await.unwrap_or_else(|_| Err(self.link.unreachable()))
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(&self.link.state).waiting.remove(&self.correlation);
    }
}

/// A watch that has begun; dropping it tells the other end, if there is room to.
struct Watching<'a> {
    link: &'a Link,
    correlation: u64,
    is_open: bool,
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        lock(&self.link.state).waiting.remove(&self.correlation);
        if self.is_open {
            let mut frame = Vec::new();
            frame::write(&mut frame, &Head::Unwatch(self.correlation), &[], 1024).expect("nine bytes are few");
            // Without room the other end keeps the watch until the actor or the link ends.
            let _ = self.link.outgoing.push(Lane::Control, &mut frame, None);
        }
    }
}

/// A tell that waits for room on its lane.
pub(crate) struct Untold<'a> {
    link: &'a Link,
    lane: Lane,
    way: Way<'a>,
    spoken: Spoken,
    bytes: Vec<u8>,
    body_at: usize,
    only_for: OnlyFor,
}

impl Untold<'_> {
    /// Waits until the lane has taken it; bounded by the caller's timeout.
    pub(crate) async fn taken(mut self) -> Result<(), PeerError> {
        let frame = NamedFrame {
            head: Head::Tell(self.way),
            spoken: self.spoken,
            bytes: &mut self.bytes,
            body_at: self.body_at,
        };
        match self.link.outgoing.push_call_when_room(self.lane, frame, self.only_for).await {
            true => Ok(()),
            false => Err(self.link.unreachable()),
        }
    }
}

impl<'a> Call<'a> {
    fn way(&self) -> Way<'a> {
        Way::Named(Names { actor: self.actor.as_str(), message: self.message.name })
    }
}

/// A buffer that grew beyond this, in bytes, is not kept by its thread.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer of this thread, so that a small frame needs no allocation of its own.
fn with_scratch<R>(write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut frame = SCRATCH.take();
    frame.clear();
    let written = write(&mut frame);
    if frame.capacity() <= SCRATCH_BYTES_MAX {
        SCRATCH.set(frame);
    }
    written
}
