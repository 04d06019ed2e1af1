//! `odeon role quota set|show|remove`: what a role is guaranteed, and what it has at most.

use clap::{Args, Subcommand};
use odeon_protocol::messages::quota::{
    Amounts, GetRoleQuotas, RemoveRoleQuota, RoleQuota, RoleQuotaError, RoleQuotaSummary, SetRoleQuota,
};
use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;
use serde::Serialize;

use super::MasterAddress;
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Listed, print};

/// What is done to quotas.
#[derive(Debug, Subcommand)]
pub(super) enum QuotaCommand {
    /// Sets the whole quota of a role from now on, over restarts of the master
    ///
    /// Example: odeon role quota set ads --guarantee cpus=8,mem=16384 --limit cpus=32
    Set(SetArgs),
    /// Shows the quotas, and what is consumed of them
    Show(ShowArgs),
    /// Ends the quota of a role
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The role; its quota holds for all roles below it as well
    #[arg(value_name = "ROLE")]
    role: Role,
    /// What is held back for it; mem and disk are in MiB
    #[arg(long, value_name = "NAME=AMOUNT,…", value_parser = amounts)]
    guarantee: Option<Named>,
    /// What it has at most; 0 gives it nothing, what is not named is not limited
    #[arg(long, value_name = "NAME=AMOUNT,…", value_parser = amounts)]
    limit: Option<Named>,
    /// Set it though the agents have less than is guaranteed, or the role uses more than the limit
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Only of this role
    #[arg(value_name = "ROLE")]
    role: Option<Role>,
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// The role
    #[arg(value_name = "ROLE")]
    role: Role,
    #[command(flatten)]
    master: MasterAddress,
}

/// Amounts as they are typed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named(Amounts);

/// Reads `cpus=4,mem=8192`.
fn amounts(text: &str) -> Result<Named, String> {
    let mut amounts = Amounts::new();
    for entry in text.split(',') {
        let no_entry = || format!("`{entry}` is not of the form NAME=AMOUNT, as in cpus=4,mem=8192");
        let (name, amount) = entry.split_once('=').ok_or_else(no_entry)?;
        let (name, amount) = (name.trim(), amount.trim());
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(no_entry());
        }
        let amount: Scalar = amount.parse().map_err(|()| {
            format!("`{amount}` is not an amount of {name}: a number from 0 with at most three decimals is wanted")
        })?;
        if amounts.insert(name.to_owned(), amount).is_some() {
            return Err(format!("`{name}` is given twice"));
        }
    }
    Ok(Named(amounts))
}

/// The quota of a role as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(RoleQuotaSummary);

impl Listed for Row {
    const KIND: &'static str = "quotas";
    const COLUMNS: &'static [Column] =
        &[Column::always("ROLE"), Column::always("GUARANTEE"), Column::always("LIMIT"), Column::always("CONSUMED")];

    fn cells(&self) -> Vec<String> {
        let RoleQuotaSummary { role, quota, consumed } = &self.0;
        vec![role.to_string(), worded(&quota.guarantees), worded(&quota.limits), worded(consumed)]
    }

    fn id(&self) -> String {
        self.0.role.to_string()
    }
}

/// Amounts as they can be typed again.
fn worded(amounts: &Amounts) -> String {
    let entries: Vec<String> = amounts.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
    entries.join(",")
}

/// Does what was asked for.
pub(super) async fn quota(command: QuotaCommand, environment: &Environment) -> Result<i32, Failure> {
    match command {
        QuotaCommand::Set(args) => set(args, environment).await,
        QuotaCommand::Show(args) => show(args, environment).await,
        QuotaCommand::Remove(RemoveArgs { role, master }) => {
            master.ask(environment, RemoveRoleQuota { role: role.clone() }).await?.or_exit(Exit::Usage)?;
            print(&format!("role {role} has no quota any more\n")).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
    }
}

async fn set(args: SetArgs, environment: &Environment) -> Result<i32, Failure> {
    let SetArgs { role, guarantee, limit, force, master } = args;
    let given = |named: Option<Named>| named.map(|named| named.0).unwrap_or_default();
    let quota = RoleQuota { guarantees: given(guarantee), limits: given(limit) };
    let message = SetRoleQuota { role: role.clone(), quota, force };
    master.ask(environment, message).await?.or_exit(Exit::Usage)?;
    print(&format!("the quota of role {role} is set\n")).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<i32, Failure> {
    let ShowArgs { role, master, listing } = args;
    let mut quotas = master.ask(environment, GetRoleQuotas {}).await?;
    if let Some(role) = role {
        quotas.retain(|listed| listed.role == role);
        if quotas.is_empty() {
            return Err(RoleQuotaError::NotSet(role)).or_exit(Exit::Usage);
        }
    }
    listing.print(&quotas.into_iter().map(Row).collect::<Vec<_>>(), environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_named_and_can_be_typed_again() {
        let Named(read) = amounts("mem=512, cpus=1.5,disk=0").unwrap();
        assert_eq!(worded(&read), "cpus=1.5,disk=0,mem=512");
    }

    #[test]
    fn what_is_no_amount_is_named() {
        for (text, fault) in [
            ("cpus", "`cpus` is not of the form"),
            ("", "`` is not of the form"),
            ("cpus=1,,mem=2", "`` is not of the form"),
            ("=1", "`=1` is not of the form"),
            ("cpus=-1", "`-1` is not an amount of cpus"),
            ("cpus=1,cpus=2", "`cpus` is given twice"),
        ] {
            let refused = amounts(text).unwrap_err();
            assert!(refused.starts_with(fault), "{refused}");
        }
    }
}
