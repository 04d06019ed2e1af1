//! The tasks of actors: launched on offers, followed through their updates, and ended.

use super::{DeployerCore, DeployerOutbox, Effect, LAUNCH_AGAIN, Wait};
use crate::placement::{Wanted, place};
use crate::state::{ActorKey, DeployedActor, Deployment, Phase, Place, Record};
use odeon_framework::Call;
use odeon_protocol::deployment::{ActorAssignment, ActorReport, HostedState};
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ExecutorId, TaskId};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::{MEM, Resources, Scalar};
use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the process around the actors of one deployment on one agent takes, in MiB.
const HOST_MEM_MIB: u64 = 32;
/// For offers that are of no use while an actor waits.
const REFUSE: Filters = Filters { refuse: Duration::from_secs(5) };

impl DeployerCore {
    /// Launches what waits on what is offered.
    pub fn on_offers(&mut self, offers: Vec<Offer>, now: Moment, out: &mut DeployerOutbox) {
        let placement = place(self.wanted(now), &offers, &host_resources());
        for (offer, actors) in offers.into_iter().zip(placement) {
            let keys = actors.into_iter().map(|(name, index)| ActorKey { name, index });
            let tasks: Vec<TaskInfo> = keys.filter_map(|key| self.launch(key, &offer, out)).collect();
            let offer_ids = vec![offer.offer_id];
            out.send(Effect::Call(match tasks.is_empty() {
                true => Call::Decline { offer_ids, filters: REFUSE },
                false => Call::Accept { offer_ids, operations: Vec::new(), tasks, filters: REFUSE },
            }));
        }
        self.settle(now, out);
    }

    /// Takes in the state of a task.
    pub fn on_update(&mut self, status: &TaskStatus, now: Moment, out: &mut DeployerOutbox) {
        let is_out = status.state.is_terminal() || status.state == TaskState::Unreachable;
        let Some(actor) = self.tasks.get(&status.task_id).cloned() else {
            // Another task has taken its place, or nobody wants it.
            if !is_out {
                out.send(Effect::Call(Call::Kill(status.task_id.clone())));
            }
            return;
        };
        if !is_out {
            if let Ok(report) = serde_json::from_str::<ActorReport>(&status.message) {
                let taken_back = self.judge_report(&actor, &report, out);
                self.take_report(actor, report, out);
                if self.roll_all(now, out) | taken_back {
                    self.want_offers(now, out);
                }
            }
            return;
        }
        self.tasks.remove(&status.task_id);
        self.note_end_of_lease(&actor, status);
        let (phase, wait) = match self.after(&actor, status, now) {
            (phase, _) if self.judge_end(&actor, status, &phase, out) => (Phase::Waiting, None),
            decided => decided,
        };
        self.end(&actor, phase, now, &status.message, out);
        if let Some(wait) = self.waits.get_mut(&actor).zip(wait) {
            wait.0.not_before = now.after(wait.1);
        }
        self.roll_all(now, out);
        self.want_offers(now, out);
        self.settle(now, out);
    }

    /// Where an actor is must be known to a later run of the deployer, which does not hear it again.
    fn take_report(&mut self, actor: ActorKey, report: ActorReport, out: &mut DeployerOutbox) {
        let known = self.state.actor(&actor).and_then(DeployedActor::place).and_then(|place| place.location.as_ref());
        if known != Some(&report.location) {
            let location = report.location.clone();
            self.note(Record::Located { actor: actor.clone(), location }, out);
        }
        self.note_change_of(&actor.name);
        self.reports.insert(actor, report);
    }

    /// What becomes of an actor whose task has ended, and how long it waits if it is launched again.
    fn after(&mut self, actor: &ActorKey, status: &TaskStatus, now: Moment) -> (Phase, Option<Duration>) {
        let known = self.state.deployments.get(&actor.name).zip(self.state.actor(actor));
        let Some((deployment, found)) = known else { return (Phase::Stopped, None) };
        let given_up = |reason: &str| (Phase::GivenUp { reason: reason.to_owned() }, None);
        if found.stop {
            return (Phase::Stopped, None);
        }
        // The end of a task of another version says nothing about the one that is to run.
        if found.place().is_some_and(|place| deployment.is_outdated(place)) && status.state != TaskState::Finished {
            return (Phase::Waiting, Some(Duration::ZERO));
        }
        if self.reports.get(actor).is_some_and(|report| report.state == HostedState::GivenUp) {
            return given_up(&status.message);
        }
        // It may well run where its host can renew its lease.
        if self.has_lost_lease(actor) {
            return (Phase::Waiting, Some(Duration::ZERO));
        }
        match status.state {
            TaskState::Finished => (Phase::Finished, None),
            TaskState::Error => given_up(&status.message),
            // Somebody who does not know of deployments has killed it.
            TaskState::Killed => (Phase::Waiting, Some(Duration::ZERO)),
            TaskState::Failed => {
                let failures = self.failures.entry(actor.clone()).or_default();
                match deployment.spec.restart.decide(failures, now.since_start) {
                    Some(wait) => (Phase::Waiting, Some(wait)),
                    None => given_up(&format!("fails too often: {}", status.message)),
                }
            }
            _ => (Phase::Waiting, Some(LAUNCH_AGAIN)),
        }
    }

