//! Bytes from anyone: a listening node refuses them and goes on serving.

use crate::order::busy;
use crate::probe::{Echo, Probe, ProbeApi};
use odeon_runtime::testkit::TwoNodes;
use odeon_runtime::transport::Connection;
use odeon_runtime::{Endpoint, PROTOCOL_VERSION, Peer, PeerError};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn serving() -> (TwoNodes, Peer<ProbeApi>) {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Echo("before".into())).await.unwrap();
    (nodes, far)
}

async fn dial(nodes: &TwoNodes) -> Connection {
    nodes.network.host("stranger").dial(&Endpoint::new(TwoNodes::HOME)).await.unwrap()
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn hello(version: u16) -> Vec<u8> {
    let node = rmp_serde::to_vec(&(("stranger", 9_u64), 0_u32, "build")).unwrap();
    framed(&[b"ODEN".as_slice(), &version.to_be_bytes(), &node].concat())
}

/// What stands before the names in place of a route.
const NAMED: [u8; 2] = [0xff, 0xff];

/// A tell or an ask as the fabric writes it if it gives no number to the names; other kinds stop at the correlation.
fn frame(kind: u8, actor: &str, message: &str, body: &[u8]) -> Vec<u8> {
    let correlation = 1_u64.to_be_bytes();
    let deadline = 5000_u64.to_be_bytes();
    let length = |name: &str| u16::try_from(name.len()).unwrap().to_be_bytes();
    let names = [&length(actor)[..], actor.as_bytes(), &length(message), message.as_bytes()].concat();
    framed(&match kind {
        1 => [&[kind][..], &NAMED, &names, body].concat(),
        2 => [&[kind][..], &correlation, &deadline, &NAMED, &names, body].concat(),
        _ => [&[kind][..], &correlation, body].concat(),
    })
}

/// Everything the node says until it closes, or is silent for long.
async fn answer(connection: &mut Connection) -> Vec<u8> {
    let mut said = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(500), connection.read_to_end(&mut said)).await;
    said
}

#[actix_rt::test]
async fn a_schema_that_is_none_or_too_long_closes_the_link() {
    let (nodes, far) = serving().await;
    let schema = |body: &[u8]| framed(&[&[12][..], &8_u16.to_be_bytes(), b"m.v1.Msg", body].concat());
    assert!(closes_after(&nodes, &schema(&[0xff, 0xfe])).await);
    assert!(closes_after(&nodes, &schema(&vec![b'x'; 64 * 1024 + 1])).await);
    assert!(!closes_after(&nodes, &schema(b"in struct\nnonsense")).await);
    far.send(Echo("after".into())).await.unwrap();
}

#[actix_rt::test]
async fn another_version_is_refused_with_both_versions_named() {
    let (nodes, far) = serving().await;
    let mut connection = dial(&nodes).await;
    connection.write_all(&hello(PROTOCOL_VERSION + 1)).await.unwrap();
    let said = answer(&mut connection).await;
    assert_eq!(said[4..10], [b"ODEN".as_slice(), &PROTOCOL_VERSION.to_be_bytes()].concat());
    assert_eq!(nodes.home.counters().greetings_refused, 1);
    assert_eq!(far.send(Echo("after".into())).await, Ok("after".into()));
}

#[actix_rt::test]
async fn a_dialler_names_both_versions_too() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    let mut listener = nodes.network.host("old").listen(&"old:1".into()).await.unwrap();
    let old = async {
        let mut connection = listener.accept().await.unwrap();
        connection.write_all(&hello(77)).await.unwrap();
        answer(&mut connection).await
    };
    let far: Peer<ProbeApi> = nodes.away.peer_at(&"old:1".into(), "actor");
    let (refused, _) = tokio::join!(far.send(Echo("x".into())), old);
    let cause = format!("protocol version 77 meets version {PROTOCOL_VERSION} of this node");
    assert_eq!(refused, Err(PeerError::Unreachable { target: "old:1".into(), cause }));
}

#[actix_rt::test]
async fn a_silent_stranger_is_dropped_in_time() {
    let (nodes, _far) = serving().await;
    let mut connection = dial(&nodes).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(answer(&mut connection).await, b"");
    assert_eq!(nodes.home.counters().greetings_refused, 1);
}

#[actix_rt::test]
async fn a_node_that_claims_to_be_this_node_is_refused() {
    let (nodes, _far) = serving().await;
    let mut connection = dial(&nodes).await;
    let same = rmp_serde::to_vec(&(("home", 1_u64), 0_u32, "build")).unwrap();
    let greeting = framed(&[b"ODEN".as_slice(), &PROTOCOL_VERSION.to_be_bytes(), &same].concat());
    connection.write_all(&greeting).await.unwrap();
    answer(&mut connection).await;
    assert_eq!(nodes.home.counters().greetings_refused, 1);
}

/// Sends frames after a good greeting; true if the node then closed the link.
async fn closes_after(nodes: &TwoNodes, frames: &[u8]) -> bool {
    let before = nodes.home.counters().frames_refused;
    let mut connection = dial(nodes).await;
    connection.write_all(&hello(PROTOCOL_VERSION)).await.unwrap();
    // The node may close before it has taken all.
    let _ = connection.write_all(frames).await;
    answer(&mut connection).await;
    nodes.home.counters().frames_refused > before
}

