//! What the deployer must not forget, and the records that change it. Replaying the records gives the state.

use odeon_protocol::deployment::{ActorLocation, DeploymentName, DeploymentSpec};
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::update::UpdateState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All that is durable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeployerState {
    /// The framework whose tasks the actors are, once it has subscribed.
    pub framework_id: Option<FrameworkId>,
    /// Counts deployments and tasks, so that no id is used twice.
    pub next_number: u64,
    /// What is deployed, by name.
    pub deployments: BTreeMap<DeploymentName, Deployment>,
}

/// A deployment and its actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// What is to run.
    pub spec: DeploymentSpec,
    /// Tells this version of it from others, and from an earlier one of its name.
    pub number: u64,
    /// Whether it is being removed.
    pub removing: bool,
    /// The version that ran before this one.
    #[serde(default)]
    pub previous: Option<Version>,
    /// The update that is under way, or was taken back.
    #[serde(default)]
    pub update: Option<UpdateState>,
    /// Its actors by index; an index beyond the spec is one that is ending.
    pub actors: BTreeMap<u32, DeployedActor>,
}

/// What ran before, and may run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What it runs.
    pub spec: DeploymentSpec,
    /// Its number.
    pub number: u64,
}

/// One actor of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeployedActor {
    /// Whether somebody wants it stopped.
    pub stop: bool,
    /// How often it was placed again.
    pub restarts: u64,
    /// Where it stands.
    pub phase: Phase,
}

/// Where an actor stands, as far as that must survive the deployer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Phase {
    /// It has no place.
    #[default]
    Waiting,
    /// A task was launched for it, and its end has not been heard of.
    Placed(Place),
    /// It was told to end.
    Stopped,
    /// It ended by itself.
    Finished,
    /// It fails too often, or cannot run.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// The task of an actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The task.
    pub task_id: TaskId,
    /// The version of the deployment that it runs.
    #[serde(default)]
    pub number: u64,
    /// Where it was launched.
    pub agent_id: AgentId,
    /// The host, for people.
    pub hostname: String,
    /// Where the actor takes messages, once it does.
    pub location: Option<ActorLocation>,
}

/// Which actor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActorKey {
    /// The deployment.
    pub name: DeploymentName,
    /// The index.
    pub index: u32,
}

/// One change of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// Everything so far; takes the place of all records before it.
    Snapshot(DeployerState),
    /// The master has given or confirmed the id of the framework.
    Subscribed(FrameworkId),
    /// The framework is no more, and none of its tasks.
    Unsubscribed,
    /// A new deployment.
    Deployed(DeploymentSpec),
    /// Another number of actors is wanted.
    Scaled {
        /// The deployment.
        name: DeploymentName,
        /// How many.
        instances: u32,
    },
    /// Another version of a deployment is to run.
    Updated(DeploymentSpec),
    /// The version before is to run.
    RolledBack {
        /// The deployment.
        name: DeploymentName,
        /// Why.
        reason: String,
    },
    /// All actors are of the version that is to run.
    UpdateEnded(DeploymentName),
    /// The deployment is to end.
    Removed(DeploymentName),
    /// Somebody wants an actor stopped, or not stopped any more.
    StopWanted {
        /// The actor.
        actor: ActorKey,
        /// Whether it is to be stopped.
        stop: bool,
    },
    /// A task is launched for an actor.
    Placed {
        /// The actor.
        actor: ActorKey,
        /// Its task.
        place: Place,
    },
    /// The host of an actor has said where it is.
    Located {
        /// The actor.
        actor: ActorKey,
        /// Where it takes messages.
        location: ActorLocation,
    },
    /// An actor has no task, or no longer.
    Ended {
        /// The actor.
        actor: ActorKey,
        /// Where it stands now.
        phase: Phase,
    },
}

impl Record {
    /// Whether the records before this one are not needed.
    #[must_use]
    pub fn says_all(&self) -> bool {
        matches!(self, Self::Snapshot(_))
    }

    /// The deployment that it is about, if it is about one.
    pub(crate) fn deployment(&self) -> Option<&DeploymentName> {
        match self {
            Self::Snapshot(_) | Self::Subscribed(_) | Self::Unsubscribed => None,
            Self::Deployed(spec) | Self::Updated(spec) => Some(&spec.name),
            Self::Scaled { name, .. } | Self::RolledBack { name, .. } => Some(name),
            Self::UpdateEnded(name) | Self::Removed(name) => Some(name),
            Self::StopWanted { actor, .. }
            | Self::Placed { actor, .. }
            | Self::Located { actor, .. }
            | Self::Ended { actor, .. } => Some(&actor.name),
        }
    }
}

impl DeployerState {
    /// The state after these records.
    #[must_use]
    pub fn replay(records: Vec<Record>) -> Self {
        let mut state = Self::default();
        for record in &records {
            state.apply(record);
        }
        state
    }