    /// Whether the host of a singleton has ended it for want of a lease.
    pub(super) fn has_lost_lease(&self, actor: &ActorKey) -> bool {
        self.reports.get(actor).is_some_and(|report| report.state == HostedState::LeaseLost)
    }

    /// Records that an actor has no task.
    pub(super) fn end(&mut self, actor: &ActorKey, phase: Phase, now: Moment, reason: &str, out: &mut DeployerOutbox) {
        self.reports.remove(actor);
        if phase == Phase::Waiting {
            self.waits.insert(actor.clone(), Wait { not_before: now.since_start, reason: reason.to_owned() });
        } else {
            self.waits.remove(actor);
        }
        self.note(Record::Ended { actor: actor.clone(), phase }, out);
        if self.state.actor(actor).is_none() {
            self.waits.remove(actor);
            self.failures.remove(actor);
        }
    }

    fn wanted(&self, now: Moment) -> Vec<Wanted<'_>> {
        let mut waiting: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for key in self.ready(now) {
            waiting.entry(key.name).or_default().push(key.index);
        }
        let deployments = waiting.into_iter().filter_map(|(name, indices)| {
            let deployment = self.state.deployments.get(&name)?;
            Some(Wanted { spec: &deployment.spec, indices, placed: placed(deployment), hosted: hosted(deployment) })
        });
        deployments.collect()
    }

    /// Records the launch of an actor; the task is its own.
    fn launch(&mut self, actor: ActorKey, offer: &Offer, out: &mut DeployerOutbox) -> Option<TaskInfo> {
        let deployment = self.state.deployments.get(&actor.name)?;
        let number = self.state.next_number;
        let task_id = TaskId::new(format!("{}.{}.{number}", actor.name, actor.index));
        let task_id = task_id.expect("the name of a deployment is short, and has letters and digits");
        let task = task(deployment, &actor, (task_id.clone(), number), &self.directory);
        let place = Place {
            task_id: task_id.clone(),
            number: deployment.number,
            agent_id: offer.agent_id.clone(),
            hostname: offer.hostname.clone(),
            location: None,
        };
        self.waits.remove(&actor);
        self.tasks.insert(task_id, actor.clone());
        self.note(Record::Placed { actor, place }, out);
        Some(task)
    }
}

/// How many actors of a deployment each agent has.
fn placed(deployment: &Deployment) -> BTreeMap<AgentId, u32> {
    let mut placed = BTreeMap::new();
    for place in deployment.actors.values().filter_map(|actor| actor.place()) {
        *placed.entry(place.agent_id.clone()).or_default() += 1;
    }
    placed
}

/// The agents that have a host of the version that is to run.
fn hosted(deployment: &Deployment) -> BTreeSet<AgentId> {
    let places = deployment.actors.values().filter_map(DeployedActor::place);
    places.filter(|place| deployment.is_current(place)).map(|place| place.agent_id.clone()).collect()
}

fn task(deployment: &Deployment, actor: &ActorKey, (task_id, epoch): (TaskId, u64), directory: &str) -> TaskInfo {
    let spec = &deployment.spec;
    // Another version has other hosts: its binary may be another.
    let executor_id = ExecutorId::new(format!("{}.{}", spec.name, deployment.number));
    let executor = ExecutorInfo {
        executor_id: executor_id.expect("the name of a deployment is short, and has letters and digits"),
        name: format!("actors of {}", spec.name),
        resources: host_resources(),
        program: spec.program.clone(),
        binary: spec.binary.clone(),
    };
    let assignment = ActorAssignment {
        deployment: spec.name.clone(),
        index: actor.index,
        instances: spec.instances,
        singleton: spec.singleton,
        epoch,
        arguments: spec.arguments.clone(),
        restart: spec.restart.clone(),
        directory: directory.to_owned(),
    };
    let data = serde_json::to_vec(&assignment).expect("an assignment has only texts and numbers");
    let work = Work::Registered { executor, task_type: spec.actor_type.clone(), data };
    TaskInfo::new(task_id, spec.name.actor(actor.index), spec.resources.clone(), work)
}

fn host_resources() -> Resources {
    Resources::empty().with_scalar(MEM, Scalar::from_whole(HOST_MEM_MIB))
}
