//! Singletons: at most one host has the lease of such an actor, and it is launched anew only when no lease can hold.
//!
//! Leases are not durable: a deployer that begins on a journal waits as long as one could still hold that it does not know.

use super::DeployerCore;
use crate::state::{ActorKey, Deployment, Phase};
use odeon_protocol::lease::{HAND_OVER, LEASE};
use odeon_protocol::messages::deployments::{LeaseGranted, LeaseRefused, RenewLease};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusSource, TaskState, TaskStatus};
use std::collections::BTreeMap;
use std::time::Duration;

/// From a grant until another host may be given one.
const HOLD_OFF: Duration = LEASE.saturating_add(HAND_OVER);

/// Until when each singleton may run somewhere.
#[derive(Debug, Default)]
pub(super) struct Leases {
    until: BTreeMap<String, Duration>,
    /// Until when those of an earlier deployer may hold.
    earlier: Duration,
}

impl Leases {
    /// Those of an earlier deployer may hold, if there was one.
    pub(super) fn after(earlier: bool, now: Moment) -> Self {
        Self { until: BTreeMap::new(), earlier: if earlier { now.after(HOLD_OFF) } else { Duration::ZERO } }
    }

    fn until(&self, actor: &str) -> Duration {
        self.until.get(actor).copied().unwrap_or_default().max(self.earlier)
    }

    /// Forgets those that are over.
    pub(super) fn forget(&mut self, now: Moment) {
        self.until.retain(|_, until| *until > now.since_start);
    }
}

impl DeployerCore {
    /// Lets a singleton run on for one more lease, if its task is the one that it is to run in.
    ///
    /// # Errors
    /// [`LeaseRefused`]; the host has to end it when the lease that it has is over, or at once.
    pub fn on_renew_lease(&mut self, asked: &RenewLease, now: Moment) -> Result<LeaseGranted, LeaseRefused> {
        let refused = || LeaseRefused { actor: asked.actor.clone() };
        let key = self.key_of(&asked.actor).map_err(|_| refused())?;
        let (deployment, actor) =
            self.state.deployments.get(&key.name).zip(self.state.actor(&key)).ok_or_else(refused)?;
        let is_its_task = actor.place().is_some_and(|place| place.task_id.as_str() == asked.task_id);
        if !is_its_task || actor.stop || !deployment.wants(key.index) {
            return Err(refused());
        }
        self.leases.until.insert(asked.actor.clone(), now.after(HOLD_OFF));
        Ok(LeaseGranted {})
    }

    /// Whether no lease of another run of an actor can hold any more; true of all that are no singletons.
    pub(super) fn has_no_lease(&self, deployment: &Deployment, actor: &ActorKey, now: Moment) -> bool {
        !deployment.spec.singleton || self.leases.until(&actor.name.actor(actor.index)) <= now.since_start
    }

    /// When singletons that wait may be launched.
    pub(super) fn lease_deadlines(&self) -> impl Iterator<Item = Duration> {
        // Asked for after every message: only what is a singleton is looked at.
        let singletons = self.state.deployments.values().filter(|deployment| deployment.spec.singleton);
        singletons.flat_map(|deployment| {
            let waiting = deployment.actors.iter().filter(|(_, actor)| actor.phase == Phase::Waiting);
            waiting.map(|(index, _)| self.leases.until(&deployment.spec.name.actor(*index)))
        })
    }

    /// A task has ended. Only who was beside it knows that its actor has: what the master concludes proves nothing.
    pub(super) fn note_end_of_lease(&mut self, actor: &ActorKey, status: &TaskStatus) {
        let is_over = matches!(status.state, TaskState::Finished | TaskState::Failed | TaskState::Killed);
        if is_over && matches!(status.source, StatusSource::Executor | StatusSource::Agent) {
            self.leases.until.remove(&actor.name.actor(actor.index));
        }
    }
}
