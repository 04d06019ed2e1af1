//! What people and actors are told: deployments, actors, and where one is.

use super::DeployerCore;
use super::watching::is_wanted;
use crate::state::{ActorKey, DeployedActor, Deployment, Phase};
use odeon_protocol::binary::Digest;
use odeon_protocol::deployment::{ActorLocation, HostedState};
use odeon_protocol::messages::deployments::{ActorState, ActorSummary, DeploymentSummary, FindActorError, GetActors};
use std::collections::BTreeSet;

impl DeployerCore {
    /// All deployments, by name.
    #[must_use]
    pub fn on_get_deployments(&self) -> Vec<DeploymentSummary> {
        let summary = |deployment: &Deployment| {
            let name = &deployment.spec.name;
            let states = deployment.actors.iter().map(|(index, actor)| {
                self.actor_state(&ActorKey { name: name.clone(), index: *index }, deployment, actor)
            });
            let (mut running, mut given_up) = (0, 0);
            for state in states {
                running += u32::from(state == ActorState::Running);
                given_up += u32::from(state == ActorState::GivenUp);
            }
            let places = deployment.actors.values().filter_map(DeployedActor::place);
            let current = places.filter(|place| deployment.is_current(place)).count();
            DeploymentSummary {
                spec: deployment.spec.clone(),
                running,
                given_up,
                removing: deployment.removing,
                update: deployment.update.clone(),
                current: u32::try_from(current).unwrap_or(u32::MAX),
            }
        };
        self.state.deployments.values().map(summary).collect()
    }

    /// The binaries of what runs, and of what may run again.
    #[must_use]
    pub fn binaries_in_use(&self) -> BTreeSet<Digest> {
        let specs = self.state.deployments.values().flat_map(|deployment| {
            let previous = deployment.previous.as_ref().map(|version| &version.spec);
            [Some(&deployment.spec), previous].into_iter().flatten()
        });
        specs.filter_map(|spec| Some(spec.binary.as_ref()?.sha256.clone())).collect()
    }

    /// The actors that are asked for, by name.
    #[must_use]
    pub fn on_get_actors(&self, wanted: &GetActors) -> Vec<ActorSummary> {
        let is_wanted = |deployment: &Deployment| is_wanted(wanted, &deployment.spec.name, &deployment.spec.actor_type);
        let actors = self.state.actors().filter(|(_, deployment, _)| is_wanted(deployment));
        actors.map(|(key, deployment, actor)| self.summary(&key, deployment, actor)).collect()
    }

    /// Where an actor is.
    ///
    /// # Errors
    /// [`FindActorError`] if it is not there or takes no messages.
    pub fn on_find_actor(&self, name: &str) -> Result<ActorLocation, FindActorError> {
        let key = self.key_of(name)?;
        let (deployment, actor) =
            self.state.deployments.get(&key.name).zip(self.state.actor(&key)).expect("it was found");
        let state = self.actor_state(&key, deployment, actor);
        match self.reports.get(&key).filter(|_| state == ActorState::Running) {
            Some(report) => Ok(report.location.clone()),
            None => {
                let message = self.message(&key, actor);
                Err(FindActorError::NotRunning { actor: name.to_owned(), state, message })
            }
        }
    }

    fn summary(&self, key: &ActorKey, deployment: &Deployment, actor: &DeployedActor) -> ActorSummary {
        let report = self.reports.get(key);
        ActorSummary {
            name: key.name.actor(key.index),
            actor_type: deployment.spec.actor_type.clone(),
            state: self.actor_state(key, deployment, actor),
            hostname: actor.place().map(|place| place.hostname.clone()),
            task_id: actor.place().map(|place| place.task_id.to_string()),
            location: report.map(|report| report.location.clone()),
            restarts: actor.restarts + report.map_or(0, |report| report.restarts),
            message: self.message(key, actor),
        }
    }

    fn actor_state(&self, key: &ActorKey, deployment: &Deployment, actor: &DeployedActor) -> ActorState {
        match &actor.phase {
            Phase::Waiting => ActorState::Waiting,
            Phase::Stopped => ActorState::Stopped,
            Phase::Finished => ActorState::Finished,
            Phase::GivenUp { .. } => ActorState::GivenUp,
            Phase::Placed(_) if actor.stop || !deployment.wants(key.index) => ActorState::Stopping,
            Phase::Placed(_) => match self.reports.get(key).map(|report| report.state) {
                None => ActorState::Starting,
                Some(HostedState::Running) => ActorState::Running,
                Some(HostedState::Restarting | HostedState::LeaseLost) => ActorState::Restarting,
                Some(HostedState::GivenUp) => ActorState::GivenUp,
            },
        }
    }

    fn message(&self, key: &ActorKey, actor: &DeployedActor) -> String {
        match &actor.phase {
            Phase::GivenUp { reason } => reason.clone(),
            Phase::Waiting => self.waits.get(key).map(|wait| wait.reason.clone()).unwrap_or_default(),
            _ => self.reports.get(key).and_then(|report| report.last_failure.clone()).unwrap_or_default(),
        }
    }
}
