//! Updates of deployments, against a master of paper.

use super::tests::{EVERYTHING, Play, name};
use super::*;
use crate::placement::tests::spec;
use odeon_protocol::deployment::{DeploymentSpec, HostedState};
use odeon_protocol::messages::deployments::{ActorState, DeploymentError, DeploymentSummary, UpdateOutcome};
use odeon_protocol::task::TaskState;
use odeon_protocol::update::UpdateState;

/// The same deployment with other arguments.
fn version(number: u32, instances: u32) -> DeploymentSpec {
    DeploymentSpec { arguments: format!("{{\"version\":{number}}}"), ..spec("d", instances) }
}

/// A deployment of that many actors, all of which run, and their tasks.
fn running(instances: u32) -> (Play, Vec<TaskId>) {
    let mut play = Play::with(version(1, instances));
    let tasks: Vec<TaskId> = play.offer("a", EVERYTHING).into_iter().map(|(_, task)| task).collect();
    assert_eq!(tasks.len(), instances as usize);
    tasks.iter().for_each(|task| play.report(task, HostedState::Running));
    play.effects.clear();
    (play, tasks)
}

impl Play {
    fn begin(&mut self, spec: DeploymentSpec) -> Result<UpdateOutcome, DeploymentError> {
        self.call(|core, now, out| core.on_update_deployment(spec, now, out))
    }

    /// Which tasks were to end since the last look.
    fn killed(&mut self) -> Vec<TaskId> {
        let calls = self.calls().into_iter();
        calls.filter_map(|call| if let Call::Kill(task) = call { Some(task) } else { None }).collect()
    }

    /// Ends a task as the master does when it is told to, and launches what waits; the result is the one new task.
    fn replaced(&mut self, task: &TaskId) -> TaskId {
        self.update(task, TaskState::Killed, "");
        let mut launched = self.offer("a", EVERYTHING);
        assert_eq!(launched.len(), 1, "{launched:?}");
        launched.remove(0).1
    }

    fn healthy(&mut self, task: &TaskId) {
        self.report(task, HostedState::Running);
        self.wait(self.core.state.deployments[&name()].spec.update.healthy_after);
    }

    fn summary(&self) -> DeploymentSummary {
        self.core.on_get_deployments().remove(0)
    }

    /// The arguments with which an actor runs.
    fn arguments(&self, index: u32) -> &str {
        let deployment = &self.core.state.deployments[&name()];
        let place = deployment.actors[&index].place().expect("it has a task");
        let previous = deployment.previous.as_ref().filter(|version| version.number == place.number);
        let spec = previous.map_or(&deployment.spec, |version| &version.spec);
        assert!(deployment.is_current(place) || previous.is_some());
        &spec.arguments
    }
}

#[test]
fn actors_are_replaced_one_after_the_other_each_when_the_one_before_is_healthy() {
    let (mut play, tasks) = running(3);
    assert_eq!(play.begin(version(2, 3)), Ok(UpdateOutcome::Rolling));
    for (index, old) in (0..).zip(tasks) {
        assert_eq!(play.killed(), std::slice::from_ref(&old), "one at a time");
        let new = play.replaced(&old);
        play.report(&new, HostedState::Running);
        assert_eq!(play.killed(), [], "it is watched first");
        play.healthy(&new);
        assert_eq!(play.arguments(index), version(2, 3).arguments);
    }
    assert_eq!(play.killed(), []);
    assert_eq!((play.summary().update, play.summary().current), (None, 3));
    assert_eq!(play.core.next_deadline(), None, "nothing is watched any more");
}

#[test]
fn as_many_are_away_at_a_time_as_the_policy_allows() {
    let (mut play, tasks) = running(5);
    let mut next = version(2, 5);
    next.update.unavailable_max = 2;
    play.begin(next).unwrap();
    assert_eq!(play.killed(), tasks[..2]);
    let new = play.replaced(&tasks[0]);
    assert_eq!(play.killed(), []);
    play.healthy(&new);
    assert_eq!(play.killed(), [tasks[2].clone()], "one more for the one that is healthy");
}

#[test]
fn actors_that_are_away_already_are_replaced_at_once_and_count() {
    let (mut play, tasks) = running(4);
    play.report(&tasks[2], HostedState::Restarting);
    play.report(&tasks[3], HostedState::Restarting);
    play.begin(version(2, 4)).unwrap();
    assert_eq!(play.killed(), tasks[2..]);
}

#[test]
fn a_new_actor_that_panics_takes_the_update_back_and_those_before_stay() {
    let (mut play, tasks) = running(3);
    play.begin(version(2, 3)).unwrap();
    let new = play.replaced(&tasks[0]);
    play.effects.clear();
    play.report(&new, HostedState::Restarting);
    assert_eq!(play.killed(), std::slice::from_ref(&new), "and none of the others");
    let reason = "d/0 has failed: it hurts".to_owned();
    assert_eq!(play.summary().update, Some(UpdateState::RollingBack { reason: reason.clone() }));
    let back = play.replaced(&new);
    play.healthy(&back);
    assert_eq!(play.arguments(0), version(1, 3).arguments);
    assert_eq!((play.summary().update, play.summary().current), (Some(UpdateState::RolledBack { reason }), 3));
    assert_eq!(play.killed(), []);
}

#[test]
fn a_new_actor_that_cannot_be_built_takes_the_update_back_and_is_not_given_up() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    let new = play.replaced(&tasks[0]);
    play.update(&new, TaskState::Error, "no such type");
    assert_eq!(play.states()[0].1, ActorState::Waiting);
    assert!(play.calls().contains(&Call::Revive), "it wants a place");
    let (_, back) = play.offer("a", EVERYTHING).remove(0);
    play.healthy(&back);
    assert_eq!(play.arguments(0), version(1, 2).arguments);
}

