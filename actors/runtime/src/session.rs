//! A link while its connection is open: one reader, one writer, one watchdog.
//!
//! The reader never waits for an actor or for the writer, so a slow actor delays nobody else.

use crate::answering::{Asked, Errand, ReplyTo, refusal};
use crate::error::PeerError;
use crate::fabric::Fabric;
use crate::frame::{self, FrameError, Head, Way};
use crate::heartbeat::Heartbeat;
use crate::inbox::RUN_MESSAGES_MAX;
use crate::link::Link;
use crate::name::{ActorName, NodeId};
use crate::origin::Origin;
use crate::outgoing::{BulkFrame, Spoken, Taken};
use crate::reader::{FrameReader, Heard, Received};
use crate::routes::{Doors, Found, Rooms};
use crate::run::Run;
use crate::schemas::Schemas;
use crate::transport::Connection;
use crate::trust::PeerRoles;
use bytes::Buf;
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use odeon_protocol::codec;
use odeon_protocol::wire::Lane;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{debug, warn};

/// How often the reader reads before it lets the writer and the actors of its thread have a turn.
const READS_PER_TURN: usize = 4;

/// What a run makes room for at once, in bytes.
const RUN_BYTES: usize = 64 * 1024;

/// A connection as frames.
pub(crate) struct Framed {
    pub(crate) read: FrameReader<ReadHalf<Connection>>,
    write: WriteHalf<Connection>,
}

impl Framed {
    pub(crate) fn new(connection: Connection, frame_bytes_max: usize) -> Self {
        let (read, write) = tokio::io::split(connection);
        Self { read: FrameReader::new(read, frame_bytes_max), write }
    }

    /// Sends one frame; for the handshake.
    pub(crate) async fn send(&mut self, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.write.write_all(&[&length.to_be_bytes(), body].concat()).await?;
        self.write.flush().await
    }
}

/// What is known of the other end of a link.
pub(crate) struct Other {
    /// Its build.
    pub(crate) build: String,
    /// How it may act.
    pub(crate) roles: PeerRoles,
}

/// Runs a link until it ends; the result says how.
pub(crate) async fn run(fabric: &Arc<Fabric>, link: &Arc<Link>, node: &NodeId, other: Other, framed: Framed) -> String {
    let Framed { mut read, write } = framed;
    let tells_schemas = other.build != fabric.build;
    let limits = &fabric.limits;
    let heard = Heard::new(limits);
    read.set_heard(heard.clone());
    let reader = Reader {
        fabric: Arc::clone(fabric),
        link: Arc::clone(link),
        node: node.clone(),
        origin: Origin::new(fabric, node.clone()),
        doors: Doors::of(other.roles),
        schemas: Schemas::between(other.build, fabric.build.clone()),
        rooms: Rooms::default(),
        gathering: None,
        run_bytes: 0,
        parked: FuturesUnordered::new(),
        watches: FuturesUnordered::new(),
        unwatch: BTreeMap::new(),
        replies: FuturesUnordered::new(),
        now: None,
    };
    tokio::select! {
        biased;
        () = link.closed.cancelled() => "closed by this node".into(),
        // Before the reader: one that always finds something to read would use up the task's budget of operations
        // at each turn, and neither a reply nor a heartbeat would ever leave.
        reason = write_all(write, link, node, limits.heartbeat_interval, tells_schemas) => reason,
        reason = link.keep_time() => reason,
        reason = reader.run(read) => reason,
        reason = watch(&heard) => reason,
    }
}

/// If this process itself did not run, the reader is asked first, and has read what arrived meanwhile.
async fn watch(heard: &Heard) -> String {
    loop {
        let due = heard.due();
        if Instant::now() >= due {
            return format!("no bytes for {} ms", heard.silence().as_millis());
        }
        tokio::time::sleep_until(due).await;
    }
}

