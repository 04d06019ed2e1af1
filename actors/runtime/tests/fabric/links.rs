//! Links: heartbeats, loss, reconnect, events.

use crate::probe::{Echo, Note, Probe, ProbeApi, SleepMs};
use odeon_runtime::testkit::{TwoNodes, node_on};
use odeon_runtime::{Endpoint, FabricLimits, LinkEvent, Peer, PeerError};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};

async fn linked() -> (TwoNodes, Peer<ProbeApi>) {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Echo("first".into())).await.unwrap();
    (nodes, far)
}

#[actix_rt::test]
async fn an_idle_link_stays_up_through_its_heartbeats() {
    let (nodes, _far) = linked().await;
    let mut events = nodes.away.subscribe_links();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(nodes.away.linked_nodes().len(), 1);
    let silent = tokio::time::timeout(Duration::from_secs(1), events.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[actix_rt::test]
async fn a_silent_link_is_closed_in_time_and_fails_all_that_waits() {
    let (nodes, far) = linked().await;
    let mut events = nodes.away.subscribe_links();
    let asks = (0..3).map(|_| far.send_within(SleepMs(60_000), Duration::from_secs(60)));
    let cut = async {
        sleep(Duration::from_millis(10)).await;
        nodes.network.cut("home", "away");
    };
    let began = Instant::now();
    let (replies, ()) = tokio::join!(futures_util::future::join_all(asks), cut);
    let silence = began.elapsed();
    assert!(silence >= Duration::from_secs(4) && silence <= Duration::from_secs(6), "{silence:?}");
    let Some(LinkEvent::Down { node, reason }) = events.recv().await else { panic!("the link goes down") };
    assert_eq!(&node, nodes.home.id());
    assert!(reason.starts_with("no bytes for 5") && reason.ends_with(" ms"), "{reason}");
    assert_eq!(replies, vec![Err(PeerError::LinkLost { cause: reason }); 3]);
}

#[actix_rt::test]
async fn a_silence_as_long_as_the_pause_is_forgiven_however_regular_the_link_was() {
    let (nodes, far) = linked().await;
    sleep(Duration::from_secs(600)).await;
    let mut events = nodes.away.subscribe_links();
    nodes.network.cut("home", "away");
    sleep(FabricLimits::DEFAULT.heartbeat_pause + Duration::from_millis(500)).await;
    nodes.network.heal("home", "away");
    assert_eq!(far.send(Echo("back".into())).await, Ok("back".into()));
    let silent = tokio::time::timeout(Duration::from_secs(60), events.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[actix_rt::test]
async fn a_pause_as_long_as_the_timeout_makes_the_timeout_all_that_counts() {
    tokio::time::pause();
    let timeout = Duration::from_secs(20);
    let limits = FabricLimits { heartbeat_pause: timeout, heartbeat_timeout: timeout, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Echo("first".into())).await.unwrap();
    let mut events = nodes.away.subscribe_links();
    nodes.network.cut("home", "away");
    let Some(LinkEvent::Down { reason, .. }) = events.recv().await else { panic!("the link goes down") };
    assert!(reason.starts_with("no bytes for 2000"), "{reason}");
}

#[actix_rt::test]
async fn both_ends_notice_a_cut_in_one_direction() {
    let (nodes, _far) = linked().await;
    let mut events = nodes.home.subscribe_links();
    nodes.network.cut_one_way("home", "away");
    assert!(matches!(events.recv().await, Some(LinkEvent::Down { .. })));
    assert!(nodes.away.linked_nodes().is_empty());
}

#[actix_rt::test]
async fn a_broken_link_is_dialled_again_after_its_backoff() {
    let (nodes, far) = linked().await;
    let mut events = nodes.away.subscribe_links();
    nodes.network.reset("home", "away");
    assert!(matches!(events.recv().await, Some(LinkEvent::Down { .. })));
    let refused = far.send(Echo("too early".into())).await;
    assert!(matches!(refused, Err(PeerError::Unreachable { .. })), "{refused:?}");
    advance(Duration::from_millis(101)).await;
    assert_eq!(far.send(Echo("again".into())).await, Ok("again".into()));
    let up = LinkEvent::Up { node: nodes.home.id().clone(), endpoint: Some(Endpoint::new(TwoNodes::HOME)) };
    assert_eq!(events.recv().await, Some(up));
}

#[actix_rt::test]
async fn a_send_during_backoff_fails_at_once_and_names_the_cause() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    let nowhere: Peer<ProbeApi> = nodes.away.peer_at(&"nowhere:1".into(), "actor");
    let first = nowhere.send(Echo("x".into())).await;
    let expected = PeerError::Unreachable { target: "nowhere:1".into(), cause: "connection refused".into() };
    assert_eq!(first, Err(expected));
    let began = Instant::now();
    let second = nowhere.send(Echo("x".into())).await.unwrap_err();
    assert!(second.to_string().contains("connection refused; next dial in "), "{second}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[actix_rt::test]
async fn a_dial_that_hangs_ends_in_time() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.network.cut("home", "away");
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let refused = far.send(Echo("x".into())).await;
    let cause = "no answer within 3000 ms".into();
    assert_eq!(refused, Err(PeerError::Unreachable { target: TwoNodes::HOME.into(), cause }));
}

#[actix_rt::test]
async fn a_send_timeout_shorter_than_the_dial_is_kept() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.network.cut("home", "away");
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let refused = far.send_within(Echo("x".into()), Duration::from_millis(50)).await;
    assert_eq!(refused, Err(PeerError::Timeout { after_ms: 50 }));
}

#[actix_rt::test]
async fn the_newest_of_two_links_wins_without_a_down_in_between() {
    let (nodes, _far) = linked().await;
    let mut events = nodes.home.subscribe_links();
    // The same run of the node dials again, as after a cut that only it has noticed.
    let again = node_on(&nodes.network, "away", 2, FabricLimits::DEFAULT).await;
    again.export("agent", Probe::exported());
    let far: Peer<ProbeApi> = again.peer_at(&Endpoint::new(TwoNodes::HOME), "actor");
    far.send(Echo("newer".into())).await.unwrap();
    let back: Peer<ProbeApi> = nodes.home.peer_of(nodes.away.id(), "agent");
    assert_eq!(back.send(Echo("over the newer".into())).await, Ok("over the newer".into()));
    assert!(nodes.away.linked_nodes().is_empty(), "the older link is still up");
    let silent = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
    again.shut_down();
    assert!(matches!(events.recv().await, Some(LinkEvent::Down { .. })));
}

#[actix_rt::test]
async fn two_endpoints_of_one_node_are_two_links_and_one_up() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.listen("home:2").await.unwrap();
    nodes.home.export("actor", Probe::exported());
    let mut events = nodes.away.subscribe_links();
    for endpoint in [TwoNodes::HOME, "home:2", TwoNodes::HOME] {
        let far: Peer<ProbeApi> = nodes.away.peer_at(&endpoint.into(), "actor");
        assert_eq!(far.send(Echo("x".into())).await, Ok("x".into()), "{endpoint}");
    }
    assert!(matches!(events.recv().await, Some(LinkEvent::Up { .. })));
    let silent = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[actix_rt::test]
async fn nodes_that_dial_each_other_both_get_through() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.away.listen("away:1").await.unwrap();
    nodes.home.export("actor", Probe::exported());
    nodes.away.export("actor", Probe::exported());
    let there: Peer<ProbeApi> = nodes.away.peer_at(&TwoNodes::HOME.into(), "actor");
    let back: Peer<ProbeApi> = nodes.home.peer_at(&"away:1".into(), "actor");
    for _ in 0..10 {
        let both = tokio::join!(there.send(Echo("a".into())), back.send(Echo("b".into())));
        assert_eq!(both, (Ok("a".into()), Ok("b".into())));
        sleep(Duration::from_secs(10)).await;
    }
}

#[actix_rt::test]
async fn a_slow_subscriber_is_told_how_many_events_it_missed() {
    tokio::time::pause();
    let limits = FabricLimits { link_events_max: 4, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let mut events = nodes.away.subscribe_links();
    for _ in 0..5 {
        far.send(Echo("x".into())).await.unwrap();
        nodes.network.reset("home", "away");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(events.recv().await, Some(LinkEvent::Missed { count: 6 }));
    assert!(matches!(events.recv().await, Some(LinkEvent::Up { .. })));
}

#[actix_rt::test]
async fn a_shut_down_node_fails_what_waits_at_both_ends() {
    let (nodes, far) = linked().await;
    let stop = async {
        sleep(Duration::from_millis(10)).await;
        nodes.home.shut_down();
    };
    let (reply, ()) = tokio::join!(far.send(SleepMs(60_000)), stop);
    assert!(matches!(reply, Err(PeerError::LinkLost { .. })), "{reply:?}");
    advance(Duration::from_secs(1)).await;
    let refused = far.send(Echo("x".into())).await;
    assert!(matches!(refused, Err(PeerError::Unreachable { .. })), "{refused:?}");
}

#[actix_rt::test]
async fn a_late_reply_is_counted_and_harms_nobody() {
    let (nodes, far) = linked().await;
    // The other end keeps the longer deadline, so its reply finds nobody.
    let asked = tokio::time::timeout(Duration::from_millis(50), far.send(SleepMs(100))).await;
    assert!(asked.is_err());
    sleep(Duration::from_millis(200)).await;
    assert_eq!(nodes.away.counters().replies_late, 1);
    assert_eq!(far.send(Note(1)).await, Ok(()));
}