#[test]
fn a_lost_agent_is_no_failure_of_the_new_version() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    let new = play.replaced(&tasks[0]);
    play.update(&new, TaskState::Lost, "its agent is gone");
    assert_eq!(play.summary().update, Some(UpdateState::Rolling));
}

#[test]
fn an_update_without_progress_is_taken_back() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    // There is no room for it any more.
    play.update(&tasks[0], TaskState::Killed, "");
    let deadline = play.core.next_deadline().unwrap();
    assert_eq!(deadline, play.now.after(version(2, 2).update.progress_within));
    play.wait(deadline - play.now.since_start);
    let reason = "no further actor was healthy within 120s".to_owned();
    assert_eq!(play.summary().update, Some(UpdateState::RollingBack { reason }));
    let (_, back) = play.offer("a", EVERYTHING).remove(0);
    play.healthy(&back);
    assert_eq!(play.arguments(0), version(1, 2).arguments);
}

#[test]
fn what_has_been_given_up_is_tried_again_as_another_version() {
    let (mut play, tasks) = running(1);
    play.update(&tasks[0], TaskState::Error, "no such type");
    assert_eq!(play.states()[0].1, ActorState::GivenUp);
    play.begin(version(2, 1)).unwrap();
    let (_, new) = play.offer("a", EVERYTHING).remove(0);
    play.healthy(&new);
    assert_eq!(play.summary().update, None);
}

#[test]
fn another_number_of_actors_replaces_none() {
    let (mut play, _) = running(2);
    assert_eq!(play.begin(version(1, 2)), Ok(UpdateOutcome::Unchanged));
    assert_eq!(play.begin(version(1, 3)), Ok(UpdateOutcome::Changed));
    assert_eq!(play.killed(), []);
    assert_eq!(play.offer("a", EVERYTHING).len(), 1);
    assert_eq!(play.begin(version(1, 1)), Ok(UpdateOutcome::Changed));
    assert_eq!(play.killed().len(), 2);
}

#[test]
fn an_update_is_taken_back_by_hand_while_it_rolls_and_after() {
    for finished in [false, true] {
        let (mut play, tasks) = running(1);
        assert!(matches!(
            play.call(|core, now, out| core.on_roll_back(&name(), now, out)),
            Err(DeploymentError::NoEarlierVersion(_))
        ));
        play.begin(version(2, 1)).unwrap();
        let new = play.replaced(&tasks[0]);
        if finished {
            play.healthy(&new);
        }
        play.effects.clear();
        play.call(|core, now, out| core.on_roll_back(&name(), now, out)).unwrap();
        assert_eq!(play.killed(), std::slice::from_ref(&new));
        let back = play.replaced(&new);
        play.healthy(&back);
        assert_eq!(play.arguments(0), version(1, 1).arguments);
    }
}

#[test]
fn a_third_version_before_the_second_is_reached_goes_back_to_the_first() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    let second = play.replaced(&tasks[0]);
    play.effects.clear();
    play.begin(version(3, 2)).unwrap();
    assert_eq!(play.killed(), std::slice::from_ref(&second), "it does not count as running yet");
    let third = play.replaced(&second);
    play.effects.clear();
    play.report(&third, HostedState::GivenUp);
    let back = play.replaced(&third);
    play.healthy(&back);
    assert_eq!((play.arguments(0), play.arguments(1)), ("{\"version\":1}", "{\"version\":1}"));
}

#[test]
fn a_deployer_that_is_started_again_goes_on_with_the_update() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    let new = play.replaced(&tasks[0]);
    play.healthy(&new);
    let mut later = Play::recovered(play.records);
    later.effects.clear();
    later.subscribed();
    assert_eq!(later.killed(), [], "the new one is watched anew");
    later.healthy(&new);
    assert_eq!(later.killed(), [tasks[1].clone()]);
    let last = later.replaced(&tasks[1]);
    later.healthy(&last);
    assert_eq!((later.summary().update, later.summary().current), (None, 2));
}

#[test]
fn a_new_version_has_a_host_of_its_own_which_is_paid_for() {
    let (mut play, tasks) = running(2);
    play.begin(version(2, 2)).unwrap();
    play.update(&tasks[0], TaskState::Killed, "");
    assert_eq!(play.offer("a", "cpus:1;mem:10"), [], "there is room for the actor, and none for its host");
    assert_eq!(play.offer("a", "cpus:1;mem:42").len(), 1);
}

#[test]
fn an_actor_that_is_stopped_holds_no_update_up() {
    let (mut play, tasks) = running(2);
    play.call(|core, now, out| core.on_stop_actor("d/0", now, out)).unwrap();
    play.update(&tasks[0], TaskState::Killed, "");
    play.effects.clear();
    play.begin(version(2, 2)).unwrap();
    let new = play.replaced(&tasks[1]);
    play.healthy(&new);
    assert_eq!(play.summary().update, None);
}

#[test]
fn a_deployment_that_is_not_there_is_not_updated() {
    let (mut play, _) = running(1);
    let unknown = play.begin(spec("e", 1));
    assert!(matches!(unknown, Err(DeploymentError::Unknown(_))), "{unknown:?}");
    let mut bad = version(2, 1);
    bad.update.unavailable_max = 0;
    let invalid = play.begin(bad);
    assert!(matches!(invalid, Err(DeploymentError::Invalid(_))), "{invalid:?}");
    assert_eq!(play.killed(), []);
}
