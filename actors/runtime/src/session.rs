//! A link while its connection is open: one reader, one writer, one watchdog.
//!
//! The reader never waits for an actor or for the writer, so a slow actor delays nobody else.

use crate::error::PeerError;
use crate::exports::Answer;
use crate::fabric::Fabric;
use crate::frame::{self, Header, Kind};
use crate::link::{Link, Outbound, Queues};
use crate::name::{ActorName, NodeId};
use crate::transport::Connection;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use odeon_protocol::codec;
use odeon_protocol::wire::Lane;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};
use tracing::{debug, warn};

/// How many bytes gather before the writer writes without looking for more.
const WRITE_BYTES_BATCH: usize = 64 * 1024;

/// A connection as frames, with a note of when bytes last arrived.
pub(crate) struct Framed {
    pub(crate) read: FramedRead<Metered, LengthDelimitedCodec>,
    pub(crate) write: FramedWrite<WriteHalf<Connection>, LengthDelimitedCodec>,
}

impl Framed {
    pub(crate) fn new(connection: Connection, frame_bytes_max: usize) -> Self {
        let (read, write) = tokio::io::split(connection);
        let codec = LengthDelimitedCodec::builder().max_frame_length(frame_bytes_max).new_codec();
        let metered = Metered { inner: read, start: Instant::now(), last_ms: Arc::default() };
        let mut write = FramedWrite::new(write, codec.clone());
        write.set_backpressure_boundary(WRITE_BYTES_BATCH);
        Self { read: FramedRead::new(metered, codec), write }
    }

    pub(crate) fn set_frame_bytes_max(&mut self, bytes: usize) {
        self.read.decoder_mut().set_max_frame_length(bytes);
        self.write.encoder_mut().set_max_frame_length(bytes);
    }
}

/// A reader that notes when bytes last arrived.
pub(crate) struct Metered {
    inner: ReadHalf<Connection>,
    start: Instant,
    last_ms: Arc<AtomicU64>,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last_ms.store(elapsed, Ordering::Relaxed);
        }
        polled
    }
}

/// Runs a link until it ends; the result says how.
pub(crate) async fn run(
    fabric: &Arc<Fabric>,
    link: &Arc<Link>,
    node: &NodeId,
    framed: Framed,
    queues: Queues,
) -> String {
    let Framed { read, write } = framed;
    let (start, last_ms) = (read.get_ref().start, Arc::clone(&read.get_ref().last_ms));
    let limits = &fabric.limits;
    let reader = Reader {
        fabric: Arc::clone(fabric),
        link: Arc::clone(link),
        node: node.clone(),
        inbound: Arc::new(Semaphore::new(limits.inbound_asks_max)),
    };
    tokio::select! {
        biased;
        () = link.close.cancelled() => "closed by this node".into(),
        reason = reader.run(read) => reason,
        reason = write_all(write, queues, link, node, limits.heartbeat_interval) => reason,
        reason = watch(start, &last_ms, limits.heartbeat_timeout) => reason,
    }
}

async fn watch(start: Instant, last_ms: &AtomicU64, timeout: Duration) -> String {
    loop {
        let due = start + Duration::from_millis(last_ms.load(Ordering::Relaxed)) + timeout;
        if Instant::now() >= due {
            return format!("no bytes for {} ms", timeout.as_millis());
        }
        tokio::time::sleep_until(due).await;
    }
}

async fn write_all(
    mut socket: FramedWrite<WriteHalf<Connection>, LengthDelimitedCodec>,
    mut queues: Queues,
    link: &Link,
    node: &NodeId,
    heartbeat: Duration,
) -> String {
    let ping = Bytes::from(frame::encode(&Header::bare(Kind::Ping, 0), &[], 1024).expect("a ping is small"));
    let mut beats = tokio::time::interval(heartbeat);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let mut next = tokio::select! {
            biased;
            Some(outbound) = queues.control.recv() => Some(outbound),
            _ = beats.tick() => Some(Outbound { frame: ping.clone(), only_for: None }),
            Some(outbound) = queues.bulk.recv() => Some(outbound),
        };
        while let Some(outbound) = next {
            if let Err(error) = write_one(&mut socket, outbound, link, node).await {
                return format!("cannot write: {error}");
            }
            next = queues.control.try_recv().ok().or_else(|| queues.bulk.try_recv().ok());
        }
        if let Err(error) = SinkExt::<Bytes>::flush(&mut socket).await {
            return format!("cannot write: {error}");
        }
    }
}

async fn write_one(
    socket: &mut FramedWrite<WriteHalf<Connection>, LengthDelimitedCodec>,
    outbound: Outbound,
    link: &Link,
    node: &NodeId,
) -> io::Result<()> {
    match outbound.only_for {
        Some((wanted, correlation)) if wanted != *node => {
            link.refuse_other_node(&wanted, correlation);
            Ok(())
        }
        _ => socket.feed(outbound.frame).await,
    }
}

struct Reader {
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    node: NodeId,
    /// One permit for each ask of the other node that is being handled.
    inbound: Arc<Semaphore>,
}

