//! Order, bounds and lanes.

use crate::probe::{Blob, BulkNote, Echo, Note, Notes, Probe, ProbeApi, SleepMs};
use crate::setup::{TwoNodes, near_and_far};
use actix::{Actor, AsyncContext, Context};
use futures_util::future::join_all;
use odeon_runtime::{FabricLimits, PeerError};
use serde_bytes::ByteBuf;
use std::time::Duration;

#[actix_rt::test]
async fn messages_of_one_sender_on_one_lane_arrive_in_order() {
    tokio::time::pause();
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        // More than the mailbox holds, and the first of them while the endpoint is still dialled.
        let sends = (0..400).map(|number| {
            let peer = &peer;
            async move { peer.send(Note(number)).await }
        });
        assert!(join_all(sends).await.iter().all(Result::is_ok), "{peer:?}");
        let notes = peer.send(Notes()).await.unwrap();
        let newest = &notes[notes.len() - 400..];
        assert_eq!(newest, (0..400).collect::<Vec<_>>(), "{peer:?}");
    }
}

#[actix_rt::test]
async fn control_overtakes_waiting_bulk() {
    tokio::time::pause();
    let [_, far] = near_and_far::<ProbeApi>(Probe::exported()).await;
    far.send(Echo("up".into())).await.unwrap();
    for number in 0..8 {
        far.try_tell(BulkNote(number, ByteBuf::from(vec![0; 1024 * 1024]))).unwrap();
    }
    // Lets the writer begin with the bulk queue.
    tokio::task::yield_now().await;
    let seen = far.send(Notes()).await.unwrap();
    assert!(seen.len() < 8, "the question waited behind all bulk");
}

#[actix_rt::test]
async fn a_small_ask_overtakes_a_bulk_message_that_is_under_way() {
    tokio::time::pause();
    let [_, far] = near_and_far::<ProbeApi>(Probe::exported()).await;
    far.send(Echo("up".into())).await.unwrap();
    far.try_tell(BulkNote(1, ByteBuf::from(vec![7; 6 * 1024 * 1024]))).unwrap();
    // Lets the writer begin with it.
    tokio::task::yield_now().await;
    assert_eq!(far.send(Notes()).await, Ok(vec![]));
    far.send(BulkNote(2, ByteBuf::new())).await.unwrap();
    assert_eq!(far.send(Notes()).await, Ok(vec![1, 2]));
}

