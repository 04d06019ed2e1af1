//! How long a master that was started again takes until all agents are back with their tasks.
//!
//! The master is whole, with its actor and its registry on disk; agents and frameworks are messages of this process, so
//! that neither sockets nor the codec are part of the time. Who takes the directory away and prints is the command line.

use crate::node::{MasterNode, MasterSettings, StartMasterError};
use crate::settings::MasterRules;
use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt, stream};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::framework::{Capability, FrameworkInfo};
use odeon_protocol::id::{AgentId, FrameworkId, MasterId, TaskId};
use odeon_protocol::messages::master_agent::{AgentTask, MasterForAgents, RegisterAgent, RegisterAgentError};
use odeon_protocol::messages::master_scheduler::{MasterForSchedulers, Subscribe, SubscribeError};
use odeon_protocol::resources::{CPUS, Resources, Scalar};
use odeon_protocol::role::Role;
use odeon_protocol::task::{TaskInfo, TaskState, Work};
use odeon_runtime::{FabricLimits, InMemoryNetwork, PeerError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Registrations that are under way.
const REGISTERING_MAX: usize = 512;
/// How long one of them may take.
const REGISTERED_WITHIN: Duration = Duration::from_secs(120);

/// A cluster whose master is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reregistration {
    /// How many agents.
    pub agents: u32,
    /// How many tasks each of them brings back.
    pub tasks_per_agent: u32,
    /// Over how many frameworks they are spread; at least one.
    pub frameworks: u32,
    /// Seeds the masters.
    pub seed: u64,
}

