//! A deployment file: what `odeon deploy` reads.
//!
//! Checks what can be known from the file; whether the cluster can hold it is seen there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use odeon_protocol::binary::{Binary, Digest};
use odeon_protocol::deployment::{DeploymentName, DeploymentSpec, SpecInvalid};
use odeon_protocol::resources::{CPUS, MEM, Resources};
use odeon_protocol::restart::RestartPolicy;
use odeon_protocol::update::UpdatePolicy;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{ByteSize, HumanDuration};
use crate::failure::Failure;
use crate::roles::scalar;

/// So many actors of one type, and what each of them is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentFile {
    /// Names the deployment; its actors are `name/0`, `name/1`, and so on.
    pub name: DeploymentName,
    /// The name under which the actor's type is registered.
    pub actor: String,
    /// How many.
    #[serde(default = "one")]
    pub instances: u32,
    /// Whether there is never more than one that runs.
    #[serde(default)]
    pub singleton: bool,
    /// What each is started with.
    #[serde(default)]
    pub args: toml::Table,
    /// What each takes of its agent.
    #[serde(default)]
    pub resources: ActorResources,
    /// The binary of their hosts, on the agents.
    #[serde(default)]
    pub program: Option<String>,
    /// The binary of their hosts, which agents fetch.
    #[serde(default)]
    pub binary: Option<BinaryFile>,
    /// Where they may be.
    #[serde(default)]
    pub placement: Placement,
    /// When one that fails is started again.
    #[serde(default)]
    pub restart: Restart,
    /// How a change is carried out.
    #[serde(default)]
    pub update: Update,
}

/// `[binary]`: what agents fetch, from `path` of this host by way of the master, or from `uri`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BinaryFile {
    /// A file of the host that deploys; a relative path counts from where it does.
    pub path: Option<PathBuf>,
    /// `file:///…`, on the agents, or `http://…`.
    pub uri: Option<String>,
    /// What the bytes at `uri` must be.
    pub sha256: Option<String>,
}

impl BinaryFile {
    /// What is to be fetched, and the file that is to be handed to the master for that.
    fn wanted(&self) -> Result<(Option<Binary>, Option<PathBuf>), Failure> {
        let refused = |text: &str| Err(Failure::usage(text.to_owned()));
        match (&self.path, &self.uri, &self.sha256) {
            (Some(path), None, None) => Ok((None, Some(path.clone()))),
            (None, Some(uri), Some(sha256)) => {
                let sha256 = Digest::new(sha256).map_err(|error| Failure::usage(format!("binary.sha256: {error}")))?;
                Ok((Some(Binary { sha256, uri: Some(uri.clone()) }), None))
            }
            (None, Some(_), None) => refused("binary.sha256: a uri needs one, as `sha256sum` prints it"),
            (Some(_), Some(_), _) => refused("binary: it has a path and a uri; give one of the two"),
            (Some(_), None, Some(_)) => refused("binary.sha256: a path needs none"),
            (None, None, _) => refused("binary: it has neither a path nor a uri"),
        }
    }
}

fn one() -> u32 {
    1
}

/// `[resources]`: what each actor takes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ActorResources {
    /// Processors.
    pub cpus: f64,
    /// Memory.
    pub mem: ByteSize,
    /// Further ones, such as `"ports:[31000-31001]"`.
    pub other: String,
}

impl Default for ActorResources {
    fn default() -> Self {
        Self { cpus: 0.1, mem: ByteSize::from_mem("32MiB").expect("the default is a size"), other: String::new() }
    }
}

/// `[placement]`: where actors may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// The most on one agent.
    pub per_agent_max: Option<u32>,
    /// Attributes that an agent must have.
    pub attributes: BTreeMap<String, String>,
}

/// `[restart]`: how often an actor may fail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restart {
    /// Restarts allowed in any span of `within`.
    pub max: usize,
    /// The span.
    pub within: HumanDuration,
    /// The wait before the first restart of a span; it doubles with each.
    pub backoff_min: HumanDuration,
    /// The longest wait.
    pub backoff_max: HumanDuration,
}

impl Default for Restart {
    fn default() -> Self {
        let RestartPolicy { restarts_max, within, backoff_min, backoff_max } = RestartPolicy::default();
        let [within, backoff_min, backoff_max] = [within, backoff_min, backoff_max].map(HumanDuration::from);
        Self { max: restarts_max, within, backoff_min, backoff_max }
    }
}

/// `[update]`: how fast actors are replaced by those of a new version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Update {
    /// The most actors that take no messages at a time because of it.
    pub unavailable_max: u32,
    /// How long a new actor runs without a failure before the next one is replaced.
    pub healthy_after: HumanDuration,
    /// How long it may go without another healthy actor before it is taken back.
    pub progress_within: HumanDuration,
}

impl Default for Update {
    fn default() -> Self {
        let UpdatePolicy { unavailable_max, healthy_after, progress_within } = UpdatePolicy::default();
        let [healthy_after, progress_within] = [healthy_after, progress_within].map(HumanDuration::from);
        Self { unavailable_max, healthy_after, progress_within }
    }
}

