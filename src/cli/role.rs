//! `odeon role …`: what can be done to one role.

use clap::{Args, Subcommand};
use odeon_protocol::messages::master_operator::{GetRoles, RoleSummary};
use odeon_protocol::messages::operations::{SetRolePriority, SetRoleWeight};
use odeon_protocol::role::Role;
use serde::Serialize;

use super::MasterAddress;
use super::listing::ListingArgs;
use super::role_quota::{QuotaCommand, quota};
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Listed, print};
use crate::roles::scalar;

/// Acts on one role
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    #[command(subcommand)]
    command: RoleCommand,
}

#[derive(Debug, Subcommand)]
enum RoleCommand {
    /// Weights: the share of a role relative to others
    #[command(subcommand)]
    Weight(WeightCommand),
    /// Priorities: whether a role may take back what others hold
    #[command(subcommand)]
    Priority(PriorityCommand),
    /// Quotas: what a role is guaranteed, and what it has at most
    #[command(subcommand)]
    Quota(QuotaCommand),
}

#[derive(Debug, Subcommand)]
enum WeightCommand {
    /// Sets the weight of a role from now on, over restarts of the master
    Set(SetArgs),
    /// Lists the weights
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
enum PriorityCommand {
    /// Sets the priority of a role, and of those below it that have none of their own, over restarts of the master
    Set(SetPriorityArgs),
    /// Lists the priorities
    List(ListArgs),
}

#[derive(Debug, Args)]
struct SetPriorityArgs {
    /// The role
    #[arg(value_name = "ROLE")]
    role: Role,
    /// Its priority; above 0 it takes back from roles of a lower one
    #[arg(value_name = "PRIORITY")]
    priority: u32,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// The role
    #[arg(value_name = "ROLE")]
    role: Role,
    /// Its weight, above 0; a role for which none is set weighs 1
    #[arg(value_name = "WEIGHT")]
    weight: f64,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// The weight of a role as it is listed.
#[derive(Serialize)]
struct Row {
    role: Role,
    weight: f64,
}

impl From<RoleSummary> for Row {
    fn from(role: RoleSummary) -> Self {
        Self { role: role.role, weight: role.weight }
    }
}

impl Listed for Row {
    const KIND: &'static str = "weights";
    const COLUMNS: &'static [Column] = &[Column::always("ROLE"), Column::always("WEIGHT")];

    fn cells(&self) -> Vec<String> {
        vec![self.role.to_string(), self.weight.to_string()]
    }

    fn id(&self) -> String {
        self.role.to_string()
    }
}

/// The priority of a role as it is listed.
#[derive(Serialize)]
struct PriorityRow {
    role: Role,
    priority: u32,
}

impl From<RoleSummary> for PriorityRow {
    fn from(role: RoleSummary) -> Self {
        Self { role: role.role, priority: role.priority }
    }
}

impl Listed for PriorityRow {
    const KIND: &'static str = "priorities";
    const COLUMNS: &'static [Column] = &[Column::always("ROLE"), Column::always("PRIORITY")];

    fn cells(&self) -> Vec<String> {
        vec![self.role.to_string(), self.priority.to_string()]
    }

    fn id(&self) -> String {
        self.role.to_string()
    }
}

/// Does what was asked for.
pub(crate) async fn role(args: RoleArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.command {
        RoleCommand::Weight(command) => weight(command, environment).await,
        RoleCommand::Priority(command) => priority(command, environment).await,
        RoleCommand::Quota(command) => quota(command, environment).await,
    }
}

async fn priority(command: PriorityCommand, environment: &Environment) -> Result<i32, Failure> {
    match command {
        PriorityCommand::Set(SetPriorityArgs { role, priority, master }) => {
            master.ask(environment, SetRolePriority { role: role.clone(), priority }).await?;
            print(&format!("role {role} has priority {priority}\n")).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
        PriorityCommand::List(ListArgs { master, listing }) => {
            let roles = master.ask(environment, GetRoles {}).await?;
            listing.print(&roles.into_iter().map(PriorityRow::from).collect::<Vec<_>>(), environment)
        }
    }
}

async fn weight(command: WeightCommand, environment: &Environment) -> Result<i32, Failure> {
    match command {
        WeightCommand::Set(SetArgs { role, weight, master }) => {
            let message = SetRoleWeight { role: role.clone(), weight: scalar("WEIGHT", weight)? };
            master.ask(environment, message).await?.or_exit(Exit::Usage)?;
            print(&format!("role {role} weighs {weight}\n")).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
        WeightCommand::List(ListArgs { master, listing }) => {
            let roles = master.ask(environment, GetRoles {}).await?;
            listing.print(&roles.into_iter().map(Row::from).collect::<Vec<_>>(), environment)
        }
    }
}
