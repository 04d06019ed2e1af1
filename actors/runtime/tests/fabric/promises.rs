//! Promises of `docs/fabric.md` that no other file is about, each with one body for near and far.

use crate::order::{busy, fill};
use crate::probe::{Boom, Echo, Note, Notes, Probe, ProbeApi, Quit, SleepMs, restart, supervised};
use futures_util::FutureExt;
use odeon_runtime::testkit::{TwoNodes, near_and_far};
use odeon_runtime::{Exports, NodeId, Peer, PeerError};
use std::cell::RefCell;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Near or far, with nodes of its own; `which` is 0 for near.
async fn peer(which: usize, exports: Option<Exports>) -> (TwoNodes, Peer<ProbeApi>) {
    let nodes = TwoNodes::start(1).await;
    exports.into_iter().for_each(|exports| nodes.home.export("actor", exports));
    let peer = nodes.peers("actor").into_iter().nth(which).unwrap();
    (nodes, peer)
}

#[actix_rt::test]
async fn replies_come_in_the_order_in_which_handlers_finish_near_and_far() {
    tokio::time::pause();
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        let order = RefCell::new(Vec::new());
        let ask = |ms: u64| {
            let (peer, order) = (&peer, &order);
            async move {
                peer.send(SleepMs(ms)).await.unwrap();
                order.borrow_mut().push(ms);
            }
        };
        tokio::join!(ask(300), ask(100), ask(200));
        assert_eq!(*order.borrow(), [100, 200, 300], "{peer:?}");
    }
}

#[actix_rt::test]
async fn tells_and_asks_share_one_order_near_and_far() {
    tokio::time::pause();
    for which in 0..2 {
        let (_nodes, peer) = peer(which, Some(Probe::exported())).await;
        peer.try_tell(Note(1)).unwrap();
        peer.tell(Note(2)).await.unwrap();
        let asked = peer.send(Note(3));
        let told = async { peer.try_tell(Note(4)) };
        assert_eq!(tokio::join!(asked, told), (Ok(()), Ok(())));
        assert_eq!(peer.send(Notes()).await, Ok(vec![1, 2, 3, 4]), "{peer:?}");
    }
}

#[actix_rt::test]
async fn an_ask_takes_no_longer_than_its_timeout_wherever_it_waits_near_and_far() {
    tokio::time::pause();
    for which in 0..2 {
        let (nodes, peer) = peer(which, Some(Probe::exported())).await;
        peer.send(Echo("up".into())).await.unwrap();
        nodes.network.cut("home", "away");
        let began = Instant::now();
        let late = peer.send_within(SleepMs(9000), Duration::from_millis(700)).await;
        assert_eq!(late, Err(PeerError::Timeout { after_ms: 700 }), "{peer:?}");
        // Timers count in milliseconds.
        assert!(began.elapsed() <= Duration::from_millis(702), "{peer:?}");
    }
}

#[actix_rt::test]
async fn the_panic_of_an_actor_that_nobody_supervises_closes_its_address_and_nothing_else_near_and_far() {
    tokio::time::pause();
    for which in 0..2 {
        let (nodes, peer) = peer(which, Some(Probe::exported())).await;
        nodes.home.export("neighbour", Probe::exported());
        let neighbour: Peer<ProbeApi> = nodes.peers("neighbour").into_iter().nth(which).unwrap();
        assert_eq!(peer.send(Boom("alone".into())).await, Err(PeerError::Stopped), "{peer:?}");
        assert_eq!(peer.send(Echo("x".into())).await, Err(PeerError::Stopped), "{peer:?}");
        assert_eq!(neighbour.send(Echo("x".into())).await, Ok("x".into()), "{peer:?}");
        assert_eq!(nodes.home.failed().now_or_never(), None);
    }
}

#[actix_rt::test]
async fn an_actor_that_nobody_supervises_and_that_stops_keeps_its_name_and_no_watcher_hears_near_and_far() {
    tokio::time::pause();
    for which in 0..2 {
        let (nodes, peer) = peer(which, Some(Probe::exported())).await;
        let mut watching = Box::pin(peer.watch());
        assert!(watching.as_mut().now_or_never().is_none());
        assert_eq!(peer.send(Quit()).await, Ok(()), "{peer:?}");
        sleep(Duration::from_secs(60)).await;
        assert!(watching.as_mut().now_or_never().is_none(), "{peer:?}");
        assert_eq!(peer.send(Echo("x".into())).await, Err(PeerError::Stopped), "{peer:?}");
        assert!(nodes.home.retract("actor"), "the name is still there");
        assert!(watching.await.is_ok());
    }
}

#[actix_rt::test]
async fn a_panic_loses_what_waits_and_its_askers_see_that_near_and_far() {
    tokio::time::pause();
    for which in 0..2 {
        let (nodes, peer) = peer(which, None).await;
        let _actor = supervised(&nodes.home, restart());
        peer.send(Echo("up".into())).await.unwrap();
        peer.try_tell(Boom("now".into())).unwrap();
        peer.try_tell(Note(1)).unwrap();
        let refused = peer.send(Echo("waits".into())).await.unwrap_err();
        assert_eq!((&refused, refused.may_have_run()), (&PeerError::Stopped, true), "{peer:?}");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.send(Notes()).await, Ok(vec![]), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_shut_down_node_stops_no_actor() {
    tokio::time::pause();
    let (nodes, near) = peer(0, Some(Probe::exported())).await;
    nodes.home.shut_down();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(near.send(Echo("still here".into())).await, Ok("still here".into()));
}

#[actix_rt::test]
async fn nobody_dials_without_a_message() {
    tokio::time::pause();
    let (nodes, far) = peer(1, Some(Probe::exported())).await;
    sleep(Duration::from_secs(60)).await;
    assert!(nodes.away.linked_nodes().is_empty());
    far.send(Echo("x".into())).await.unwrap();
    nodes.network.reset("home", "away");
    sleep(Duration::from_secs(60)).await;
    assert!(nodes.away.linked_nodes().is_empty() && nodes.home.linked_nodes().is_empty());
    far.send(Echo("x".into())).await.unwrap();
    assert_eq!(
        nodes.home.linked_nodes(),
        [nodes.away.id().clone()].into_iter().collect::<std::collections::BTreeSet<NodeId>>()
    );
}

#[actix_rt::test]
async fn a_number_that_goes_to_other_names_loses_no_tell_that_was_taken() {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    let far = |name: String| {
        nodes.away.peer_at::<ProbeApi>(&TwoNodes::HOME.into(), odeon_runtime::ActorName::new(name).unwrap())
    };
    nodes.home.export("first", busy());
    let first = far("first".into());
    let taken_first = fill(&first).await;
    for index in 1..64 {
        nodes.home.export(odeon_runtime::ActorName::of_role("other", index).unwrap(), Probe::exported());
        far(format!("other/{index}")).send(Note(index)).await.unwrap();
    }
    // All numbers are taken, and the oldest has much on the way.
    nodes.home.export("second", busy());
    let second = far("second".into());
    let taken_second = fill(&second).await;
    assert!(
        taken_second * 2 > taken_first,
        "{taken_second} and {taken_first}: who waits behind one actor waits for no other"
    );
    assert_eq!(second.send(Notes()).await, Ok((0..taken_second).collect()));
    assert_eq!(first.send(Notes()).await, Ok((0..taken_first).collect()));
    assert_eq!(nodes.home.counters().tells_dropped, 0);
}
