//! Death watch, with the same body near and far.

use crate::probe::{Boom, Echo, Probe, ProbeApi, Quit, restart, supervised};
use crate::setup::TwoNodes;
use futures_util::FutureExt;
use odeon_runtime::{EndReason, FabricLimits, Peer, PeerError, Terminated};
use std::time::Duration;
use tokio::time::sleep;

/// The same watch from near and from far, each with nodes of its own.
async fn both() -> Vec<(TwoNodes, Peer<ProbeApi>)> {
    tokio::time::pause();
    let mut both = Vec::new();
    for at in 0..2 {
        let nodes = TwoNodes::start(1).await;
        let peer = nodes.peers("actor").swap_remove_at(at);
        both.push((nodes, peer));
    }
    both
}

trait At<T> {
    fn swap_remove_at(self, at: usize) -> T;
}

impl<T> At<T> for [T; 2] {
    fn swap_remove_at(self, at: usize) -> T {
        let [near, far] = self;
        if at == 0 { near } else { far }
    }
}

fn ended(reason: EndReason) -> Result<Terminated, PeerError> {
    Ok(Terminated { actor: "actor".into(), reason })
}

#[actix_rt::test]
async fn a_watcher_hears_that_the_actor_has_stopped_near_and_far() {
    for (nodes, peer) in both().await {
        supervised(&nodes.home, restart());
        let stop = async {
            sleep(Duration::from_secs(60)).await;
            let _ = peer.send(Quit()).await;
        };
        let (first, second, ()) = tokio::join!(peer.watch(), peer.watch(), stop);
        assert_eq!((first, second), (ended(EndReason::Stopped), ended(EndReason::Stopped)), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_restart_is_no_end_and_giving_up_is_one_near_and_far() {
    for (nodes, peer) in both().await {
        supervised(&nodes.home, restart());
        let mut watching = Box::pin(peer.watch());
        assert!(watching.as_mut().now_or_never().is_none());
        let _ = peer.send(Boom("one".into())).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.send(Echo("again".into())).await, Ok("again".into()));
        assert!(watching.as_mut().now_or_never().is_none(), "{peer:?}");
        let _ = peer.send(Boom("two".into())).await;
        assert_eq!(watching.await, ended(EndReason::Failed { panic: "two".into() }), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_name_that_leads_nowhere_or_is_taken_back_has_ended_near_and_far() {
    for (nodes, peer) in both().await {
        assert_eq!(peer.watch().await, ended(EndReason::Unknown), "{peer:?}");
        nodes.home.export("actor", Probe::exported());
        let retract = async {
            sleep(Duration::from_secs(1)).await;
            nodes.home.retract("actor");
        };
        let (heard, ()) = tokio::join!(peer.watch(), retract);
        assert_eq!(heard, ended(EndReason::Stopped), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_watcher_hears_that_the_node_is_lost_when_it_is_cut_off_or_shuts_down() {
    let [(near_nodes, near), (far_nodes, far)] = <[_; 2]>::try_from(both().await).ok().unwrap();
    near_nodes.home.export("actor", Probe::exported());
    far_nodes.home.export("actor", Probe::exported());
    let cut = async {
        sleep(Duration::from_secs(60)).await;
        far_nodes.network.cut("home", "away");
        near_nodes.home.shut_down();
    };
    let (near, far, ()) = tokio::join!(near.watch(), far.watch(), cut);
    assert_eq!(near, ended(EndReason::NodeLost { cause: "this node has shut down".into() }));
    let Ok(Terminated { reason: EndReason::NodeLost { cause }, .. }) = far else { panic!("{far:?}") };
    assert!(cause.starts_with("no bytes for 4") && cause.ends_with(" ms"), "{cause}");
}

#[actix_rt::test]
async fn watches_are_bounded_and_one_that_is_dropped_makes_room() {
    tokio::time::pause();
    let limits = FabricLimits { watches_max: 1, ..FabricLimits::DEFAULT };
    let nodes = TwoNodes::start_with(1, limits).await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    let mut first = Box::pin(far.watch());
    assert!(first.as_mut().now_or_never().is_none());
    assert_eq!(far.watch().await, Err(PeerError::MailboxFull));
    drop(first);
    far.send(Echo("the drop has arrived".into())).await.unwrap();
    let again = tokio::time::timeout(Duration::from_secs(60), far.watch()).await;
    assert!(again.is_err(), "{again:?}");
}
