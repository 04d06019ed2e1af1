//! Deployments: so many actors of one type, what each of them takes, and what their hosts report.
//!
//! Where actors are placed is not decided here.

use crate::binary::{Binary, Location};
use crate::id::{IdError, check_id};
use crate::resources::{CPUS, MEM, Resources, Scalar};
use crate::restart::RestartPolicy;
use crate::update::UpdatePolicy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The most actors of one deployment.
pub const INSTANCES_MAX: u32 = 10_000;
/// The most bytes of the start arguments of an actor.
pub const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
/// The most restarts that a policy may allow in its span.
pub const RESTARTS_MAX: usize = 1000;
/// The most bytes of the name of a deployment: the names of its actors and tasks are longer.
pub const DEPLOYMENT_NAME_BYTES_MAX: usize = 63;

/// Names a deployment; its actors are `name/0`, `name/1`, and so on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DeploymentName(String);

/// Why a text is not the name of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not the name of a deployment: {rule}")]
pub struct DeploymentNameError {
    /// The text.
    pub name: String,
    /// What it breaks.
    pub rule: String,
}

impl DeploymentName {
    /// Checks and takes a name: letters, digits, dashes and underscores, at most [`DEPLOYMENT_NAME_BYTES_MAX`].
    ///
    /// # Errors
    /// [`DeploymentNameError`] says which rule it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, DeploymentNameError> {
        let name = name.into();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let rule = match check_id(&name) {
            Err(error @ IdError::Reserved(_)) => error.to_string(),
            _ if name.len() > DEPLOYMENT_NAME_BYTES_MAX => format!("it has at most {DEPLOYMENT_NAME_BYTES_MAX} bytes"),
            _ if !name.chars().all(is_plain) => "it has letters, digits, - and _ only".to_owned(),
            _ => return Ok(Self(name)),
        };
        Err(DeploymentNameError { name, rule })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of one of its actors.
    #[must_use]
    pub fn actor(&self, index: u32) -> String {
        format!("{}/{index}", self.0)
    }
}

impl TryFrom<String> for DeploymentName {
    type Error = DeploymentNameError;
    fn try_from(name: String) -> Result<Self, DeploymentNameError> {
        Self::new(name)
    }
}

impl std::str::FromStr for DeploymentName {
    type Err = DeploymentNameError;
    fn from_str(name: &str) -> Result<Self, DeploymentNameError> {
        Self::new(name)
    }
}

impl From<DeploymentName> for String {
    fn from(name: DeploymentName) -> Self {
        name.0
    }
}

impl fmt::Display for DeploymentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentSpec {
    /// Names the deployment and its actors.
    pub name: DeploymentName,
    /// The name under which the actor's type is registered in the binary that hosts it.
    pub actor_type: String,
    /// How many actors.
    pub instances: u32,
    /// Whether there is never more than one that runs, also while hosts are cut off from each other.
    #[serde(default)]
    pub singleton: bool,
    /// What each is started with, as JSON text.
    pub arguments: String,
    /// What each takes of an agent.
    pub resources: Resources,
    /// The binary of their hosts, as an absolute path on the agents; the agents' own binary if not given.
    #[serde(default)]
    pub program: Option<String>,
    /// The binary of their hosts, which agents fetch; instead of `program`.
    #[serde(default)]
    pub binary: Option<Binary>,
    /// Attributes that an agent must have.
    #[serde(default)]
    pub constraints: BTreeMap<String, String>,
    /// The most actors of it on one agent.
    #[serde(default)]
    pub per_agent_max: Option<u32>,
    /// When an actor that fails is started again.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// How a change of it is carried out.
    #[serde(default)]
    pub update: UpdatePolicy,
}

