//! A few runs over loopback TCP, on the real clock.

use crate::probe::{Blob, Echo, Probe, ProbeApi, SleepMs};
use odeon_runtime::{LinkEvent, ListenError, Node, Peer, PeerError};

async fn node(name: &str, incarnation: u64) -> Node {
    Node::builder(name).incarnation(incarnation).start().await.unwrap()
}

#[actix_rt::test]
async fn two_nodes_talk_over_tcp() {
    let (home, away) = (node("home", 1).await, node("away", 2).await);
    let bound = home.listen("127.0.0.1:0").await.unwrap();
    home.export("actor", Probe::exported());
    let far: Peer<ProbeApi> = away.peer_at(&bound, "actor");
    assert_eq!(far.send(Echo("hello".into())).await, Ok("hello".into()));
    assert_eq!(far.send(Blob(4_000_000)).await.unwrap().len(), 4_000_000);
}

#[actix_rt::test]
async fn a_lost_tcp_link_fails_what_waits() {
    let (home, away) = (node("home", 1).await, node("away", 2).await);
    let bound = home.listen("127.0.0.1:0").await.unwrap();
    home.export("actor", Probe::exported());
    let far: Peer<ProbeApi> = away.peer_at(&bound, "actor");
    let mut events = home.subscribe_links();
    let stop = async {
        assert!(matches!(events.recv().await, Some(LinkEvent::Up { .. })));
        home.shut_down();
    };
    let (reply, ()) = tokio::join!(far.send(SleepMs(60_000)), stop);
    assert!(matches!(reply, Err(PeerError::LinkLost { .. })), "{reply:?}");
}

#[actix_rt::test]
async fn an_address_in_use_is_named() {
    let (home, away) = (node("home", 1).await, node("away", 2).await);
    let bound = home.listen("127.0.0.1:0").await.unwrap();
    let refused = away.listen(&bound).await.unwrap_err();
    assert!(matches!(&refused, ListenError::InUse { endpoint } if *endpoint == bound), "{refused}");
    assert!(refused.to_string().contains(bound.as_str()));
}

#[actix_rt::test]
async fn a_peer_works_from_another_thread() {
    let (home, away) = (node("home", 1).await, node("away", 2).await);
    let bound = home.listen("127.0.0.1:0").await.unwrap();
    home.export("actor", Probe::exported());
    let peers: Vec<Peer<ProbeApi>> = vec![home.peer("actor"), away.peer_at(&bound, "actor")];
    let (sender, replies) = tokio::sync::oneshot::channel();
    let arbiter = actix_rt::Arbiter::new();
    arbiter.spawn(async move {
        let asks = peers.iter().map(|peer| peer.send(Echo("hi".into())));
        let _ = sender.send(futures_util::future::join_all(asks).await);
    });
    assert_eq!(replies.await.unwrap(), [Ok("hi".into()), Ok("hi".into())]);
    arbiter.stop();
}
