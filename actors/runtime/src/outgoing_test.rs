//! Both lanes of a link: what leaves when, what is bounded, what is left out.

use super::*;
use crate::frame::{Names, Way};
use futures_util::FutureExt;

fn node(name: &str) -> NodeId {
    NodeId { name: name.into(), incarnation: 1 }
}

fn outgoing() -> Outgoing {
    Outgoing::new(&FabricLimits { control_frames_max: 3, bulk_frames_max: 1, ..FabricLimits::DEFAULT })
}

const SPOKEN: Spoken = Spoken { name: "m.v1.M", schema: || unreachable!("no schema is asked for") };

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
    outgoing.push_call(lane, &mut NamedFrame { head, spoken: SPOKEN, bytes: &mut bytes, body_at }, only_for).unwrap();
    whole
}

fn control_of(outgoing: &Outgoing) -> Vec<u8> {
    let mut buffer = Vec::new();
    assert!(matches!(outgoing.take(&mut buffer, &mut BulkFrame::default(), &node("n"), |_, _| {}), Taken::Control));
    buffer
}

/// The next piece with its head.
fn piece(outgoing: &Outgoing, bulk: &mut BulkFrame) -> Option<Vec<u8>> {
    let mut buffer = b"left over".to_vec();
    match outgoing.take(&mut buffer, bulk, &node("n"), |_, _| {}) {
        Taken::Piece(piece) => Some([&buffer, bulk.part(piece)].concat()),
        Taken::Nothing => None,
        Taken::Control => panic!("control was taken"),
    }
}

/// A bulk frame of so many bytes after its prefix, all different from their neighbours.
fn large(bytes: usize) -> Vec<u8> {
    let body = (0..bytes).map(|at| (at % 251) as u8);
    u32::try_from(bytes).unwrap().to_be_bytes().into_iter().chain(body).collect()
}

#[test]
fn a_bulk_frame_leaves_in_pieces_that_make_it_up_again() {
    let outgoing = outgoing();
    let whole = large(2 * PIECE_BYTES + 5);
    push(&outgoing, Lane::Bulk, &whole).unwrap();
    let mut bulk = BulkFrame::default();
    let pieces: Vec<Vec<u8>> = std::iter::from_fn(|| piece(&outgoing, &mut bulk)).collect();
    let pieces: Vec<_> = pieces.iter().flat_map(|bytes| frames(bytes)).collect();
    let begin = Head::Begin(u32::try_from(whole.len() - PREFIX_BYTES).unwrap());
    assert_eq!(pieces.iter().map(|(head, _)| *head).collect::<Vec<_>>(), [begin, Head::Piece, Head::Piece]);
    let joined: Vec<u8> = pieces.iter().flat_map(|(_, body)| body.iter().copied()).collect();
    assert!(joined == whole[PREFIX_BYTES..]);
}

#[test]
fn control_frames_leave_between_two_pieces() {
    let outgoing = outgoing();
    push(&outgoing, Lane::Bulk, &large(2 * PIECE_BYTES)).unwrap();
    let mut bulk = BulkFrame::default();
    assert!(piece(&outgoing, &mut bulk).is_some());
    push(&outgoing, Lane::Control, b"control").unwrap();
    assert_eq!(control_of(&outgoing), b"control");
    assert!(piece(&outgoing, &mut bulk).is_some());
    assert!(piece(&outgoing, &mut bulk).is_none());
}

#[test]
fn pieces_stop_at_the_window_until_the_other_end_has_read_some() {
    let outgoing = outgoing();
    push(&outgoing, Lane::Bulk, &large(2 * WINDOW_BYTES)).unwrap();
    let mut bulk = BulkFrame::default();
    let left = std::iter::from_fn(|| piece(&outgoing, &mut bulk)).count();
    assert_eq!(left, WINDOW_BYTES / PIECE_BYTES);
    push(&outgoing, Lane::Control, b"control").unwrap();
    assert!(outgoing.arrived().now_or_never().is_some(), "the writer sleeps through a control frame");
    assert_eq!(control_of(&outgoing), b"control");
    assert_eq!(outgoing.on_credit(1), Ok(()));
    assert!(outgoing.arrived().now_or_never().is_some(), "the writer sleeps through a credit");
    assert!(piece(&outgoing, &mut bulk).is_some());
    assert!(piece(&outgoing, &mut bulk).is_none());
    let sent = WINDOW_BYTES - 1 + PIECE_BYTES;
    let count = u32::try_from(sent).unwrap() + 1;
    assert_eq!(outgoing.on_credit(count), Err(FrameError::Credit { count, sent }));
}