/// Why a deployment cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{key}: {reason}")]
pub struct SpecInvalid {
    /// The key at fault, as it stands in a deployment file.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

impl DeploymentSpec {
    /// So many actors of a type, built from these arguments, each with a tenth of a processor and 32 MiB.
    ///
    /// # Errors
    /// [`SpecInvalid`] if the name is none, or the arguments are no JSON.
    pub fn new(name: &str, actor_type: &str, instances: u32, arguments: &impl Serialize) -> Result<Self, SpecInvalid> {
        let fault = |key: &str, reason: String| SpecInvalid { key: key.to_owned(), reason };
        let name = DeploymentName::new(name).map_err(|error| fault("name", error.to_string()))?;
        let arguments = serde_json::to_string(arguments).map_err(|error| fault("args", error.to_string()))?;
        let cpus = Resources::empty().with_scalar(CPUS, Scalar::from_thousandths(100));
        Ok(Self {
            name,
            actor_type: actor_type.to_owned(),
            instances,
            singleton: false,
            arguments,
            resources: cpus.with_scalar(MEM, Scalar::from_whole(32)),
            program: None,
            binary: None,
            constraints: BTreeMap::new(),
            per_agent_max: None,
            restart: RestartPolicy::default(),
            update: UpdatePolicy::default(),
        })
    }

    /// Whether an actor of the other one is an actor of this one: they differ at most in how many there are, and in
    /// how updates are carried out.
    #[must_use]
    pub fn has_actors_of(&self, other: &Self) -> bool {
        let alike = Self { instances: self.instances, update: self.update.clone(), ..other.clone() };
        *self == alike
    }

    /// Checks what can be known without a cluster.
    ///
    /// # Errors
    /// [`SpecInvalid`] names the first key at fault.
    pub fn check(&self) -> Result<(), SpecInvalid> {
        let fault = |key: &str, reason: String| Err(SpecInvalid { key: key.to_owned(), reason });
        if self.actor_type.is_empty() {
            return fault("actor", "it is empty; name a registered actor type".to_owned());
        }
        check_instances(self.instances)?;
        if self.singleton && self.instances > 1 {
            return fault("instances", format!("a singleton is one actor, not {}", self.instances));
        }
        if self.arguments.len() > ARGUMENTS_BYTES_MAX {
            let bytes = self.arguments.len();
            return fault("args", format!("{bytes} bytes of JSON are over the limit of {ARGUMENTS_BYTES_MAX}"));
        }
        if self.resources.is_empty() {
            return fault("resources", "they are empty; an actor takes some cpus or mem of its agent".to_owned());
        }
        let restarts = self.restart.restarts_max;
        if restarts > RESTARTS_MAX {
            return fault("restart.max", format!("{restarts} restarts are over the limit of {RESTARTS_MAX}"));
        }
        if self.update.unavailable_max == 0 {
            return fault("update.unavailable_max", "0 lets no actor be replaced".to_owned());
        }
        if self.per_agent_max == Some(0) {
            return fault("placement.per_agent_max", "0 leaves no place for any actor".to_owned());
        }
        if let Some(program) = self.program.as_ref().filter(|program| !program.starts_with('/')) {
            return fault("program", format!("{program:?} is not an absolute path"));
        }
        if self.program.is_some() && self.binary.is_some() {
            return fault("binary", "`program` names the binary already; give one of the two".to_owned());
        }
        match self.binary.as_ref().and_then(|binary| binary.uri.as_deref()).map(Location::of) {
            Some(Err(error)) => fault("binary.uri", error.to_string()),
            _ => Ok(()),
        }
    }
}

/// Checks a number of actors.
///
/// # Errors
/// [`SpecInvalid`] if it is over [`INSTANCES_MAX`].
pub fn check_instances(instances: u32) -> Result<(), SpecInvalid> {
    if instances <= INSTANCES_MAX {
        return Ok(());
    }
    let reason = format!("{instances} actors are over the limit of {INSTANCES_MAX}");
    Err(SpecInvalid { key: "instances".to_owned(), reason })
}

/// Where an actor can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorLocation {
    /// The name behind which its node exports it.
    pub actor: String,
    /// `host:port` of the node.
    pub endpoint: String,
    /// The name of the node.
    pub node: String,
    /// Which run of the node.
    pub incarnation: u64,
}