/// What it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reregistered {
    /// Until the second master had read its registry and listened.
    pub started: Duration,
    /// From then until the last agent had its answer.
    pub registered: Duration,
    /// Tasks that the master did not take back; none should be among them.
    pub refused: usize,
    /// The processor time of this process for both, where the system tells.
    pub busy: Option<Duration>,
    /// What it takes to put copies of the same tasks into a map.
    pub copied: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReregistrationError {
    /// A master did not start.
    #[error("a master does not start")]
    Start(#[from] StartMasterError),
    /// A master does not answer.
    #[error("a master does not answer")]
    Peer(#[from] PeerError),
    /// An agent is refused.
    #[error("an agent is refused")]
    Agent(#[from] RegisterAgentError),
    /// A framework is refused.
    #[error("a framework is refused")]
    Framework(#[from] SubscribeError),
}

type Measuring<T> = LocalBoxFuture<'static, Result<T, ReregistrationError>>;

/// Fills the registry of one master in a directory that is empty, and has all come back to another. `busy` tells the
/// processor time of this process.
#[must_use = "nothing happens until it is awaited"]
pub fn reregistration(
    setup: Reregistration,
    work_dir: PathBuf,
    busy: fn() -> Option<Duration>,
) -> Measuring<Reregistered> {
    Box::pin(async move {
        let first = start(&setup, &work_dir, 1).await?;
        let frameworks = subscribe_all(&setup, &first).await?;
        let (agents, _) = register_all(&first, setup.new_agents()).await?;
        first.stop().await;
        let tasks = setup.tasks(&frameworks);
        let returning: Vec<RegisterAgent> = setup.returning(&agents, &tasks).collect();
        let copied = copy(&tasks);
        drop(tasks);
        let (began, busy_before) = (Instant::now(), busy());
        let second = start(&setup, &work_dir, 2).await?;
        let started = began.elapsed();
        let (_, refused) = register_all(&second, returning).await?;
        let registered = began.elapsed().saturating_sub(started);
        let busy = busy().zip(busy_before).map(|(after, before)| after.saturating_sub(before));
        second.stop().await;
        Ok(Reregistered { started, registered, refused, busy, copied })
    })
}

/// Registers agents, many at a time; returns their ids in order, and how many tasks they are told to give up.
async fn register_all(
    master: &MasterNode,
    agents: Vec<RegisterAgent>,
) -> Result<(Vec<AgentId>, usize), ReregistrationError> {
    let peer = master.node.peer::<MasterForAgents>("master");
    let register = |message| {
        let peer = peer.clone();
        async move { peer.send_within(message, REGISTERED_WITHIN).await }
    };
    let mut answers = stream::iter(agents.into_iter().map(register)).buffered(REGISTERING_MAX);
    let (mut ids, mut given_up) = (Vec::new(), 0);
    while let Some(answer) = answers.next().await {
        let registered = answer??;
        given_up += registered.kill.len();
        ids.push(registered.agent_id);
    }
    Ok((ids, given_up))
}

async fn subscribe_all(setup: &Reregistration, master: &MasterNode) -> Result<Vec<FrameworkId>, ReregistrationError> {
    let peer = master.node.peer::<MasterForSchedulers>("master");
    let mut frameworks = Vec::new();
    for number in 0..setup.frameworks.max(1) {
        let info = FrameworkInfo {
            failover_timeout: Duration::from_secs(3600),
            checkpoint: true,
            capabilities: BTreeSet::from([Capability::PartitionAware]),
            ..FrameworkInfo::new(format!("framework {number}"))
        };
        // Nobody listens there: it wants no offers.
        let (actor, suppressed) = (format!("scheduler/{number}"), BTreeSet::from([Role::default()]));
        let subscribe = Subscribe { framework_id: None, info, suppressed, actor };
        frameworks.push(peer.send(subscribe).await??.framework_id);
    }
    Ok(frameworks)
}

async fn start(
    setup: &Reregistration,
    work_dir: &std::path::Path,
    incarnation: u64,
) -> Result<MasterNode, StartMasterError> {
    let settings = MasterSettings {
        node_name: "master".to_owned(),
        incarnation,
        seed: setup.seed,
        bind: "master:5050".into(),
        advertise: None,
        work_dir: work_dir.to_owned(),
        master_id: MasterId::new("measured").expect("a word is an id"),
        limits: FabricLimits::DEFAULT,
        rules: MasterRules::default(),
    };
    MasterNode::start(settings, InMemoryNetwork::new(setup.seed).host("master")).await
}

/// How long copies of all tasks take into a map of all.
fn copy(tasks: &[Vec<AgentTask>]) -> Duration {
    let began = Instant::now();
    let named = |task: &AgentTask| ((task.framework_id.clone(), task.task.task_id.clone()), task.clone());
    let copies: BTreeMap<(FrameworkId, TaskId), AgentTask> = tasks.iter().flatten().map(named).collect();
    let took = began.elapsed();
    drop(std::hint::black_box(copies));
    took
}

impl Reregistration {
    fn new_agents(&self) -> Vec<RegisterAgent> {
        (0..self.agents).map(|number| self.agent(number, None, Vec::new())).collect()
    }

    fn returning<'a>(
        &'a self,
        ids: &'a [AgentId],
        tasks: &'a [Vec<AgentTask>],
    ) -> impl Iterator<Item = RegisterAgent> + 'a {
        let agents = ids.iter().zip(tasks).zip(0..);
        agents.map(|((agent_id, tasks), number)| self.agent(number, Some(agent_id.clone()), tasks.clone()))
    }

    fn agent(&self, number: u32, agent_id: Option<AgentId>, tasks: Vec<AgentTask>) -> RegisterAgent {
        let (hostname, resources) = (format!("host-{number}"), cpus(self.tasks_per_agent.max(1) + 1));
        let info = AgentInfo {
            endpoint: format!("{hostname}:1"),
            hostname,
            resources,
            attributes: BTreeMap::new(),
            reserved: Default::default(),
        };
        RegisterAgent { agent_id, info, tasks, actor: Some(format!("agent/{number}")) }
    }

    /// The tasks of each agent.
    fn tasks(&self, frameworks: &[FrameworkId]) -> Vec<Vec<AgentTask>> {
        let mut framework = frameworks.iter().cycle();
        let mut task = |number: u32| AgentTask {
            framework_id: framework.next().expect("there is a framework").clone(),
            role: Role::default(),
            task: command(number),
            state: TaskState::Running,
        };
        let each = self.tasks_per_agent;
        (0..self.agents).map(|agent| (0..each).map(|place| task(agent * each + place)).collect()).collect()
    }
}

fn command(number: u32) -> TaskInfo {
    let argv = vec!["sleep".to_owned(), "3600".to_owned()];
    let work = Work::Command(CommandInfo { argv, environment: BTreeMap::new(), working_directory: None });
    TaskInfo::new(TaskId::new(format!("task-{number}")).expect("an id"), "sleep", cpus(1), work)
}

fn cpus(count: u32) -> Resources {
    Resources::empty().with_scalar(CPUS, Scalar::from_thousandths(u64::from(count) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn every_agent_comes_back_with_all_its_tasks() {
        let directory = tempfile::tempdir().unwrap();
        let setup = Reregistration { agents: 20, tasks_per_agent: 3, frameworks: 2, seed: 1 };
        let seen = reregistration(setup, directory.path().join("master"), || None).await.unwrap();
        assert_eq!(seen.refused, 0);
        assert!(seen.registered > Duration::ZERO && seen.started > Duration::ZERO && seen.copied > Duration::ZERO);
    }
}
