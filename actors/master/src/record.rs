//! What the master keeps on disk: its term, admitted agents and frameworks, and what operators have said.
//!
//! Tasks and offers are not kept: agents bring their tasks back, and offers end with the master.

use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::operations::Drain;
use odeon_protocol::messages::quota::RoleQuota;
use odeon_protocol::resources::{Scalar, TypedResources};
use odeon_protocol::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// One change of the registry, durable before anything that depends on it leaves the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A master began its term.
    EpochStarted {
        /// The term.
        epoch: Epoch,
    },
    /// An agent was admitted, came back from being unreachable, or changed what it says about itself.
    AgentAdmitted {
        /// The agent.
        agent_id: AgentId,
        /// What it says about itself.
        info: AgentInfo,
        /// When it was admitted first, in milliseconds since the Unix epoch.
        admitted_ms: u64,
    },
    /// An agent has not answered for too long.
    AgentUnreachable {
        /// The agent.
        agent_id: AgentId,
    },
    /// An agent cannot come back under its id.
    AgentRemoved {
        /// The agent.
        agent_id: AgentId,
    },
    /// An operator keeps an agent from being offered.
    AgentDeactivated {
        /// The agent.
        agent_id: AgentId,
    },
    /// An operator has an agent emptied, or it is empty now.
    AgentDraining {
        /// The agent.
        agent_id: AgentId,
        /// How far it is.
        drain: Drain,
    },
    /// An operator lets an agent be offered again.
    AgentReactivated {
        /// The agent.
        agent_id: AgentId,
    },
    /// What is reserved of an agent has changed.
    AgentReserved {
        /// The agent.
        agent_id: AgentId,
        /// All that is reserved since it registered first.
        reserved: TypedResources,
    },
    /// An operator has declared that an agent never comes back.
    AgentGone {
        /// The agent.
        agent_id: AgentId,
        /// When, in milliseconds since the Unix epoch; the longest gone are forgotten first.
        gone_ms: u64,
    },
    /// An agent is gone for so long that its id is not remembered any more.
    AgentForgotten {
        /// The agent.
        agent_id: AgentId,
    },
    /// A framework subscribed first, or changed what it says about itself.
    FrameworkAdmitted {
        /// The framework.
        framework_id: FrameworkId,
        /// What it says about itself.
        info: FrameworkInfo,
        /// When it subscribed first, in milliseconds since the Unix epoch.
        admitted_ms: u64,
    },
    /// The scheduler of a framework is not connected.
    FrameworkDisconnected {
        /// The framework.
        framework_id: FrameworkId,
        /// By when it has to be back, in milliseconds since the Unix epoch.
        deadline_ms: u64,
    },
    /// The scheduler of a framework is back.
    FrameworkConnected {
        /// The framework.
        framework_id: FrameworkId,
    },
    /// An operator has set the weight of a role.
    WeightSet {
        /// The role.
        role: Role,
        /// Its weight.
        weight: Scalar,
    },
    /// An operator has set the priority of a role.
    PrioritySet {
        /// The role.
        role: Role,
        /// Its priority; zero if it has none any more.
        priority: u32,
    },
    /// An operator has set the quota of a role.
    QuotaSet {
        /// The role.
        role: Role,
        /// All of its quota.
        quota: RoleQuota,
    },
    /// An operator has ended the quota of a role.
    QuotaRemoved {
        /// The role.
        role: Role,
    },
    /// A framework has ended, and its id with it.
    FrameworkRemoved {
        /// The framework.
        framework_id: FrameworkId,
        /// When, in milliseconds since the Unix epoch; the oldest are forgotten first.
        #[serde(default)]
        removed_ms: u64,
    },
    /// A framework ended so long ago that its id is not remembered any more.
    FrameworkForgotten {
        /// The framework.
        framework_id: FrameworkId,
    },
}

/// An agent of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredAgent {
    /// What it says about itself.
    pub info: AgentInfo,
    /// When it was admitted first.
    pub admitted_ms: u64,
    /// Whether it had stopped answering.
    pub unreachable: bool,
    /// Whether an operator keeps it from being offered.
    pub deactivated: bool,
    /// The drain that an operator has asked for.
    pub drain: Option<Drain>,
    /// What is reserved of it since it registered first.
    pub reserved: TypedResources,
}

/// A framework of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredFramework {
    /// What it says about itself.
    pub info: FrameworkInfo,
    /// When it subscribed first.
    pub admitted_ms: u64,
    /// By when it has to be back, if it was not connected.
    pub deadline_ms: Option<u64>,
}

/// A framework that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFramework {
    /// The framework.
    pub framework_id: FrameworkId,
    /// When it ended, in milliseconds since the Unix epoch.
    pub removed_ms: u64,
}

