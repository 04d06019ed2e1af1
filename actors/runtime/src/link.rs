//! One link as its senders see it: what waits to be written, the asks that wait for a reply, and how it ended.
//!
//! The queues are in `outgoing.rs`, the socket side in `session.rs`; which link leads where is in `fabric.rs`.

use crate::answering::Answering;
use crate::error::PeerError;
use crate::fabric::lock;
use crate::figures::LinkFigures;
use crate::frame::{self, Head, Names, Way};
use crate::heartbeat::Heartbeat;
use crate::limits::FabricLimits;
use crate::name::{ActorName, NodeId};
use crate::outgoing::{NamedFrame, NotTaken, OnlyFor, Outgoing, Spoken, Told};
use crate::slots::Slots;
use bytes::Bytes;
use odeon_protocol::wire::Lane;
use std::cell::Cell;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};
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

/// What an ask or a watch waits for.
enum Waiting {
    /// The reply; who waits for it is to be woken.
    Reply(Option<Waker>),
    /// Nothing any more: it is here, and is taken once.
    Replied(Result<Bytes, PeerError>),
    /// Nothing any more: it has not come in time.
    Late,
}

impl Waiting {
    /// Ends the wait; false if it has ended.
    fn end(&mut self, end: Waiting, wakers: &mut Vec<Waker>) -> bool {
        let Self::Reply(waker) = self else { return false };
        wakers.extend(waker.take());
        *self = end;
        true
    }
}

#[derive(Default)]
struct State {
    /// Known once the link is up.
    node: Option<NodeId>,
    /// Set once and for all when the link ends.
    ended: Option<EndCause>,
    waiting: Slots<Waiting>,
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
    /// Asks that may wait for a reply. Whoever takes a permit gives it back when it drops the ask.
    permits: Semaphore,
    /// Asks of the other node.
    pub(crate) answering: Answering,
    /// Said when a deadline is before all others.
    earlier_deadline: Notify,
    pub(crate) frame_bytes_max: usize,
    begun: Instant,
    /// What has arrived; changed by the session's reader alone.
    arrived: Arrived,
    state: Mutex<State>,
    /// Asks the session to end.
    pub(crate) closed: CancellationToken,
    /// As `closed`, for whoever asks at every message.
    is_closing: AtomicBool,
}

