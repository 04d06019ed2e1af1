//! `odeon reservations`: lists what is reserved of which agent, for whom, and how much of it is not used.

use clap::Args;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_operator::{AgentSummary, GetAgents};
use odeon_protocol::resources::{Class, Reservation, ReservationKind, Resources};
use odeon_protocol::role::Role;
use serde::Serialize;
use std::collections::BTreeMap;

use super::MasterAddress;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists what is reserved for roles, agent by agent
#[derive(Debug, Args)]
pub(crate) struct ReservationsArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A reservation as it is listed.
#[derive(Serialize)]
struct Row {
    agent_id: AgentId,
    hostname: String,
    role: Role,
    kind: ReservationKind,
    /// What it refines, from the widest on.
    refines: Vec<Role>,
    labels: BTreeMap<String, String>,
    resources: Resources,
    /// What of it no task uses.
    unused: Resources,
}

impl Row {
    fn of(agent: &AgentSummary, class: &Class, resources: &Resources) -> Option<Self> {
        let (last, wider) = class.reservations.split_last()?;
        let Reservation { role, kind, labels, .. } = last.clone();
        Some(Self {
            agent_id: agent.agent_id.clone(),
            hostname: agent.hostname.clone(),
            role,
            kind,
            refines: wider.iter().map(|reservation| reservation.role.clone()).collect(),
            labels,
            resources: resources.clone(),
            unused: agent.reserved_unused.of(class),
        })
    }
}

impl Listed for Row {
    const KIND: &'static str = "reservations";
    const COLUMNS: &'static [Column] = &[
        Column::always("AGENT"),
        Column::always("HOST"),
        Column::always("ROLE"),
        Column::always("KIND"),
        Column::always("RESOURCES"),
        Column::always("UNUSED"),
        Column::wide("REFINES"),
        Column::wide("LABELS"),
    ];

    fn cells(&self) -> Vec<String> {
        let refines: Vec<String> = self.refines.iter().map(ToString::to_string).collect();
        let labels: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let kind = match self.kind {
            ReservationKind::Static => "static",
            ReservationKind::Dynamic => "dynamic",
        };
        vec![
            self.agent_id.to_string(),
            self.hostname.clone(),
            self.role.to_string(),
            kind.to_owned(),
            self.resources.to_string(),
            self.unused.to_string(),
            refines.join(","),
            labels.join(";"),
        ]
    }

    fn id(&self) -> String {
        self.agent_id.to_string()
    }
}

/// Asks the master and prints the list.
pub(crate) async fn reservations(args: ReservationsArgs, environment: &Environment) -> Result<i32, Failure> {
    let agents = args.master.ask(environment, GetAgents {}).await?;
    let of_agent = |agent: &AgentSummary| -> Vec<Row> {
        agent.reserved.parts().filter_map(|(class, amounts)| Row::of(agent, class, amounts)).collect()
    };
    args.listing.print(&agents.iter().flat_map(of_agent).collect::<Vec<_>>(), environment)
}
