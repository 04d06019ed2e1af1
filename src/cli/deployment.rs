//! `odeon deployment …`: what can be done to one deployment.

use clap::{Args, Subcommand};
use odeon_protocol::deployment::DeploymentName;

use super::MasterAddress;
use super::deploy::{actors, all_run};
use crate::app::Environment;
use crate::config::HumanDuration;
use crate::deployments::Deployments;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;

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
    /// Ends it and its actors
    Remove(RemoveArgs),
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

async fn deployments(master: &MasterAddress, environment: &Environment) -> Result<Deployments, Failure> {
    Ok(Deployments::at(&environment.client_node().await?, &master.or_default(environment)?))
}