async fn write_all(
    mut socket: WriteHalf<Connection>,
    link: &Link,
    node: &NodeId,
    heartbeat: Duration,
    tells_schemas: bool,
) -> String {
    let mut beats = tokio::time::interval(heartbeat);
    beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut buffer, mut bulk) = (Vec::new(), BulkFrame::default());
    loop {
        let refuse = |wanted: &NodeId, correlation| link.refuse_other_node(wanted, correlation);
        let taken = link.outgoing.take(&mut buffer, &mut bulk, node, refuse);
        // A schema is told before the first message of its kind.
        let schemas = link
            .outgoing
            .first_spoken()
            .filter(|_| tells_schemas)
            .map(|first| schema_frames(&first, link.frame_bytes_max));
        if let Some(schemas) = schemas
            && let Err(error) = socket.write_all(&schemas).await
        {
            return format!("cannot write: {error}");
        }
        let written = match taken {
            Taken::Control => socket.write_all(&buffer).await,
            Taken::Piece(piece) => socket.write_all_buf(&mut buffer.chain(bulk.part(piece))).await,
            Taken::Nothing => {
                let flushed = socket.flush().await;
                tokio::select! {
                    biased;
                    () = link.outgoing.arrived() => {}
                    _ = beats.tick() => link.beat(),
                }
                flushed
            }
        };
        if let Err(error) = written {
            return format!("cannot write: {error}");
        }
    }
}

/// One that is larger than any frame may be is not told, and so not compared.
fn schema_frames(first: &[Spoken], bytes_max: usize) -> Vec<u8> {
    let mut frames = Vec::new();
    for spoken in first {
        let text = (spoken.schema)().text().as_bytes();
        if let Err(error) = frame::write(&mut frames, &Head::Schema(spoken.name), text, bytes_max) {
            debug!(message = spoken.name, %error, "a schema is not told");
        }
    }
    frames
}

/// A run of tells of one route.
struct Gathering {
    route: u16,
    run: Box<dyn Run>,
    /// Bytes of those that have no room.
    parked: usize,
}

struct Reader {
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    node: NodeId,
    origin: Arc<Origin>,
    doors: Doors,
    schemas: Schemas,
    rooms: Rooms,
    /// The run of tells that frames are added to; it is handed over before anything else goes to an actor, and before
    /// the next read.
    gathering: Option<Gathering>,
    /// Bytes of the last run: the next one is likely to be as long.
    run_bytes: usize,
    /// Tells that wait behind a full mailbox, by route and bytes; as many as [`Rooms`] lets in.
    parked: FuturesUnordered<BoxFuture<'static, (u16, usize)>>,
    /// Watches of the other node, which end with their correlation.
    watches: FuturesUnordered<BoxFuture<'static, u64>>,
    /// How each of them is broken off.
    unwatch: BTreeMap<u64, AbortHandle>,
    /// Asks of the other node whose replies come later.
    replies: FuturesUnordered<Errand>,
    /// When the frames at hand were read, once it was asked for.
    now: Option<Instant>,
}

impl Reader {
    async fn run(mut self, mut frames: FrameReader<ReadHalf<Connection>>) -> String {
        let mut reads = 0_usize;
        loop {
            let bad = self.on_buffered(&mut frames);
            self.deliver();
            if let Err(cause) = bad {
                return self.refuse(&cause);
            }
            if let Some(bytes) = frames.credit() {
                self.link.outgoing.grant(bytes);
            }
            for (route, bytes) in self.rooms.due() {
                self.link.outgoing.grant_room(route, bytes);
            }
            // In a fixed order, so that a run on a paused clock repeats; the first ones end, as only reads bring new ones.
            let filled = tokio::select! {
                biased;
                Some(()) = self.replies.next() => continue,
                errands = self.link.answering.errands() => {
                    self.replies.extend(errands);
                    continue;
                }
                Some(correlation) = self.watches.next() => {
                    self.unwatch.remove(&correlation);
                    continue;
                }
                Some((route, bytes)) = self.parked.next() => {
                    self.rooms.unpark(route, bytes);
                    continue;
                }
                filled = frames.fill() => filled,
            };
            reads += 1;
            if reads.is_multiple_of(READS_PER_TURN) {
                tokio::task::yield_now().await;
            }
            match filled {
                Ok(true) => {}
                Ok(false) => return "closed by the other node".into(),
                Err(error) => return format!("cannot read: {error}"),
            }
        }
    }

    fn on_buffered(&mut self, frames: &mut FrameReader<ReadHalf<Connection>>) -> Result<(), String> {
        let mut count = 0;
        self.now = None;
        while let Some(received) = frames.buffered().map_err(|error| error.to_string())? {
            count += 1;
            self.on_frame(received).map_err(|error| error.to_string())?;
        }
        self.link.on_arrived(count, frames.bytes());
        Ok(())
    }