impl Link {
    pub(crate) fn new(number: u64, target: String, limits: &FabricLimits, closed: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            number,
            target,
            outgoing: Outgoing::new(limits),
            permits: Semaphore::new(limits.pending_asks_max),
            answering: Answering::default(),
            earlier_deadline: Notify::new(),
            frame_bytes_max: limits.frame_bytes_max,
            begun: Instant::now(),
            arrived: Arrived::default(),
            state: Mutex::default(),
            closed,
            is_closing: AtomicBool::new(false),
        })
    }

    /// Begins an ask: it is on its way when this returns, if there was room for it.
    pub(crate) fn ask<'a>(
        &'a self,
        call: &Call<'a>,
        encode: Encode<'_>,
        within: Duration,
    ) -> Result<Asking<'a>, PeerError> {
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let correlation = self.wait_for(Instant::now().checked_add(within))?;
        // From here on, dropping this gives the place back.
        let mut asking = Asking { link: self, correlation, within, has_permit: false, unsent: None };
        let only_for = self.only_for(call.only, correlation)?;
        let head = Head::Ask { way: call.way(), correlation, deadline_ms };
        self.framed(call, head, encode, |mut frame| {
            if let Ok(permit) = self.permits.try_acquire() {
                permit.forget();
                asking.has_permit = true;
                match self.outgoing.push_call(call.lane, &mut frame, only_for.clone()) {
                    Ok(()) => return Ok(asking),
                    Err(NotTaken::Ended) => return Err(self.unreachable()),
                    Err(NotTaken::Full) => {}
                }
            }
            asking.unsent = Some(Box::new(self.unsent(call.lane, head, frame, only_for)));
            Ok(asking)
        })
    }

    /// Queues a tell on the control lane to whoever is at the other end, if there is room and nothing else to see to.
    ///
    /// Most tells go this way: what the long way carries with it costs more than a small message.
    pub(crate) fn tell_at_once(&self, names: Names<'_>, encode: Encode<'_>) -> Result<Told, PeerError> {
        with_scratch(|body| {
            encode(body)?;
            let total = frame::length_of(&Head::Tell(Way::Named(names)), body.len());
            Ok(if total > self.frame_bytes_max { Told::NotHere } else { self.outgoing.push_tell(names, body) })
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
    ) -> Result<Option<Unsent<'a>>, PeerError> {
        let only_for = self.only_for(call.only, 0)?;
        let head = Head::Tell(call.way());
        self.framed(call, head, encode, |mut frame| {
            match self.outgoing.push_call(call.lane, &mut frame, only_for.clone()) {
                Ok(()) => Ok(None),
                Err(NotTaken::Ended) => Err(self.unreachable()),
                Err(NotTaken::Full) => Ok(Some(self.unsent(call.lane, head, frame, only_for))),
            }
        })
    }

    /// Keeps a frame for which there is no room yet.
    fn unsent<'a>(&'a self, lane: Lane, head: Head<'a>, frame: NamedFrame<'_>, only_for: OnlyFor) -> Unsent<'a> {
        let (bytes, body_at) = (std::mem::take(frame.bytes), frame.body_at);
        Unsent { link: self, lane, head, spoken: frame.spoken, bytes, body_at, only_for }
    }

    /// Watches an actor; the reply is how it ended.
    pub(crate) async fn watch(&self, actor: &ActorName, only: Option<&NodeId>) -> Result<Bytes, PeerError> {
        let correlation = self.wait_for(None)?;
        let mut watching = Watching { link: self, correlation, is_open: false };
        let only_for = self.only_for(only, correlation)?;
        watching.is_open = true;
        let mut frame = Vec::new();
        frame::write(&mut frame, &Head::Watch(correlation), actor.as_str().as_bytes(), self.frame_bytes_max)?;
        if !self.outgoing.push_when_room(Lane::Control, &mut frame, only_for).await {
            return Err(self.unreachable());
        }
        let ended = poll_fn(|task| self.poll_reply(correlation, task)).await;
        watching.is_open = false;
        ended.unwrap_or_else(|| Err(self.unreachable()))
    }

    /// Encodes a body: on the bulk lane as part of a frame that the lane will take, on the control lane into a buffer of
    /// this thread, so that no code of a message runs while the lane is locked.
    #[inline]
    fn framed<R>(
        &self,
        call: &Call<'_>,
        head: Head<'_>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), PeerError>,
        push: impl FnOnce(NamedFrame<'_>) -> Result<R, PeerError>,
    ) -> Result<R, PeerError> {
        let (limit, spoken) = (self.frame_bytes_max, call.message);
        match call.lane {
            Lane::Control => with_scratch(|bytes| {
                encode(bytes)?;
                let total = frame::length_of(&head, bytes.len());
                if total > limit {
                    return Err(PeerError::TooLarge { bytes: total as u64, limit: limit as u64 });
                }
                push(NamedFrame { head, spoken, bytes, body_at: 0 })
            }),
            Lane::Bulk => {
                let mut bytes = self.outgoing.spare();
                frame::begin(&mut bytes, &head);
                let body_at = bytes.len();
                encode(&mut bytes)?;
                frame::finish(&mut bytes, 0, limit)?;
                push(NamedFrame { head, spoken, bytes: &mut bytes, body_at })
            }
        }
    }

    /// The node at the other end, once the link is up.
    pub(crate) fn node(&self) -> Option<NodeId> {
        lock(&self.state).node.clone()
    }

    pub(crate) fn is_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }

    /// Asks the session to end; nothing is to be sent over the link from now on.
    pub(crate) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        self.closed.cancel();
    }

    /// Whether it has been closed, by itself and not with its node.
    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
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
        let mut state = lock(&self.state);
        let Some(waiting) = state.waiting.get_mut(correlation) else { return false };
        let Waiting::Reply(waker) = waiting else { return false };
        let waker = waker.take();
        *waiting = Waiting::Replied(reply);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// Ready with the reply, or with nothing if it has not come in time.
    fn poll_reply(&self, correlation: u64, task: &task::Context<'_>) -> Poll<Option<Result<Bytes, PeerError>>> {
        let mut state = lock(&self.state);
        let Some(waiting) = state.waiting.get_mut(correlation) else { return Poll::Ready(None) };
        match waiting {
            Waiting::Reply(Some(waker)) => waker.clone_from(task.waker()),
            Waiting::Reply(waker) => *waker = Some(task.waker().clone()),
            Waiting::Late => return Poll::Ready(None),
            Waiting::Replied(_) => {
                let Waiting::Replied(reply) = std::mem::replace(waiting, Waiting::Late) else { return Poll::Pending };
                return Poll::Ready(Some(reply));
            }
        }
        Poll::Pending
    }

    /// A deadline is before all others.
    pub(crate) fn on_earlier_deadline(&self) {
        self.earlier_deadline.notify_one();
    }

    /// Ends asks of both sides when their time is over, for as long as it is polled. One timer serves all of them: it is
    /// moved only for one that ends before all others.
    pub(crate) async fn keep_time<T>(&self) -> T {
        loop {
            let mine = lock(&self.state).waiting.deadline();
            let due = [mine, self.answering.deadline()].into_iter().flatten().min();
            let over = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.earlier_deadline.notified() => {}
                () = over => self.expire(Instant::now()),
            }
        }
    }

    fn expire(&self, now: Instant) {
        self.answering.expire(now);
        let mut wakers = Vec::new();
        let mut state = lock(&self.state);
        for correlation in state.waiting.expire(now) {
            if let Some(waiting) = state.waiting.get_mut(correlation) {
                waiting.end(Waiting::Late, &mut wakers);
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends the link for good: fails all that waits, at once.
    pub(crate) fn on_end(&self, cause: &EndCause) {
        let was_up = {
            let mut state = lock(&self.state);
            state.ended.get_or_insert_with(|| cause.clone());
            state.node.is_some()
        };
        self.permits.close();
        self.outgoing.end();
        self.answering.end();
        self.close();
        let lost = PeerError::LinkLost { cause: cause.text.clone() };
        let error = if was_up { lost } else { self.unreachable() };
        let mut wakers = Vec::new();
        let mut state = lock(&self.state);
        for waiting in state.waiting.values_mut() {
            waiting.end(Waiting::Replied(Err(error.clone())), &mut wakers);
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
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

    /// A place for the reply to what is about to be sent.
    fn wait_for(&self, deadline: Option<Instant>) -> Result<u64, PeerError> {
        let mut state = lock(&self.state);
        if state.ended.is_some() {
            drop(state);
            return Err(self.unreachable());
        }
        let (correlation, is_earliest) = state.waiting.insert(Waiting::Reply(None), deadline);
        drop(state);
        if is_earliest {
            self.on_earlier_deadline();
        }
        Ok(correlation)
    }

    fn forget(&self, correlation: u64) {
        // What was waited for may be large, so it is dropped without the lock.
        let waiting = lock(&self.state).waiting.remove(correlation);
        drop(waiting);
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
    correlation: u64,
    within: Duration,
    /// Whether it is one of those that may be pending.
    has_permit: bool,
    /// The frame, if it waits for a permit or for room on its lane.
    unsent: Option<Box<Unsent<'a>>>,
}

impl Asking<'_> {
    /// Waits for room if there was none, then for the reply, within the time that the ask was given.
    pub(crate) async fn reply(mut self) -> Result<Bytes, PeerError> {
        let after_ms = u64::try_from(self.within.as_millis()).unwrap_or(u64::MAX);
        let late = || PeerError::Timeout { after_ms };
        if let Some(unsent) = self.unsent.take() {
            // Seldom so, and the future of every ask would have to hold it.
            Box::pin(timeout(self.within, self.send(*unsent))).await.unwrap_or_else(|_| Err(late()))?;
        }
        let reply = poll_fn(|task| self.link.poll_reply(self.correlation, task)).await;
        reply.unwrap_or_else(|| Err(late()))
    }

    async fn send(&mut self, unsent: Unsent<'_>) -> Result<(), PeerError> {
        if !self.has_permit {
            let permit = self.link.permits.acquire().await.map_err(|_| self.link.unreachable())?;
            permit.forget();
            self.has_permit = true;
        }
        unsent.taken().await
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.link.forget(self.correlation);
        if self.has_permit {
            self.link.permits.add_permits(1);
        }
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
        self.link.forget(self.correlation);
        if self.is_open {
            let mut frame = Vec::new();
            frame::write(&mut frame, &Head::Unwatch(self.correlation), &[], 1024).expect("nine bytes are few");
            // Without room the other end keeps the watch until the actor or the link ends.
            let _ = self.link.outgoing.push(Lane::Control, &mut frame, None);
        }
    }
}

/// A message that waits for room on its lane.
pub(crate) struct Unsent<'a> {
    link: &'a Link,
    lane: Lane,
    head: Head<'a>,
    spoken: Spoken,
    bytes: Vec<u8>,
    body_at: usize,
    only_for: OnlyFor,
}

impl Unsent<'_> {
    /// Waits until the lane has taken it; bounded by the caller's timeout.
    pub(crate) async fn taken(mut self) -> Result<(), PeerError> {
        let Self { head, spoken, body_at, .. } = self;
        let frame = NamedFrame { head, spoken, bytes: &mut self.bytes, body_at };
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
pub(crate) fn with_scratch<R>(write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut frame = SCRATCH.take();
    frame.clear();
    let written = write(&mut frame);
    if frame.capacity() <= SCRATCH_BYTES_MAX {
        SCRATCH.set(frame);
    }
    written
}
