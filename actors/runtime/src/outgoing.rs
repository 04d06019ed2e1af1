//! The frames of a link that wait for its writer: one open buffer for control, a queue of whole frames for bulk.
//!
//! Senders append under a short lock; the writer swaps the buffer for an empty one and writes all of it. So an idle
//! link sends at once, and a busy one gathers by itself, without timers. A bulk frame leaves in pieces, and only so
//! many of them are on the way at a time. Sockets are elsewhere.

use crate::fabric::lock;
use crate::frame::{self, FrameError, Head, Names, PIECE_BYTES, PREFIX_BYTES, WINDOW_BYTES};
use crate::limits::FabricLimits;
use crate::name::NodeId;
use crate::routes::Numbers;
use odeon_protocol::schema::Schema;
use odeon_protocol::wire::Lane;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// A buffer that grew beyond this, in bytes, is not kept for reuse.
pub(crate) const SPARE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How many buffers of bulk frames are kept for reuse.
const SPARE_BUFFERS_MAX: usize = 2;

/// For a frame that was queued before the other node was known: the only node it is for, and the ask to refuse
/// otherwise.
pub(crate) type OnlyFor = Option<(NodeId, u64)>;

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The lane holds as many frames or bytes as it may, or too many tells are without room at their actor.
    Full,
    /// The link has ended.
    Ended,
}

/// What has become of a tell that was to leave without further ado.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Taken,
    /// As [`NotTaken::Full`].
    Full,
    /// It has to go the long way.
    NotHere,
}

/// A frame of the open buffer that is for one node only.
struct Guarded {
    start: usize,
    end: usize,
    node: NodeId,
    correlation: u64,
}

/// A kind of message.
#[derive(Clone, Copy)]
pub(crate) struct Spoken {
    pub(crate) name: &'static str,
    pub(crate) schema: fn() -> &'static Schema,
}

#[derive(Default)]
struct Waiting {
    /// The kinds of messages that were sent, and those of them of which the writer does not know yet.
    spoken: BTreeSet<&'static str>,
    first_spoken: Vec<Spoken>,
    control: Vec<u8>,
    control_frames: usize,
    numbers: Numbers,
    guarded: Vec<Guarded>,
    bulk: VecDeque<(Vec<u8>, OnlyFor)>,
    bulk_bytes: usize,
    spare: Vec<Vec<u8>>,
    /// Bytes of pieces that have left and of which the other end has not said that it has read them.
    on_the_way: usize,
    /// Bytes of pieces that this end has read, for the other end to know.
    credit: u32,
    /// Bytes of tells, by route, that have found room at this end, for the other end to know.
    room: Vec<(u16, u32)>,
    /// Frames and bytes that the writer has taken.
    sent: Volume,
    ended: bool,
}

/// Both lanes of one direction of a link.
pub(crate) struct Outgoing {
    waiting: Mutex<Waiting>,
    /// Whether there is a kind of which the writer does not know.
    has_first: AtomicBool,
    control_frames_max: usize,
    control_bytes_max: usize,
    bulk_frames_max: usize,
    bulk_bytes_max: usize,
    arrived: Notify,
    control_room: Notify,
    bulk_room: Notify,
}

/// So many frames and bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// What the writer has taken to write.
pub(crate) enum Taken {
    /// The control frames are in the buffer that was handed in.
    Control,
    /// The buffer holds the head of a piece, whose bytes are these of the bulk frame.
    Piece(Range<usize>),
    /// There is nothing to write.
    Nothing,
}

impl Outgoing {
    pub(crate) fn new(limits: &FabricLimits) -> Self {
        Self {
            waiting: Mutex::default(),
            has_first: AtomicBool::new(false),
            control_frames_max: limits.control_frames_max,
            control_bytes_max: limits.control_bytes_max,
            bulk_frames_max: limits.bulk_frames_max,
            bulk_bytes_max: limits.bulk_bytes_max,
            arrived: Notify::new(),
            control_room: Notify::new(),
            bulk_room: Notify::new(),
        }
    }

    /// Takes a whole frame, or leaves it as it is. A control frame is copied, a bulk frame is taken out of `frame`.
    pub(crate) fn push(&self, lane: Lane, frame: &mut Vec<u8>, only_for: OnlyFor) -> Result<(), NotTaken> {
        self.add(lane, |waiting| {
            match lane {
                Lane::Control => waiting.append(only_for, |control| control.extend_from_slice(frame)),
                Lane::Bulk => waiting.queue(frame, only_for),
            }
            Ok(())
        })
    }

