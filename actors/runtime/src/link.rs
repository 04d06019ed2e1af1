//! One link as its senders see it: two queues, the asks that wait for a reply, and how it ended.
//!
//! The socket side is in `session.rs`; which link leads where is in `fabric.rs`.

use crate::error::PeerError;
use crate::fabric::lock;
use crate::frame::{self, Header, Kind};
use crate::limits::FabricLimits;
use crate::name::{ActorName, NodeId};
use bytes::Bytes;
use odeon_protocol::wire::Lane;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// A frame on its way to the socket.
pub(crate) struct Outbound {
    pub(crate) frame: Bytes,
    /// For a frame that was queued before the other node was known: the only node it is for, and
    /// the ask to refuse otherwise.
    pub(crate) only_for: Option<(NodeId, u64)>,
}

/// The ends of the two queues that the session drains.
pub(crate) struct Queues {
    pub(crate) control: mpsc::Receiver<Outbound>,
    pub(crate) bulk: mpsc::Receiver<Outbound>,
}

/// What an ask or a tell is about.
pub(crate) struct Call<'a> {
    pub(crate) actor: &'a ActorName,
    pub(crate) message: &'static str,
    pub(crate) lane: Lane,
    pub(crate) body: &'a [u8],
    /// The only node that will do, if it matters.
    pub(crate) only: Option<&'a NodeId>,
}

struct Waiting {
    reply: oneshot::Sender<Result<Bytes, PeerError>>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct State {
    /// Known once the link is up.
    node: Option<NodeId>,
    /// Set once and for all when the link ends.
    ended: Option<String>,
    waiting: BTreeMap<u64, Waiting>,
}

/// The senders' end of a link.
pub(crate) struct Link {
    pub(crate) number: u64,
    /// What the link leads to, for error texts.
    target: String,
    control: mpsc::Sender<Outbound>,
    bulk: mpsc::Sender<Outbound>,
    permits: Arc<Semaphore>,
    next: AtomicU64,
    frame_bytes_max: usize,
    state: Mutex<State>,
    /// Asks the session to end.
    pub(crate) close: CancellationToken,
}

impl Link {
    pub(crate) fn new(
        number: u64,
        target: String,
        limits: &FabricLimits,
        close: CancellationToken,
    ) -> (Arc<Self>, Queues) {
        let (control, control_end) = mpsc::channel(limits.control_frames_max);
        let (bulk, bulk_end) = mpsc::channel(limits.bulk_frames_max);
        let link = Self {
            number,
            target,
            control,
            bulk,
            permits: Arc::new(Semaphore::new(limits.pending_asks_max)),
            next: AtomicU64::new(1),
            frame_bytes_max: limits.frame_bytes_max,
            state: Mutex::default(),
            close,
        };
        (Arc::new(link), Queues { control: control_end, bulk: bulk_end })
    }

    /// Queues an ask and waits for its reply; bounded by the caller's timeout.
    pub(crate) async fn ask(&self, call: Call<'_>, within: Duration) -> Result<Bytes, PeerError> {
        let correlation = self.next.fetch_add(1, Ordering::Relaxed);
        let deadline_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let outbound = self.outbound(Kind::Ask, correlation, deadline_ms, &call)?;
        let permit = self.permit().await?;
        let reply = self.wait_for(correlation, permit)?;
        let _forget = Forget { link: self, correlation };
        self.enqueue(call.lane, outbound).await?;
        reply.await.unwrap_or_else(|_| Err(self.unreachable()))
    }

    /// Tries before it waits: waiting also yields to the scheduler now and then, and would let asks
    /// of one task overtake each other although there is room.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, PeerError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        Arc::clone(&self.permits).acquire_owned().await.map_err(|_| self.unreachable())
    }

    /// Tries before it waits, for the same reason.
    async fn enqueue(&self, lane: Lane, outbound: Outbound) -> Result<(), PeerError> {
        match self.queue(lane).try_send(outbound) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.unreachable()),
            Err(mpsc::error::TrySendError::Full(outbound)) => {
                self.queue(lane).send(outbound).await.map_err(|_| self.unreachable())
            }
        }
    }

    /// Queues a tell, or refuses at once.
    pub(crate) fn tell(&self, call: &Call<'_>) -> Result<(), PeerError> {
        let outbound = self.outbound(Kind::Tell, 0, 0, call)?;
        self.queue(call.lane).try_send(outbound).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PeerError::MailboxFull,
            mpsc::error::TrySendError::Closed(_) => self.unreachable(),
        })
    }

    /// The queue for frames that the session itself sends.
    pub(crate) fn queue(&self, lane: Lane) -> &mpsc::Sender<Outbound> {
        match lane {
            Lane::Control => &self.control,
            Lane::Bulk => &self.bulk,
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

    /// Hands a reply to its asker; false if nobody waits for it any more.
    pub(crate) fn on_reply(&self, correlation: u64, reply: Result<Bytes, PeerError>) -> bool {
        let waiting = lock(&self.state).waiting.remove(&correlation);
        waiting.is_some_and(|waiting| waiting.reply.send(reply).is_ok())
    }

    /// Ends the link for good: fails all that waits, at once.
    pub(crate) fn on_end(&self, cause: &str) {
        let (waiting, was_up) = {
            let mut state = lock(&self.state);
            state.ended.get_or_insert_with(|| cause.to_owned());
            (std::mem::take(&mut state.waiting), state.node.is_some())
        };
        self.permits.close();
        self.close.cancel();
        let lost = PeerError::LinkLost { cause: cause.to_owned() };
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

    fn outbound(&self, kind: Kind, correlation: u64, deadline_ms: u64, call: &Call<'_>) -> Result<Outbound, PeerError> {
        let only_for = match (call.only, self.node()) {
            (Some(wanted), Some(node)) if *wanted != node => return Err(self.other_incarnation(wanted)),
            (Some(wanted), None) => Some((wanted.clone(), correlation)),
            _ => None,
        };
        let header = Header { kind, correlation, actor: call.actor.as_str(), message: call.message, deadline_ms };
        let frame = frame::encode(&header, call.body, self.frame_bytes_max)?.into();
        Ok(Outbound { frame, only_for })
    }

    fn wait_for(
        &self,
        correlation: u64,
        permit: OwnedSemaphorePermit,
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
        PeerError::Unreachable { target: self.target.clone(), cause }
    }

    fn other_incarnation(&self, wanted: &NodeId) -> PeerError {
        let answers = self.node().map_or_else(|| "nobody".into(), |node| node.to_string());
        let cause = format!("another incarnation: {answers} answers at {}", self.target);
        PeerError::Unreachable { target: wanted.to_string(), cause }
    }
}

/// Drops the slot of an ask whose sender no longer waits.
struct Forget<'a> {
    link: &'a Link,
    correlation: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        lock(&self.link.state).waiting.remove(&self.correlation);
    }
}
