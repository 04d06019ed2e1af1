//! The deployer against a master of paper.

use super::*;
use crate::placement::tests::{offer, spec};
use odeon_protocol::deployment::{DeploymentName, DeploymentSpec, HostedState};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::deployments::{ActorState, DeployError, DeployOutcome, GetActors};
use odeon_protocol::restart::RestartPolicy;
use odeon_protocol::task::{StatusSource, TaskState, TaskStatus};
use odeon_runtime::Emission;

pub(super) const EVERYTHING: &str = "cpus:100;mem:10000";

pub(super) struct Play {
    pub(super) core: DeployerCore,
    pub(super) now: Moment,
    /// All that was recorded.
    pub(super) records: Vec<Record>,
    /// What was wanted of the master since it was last looked at.
    pub(super) effects: Vec<Effect>,
}

impl Play {
    fn new() -> Self {
        Self::recovered(Vec::new())
    }

    pub(super) fn recovered(records: Vec<Record>) -> Self {
        let (mut out, now) = (DeployerOutbox::new(), Moment::default());
        let core = DeployerCore::recover(records, "master:5050".into(), 7, now, &mut out);
        let mut play = Self { core, now, records: Vec::new(), effects: Vec::new() };
        play.take(out);
        play
    }

    /// A deployer whose framework is subscribed, with one deployment.
    pub(super) fn with(spec: DeploymentSpec) -> Self {
        let mut play = Self::new();
        play.call(|core, now, out| core.on_deploy(spec, now, out)).unwrap();
        play.subscribed();
        play
    }

    pub(super) fn call<T>(&mut self, act: impl FnOnce(&mut DeployerCore, Moment, &mut DeployerOutbox) -> T) -> T {
        let mut out = DeployerOutbox::new();
        let result = act(&mut self.core, self.now, &mut out);
        self.take(out);
        result
    }

    fn take(&mut self, out: DeployerOutbox) {
        for emission in out.into_emissions() {
            match emission {
                Emission::Write(record) => self.records.push(record),
                Emission::Send(effect) => self.effects.push(effect),
            }
        }
    }

    pub(super) fn subscribed(&mut self) {
        self.call(|core, now, out| core.on_subscribed(&FrameworkId::new("F").unwrap(), now, out));
    }

    /// What was called for since the last look.
    pub(super) fn calls(&mut self) -> Vec<Call> {
        let calls = std::mem::take(&mut self.effects).into_iter().filter_map(|effect| match effect {
            Effect::Call(call) => Some(call),
            Effect::Subscribe(_) | Effect::TellActors(..) => None,
        });
        calls.collect()
    }

    /// Offers an agent; the result is what is launched there, by actor.
    pub(super) fn offer(&mut self, agent: &str, resources: &str) -> Vec<(String, TaskId)> {
        self.effects.clear();
        self.call(|core, now, out| core.on_offers(vec![offer(agent, resources)], now, out));
        let launched = self.calls().into_iter().find_map(|call| match call {
            Call::Accept { tasks, .. } => Some(tasks),
            _ => None,
        });
        launched.unwrap_or_default().into_iter().map(|task| (task.name, task.task_id)).collect()
    }

    pub(super) fn update(&mut self, task_id: &TaskId, state: TaskState, message: &str) {
        let mut status = TaskStatus::new(task_id.clone(), state, StatusSource::Agent);
        status.message = message.into();
        self.call(|core, now, out| core.on_update(&status, now, out));
    }

    pub(super) fn report(&mut self, task_id: &TaskId, state: HostedState) {
        let location = ActorLocation {
            actor: "d/0".into(),
            endpoint: format!("{task_id}:1"),
            node: "executor".into(),
            incarnation: 7,
        };
        let report = ActorReport { state, last_failure: Some("it hurts".into()), ..ActorReport::running(location) };
        self.update(task_id, TaskState::Running, &serde_json::to_string(&report).unwrap());
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now.since_start += time;
        self.call(|core, now, out| core.on_timer(now, out));
    }

