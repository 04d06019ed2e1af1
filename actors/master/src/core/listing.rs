//! What operators see: pictures of the state, made when they are asked for.
//!
//! Changes nothing.

use super::MasterCore;
use super::agents::{Agent, Presence};
use super::frameworks::Framework;
use super::ledger::{Ledger, Shares, sum};
use super::tasks::Task;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::master_operator::{
    AgentState, AgentSummary, FrameworkState, FrameworkSummary, GetTasks, MasterSummary, RoleSummary, TaskSummary,
};
use odeon_protocol::resources::Resources;
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};

impl MasterCore {
    /// Who the master is, and how much there is.
    #[must_use]
    pub fn on_get_master(&self) -> MasterSummary {
        let connected = self.agents.values().filter(|agent| agent.is_connected());
        let mut summary = MasterSummary {
            master_id: self.master_id.clone(),
            epoch: self.epoch,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            total: Resources::empty(),
            allocated: Resources::empty(),
        };
        for agent in connected {
            summary.total = scalars_added(summary.total, &agent.info.resources);
            summary.allocated = scalars_added(summary.allocated, &agent.ledger.allocated().unwrap_or_default());
        }
        summary
    }

    /// All agents that are remembered.
    #[must_use]
    pub fn on_get_agents(&self) -> Vec<AgentSummary> {
        self.agents.iter().map(|(agent_id, agent)| summary_of_agent(agent_id, agent)).collect()
    }

    /// Tasks, by launch.
    #[must_use]
    pub fn on_get_tasks(&self, message: &GetTasks) -> Vec<TaskSummary> {
        let is_meant = |id: &FrameworkId| message.framework_id.as_ref().is_none_or(|meant| meant == id);
        let mut summaries: Vec<TaskSummary> = Vec::new();
        for (framework_id, framework, _) in self.all_frameworks().filter(|(id, _, _)| is_meant(id)) {
            let ended = framework.history.iter().map(|ended| &ended.task);
            let tasks = framework.tasks.values().chain(ended);
            summaries.extend(tasks.map(|task| self.summary_of_task(framework_id, framework, task)));
        }
        summaries.sort_by_key(|summary| summary.launched_ms);
        summaries
    }

    fn summary_of_task(&self, framework_id: &FrameworkId, framework: &Framework, task: &Task) -> TaskSummary {
        let agent = self.agents.get(&task.agent_id);
        TaskSummary {
            task_id: task.info.task_id.clone(),
            name: task.info.name.clone(),
            framework_id: framework_id.clone(),
            framework_name: framework.info.name.clone(),
            agent_id: task.agent_id.clone(),
            hostname: agent.map(|agent| agent.info.hostname.clone()).unwrap_or_default(),
            role: task.role.clone(),
            state: task.state,
            reason: task.reason,
            message: task.message.clone(),
            resources: task.info.resources.clone(),
            launched_ms: task.launched_ms,
            updated_ms: task.updated_ms,
        }
    }

    /// Frameworks, those that have ended last.
    #[must_use]
    pub fn on_get_frameworks(&self) -> Vec<FrameworkSummary> {
        let used = self.sums_by_framework(|ledger| &ledger.used);
        let offered = self.sums_by_framework(|ledger| &ledger.offered);
        let of = |sums: &BTreeMap<&FrameworkId, Resources>, id: &FrameworkId| sums.get(id).cloned().unwrap_or_default();
        let summary = |(id, framework, has_ended)| FrameworkSummary {
            used: of(&used, id),
            offered: of(&offered, id),
            ..summary_of_framework(id, framework, has_ended)
        };
        self.all_frameworks().map(summary).collect()
    }

    fn sums_by_framework(&self, part: impl Fn(&Ledger) -> &Shares) -> BTreeMap<&FrameworkId, Resources> {
        let mut sums: BTreeMap<&FrameworkId, Resources> = BTreeMap::new();
        for ((framework_id, _), share) in self.agents.values().flat_map(|agent| part(&agent.ledger)) {
            let sum = sums.entry(framework_id).or_default();
            *sum = share.parts().fold(std::mem::take(sum), |sum, (_, amounts)| scalars_added(sum, amounts));
        }
        sums
    }