    /// A frame that is none: what follows cannot be trusted, so the link ends.
    fn refuse(&self, cause: &str) -> String {
        self.fabric.counters.frames_refused.fetch_add(1, Ordering::Relaxed);
        warn!(node = %self.node, cause, "closing a link after a bad frame");
        format!("a bad frame: {cause}")
    }

    fn on_frame(&mut self, received: Received<'_>) -> Result<(), FrameError> {
        let bytes = received.bytes();
        if let Some((route, body)) = frame::numbered_tell(bytes) {
            return self.on_numbered_tell(route, body, bytes.len() + frame::PREFIX_BYTES);
        }
        let (head, body) = frame::decode(bytes)?;
        match head {
            Head::Ping => Heartbeat::decode(body).into_iter().for_each(|heartbeat| self.link.on_heartbeat(heartbeat)),
            Head::Define(route, names) => {
                self.deliver();
                self.doors.define(route, names)?;
            }
            Head::Schema(message) => self.schemas.learn(&self.fabric.schemas, message, body)?,
            Head::Tell(way) => self.on_named_tell(way, body)?,
            Head::Ask { way, correlation, deadline_ms } => {
                self.on_ask(way, correlation, Duration::from_millis(deadline_ms), body)?;
            }
            Head::Reply(correlation) => {
                let length = body.len();
                self.on_reply(correlation, Ok(received.into_last(length)));
            }
            Head::Refusal(correlation) => {
                let error = codec::decode(body, self.fabric.limits.body_depth_max);
                let error = error.unwrap_or_else(|error| PeerError::undecodable("the refusal", &error));
                self.on_reply(correlation, Err(error));
            }
            Head::Watch(correlation) => self.on_watch(correlation, body),
            Head::Unwatch(correlation) => self.unwatch.remove(&correlation).iter().for_each(AbortHandle::abort),
            Head::Room(route, bytes) => self.link.outgoing.on_room(route, bytes),
            Head::Credit(count) => self.link.outgoing.on_credit(count)?,
            Head::Begin(_) | Head::Piece => return Err(FrameError::Piece),
        }
        Ok(())
    }

    fn on_reply(&self, correlation: u64, reply: Result<bytes::Bytes, PeerError>) {
        if !self.link.on_reply(correlation, reply) {
            self.fabric.counters.replies_late.fetch_add(1, Ordering::Relaxed);
            debug!(node = %self.node, correlation, "nobody waits for this reply any more");
        }
    }

    /// A tell of the bulk lane, which bears no number and finds no room at a full mailbox.
    fn on_named_tell(&mut self, way: Way<'_>, body: &[u8]) -> Result<(), FrameError> {
        self.deliver();
        let Found { names, door } = self.doors.find(&self.fabric, &self.schemas, way)?;
        let told = door.and_then(|door| door.tell_bytes(&self.node, body, self.fabric.limits.body_depth_max));
        if let Err(error) = told {
            self.origin.dropped(names, 1, &error);
        }
        Ok(())
    }

    /// A tell that finds no room waits for it, and the sender hears of room later; a sender that does not keep to that
    /// finds none.
    fn on_numbered_tell(&mut self, route: u16, body: &[u8], bytes: usize) -> Result<(), FrameError> {
        let told = match self.gathered(route)? {
            true => self.gather(body, bytes),
            false => self.tell_alone(route, body, bytes)?,
        };
        if let Err(error) = told {
            self.rooms.find(route, bytes);
            self.origin.dropped(self.doors.names(route), 1, &error);
        }
        Ok(())
    }

    /// Begins a run of this route, unless it is under way; false if its actor takes no runs, or there is none.
    fn gathered(&mut self, route: u16) -> Result<bool, FrameError> {
        let is_open = |open: &Gathering| open.route == route && open.run.len() < RUN_MESSAGES_MAX;
        if self.gathering.as_ref().is_some_and(is_open) {
            return Ok(true);
        }
        self.deliver();
        let (actor, door) = self.doors.find_numbered(&self.fabric, &self.schemas, route)?;
        let run = door.ok().and_then(|door| door.run(&actor, &self.origin));
        self.gathering = run.map(|mut run| {
            run.reserve(self.run_bytes.min(RUN_BYTES));
            Gathering { route, run, parked: 0 }
        });
        Ok(self.gathering.is_some())
    }

