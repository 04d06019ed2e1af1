//! `odeon agents`: lists the agents of a cluster.

use clap::Args;
use odeon_protocol::messages::master_operator::{AgentSummary, GetAgents};
use serde::Serialize;

use super::listing::ListingArgs;
use super::{MasterAddress, age};
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists the agents, with what they have and what is used of it
#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// An agent as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(AgentSummary);

impl Listed for Row {
    const KIND: &'static str = "agents";
    const COLUMNS: &'static [Column] = &[
        Column::always("AGENT"),
        Column::always("HOST"),
        Column::always("STATE"),
        Column::always("TASKS"),
        Column::always("USED"),
        Column::always("TOTAL"),
        Column::wide("OFFERED"),
        Column::wide("ENDPOINT"),
        Column::wide("ATTRIBUTES"),
        Column::wide("DRAIN"),
        Column::wide("REGISTERED"),
    ];

    fn cells(&self) -> Vec<String> {
        let agent = &self.0;
        let attributes: Vec<String> = agent.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
        vec![
            agent.agent_id.to_string(),
            agent.hostname.clone(),
            agent.state.name().to_owned(),
            agent.active_tasks.to_string(),
            agent.used.to_string(),
            agent.total.to_string(),
            agent.offered.to_string(),
            agent.endpoint.clone(),
            attributes.join(";"),
            agent.drain.as_ref().map(|drain| drain.reason.clone()).unwrap_or_default(),
            age::since(agent.registered_ms),
        ]
    }

    fn id(&self) -> String {
        self.0.agent_id.to_string()
    }
}

/// Asks the master and prints the list.
pub(crate) async fn agents(args: AgentsArgs, environment: &Environment) -> Result<i32, Failure> {
    let agents = args.master.ask(environment, GetAgents {}).await?;
    args.listing.print(&agents.into_iter().map(Row).collect::<Vec<_>>(), environment)
}
