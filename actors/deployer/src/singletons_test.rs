//! Singletons under cuts, losses and new deployers: the hosts of paper hold leases with the code of the real ones.

use super::tests::{EVERYTHING, Play};
use super::*;
use crate::placement::tests::spec;
use odeon_protocol::deployment::{DeploymentSpec, HostedState};
use odeon_protocol::lease::{HAND_OVER, HeldLease, LEASE};
use odeon_protocol::messages::deployments::{ActorState, RenewLease};
use odeon_protocol::restart::RestartPolicy;
use odeon_protocol::task::TaskState;
use proptest::prelude::*;

fn singleton() -> DeploymentSpec {
    DeploymentSpec { singleton: true, ..spec("one", 1) }
}

/// Starts a deployer that has just begun on an empty journal, with the singleton placed.
fn placed() -> (Play, TaskId) {
    let mut play = Play::with(singleton());
    let launched = play.offer("a", EVERYTHING);
    (play, launched[0].1.clone())
}

impl Play {
    fn renew(&mut self, task_id: &TaskId) -> bool {
        let asked = RenewLease { actor: "one/0".into(), task_id: task_id.to_string() };
        self.call(|core, now, _| core.on_renew_lease(&asked, now)).is_ok()
    }

    fn launched(&mut self) -> Option<TaskId> {
        self.offer("b", EVERYTHING).into_iter().map(|(_, task_id)| task_id).next()
    }
}

#[test]
fn a_singleton_whose_agent_is_lost_is_launched_anew_only_when_its_lease_can_hold_no_more() {
    let (mut play, task_id) = placed();
    assert!(play.renew(&task_id));
    play.update(&task_id, TaskState::Unreachable, "");
    assert!(!play.renew(&task_id), "it has lost its place");
    play.wait(LEASE + HAND_OVER - Duration::from_millis(1));
    assert_eq!(play.launched(), None);
    play.effects.clear();
    play.wait(Duration::from_millis(1));
    assert!(play.effects.contains(&Effect::Call(Call::Revive)), "offers are asked for: {:?}", play.effects);
    assert!(play.launched().is_some());
}

#[test]
fn a_singleton_whose_host_has_ended_is_launched_anew_at_once() {
    let (mut play, task_id) = placed();
    assert!(play.renew(&task_id));
    play.update(&task_id, TaskState::Killed, "");
    assert!(play.launched().is_some());
}

#[test]
fn a_deployer_that_begins_anew_waits_for_leases_that_it_does_not_know() {
    let (mut play, task_id) = placed();
    assert!(play.renew(&task_id));
    let mut play = Play::recovered(play.records);
    play.subscribed();
    assert!(play.renew(&task_id), "the one that runs is renewed at once");
    play.update(&task_id, TaskState::Killed, "");
    assert_eq!(play.launched(), None, "there may be another that was cut off before");
    play.wait(LEASE + HAND_OVER);
    assert!(play.launched().is_some());
}

#[test]
fn a_singleton_that_is_stopped_or_removed_gets_no_lease() {
    let (mut play, task_id) = placed();
    play.call(|core, now, out| core.on_stop_actor("one/0", now, out)).unwrap();
    assert!(!play.renew(&task_id));
}

#[test]
fn a_lease_outlives_its_deployment() {
    let (mut play, task_id) = placed();
    assert!(play.renew(&task_id));
    let name = DeploymentName::new("one").unwrap();
    play.call(|core, now, out| core.on_remove(&name, now, out)).unwrap();
    play.update(&task_id, TaskState::Unreachable, "");
    play.call(|core, now, out| core.on_deploy(singleton(), now, out)).unwrap();
    play.subscribed();
    assert_eq!(play.launched(), None);
    play.wait(LEASE + HAND_OVER);
    assert!(play.launched().is_some());
}

#[test]
fn a_host_that_has_lost_its_lease_counts_as_no_failure() {
    let (mut play, task_id) = placed();
    assert!(play.renew(&task_id));
    for _ in 0..2 * RestartPolicy::default().restarts_max {
        let task_id = play.core.tasks.keys().next().unwrap().clone();
        play.report(&task_id, HostedState::LeaseLost);
        play.update(&task_id, TaskState::Failed, "");
        assert_eq!(play.states(), [("one/0".to_owned(), ActorState::Waiting)]);
        assert!(play.launched().is_some());
    }
}

