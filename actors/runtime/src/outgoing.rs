//! The frames of a link that wait for its writer: one open buffer for control, a queue of whole frames for bulk.
//!
//! Senders append under a short lock; the writer swaps the buffer for an empty one and writes all of it. So an idle
//! link sends at once, and a busy one gathers by itself, without timers. Sockets are elsewhere.

use crate::fabric::lock;
use crate::frame::{self, Head};
use crate::limits::FabricLimits;
use crate::name::NodeId;
use crate::routes::Numbers;
use odeon_protocol::wire::Lane;
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::sync::Notify;

/// A buffer that grew beyond this, in bytes, is not kept for reuse.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

/// For a frame that was queued before the other node was known: the only node it is for, and the ask to refuse
/// otherwise.
pub(crate) type OnlyFor = Option<(NodeId, u64)>;

/// Why a frame was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The lane holds as many frames or bytes as it may.
    Full,
    /// The link has ended.
    Ended,
}

/// A frame of the open buffer that is for one node only.
struct Guarded {
    start: usize,
    end: usize,
    node: NodeId,
    correlation: u64,
}

#[derive(Default)]
struct Waiting {
    control: Vec<u8>,
    control_frames: usize,
    numbers: Numbers,
    guarded: Vec<Guarded>,
    bulk: VecDeque<(Vec<u8>, OnlyFor)>,
    ended: bool,
}

/// Both lanes of one direction of a link.
pub(crate) struct Outgoing {
    waiting: Mutex<Waiting>,
    control_frames_max: usize,
    control_bytes_max: usize,
    bulk_frames_max: usize,
    arrived: Notify,
    control_room: Notify,
    bulk_room: Notify,
}

/// What the writer has taken to write.
pub(crate) enum Taken {
    /// The control frames are in the buffer that was handed in.
    Control,
    /// One bulk frame.
    Bulk(Vec<u8>),
    /// There is nothing to write.
    Nothing,
}

impl Outgoing {
    pub(crate) fn new(limits: &FabricLimits) -> Self {
        Self {
            waiting: Mutex::default(),
            control_frames_max: limits.control_frames_max,
            control_bytes_max: limits.control_bytes_max,
            bulk_frames_max: limits.bulk_frames_max,
            arrived: Notify::new(),
            control_room: Notify::new(),
            bulk_room: Notify::new(),
        }
    }

    /// Takes a whole frame, or leaves it as it is. A control frame is copied, a bulk frame is taken out of `frame`.
    pub(crate) fn push(&self, lane: Lane, frame: &mut Vec<u8>, only_for: OnlyFor) -> Result<(), NotTaken> {
        self.add(lane, frame.len(), |waiting| match lane {
            Lane::Control => waiting.append(only_for, |control| control.extend_from_slice(frame)),
            Lane::Bulk => waiting.bulk.push_back((std::mem::take(frame), only_for)),
        })
    }

    /// As [`push`](Self::push) for a frame that carries names; on the control lane a number crosses in their place.
    pub(crate) fn push_call(&self, lane: Lane, frame: &mut NamedFrame<'_>, only_for: OnlyFor) -> Result<(), NotTaken> {
        self.add(lane, frame.bytes.len(), |waiting| match lane {
            Lane::Control => waiting.append_call(frame, only_for),
            Lane::Bulk => waiting.bulk.push_back((std::mem::take(frame.bytes), only_for)),
        })
    }

    fn add(&self, lane: Lane, bytes: usize, put: impl FnOnce(&mut Waiting)) -> Result<(), NotTaken> {
        let mut waiting = lock(&self.waiting);
        if waiting.ended {
            return Err(NotTaken::Ended);
        }
        let has_room = match lane {
            Lane::Control => {
                let bytes_fit = waiting.control.len() + bytes <= self.control_bytes_max || waiting.control.is_empty();
                bytes_fit && waiting.control_frames < self.control_frames_max
            }
            Lane::Bulk => waiting.bulk.len() < self.bulk_frames_max,
        };
        if !has_room {
            return Err(NotTaken::Full);
        }
        let was_empty = waiting.control_frames == 0 && waiting.bulk.is_empty();
        put(&mut waiting);
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
        let room = match lane {
            Lane::Control => &self.control_room,
            Lane::Bulk => &self.bulk_room,
        };
        loop {
            let mut freed = std::pin::pin!(room.notified());
            freed.as_mut().enable();
            match self.push(lane, frame, only_for.clone()) {
                Ok(()) => return true,
                Err(NotTaken::Ended) => return false,
                Err(NotTaken::Full) => freed.await,
            }
        }
    }

