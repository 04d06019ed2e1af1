//! What people change: deployments, how many actors they have, and single actors.

use super::{ACTORS_MAX, DEPLOYMENTS_MAX, DeployerCore, DeployerOutbox, Effect};
use crate::state::{ActorKey, Phase, Record};
use odeon_framework::Call;
use odeon_protocol::deployment::{DeploymentName, DeploymentSpec, check_instances};
use odeon_protocol::messages::deployments::{DeployError, DeployOutcome, DeploymentError, FindActorError};
use odeon_protocol::moment::Moment;

impl DeployerCore {
    /// Runs a deployment from now on. The same one twice is one.
    ///
    /// # Errors
    /// [`DeployError`]; nothing is changed then.
    pub fn on_deploy(
        &mut self,
        spec: DeploymentSpec,
        now: Moment,
        out: &mut DeployerOutbox,
    ) -> Result<DeployOutcome, DeployError> {
        spec.check().map_err(DeployError::Invalid)?;
        match self.state.deployments.get(&spec.name) {
            Some(deployment) if deployment.removing => return Err(DeployError::BeingRemoved(spec.name)),
            Some(deployment) if deployment.spec == spec => return Ok(DeployOutcome::Unchanged),
            Some(_) => return Err(DeployError::Differs(spec.name)),
            None => {}
        }
        if self.state.deployments.len() >= DEPLOYMENTS_MAX {
            return Err(DeployError::TooMany { what: "another deployment".to_owned(), limit: DEPLOYMENTS_MAX });
        }
        if self.actor_count() + spec.instances as usize > ACTORS_MAX {
            let what = format!("{} more actors", spec.instances);
            return Err(DeployError::TooMany { what, limit: ACTORS_MAX });
        }
        self.note(Record::Deployed(spec), out);
        self.want_offers(now, out);
        self.settle(now, out);
        Ok(DeployOutcome::Created)
    }

    /// Sets how many actors a deployment has; the answer is how many it had.
    ///
    /// # Errors
    /// [`DeploymentError`]; nothing is changed then.
    pub fn on_scale(
        &mut self,
        name: &DeploymentName,
        instances: u32,
        now: Moment,
        out: &mut DeployerOutbox,
    ) -> Result<u32, DeploymentError> {
        let spec = &self.live(name)?.spec;
        let earlier = spec.instances;
        check_instances(instances).map_err(DeploymentError::Invalid)?;
        DeploymentSpec { instances, ..spec.clone() }.check().map_err(DeploymentError::Invalid)?;
        if self.actor_count() + (instances.saturating_sub(earlier)) as usize > ACTORS_MAX {
            return Err(DeploymentError::TooMany(ACTORS_MAX));
        }
        self.note(Record::Scaled { name: name.clone(), instances }, out);
        self.kill_unwanted(name, out);
        self.want_offers(now, out);
        self.settle(now, out);
        Ok(earlier)
    }

    /// Ends a deployment and all its actors.
    ///
    /// # Errors
    /// [`DeploymentError::Unknown`].
    pub fn on_remove(
        &mut self,
        name: &DeploymentName,
        now: Moment,
        out: &mut DeployerOutbox,
    ) -> Result<(), DeploymentError> {
        self.live(name)?;
        self.note(Record::Removed(name.clone()), out);
        self.watches.remove(name);
        self.kill_unwanted(name, out);
        self.settle(now, out);
        Ok(())
    }

    /// Ends one actor until it is started again.
    ///
    /// # Errors
    /// [`FindActorError::Unknown`].
    pub fn on_stop_actor(&mut self, name: &str, now: Moment, out: &mut DeployerOutbox) -> Result<(), FindActorError> {
        let actor = self.key_of(name)?;
        self.note(Record::StopWanted { actor: actor.clone(), stop: true }, out);
        match self.state.actor(&actor).map(|found| found.place().cloned()) {
            Some(Some(place)) => out.send(Effect::Call(Call::Kill(place.task_id))),
            _ => self.end(&actor, Phase::Stopped, now, "", out),
        }
        self.settle(now, out);
        Ok(())
    }

    /// Starts an actor that was stopped, has ended or was given up.
    ///
    /// # Errors
    /// [`FindActorError::Unknown`].
    pub fn on_start_actor(&mut self, name: &str, now: Moment, out: &mut DeployerOutbox) -> Result<(), FindActorError> {
        let actor = self.key_of(name)?;
        self.failures.remove(&actor);
        self.note(Record::StopWanted { actor: actor.clone(), stop: false }, out);
        let has_ended = self.state.actor(&actor).is_some_and(|found| found.place().is_none());
        if has_ended {
            self.waits.remove(&actor);
            self.note(Record::Ended { actor, phase: Phase::Waiting }, out);
        }
        self.want_offers(now, out);
        self.settle(now, out);
        Ok(())
    }

    /// Ends what runs and is not wanted any more, of all deployments.
    pub(super) fn kill_all_unwanted(&self, out: &mut DeployerOutbox) {
        for name in self.state.deployments.keys() {
            self.kill_unwanted(name, out);
        }
    }

    pub(super) fn kill_unwanted(&self, name: &DeploymentName, out: &mut DeployerOutbox) {
        let Some(deployment) = self.state.deployments.get(name) else { return };
        for (index, actor) in &deployment.actors {
            if let Some(place) = actor.place().filter(|_| actor.stop || !deployment.wants(*index)) {
                out.send(Effect::Call(Call::Kill(place.task_id.clone())));
            }
        }
    }

    /// A deployment that is not being removed.
    pub(super) fn live(&self, name: &DeploymentName) -> Result<&crate::state::Deployment, DeploymentError> {
        let found = self.state.deployments.get(name).filter(|deployment| !deployment.removing);
        found.ok_or_else(|| DeploymentError::Unknown(name.clone()))
    }

    pub(super) fn actor_count(&self) -> usize {
        self.state.deployments.values().map(|deployment| deployment.actors.len()).sum()
    }

    /// The actor of a name, `deployment/index`.
    pub(super) fn key_of(&self, name: &str) -> Result<ActorKey, FindActorError> {
        let key = name.rsplit_once('/').and_then(|(deployment, index)| {
            // A number has one way to be written, so that an actor has one name.
            let parsed = index.parse::<u32>().ok().filter(|number| number.to_string() == index)?;
            Some(ActorKey { name: DeploymentName::new(deployment).ok()?, index: parsed })
        });
        let known = key.filter(|key| self.state.actor(key).is_some());
        known.ok_or_else(|| FindActorError::Unknown(name.to_owned()))
    }
}