#[test]
fn there_is_one_of_a_singleton_and_it_stays_one() {
    let two = DeploymentSpec { instances: 2, ..singleton() };
    assert_eq!(two.check().unwrap_err().key, "instances");
    let mut play = Play::with(singleton());
    let name = DeploymentName::new("one").unwrap();
    assert!(play.call(|core, now, out| core.on_scale(&name, 2, now, out)).is_err());
    let many = DeploymentSpec { singleton: false, ..singleton() };
    assert!(play.call(|core, now, out| core.on_update_deployment(many, now, out)).is_err());
}

/// A host of the singleton: it runs as long as its lease holds, in the time of the whole test.
#[derive(Debug)]
struct Host {
    task_id: TaskId,
    lease: Option<HeldLease>,
    is_cut_off: bool,
}

#[derive(Debug, Clone)]
enum Step {
    /// Time passes, and each host that is not cut off renews: requests take `request`, and an answer may be lost.
    Pass { ms: u64, request_ms: u64, answer_is_lost: bool },
    /// The newest host is cut off from the deployer, or from now on not any more.
    Cut(bool),
    /// The master gives the agent of the newest host up.
    LoseAgent,
    /// The newest host ends, and its agent says so.
    End,
    /// The deployer is killed, and begins on its journal.
    NewDeployer,
    /// An agent is offered.
    Offer,
}

fn step() -> impl Strategy<Value = Step> {
    let pass = (1..4000_u64, 0..6000_u64, any::<bool>());
    prop_oneof![
        8 => pass.prop_map(|(ms, request_ms, answer_is_lost)| Step::Pass { ms, request_ms, answer_is_lost }),
        2 => any::<bool>().prop_map(Step::Cut),
        2 => Just(Step::LoseAgent),
        1 => Just(Step::End),
        1 => Just(Step::NewDeployer),
        6 => Just(Step::Offer),
    ]
}

struct World {
    play: Play,
    hosts: Vec<Host>,
    /// The time of the whole test; a deployer counts from its own start.
    now: Duration,
}

impl World {
    fn act(&mut self, step: &Step) {
        match step {
            Step::Pass { ms, request_ms, answer_is_lost } => {
                self.now += Duration::from_millis(*ms);
                self.play.wait(Duration::from_millis(*ms));
                let asked_at = self.now.saturating_sub(Duration::from_millis(*request_ms));
                for host in self.hosts.iter_mut().filter(|host| !host.is_cut_off) {
                    // One that has lost its lease has ended its actor, and asks no more.
                    let runs_or_begins = host.lease.is_none_or(|lease| lease.holds(self.now));
                    if runs_or_begins && self.play.renew(&host.task_id) && !answer_is_lost {
                        host.lease = Some(HeldLease::asked_at(asked_at));
                    }
                }
            }
            Step::Cut(cut) => self.hosts.last_mut().into_iter().for_each(|host| host.is_cut_off = *cut),
            Step::LoseAgent => {
                if let Some(host) = self.hosts.last() {
                    self.play.update(&host.task_id.clone(), TaskState::Unreachable, "");
                }
            }
            Step::End => {
                if let Some(host) = self.hosts.pop() {
                    self.play.update(&host.task_id, TaskState::Killed, "");
                }
            }
            Step::NewDeployer => {
                self.play = Play::recovered(std::mem::take(&mut self.play.records));
                self.play.subscribed();
            }
            Step::Offer => {
                let launched = self.play.launched();
                self.hosts.extend(launched.map(|task_id| Host { task_id, lease: None, is_cut_off: false }));
            }
        }
    }

    fn running(&self) -> usize {
        self.hosts.iter().filter(|host| host.lease.is_some_and(|lease| lease.holds(self.now))).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn two_hosts_never_run_a_singleton_at_the_same_time(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World { play: Play::with(singleton()), hosts: Vec::new(), now: Duration::ZERO };
        for step in &steps {
            world.act(step);
            prop_assert!(world.running() <= 1, "{:?} at {:?}", world.hosts, world.now);
        }
        // Once nothing is in the way any more, there is one.
        for host in &mut world.hosts {
            host.is_cut_off = true;
        }
        world.act(&Step::LoseAgent);
        world.act(&Step::Pass { ms: 16_000, request_ms: 0, answer_is_lost: false });
        world.act(&Step::Offer);
        world.act(&Step::Pass { ms: 1, request_ms: 0, answer_is_lost: false });
        prop_assert_eq!(world.running(), 1);
    }
}
