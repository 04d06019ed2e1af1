//! A caller cannot tell a near actor from a far one, errors included.

use crate::probe::{
    Boom, Echo, Fail, NotOnTheList, Probe, ProbeApi, ProbeError, Quit, SleepMs, WhoAmI, restart, supervised,
};
use crate::setup::{TwoNodes, near_and_far};
use odeon_runtime::{ActorAddress, Endpoint, Node, Peer, PeerError};
use std::time::Duration;

#[actix_rt::test]
async fn a_reply_reads_the_same_near_and_far() {
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        assert_eq!(peer.send(Echo("hello".into())).await, Ok("hello".into()), "{peer:?}");
    }
}

#[actix_rt::test]
async fn an_error_of_the_handler_reads_the_same_near_and_far() {
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        assert_eq!(peer.send(Fail(7)).await, Ok(Err(ProbeError::Refused(7))), "{peer:?}");
    }
}

#[actix_rt::test]
async fn an_unknown_actor_reads_the_same_near_and_far() {
    let nodes = TwoNodes::start(1).await;
    for peer in nodes.peers::<ProbeApi>("nobody") {
        let refused = peer.send(Echo("x".into())).await;
        assert_eq!(refused, Err(PeerError::NoSuchActor { actor: "nobody".into() }), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_message_that_is_not_exported_reads_the_same_near_and_far() {
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        let expected = PeerError::NotExported { actor: "actor".into(), message: "probe.v1.NotOnTheList".into() };
        assert_eq!(peer.send(NotOnTheList()).await, Err(expected), "{peer:?}");
        assert_eq!(peer.send(Echo("still here".into())).await, Ok("still here".into()), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_timeout_reads_the_same_near_and_far() {
    tokio::time::pause();
    for peer in near_and_far::<ProbeApi>(Probe::exported()).await {
        let late = peer.send_within(SleepMs(1000), Duration::from_millis(300)).await;
        assert_eq!(late, Err(PeerError::Timeout { after_ms: 300 }), "{peer:?}");
        assert_eq!(peer.send(SleepMs(6000)).await, Err(PeerError::Timeout { after_ms: 5000 }), "{peer:?}");
        assert_eq!(peer.send(SleepMs(4000)).await, Ok(()), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_stopped_actor_reads_the_same_near_and_far() {
    for which in 0..2 {
        let peer = &near_and_far::<ProbeApi>(Probe::exported()).await[which];
        assert_eq!(peer.send(Quit()).await, Ok(()), "{peer:?}");
        assert_eq!(peer.send(Echo("x".into())).await, Err(PeerError::Stopped), "{peer:?}");
    }
}

#[actix_rt::test]
async fn a_panic_reads_the_same_near_and_far_and_the_name_works_again_after_the_restart() {
    tokio::time::pause();
    for which in 0..2 {
        let nodes = TwoNodes::start(1).await;
        let mut actor = supervised(&nodes.home, restart());
        let peer = &nodes.peers::<ProbeApi>("actor")[which];
        assert_eq!(peer.send(Boom("on purpose".into())).await, Err(PeerError::Stopped), "{peer:?}");
        actor.changed().await;
        assert_eq!(peer.send(Echo("too early".into())).await, Err(PeerError::Stopped), "{peer:?}");
        actor.changed().await;
        assert_eq!(peer.send(Echo("back".into())).await, Ok("back".into()), "{peer:?}");
    }
}

#[actix_rt::test]
async fn the_handler_knows_the_node_of_the_sender_and_can_answer_over_its_link() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    nodes.away.export("agent", Probe::exported());
    let [near, far] = nodes.peers::<ProbeApi>("actor");
    assert_eq!(near.send(WhoAmI()).await.as_ref(), Ok(nodes.home.id()));
    let sender = far.send(WhoAmI()).await.unwrap();
    assert_eq!(&sender, nodes.away.id());
    let back: Peer<ProbeApi> = nodes.home.peer_of(&sender, "agent");
    assert_eq!(back.send(Echo("back".into())).await, Ok("back".into()));
}

#[actix_rt::test]
async fn a_node_without_a_link_is_unreachable() {
    let nodes = TwoNodes::start(1).await;
    let stranger: Peer<ProbeApi> = nodes.home.peer_of(nodes.away.id(), "agent");
    let target = nodes.away.id().to_string();
    let expected = PeerError::Unreachable { target, cause: "there is no link to it".into() };
    assert_eq!(stranger.send(Echo("x".into())).await, Err(expected.clone()));
    assert_eq!(stranger.try_tell(Echo("x".into())), Err(expected));
}

#[actix_rt::test]
async fn a_retracted_name_is_no_actor_and_a_second_export_replaces_the_first() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", odeon_runtime::Exports::new());
    nodes.home.export("actor", Probe::exported());
    for peer in nodes.peers::<ProbeApi>("actor") {
        assert_eq!(peer.send(Echo("second".into())).await, Ok("second".into()), "{peer:?}");
    }
    assert!(nodes.home.retract("actor"));
    assert!(!nodes.home.retract("actor"));
    for peer in nodes.peers::<ProbeApi>("actor") {
        assert!(matches!(peer.send(Echo("x".into())).await, Err(PeerError::NoSuchActor { .. })), "{peer:?}");
    }
}

#[actix_rt::test]
#[should_panic(expected = "the message probe.v1.Echo is accepted twice")]
async fn a_message_accepted_twice_is_a_bug() {
    let address = actix::Actor::start(Probe::default());
    let _ = odeon_runtime::Exports::new().accept::<Echo, _>(&address).accept::<Echo, _>(&address);
}

#[actix_rt::test]
async fn an_address_from_a_message_leads_to_the_same_actor_from_every_node() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let address = nodes.home.peer::<ProbeApi>("actor").address();
    let bytes = rmp_serde::to_vec_named(&address).unwrap();
    let address: ActorAddress = rmp_serde::from_slice(&bytes).unwrap();
    for node in [&nodes.home, &nodes.away] {
        let peer: Peer<ProbeApi> = node.resolve(&address);
        assert_eq!(peer.send(Echo("hi".into())).await, Ok("hi".into()), "{peer:?}");
    }
}

#[actix_rt::test]
async fn an_address_of_another_incarnation_is_unreachable() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let mut address = nodes.home.peer::<ProbeApi>("actor").address();
    address.node.as_mut().unwrap().incarnation = 99;
    let wanted = address.node.as_ref().unwrap().to_string();
    let peer: Peer<ProbeApi> = nodes.away.resolve(&address);
    for attempt in ["while dialling", "while the link is up"] {
        let refused = peer.send(Echo("x".into())).await.unwrap_err();
        let PeerError::Unreachable { target, cause } = &refused else { panic!("{attempt}: {refused:?}") };
        assert_eq!(*target, wanted);
        assert!(cause.starts_with("another incarnation"), "{attempt}: {cause}");
    }
}

#[actix_rt::test]
async fn an_address_names_the_advertised_endpoint() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.advertise("forwarded:1");
    let address = nodes.home.peer::<ProbeApi>("actor").address();
    assert_eq!(address.endpoint, Some("forwarded:1".into()));
}

#[actix_rt::test]
async fn the_own_endpoint_is_near() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    let peer: Peer<ProbeApi> = nodes.home.peer_at(&Endpoint::new(TwoNodes::HOME), "actor");
    assert_eq!(peer.send(Echo("me".into())).await, Ok("me".into()));
    assert!(nodes.home.linked_nodes().is_empty());
}

#[actix_rt::test]
async fn a_node_does_not_start_without_an_incarnation_or_with_a_bad_name() {
    let refused = Node::builder("n").start().await.unwrap_err();
    assert_eq!(refused.to_string(), "the node \"n\" was given no incarnation");
    let refused = Node::builder("a/b").incarnation(1).start().await.unwrap_err();
    assert_eq!(refused.to_string(), "the node name \"a/b\" is not valid");
}

#[test]
fn a_peer_goes_to_any_thread() {
    fn any_thread<T: Send + Sync + Clone + std::fmt::Debug>() {}
    any_thread::<Peer<ProbeApi>>();
}
