//! `odeon reserve|unreserve AGENT --role ROLE …`: keeps a part of an agent for a role, and ends that.

use clap::Args;
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_operator::{AgentSummary, GetAgents};
use odeon_protocol::messages::reservations::{ReservationError, ReserveResources, UnreserveResources};
use odeon_protocol::resources::{CPUS, Class, DISK, MEM, Resources, TypedResources};
use odeon_protocol::role::Role;

use super::{MasterAddress, key_value};
use crate::app::Environment;
use crate::config::ByteSize;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::roles::scalar;

/// Keeps a part of an agent for a role and the roles below it, over restarts of agent and master
///
/// What is offered to others is taken back; what a task uses is not. See `odeon reservations`.
///
/// Example: odeon reserve ID --role ads --cpus 2 --mem 4GiB
#[derive(Debug, Args)]
pub(crate) struct ReserveArgs {
    #[command(flatten)]
    part: PartArgs,
    /// Take it from what is reserved for this role, which is above
    #[arg(long, value_name = "ROLE")]
    from: Option<Role>,
    /// Words that are kept with it, for people; others make it another reservation
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    labels: Vec<(String, String)>,
}

/// Ends the reservation of a part of an agent that no task uses
///
/// Example: odeon unreserve ID --role ads --all
#[derive(Debug, Args)]
pub(crate) struct UnreserveArgs {
    #[command(flatten)]
    part: PartArgs,
    /// All that is reserved for the role and not used
    #[arg(long, conflicts_with_all = ["cpus", "mem", "disk", "resources"])]
    all: bool,
}

/// Which part of which agent, and for whom.
#[derive(Debug, Args)]
struct PartArgs {
    /// The agent, as `odeon agents` shows it
    #[arg(value_name = "ID")]
    agent_id: AgentId,
    /// For which role
    #[arg(long)]
    role: Role,
    /// Processors
    #[arg(long)]
    cpus: Option<f64>,
    /// Memory; a bare number counts MiB
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::from_mem)]
    mem: Option<ByteSize>,
    /// Disk; a bare number counts MiB
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::from_mem)]
    disk: Option<ByteSize>,
    /// Further resources, such as "ports:[31000-31001]"
    #[arg(long, value_name = "TEXT", default_value = "")]
    resources: Resources,
    #[command(flatten)]
    master: MasterAddress,
}

impl PartArgs {
    fn amounts(&self) -> Result<Resources, Failure> {
        let sizes = [("--mem", MEM, self.mem), ("--disk", DISK, self.disk)];
        let sizes = sizes.into_iter().filter_map(|(flag, name, size)| Some((flag, name, size?.mib())));
        let cpus = self.cpus.map(|cpus| ("--cpus", CPUS, cpus));
        cpus.into_iter().chain(sizes).try_fold(self.resources.clone(), |all, (flag, name, amount)| {
            let named = Resources::empty().with_scalar(name, scalar(flag, amount)?);
            all.checked_add(&named).map_err(|error| Failure::usage(format!("--resources: {error}")))
        })
    }

    async fn agent(&self, environment: &Environment) -> Result<AgentSummary, Failure> {
        let agents = self.master.ask(environment, GetAgents {}).await?;
        let found = agents.into_iter().find(|agent| agent.agent_id == self.agent_id);
        found.ok_or_else(|| ReservationError::UnknownAgent(self.agent_id.clone())).or_exit(Exit::Usage)
    }
}

/// So much of what is reserved for exactly this role and not used, or all of it, of the classes that are meant.
fn reserved_for(
    agent: &AgentSummary,
    role: &Role,
    wanted: Option<&Resources>,
    is_meant: impl Fn(&Class) -> bool,
) -> Result<TypedResources, Failure> {
    let theirs = agent.reserved_unused.parts().filter(|(class, _)| class.reserved_for() == Some(role));
    let (mut part, mut missing) = (TypedResources::empty(), wanted.cloned());
    for (class, amounts) in theirs.filter(|(class, _)| is_meant(class)) {
        let taken = missing.as_ref().map_or_else(|| amounts.clone(), |missing| amounts.common(missing));
        missing = missing.map(|missing| missing.checked_sub(&taken).expect("a common part is a part"));
        part = part.with(class.clone(), taken);
    }
    match missing.filter(|missing| !missing.is_empty()) {
        Some(missing) => Err(Failure::usage(format!(
            "agent {} has {missing} too little that is reserved for role {role}, not in use and not its own \
             configuration's: `odeon reservations` shows what is reserved",
            agent.agent_id
        ))),
        None => Ok(part),
    }
}

/// Reserves.
pub(crate) async fn reserve(args: ReserveArgs, environment: &Environment) -> Result<i32, Failure> {
    let ReserveArgs { part, from, labels } = args;
    let amounts = part.amounts()?;
    let resources = match &from {
        Some(from) => reserved_for(&part.agent(environment).await?, from, Some(&amounts), |_| true)?,
        None => amounts.into(),
    };
    let labels = labels.into_iter().collect();
    let text = resources.to_string();
    let message = ReserveResources { agent_id: part.agent_id.clone(), resources, role: part.role.clone(), labels };
    part.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
    print(&format!("reserved {text} of {} for {}\n", part.agent_id, part.role)).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// Unreserves.
pub(crate) async fn unreserve(args: UnreserveArgs, environment: &Environment) -> Result<i32, Failure> {
    let UnreserveArgs { part, all } = args;
    let amounts = part.amounts()?;
    let agent = part.agent(environment).await?;
    let resources = reserved_for(&agent, &part.role, (!all).then_some(&amounts), Class::is_dynamic)?;
    let text = resources.to_string();
    let message = UnreserveResources { agent_id: part.agent_id.clone(), resources };
    part.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
    print(&format!("unreserved {text} of {}\n", part.agent_id)).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}