    /// Changes the state. A record about what is not there changes nothing.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Snapshot(state) => self.clone_from(state),
            Record::Subscribed(framework_id) => self.framework_id = Some(framework_id.clone()),
            Record::Unsubscribed => self.framework_id = None,
            Record::Deployed(spec) => self.deploy(spec),
            Record::Scaled { name, instances } => self.change(name, |deployment| {
                deployment.spec.instances = *instances;
                deployment.fill();
            }),
            Record::Updated(spec) => self.update(spec),
            Record::RolledBack { name, reason } => self.change(name, |deployment| deployment.roll_back(reason)),
            Record::UpdateEnded(name) => self.change(name, Deployment::end_update),
            Record::Removed(name) => self.change(name, |deployment| deployment.removing = true),
            Record::StopWanted { actor, stop } => self.change_actor(actor, |actor| actor.stop = *stop),
            Record::Placed { actor, place } => {
                self.next_number += 1;
                self.change_actor(actor, |actor| actor.phase = Phase::Placed(place.clone()));
            }
            Record::Located { actor, location } => self.change_actor(actor, |actor| actor.locate(location)),
            Record::Ended { actor, phase } => self.change_actor(actor, |actor| actor.end(phase)),
        }
    }

    /// One actor.
    #[must_use]
    pub fn actor(&self, key: &ActorKey) -> Option<&DeployedActor> {
        self.deployments.get(&key.name)?.actors.get(&key.index)
    }

    /// All actors, in the order of their names.
    pub fn actors(&self) -> impl Iterator<Item = (ActorKey, &Deployment, &DeployedActor)> {
        self.deployments.iter().flat_map(|(name, deployment)| {
            let key = |index| ActorKey { name: name.clone(), index };
            deployment.actors.iter().map(move |(index, actor)| (key(*index), deployment, actor))
        })
    }

    fn deploy(&mut self, spec: &DeploymentSpec) {
        let number = self.next_number;
        self.next_number += 1;
        let (name, spec, actors) = (spec.name.clone(), spec.clone(), BTreeMap::new());
        let mut deployment = Deployment { spec, number, removing: false, previous: None, update: None, actors };
        deployment.fill();
        self.deployments.insert(name, deployment);
    }

    fn update(&mut self, spec: &DeploymentSpec) {
        let number = self.next_number;
        self.next_number += 1;
        self.change(&spec.name, |deployment| deployment.update(spec, number));
    }

    fn change(&mut self, name: &DeploymentName, change: impl FnOnce(&mut Deployment)) {
        if let Some(deployment) = self.deployments.get_mut(name) {
            change(deployment);
            deployment.drop_unwanted();
        }
        self.drop_if_ended(name);
    }

    /// As [`change`](Self::change), without a look at all the others.
    fn change_actor(&mut self, key: &ActorKey, change: impl FnOnce(&mut DeployedActor)) {
        let Some(deployment) = self.deployments.get_mut(&key.name) else { return };
        let is_wanted = deployment.wants(key.index);
        let Some(actor) = deployment.actors.get_mut(&key.index) else { return };
        change(actor);
        if !is_wanted && actor.place().is_none() {
            deployment.actors.remove(&key.index);
            self.drop_if_ended(&key.name);
        }
    }

    fn drop_if_ended(&mut self, name: &DeploymentName) {
        if self.deployments.get(name).is_some_and(|deployment| deployment.removing && deployment.actors.is_empty()) {
            self.deployments.remove(name);
        }
    }
}

impl Deployment {
    /// Whether an actor of this index is wanted.
    #[must_use]
    pub fn wants(&self, index: u32) -> bool {
        !self.removing && index < self.spec.instances
    }

    /// Whether a task runs the version that is to run.
    #[must_use]
    pub fn is_current(&self, place: &Place) -> bool {
        place.number == self.number
    }

    /// Whether actors of one version are being replaced by those of another.
    #[must_use]
    pub fn is_rolling(&self) -> bool {
        let is_under_way = matches!(self.update, Some(UpdateState::Rolling | UpdateState::RollingBack { .. }));
        is_under_way && !self.removing
    }

    /// Whether a task is to be replaced.
    #[must_use]
    pub fn is_outdated(&self, place: &Place) -> bool {
        self.is_rolling() && !self.is_current(place)
    }

    fn update(&mut self, spec: &DeploymentSpec, number: u64) {
        let earlier = std::mem::replace(&mut self.spec, spec.clone());
        if !spec.has_actors_of(&earlier) {
            // A version that has not been reached is none to go back to.
            if self.update != Some(UpdateState::Rolling) {
                self.previous = Some(Version { spec: earlier, number: self.number });
            }
            self.number = number;
            self.update = Some(UpdateState::Rolling);
            self.try_again();
        }
        self.fill();
    }

    fn roll_back(&mut self, reason: &str) {
        let Some(Version { spec, number }) = self.previous.take() else { return };
        self.spec = DeploymentSpec { instances: self.spec.instances, ..spec };
        self.number = number;
        self.update = Some(UpdateState::RollingBack { reason: reason.to_owned() });
        self.try_again();
    }

    fn end_update(&mut self) {
        self.update = match self.update.take() {
            Some(UpdateState::RollingBack { reason }) => Some(UpdateState::RolledBack { reason }),
            Some(UpdateState::Rolling) | None => None,
            Some(ended @ UpdateState::RolledBack { .. }) => Some(ended),
        };
    }

    /// What could not run as another version may run as this one.
    fn try_again(&mut self) {
        for actor in self.actors.values_mut() {
            if matches!(actor.phase, Phase::GivenUp { .. }) {
                actor.phase = Phase::Waiting;
            }
        }
    }

    fn fill(&mut self) {
        for index in 0..self.spec.instances {
            self.actors.entry(index).or_default();
        }
    }

    /// Forgets the actors that are not wanted and have no task.
    fn drop_unwanted(&mut self) {
        let (removing, instances) = (self.removing, self.spec.instances);
        self.actors.retain(|index, actor| (!removing && *index < instances) || actor.place().is_some());
    }
}

impl DeployedActor {
    fn end(&mut self, phase: &Phase) {
        let had_place = matches!(self.phase, Phase::Placed(_));
        self.restarts += u64::from(had_place && *phase == Phase::Waiting);
        self.phase = phase.clone();
    }

    fn locate(&mut self, location: &ActorLocation) {
        if let Phase::Placed(place) = &mut self.phase {
            place.location = Some(location.clone());
        }
    }

    /// Its task, if it has one.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        match &self.phase {
            Phase::Placed(place) => Some(place),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "state_test.rs"]
mod tests;