    pub(super) fn states(&self) -> Vec<(String, ActorState)> {
        let all = self.core.on_get_actors(&GetActors { deployment: None, actor_type: None });
        all.into_iter().map(|actor| (actor.name, actor.state)).collect()
    }

    fn state(&self) -> ActorState {
        self.states()[0].1
    }
}

pub(super) fn name() -> DeploymentName {
    DeploymentName::new("d").unwrap()
}

#[test]
fn a_deployer_with_nothing_to_do_has_no_framework() {
    let mut play = Play::new();
    assert_eq!(play.effects, []);
    play.call(|core, now, out| core.on_deploy(spec("d", 1), now, out)).unwrap();
    assert_eq!(play.effects, [Effect::Subscribe(None)]);
}

#[test]
fn a_launch_is_recorded_before_it_leaves() {
    let mut play = Play::with(spec("d", 1));
    let mut out = DeployerOutbox::new();
    play.core.on_offers(vec![offer("a", EVERYTHING)], play.now, &mut out);
    let order: Vec<&str> = out
        .emissions()
        .iter()
        .map(|emission| match emission {
            Emission::Write(Record::Placed { .. }) => "placed",
            Emission::Send(Effect::Call(Call::Accept { .. })) => "accept",
            Emission::Send(Effect::Call(Call::Suppress)) => "suppress",
            _ => "another",
        })
        .collect();
    assert_eq!(order, ["placed", "accept", "suppress"], "and no further offers are wanted");
}

#[test]
fn the_same_deployment_twice_is_one_and_another_of_its_name_is_refused() {
    let mut play = Play::with(spec("d", 2));
    let again = play.call(|core, now, out| core.on_deploy(spec("d", 2), now, out));
    assert_eq!(again, Ok(DeployOutcome::Unchanged));
    let other = play.call(|core, now, out| core.on_deploy(spec("d", 3), now, out));
    assert_eq!(other, Err(DeployError::Differs(name())));
    assert_eq!(play.states().len(), 2);
}

#[test]
fn too_many_actors_are_refused_and_nothing_is_changed() {
    let mut play = Play::with(spec("d", 1));
    let many = spec("e", u32::try_from(ACTORS_MAX).unwrap());
    let refused = play.call(|core, now, out| core.on_deploy(many, now, out));
    assert!(matches!(refused, Err(DeployError::TooMany { limit: ACTORS_MAX, .. })), "{refused:?}");
    assert_eq!(play.states().len(), 1);
}

#[test]
fn an_actor_is_found_where_its_host_says_and_only_while_it_runs() {
    let mut play = Play::with(spec("d", 1));
    let (_, task) = play.offer("a", EVERYTHING).remove(0);
    assert_eq!(play.state(), ActorState::Starting);
    assert!(play.core.on_find_actor("d/0").is_err());
    play.report(&task, HostedState::Running);
    assert_eq!(play.core.on_find_actor("d/0").unwrap().endpoint, format!("{task}:1"));
    play.report(&task, HostedState::Restarting);
    let error = play.core.on_find_actor("d/0").unwrap_err().to_string();
    assert_eq!(error, "the actor d/0 is restarting: it hurts");
}

#[test]
fn an_actor_that_fails_waits_longer_each_time_and_is_given_up() {
    let restart = RestartPolicy { restarts_max: 2, ..RestartPolicy::default() };
    let mut play = Play::with(DeploymentSpec { restart: restart.clone(), ..spec("d", 1) });
    for wait in [restart.backoff_min, restart.backoff_min * 2] {
        let (_, task) = play.offer("a", EVERYTHING).remove(0);
        play.update(&task, TaskState::Failed, "its host was killed");
        assert_eq!(play.core.next_deadline(), Some(play.now.after(wait)));
        assert_eq!(play.offer("a", EVERYTHING), [], "not yet");
        play.effects.clear();
        play.wait(wait);
        assert_eq!(play.calls(), [Call::Revive]);
    }
    let (_, task) = play.offer("a", EVERYTHING).remove(0);
    play.update(&task, TaskState::Failed, "its host was killed");
    assert_eq!(play.state(), ActorState::GivenUp);
    let error = play.core.on_find_actor("d/0").unwrap_err().to_string();
    assert_eq!(error, "the actor d/0 is given up: fails too often: its host was killed");
}