    /// Roles that have a framework, hold something, or have a weight or a priority of their own; the default role always.
    #[must_use]
    pub fn on_get_roles(&self) -> Vec<RoleSummary> {
        let shares = self.allocator.role_shares().into_iter();
        let roles = shares.filter_map(|share| {
            let role = Role::new(share.path.as_str()).ok()?;
            let is_in = |framework: &Framework| framework.roles.contains(&role);
            let frameworks = self.frameworks.iter().filter(|(_, framework)| is_in(framework));
            Some(RoleSummary {
                weight: share.weight.amount().as_f64(),
                priority: self.allocator.priority(&role),
                share: share.share.as_f64() * share.weight.amount().as_f64(),
                allocated: share.allocated,
                frameworks: frameworks.map(|(id, _)| id.clone()).collect(),
                role,
            })
        });
        let mut roles: Vec<RoleSummary> = roles.collect();
        let weighed =
            self.rules.allocator.weights.iter().map(|(role, weight)| (role.clone(), weight.amount().as_f64()));
        let prioritised = self.allocator.prioritised().map(|role| (role.clone(), 1.0));
        for (role, weight) in weighed.chain(prioritised).chain([(Role::default(), 1.0)]) {
            if !roles.iter().any(|listed| listed.role == role) {
                let priority = self.allocator.priority(&role);
                roles.push(idle_role(role, weight, priority));
            }
        }
        roles.sort_by(|one, other| one.role.cmp(&other.role));
        roles
    }

    pub(super) fn all_frameworks(&self) -> impl Iterator<Item = (&FrameworkId, &Framework, bool)> {
        let alive = self.frameworks.iter().map(|(id, framework)| (id, framework, false));
        let ended = self.ended.iter().filter_map(|ended| Some((&ended.framework_id, ended.framework.as_ref()?, true)));
        alive.chain(ended)
    }
}

pub(super) fn state_of_framework(framework: &Framework, has_ended: bool) -> FrameworkState {
    match &framework.scheduler {
        _ if has_ended => FrameworkState::Completed,
        Some(_) => FrameworkState::Active,
        None => FrameworkState::Disconnected,
    }
}

fn summary_of_framework(id: &FrameworkId, framework: &Framework, has_ended: bool) -> FrameworkSummary {
    FrameworkSummary {
        framework_id: id.clone(),
        name: framework.info.name.clone(),
        user: framework.info.user.clone(),
        hostname: framework.info.hostname.clone(),
        roles: framework.roles.clone(),
        state: state_of_framework(framework, has_ended),
        active_tasks: framework.tasks.len(),
        used: Resources::empty(),
        offered: Resources::empty(),
        registered_ms: framework.admitted_ms,
    }
}

fn summary_of_agent(agent_id: &AgentId, agent: &Agent) -> AgentSummary {
    let state = match agent.presence {
        Presence::Connected => match &agent.drain {
            Some(drain) if drain.drained => AgentState::Drained,
            Some(_) => AgentState::Draining,
            None if agent.deactivated => AgentState::Deactivated,
            None => AgentState::Active,
        },
        Presence::Recovered | Presence::Disconnected => AgentState::Disconnected,
        Presence::Unreachable => AgentState::Unreachable,
    };
    AgentSummary {
        agent_id: agent_id.clone(),
        hostname: agent.info.hostname.clone(),
        endpoint: agent.info.endpoint.clone(),
        state,
        total: agent.info.resources.clone(),
        reserved: agent.reserved_in_all(),
        reserved_unused: agent.reserved_left(),
        used: sum(&agent.ledger.used).unwrap_or_default(),
        offered: sum(&agent.ledger.offered).unwrap_or_default(),
        attributes: agent.info.attributes.clone(),
        active_tasks: agent.tasks.len(),
        deactivated: agent.deactivated,
        drain: agent.drain.clone(),
        registered_ms: agent.admitted_ms,
    }
}

/// Adds the scalars only: port 80 of two agents is no sum. A sum out of range stays what it was.
fn scalars_added(sum: Resources, more: &Resources) -> Resources {
    let scalars = more.scalars().fold(Resources::empty(), |all, (name, amount)| all.with_scalar(name, amount));
    sum.checked_add(&scalars).unwrap_or(sum)
}

/// What is told of a role while no framework is in it.
fn idle_role(role: Role, weight: f64, priority: u32) -> RoleSummary {
    RoleSummary { role, weight, priority, share: 0.0, allocated: Resources::empty(), frameworks: BTreeSet::new() }
}