    /// As [`push`](Self::push) for a frame that carries names.
    pub(crate) fn push_call(&self, lane: Lane, frame: &mut NamedFrame<'_>, only_for: OnlyFor) -> Result<(), NotTaken> {
        self.add(lane, |waiting| match lane {
            Lane::Control => waiting.append_call(frame, only_for, &self.has_first),
            Lane::Bulk => {
                waiting.speak(frame.spoken, &self.has_first);
                waiting.queue(frame.bytes, only_for);
                Ok(())
            }
        })
    }

    /// Takes a tell on the control lane by the number that its names have already; anything that is less plain is for
    /// [`push_call`](Self::push_call).
    pub(crate) fn push_tell(&self, names: Names<'_>, body: &[u8]) -> Told {
        let mut waiting = lock(&self.waiting);
        if waiting.ended {
            return Told::NotHere;
        }
        let Some(route) = waiting.numbers.known(names) else { return Told::NotHere };
        if !self.room_in(&waiting, Lane::Control) || !waiting.numbers.has_room(route) {
            return Told::Full;
        }
        let (was_empty, start) = (waiting.control_frames == 0, waiting.control.len());
        if frame::write_tell(&mut waiting.control, route, body, usize::MAX).is_err() {
            return Told::NotHere;
        }
        waiting.control_frames += 1;
        let bytes = waiting.control.len() - start;
        waiting.numbers.on_tell(route, bytes);
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        Told::Taken
    }

    /// The kinds of messages that were sent for the first time since this was asked last; asked after
    /// [`take`](Self::take), it has those of all that was taken.
    pub(crate) fn first_spoken(&self) -> Option<Vec<Spoken>> {
        let has_first = self.has_first.load(Ordering::Relaxed);
        has_first.then(|| {
            let mut waiting = lock(&self.waiting);
            self.has_first.store(false, Ordering::Relaxed);
            std::mem::take(&mut waiting.first_spoken)
        })
    }

    /// Whether a frame would be taken now; asked before a large body is encoded in vain.
    pub(crate) fn has_room(&self, lane: Lane) -> bool {
        self.room_in(&lock(&self.waiting), lane)
    }

    /// The last frame may go beyond the bytes that are allowed: its size is known too late to refuse it cheaply.
    fn room_in(&self, waiting: &Waiting, lane: Lane) -> bool {
        match lane {
            Lane::Control => {
                waiting.control_frames < self.control_frames_max && waiting.control.len() < self.control_bytes_max
            }
            Lane::Bulk => waiting.bulk.len() < self.bulk_frames_max && waiting.bulk_bytes < self.bulk_bytes_max,
        }
    }