/// What the host of an actor reports about it, as the message of a status update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorReport {
    /// Where it is.
    pub location: ActorLocation,
    /// What it is doing.
    pub state: HostedState,
    /// How often it was started again in place.
    pub restarts: u64,
    /// The text of the last panic, or why it is given up.
    #[serde(default)]
    pub last_failure: Option<String>,
}

impl ActorReport {
    /// That it takes messages, and nothing has happened to it.
    #[must_use]
    pub fn running(location: ActorLocation) -> Self {
        Self { location, state: HostedState::Running, restarts: 0, last_failure: None }
    }
}

/// What an actor does on its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostedState {
    /// It takes messages.
    Running,
    /// It has panicked and will be started again in place.
    Restarting,
    /// It fails too often, or cannot be built: another host would not help.
    GivenUp,
    /// It is a singleton whose lease was not renewed in time, and has been ended.
    LeaseLost,
}

/// What the task of an actor is told, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorAssignment {
    /// The deployment.
    pub deployment: DeploymentName,
    /// Which of its actors.
    pub index: u32,
    /// How many there are.
    pub instances: u32,
    /// Whether it may run only while it has a lease.
    #[serde(default)]
    pub singleton: bool,
    /// Grows with each placement of any actor: who has the greater one was started later.
    #[serde(default)]
    pub epoch: u64,
    /// What it is started with, as JSON text.
    pub arguments: String,
    /// When it is started again in place.
    pub restart: RestartPolicy,
    /// `host:port` where the names of actors are known.
    pub directory: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::Digest;

    fn spec() -> DeploymentSpec {
        DeploymentSpec::new("counter", "examples.Counter", 3, &()).unwrap()
    }

    #[test]
    fn a_name_has_letters_digits_dashes_and_underscores() {
        assert_eq!(DeploymentName::new("word-count_2").unwrap().actor(7), "word-count_2/7");
        let long = "x".repeat(DEPLOYMENT_NAME_BYTES_MAX + 1);
        for name in ["", "..", "a/b", "a.b", "a b", "ä", long.as_str()] {
            let error = DeploymentName::new(name).unwrap_err();
            assert_eq!(error.name, name);
        }
    }

    #[test]
    fn a_spec_is_refused_by_the_key_at_fault() {
        assert_eq!(spec().check(), Ok(()));
        type Spoil = fn(&mut DeploymentSpec);
        let faults: [(&str, Spoil); 10] = [
            ("actor", |spec| spec.actor_type.clear()),
            ("instances", |spec| spec.instances = INSTANCES_MAX + 1),
            ("args", |spec| spec.arguments = " ".repeat(ARGUMENTS_BYTES_MAX + 1)),
            ("resources", |spec| spec.resources = Resources::empty()),
            ("restart.max", |spec| spec.restart.restarts_max = RESTARTS_MAX + 1),
            ("update.unavailable_max", |spec| spec.update.unavailable_max = 0),
            ("placement.per_agent_max", |spec| spec.per_agent_max = Some(0)),
            ("program", |spec| spec.program = Some("bin/counter".into())),
            ("binary", |spec| {
                spec.program = Some("/bin/counter".into());
                spec.binary = Some(Binary { sha256: Digest::of_hash([0; 32]), uri: None });
            }),
            ("binary.uri", |spec| {
                spec.binary = Some(Binary { sha256: Digest::of_hash([0; 32]), uri: Some("ftp://h/x".into()) });
            }),
        ];
        for (key, spoil) in faults {
            let mut spec = spec();
            spoil(&mut spec);
            assert_eq!(spec.check().unwrap_err().key, key);
        }
    }
}
