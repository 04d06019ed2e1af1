//! A panic is never silent.

use crate::probe::{Boom, Echo, Probe, ProbeApi, Quit, restart, supervised};
use odeon_runtime::testkit::TwoNodes;
use odeon_runtime::{ActorPanic, NodeFailure, OnPanic, PanicPolicy, Peer, PeerError, SupervisedState, SupervisorSpec};
use std::time::Duration;

async fn node() -> (TwoNodes, Peer<ProbeApi>) {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    let [near, _] = nodes.peers("actor");
    (nodes, near)
}

#[actix_rt::test]
async fn an_actor_that_panics_too_often_is_given_up_with_its_text() {
    let (nodes, peer) = node().await;
    let mut actor = supervised(&nodes.home, restart());
    assert_eq!(actor.state(), SupervisedState::Running { restarts: 0 });
    let _ = peer.send(Boom("one".into())).await;
    let after = Duration::from_millis(100);
    assert_eq!(actor.changed().await, SupervisedState::Restarting { restarts: 0, panic: "one".into(), after });
    assert_eq!(actor.changed().await, SupervisedState::Running { restarts: 1 });
    let _ = peer.send(Boom("two".into())).await;
    assert_eq!(actor.ended().await, SupervisedState::GaveUp { panic: "two".into() });
    assert_eq!(peer.send(Echo("x".into())).await, Err(PeerError::NoSuchActor { actor: "actor".into() }));
}

#[actix_rt::test]
async fn a_policy_of_ones_own_sees_each_panic_and_decides() {
    let (nodes, peer) = node().await;
    let policy =
        PanicPolicy::new(|panic: &ActorPanic| (panic.text != "fatal").then(|| Duration::from_secs(panic.restarts + 1)));
    let mut actor = supervised(&nodes.home, OnPanic::Decide(policy));
    for restarts in 0..3 {
        let _ = peer.send(Boom("again".into())).await;
        let after = Duration::from_secs(restarts + 1);
        assert_eq!(actor.changed().await, SupervisedState::Restarting { restarts, panic: "again".into(), after });
        assert_eq!(actor.changed().await, SupervisedState::Running { restarts: restarts + 1 });
    }
    let _ = peer.send(Boom("fatal".into())).await;
    assert_eq!(actor.ended().await, SupervisedState::GaveUp { panic: "fatal".into() });
}

#[actix_rt::test]
async fn an_actor_that_stops_by_itself_retracts_its_name() {
    let (nodes, peer) = node().await;
    let actor = supervised(&nodes.home, restart());
    peer.send(Quit()).await.unwrap();
    assert_eq!(actor.ended().await, SupervisedState::Stopped);
    assert!(matches!(peer.send(Echo("x".into())).await, Err(PeerError::NoSuchActor { .. })));
}

#[actix_rt::test]
async fn a_stopped_supervisor_stops_its_actor() {
    let (nodes, peer) = node().await;
    let actor = supervised(&nodes.home, restart());
    assert_eq!(peer.send(Echo("up".into())).await, Ok("up".into()));
    actor.stop();
    assert_eq!(actor.ended().await, SupervisedState::Stopped);
    assert!(matches!(peer.send(Echo("x".into())).await, Err(PeerError::NoSuchActor { .. })));
}

#[actix_rt::test]
async fn an_escalated_panic_fails_the_node() {
    let (nodes, peer) = node().await;
    let actor = supervised(&nodes.home, OnPanic::Escalate);
    let _ = peer.send(Boom("broken state".into())).await;
    let expected = NodeFailure { part: "actor".into(), reason: "panicked: broken state".into() };
    assert_eq!(nodes.home.failed().await, expected);
    assert_eq!(actor.ended().await, SupervisedState::Escalated { panic: "broken state".into() });
    nodes.home.fail("later", "another reason");
    assert_eq!(nodes.home.failed().await, expected, "the first reason stays");
}

#[actix_rt::test]
async fn a_factory_that_panics_at_a_restart_is_seen() {
    let (nodes, peer) = node().await;
    let mut starts = 0;
    let factory = move || {
        starts += 1;
        assert!(starts == 1, "cannot build it again");
        Probe::default()
    };
    let spec = SupervisorSpec { name: "actor".into(), on_panic: restart(), mailbox_capacity: 1 };
    let actor = nodes.home.supervise(spec, factory, Probe::exports);
    let _ = peer.send(Boom("one".into())).await;
    assert_eq!(actor.ended().await, SupervisedState::GaveUp { panic: "cannot build it again".into() });
}

#[actix_rt::test]
#[should_panic(expected = "the mailbox of actor may not be unbounded")]
async fn an_unbounded_mailbox_is_a_bug() {
    let (nodes, _) = node().await;
    let spec = SupervisorSpec { name: "actor".into(), on_panic: restart(), mailbox_capacity: 0 };
    nodes.home.supervise(spec, Probe::default, Probe::exports);
}

#[actix_rt::test]
async fn an_actor_that_replaced_the_export_keeps_the_name() {
    let (nodes, peer) = node().await;
    let actor = supervised(&nodes.home, restart());
    nodes.home.export("actor", Probe::exported());
    actor.stop();
    actor.ended().await;
    assert_eq!(peer.send(Echo("other".into())).await, Ok("other".into()));
}
