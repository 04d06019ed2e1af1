//! What the master keeps on disk: its term, admitted agents and frameworks.
//!
//! Tasks and offers are not kept: agents bring their tasks back, and offers end with the master.

use odeon_protocol::agent::AgentInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::messages::Epoch;
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
    /// A framework subscribed first, or changed what it says about itself.
    FrameworkAdmitted {
        /// The framework.
        framework_id: FrameworkId,
        /// What it says about itself.
        info: FrameworkInfo,
        /// When it subscribed first, in milliseconds since the Unix epoch.
        admitted_ms: u64,
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
}

/// A framework of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredFramework {
    /// What it says about itself.
    pub info: FrameworkInfo,
    /// When it subscribed first.
    pub admitted_ms: u64,
}

/// A framework that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedFramework {
    /// The framework.
    pub framework_id: FrameworkId,
    /// When it ended, in milliseconds since the Unix epoch.
    pub removed_ms: u64,
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
}

impl Registry {
    /// Adds up records in the order in which they were written, or in that of their rows in a store.
    #[must_use]
    pub fn of(records: impl IntoIterator<Item = Record>) -> Self {
        let mut registry = Self::default();
        records.into_iter().for_each(|record| registry.apply(record));
        registry.removed_frameworks.make_contiguous().sort_by_key(|removed| removed.removed_ms);
        registry
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::EpochStarted { epoch } => self.epoch = self.epoch.max(epoch),
            Record::AgentAdmitted { agent_id, info, admitted_ms } => {
                self.agents.insert(agent_id, RegisteredAgent { info, admitted_ms, unreachable: false });
            }
            Record::AgentUnreachable { agent_id } => {
                if let Some(agent) = self.agents.get_mut(&agent_id) {
                    agent.unreachable = true;
                }
            }
            Record::AgentRemoved { agent_id } => {
                self.agents.remove(&agent_id);
            }
            Record::FrameworkAdmitted { framework_id, info, admitted_ms } => {
                self.frameworks.insert(framework_id, RegisteredFramework { info, admitted_ms });
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

    /// The shortest list of records with the same sum, to replace a long one.
    #[must_use]
    pub fn to_records(&self) -> Vec<Record> {
        let mut records = vec![Record::EpochStarted { epoch: self.epoch }];
        for (agent_id, agent) in &self.agents {
            let RegisteredAgent { info, admitted_ms, unreachable } = agent.clone();
            records.push(Record::AgentAdmitted { agent_id: agent_id.clone(), info, admitted_ms });
            if unreachable {
                records.push(Record::AgentUnreachable { agent_id: agent_id.clone() });
            }
        }
        records.extend(self.frameworks.iter().map(|(framework_id, framework)| Record::FrameworkAdmitted {
            framework_id: framework_id.clone(),
            info: framework.info.clone(),
            admitted_ms: framework.admitted_ms,
        }));
        let removed = self.removed_frameworks.iter().cloned();
        records.extend(removed.map(|removed| Record::FrameworkRemoved {
            framework_id: removed.framework_id,
            removed_ms: removed.removed_ms,
        }));
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> AgentInfo {
        let resources = "cpus:1;mem:64".parse().unwrap();
        AgentInfo { hostname: "h".into(), endpoint: "h:1".into(), resources, attributes: BTreeMap::new() }
    }

    #[test]
    fn the_shortest_list_has_the_same_sum() {
        let agent = |n: u32| AgentId::new(format!("m-S{n}")).unwrap();
        let framework = |n: u32| FrameworkId::new(format!("m-F{n}")).unwrap();
        let mut records = vec![Record::EpochStarted { epoch: Epoch(1) }, Record::EpochStarted { epoch: Epoch(2) }];
        for n in 0..4 {
            records.push(Record::AgentAdmitted { agent_id: agent(n), info: info(), admitted_ms: 7 });
            let info = FrameworkInfo::new("f");
            records.push(Record::FrameworkAdmitted { framework_id: framework(n), info, admitted_ms: 8 });
        }
        records.push(Record::AgentUnreachable { agent_id: agent(1) });
        records.push(Record::AgentRemoved { agent_id: agent(2) });
        records.push(Record::FrameworkRemoved { framework_id: framework(3), removed_ms: 9 });
        let registry = Registry::of(records);
        assert_eq!(registry.epoch, Epoch(2));
        assert!(registry.agents[&agent(1)].unreachable && !registry.agents.contains_key(&agent(2)));
        assert_eq!(Registry::of(registry.to_records()), registry);
    }
}