#[actix_rt::test]
async fn a_frame_over_the_limit_or_a_garbage_header_closes_the_link() {
    let (nodes, far) = serving().await;
    assert!(closes_after(&nodes, &u32::MAX.to_be_bytes()).await);
    assert!(closes_after(&nodes, &framed(b"")).await);
    assert!(closes_after(&nodes, &framed(&[0xff; 40])).await);
    assert!(closes_after(&nodes, &frame(99, "actor", "probe.v1.Echo", b"")).await);
    let tell_by_an_undefined_number = [1, 0, 7];
    assert!(closes_after(&nodes, &framed(&tell_by_an_undefined_number)).await);
    let number_beyond_the_last = [5, 1, 0, 0, 1, b'a', 0, 1, b'm'];
    assert!(closes_after(&nodes, &framed(&number_beyond_the_last)).await);
    let (begin, piece, credit) = ([6, 0, 0, 0, 9, b'x'], [7, b'x'], [8, 0, 0, 0, 1]);
    assert!(closes_after(&nodes, &framed(&piece)).await);
    assert!(closes_after(&nodes, &[framed(&begin), framed(&begin)].concat()).await);
    assert!(closes_after(&nodes, &framed(&[6, 0xff, 0xff, 0xff, 0xff, b'x'])).await);
    assert!(closes_after(&nodes, &framed(&credit)).await);
    let piece_within_pieces = [6, 0, 0, 0, 2, 7, b'x'];
    assert!(closes_after(&nodes, &framed(&piece_within_pieces)).await);
    assert_eq!(nodes.home.counters().frames_refused, 11);
    assert_eq!(far.send(Echo("after".into())).await, Ok("after".into()));
}

#[actix_rt::test]
async fn unknown_names_and_bad_bodies_are_refused_and_the_link_stays() {
    let (nodes, far) = serving().await;
    let deep = vec![0x91; 200_000];
    let huge_array = [0xdd, 0xff, 0xff, 0xff, 0xff];
    let huge_map = [0xdf, 0xff, 0xff, 0xff, 0xff];
    let ask = |actor: &str, message: &str, body: &[u8]| frame(2, actor, message, body);
    let frames = [
        ask("nobody", "probe.v1.Echo", b""),
        ask("a/b/c", "probe.v1.Echo", b""),
        ask("actor", "probe.v1.Unheard", b""),
        ask("actor", &"x".repeat(60_000), b""),
        ask("actor", "probe.v1.Echo", &deep),
        ask("actor", "probe.v1.Echo", &huge_array),
        ask("actor", "probe.v1.Notes", &huge_map),
        frame(1, "actor", "probe.v1.Echo", &huge_array),
        frame(3, "", "", b"a reply to nothing"),
        frame(4, "", "", b"a refusal of nothing"),
    ];
    assert!(!closes_after(&nodes, &frames.concat()).await);
    assert_eq!(nodes.home.counters().tells_dropped, 1);
    assert_eq!(nodes.home.counters().replies_late, 2);
    assert_eq!(far.send(Echo("after".into())).await, Ok("after".into()));
}

#[actix_rt::test]
async fn a_sender_that_sends_more_than_there_is_room_for_loses_the_rest_and_nobody_else_does() {
    let (nodes, far) = serving().await;
    nodes.home.export("slow", busy());
    let names = [&[0, 4][..], b"slow", &[0, 13], b"probe.v1.Note"].concat();
    let define = framed(&[&[5, 0, 0][..], &names].concat());
    let tell = framed(&[1, 0, 0, 7]);
    let sent = 40_000;
    assert!(!closes_after(&nodes, &[define, tell.repeat(sent)].concat()).await);
    let dropped = nodes.home.counters().tells_dropped as usize;
    let room = 256 * 1024 / tell.len() + 5;
    assert!(dropped >= sent - room && dropped < sent, "{dropped} of {sent}, with room for {room}");
    assert_eq!(far.send(Echo("after".into())).await, Ok("after".into()));
}

#[actix_rt::test]
async fn random_bytes_leave_the_node_serving() {
    let (nodes, far) = serving().await;
    let mut runner = TestRunner::deterministic();
    let any_bytes = proptest::collection::vec(any::<u8>(), 0..300);
    let strategy = (0..4_u8, any_bytes);
    for round in 0..400 {
        let (how, bytes) = strategy.new_tree(&mut runner).unwrap().current();
        let stream = match how {
            0 => bytes,
            1 => [hello(PROTOCOL_VERSION), bytes].concat(),
            2 => [hello(PROTOCOL_VERSION), framed(&bytes)].concat(),
            _ => [hello(PROTOCOL_VERSION), frame(2, "actor", "probe.v1.Echo", &bytes)].concat(),
        };
        let mut connection = dial(&nodes).await;
        let _ = connection.write_all(&stream).await;
        let _ = connection.shutdown().await;
        answer(&mut connection).await;
        assert_eq!(far.send(Echo("still".into())).await, Ok("still".into()), "round {round}");
    }
    let counters = nodes.home.counters();
    assert!(counters.greetings_refused > 0 && counters.frames_refused > 0, "{counters:?}");
}