#[test]
fn an_actor_that_its_host_gives_up_is_not_tried_elsewhere_until_it_is_started() {
    let mut play = Play::with(spec("d", 1));
    let (_, task) = play.offer("a", EVERYTHING).remove(0);
    play.report(&task, HostedState::GivenUp);
    play.update(&task, TaskState::Failed, "cannot be built");
    assert_eq!(play.state(), ActorState::GivenUp);
    assert_eq!(play.offer("a", EVERYTHING), []);
    play.call(|core, now, out| core.on_start_actor("d/0", now, out)).unwrap();
    assert_eq!(play.offer("a", EVERYTHING).len(), 1);
}

#[test]
fn an_actor_whose_agent_is_lost_goes_elsewhere_as_often_as_that_happens() {
    let mut play = Play::with(spec("d", 1));
    for _ in 0..20 {
        let (_, task) = play.offer("a", EVERYTHING).remove(0);
        play.update(&task, TaskState::Lost, "the agent is gone");
        play.wait(LAUNCH_AGAIN);
    }
    assert_eq!(play.state(), ActorState::Waiting);
}

#[test]
fn a_task_that_was_replaced_is_killed_when_it_is_heard_of_again() {
    let mut play = Play::with(spec("d", 1));
    let (_, old) = play.offer("a", EVERYTHING).remove(0);
    play.update(&old, TaskState::Unreachable, "");
    play.wait(LAUNCH_AGAIN);
    let (_, new) = play.offer("b", EVERYTHING).remove(0);
    play.effects.clear();
    play.report(&old, HostedState::Running);
    assert_eq!(play.calls(), [Call::Kill(old)]);
    play.report(&new, HostedState::Running);
    assert_eq!(play.core.on_find_actor("d/0").unwrap().endpoint, format!("{new}:1"), "the new one holds the name");
}

#[test]
fn a_smaller_scale_ends_the_highest_and_a_larger_one_starts_more() {
    let mut play = Play::with(spec("d", 3));
    let tasks = play.offer("a", EVERYTHING);
    play.effects.clear();
    assert_eq!(play.call(|core, now, out| core.on_scale(&name(), 1, now, out)), Ok(3));
    let killed = tasks[1..].iter().map(|(_, task)| Call::Kill(task.clone())).collect::<Vec<_>>();
    assert_eq!(play.calls(), killed);
    assert_eq!(play.states()[2], ("d/2".to_owned(), ActorState::Stopping));
    play.update(&tasks[2].1, TaskState::Killed, "");
    assert_eq!(play.states().len(), 2);
    // The one that is still ending is wanted again before it has ended.
    play.call(|core, now, out| core.on_scale(&name(), 2, now, out)).unwrap();
    play.update(&tasks[1].1, TaskState::Killed, "");
    assert_eq!(play.offer("a", EVERYTHING).len(), 1);
}

#[test]
fn a_stopped_actor_stays_stopped_over_a_restart_of_the_deployer() {
    let mut play = Play::with(spec("d", 1));
    let (_, task) = play.offer("a", EVERYTHING).remove(0);
    play.effects.clear();
    play.call(|core, now, out| core.on_stop_actor("d/0", now, out)).unwrap();
    assert_eq!(play.calls(), [Call::Kill(task.clone())]);
    let mut play = Play::recovered(play.records);
    play.subscribed();
    let calls = play.calls();
    assert!(calls.contains(&Call::Kill(task.clone())), "the kill may have been lost: {calls:?}");
    play.update(&task, TaskState::Killed, "");
    assert_eq!(play.state(), ActorState::Stopped);
    assert_eq!(play.offer("a", EVERYTHING), []);
}

