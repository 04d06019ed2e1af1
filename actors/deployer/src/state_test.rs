//! The state and its records.

use super::*;
use crate::placement::tests::spec;
use proptest::prelude::*;

fn key(index: u32) -> ActorKey {
    ActorKey { name: DeploymentName::new("d").unwrap(), index }
}

fn placed(index: u32, number: u64) -> Record {
    let task_id = TaskId::new(format!("d.{index}.{number}")).unwrap();
    let (agent_id, hostname) = (AgentId::new("a").unwrap(), "host-a".into());
    let place = Place { task_id, number: 0, agent_id, hostname, location: None };
    Record::Placed { actor: key(index), place }
}

fn ended(index: u32, phase: Phase) -> Record {
    Record::Ended { actor: key(index), phase }
}

fn indices(state: &DeployerState) -> Vec<u32> {
    state.actors().map(|(key, ..)| key.index).collect()
}

#[test]
fn a_deployment_that_shrinks_keeps_what_still_runs() {
    let name = key(0).name;
    let scaled = |instances| Record::Scaled { name: name.clone(), instances };
    let mut state = DeployerState::replay(vec![Record::Deployed(spec("d", 3)), placed(2, 1), scaled(1)]);
    assert_eq!(indices(&state), [0, 2], "the one without a task is gone at once");
    state.apply(&ended(2, Phase::Waiting));
    assert_eq!(indices(&state), [0]);
    state.apply(&scaled(2));
    assert_eq!(indices(&state), [0, 1]);
}

#[test]
fn a_removed_deployment_is_gone_with_its_last_task() {
    let mut state = DeployerState::replay(vec![Record::Deployed(spec("d", 2)), placed(0, 1)]);
    state.apply(&Record::Removed(key(0).name));
    assert_eq!(indices(&state), [0]);
    state.apply(&ended(0, Phase::Finished));
    assert!(state.deployments.is_empty());
}

#[test]
fn only_an_actor_that_had_a_place_is_restarted() {
    let mut state = DeployerState::replay(vec![Record::Deployed(spec("d", 1))]);
    state.apply(&ended(0, Phase::Waiting));
    assert_eq!(state.actor(&key(0)).unwrap().restarts, 0);
    state.apply(&placed(0, 1));
    state.apply(&ended(0, Phase::Waiting));
    assert_eq!(state.actor(&key(0)).unwrap().restarts, 1);
}

fn any_record() -> impl Strategy<Value = Record> {
    let index = 0..4_u32;
    let phase = prop_oneof![Just(Phase::Waiting), Just(Phase::Stopped), Just(Phase::Finished)];
    prop_oneof![
        (0..4_u32).prop_map(|instances| Record::Deployed(spec("d", instances))),
        (0..4_u32).prop_map(|instances| Record::Scaled { name: key(0).name, instances }),
        Just(Record::Removed(key(0).name)),
        (index.clone(), any::<bool>()).prop_map(|(index, stop)| Record::StopWanted { actor: key(index), stop }),
        (index.clone(), any::<u64>()).prop_map(|(index, number)| placed(index, number)),
        (index, phase).prop_map(|(index, phase)| ended(index, phase)),
    ]
}

proptest! {
    /// What a snapshot takes the place of is not missed, and no number is given out twice.
    #[test]
    fn a_snapshot_says_all(records in prop::collection::vec(any_record(), 0..40), at in 0..40_usize) {
        let whole = DeployerState::replay(records.clone());
        let at = at.min(records.len());
        let snapshot = Record::Snapshot(DeployerState::replay(records[..at].to_vec()));
        let rest = records[at..].iter().cloned();
        prop_assert_eq!(DeployerState::replay([snapshot].into_iter().chain(rest).collect()), whole);
    }

    /// Whatever is recorded, an actor that nobody wants has a task that is still to end.
    #[test]
    fn nothing_unwanted_stays_without_a_task(records in prop::collection::vec(any_record(), 0..40)) {
        let state = DeployerState::replay(records);
        for (key, deployment, actor) in state.actors() {
            prop_assert!(deployment.wants(key.index) || actor.place().is_some());
        }
    }
}
