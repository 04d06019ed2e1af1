//! The border to the allocator: agents go in and out of it, and grants become offers.
//!
//! Decides nothing about who gets what.

use super::ledger::Ledger;
use super::timers::Timer;
use super::{MasterCore, MasterOutbox};
use odeon_allocator::Holding;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;
use std::time::Duration;

impl MasterCore {
    /// Has all agents looked at again, should an event have been missed.
    pub(super) fn on_allocation_interval(&mut self, now: Moment) {
        self.allocator.mark_all();
        self.timers.set(Timer::Allocation, now.after(self.rules.allocator.allocation_interval));
    }

    /// Runs the allocator if there is a reason, and not more often than its pace allows.
    pub(super) fn allocate_if_due(&mut self, now: Moment, out: &mut MasterOutbox) {
        let refusal_ends = self.allocator.next_deadline().is_some_and(|at| at <= now.since_start);
        let is_due = self.allocator.is_pending() || refusal_ends;
        if !is_due || now.since_start < self.allocation_pace.from() {
            return;
        }
        if self.allocator.is_paused(now.since_start) {
            self.allocation_pace.hold_until(now.after(self.rules.allocator.allocation_interval));
            return;
        }
        let grants = self.allocator.allocate(now.since_start);
        self.allocation_pace.spend(now, self.rules.gap_after(self.allocator.divided_count()));
        self.make_offers(grants, now, out);
        self.take_back_for_others(now, out);
    }

    /// Takes an agent out of the allocator and empties its books; its offers are void, its tasks stay.
    pub(super) fn withdraw(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        self.rescind_offers_of_agent(agent_id, now, out);
        let Some(agent) = self.agents.get_mut(agent_id).filter(|agent| agent.allocated) else { return };
        agent.allocated = false;
        agent.ledger = Ledger::default();
        agent.executors.clear();
        let known = self.allocator.remove_agent(agent_id);
        known.expect("an allocated agent is in the allocator");
        for key in self.tasks_on(agent_id, |_| true) {
            self.task_mut(&key).expect("an agent names only tasks that are there").charged = false;
        }
    }

    /// Gives an agent to the allocator, with what its tasks use.
    pub(super) fn offer_anew(&mut self, agent_id: &AgentId) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        agent.allocated = true;
        let holding = |((framework, role), resources): (&(FrameworkId, Role), &TypedResources)| Holding {
            framework: framework.clone(),
            role: role.clone(),
            resources: resources.clone(),
        };
        let holdings: Vec<Holding> = agent.ledger.used.iter().map(holding).collect();
        let (total, attributes) = (agent.total(), agent.info.attributes.clone());
        let added = self.allocator.add_agent(agent_id.clone(), total, attributes, &holdings);
        added.expect("the agent was withdrawn before, and its ledger adds up");
        if !agent.may_be_offered() {
            self.allocator.deactivate_agent(agent_id).expect("it was added just now");
        }
    }

    /// Gives resources of an allocated agent back to the allocator; their booking in the ledger has ended already.
    pub(super) fn give_back(
        &mut self,
        framework_id: &FrameworkId,
        role: &Role,
        agent_id: &AgentId,
        resources: &TypedResources,
        refuse: Option<Duration>,
        now: Moment,
    ) {
        if !resources.is_empty() {
            let held = self.allocator.recover(now.since_start, framework_id, role, agent_id, resources, refuse);
            held.expect("the ledger and the allocator book the same");
        }
    }
}
