//! `odeon frameworks`: lists the frameworks of a cluster.

use clap::Args;
use odeon_protocol::messages::master_operator::{FrameworkSummary, GetFrameworks};
use serde::Serialize;

use super::listing::ListingArgs;
use super::{MasterAddress, age};
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists the frameworks, those that ended included
#[derive(Debug, Args)]
pub(crate) struct FrameworksArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A framework as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(FrameworkSummary);

impl Listed for Row {
    const KIND: &'static str = "frameworks";
    const COLUMNS: &'static [Column] = &[
        Column::always("FRAMEWORK"),
        Column::always("NAME"),
        Column::always("STATE"),
        Column::always("ROLES"),
        Column::always("TASKS"),
        Column::always("USED"),
        Column::wide("OFFERED"),
        Column::wide("USER"),
        Column::wide("HOST"),
        Column::wide("REGISTERED"),
    ];

    fn cells(&self) -> Vec<String> {
        let framework = &self.0;
        let roles: Vec<&str> = framework.roles.iter().map(odeon_protocol::role::Role::as_str).collect();
        vec![
            framework.framework_id.to_string(),
            framework.name.clone(),
            framework.state.name().to_owned(),
            roles.join(","),
            framework.active_tasks.to_string(),
            framework.used.to_string(),
            framework.offered.to_string(),
            framework.user.clone(),
            framework.hostname.clone(),
            age::since(framework.registered_ms),
        ]
    }

    fn id(&self) -> String {
        self.0.framework_id.to_string()
    }
}

/// Asks the master and prints the list.
pub(crate) async fn frameworks(args: FrameworksArgs, environment: &Environment) -> Result<i32, Failure> {
    let frameworks = args.master.ask(environment, GetFrameworks {}).await?;
    args.listing.print(&frameworks.into_iter().map(Row).collect::<Vec<_>>(), environment)
}