/// An agent that was declared gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneAgent {
    /// The agent.
    pub agent_id: AgentId,
    /// When that was, in milliseconds since the Unix epoch.
    pub gone_ms: u64,
}

/// The sum of all records, as a new master finds it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registry {
    /// The last term; zero if there was none.
    pub epoch: Epoch,
    /// Agents that may come back.
    pub agents: BTreeMap<AgentId, RegisteredAgent>,
    /// Frameworks that may come back.
    pub frameworks: BTreeMap<FrameworkId, RegisteredFramework>,
    /// Frameworks that have ended, oldest first.
    pub removed_frameworks: VecDeque<RemovedFramework>,
    /// Agents that were declared gone, the longest gone first.
    pub gone_agents: VecDeque<GoneAgent>,
    /// Weights of roles that operators have set.
    pub weights: BTreeMap<Role, Scalar>,
    /// Priorities of roles that operators have set.
    pub priorities: BTreeMap<Role, u32>,
    /// Quota of roles.
    pub quotas: BTreeMap<Role, RoleQuota>,
}

impl Registry {
    /// Adds up records in the order in which they were written, or in that of their rows in a store.
    #[must_use]
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut registry = Self::default();
        records.into_iter().for_each(|record| registry.apply(record));
        registry.removed_frameworks.make_contiguous().sort_by_key(|removed| removed.removed_ms);
        registry.gone_agents.make_contiguous().sort_by_key(|gone| gone.gone_ms);
        registry
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::EpochStarted { epoch } => self.epoch = self.epoch.max(epoch),
            Record::AgentAdmitted { agent_id, info, admitted_ms } => {
                let said = |agent: RegisteredAgent| (agent.deactivated, agent.drain, agent.reserved);
                let (deactivated, drain, reserved) = self.agents.remove(&agent_id).map(said).unwrap_or_default();
                let agent = RegisteredAgent { info, admitted_ms, unreachable: false, deactivated, drain, reserved };
                self.agents.insert(agent_id, agent);
            }
            Record::AgentUnreachable { agent_id } => self.change_agent(&agent_id, |agent| agent.unreachable = true),
            Record::AgentDeactivated { agent_id } => self.change_agent(&agent_id, |agent| agent.deactivated = true),
            Record::AgentDraining { agent_id, drain } => {
                self.change_agent(&agent_id, |agent| agent.drain = Some(drain));
            }
            Record::AgentReactivated { agent_id } => self.change_agent(&agent_id, |agent| {
                (agent.deactivated, agent.drain) = (false, None);
            }),
            Record::AgentReserved { agent_id, reserved } => {
                self.change_agent(&agent_id, |agent| agent.reserved = reserved);
            }
            Record::AgentGone { agent_id, gone_ms } => {
                self.agents.remove(&agent_id);
                self.gone_agents.push_back(GoneAgent { agent_id, gone_ms });
            }
            Record::AgentForgotten { agent_id } => self.gone_agents.retain(|gone| gone.agent_id != agent_id),
            Record::AgentRemoved { agent_id } => {
                self.agents.remove(&agent_id);
            }
            Record::FrameworkAdmitted { framework_id, info, admitted_ms } => {
                let deadline_ms = self.frameworks.get(&framework_id).and_then(|framework| framework.deadline_ms);
                self.frameworks.insert(framework_id, RegisteredFramework { info, admitted_ms, deadline_ms });
            }
            Record::FrameworkDisconnected { framework_id, deadline_ms } => {
                self.change_framework(&framework_id, |framework| framework.deadline_ms = Some(deadline_ms));
            }
            Record::FrameworkConnected { framework_id } => {
                self.change_framework(&framework_id, |framework| framework.deadline_ms = None);
            }
            Record::WeightSet { role, weight } => {
                self.weights.insert(role, weight);
            }
            Record::PrioritySet { role, priority } => {
                self.priorities.insert(role, priority);
            }
            Record::QuotaSet { role, quota } => {
                self.quotas.insert(role, quota);
            }
            Record::QuotaRemoved { role } => {
                self.quotas.remove(&role);
            }
            Record::FrameworkRemoved { framework_id, removed_ms } => {
                self.frameworks.remove(&framework_id);
                self.removed_frameworks.push_back(RemovedFramework { framework_id, removed_ms });
            }
            Record::FrameworkForgotten { framework_id } => {
                self.removed_frameworks.retain(|removed| removed.framework_id != framework_id);
            }
        }
    }

    fn change_agent(&mut self, agent_id: &AgentId, change: impl FnOnce(&mut RegisteredAgent)) {
        if let Some(agent) = self.agents.get_mut(agent_id) {
            change(agent);
        }
    }

    fn change_framework(&mut self, framework_id: &FrameworkId, change: impl FnOnce(&mut RegisteredFramework)) {
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            change(framework);
        }
    }
}
