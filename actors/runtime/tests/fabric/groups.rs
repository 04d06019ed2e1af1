//! Groups whose members are near and far.

use crate::probe::{Note, Notes, Probe, ProbeApi};
use crate::setup::TwoNodes;
use odeon_runtime::{ActorName, Group, Moved, Peer};

fn name(index: u32) -> ActorName {
    ActorName::of_role("shard", index).unwrap()
}

/// The same three actors as a group, seen from their node and from the other one.
async fn near_and_far() -> (TwoNodes, [Group<ProbeApi>; 2]) {
    tokio::time::pause();
    let nodes = TwoNodes::start(1).await;
    (0..3).for_each(|index| nodes.home.export(name(index), Probe::exported()));
    let seen = |side: usize| (0..3).map(|index| nodes.peers::<ProbeApi>(name(index))[side].clone()).collect::<Vec<_>>();
    let groups = [Group::new(seen(0)), Group::new(seen(1))];
    (nodes, groups)
}

#[actix_rt::test]
async fn one_is_each_member_in_its_turn_and_all_are_all_near_and_far() {
    let (_nodes, groups) = near_and_far().await;
    for (side, group) in groups.iter().enumerate() {
        for number in 0..6 {
            group.one().unwrap().tell(Note(number)).await.unwrap();
        }
        for (index, member) in (0..).zip(group.all()) {
            let notes = member.send(Notes()).await.unwrap();
            assert_eq!(notes[side * 2..], [index, index + 3], "{member:?}");
        }
    }
}

#[actix_rt::test]
async fn a_key_leads_to_the_same_member_from_every_node() {
    let (_nodes, [near, far]) = near_and_far().await;
    for key in 0..100_u32 {
        let key = key.to_be_bytes();
        assert_eq!(near.by_key(&key).map(Peer::actor), far.by_key(&key).map(Peer::actor));
    }
}

#[actix_rt::test]
async fn when_a_member_leaves_its_keys_are_handed_over_and_no_others() {
    let (nodes, [_, mut group]) = near_and_far().await;
    let keys: Vec<[u8; 4]> = (0..100_u32).map(u32::to_be_bytes).collect();
    let before: Vec<ActorName> = keys.iter().map(|key| group.by_key(key).unwrap().actor().clone()).collect();
    let hand_over = group.change([0, 2].map(|index| nodes.peers::<ProbeApi>(name(index))[1].clone()));
    assert_eq!(hand_over.left().collect::<Vec<_>>(), [&name(1)]);
    for (key, had) in keys.iter().zip(&before) {
        let has = group.by_key(key).map(Peer::actor);
        let moved = (*had == name(1)).then_some(Moved { from: Some(had), to: has });
        assert_eq!(hand_over.moved(key), moved);
    }
    assert!(before.contains(&name(1)), "the one that left had keys");
}

#[actix_rt::test]
async fn an_empty_group_has_no_member_for_anything() {
    let mut group = Group::<ProbeApi>::new([]);
    assert!(group.one().is_none() && group.by_key(b"key").is_none() && group.all().len() == 0);
    assert_eq!(group.change([]).moved(b"key"), None);
}
