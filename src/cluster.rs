//! The all-in-one cluster: a master and agents as nodes of this process, executors as processes of their own.
//!
//! The nodes talk over loopback TCP, as those of a cluster of hosts do.

use std::path::{Path, PathBuf};

use odeon_agent::{AgentNode, ReconfigurationPolicy};
use odeon_deployer::DeployerNode;
use odeon_framework::{DriverSettings, EndedScheduler, Scheduler, run_scheduler};
use odeon_master::MasterNode;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::messages::master_operator::{AgentState, GetAgents, MasterForOperators};
use odeon_runtime::{Endpoint, Node, Peer};
use tokio::time::{Duration, Instant};

use crate::app::{Environment, fresh_seed};
use crate::config::{AgentConfig, HumanDuration, LocalConfig, MasterConfig};
use crate::deployments::Deployments;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::roles::{start_agent, start_deployer, start_master};

/// How long the agents of a new cluster may take to register.
const READY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks at which agents have registered.
const READY_POLL: Duration = Duration::from_millis(10);

/// Where a cluster keeps its state.
#[derive(Debug)]
enum DataDir {
    /// Made for this run and removed at its end.
    Temporary(tempfile::TempDir),
    /// Stays.
    Kept(PathBuf),
}

impl DataDir {
    fn new(config: &LocalConfig) -> Result<Self, Failure> {
        if let Some(path) = &config.data_dir {
            let made = std::fs::create_dir_all(path).and_then(|()| std::path::absolute(path));
            let path = made.map_err(|error| Failure::usage(format!("data_dir {}: {error}", path.display())))?;
            return Ok(Self::Kept(path));
        }
        let made = tempfile::Builder::new().prefix("odeon-").tempdir();
        let made = made.map_err(|error| Failure::usage(format!("cannot make a temporary directory: {error}")))?;
        Ok(if config.keep { Self::Kept(made.keep()) } else { Self::Temporary(made) })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

/// A running all-in-one cluster; stop it with [`LocalCluster::stop`].
#[derive(Debug)]
pub struct LocalCluster {
    master: MasterNode,
    deployer: Option<DeployerNode>,
    agents: Vec<AgentNode>,
    data: DataDir,
}

impl LocalCluster {
    /// Starts the master, then the agents, and returns when all have registered.
    ///
    /// # Errors
    /// [`Failure`] names what is at fault; nothing is left running.
    pub async fn start(config: &LocalConfig, environment: &Environment) -> Result<Self, Failure> {
        let data = DataDir::new(config)?;
        let master =
            MasterConfig { port: config.port, work_dir: data.path().join("master"), ..MasterConfig::default() };
        let mut cluster = Self { master: start_master(&master).await?, deployer: None, agents: Vec::new(), data };
        match cluster.start_others(&master, config, environment).await {
            Ok(()) => Ok(cluster),
            Err(failure) => {
                cluster.stop().await;
                Err(failure)
            }
        }
    }

    async fn start_others(
        &mut self,
        master: &MasterConfig,
        config: &LocalConfig,
        environment: &Environment,
    ) -> Result<(), Failure> {
        self.deployer = Some(start_deployer(&self.master, master).await?);
        for index in 1..=config.agents {
            let name = format!("agent-{index}");
            let agent = AgentConfig {
                master: self.master.endpoint.as_str().parse().or_exit(Exit::WorkFailed)?,
                port: 0,
                hostname: Some(name.clone()),
                work_dir: self.data.path().join(&name),
                resources: resources_text(config),
                // A cluster that is started again may be another; and if it is killed, nobody comes back to its executors.
                reconfiguration_policy: ReconfigurationPolicy::Additive,
                recovery_timeout: HumanDuration::from_secs(0),
                ..AgentConfig::default()
            };
            self.agents.push(start_agent(&name, &agent, environment).await?);
        }
        self.registered(config.agents as usize).await
    }

    async fn registered(&self, count: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_WAIT_MAX;
        let master: Peer<MasterForOperators> = self.master.node.peer("master");
        while Instant::now() < deadline {
            let agents = master.send(GetAgents {}).await.or_exit(Exit::WorkFailed)?;
            if agents.iter().filter(|agent| agent.state == AgentState::Active).count() >= count {
                return Ok(());
            }
            tokio::time::sleep(READY_POLL).await;
        }
        Err(Failure::new(Exit::WorkFailed, format!("not all {count} agents have registered within {READY_WAIT_MAX:?}")))
    }

    /// Runs a framework on the cluster to its end.
    ///
    /// # Errors
    /// If its node does not start, or the scheduler panics.
    pub async fn run<S: Scheduler>(&self, info: FrameworkInfo, scheduler: S) -> Result<EndedScheduler<S>, Failure> {
        let seed = fresh_seed();
        let node = Node::builder("framework").incarnation(seed).start().await.or_exit(Exit::WorkFailed)?;
        let driver = DriverSettings::new(self.endpoint().clone(), info, seed);
        let ended = run_scheduler(driver, &node, scheduler).ended().await;
        node.shut_down();
        ended.or_exit(Exit::WorkFailed)
    }

    /// What is deployed on the cluster, asked from the node of its master.
    #[must_use]
    pub fn deployments(&self) -> Deployments {
        Deployments::at(&self.master.node, self.endpoint())
    }

    /// Where the master listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.master.endpoint
    }

    /// Where the state is.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Whether the state is removed at the end.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.data, DataDir::Temporary(_))
    }

    /// How many agents there are.
    #[must_use]
    pub fn agent_count(&self) -> usize {
        self.agents.len()
    }

    /// Waits for a part that cannot go on, and says which and why; with luck forever.
    pub async fn failed(&self) -> String {
        let agents = self.agents.iter().map(|agent| Box::pin(agent.finished()));
        tokio::select! {
            failure = self.master.node.failed() => failure.to_string(),
            (end, index, _) = futures_util::future::select_all(agents) => format!("agent {} has ended: {end:?}", index + 1),
        }
    }

    /// Stops the agents with all that they run, then the master, and removes what is temporary.
    pub async fn stop(self) {
        if let Some(deployer) = self.deployer {
            deployer.stop().await;
        }
        futures_util::future::join_all(self.agents.into_iter().map(AgentNode::stop)).await;
        self.master.stop().await;
        if let DataDir::Temporary(directory) = self.data
            && let Err(error) = directory.close()
        {
            tracing::warn!(%error, "the temporary directory cannot be removed");
        }
    }
}

fn resources_text(config: &LocalConfig) -> Option<String> {
    let cpus = config.cpus.map(|cpus| format!("cpus:{cpus}"));
    let mem = config.mem.map(|mem| format!("mem:{}", mem.mib().floor()));
    let parts: Vec<String> = cpus.into_iter().chain(mem).collect();
    (!parts.is_empty()).then(|| parts.join(";"))
}
