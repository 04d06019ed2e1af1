//! How a master behaves: its limits and waits, each with its unit.
//!
//! Reads no file; whoever starts the master maps its configuration to this.

use odeon_allocator::AllocatorConfig;
use std::time::Duration;

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
    /// Between two runs of the allocator, however many events there are.
    pub allocation_gap: Duration,
    /// How the allocator works; its interval is the time after which all agents are looked at again.
    pub allocator: AllocatorConfig,
    /// Ended tasks that are remembered for each framework.
    pub ended_tasks_max: usize,
    /// Ended frameworks that are remembered, with their ended tasks.
    pub ended_frameworks_max: usize,
    /// Unreachable agents that may come back; beyond it the one that is away longest is removed.
    pub unreachable_agents_max: usize,
    /// Offers in one message to a scheduler.
    pub offers_per_message_max: usize,
}

impl MasterRules {
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
            allocation_gap: Duration::from_millis(10),
            allocator: AllocatorConfig::default(),
            ended_tasks_max: 1000,
            ended_frameworks_max: 50,
            unreachable_agents_max: 10_000,
            offers_per_message_max: 500,
        }
    }
}