    fn add(&self, lane: Lane, put: impl FnOnce(&mut Waiting) -> Result<(), NotTaken>) -> Result<(), NotTaken> {
        let mut waiting = lock(&self.waiting);
        if waiting.ended {
            return Err(NotTaken::Ended);
        }
        if !self.room_in(&waiting, lane) {
            return Err(NotTaken::Full);
        }
        // The writer may rest although bulk frames wait: until the other end has read more.
        let was_empty = match lane {
            Lane::Control => waiting.control_frames == 0,
            Lane::Bulk => waiting.bulk.is_empty(),
        };
        put(&mut waiting)?;
        drop(waiting);
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes a frame as soon as its lane has room; false if the link ends before.
    ///
    /// It tries before it waits: waiting also yields to the scheduler now and then, and would let frames of one task
    /// overtake each other although there is room.
    pub(crate) async fn push_when_room(&self, lane: Lane, frame: &mut Vec<u8>, only_for: OnlyFor) -> bool {
        self.when_room(lane, || self.push(lane, frame, only_for.clone())).await
    }

    /// As [`push_when_room`](Self::push_when_room) for a frame that carries names.
    pub(crate) async fn push_call_when_room(&self, lane: Lane, mut frame: NamedFrame<'_>, only_for: OnlyFor) -> bool {
        self.when_room(lane, || self.push_call(lane, &mut frame, only_for.clone())).await
    }

    async fn when_room(&self, lane: Lane, mut push: impl FnMut() -> Result<(), NotTaken>) -> bool {
        let room = match lane {
            Lane::Control => &self.control_room,
            Lane::Bulk => &self.bulk_room,
        };
        loop {
            let mut freed = std::pin::pin!(room.notified());
            freed.as_mut().enable();
            match push() {
                Ok(()) => return true,
                Err(NotTaken::Ended) => return false,
                Err(NotTaken::Full) => freed.await,
            }
        }
    }

    /// What the writer has taken, and what waits for it.
    pub(crate) fn volumes(&self) -> (Volume, Volume) {
        let waiting = lock(&self.waiting);
        let frames = (waiting.control_frames + waiting.bulk.len()) as u64;
        let bytes = (waiting.control.len() + waiting.bulk_bytes) as u64;
        (waiting.sent, Volume { frames, bytes })
    }

    /// Waits until there may be something to write.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes all control frames into `buffer`, or else the head of the next piece of a bulk frame, which `bulk` keeps
    /// from one piece to the next. Frames for another node than `node` are left out; `refuse` hears of them.
    pub(crate) fn take(
        &self,
        buffer: &mut Vec<u8>,
        bulk: &mut BulkFrame,
        node: &NodeId,
        mut refuse: impl FnMut(&NodeId, u64),
    ) -> Taken {
        buffer.clear();
        buffer.shrink_to(SPARE_BYTES_MAX);
        let mut waiting = lock(&self.waiting);
        if waiting.control_frames > 0 || waiting.credit > 0 || !waiting.room.is_empty() {
            let guarded = waiting.swap_control(buffer);
            drop(waiting);
            self.control_room.notify_waiters();
            for frame in guarded.iter().rev().filter(|frame| frame.node != *node) {
                buffer.drain(frame.start..frame.end);
                refuse(&frame.node, frame.correlation);
            }
            return Taken::Control;
        }
        if waiting.on_the_way >= WINDOW_BYTES {
            return Taken::Nothing;
        }
        while bulk.is_done() {
            let Some((frame, only_for)) = waiting.next_bulk() else { return Taken::Nothing };
            self.bulk_room.notify_waiters();
            match only_for {
                Some((wanted, correlation)) if wanted != *node => refuse(&wanted, correlation),
                _ => {
                    waiting.sent.frames += 1;
                    waiting.keep(bulk.replace(frame));
                }
            }
        }
        let piece = bulk.next_piece(buffer);
        waiting.on_the_way += piece.len();
        waiting.sent.bytes += (buffer.len() + piece.len()) as u64;
        Taken::Piece(piece)
    }

    /// Notes that this end has read so many bytes of pieces, for the other end to know. It needs no room: there is one
    /// number, however many pieces have come.
    pub(crate) fn grant(&self, bytes: usize) {
        let mut waiting = lock(&self.waiting);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        waiting.credit = waiting.credit.saturating_add(bytes);
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Notes that so many bytes of tells of a route have found room at this end, for the other end to know. There is one
    /// number for each route.
    pub(crate) fn grant_room(&self, route: u16, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let mut waiting = lock(&self.waiting);
        match waiting.room.iter_mut().find(|(known, _)| *known == route) {
            Some((_, sum)) => *sum = sum.saturating_add(bytes),
            None => waiting.room.push((route, bytes)),
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// So many bytes of tells of a route have found room at the other end.
    pub(crate) fn on_room(&self, route: u16, bytes: u32) {
        lock(&self.waiting).numbers.on_room(route, bytes as usize);
        self.control_room.notify_waiters();
    }

    /// The other end has read so many bytes of pieces.
    ///
    /// # Errors
    /// [`FrameError::Credit`] if they are more than were sent.
    pub(crate) fn on_credit(&self, count: u32) -> Result<(), FrameError> {
        let mut waiting = lock(&self.waiting);
        let sent = waiting.on_the_way;
        waiting.on_the_way = sent.checked_sub(count as usize).ok_or(FrameError::Credit { count, sent })?;
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// A buffer for a bulk frame: empty, but perhaps with room of an earlier one.
    pub(crate) fn spare(&self) -> Vec<u8> {
        lock(&self.waiting).spare.pop().unwrap_or_default()
    }

    /// Refuses all that comes from now on, and wakes who waits for room.
    pub(crate) fn end(&self) {
        let mut waiting = lock(&self.waiting);
        *waiting = Waiting { ended: true, ..Waiting::default() };
        drop(waiting);
        self.control_room.notify_waiters();
        self.bulk_room.notify_waiters();
    }
}

/// The bulk frame that leaves in pieces.
#[derive(Default)]
pub(crate) struct BulkFrame {
    bytes: Vec<u8>,
    /// How much of it has left, its length prefix included, which is told at the beginning only.
    sent: usize,
}

impl BulkFrame {
    fn is_done(&self) -> bool {
        self.sent >= self.bytes.len()
    }

    /// Takes the next frame, and gives the last one back.
    fn replace(&mut self, frame: Vec<u8>) -> Vec<u8> {
        self.sent = PREFIX_BYTES;
        std::mem::replace(&mut self.bytes, frame)
    }

    /// Writes the head of the next piece; the piece are these bytes.
    fn next_piece(&mut self, buffer: &mut Vec<u8>) -> Range<usize> {
        const SMALL: &str = "a frame has a length of four bytes, and so has a part of it";
        let piece = self.sent..self.bytes.len().min(self.sent + PIECE_BYTES);
        let head = match self.sent {
            PREFIX_BYTES => Head::Begin(u32::try_from(self.bytes.len() - PREFIX_BYTES).expect(SMALL)),
            _ => Head::Piece,
        };
        let start = frame::begin(buffer, &head);
        let length = u32::try_from(buffer.len() - start - PREFIX_BYTES + piece.len()).expect(SMALL);
        buffer[start..start + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        self.sent = piece.end;
        piece
    }

    /// Some of its bytes.
    pub(crate) fn part(&self, piece: Range<usize>) -> &[u8] {
        &self.bytes[piece]
    }
}

impl Waiting {
    fn queue(&mut self, frame: &mut Vec<u8>, only_for: OnlyFor) {
        self.bulk_bytes += frame.len();
        self.bulk.push_back((std::mem::take(frame), only_for));
    }

    fn speak(&mut self, spoken: Spoken, has_first: &AtomicBool) {
        if self.spoken.insert(spoken.name) {
            self.first_spoken.push(spoken);
            has_first.store(true, Ordering::Relaxed);
        }
    }

    fn next_bulk(&mut self) -> Option<(Vec<u8>, OnlyFor)> {
        let next = self.bulk.pop_front()?;
        self.bulk_bytes -= next.0.len();
        Some(next)
    }

    /// Keeps a buffer for a later frame, unless it is large or there are enough.
    fn keep(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARE_BUFFERS_MAX && buffer.capacity() <= SPARE_BYTES_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    fn swap_control(&mut self, buffer: &mut Vec<u8>) -> Vec<Guarded> {
        const SMALL: &str = "some bytes are no large frame";
        self.sent.frames += (self.control_frames + usize::from(self.credit > 0) + self.room.len()) as u64;
        if self.credit > 0 {
            let credit = Head::Credit(std::mem::take(&mut self.credit));
            frame::write(&mut self.control, &credit, &[], usize::MAX).expect(SMALL);
        }
        for (route, bytes) in self.room.drain(..) {
            frame::write(&mut self.control, &Head::Room(route, bytes), &[], usize::MAX).expect(SMALL);
        }
        self.sent.bytes += self.control.len() as u64;
        std::mem::swap(&mut self.control, buffer);
        self.control_frames = 0;
        std::mem::take(&mut self.guarded)
    }

    fn append(&mut self, only_for: OnlyFor, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.control.len();
        write(&mut self.control);
        self.control_frames += 1;
        if let Some((node, correlation)) = only_for {
            self.guarded.push(Guarded { start, end: self.control.len(), node, correlation });
        }
    }

    /// What defines a number is no part of the frame that needs it first: that one may be left out.
    fn append_call(
        &mut self,
        frame: &NamedFrame<'_>,
        only_for: OnlyFor,
        has_first: &AtomicBool,
    ) -> Result<(), NotTaken> {
        const SHORTER: &str = "it is shorter than the frame it stands for";
        let names = frame.head.names().expect("a call carries names");
        let (route, is_new) = self.numbers.of(names);
        if is_new {
            self.speak(frame.spoken, has_first);
            let define = Head::Define(route, names);
            frame::write(&mut self.control, &define, &[], usize::MAX).expect(SHORTER);
            self.sent.frames += 1;
        }
        // Asks are bounded in number at both ends. A frame that may be left out is no tell that finds room.
        let is_counted = matches!(frame.head, Head::Tell(_)) && only_for.is_none();
        if is_counted && !self.numbers.has_room(route) {
            return Err(NotTaken::Full);
        }
        let start = self.control.len();
        let body = &frame.bytes[frame.body_at..];
        self.append(only_for, |control| {
            let written = match frame.head.by(route) {
                Head::Tell(_) => frame::write_tell(control, route, body, usize::MAX),
                head => frame::write(control, &head, body, usize::MAX),
            };
            written.expect(SHORTER);
        });
        if is_counted {
            self.numbers.on_tell(route, self.control.len() - start);
        }
        Ok(())
    }
}

/// A frame that carries names: on the bulk lane all of it, on the control lane, where a number crosses in their place,
/// what its body is.
pub(crate) struct NamedFrame<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) spoken: Spoken,
    pub(crate) bytes: &'a mut Vec<u8>,
    /// Where its body begins.
    pub(crate) body_at: usize,
}

#[cfg(test)]
#[path = "outgoing_test.rs"]
mod tests;
