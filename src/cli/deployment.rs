//! `odeon deployment …`: what can be done to one deployment.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use odeon_protocol::deployment::DeploymentName;
use odeon_protocol::messages::deployments::UpdateOutcome;

use super::MasterAddress;
use super::deploy::{actors, all_run, read_spec, ship};
use super::deployment_plan::{PlanArgs, plan};
use crate::app::Environment;
use crate::config::HumanDuration;
use crate::deployments::Deployments;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::signals::EndSignals;

/// Acts on one deployment
#[derive(Debug, Args)]
pub(crate) struct DeploymentArgs {
    #[command(subcommand)]
    command: DeploymentCommand,
}

#[derive(Debug, Subcommand)]
enum DeploymentCommand {
    /// Sets how many actors it has; those with the highest numbers end first
    Scale(ScaleArgs),
    /// Shows what a file would change; nothing is done
    Plan(PlanArgs),
    /// Changes it as a file says: actors are replaced a few at a time, and all of it is taken back if a new one fails
    ///
    /// A new actor that panics, cannot be built or ends with a failure takes the update back, and so does one that does
    /// not run in time. How fast it goes stands under [update] in the file.
    Update(UpdateArgs),
    /// Takes its last update back
    Rollback(RollbackArgs),
    /// Ends it and its actors
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
struct UpdateArgs {
    /// The deployment file, with the name of the deployment
    file: PathBuf,
    /// How long to wait until all actors are replaced (exit code 5 if they are not); the update goes on
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    wait: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct RollbackArgs {
    /// The deployment, as `odeon deployments` shows it
    #[arg(value_name = "NAME")]
    name: DeploymentName,
    /// How long to wait until all actors are replaced (exit code 5 if they are not)
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    wait: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct ScaleArgs {
    /// The deployment, as `odeon deployments` shows it
    #[arg(value_name = "NAME")]
    name: DeploymentName,
    /// How many actors
    #[arg(value_name = "COUNT")]
    instances: u32,
    /// How long to wait until all actors run (exit code 5 if they do not)
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The deployment, as `odeon deployments` shows it
    #[arg(value_name = "NAME")]
    name: DeploymentName,
    #[command(flatten)]
    master: MasterAddress,
}

/// Does what was asked for.
pub(crate) async fn deployment(args: DeploymentArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.command {
        DeploymentCommand::Scale(args) => scale(args, environment).await,
        DeploymentCommand::Plan(args) => plan(args, environment).await,
        DeploymentCommand::Update(args) => update(args, environment).await,
        DeploymentCommand::Rollback(args) => roll_back(args, environment).await,
        DeploymentCommand::Remove(RemoveArgs { name, master }) => {
            deployments(&master, environment).await?.remove(&name).await?;
            print(&format!("removing {name}\n")).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
    }
}

async fn scale(args: ScaleArgs, environment: &Environment) -> Result<i32, Failure> {
    let ScaleArgs { name, instances, wait, master } = args;
    let deployments = deployments(&master, environment).await?;
    let earlier = deployments.scale(&name, instances).await?;
    print(&format!("{name} has {}, it had {earlier}\n", actors(instances))).or_exit(Exit::WorkFailed)?;
    all_run(&deployments, &name, instances, wait).await
}

async fn update(args: UpdateArgs, environment: &Environment) -> Result<i32, Failure> {
    let UpdateArgs { file, wait, master } = args;
    let mut signals = EndSignals::listen()?;
    let (spec, ships) = read_spec(&file, environment).await?;
    let (name, instances) = (spec.name.clone(), spec.instances);
    let deployments = deployments(&master, environment).await?;
    ship(&deployments, &spec, ships.as_deref()).await?;
    let done = match deployments.update(spec).await? {
        UpdateOutcome::Rolling => "is being updated",
        UpdateOutcome::Changed => "is changed, its actors stay",
        UpdateOutcome::Unchanged => "is unchanged",
    };
    print(&format!("{name} {done}, {}\n", actors(instances))).or_exit(Exit::WorkFailed)?;
    let taken_back = tokio::select! {
        () = signals.next() => {
            let text = format!("interrupted; the update of {name} goes on, see `odeon deployments`");
            return Err(Failure::new(Exit::Interrupted, text));
        }
        rolled = deployments.rolled(&name, wait.get()) => rolled?,
    };
    match taken_back {
        Some(reason) => Err(Failure::new(Exit::WorkFailed, format!("the update of {name} was taken back: {reason}"))),
        None => all_run(&deployments, &name, instances, wait).await,
    }
}

async fn roll_back(args: RollbackArgs, environment: &Environment) -> Result<i32, Failure> {
    let RollbackArgs { name, wait, master } = args;
    let deployments = deployments(&master, environment).await?;
    deployments.roll_back(&name).await?;
    print(&format!("{name} goes back to the version before\n")).or_exit(Exit::WorkFailed)?;
    deployments.rolled(&name, wait.get()).await?;
    print(&format!("{name} runs the version before\n")).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn deployments(master: &MasterAddress, environment: &Environment) -> Result<Deployments, Failure> {
    Ok(Deployments::at(&environment.client_node().await?, &master.or_default(environment)?))
}
