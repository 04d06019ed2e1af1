//! `odeon deploy`: puts actors on the cluster, and waits until they run.

use std::path::{Path, PathBuf};

use clap::Args;
use odeon_protocol::binary::Binary;
use odeon_protocol::deployment::{DeploymentName, DeploymentSpec};
use odeon_protocol::messages::deployments::DeployOutcome;

use super::MasterAddress;
use crate::app::Environment;
use crate::config::{DeploymentFile, HumanDuration, document, read_text};
use crate::deployments::Deployments;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::shipped;
use crate::signals::EndSignals;

/// Deploys actors as a file says, and waits until they run
///
/// They run until `odeon deployment remove`; one that fails, or loses its agent, is started again behind its name.
/// Example: odeon deploy examples/deployments/counter.toml
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The deployment file; see examples/deployments/
    file: PathBuf,
    /// How long to wait until all actors run (exit code 5 if they do not); they stay deployed
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
}

/// Deploys, then follows the actors until they run.
pub(crate) async fn deploy(args: DeployArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let (spec, ships) = read_spec(&args.file, environment).await?;
    let (name, instances) = (spec.name.clone(), spec.instances);
    let node = environment.client_node().await?;
    let deployments = Deployments::at(&node, &args.master.or_default(environment)?);
    ship(&deployments, &spec, ships.as_deref()).await?;
    let done = match deployments.deploy(spec).await? {
        DeployOutcome::Created => "deployed",
        DeployOutcome::Unchanged => "unchanged",
    };
    print(&format!("{name} {done}, {}\n", actors(instances))).or_exit(Exit::WorkFailed)?;
    tokio::select! {
        () = signals.next() => {
            Err(Failure::new(Exit::Interrupted, format!("interrupted; {name} stays deployed, see `odeon actors`")))
        }
        running = all_run(&deployments, &name, instances, args.wait) => running,
    }
}

/// What a deployment file asks for, and the file that agents are to get from here.
///
/// If the file names no binary, and this one knows the actor type, it is this one.
pub(super) async fn read_spec(
    file: &Path,
    environment: &Environment,
) -> Result<(DeploymentSpec, Option<PathBuf>), Failure> {
    let text = read_text(file).or_exit(Exit::Usage)?;
    let parsed: DeploymentFile = document::parse(file, &text).or_exit(Exit::Usage)?;
    let parsed = parsed.spec().map_err(|failure| Failure::usage(format!("{}: {failure}", file.display())));
    let (mut spec, mut ships) = parsed?;
    let names_none = spec.program.is_none() && spec.binary.is_none() && ships.is_none();
    if names_none && environment.tasks.names().contains(&spec.actor_type) {
        ships = Some(environment.program.clone());
    }
    if let Some(path) = &ships {
        spec.binary = Some(Binary { sha256: shipped::digest(path).await?, uri: None });
    }
    Ok((spec, ships))
}

/// Hands the binary of a deployment to the master, unless that has it.
pub(super) async fn ship(deployments: &Deployments, spec: &DeploymentSpec, file: Option<&Path>) -> Result<(), Failure> {
    match spec.binary.as_ref().zip(file) {
        Some((binary, file)) => deployments.hand_in(&binary.sha256, file).await,
        None => Ok(()),
    }
}

/// Waits until all actors run, and says so.
pub(super) async fn all_run(
    deployments: &Deployments,
    name: &DeploymentName,
    instances: u32,
    wait: HumanDuration,
) -> Result<i32, Failure> {
    deployments.all_run(name, instances, wait.get()).await?;
    print(&format!("{name} runs\n")).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// So many actors, in words.
pub(super) fn actors(count: u32) -> String {
    format!("{count} actor{}", if count == 1 { "" } else { "s" })
}