#[actix_rt::test]
async fn asks_of_different_messages_keep_their_order_at_a_full_mailbox() {
    tokio::time::pause();
    for peer in near_and_far::<ProbeApi>(busy()).await {
        tokio::task::yield_now().await;
        for number in 0..4 {
            peer.try_tell(Note(number)).unwrap();
        }
        let (noted, notes) = tokio::join!(peer.send(Note(4)), peer.send(Notes()));
        assert_eq!((noted, notes.map(|notes| notes.last().copied())), (Ok(()), Ok(Some(4))), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_full_link_refuses_tells_and_loses_none_it_took() {
    tokio::time::pause();
    let limits = FabricLimits { control_frames_max: 10, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    nodes.home.export("actor", Probe::exported());
    let told = (0..100).map(|number| far.try_tell(Note(number))).collect::<Vec<_>>();
    assert!(told[..10].iter().all(Result::is_ok));
    assert!(told[10..].iter().all(|refused| *refused == Err(PeerError::MailboxFull)));
    assert_eq!(far.send(Notes()).await, Ok((0..10).collect()));
}

/// Holds its mailbox shut for a second.
#[derive(Default)]
pub(crate) struct Busy(Probe);

impl Actor for Busy {
    type Context = Context<Self>;
    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(4);
        context.wait(actix::fut::wrap_future(tokio::time::sleep(Duration::from_secs(1))));
    }
}

impl actix::Handler<Note> for Busy {
    type Result = ();
    fn handle(&mut self, Note(number): Note, _: &mut Self::Context) {
        self.0.notes.lock().unwrap().push(number);
    }
}

impl actix::Handler<Notes> for Busy {
    type Result = Vec<u32>;
    fn handle(&mut self, _: Notes, _: &mut Self::Context) -> Vec<u32> {
        self.0.notes.lock().unwrap().clone()
    }
}

pub(crate) fn busy() -> odeon_runtime::Exports {
    let address = Busy(Probe::default()).start();
    odeon_runtime::Exports::new().accept::<Note, _>(&address).accept::<Notes, _>(&address)
}

#[actix_rt::test]
async fn a_full_mailbox_refuses_near_tells_and_holds_asks() {
    tokio::time::pause();
    let [near, _] = near_and_far::<ProbeApi>(busy()).await;
    tokio::task::yield_now().await;
    let told = (0..6).map(|number| near.try_tell(Note(number))).collect::<Vec<_>>();
    assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 4, "{told:?}");
    assert_eq!(told[5], Err(PeerError::MailboxFull));
    assert_eq!(near.send(Notes()).await, Ok((0..4).collect()));
}

#[actix_rt::test]
async fn a_tell_that_waits_for_room_is_taken_in_order_near_and_far() {
    tokio::time::pause();
    let limits = FabricLimits { control_frames_max: 2, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    for peer in nodes.peers::<ProbeApi>("actor") {
        for number in 0..100 {
            peer.tell(Note(number)).await.unwrap();
        }
        let notes = peer.send(Notes()).await.unwrap();
        assert_eq!(notes[notes.len() - 100..], (0..100).collect::<Vec<_>>(), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_tell_that_finds_no_room_in_time_says_so_near_and_far() {
    tokio::time::pause();
    let limits =
        FabricLimits { control_frames_max: 4, send_timeout: Duration::from_millis(500), ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", busy());
    nodes.network.cut("home", "away");
    for peer in nodes.peers::<ProbeApi>("actor") {
        tokio::task::yield_now().await;
        for number in 0..4 {
            peer.tell(Note(number)).await.unwrap();
        }
        assert_eq!(peer.tell(Note(4)).await, Err(PeerError::Timeout { after_ms: 500 }), "{peer:?}");
    }
}

#[actix_rt::test]
async fn far_tells_that_find_a_full_mailbox_wait_behind_it_and_none_is_lost() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", busy());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    for number in 0..10 {
        far.try_tell(Note(number)).unwrap();
    }
    assert_eq!(far.send(Notes()).await, Ok((0..10).collect()));
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}

/// Tells until there is no room although everybody else had their turn, and says how many were taken.
pub(crate) async fn fill(peer: &odeon_runtime::Peer<ProbeApi>) -> u32 {
    let (mut taken, mut refused) = (0, 0);
    while refused < 100 {
        match peer.try_tell(Note(taken)) {
            Ok(()) => (taken, refused) = (taken + 1, 0),
            Err(error) => {
                assert_eq!(error, PeerError::MailboxFull);
                refused += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    taken
}

#[actix_rt::test]
async fn a_slow_receiver_slows_its_senders_and_nobody_else() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("neighbour", Probe::exported());
    let neighbours = nodes.peers::<ProbeApi>("neighbour");
    for (slow, neighbour) in nodes.peers::<ProbeApi>("actor").into_iter().zip(neighbours) {
        nodes.home.export("actor", busy());
        let taken = fill(&slow).await;
        assert!(taken >= 4, "{slow:?} took {taken}");
        assert_eq!(neighbour.try_tell(Note(7)), Ok(()), "{neighbour:?}");
        assert_eq!(neighbour.send(Notes()).await.unwrap().last(), Some(&7), "{neighbour:?}");
        slow.tell(Note(taken)).await.unwrap();
        assert_eq!(slow.send(Notes()).await, Ok((0..=taken).collect()), "{slow:?}");
    }
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}

#[actix_rt::test]
async fn asks_beyond_what_a_link_may_handle_are_refused_and_the_others_answered() {
    tokio::time::pause();
    let limits = FabricLimits { inbound_asks_max: 3, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let replies = join_all((0..5).map(|_| far.send(SleepMs(100)))).await;
    assert_eq!(replies[..3], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(replies[3..], [Err(PeerError::MailboxFull), Err(PeerError::MailboxFull)]);
}

#[actix_rt::test]
async fn asks_beyond_what_may_be_pending_wait_within_their_timeout() {
    tokio::time::pause();
    let limits = FabricLimits { pending_asks_max: 2, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let replies = join_all((0..4).map(|_| far.send_within(SleepMs(200), Duration::from_millis(300)))).await;
    let late = Err(PeerError::Timeout { after_ms: 300 });
    assert_eq!(replies, [Ok(()), Ok(()), late.clone(), late]);
    assert_eq!(far.send(Echo("free again".into())).await, Ok("free again".into()));
}

#[actix_rt::test]
async fn a_refusal_that_would_quote_too_much_is_cut_short_and_the_link_stays() {
    tokio::time::pause();
    let limits = FabricLimits { frame_bytes_max: 1024, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<LongNameApi>("actor");
    let mut events = nodes.away.subscribe_links();
    let refused = far.send(LongName()).await;
    assert!(matches!(refused, Err(PeerError::TooLarge { bytes: 1024.., limit: 1024 })), "{refused:?}");
    assert!(matches!(events.recv().await, Some(odeon_runtime::LinkEvent::Up { .. })));
    assert_eq!(nodes.away.linked_nodes().len(), 1);
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct LongName();

impl actix::Message for LongName {
    type Result = ();
}

impl odeon_protocol::wire::RemoteMessage for LongName {
    const WIRE_NAME: &'static str = match std::str::from_utf8(&[b'x'; 985]) {
        Ok(name) => name,
        Err(_) => panic!("ascii"),
    };
    odeon_protocol::remote_message!(@codec);
}

odeon_protocol::interface! { LongNameApi: LongName }

#[actix_rt::test]
async fn a_message_or_reply_over_the_limit_is_refused_and_the_link_stays() {
    tokio::time::pause();
    let limits = FabricLimits { frame_bytes_max: 4096, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let refused = far.send(Echo("x".repeat(5000))).await;
    assert!(matches!(refused, Err(PeerError::TooLarge { bytes: 5000.., limit: 4096 })), "{refused:?}");
    let refused = far.send(Blob(5000)).await;
    assert!(matches!(refused, Err(PeerError::TooLarge { bytes: 5000.., limit: 4096 })), "{refused:?}");
    assert_eq!(far.send(Echo("x".repeat(3900))).await, Ok("x".repeat(3900)));
}