impl Reader {
    async fn run(self, mut frames: FramedRead<Metered, LengthDelimitedCodec>) -> String {
        loop {
            let bytes = match frames.next().await {
                None => return "closed by the other node".into(),
                Some(Ok(bytes)) => bytes.freeze(),
                Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return self.refuse(&error.to_string());
                }
                Some(Err(error)) => return format!("cannot read: {error}"),
            };
            if let Err(error) = self.on_frame(&bytes) {
                return self.refuse(&error.to_string());
            }
        }
    }

    /// A frame that is none: what follows cannot be trusted, so the link ends.
    fn refuse(&self, cause: &str) -> String {
        self.fabric.counters.frames_refused.fetch_add(1, Ordering::Relaxed);
        warn!(node = %self.node, cause, "closing a link after a bad frame");
        format!("a bad frame: {cause}")
    }

    fn on_frame(&self, bytes: &Bytes) -> Result<(), frame::FrameError> {
        let (header, body) = frame::decode(bytes)?;
        match header.kind {
            Kind::Ping => {}
            Kind::Tell => self.on_tell(&header, body),
            Kind::Ask => self.on_ask(&header, body),
            Kind::Reply => self.on_reply(header.correlation, Ok(bytes.slice_ref(body))),
            Kind::Refusal => {
                let error = codec::decode(body, self.fabric.limits.body_depth_max);
                let error = error.unwrap_or_else(|error| PeerError::undecodable("the refusal", &error));
                self.on_reply(header.correlation, Err(error));
            }
        }
        Ok(())
    }

    fn on_reply(&self, correlation: u64, reply: Result<Bytes, PeerError>) {
        if !self.link.on_reply(correlation, reply) {
            self.fabric.counters.replies_late.fetch_add(1, Ordering::Relaxed);
            debug!(node = %self.node, correlation, "nobody waits for this reply any more");
        }
    }

    fn on_tell(&self, header: &Header<'_>, body: &[u8]) {
        let depth_max = self.fabric.limits.body_depth_max;
        let told = self.fabric.door(header.actor, header.message);
        if let Err(error) = told.and_then(|door| door.tell_bytes(&self.node, body, depth_max)) {
            self.fabric.counters.tells_dropped.fetch_add(1, Ordering::Relaxed);
            warn!(node = %self.node, actor = header.actor, message = header.message, %error, "a message is dropped");
        }
    }

    fn on_ask(&self, header: &Header<'_>, body: &[u8]) {
        let Ok(permit) = Arc::clone(&self.inbound).try_acquire_owned() else {
            return self.refuse_ask(header.correlation, &PeerError::MailboxFull);
        };
        let asked = self.fabric.door(header.actor, header.message).and_then(|door| {
            let answer = door.ask_bytes(&self.node, body, self.fabric.limits.body_depth_max)?;
            Ok((answer, door.lane()))
        });
        match asked {
            Err(error) => self.refuse_ask(header.correlation, &error),
            Ok((answer, lane)) => {
                let reply = Replying {
                    link: Arc::clone(&self.link),
                    frame_bytes_max: self.fabric.limits.frame_bytes_max,
                    correlation: header.correlation,
                    lane,
                };
                let within = Duration::from_millis(header.deadline_ms);
                tokio::spawn(async move {
                    reply.run(answer, within).await;
                    drop(permit);
                });
            }
        }
    }

    /// Refuses without waiting: if even the refusal finds no room, the asker's timeout tells it.
    fn refuse_ask(&self, correlation: u64, error: &PeerError) {
        debug!(node = %self.node, correlation, %error, "an ask is refused");
        let outbound =
            Outbound { frame: refusal(correlation, error, self.fabric.limits.frame_bytes_max), only_for: None };
        if self.link.queue(Lane::Control).try_send(outbound).is_err() {
            self.fabric.counters.refusals_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A refusal that would not fit, as it quotes names from a hostile frame, says only that.
fn refusal(correlation: u64, error: &PeerError, frame_bytes_max: usize) -> Bytes {
    let header = Header::bare(Kind::Refusal, correlation);
    let encode = |error: &PeerError| {
        let body = codec::encode(error).expect("errors are plain data");
        frame::encode(&header, &body, frame_bytes_max)
    };
    encode(error).or_else(|too_large| encode(&too_large)).expect("two numbers fit any allowed frame").into()
}

/// One ask of the other node while the actor handles it.
struct Replying {
    link: Arc<Link>,
    frame_bytes_max: usize,
    correlation: u64,
    lane: Lane,
}

impl Replying {
    /// Past the deadline the asker has gone, so nothing is sent; dropping the answer also cancels an
    /// ask that still waits in the mailbox.
    async fn run(self, answer: Answer<Vec<u8>>, within: Duration) {
        let reply = async {
            let header = Header::bare(Kind::Reply, self.correlation);
            let encoded = answer.await.and_then(|body| frame::encode(&header, &body, self.frame_bytes_max));
            let frame =
                encoded.map_or_else(|error| refusal(self.correlation, &error, self.frame_bytes_max), Bytes::from);
            // The link has ended if this fails, and its asker knows.
            let _ = self.link.queue(self.lane).send(Outbound { frame, only_for: None }).await;
        };
        tokio::select! {
            biased;
            () = self.link.close.cancelled() => {}
            _ = tokio::time::timeout(within, reply) => {}
        }
    }
}

impl Fabric {
    fn door(&self, actor: &str, message: &str) -> Result<Arc<dyn crate::exports::AnyDoor>, PeerError> {
        let undecodable = |error: crate::name::NameError| PeerError::Undecodable {
            message: message.to_owned(),
            cause: format!("its actor: {error}"),
        };
        let actor = ActorName::new(actor).map_err(undecodable)?;
        let exports = self.exports_of(&actor)?;
        let door = exports.door(message).cloned();
        door.ok_or_else(|| PeerError::NotExported { actor, message: message.to_owned() })
    }
}
