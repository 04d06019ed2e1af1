//! Updates: the actors of a deployment are replaced a few at a time, as long as the new ones are well.
//!
//! What has been replaced is durable; what is watched meanwhile is not, and is watched anew by a later run.

use super::{ACTORS_MAX, DeployerCore, DeployerOutbox, Effect};
use crate::state::{ActorKey, DeployedActor, Deployment, Phase, Record};
use odeon_framework::Call;
use odeon_protocol::deployment::{ActorReport, DeploymentName, DeploymentSpec, HostedState, SpecInvalid};
use odeon_protocol::messages::deployments::{DeploymentError, UpdateOutcome};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{TaskState, TaskStatus};
use odeon_protocol::update::UpdateState;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is watched of an update that is under way.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// When it is taken back unless another actor is healthy before.
    deadline: Duration,
    /// Since when actors of the version that is to run have run without a failure.
    running_since: BTreeMap<u32, Duration>,
    /// How many of them were healthy.
    healthy: usize,
    /// Actors that were told to end, to be launched anew.
    replacing: BTreeSet<u32>,
}

/// How the actors of a deployment stand towards the version that is to run.
#[derive(Debug, Default)]
struct Standing {
    /// Of that version, and healthy.
    healthy: usize,
    /// They take no messages, or have not long enough.
    unavailable: usize,
    /// Of another version, and not told to end: those first that take no messages.
    outdated: Vec<(Availability, u32)>,
    /// Told to end.
    ending: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Availability {
    Away,
    Running,
}

impl DeployerCore {
    /// Runs another version of a deployment from now on.
    ///
    /// # Errors
    /// [`DeploymentError`]; nothing is changed then.
    pub fn on_update_deployment(
        &mut self,
        spec: DeploymentSpec,
        now: Moment,
        out: &mut DeployerOutbox,
    ) -> Result<UpdateOutcome, DeploymentError> {
        let name = spec.name.clone();
        let earlier = &self.live(&name)?.spec;
        spec.check().map_err(DeploymentError::Invalid)?;
        if earlier.singleton != spec.singleton {
            let reason = "it cannot be changed while the deployment runs; remove the deployment first".to_owned();
            return Err(DeploymentError::Invalid(SpecInvalid { key: "singleton".to_owned(), reason }));
        }
        if *earlier == spec {
            return Ok(UpdateOutcome::Unchanged);
        }
        if self.actor_count() + spec.instances.saturating_sub(earlier.instances) as usize > ACTORS_MAX {
            return Err(DeploymentError::TooMany(ACTORS_MAX));
        }
        let stays = spec.has_actors_of(earlier);
        self.note(Record::Updated(spec), out);
        if !stays {
            self.begin_anew(&name);
        }
        self.kill_unwanted(&name, out);
        self.go_on(now, out);
        Ok(if stays { UpdateOutcome::Changed } else { UpdateOutcome::Rolling })
    }

    /// Takes the last update of a deployment back.
    ///
    /// # Errors
    /// [`DeploymentError`]; nothing is changed then.
    pub fn on_roll_back(
        &mut self,
        name: &DeploymentName,
        now: Moment,
        out: &mut DeployerOutbox,
    ) -> Result<(), DeploymentError> {
        if self.live(name)?.previous.is_none() {
            return Err(DeploymentError::NoEarlierVersion(name.clone()));
        }
        self.roll_back(name, "an operator has asked for it", out);
        self.go_on(now, out);
        Ok(())
    }

    /// Brings every update that is under way as far as it may go now; tells whether one was taken back.
    pub(super) fn roll_all(&mut self, now: Moment, out: &mut DeployerOutbox) -> bool {
        let rolling = self.state.deployments.values().filter(|deployment| deployment.is_rolling());
        let names: Vec<_> = rolling.map(|deployment| deployment.spec.name.clone()).collect();
        names.iter().fold(false, |any, name| self.roll(name, now, out) | any)
    }

    /// Takes an update back if the end of a task shows that the new version does not run; tells whether it does not.
    pub(super) fn judge_end(
        &mut self,
        actor: &ActorKey,
        status: &TaskStatus,
        phase: &Phase,
        out: &mut DeployerOutbox,
    ) -> bool {
        let is_failure = matches!(phase, Phase::GivenUp { .. }) || status.state == TaskState::Failed;
        let is_failure = is_failure && !self.has_lost_lease(actor);
        let has_failed = is_failure && self.is_new(actor);
        if has_failed {
            self.roll_back(&actor.name, &format!("{} has failed: {}", name_of(actor), status.message), out);
        }
        has_failed
    }

    /// As [`judge_end`](Self::judge_end), for what the host of an actor says.
    pub(super) fn judge_report(&mut self, actor: &ActorKey, report: &ActorReport, out: &mut DeployerOutbox) -> bool {
        let is_well = matches!(report.state, HostedState::Running | HostedState::LeaseLost);
        let is_failure = report.restarts > 0 || !is_well;
        let has_failed = is_failure && self.is_new(actor);
        if has_failed {
            let text = report.last_failure.as_deref().unwrap_or("it was started again");
            self.roll_back(&actor.name, &format!("{} has failed: {text}", name_of(actor)), out);
        }
        has_failed
    }

