//! `odeon deployments`: lists what is deployed.

use clap::Args;
use odeon_protocol::messages::deployments::{DeploymentSummary, GetDeployments};
use serde::Serialize;

use super::MasterAddress;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists the deployments
#[derive(Debug, Args)]
pub(crate) struct DeploymentsArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A deployment as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(DeploymentSummary);

impl Row {
    fn state(&self) -> &'static str {
        match &self.0 {
            deployment if deployment.removing => "removing",
            deployment if deployment.given_up > 0 => "failing",
            deployment if deployment.running == deployment.spec.instances => "running",
            _ => "incomplete",
        }
    }
}

impl Listed for Row {
    const KIND: &'static str = "deployments";
    const COLUMNS: &'static [Column] = &[
        Column::always("DEPLOYMENT"),
        Column::always("TYPE"),
        Column::always("STATE"),
        Column::always("RUNNING"),
        Column::always("WANTED"),
        Column::wide("GIVEN UP"),
        Column::wide("RESOURCES"),
        Column::wide("ARGUMENTS"),
    ];

    fn cells(&self) -> Vec<String> {
        let DeploymentSummary { spec, running, given_up, .. } = &self.0;
        vec![
            self.id(),
            spec.actor_type.clone(),
            self.state().to_owned(),
            running.to_string(),
            spec.instances.to_string(),
            given_up.to_string(),
            spec.resources.to_string(),
            spec.arguments.clone(),
        ]
    }

    fn id(&self) -> String {
        self.0.spec.name.to_string()
    }
}

/// Asks the deployer and prints the list.
pub(crate) async fn deployments(args: DeploymentsArgs, environment: &Environment) -> Result<i32, Failure> {
    let deployments = args.master.ask_deployer(environment, GetDeployments {}).await?;
    args.listing.print(&deployments.into_iter().map(Row).collect::<Vec<_>>(), environment)
}
