//! Deployments from code: what `odeon deploy` does, as a value.

use std::path::Path;
use std::time::Duration;

use odeon_executor::Directory;
use odeon_protocol::binary::Digest;
use odeon_protocol::deployment::{DeploymentName, DeploymentSpec};
use odeon_protocol::messages::deployments::{
    ActorState, ActorSummary, DEPLOYER, Deploy, DeployOutcome, DeployerForOperators, DeploymentSummary, GetActors,
    GetDeployments, RemoveDeployment, RollBackDeployment, ScaleDeployment, UpdateDeployment, UpdateOutcome,
};
use odeon_protocol::update::UpdateState;
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{Endpoint, Node, Peer};
use tokio::time::Instant;

use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::shipped;

/// How long the deployer may take to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two looks at how the actors do.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// The deployments of a cluster.
#[derive(Debug, Clone)]
pub struct Deployments {
    node: Node,
    master: Endpoint,
    deployer: Peer<DeployerForOperators>,
}

impl Deployments {
    /// Those of the cluster of a master, asked from a node of one's own.
    #[must_use]
    pub fn at(node: &Node, master: &Endpoint) -> Self {
        Self { node: node.clone(), master: master.clone(), deployer: node.peer_at(master, DEPLOYER) }
    }

    /// Finds the actors by name.
    #[must_use]
    pub fn directory(&self) -> Directory {
        Directory::at(&self.node, &self.master)
    }

    /// Hands a binary to the master, which keeps it for the agents; goes on where an earlier attempt has stopped.
    ///
    /// # Errors
    /// [`Failure`] if the master does not take it or cannot be reached, or the file cannot be read.
    pub async fn hand_in(&self, digest: &Digest, file: &Path) -> Result<(), Failure> {
        shipped::hand_in(&self.node, &self.master, digest, file).await
    }

    /// Runs a deployment from now on; the same one twice is one.
    ///
    /// # Errors
    /// [`Failure`] if it is refused, or the master does not answer.
    pub async fn deploy(&self, spec: DeploymentSpec) -> Result<DeployOutcome, Failure> {
        self.ask(Deploy { spec }).await?.or_exit(Exit::Usage)
    }

    /// As [`deploy`](Self::deploy), and waits until all actors run.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy) and [`all_run`](Self::all_run).
    pub async fn run(&self, spec: DeploymentSpec, within: Duration) -> Result<(), Failure> {
        let (name, instances) = (spec.name.clone(), spec.instances);
        self.deploy(spec).await?;
        self.all_run(&name, instances, within).await
    }

    /// Changes a deployment while it runs.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn update(&self, spec: DeploymentSpec) -> Result<UpdateOutcome, Failure> {
        self.ask(UpdateDeployment { spec }).await?.or_exit(Exit::Usage)
    }

    /// Takes the last update of a deployment back.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn roll_back(&self, name: &DeploymentName) -> Result<(), Failure> {
        self.ask(RollBackDeployment { name: name.clone() }).await?.or_exit(Exit::Usage)
    }

    /// A deployment, if there is one of the name.
    ///
    /// # Errors
    /// [`Failure`] if the master does not answer.
    pub async fn find(&self, name: &DeploymentName) -> Result<Option<DeploymentSummary>, Failure> {
        let deployments = self.ask(GetDeployments {}).await?;
        Ok(deployments.into_iter().find(|deployment| deployment.spec.name == *name))
    }

    /// Waits until no actor of a deployment is to be replaced any more; the answer says why it was taken back, if it was.
    ///
    /// # Errors
    /// [`Failure`] if that takes longer ([`Exit::NotPlaced`]), or the deployment is gone.
    pub async fn rolled(&self, name: &DeploymentName, within: Duration) -> Result<Option<String>, Failure> {
        let deadline = Instant::now() + within;
        loop {
            let Some(found) = self.find(name).await? else {
                return Err(Failure::new(Exit::WorkFailed, format!("the deployment {name} was removed")));
            };
            let doing = match found.update {
                None => return Ok(None),
                Some(UpdateState::RolledBack { reason }) => return Ok(Some(reason)),
                Some(UpdateState::Rolling) => "the update goes on".to_owned(),
                Some(UpdateState::RollingBack { reason }) => format!("it is taken back, because {reason}"),
            };
            if Instant::now() >= deadline {
                let (current, all) = (found.current, found.spec.instances);
                let text = format!("{name}: after {within:?} {current} of {all} actors are replaced; {doing}");
                return Err(Failure::new(Exit::NotPlaced, text));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Sets how many actors a deployment has; the answer is how many it had.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn scale(&self, name: &DeploymentName, instances: u32) -> Result<u32, Failure> {
        self.ask(ScaleDeployment { name: name.clone(), instances }).await?.or_exit(Exit::Usage)
    }

    /// Ends a deployment and its actors.
    ///
    /// # Errors
    /// As [`deploy`](Self::deploy).
    pub async fn remove(&self, name: &DeploymentName) -> Result<(), Failure> {
        self.ask(RemoveDeployment { name: name.clone() }).await?.or_exit(Exit::Usage)
    }

    /// Waits until all of so many actors of a deployment run, or have finished.
    ///
    /// # Errors
    /// [`Failure`] names those that do not run in time ([`Exit::NotPlaced`]), or the one that is given up.
    pub async fn all_run(&self, name: &DeploymentName, instances: u32, within: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + within;
        loop {
            let actors = self.ask(GetActors { deployment: Some(name.clone()), actor_type: None }).await?;
            if let Some(given_up) = actors.iter().find(|actor| actor.state == ActorState::GivenUp) {
                let text = format!("{} is given up: {}", given_up.name, given_up.message);
                return Err(Failure::new(Exit::WorkFailed, text));
            }
            if actors.len() == instances as usize && actors.iter().all(is_well) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(not_running(name, &actors, within));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn ask<M>(&self, question: M) -> Result<M::Result, Failure>
    where
        M: RemoteMessage,
        DeployerForOperators: Accepts<M>,
    {
        let answer = self.deployer.send_within(question, ANSWER_WAIT_MAX).await;
        answer.map_err(|error| crate::failure::not_answered(&self.master, &error))
    }
}

fn is_well(actor: &ActorSummary) -> bool {
    matches!(actor.state, ActorState::Running | ActorState::Finished)
}

fn not_running(name: &DeploymentName, actors: &[ActorSummary], within: Duration) -> Failure {
    let line = |actor: &ActorSummary| format!("  {}: {} {}", actor.name, actor.state.name(), actor.message);
    let behind = actors.iter().filter(|actor| !is_well(actor));
    let told: Vec<String> = behind.map(|actor| line(actor).trim_end().to_owned()).collect();
    let text = format!(
        "{name}: after {within:?} not all actors run; they stay deployed and start when there is room\n{}\n\
         see `odeon agents` for what is free, or end them with `odeon deployment remove {name}`",
        told.join("\n")
    );
    Failure::new(Exit::NotPlaced, text)
}
