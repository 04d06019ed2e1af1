//! Those who follow the actors of the deployer hear of each change, together with those close to it, and of nothing else.

use super::tests::{EVERYTHING, Play};
use super::*;
use crate::placement::tests::spec;
use odeon_protocol::deployment::HostedState;
use odeon_protocol::messages::deployments::{ActorState, GetActors};
use odeon_protocol::messages::directory::{ActorsSeen, HELD_FOR, Revision, WatchActors, WatchError};
use odeon_protocol::task::TaskState;
use odeon_runtime::{Hold, QuestionId};

fn all() -> GetActors {
    GetActors { deployment: None, actor_type: None }
}

fn of(name: &str) -> GetActors {
    GetActors { deployment: Some(DeploymentName::new(name).unwrap()), actor_type: None }
}

impl Play {
    /// The state now, for one who has seen nothing.
    fn seen(&mut self, wanted: &GetActors) -> ActorsSeen {
        match self.watch(wanted, None) {
            Hold::Answered(answer) => answer.unwrap(),
            Hold::Held(id) => panic!("{id} is held"),
        }
    }

    fn watch(&mut self, wanted: &GetActors, seen: Option<Revision>) -> Hold<Result<ActorsSeen, WatchError>> {
        let question = WatchActors { wanted: wanted.clone(), seen };
        self.call(|core, now, _| core.on_watch_actors(question, now))
    }

    /// A question that is held from now on.
    fn hold(&mut self, wanted: &GetActors) -> QuestionId {
        let seen = self.seen(wanted).revision;
        match self.watch(wanted, Some(seen)) {
            Hold::Held(id) => id,
            Hold::Answered(answer) => panic!("it was answered: {answer:?}"),
        }
    }

    /// Lets all pass that is due, and gives what followers were told.
    fn told(&mut self) -> Vec<(QuestionId, ActorsSeen)> {
        self.effects.clear();
        if let Some(due) = self.core.next_deadline() {
            self.now.since_start = self.now.since_start.max(due);
        }
        self.call(|core, now, out| core.on_timer(now, out));
        let told = std::mem::take(&mut self.effects).into_iter();
        told.filter_map(|effect| if let Effect::TellActors(id, seen) = effect { Some((id, seen)) } else { None })
            .collect()
    }
}

fn states(seen: &ActorsSeen) -> Vec<(&str, ActorState)> {
    let actors = seen.actors.as_deref().unwrap_or_default();
    actors.iter().map(|actor| (actor.name.as_str(), actor.state)).collect()
}

#[test]
fn a_follower_hears_of_a_placement_and_of_where_the_actor_is() {
    let mut play = Play::with(spec("a", 1));
    let waiting = play.hold(&all());
    let launched = play.offer("agent-1", EVERYTHING);
    let told = play.told();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0, states(&told[0].1)), (waiting, vec![("a/0", ActorState::Starting)]));
    let starting = play.hold(&all());
    play.report(&launched[0].1, HostedState::Running);
    let told = play.told();
    assert_eq!((told[0].0, states(&told[0].1)), (starting, vec![("a/0", ActorState::Running)]));
    assert!(told[0].1.actors.as_ref().unwrap()[0].location.is_some());
}

#[test]
fn changes_that_come_close_together_are_told_together() {
    let mut play = Play::with(spec("a", 3));
    let first = play.hold(&all());
    let launched = play.offer("agent-1", EVERYTHING);
    assert_eq!(play.told().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first]);
    let second = play.hold(&all());
    for (_, task_id) in &launched {
        play.report(task_id, HostedState::Running);
    }
    let before = play.now.since_start;
    let told = play.told();
    assert_eq!((told.len(), told[0].0), (1, second));
    assert_eq!(states(&told[0].1).iter().filter(|(_, state)| *state == ActorState::Running).count(), 3);
    assert_eq!(play.now.since_start - before, TELL_INTERVAL);
}

#[test]
fn a_follower_of_one_deployment_hears_nothing_of_another() {
    let mut play = Play::with(spec("a", 1));
    let follower = play.hold(&of("b"));
    let launched = play.offer("agent-1", EVERYTHING);
    play.report(&launched[0].1, HostedState::Running);
    assert_eq!(play.told(), []);
    play.call(|core, now, out| core.on_deploy(spec("b", 1), now, out)).unwrap();
    assert_eq!(play.told().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [follower]);
}

#[test]
fn a_follower_hears_that_the_last_actor_of_a_deployment_has_gone() {
    let mut play = Play::with(spec("a", 1));
    let launched = play.offer("agent-1", EVERYTHING);
    let follower = play.hold(&of("a"));
    play.call(|core, now, out| core.on_remove(&DeploymentName::new("a").unwrap(), now, out)).unwrap();
    let told = play.told();
    assert_eq!((told[0].0, states(&told[0].1)), (follower, vec![("a/0", ActorState::Stopping)]));
    let follower = play.hold(&of("a"));
    play.update(&launched[0].1, TaskState::Killed, "");
    let told = play.told();
    assert_eq!((told[0].0, told[0].1.actors.as_deref()), (follower, Some([].as_slice())));
}

#[test]
fn a_question_is_held_for_its_time_and_then_told_that_nothing_has_changed() {
    let mut play = Play::with(spec("a", 1));
    let (seen, begun) = (play.seen(&all()).revision, play.now.since_start);
    let follower = play.hold(&all());
    assert_eq!(play.told(), [(follower, ActorsSeen { revision: seen, actors: None })]);
    assert_eq!(play.now.since_start - begun, HELD_FOR);
}

#[test]
fn what_was_seen_of_another_run_is_answered_at_once() {
    let mut play = Play::with(spec("a", 1));
    let seen = play.seen(&all()).revision;
    let other = Revision { run: seen.run + 1, ..seen };
    assert!(matches!(play.watch(&all(), Some(other)), Hold::Answered(Ok(answer)) if answer.revision == seen));
}

#[test]
fn no_more_questions_are_held_than_may_be() {
    let mut play = Play::with(spec("a", 1));
    let seen = Some(play.seen(&all()).revision);
    for _ in 0..WATCHES_MAX {
        assert!(matches!(play.watch(&all(), seen), Hold::Held(_)));
    }
    assert_eq!(play.watch(&all(), seen), Hold::Answered(Err(WatchError::TooMany(WATCHES_MAX))));
}