#[test]
fn a_deployer_that_is_started_again_finds_its_actors_and_asks_for_their_states() {
    let mut play = Play::with(spec("d", 2));
    let tasks = play.offer("a", EVERYTHING);
    play.report(&tasks[0].1, HostedState::Running);
    let mut later = Play::recovered(play.records);
    assert_eq!(later.effects, [Effect::Subscribe(Some(FrameworkId::new("F").unwrap()))]);
    later.subscribed();
    let asked = tasks.iter().map(|(_, task)| (task.clone(), Some(AgentId::new("a").unwrap()))).collect();
    assert_eq!(later.calls(), [Call::Reconcile(asked), Call::Suppress]);
    assert_eq!(later.core.on_find_actor("d/0").unwrap().endpoint, format!("{}:1", tasks[0].1));
    assert_eq!(later.states()[1].1, ActorState::Starting);
    later.update(&tasks[1].1, TaskState::Lost, "");
    later.wait(LAUNCH_AGAIN);
    let (name, task) = later.offer("a", EVERYTHING).remove(0);
    assert_eq!(name, "d/1");
    assert!(!tasks.iter().any(|(_, earlier)| *earlier == task), "a task id is used once");
}

#[test]
fn with_the_last_deployment_the_framework_ends() {
    let mut play = Play::with(spec("d", 1));
    let (_, task) = play.offer("a", EVERYTHING).remove(0);
    play.call(|core, now, out| core.on_remove(&name(), now, out)).unwrap();
    assert_eq!(play.state(), ActorState::Stopping);
    let again = play.call(|core, now, out| core.on_deploy(spec("d", 1), now, out));
    assert_eq!(again, Err(DeployError::BeingRemoved(name())));
    play.effects.clear();
    play.update(&task, TaskState::Killed, "");
    assert_eq!(play.calls(), [Call::Finish(Outcome::Finished)]);
    // What is deployed while it ends waits for the next one.
    play.call(|core, now, out| core.on_deploy(spec("e", 1), now, out)).unwrap();
    assert_eq!(play.effects, []);
    play.call(|core, now, out| core.on_framework_ended(&Outcome::Finished, now, out));
    play.wait(SUBSCRIBE_AGAIN);
    assert_eq!(play.effects, [Effect::Subscribe(None)]);
}

#[test]
fn a_framework_that_others_end_is_begun_anew_with_all_its_actors() {
    let mut play = Play::with(spec("d", 2));
    play.offer("a", EVERYTHING);
    play.effects.clear();
    play.call(|core, now, out| core.on_framework_ended(&Outcome::Failed("torn down".into()), now, out));
    assert_eq!(play.effects, [], "not at once");
    assert_eq!(play.core.next_deadline(), Some(play.now.after(SUBSCRIBE_AGAIN)));
    play.wait(SUBSCRIBE_AGAIN);
    assert_eq!(play.effects, [Effect::Subscribe(None)]);
    play.subscribed();
    assert_eq!(play.offer("a", EVERYTHING).len(), 2);
}

#[test]
fn a_master_that_was_out_of_reach_is_tried_again_under_the_same_id() {
    let mut play = Play::with(spec("d", 1));
    play.offer("a", EVERYTHING);
    play.effects.clear();
    let outcome = Outcome::MasterUnreachable { cause: "no route".into() };
    play.call(|core, now, out| core.on_framework_ended(&outcome, now, out));
    play.wait(SUBSCRIBE_AGAIN);
    assert_eq!(play.effects, [Effect::Subscribe(Some(FrameworkId::new("F").unwrap()))]);
    assert_eq!(play.state(), ActorState::Starting, "its task may run");
}

#[test]
fn the_journal_is_begun_anew_when_it_is_long() {
    let mut play = Play::with(spec("d", 1));
    play.records.clear();
    for _ in 0..RECORDS_MAX {
        play.call(|core, now, out| core.on_start_actor("d/0", now, out)).unwrap();
    }
    let snapshots = play.records.iter().filter(|record| record.says_all()).count();
    assert!((1..=3).contains(&snapshots), "{snapshots}");
}

#[test]
fn an_actor_has_one_name() {
    let play = Play::with(spec("d", 2));
    for name in ["d", "d/2", "d/00", "d/+1", "d/-1", "e/0", "/0", ""] {
        assert_eq!(play.core.on_find_actor(name).unwrap_err().to_string(), format!("there is no actor {name}"));
    }
}
