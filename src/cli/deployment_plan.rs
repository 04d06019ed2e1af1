//! `odeon deployment plan`: what a deployment file would change. Nothing is done.

use std::path::PathBuf;

use clap::Args;
use odeon_protocol::binary::{Binary, masked};
use odeon_protocol::deployment::DeploymentSpec;
use serde::Serialize;

use super::MasterAddress;
use super::deploy::read_spec;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::deployments::Deployments;
use crate::failure::Failure;
use crate::output::{Column, Listed};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The deployment file
    file: PathBuf,
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// What a change of one key comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    /// There is no such deployment yet.
    Created,
    /// Actors are replaced, a few at a time.
    ReplacesActors,
    /// Actors are started or ended; the others stay.
    AtOnce,
}

/// A key that would change.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    key: &'static str,
    now: Option<String>,
    then: String,
    effect: Effect,
}

impl Listed for Change {
    const KIND: &'static str = "changes";
    const COLUMNS: &'static [Column] =
        &[Column::always("KEY"), Column::always("NOW"), Column::always("THEN"), Column::always("EFFECT")];

    fn cells(&self) -> Vec<String> {
        let effect = match self.effect {
            Effect::Created => "created",
            Effect::ReplacesActors => "replaces actors",
            Effect::AtOnce => "at once",
        };
        vec![self.id(), self.now.clone().unwrap_or_default(), self.then.clone(), effect.to_owned()]
    }

    fn id(&self) -> String {
        self.key.to_owned()
    }
}

/// Compares, and prints what differs.
pub(crate) async fn plan(args: PlanArgs, environment: &Environment) -> Result<i32, Failure> {
    let (then, _) = read_spec(&args.file, environment).await?;
    let node = environment.client_node().await?;
    let deployments = Deployments::at(&node, &args.master.or_default(environment)?);
    let now = deployments.find(&then.name).await?.filter(|deployment| !deployment.removing);
    args.listing.print(&changes(now.as_ref().map(|deployment| &deployment.spec), &then), environment)
}

fn changes(now: Option<&DeploymentSpec>, then: &DeploymentSpec) -> Vec<Change> {
    let Some(now) = now else {
        let created = |(key, then, _)| Change { key, now: None, then, effect: Effect::Created };
        return facts(then).into_iter().filter(|(_, value, _)| !value.is_empty()).map(created).collect();
    };
    let pairs = facts(now).into_iter().zip(facts(then));
    let differing = pairs.filter(|((_, now, _), (_, then, _))| now != then);
    differing.map(|((key, now, effect), (_, then, _))| Change { key, now: Some(now), then, effect }).collect()
}

/// The keys of a deployment file, their values, and what a change of them comes to.
fn facts(spec: &DeploymentSpec) -> Vec<(&'static str, String, Effect)> {
    use Effect::{AtOnce, ReplacesActors};
    let attributes: Vec<String> = spec.constraints.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (restart, update) = (&spec.restart, &spec.update);
    vec![
        ("actor", spec.actor_type.clone(), ReplacesActors),
        ("instances", spec.instances.to_string(), AtOnce),
        ("singleton", if spec.singleton { "true".to_owned() } else { String::new() }, ReplacesActors),
        ("args", spec.arguments.clone(), ReplacesActors),
        ("resources", spec.resources.to_string(), ReplacesActors),
        ("program", spec.program.clone().unwrap_or_default(), ReplacesActors),
        ("binary", spec.binary.as_ref().map(binary).unwrap_or_default(), ReplacesActors),
        ("placement.attributes", attributes.join(","), ReplacesActors),
        ("placement.per_agent_max", spec.per_agent_max.map(|max| max.to_string()).unwrap_or_default(), ReplacesActors),
        ("restart.max", restart.restarts_max.to_string(), ReplacesActors),
        ("restart.within", format!("{:?}", restart.within), ReplacesActors),
        ("restart.backoff_min", format!("{:?}", restart.backoff_min), ReplacesActors),
        ("restart.backoff_max", format!("{:?}", restart.backoff_max), ReplacesActors),
        ("update.unavailable_max", update.unavailable_max.to_string(), AtOnce),
        ("update.healthy_after", format!("{:?}", update.healthy_after), AtOnce),
        ("update.progress_within", format!("{:?}", update.progress_within), AtOnce),
    ]
}

fn binary(binary: &Binary) -> String {
    let from = binary.uri.as_deref().map(|uri| format!(" from {}", masked(uri)));
    format!("{}{}", binary.sha256.short(), from.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use odeon_protocol::binary::Digest;

    fn spec() -> DeploymentSpec {
        DeploymentSpec::new("counter", "examples.Counter", 3, &serde_json::json!({"start": 1})).expect("a spec")
    }

    #[test]
    fn only_what_differs_is_told_and_a_new_deployment_as_a_whole() {
        let now = spec();
        assert_eq!(changes(Some(&now), &now), []);
        let then = DeploymentSpec { instances: 5, arguments: "{\"start\":2}".into(), ..now.clone() };
        let told: Vec<String> = changes(Some(&now), &then).iter().map(|change| change.cells().join(" ")).collect();
        assert_eq!(told, ["instances 3 5 at once", "args {\"start\":1} {\"start\":2} replaces actors"]);
        let keys: Vec<&str> = changes(None, &now).iter().map(|change| change.key).collect();
        assert_eq!(keys[..4], ["actor", "instances", "args", "resources"]);
        assert!(!keys.contains(&"program"), "it has no value");
    }

    #[test]
    fn a_change_replaces_actors_exactly_if_the_deployer_would() {
        type Spoil = fn(&mut DeploymentSpec);
        let spoils: [Spoil; 13] = [
            |spec| spec.actor_type.push('x'),
            |spec| spec.instances += 1,
            |spec| spec.arguments = "{}".into(),
            |spec| spec.resources = "cpus:7".parse().expect("resources"),
            |spec| spec.program = Some("/bin/x".into()),
            |spec| spec.binary = Some(Binary { sha256: Digest::of_hash([7; 32]), uri: None }),
            |spec| spec.constraints = [("rack".into(), "7".into())].into(),
            |spec| spec.per_agent_max = Some(2),
            |spec| spec.restart.restarts_max += 1,
            |spec| spec.restart.within *= 2,
            |spec| spec.update.unavailable_max += 1,
            |spec| spec.update.healthy_after *= 2,
            |spec| spec.update.progress_within *= 2,
        ];
        for spoil in spoils {
            let (now, mut then) = (spec(), spec());
            spoil(&mut then);
            let told = changes(Some(&now), &then);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!(told[0].effect == Effect::ReplacesActors, !then.has_actors_of(&now), "{told:?}");
        }
    }
}
