//! What a node tells of its actors and links.

use crate::order::Busy;
use crate::probe::{Boom, Echo, Note, Notes, Probe, ProbeApi, restart, supervised};
use odeon_runtime::testkit::TwoNodes;
use odeon_runtime::{
    ActorFigures, Exports, FIGURES, GetFigures, LinkFigures, Node, OnPanic, SupervisorSpec, TellsFigures,
};
use std::time::Duration;

async fn nodes() -> TwoNodes {
    tokio::time::pause();
    TwoNodes::start(1).await
}

/// The only actor that the node supervises.
fn actor(node: &Node) -> ActorFigures {
    let mut actors = node.figures().actors;
    assert_eq!(actors.len(), 1, "{actors:?}");
    actors.remove(0)
}

/// The only link that the node has.
fn link(node: &Node) -> LinkFigures {
    let mut links = node.figures().links;
    assert_eq!(links.len(), 1, "{links:?}");
    links.remove(0)
}

#[actix_rt::test]
async fn what_waits_for_an_actor_and_what_it_has_handled_is_told() {
    let nodes = nodes().await;
    let spec = SupervisorSpec { name: "actor".into(), on_panic: OnPanic::Escalate, mailbox_capacity: 4 };
    let exports = |own: &actix::Addr<Busy>| Exports::new().accept::<Note, _>(own).accept::<Notes, _>(own);
    drop(nodes.home.supervise(spec, Busy::default, exports));
    let [near, far] = nodes.peers::<ProbeApi>("actor");
    (0..3).for_each(|number| near.try_tell(Note(number)).unwrap());
    (0..7).for_each(|number| far.try_tell(Note(number)).unwrap());
    tokio::time::sleep(Duration::from_millis(500)).await;
    let busy = actor(&nodes.home);
    assert_eq!((busy.waiting, busy.capacity, busy.handled, busy.handling), (10, 4, 0, Duration::ZERO));
    far.send(Notes()).await.unwrap();
    let free = actor(&nodes.home);
    assert_eq!((free.name.as_str(), free.waiting, free.handled, free.restarts), ("actor", 0, 11, 0));
}

#[actix_rt::test]
async fn restarts_and_the_last_panic_are_told_until_the_actor_has_ended() {
    let nodes = nodes().await;
    let mut watched = supervised(&nodes.home, restart());
    let [near, _] = nodes.peers::<ProbeApi>("actor");
    near.try_tell(Boom("one".into())).unwrap();
    near.try_tell(Note(1)).unwrap();
    watched.changed().await;
    watched.changed().await;
    near.send(Echo("again".into())).await.unwrap();
    let restarted = actor(&nodes.home);
    assert_eq!((restarted.restarts, restarted.last_error.as_deref()), (1, Some("one")));
    assert_eq!((restarted.waiting, restarted.handled), (0, 2), "what was lost with the panic does not wait");
    near.try_tell(Boom("two".into())).unwrap();
    watched.ended().await;
    assert_eq!(nodes.home.figures().actors, []);
}

#[actix_rt::test]
async fn both_ends_of_a_link_count_the_same_frames_and_know_its_round_trip() {
    let nodes = nodes().await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    for number in 0..100 {
        far.tell(Note(number)).await.unwrap();
    }
    far.send(Notes()).await.unwrap();
    let (home, away) = (link(&nodes.home), link(&nodes.away));
    assert!(away.frames_out >= 103 && away.bytes_out > 800, "{away:?}");
    assert_eq!((home.frames_in, home.bytes_in >= away.bytes_out), (away.frames_out, true), "{home:?} {away:?}");
    assert_eq!((home.is_dialled, away.is_dialled, away.frames_waiting), (false, true, 0));
    assert_eq!((&home.node, &away.node), (nodes.away.id(), nodes.home.id()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(link(&nodes.home).round_trip < Some(Duration::from_secs(1)));
    assert!(link(&nodes.home).round_trip.is_some() && link(&nodes.away).round_trip.is_some());
}

#[actix_rt::test]
async fn what_a_node_tells_reads_the_same_near_and_far() {
    let nodes = nodes().await;
    nodes.home.serve_figures();
    let _actor = supervised(&nodes.home, restart());
    for peer in nodes.peers::<TellsFigures>(FIGURES) {
        let told = peer.send(GetFigures {}).await.unwrap();
        assert_eq!((&told.node, told.actors), (nodes.home.id(), nodes.home.figures().actors), "{peer:?}");
    }
}

#[actix_rt::test]
async fn what_waits_for_the_socket_is_told() {
    let nodes = nodes().await;
    nodes.home.export("actor", Probe::exported());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Echo("up".into())).await.unwrap();
    for number in 0..10 {
        far.try_tell(Note(number)).unwrap();
    }
    let waiting = link(&nodes.away);
    assert_eq!(waiting.frames_waiting, 10);
    assert!(waiting.bytes_waiting > 10, "{waiting:?}");
}