#[test]
fn credit_is_one_frame_however_many_pieces_were_read_and_leaves_on_a_full_lane() {
    let outgoing = outgoing();
    (0..3).for_each(|_| drop(tell(&outgoing, Lane::Control, None)));
    outgoing.grant(4);
    outgoing.grant(5);
    assert!(outgoing.arrived().now_or_never().is_some());
    let buffer = control_of(&outgoing);
    assert_eq!(frames(&buffer).last(), Some(&(Head::Credit(9), &b""[..])));
    assert_eq!(frames(&buffer).iter().filter(|(head, _)| matches!(head, Head::Credit(_))).count(), 1);
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
    let sent = piece(&outgoing, &mut BulkFrame::default()).unwrap();
    assert!(sent.ends_with(&whole[PREFIX_BYTES..]));
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
fn both_lanes_are_bounded_in_bytes_too_and_only_the_last_frame_may_go_beyond() {
    let limits = FabricLimits { control_bytes_max: 10, bulk_bytes_max: 10, ..FabricLimits::DEFAULT };
    let outgoing = Outgoing::new(&limits);
    for lane in [Lane::Control, Lane::Bulk] {
        push(&outgoing, lane, &[0; 9]).unwrap();
        assert!(outgoing.has_room(lane));
        push(&outgoing, lane, &[0; 100]).unwrap();
        assert!(!outgoing.has_room(lane));
        assert_eq!(push(&outgoing, lane, b"x"), Err(NotTaken::Full));
    }
    control_of(&outgoing);
    assert!(piece(&outgoing, &mut BulkFrame::default()).is_some());
    assert!(outgoing.has_room(Lane::Control) && !outgoing.has_room(Lane::Bulk));
}

#[test]
fn control_frames_leave_together_and_before_bulk() {
    let outgoing = outgoing();
    push(&outgoing, Lane::Bulk, &large(4)).unwrap();
    push(&outgoing, Lane::Control, b"one").unwrap();
    push(&outgoing, Lane::Control, b"two").unwrap();
    assert_eq!(control_of(&outgoing), b"onetwo");
    let mut bulk = BulkFrame::default();
    assert_eq!(frames(&piece(&outgoing, &mut bulk).unwrap()), [(Head::Begin(4), &[0, 1, 2, 3][..])]);
    assert!(piece(&outgoing, &mut bulk).is_none());
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
    push(&outgoing, Lane::Bulk, &large(1)).unwrap();
    let (mut second, mut third) = (large(2), large(3));
    let mut waits = Box::pin(outgoing.push_when_room(Lane::Bulk, &mut second, None));
    assert_eq!(waits.as_mut().now_or_never(), None);
    assert!(piece(&outgoing, &mut BulkFrame::default()).is_some());
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
    let mut bulk = BulkFrame::default();
    outgoing.take(&mut buffer, &mut bulk, &node("n"), |node, correlation| refused.push((node.clone(), correlation)));
    assert_eq!((buffer.as_slice(), refused.as_slice()), (&b"aright"[..], &[(node("other"), 7)][..]));
}

#[test]
fn tells_stop_at_the_window_of_their_route_until_some_have_found_room() {
    let outgoing = outgoing();
    let try_tell = || {
        let head = Head::Tell(Way::Named(Names { actor: "a", message: "m.v1.M" }));
        let mut bytes = Vec::new();
        frame::begin(&mut bytes, &head);
        let body_at = bytes.len();
        bytes.resize(body_at + frame::ROUTE_WINDOW_BYTES / 2, 0);
        outgoing.push_call(Lane::Control, &mut NamedFrame { head, spoken: SPOKEN, bytes: &mut bytes, body_at }, None)
    };
    assert_eq!([try_tell(), try_tell()], [Ok(()), Ok(())]);
    assert_eq!(try_tell(), Err(NotTaken::Full));
    push(&outgoing, Lane::Control, b"reply").unwrap();
    let sent = control_of(&outgoing).len();
    assert_eq!(try_tell(), Err(NotTaken::Full), "writing is not finding room");
    outgoing.on_room(0, u32::try_from(sent).unwrap());
    assert_eq!(try_tell(), Ok(()));
}

#[test]
fn room_that_was_found_is_one_frame_for_each_route() {
    let outgoing = outgoing();
    outgoing.grant_room(3, 4);
    outgoing.grant_room(1, 2);
    outgoing.grant_room(3, 5);
    assert!(outgoing.arrived().now_or_never().is_some());
    let buffer = control_of(&outgoing);
    let expected = [(Head::Room(3, 9), &b""[..]), (Head::Room(1, 2), &b""[..])];
    assert_eq!(frames(&buffer), expected);
}