    fn gather(&mut self, body: &[u8], bytes: usize) -> Result<(), PeerError> {
        let open = self.gathering.as_mut().expect("a run is under way");
        let has_room = open.run.room() > 0;
        if !has_room && !self.rooms.may_park(open.route) {
            return Err(PeerError::MailboxFull);
        }
        open.run.push(body);
        if has_room {
            self.rooms.find(open.route, bytes);
        } else {
            self.rooms.park(open.route, bytes);
            open.parked += bytes;
        }
        Ok(())
    }

    /// Hands the run that is under way to its actor.
    fn deliver(&mut self) {
        let Some(Gathering { route, run, parked }) = self.gathering.take() else { return };
        let count = run.len();
        if count == 0 {
            return;
        }
        self.run_bytes = run.bytes();
        let until = (parked > 0).then(|| {
            let (until, handled) = oneshot::channel::<()>();
            self.parked.push(handled.map(move |_| (route, parked)).boxed());
            until
        });
        if !run.deliver(until) {
            self.origin.dropped(self.doors.names(route), count, &PeerError::Stopped);
        }
    }

    /// A tell for an actor that takes no runs.
    fn tell_alone(&mut self, route: u16, body: &[u8], bytes: usize) -> Result<Result<(), PeerError>, FrameError> {
        let door = self.doors.find(&self.fabric, &self.schemas, Way::Route(route))?.door;
        let depth_max = self.fabric.limits.body_depth_max;
        let told = door.and_then(|door| match self.rooms.may_park(route) {
            true => door.tell_bytes_or_wait(&self.node, body, depth_max),
            false => door.tell_bytes(&self.node, body, depth_max).map(|()| None),
        });
        Ok(told.map(|waits| match waits {
            Some(handled) => {
                self.rooms.park(route, bytes);
                self.parked.push(handled.map(move |()| (route, bytes)).boxed());
            }
            None => self.rooms.find(route, bytes),
        }))
    }

    fn on_ask(&mut self, way: Way<'_>, correlation: u64, within: Duration, body: &[u8]) -> Result<(), FrameError> {
        self.deliver();
        let Found { door, .. } = self.doors.find(&self.fabric, &self.schemas, way)?;
        let limits = &self.fabric.limits;
        let deadline = self.now.get_or_insert_with(Instant::now).checked_add(within);
        let asked = door.and_then(|door| {
            let asked = Asked { correlation, lane: door.lane(), deadline };
            let to = ReplyTo::new(&self.link, asked, limits)?;
            door.ask_bytes(&self.node, body, limits.body_depth_max, to)
        });
        match asked {
            Err(error) => self.refuse_ask(correlation, &error),
            Ok(errand) => self.replies.extend(errand),
        }
        Ok(())
    }

    fn on_watch(&mut self, correlation: u64, actor: &[u8]) {
        let limits = &self.fabric.limits;
        if self.watches.len() >= limits.watches_max {
            return self.refuse_ask(correlation, &PeerError::MailboxFull);
        }
        let actor = std::str::from_utf8(actor).ok().and_then(|actor| ActorName::new(actor).ok());
        let Some(actor) = actor else {
            let (message, cause) = ("a watch".into(), "it does not name an actor".into());
            return self.refuse_ask(correlation, &PeerError::Undecodable { message, cause });
        };
        let (abort, registration) = AbortHandle::new_pair();
        // The same number twice is no watch of its own.
        self.unwatch.insert(correlation, abort).iter().for_each(AbortHandle::abort);
        let (link, ended, bytes_max) = (Arc::clone(&self.link), self.fabric.watch(&actor), limits.frame_bytes_max);
        let told = async move {
            let body = codec::encode(&ended.await).expect("an end is plain data");
            let mut frame = Vec::new();
            if let Err(error) = frame::write(&mut frame, &Head::Reply(correlation), &body, bytes_max) {
                frame = refusal(correlation, &error, bytes_max);
            }
            link.outgoing.push_when_room(Lane::Control, &mut frame, None).await;
        };
        // Broken off, there is nobody to tell.
        self.watches.push(Abortable::new(told, registration).map(move |_| correlation).boxed());
    }

    /// Refuses without waiting: if even the refusal finds no room, the asker's timeout tells it.
    fn refuse_ask(&self, correlation: u64, error: &PeerError) {
        debug!(node = %self.node, correlation, %error, "an ask is refused");
        self.origin.note_forbidden(1, error);
        let mut refusal = refusal(correlation, error, self.fabric.limits.frame_bytes_max);
        if self.link.outgoing.push(Lane::Control, &mut refusal, None).is_err() {
            self.fabric.counters.refusals_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
