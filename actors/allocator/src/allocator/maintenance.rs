//! Maintenance: when an agent will be away, and asking frameworks to give back what they hold of it.
//!
//! One question to a framework is out for an agent at a time. What becomes of the answer is the operator's.

use super::Allocator;
use super::agents::{Agent, AgentError};
use crate::slots::Slot;
use odeon_protocol::id::{AgentId, FrameworkId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// When an agent will be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailability {
    /// From when on, on the clock of `now`.
    pub start: Duration,
    /// For how long; without it, until told otherwise.
    pub length: Option<Duration>,
}

/// Asks a framework to give back all that it holds of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InverseGrant {
    /// Who is asked.
    pub framework: FrameworkId,
    /// Whose resources.
    pub agent: AgentId,
    /// Why.
    pub unavailability: Unavailability,
}

/// An agent that will be away, and who was asked.
#[derive(Debug)]
pub(crate) struct Maintenance {
    unavailability: Unavailability,
    asked: BTreeSet<FrameworkId>,
    /// Who does not want to be asked again before when.
    refused: BTreeMap<FrameworkId, Duration>,
}

impl Allocator {
    /// Sets or ends the time for which an agent will be away; questions of before and refusals to be asked are void.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn set_unavailability(&mut self, id: &AgentId, when: Option<Unavailability>) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        let new = |unavailability| Maintenance { unavailability, asked: BTreeSet::new(), refused: BTreeMap::new() };
        self.agents[slot].maintenance = when.map(new);
        self.candidates.mark(slot);
        Ok(())
    }

    /// Ends a question, and with a time above zero keeps the framework from being asked again for that long.
    ///
    /// # Errors
    /// [`AgentError::Unknown`].
    pub fn answer_inverse(
        &mut self,
        now: Duration,
        framework: &FrameworkId,
        id: &AgentId,
        refuse: Option<Duration>,
    ) -> Result<(), AgentError> {
        let slot = self.agent_slot(id)?;
        let Some(maintenance) = &mut self.agents[slot].maintenance else { return Ok(()) };
        maintenance.asked.remove(framework);
        if let Some(refuse) = refuse.filter(|refuse| !refuse.is_zero()) {
            maintenance.refused.insert(framework.clone(), now.saturating_add(refuse));
        }
        Ok(())
    }

    /// Forgets questions to a framework that is gone.
    pub(super) fn forget_inverse(&mut self, framework: &FrameworkId) {
        for slot in self.agents.slots().collect::<Vec<_>>() {
            if let Some(maintenance) = &mut self.agents[slot].maintenance {
                maintenance.asked.remove(framework);
                maintenance.refused.remove(framework);
            }
        }
    }

    /// Whom to ask for what of these agents; each is asked once.
    pub(super) fn ask_back(&mut self, slots: &[Slot<Agent>], now: Duration) {
        for slot in slots {
            let agent = &mut self.agents[*slot];
            let Some(mut maintenance) = agent.maintenance.take() else { continue };
            let holders = agent.held().iter().map(|(client, _)| self.roster.name(*client).0.clone());
            let holders: BTreeSet<FrameworkId> = holders.collect();
            maintenance.refused.retain(|_, until| *until > now);
            for framework in holders {
                let is_active = self.frameworks.get(&framework).is_some_and(|framework| framework.is_active);
                if !is_active || maintenance.refused.contains_key(&framework) {
                    continue;
                }
                if maintenance.asked.insert(framework.clone()) {
                    let (agent, unavailability) = (agent.id.clone(), maintenance.unavailability);
                    self.inverse.push(InverseGrant { framework, agent, unavailability });
                }
            }
            agent.maintenance = Some(maintenance);
        }
    }

    /// The questions that the runs since the last call have raised.
    #[must_use]
    pub fn take_inverse(&mut self) -> Vec<InverseGrant> {
        std::mem::take(&mut self.inverse)
    }
}