impl DeploymentFile {
    /// What the deployer is asked for, and the file that agents are to get from the master: the spec does not name its
    /// digest yet.
    ///
    /// # Errors
    /// [`Failure`] names the key at fault.
    pub fn spec(self) -> Result<(DeploymentSpec, Option<PathBuf>), Failure> {
        let (binary, ships) = self.binary.as_ref().map(BinaryFile::wanted).transpose()?.unwrap_or_default();
        if ships.is_some() && self.program.is_some() {
            return Err(Failure::usage("binary: `program` names the binary already; give one of the two".to_owned()));
        }
        let restart = RestartPolicy {
            restarts_max: self.restart.max,
            within: self.restart.within.get(),
            backoff_min: self.restart.backoff_min.get(),
            backoff_max: self.restart.backoff_max.get(),
        };
        let spec = DeploymentSpec {
            name: self.name,
            actor_type: self.actor,
            instances: self.instances,
            singleton: self.singleton,
            arguments: json("args", toml::Value::Table(self.args))?.to_string(),
            resources: self.resources.wanted()?,
            program: self.program,
            binary,
            constraints: self.placement.attributes,
            per_agent_max: self.placement.per_agent_max,
            restart,
            update: UpdatePolicy {
                unavailable_max: self.update.unavailable_max,
                healthy_after: self.update.healthy_after.get(),
                progress_within: self.update.progress_within.get(),
            },
        };
        spec.check().map_err(|error: SpecInvalid| Failure::usage(error.to_string()))?;
        Ok((spec, ships))
    }
}

impl ActorResources {
    fn wanted(&self) -> Result<Resources, Failure> {
        let mem = Resources::empty().with_scalar(MEM, scalar("resources.mem", self.mem.mib())?);
        let scalars = mem.with_scalar(CPUS, scalar("resources.cpus", self.cpus)?);
        let refused = |error: String| Failure::usage(format!("resources.other: {error}"));
        let other: Resources = self.other.parse().map_err(|error| refused(format!("{error}")))?;
        scalars.checked_add(&other).map_err(|error| refused(error.to_string()))
    }
}

/// A value of the file as JSON; a date is its text.
fn json(key: &str, value: toml::Value) -> Result<Json, Failure> {
    Ok(match value {
        toml::Value::String(text) => Json::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Float(number) => {
            let refused = || Failure::usage(format!("{key}: JSON, in which arguments travel, has no {number}"));
            serde_json::Number::from_f64(number).map(Json::Number).ok_or_else(refused)?
        }
        toml::Value::Array(values) => {
            let values = values.into_iter().enumerate().map(|(at, value)| json(&format!("{key}.{at}"), value));
            values.collect::<Result<_, _>>()?
        }
        toml::Value::Table(table) => {
            let entry = |(name, value): (String, _)| json(&format!("{key}.{name}"), value).map(|json| (name, json));
            Json::Object(table.into_iter().map(entry).collect::<Result<_, Failure>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document;
    use std::path::Path;

    fn file(text: &str) -> Result<DeploymentSpec, String> {
        let parsed = document::parse::<DeploymentFile>(Path::new("d.toml"), text).map_err(|error| error.to_string())?;
        parsed.spec().map(|(spec, _)| spec).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_short_file_is_filled_with_defaults() {
        let spec = file("name = \"counter\"\nactor = \"examples.Counter\"").expect("complete");
        assert_eq!((spec.instances, spec.arguments.as_str()), (1, "{}"));
        assert_eq!(spec.resources.to_string(), "cpus:0.1;mem:32");
        assert_eq!(spec.restart, RestartPolicy::default());
    }

    #[test]
    fn arguments_become_json_as_they_stand() {
        let text =
            "name = \"a\"\nactor = \"b\"\n[args]\nlist = [1, 2.5, true]\nday = 2026-01-02\n[args.inner]\nx = \"y\"";
        let spec = file(text).expect("complete");
        let json: Json = serde_json::from_str(&spec.arguments).expect("JSON");
        assert_eq!(json, serde_json::json!({"list": [1, 2.5, true], "day": "2026-01-02", "inner": {"x": "y"}}));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        let head = "name = \"a\"\nactor = \"b\"\n";
        for (text, told) in [
            ("name = \"a/b\"\nactor = \"b\"", "letters, digits"),
            ("actor = \"b\"", "missing key `name`"),
            (&format!("{head}instnaces = 3"), "instances"),
            (&format!("{head}instances = 20000"), "instances: 20000 actors are over the limit"),
            (&format!("{head}[args]\nx = [nan]"), "args.x.0: JSON"),
            (&format!("{head}[resources]\ncpus = -1"), "resources.cpus: -1"),
            (&format!("{head}[resources]\nother = \"ports:x\""), "resources.other"),
            (&format!("{head}[placement]\nper_agent_max = 0"), "placement.per_agent_max: 0"),
            (&format!("{head}[update]\nunavailable_max = 0"), "update.unavailable_max: 0"),
            (&format!("{head}[binary]"), "neither a path nor a uri"),
            (&format!("{head}[binary]\nuri = \"file:///x\""), "binary.sha256: a uri needs one"),
            (&format!("{head}[binary]\nuri = \"file:///x\"\nsha256 = \"12\""), "binary.sha256: \"12\" is no SHA-256"),
            (&format!("{head}[binary]\nuri = \"x\"\nsha256 = \"{}\"", "0".repeat(64)), "binary.uri: x"),
            (&format!("{head}[binary]\npath = \"x\"\nuri = \"file:///x\""), "a path and a uri"),
            (&format!("{head}program = \"/x\"\n[binary]\npath = \"x\""), "`program` names the binary already"),
            (&format!("{head}[restart]\nwithin = \"1 mile\""), "1 mile"),
        ] {
            let error = file(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
