//! Which roles may send which message.

use crate::probe::{Echo, Note, Notes, Probe, ProbeApi};
use crate::setup::{TwoNodes, node};
use actix::Actor;
use odeon_runtime::trust::{PeerRole, PeerRoles};
use odeon_runtime::{Exports, FabricLimits, Peer, PeerError};

/// An actor that takes notes from agents only, and everything else from anybody.
fn picky() -> Exports {
    let probe = Probe::default().start();
    let list = Exports::new().accept::<Echo, _>(&probe).accept::<Notes, _>(&probe);
    list.only_from(&[PeerRole::Agent, PeerRole::ActorHost]).accept::<Note, _>(&probe)
}

async fn peer_as(nodes: &TwoNodes, name: &str, role: PeerRole) -> Peer<ProbeApi> {
    let node = node(&nodes.network, name, 7, PeerRoles::of(&[role]), FabricLimits::DEFAULT).await;
    node.peer_at(&TwoNodes::HOME.into(), "actor")
}

#[actix_rt::test]
async fn a_message_is_taken_from_peers_of_its_roles_and_from_no_others() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", picky());
    for role in PeerRole::ALL {
        let peer = peer_as(&nodes, role.name(), role).await;
        let noted = peer.send(Note(1)).await;
        let message = "probe.v1.Note".to_owned();
        let forbidden = PeerError::Forbidden { actor: "actor".into(), message, roles: role.to_string() };
        match role {
            PeerRole::Agent | PeerRole::ActorHost => assert_eq!(noted, Ok(())),
            PeerRole::Client | PeerRole::Master => assert_eq!(noted, Err(forbidden)),
        }
    }
    assert_eq!(nodes.home.counters().messages_forbidden, 2);
}

#[actix_rt::test]
async fn a_refusal_is_counted_and_leaves_the_link_and_the_actor_as_they_were() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", picky());
    let peer = peer_as(&nodes, "eve", PeerRole::Client).await;
    for number in 0..3 {
        assert_eq!(peer.try_tell(Note(number)), Ok(()));
    }
    assert_eq!(peer.send(Notes()).await, Ok(vec![]));
    let counters = nodes.home.counters();
    assert_eq!((counters.messages_forbidden, counters.tells_dropped), (3, 3));
    assert_eq!(nodes.home.linked_nodes().len(), 1);
    assert_eq!(peer.send(Echo("still".into())).await, Ok("still".into()));
}

#[actix_rt::test]
async fn a_role_holds_in_both_directions_of_a_link() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", Probe::exported());
    nodes.away.export("actor", picky());
    let [_, far] = nodes.peers::<ProbeApi>("actor");
    far.send(Echo("up".into())).await.unwrap();
    // The other end listened, and is a master.
    let back: Peer<ProbeApi> = nodes.home.peer_of(nodes.away.id(), "actor");
    let refused = back.send(Note(1)).await;
    assert!(matches!(&refused, Err(PeerError::Forbidden { roles, .. }) if roles == "master"), "{refused:?}");
}

#[actix_rt::test]
async fn within_a_node_and_without_certificates_everybody_has_all_roles() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", picky());
    let [near, _] = nodes.peers::<ProbeApi>("actor");
    assert_eq!(near.send(Note(1)).await, Ok(()));
    for peer in odeon_runtime::testkit::near_and_far::<ProbeApi>(picky()).await {
        assert_eq!(peer.send(Note(1)).await, Ok(()));
    }
}

#[actix_rt::test]
async fn what_a_role_may_not_send_is_not_decoded() {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", picky());
    let [_, far] = nodes.peers::<crate::refusals::WrongShapeApi>("actor");
    let refused = far.send(crate::refusals::NoteOfText("not a number".into())).await;
    assert!(matches!(refused, Err(PeerError::Forbidden { .. })), "{refused:?}");
}
