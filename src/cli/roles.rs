//! `odeon roles`: lists the roles of a cluster.

use clap::Args;
use odeon_protocol::messages::master_operator::{GetRoles, RoleSummary};
use serde::Serialize;

use super::MasterAddress;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists the roles, with their weights and shares of the cluster
#[derive(Debug, Args)]
pub(crate) struct RolesArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A role as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(RoleSummary);

impl Listed for Row {
    const KIND: &'static str = "roles";
    const COLUMNS: &'static [Column] = &[
        Column::always("ROLE"),
        Column::always("WEIGHT"),
        Column::always("SHARE"),
        Column::always("FRAMEWORKS"),
        Column::always("ALLOCATED"),
        Column::wide("FRAMEWORK IDS"),
    ];

    fn cells(&self) -> Vec<String> {
        let role = &self.0;
        let frameworks: Vec<String> = role.frameworks.iter().map(ToString::to_string).collect();
        vec![
            role.role.to_string(),
            role.weight.to_string(),
            format!("{:.1} %", role.share * 100.0),
            role.frameworks.len().to_string(),
            role.allocated.to_string(),
            frameworks.join(","),
        ]
    }

    fn id(&self) -> String {
        self.0.role.to_string()
    }
}

/// Asks the master and prints the list.
pub(crate) async fn roles(args: RolesArgs, environment: &Environment) -> Result<i32, Failure> {
    let roles = args.master.ask(environment, GetRoles {}).await?;
    args.listing.print(&roles.into_iter().map(Row).collect::<Vec<_>>(), environment)
}
