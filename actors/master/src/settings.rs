//! How a master behaves: its limits and waits, each with its unit.
//!
//! Reads no file; whoever starts the master maps its configuration to this.

use odeon_allocator::AllocatorConfig;
use std::time::Duration;

/// At most so many in any span of so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovalRate {
    /// How many; at least one.
    pub count: u32,
    /// In how long.
    pub per: Duration,
}

/// The rules by which the core of a master works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterRules {
    /// Between two pings of an agent.
    pub ping_interval: Duration,
    /// After so many pings without an answer an agent is unreachable.
    pub pings_missed_max: u32,
    /// An agent that is not connected for so long is unreachable, pings or not; also what agents have
    /// after a restart of the master.
    pub agent_return_timeout: Duration,
    /// The shortest time that frameworks have to come back after a restart of the master.
    pub framework_return_timeout: Duration,
    /// After so long an unused offer is taken back; never if not given.
    pub offer_timeout: Option<Duration>,
    /// How long a framework has to choose what it ends for a role of a higher priority.
    pub preemption_grace: Duration,
    /// After a run of the allocator, if there are events all the time.
    pub allocation_gap: Duration,
    /// The same for each agent of which the run had something to divide, so that a large cluster does not only allocate.
    pub allocation_gap_agent: Duration,
    /// Gaps that need not be kept after a rest: runs of the allocator follow each other at once then.
    pub allocation_burst: Duration,
    /// How the allocator works; its interval is the time after which all agents are looked at again.
    pub allocator: AllocatorConfig,
    /// Ended tasks that are remembered for each framework.
    pub ended_tasks_max: usize,
    /// Ended frameworks that are remembered, with their ended tasks.
    pub ended_frameworks_max: usize,
    /// Agents that the master takes, those out of reach included; further ones are refused.
    pub agents_max: usize,
    /// Frameworks that have not ended; further ones are refused.
    pub frameworks_max: usize,
    /// How fast agents may be given up; without it, as soon as they are due.
    pub agent_removal_rate: Option<RemovalRate>,
    /// Of the agents of the registry, the share in percent that may be given up after a restart; with more
    /// missing than that, the master steps down.
    pub recovery_removal_percent_max: u32,
    /// Agents declared gone whose ids are remembered.
    pub gone_agents_max: usize,
    /// Roles that may have a quota.
    pub role_quotas_max: usize,
    /// Agents that the explanation of a framework speaks of, one by one.
    pub findings_max: usize,
    /// Unreachable agents that may come back; beyond it the one that is away longest is removed.
    pub unreachable_agents_max: usize,
    /// Offers in one message to a scheduler.
    pub offers_per_message_max: usize,
}

impl MasterRules {
    /// What is kept free behind a run of the allocator that has divided so many agents.
    #[must_use]
    pub fn gap_after(&self, agents: usize) -> Duration {
        let agents = u32::try_from(agents).unwrap_or(u32::MAX);
        self.allocation_gap.saturating_add(self.allocation_gap_agent.saturating_mul(agents))
    }

    /// Without a ping for this long, an agent registers anew.
    #[must_use]
    pub fn ping_timeout(&self) -> Duration {
        self.ping_interval.saturating_mul(self.pings_missed_max)
    }
}

impl Default for MasterRules {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(15),
            pings_missed_max: 5,
            agent_return_timeout: Duration::from_secs(600),
            framework_return_timeout: Duration::from_secs(60),
            offer_timeout: Some(Duration::from_secs(30)),
            preemption_grace: Duration::from_secs(30),
            allocation_gap: Duration::from_micros(50),
            allocation_gap_agent: Duration::from_micros(2),
            allocation_burst: Duration::from_millis(2),
            allocator: AllocatorConfig::default(),
            ended_tasks_max: 1000,
            ended_frameworks_max: 50,
            agents_max: 100_000,
            frameworks_max: 10_000,
            agent_removal_rate: None,
            recovery_removal_percent_max: 100,
            gone_agents_max: 100_000,
            role_quotas_max: 1000,
            findings_max: 20,
            unreachable_agents_max: 10_000,
            offers_per_message_max: 500,
        }
    }
}
