//! What clients and actors ask the deployer: deployments, and where their actors are.

use super::directory::WatchActors;
use crate::deployment::{ActorLocation, DeploymentName, DeploymentSpec, SpecInvalid};
use crate::update::UpdateState;
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};

/// The name behind which the deployer is exported, on the node of the master.
pub const DEPLOYER: &str = "deployer";

interface! {
    /// What the deployer hears from people.
    pub DeployerForOperators: Deploy, UpdateDeployment, RollBackDeployment, ScaleDeployment, RemoveDeployment,
        StopActor, StartActor, GetDeployments, GetActors, FindActor
}

interface! {
    /// What the deployer hears from whoever looks for actors.
    pub ActorDirectory: GetActors, FindActor, WatchActors, RenewLease
}

/// Runs a deployment from now on, until it is removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// What is to run.
    pub spec: DeploymentSpec,
}
remote_message!(Deploy => Result<DeployOutcome, DeployError>, "deployer.v1.Deploy");

/// What a deployment has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeployOutcome {
    /// It is new.
    Created,
    /// It was there, just so.
    Unchanged,
}

/// Why nothing is deployed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeployError {
    /// It cannot be. A retry fails the same way.
    #[error(transparent)]
    Invalid(SpecInvalid),
    /// Another one has the name. A retry helps once that is removed.
    #[error("there is another deployment {0}, and it differs; update it, or remove it first")]
    Differs(DeploymentName),
    /// The one of that name is being removed. A retry helps soon.
    #[error("the deployment {0} is being removed; its last actors have not ended yet")]
    BeingRemoved(DeploymentName),
    /// There would be more than there may be. A retry helps once another one is removed.
    #[error("{what} would be over the limit of {limit}")]
    TooMany {
        /// What there would be too many of.
        what: String,
        /// The limit.
        limit: usize,
    },
}

/// Changes a deployment: its actors are replaced a few at a time, and the change is taken back if new ones fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateDeployment {
    /// What is to run from now on.
    pub spec: DeploymentSpec,
}
remote_message!(UpdateDeployment => Result<UpdateOutcome, DeploymentError>, "deployer.v1.UpdateDeployment");

/// What an update has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateOutcome {
    /// Actors are being replaced.
    Rolling,
    /// The actors that there are can stay.
    Changed,
    /// It was just so.
    Unchanged,
}

/// Takes the last update of a deployment back, finished or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollBackDeployment {
    /// The deployment.
    pub name: DeploymentName,
}
remote_message!(RollBackDeployment => Result<(), DeploymentError>, "deployer.v1.RollBackDeployment");

/// Sets how many actors a deployment has; those with the highest numbers end first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaleDeployment {
    /// The deployment.
    pub name: DeploymentName,
    /// How many.
    pub instances: u32,
}
remote_message!(ScaleDeployment => Result<u32, DeploymentError>, "deployer.v1.ScaleDeployment");

/// Ends a deployment and its actors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveDeployment {
    /// The deployment.
    pub name: DeploymentName,
}
remote_message!(RemoveDeployment => Result<(), DeploymentError>, "deployer.v1.RemoveDeployment");

/// Why a deployment is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DeploymentError {
    /// It is not there, or is being removed.
    #[error("there is no deployment {0}")]
    Unknown(DeploymentName),
    /// What is wanted cannot be.
    #[error(transparent)]
    Invalid(SpecInvalid),
    /// There is no version before. A retry fails the same way until the deployment is updated.
    #[error("there is no version of {0} to go back to")]
    NoEarlierVersion(DeploymentName),
    /// There would be more actors than there may be. A retry helps once others are removed.
    #[error("the actors of all deployments would be over the limit of {0}")]
    TooMany(usize),
}

/// Ends an actor, which stays ended until [`StartActor`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopActor {
    /// Its name.
    pub actor: String,
}
remote_message!(StopActor => Result<(), FindActorError>, "deployer.v1.StopActor");

/// Starts an actor that was stopped, has ended or was given up; nothing if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartActor {
    /// Its name.
    pub actor: String,
}
remote_message!(StartActor => Result<(), FindActorError>, "deployer.v1.StartActor");

/// Asks for all deployments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetDeployments {}
remote_message!(GetDeployments => Vec<DeploymentSummary>, "deployer.v1.GetDeployments");

/// A deployment as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSummary {
    /// What is to run.
    pub spec: DeploymentSpec,
    /// Actors that take messages.
    pub running: u32,
    /// Actors that are given up.
    pub given_up: u32,
    /// Whether it is being removed.
    pub removing: bool,
    /// The update that is under way, or was taken back.
    #[serde(default)]
    pub update: Option<UpdateState>,
    /// Actors of the version that is to run.
    #[serde(default)]
    pub current: u32,
}

/// Asks for actors, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetActors {
    /// Only those of this deployment.
    #[serde(default)]
    pub deployment: Option<DeploymentName>,
    /// Only those of this registered type.
    #[serde(default)]
    pub actor_type: Option<String>,
}
remote_message!(GetActors => Vec<ActorSummary>, "deployer.v1.GetActors");

/// An actor as the deployer knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorSummary {
    /// Its name.
    pub name: String,
    /// Its registered type.
    pub actor_type: String,
    /// What it is doing.
    pub state: ActorState,
    /// The host that it is on.
    #[serde(default)]
    pub hostname: Option<String>,
    /// The task in which it runs.
    #[serde(default)]
    pub task_id: Option<String>,
    /// Where it takes messages.
    #[serde(default)]
    pub location: Option<ActorLocation>,
    /// How often it was started again, in place and elsewhere.
    pub restarts: u64,
    /// Why it is not running, or its last failure.
    #[serde(default)]
    pub message: String,
}

/// What an actor of a deployment is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// It has no place yet.
    Waiting,
    /// It has a place and is being started.
    Starting,
    /// It takes messages.
    Running,
    /// It has panicked and will be started again in place.
    Restarting,
    /// It was told to end, and has not yet.
    Stopping,
    /// It was told to end.
    Stopped,
    /// It has ended by its own wish.
    Finished,
    /// It fails too often, or cannot be built.
    GivenUp,
}

impl ActorState {
    /// The name of the state, as it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
            Self::GivenUp => "given up",
        }
    }
}

/// Asks where an actor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindActor {
    /// Its name.
    pub actor: String,
}
remote_message!(FindActor => Result<ActorLocation, FindActorError>, "deployer.v1.FindActor");

/// Why an actor is not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FindActorError {
    /// No deployment has it.
    #[error("there is no actor {0}")]
    Unknown(String),
    /// It is known, but takes no messages now. A retry may help, unless it is given up, stopped or finished.
    #[error("the actor {actor} is {}{}", state.name(), if message.is_empty() { String::new() } else { format!(": {message}") })]
    NotRunning {
        /// Its name.
        actor: String,
        /// What it is doing.
        state: ActorState,
        /// Why.
        message: String,
    },
}

/// Asks for one more lease of a singleton; sent by its host, before it begins and again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewLease {
    /// The name of the actor.
    pub actor: String,
    /// The task in which it runs.
    pub task_id: String,
}
remote_message!(RenewLease => Result<LeaseGranted, LeaseRefused>, "deployer.v1.RenewLease");

/// The actor may run for one more lease, counted from the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseGranted {}

/// The task is not, or no longer, the one in which the actor is to run. A retry fails the same way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{actor} is not to run here any more")]
pub struct LeaseRefused {
    /// The actor.
    pub actor: String,
}
