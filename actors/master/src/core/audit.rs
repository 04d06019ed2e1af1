//! What others may see of the books of a master, to check them. Changes nothing.

use super::MasterCore;
use super::agents::Presence;
use super::ledger::sum;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::{Resources, ResourcesError, TypedResources};
use odeon_runtime::NodeId;

/// The books of one agent that is in service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentBooks {
    /// All that it has.
    pub total: Resources,
    /// What its tasks and executors use, by the ledger.
    pub used: Resources,
    /// What is offered, by the ledger.
    pub offered: Resources,
    /// What is offered, as the sum of the offers.
    pub held_out: Resources,
    /// What nobody has, by the allocator.
    pub free: Resources,
    /// What the tasks and executors take, one by one.
    pub taken: Resources,
    /// What was reserved of it since it registered first.
    pub reserved: TypedResources,
    /// Whether the allocator, the ledger and the reservations say the same of each class.
    pub classes_agree: bool,
}

impl MasterCore {
    /// The ids of all agents that the master remembers.
    pub fn agent_ids(&self) -> impl Iterator<Item = &AgentId> {
        self.agents.keys()
    }

    /// The books of an agent; nothing while it is out of service.
    ///
    /// # Errors
    /// If something is counted twice.
    pub fn books(&self, agent_id: &AgentId) -> Result<Option<AgentBooks>, ResourcesError> {
        let Some(agent) = self.agents.get(agent_id).filter(|agent| agent.allocated) else { return Ok(None) };
        let add = |total: Resources, more: &Resources| total.checked_add(more);
        let offers = agent.offers.iter().filter_map(|offer_id| self.offers.get(offer_id));
        let tasks = agent.tasks.iter().filter_map(|key| self.task(key)).filter(|task| task.charged);
        let executors = agent.executors.values().map(|executor| &executor.info.resources);
        let free = self.allocator.free(agent_id).unwrap_or_default();
        let mut shares = agent.ledger.used.values().chain(agent.ledger.offered.values());
        let by_class = shares.try_fold(free, |sum, share| sum.checked_add(share))?;
        Ok(Some(AgentBooks {
            reserved: agent.reserved.clone(),
            classes_agree: by_class == agent.total() && self.allocator.total(agent_id) == Some(by_class),
            total: agent.info.resources.clone(),
            used: sum(&agent.ledger.used)?,
            offered: sum(&agent.ledger.offered)?,
            held_out: offers.map(|offer| &offer.resources).try_fold(Resources::empty(), add)?,
            free: self.allocator.free(agent_id).unwrap_or_default().quantities()?,
            taken: tasks.map(|task| &task.info.resources).chain(executors).try_fold(Resources::empty(), add)?,
        }))
    }

    /// The node of an agent that is connected.
    #[must_use]
    pub fn node_of_agent(&self, agent_id: &AgentId) -> Option<&NodeId> {
        let agent = self.agents.get(agent_id).filter(|agent| agent.presence == Presence::Connected);
        agent.and_then(|agent| agent.node())
    }

    /// The node of the scheduler of a framework that is subscribed.
    #[must_use]
    pub fn node_of_scheduler(&self, framework_id: &FrameworkId) -> Option<&NodeId> {
        let scheduler = self.frameworks.get(framework_id).and_then(|framework| framework.scheduler.as_ref());
        scheduler.map(|scheduler| &scheduler.node)
    }

    /// How many tasks have not ended, of all frameworks.
    #[must_use]
    pub fn live_task_count(&self) -> usize {
        self.frameworks.values().map(|framework| framework.tasks.len()).sum()
    }
}
