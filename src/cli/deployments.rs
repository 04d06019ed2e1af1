//! `odeon deployments`: lists what is deployed.

use clap::Args;
use odeon_protocol::messages::deployments::{DeploymentSummary, GetDeployments};
use odeon_protocol::update::UpdateState;
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
        let DeploymentSummary { spec, running, given_up, removing, update, .. } = &self.0;
        match update {
            _ if *removing => "removing",
            Some(UpdateState::Rolling) => "updating",
            Some(UpdateState::RollingBack { .. }) => "rolling back",
            _ if *given_up > 0 => "failing",
            _ if *running != spec.instances => "incomplete",
            Some(UpdateState::RolledBack { .. }) => "rolled back",
            None => "running",
        }
    }

    /// Why its last update is taken back.
    fn reason(&self) -> &str {
        match &self.0.update {
            Some(UpdateState::RollingBack { reason } | UpdateState::RolledBack { reason }) => reason,
            Some(UpdateState::Rolling) | None => "",
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
        Column::wide("CURRENT"),
        Column::wide("GIVEN UP"),
        Column::wide("RESOURCES"),
        Column::wide("ARGUMENTS"),
        Column::wide("UPDATE"),
    ];

    fn cells(&self) -> Vec<String> {
        let DeploymentSummary { spec, running, given_up, current, .. } = &self.0;
        vec![
            self.id(),
            spec.actor_type.clone(),
            self.state().to_owned(),
            running.to_string(),
            spec.instances.to_string(),
            current.to_string(),
            given_up.to_string(),
            spec.resources.to_string(),
            spec.arguments.clone(),
            self.reason().to_owned(),
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