    /// Waits until there may be something to write.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes all control frames into `buffer`, or else one bulk frame. Frames for another node than `node` are left
    /// out; `refuse` hears of them.
    pub(crate) fn take(&self, buffer: &mut Vec<u8>, node: &NodeId, mut refuse: impl FnMut(&NodeId, u64)) -> Taken {
        buffer.clear();
        buffer.shrink_to(SPARE_BYTES_MAX);
        let mut waiting = lock(&self.waiting);
        if waiting.control_frames > 0 {
            std::mem::swap(&mut waiting.control, buffer);
            waiting.control_frames = 0;
            let guarded = std::mem::take(&mut waiting.guarded);
            drop(waiting);
            self.control_room.notify_waiters();
            for frame in guarded.iter().rev().filter(|frame| frame.node != *node) {
                buffer.drain(frame.start..frame.end);
                refuse(&frame.node, frame.correlation);
            }
            return Taken::Control;
        }
        let Some((frame, only_for)) = waiting.bulk.pop_front() else { return Taken::Nothing };
        drop(waiting);
        self.bulk_room.notify_waiters();
        match only_for {
            Some((wanted, correlation)) if wanted != *node => {
                refuse(&wanted, correlation);
                Taken::Control
            }
            _ => Taken::Bulk(frame),
        }
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

impl Waiting {
    fn append(&mut self, only_for: OnlyFor, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.control.len();
        write(&mut self.control);
        self.control_frames += 1;
        if let Some((node, correlation)) = only_for {
            self.guarded.push(Guarded { start, end: self.control.len(), node, correlation });
        }
    }

    /// What defines a number is no part of the frame that needs it first: that one may be left out.
    fn append_call(&mut self, frame: &NamedFrame<'_>, only_for: OnlyFor) {
        const SHORTER: &str = "it is shorter than the frame it stands for";
        let Some(names) = frame.head.names() else {
            return self.append(only_for, |control| control.extend_from_slice(frame.bytes));
        };
        let (route, is_new) = self.numbers.of(names);
        if is_new {
            let define = Head::Define(route, names);
            frame::write(&mut self.control, &define, &[], usize::MAX).expect(SHORTER);
        }
        let head = frame.head.by(route);
        let body = &frame.bytes[frame.body_at..];
        self.append(only_for, |control| frame::write(control, &head, body, usize::MAX).expect(SHORTER));
    }
}

/// A whole frame that carries names, and what it is made of.
pub(crate) struct NamedFrame<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) bytes: &'a mut Vec<u8>,
    /// Where its body begins.
    pub(crate) body_at: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Names, Way};
    use futures_util::FutureExt;

    fn node(name: &str) -> NodeId {
        NodeId { name: name.into(), incarnation: 1 }
    }

    fn outgoing() -> Outgoing {
        Outgoing::new(&FabricLimits { control_frames_max: 3, bulk_frames_max: 1, ..FabricLimits::DEFAULT })
    }

    fn push(outgoing: &Outgoing, lane: Lane, frame: &[u8]) -> Result<(), NotTaken> {
        outgoing.push(lane, &mut frame.to_vec(), None)
    }

    fn tell(outgoing: &Outgoing, lane: Lane, only_for: OnlyFor) -> Vec<u8> {
        let head = Head::Tell(Way::Named(Names { actor: "a", message: "m.v1.M" }));
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, &head);
        let body_at = bytes.len();
        bytes.extend_from_slice(b"body");
        frame::finish(&mut bytes, 0, 1024).unwrap();
        let whole = bytes.clone();
        outgoing.push_call(lane, &mut NamedFrame { head, bytes: &mut bytes, body_at }, only_for).unwrap();
        whole
    }

    fn control_of(outgoing: &Outgoing) -> Vec<u8> {
        let mut buffer = Vec::new();
        assert!(matches!(outgoing.take(&mut buffer, &node("n"), |_, _| {}), Taken::Control));
        buffer
    }

    /// The frames of a buffer.
    fn frames(mut bytes: &[u8]) -> Vec<(Head<'_>, &[u8])> {
        let mut frames = Vec::new();
        while let Some((prefix, rest)) = bytes.split_first_chunk() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*prefix) as usize);
            frames.push(frame::decode(frame).unwrap());
            bytes = rest;
        }
        frames
    }

    #[test]
    fn a_name_crosses_once_on_the_control_lane_and_always_on_the_bulk_lane() {
        let outgoing = outgoing();
        let names = Names { actor: "a", message: "m.v1.M" };
        let numbered = (Head::Tell(Way::Route(0)), &b"body"[..]);
        tell(&outgoing, Lane::Control, None);
        tell(&outgoing, Lane::Control, None);
        assert_eq!(frames(&control_of(&outgoing)), [(Head::Define(0, names), &b""[..]), numbered, numbered]);
        tell(&outgoing, Lane::Control, None);
        assert_eq!(frames(&control_of(&outgoing)), [numbered]);
        let whole = tell(&outgoing, Lane::Bulk, None);
        assert!(matches!(outgoing.take(&mut Vec::new(), &node("n"), |_, _| {}), Taken::Bulk(frame) if frame == whole));
    }

    #[test]
    fn a_number_stays_defined_if_the_frame_that_needed_it_first_is_left_out() {
        let outgoing = outgoing();
        tell(&outgoing, Lane::Control, Some((node("other"), 1)));
        tell(&outgoing, Lane::Control, None);
        let buffer = control_of(&outgoing);
        assert!(matches!(frames(&buffer)[..], [(Head::Define(0, _), _), (Head::Tell(Way::Route(0)), _)]));
    }

    #[test]
    fn the_control_lane_is_bounded_in_bytes_too_but_takes_any_frame_if_it_is_empty() {
        let limits = FabricLimits { control_bytes_max: 10, ..FabricLimits::DEFAULT };
        let outgoing = Outgoing::new(&limits);
        push(&outgoing, Lane::Control, &[0; 100]).unwrap();
        assert_eq!(push(&outgoing, Lane::Control, b"x"), Err(NotTaken::Full));
        control_of(&outgoing);
        push(&outgoing, Lane::Control, &[0; 9]).unwrap();
        push(&outgoing, Lane::Control, b"x").unwrap();
        assert_eq!(push(&outgoing, Lane::Control, b"x"), Err(NotTaken::Full));
    }

    #[test]
    fn control_frames_leave_together_and_before_bulk() {
        let outgoing = outgoing();
        push(&outgoing, Lane::Bulk, b"bulk").unwrap();
        push(&outgoing, Lane::Control, b"one").unwrap();
        push(&outgoing, Lane::Control, b"two").unwrap();
        let mut buffer = b"left over".to_vec();
        assert!(matches!(outgoing.take(&mut buffer, &node("n"), |_, _| panic!()), Taken::Control));
        assert_eq!(buffer, b"onetwo");
        assert!(
            matches!(outgoing.take(&mut buffer, &node("n"), |_, _| panic!()), Taken::Bulk(frame) if frame == b"bulk")
        );
        assert!(matches!(outgoing.take(&mut buffer, &node("n"), |_, _| panic!()), Taken::Nothing));
        assert_eq!(buffer, b"");
    }

    #[test]
    fn a_full_lane_takes_nothing_and_the_other_lane_is_not_concerned() {
        let outgoing = outgoing();
        (0..3).for_each(|_| push(&outgoing, Lane::Control, b"x").unwrap());
        assert_eq!(push(&outgoing, Lane::Control, b"y"), Err(NotTaken::Full));
        push(&outgoing, Lane::Bulk, b"b").unwrap();
        let mut refused = b"c".to_vec();
        assert_eq!(outgoing.push(Lane::Bulk, &mut refused, None), Err(NotTaken::Full));
        assert_eq!(refused, b"c");
    }

    #[test]
    fn who_waits_for_room_gets_it_or_hears_that_the_link_has_ended() {
        let outgoing = outgoing();
        push(&outgoing, Lane::Bulk, b"first").unwrap();
        let (mut second, mut third) = (b"second".to_vec(), b"third".to_vec());
        let mut waits = Box::pin(outgoing.push_when_room(Lane::Bulk, &mut second, None));
        assert_eq!(waits.as_mut().now_or_never(), None);
        assert!(matches!(outgoing.take(&mut Vec::new(), &node("n"), |_, _| panic!()), Taken::Bulk(_)));
        assert_eq!(waits.now_or_never(), Some(true));
        let mut waits = Box::pin(outgoing.push_when_room(Lane::Bulk, &mut third, None));
        assert_eq!(waits.as_mut().now_or_never(), None);
        outgoing.end();
        assert_eq!(waits.now_or_never(), Some(false));
        assert_eq!(push(&outgoing, Lane::Control, b"late"), Err(NotTaken::Ended));
    }

    #[test]
    fn a_frame_for_another_node_is_cut_out_and_its_ask_refused() {
        let outgoing = outgoing();
        push(&outgoing, Lane::Control, b"a").unwrap();
        outgoing.push(Lane::Control, &mut b"wrong".to_vec(), Some((node("other"), 7))).unwrap();
        outgoing.push(Lane::Control, &mut b"right".to_vec(), Some((node("n"), 8))).unwrap();
        let (mut buffer, mut refused) = (Vec::new(), Vec::new());
        outgoing.take(&mut buffer, &node("n"), |node, correlation| refused.push((node.clone(), correlation)));
        assert_eq!((buffer.as_slice(), refused.as_slice()), (&b"aright"[..], &[(node("other"), 7)][..]));
    }
}
