//! Resources that come back: declined, unused, rescinded, or freed by a task that ended.

use super::Allocator;
use super::agents::Holding;
use crate::roster::{Client, Given};
use crate::slots::Slot;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::offer::REFUSE_MAX;
use odeon_protocol::resources::{ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use std::sync::Arc;
use std::time::Duration;

/// Why resources could not come back; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
    /// No agent of this id is here; what was held of it went with it.
    #[error("agent {0} is not known")]
    UnknownAgent(AgentId),
    /// The framework holds nothing under this role, or less of it on this agent.
    #[error("framework {} does not hold {} of agent {agent} under role {}", .wanted.framework, .wanted.resources, .wanted.role)]
    NotHeld {
        /// The agent.
        agent: AgentId,
        /// What was to come back, and from whom.
        wanted: Box<Holding>,
        /// What it is short of.
        #[source]
        source: Option<ResourcesError>,
    },
}

impl Allocator {
    /// Takes resources back and marks their agent.
    ///
    /// With a filter above zero, an offer of this agent within these resources is not made to this framework
    /// under this role for that time, nor for the allocation interval if that is longer, and in any case not
    /// in the next run. A framework that is gone or not active leaves no filter.
    ///
    /// # Errors
    /// [`RecoverError`]: both cases mean that the caller and the allocator disagree about what is held.
    pub fn recover(
        &mut self,
        now: Duration,
        framework: &FrameworkId,
        role: &Role,
        agent: &AgentId,
        resources: impl Into<TypedResources>,
        filter: Option<Duration>,
    ) -> Result<(), RecoverError> {
        let slot = *self.agent_slots.get(agent).ok_or_else(|| RecoverError::UnknownAgent(agent.clone()))?;
        let resources = resources.into();
        let not_held = |held: TypedResources| {
            let source = held.checked_sub(&resources).err();
            let (framework, role, resources) = (framework.clone(), role.clone(), resources.clone());
            let wanted = Box::new(Holding { framework, role, resources });
            RecoverError::NotHeld { agent: agent.clone(), wanted, source }
        };
        let client = self.roster.client(framework, role).ok_or_else(|| not_held(TypedResources::empty()))?;
        let entry = &mut self.agents[slot];
        let is_all = entry.profile.total == resources;
        let part = if is_all { Arc::clone(entry.total()) } else { Arc::new(self.kinds.bundle(&resources)) };
        let Some(is_only) = entry.give_back(client, &part, &self.kinds) else {
            let held = entry.held().iter().find(|(holder, _)| *holder == client);
            return Err(not_held(held.map(|(_, held)| self.kinds.resources(held)).unwrap_or_default()));
        };
        let given = Given { client, agent: slot.number(), bundle: &part, is_only, total: entry.total() };
        self.roster.credit(&given, &self.kinds);
        self.roster.unbook(client, &part, &self.kinds);
        if let Some(refuse) = filter.filter(|refuse| !refuse.is_zero() && self.may_refuse(framework, client)) {
            let until = now.saturating_add(refuse.min(REFUSE_MAX).max(self.config.allocation_interval));
            self.refusals.add(slot, client, part, until, self.run_count);
        }
        self.roster.retire(client);
        self.mark_event(slot);
        Ok(())
    }

    fn may_refuse(&self, framework: &FrameworkId, client: Slot<Client>) -> bool {
        self.roster.is_subscribed(client) && self.frameworks.get(framework).is_some_and(|framework| framework.is_active)
    }
}
