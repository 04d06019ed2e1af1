//! Resources that change their class: reserved, unreserved, made a volume, or a volume no more.

use super::Allocator;
use super::agents::Agent;
use crate::bundle::Bundle;
use crate::roster::Given;
use crate::slots::Slot;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use std::sync::Arc;

/// Why resources could not change their class; nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// No agent of this id is here.
    #[error("agent {0} is not known")]
    UnknownAgent(AgentId),
    /// Not held by the framework, or not free.
    #[error("{resources} of agent {agent} is not there to be converted")]
    NotThere {
        /// The agent.
        agent: AgentId,
        /// What was to be converted.
        resources: TypedResources,
    },
    /// A conversion neither makes nor destroys resources.
    #[error("{from} cannot become {into}: the amounts differ")]
    Unequal {
        /// What was to be converted.
        from: TypedResources,
        /// Into what.
        into: TypedResources,
    },
    /// Others hold the shared volume.
    #[error("{0} is a shared volume that is held by others")]
    SharedInUse(TypedResources),
    /// The amounts do not add up.
    #[error(transparent)]
    Amounts(#[from] ResourcesError),
}

impl Allocator {
    /// Changes the class of what a framework holds, or of what is free if none is named.
    ///
    /// # Errors
    /// [`ConvertError`].
    pub fn convert(
        &mut self,
        holder: Option<(&FrameworkId, &Role)>,
        agent: &AgentId,
        from: &TypedResources,
        into: &TypedResources,
    ) -> Result<(), ConvertError> {
        let slot = *self.agent_slots.get(agent).ok_or_else(|| ConvertError::UnknownAgent(agent.clone()))?;
        if from.quantities()? != into.quantities()? {
            return Err(ConvertError::Unequal { from: from.clone(), into: into.clone() });
        }
        let not_there = || ConvertError::NotThere { agent: agent.clone(), resources: from.clone() };
        let (old, new) = (Arc::new(self.kinds.bundle(from)), Arc::new(self.kinds.bundle(into)));
        let entry = &self.agents[slot];
        let client = match holder {
            Some((framework, role)) => Some(self.roster.client(framework, role).ok_or_else(not_there)?),
            None => None,
        };
        let is_there = match client {
            Some(client) => entry.held().iter().any(|(other, held)| *other == client && old.is_within(held)),
            None => old.is_within(entry.free()),
        };
        if !is_there || !old.is_within(entry.total()) {
            return Err(not_there());
        }
        let is_shared = |kind: u32| self.kinds.kind(kind).is_shared;
        let holders = entry.held().iter().filter(|(other, _)| Some(*other) != client);
        let is_held = |kind: u32| holders.clone().any(|(_, held)| held.scalar(kind) > 0);
        if old.kinds().any(|kind| is_shared(kind) && is_held(kind)) {
            return Err(ConvertError::SharedInUse(from.clone()));
        }
        let total = entry.total().checked_sub(&old).and_then(|rest| rest.checked_add(&new)).ok_or_else(not_there)?;
        let Some(client) = client else {
            self.convert_total(slot, total);
            return Ok(());
        };
        let before = entry.total().clone();
        let number = Slot::number(slot);
        let given = |bundle, total| Given { client, agent: number, bundle, is_only: false, total };
        self.roster.convert(&given(&old, &before), &given(&new, &total), &self.kinds);
        let entry = &mut self.agents[slot];
        entry.give_back(client, &old, &self.kinds).ok_or_else(not_there)?;
        self.convert_total(slot, total);
        self.agents[slot].take(client, &new, &self.kinds);
        Ok(())
    }

    /// Replaces what an agent has, also in what it said of itself.
    fn convert_total(&mut self, slot: Slot<Agent>, total: Bundle) {
        self.agents[slot].profile.total = self.kinds.resources(&total);
        self.replace_total(slot, total);
    }
}