    /// When something is due of an update.
    pub(super) fn rolling_deadlines(&self) -> impl Iterator<Item = Duration> {
        let of_one = |(name, watch): (&DeploymentName, &Watch)| {
            let deployment = self.state.deployments.get(name);
            let (after, rolls) = deployment.map_or((Duration::ZERO, false), |deployment| {
                (deployment.spec.update.healthy_after, deployment.update == Some(UpdateState::Rolling))
            });
            let healthy = watch.running_since.values().map(|since| since.saturating_add(after)).collect::<Vec<_>>();
            healthy.into_iter().chain(rolls.then_some(watch.deadline))
        };
        self.watches.iter().flat_map(of_one)
    }

    /// Whether an actor has a task of a version that is being rolled out.
    fn is_new(&self, actor: &ActorKey) -> bool {
        let deployment = self.state.deployments.get(&actor.name);
        let place = self.state.actor(actor).and_then(DeployedActor::place);
        deployment.zip(place).is_some_and(|(deployment, place)| {
            deployment.update == Some(UpdateState::Rolling) && deployment.is_current(place)
        })
    }

    fn roll_back(&mut self, name: &DeploymentName, reason: &str, out: &mut DeployerOutbox) {
        self.note(Record::RolledBack { name: name.clone(), reason: reason.to_owned() }, out);
        self.begin_anew(name);
    }

    /// Another version is to run: what earlier ones did counts for nothing.
    fn begin_anew(&mut self, name: &DeploymentName) {
        self.watches.remove(name);
        self.failures.retain(|actor, _| actor.name != *name);
        self.waits.retain(|actor, _| actor.name != *name);
    }

    fn go_on(&mut self, now: Moment, out: &mut DeployerOutbox) {
        self.roll_all(now, out);
        self.want_offers(now, out);
        self.settle(now, out);
    }

    /// Tells whether it was taken back.
    fn roll(&mut self, name: &DeploymentName, now: Moment, out: &mut DeployerOutbox) -> bool {
        let mut watch = self.watches.remove(name).unwrap_or_default();
        let Some(deployment) = self.state.deployments.get(name) else { return false };
        let policy = deployment.spec.update.clone();
        let standing = self.standing(deployment, &mut watch, now);
        if standing.healthy > watch.healthy || watch.deadline.is_zero() {
            watch.deadline = now.after(policy.progress_within);
        }
        watch.healthy = standing.healthy;
        if standing.unavailable + standing.outdated.len() + standing.ending == 0 {
            self.note(Record::UpdateEnded(name.clone()), out);
        } else if watch.deadline <= now.since_start && deployment.update == Some(UpdateState::Rolling) {
            let reason = format!("no further actor was healthy within {:?}", policy.progress_within);
            self.roll_back(name, &reason, out);
            self.roll(name, now, out);
            return true;
        } else {
            self.replace(deployment, &standing, &mut watch, out);
            self.watches.insert(name.clone(), watch);
        }
        false
    }

    /// Ends as many actors of other versions as may be away.
    fn replace(&self, deployment: &Deployment, standing: &Standing, watch: &mut Watch, out: &mut DeployerOutbox) {
        let away = standing.outdated.iter().filter(|(availability, _)| *availability == Availability::Away).count();
        let room = deployment.spec.update.unavailable_max as usize;
        let mut room = room.saturating_sub(standing.unavailable + standing.ending + away);
        let mut outdated = standing.outdated.clone();
        outdated.sort_unstable();
        for (availability, index) in outdated {
            // To replace one that is away already makes no further one unavailable.
            if availability == Availability::Running {
                let Some(less) = room.checked_sub(1) else { return };
                room = less;
            }
            if let Some(place) = deployment.actors.get(&index).and_then(DeployedActor::place) {
                watch.replacing.insert(index);
                out.send(Effect::Call(Call::Kill(place.task_id.clone())));
            }
        }
    }

    fn standing(&self, deployment: &Deployment, watch: &mut Watch, now: Moment) -> Standing {
        let mut standing = Standing::default();
        let wanted = deployment.actors.iter().filter(|(index, actor)| deployment.wants(**index) && !actor.stop);
        for (index, actor) in wanted {
            let key = ActorKey { name: deployment.spec.name.clone(), index: *index };
            let runs = self.reports.get(&key).is_some_and(|report| report.state == HostedState::Running);
            match actor.place() {
                None if matches!(actor.phase, Phase::Finished) => {}
                None => {
                    watch.replacing.remove(index);
                    standing.unavailable += 1;
                }
                Some(place) if deployment.is_current(place) => {
                    let is_healthy = watch.is_healthy(*index, runs, deployment.spec.update.healthy_after, now);
                    standing.healthy += usize::from(is_healthy);
                    standing.unavailable += usize::from(!is_healthy);
                }
                Some(_) if watch.replacing.contains(index) => standing.ending += 1,
                Some(_) if runs => standing.outdated.push((Availability::Running, *index)),
                Some(_) => standing.outdated.push((Availability::Away, *index)),
            }
        }
        standing
    }
}

impl Watch {
    /// Whether an actor of the version that is to run has run long enough.
    fn is_healthy(&mut self, index: u32, runs: bool, after: Duration, now: Moment) -> bool {
        self.replacing.remove(&index);
        if !runs {
            self.running_since.remove(&index);
            return false;
        }
        let since = *self.running_since.entry(index).or_insert(now.since_start);
        since.saturating_add(after) <= now.since_start
    }
}

fn name_of(actor: &ActorKey) -> String {
    actor.name.actor(actor.index)
}
