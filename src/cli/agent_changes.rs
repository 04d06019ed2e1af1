//! `odeon agent drain|deactivate|reactivate|gone|show ID`: what an operator does to one agent.

use clap::{Args, Subcommand};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::master_operator::{AgentSummary, GetAgents, MasterForOperators};
use odeon_protocol::messages::operations::{
    AgentChangeError, DeactivateAgent, DrainAgent, MarkAgentGone, ReactivateAgent,
};
use odeon_protocol::wire::{Accepts, RemoteMessage};

use super::{MasterAddress, age, listing};
use crate::app::Environment;
use crate::config::HumanDuration;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{document, print};

/// What is done to an agent of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentChange {
    /// Ends all tasks of an agent and offers it no more, until it is reactivated
    ///
    /// Example: odeon agent drain ID --reason "new disk" --grace 30s
    Drain(DrainArgs),
    /// Makes no more offers of an agent; its tasks run on
    Deactivate(OneAgent),
    /// Offers a deactivated or drained agent again
    Reactivate(OneAgent),
    /// Declares that an agent never comes back: its tasks have ended, its id is void
    Gone(OneAgent),
    /// Shows all that the master knows of an agent
    Show(ShowArgs),
}

/// An agent and the master that knows it.
#[derive(Debug, Args)]
pub(crate) struct OneAgent {
    /// The agent, as `odeon agents` shows it
    #[arg(value_name = "ID")]
    agent_id: AgentId,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    one: OneAgent,
    /// Why, for those who look at the agent
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The longest that a task has to end, whatever its own grace
    #[arg(long, value_name = "DURATION")]
    grace: Option<HumanDuration>,
    /// Declare the agent gone once it is empty
    #[arg(long)]
    mark_gone: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    one: OneAgent,
    /// The form of what is shown
    #[arg(short, long, value_enum, default_value_t)]
    output: listing::ShowFormat,
}

/// Does what was asked for.
pub(crate) async fn change_agent(change: AgentChange, environment: &Environment) -> Result<i32, Failure> {
    match change {
        AgentChange::Drain(args) => drain(args, environment).await,
        AgentChange::Deactivate(one) => {
            let agent_id = one.agent_id.clone();
            ask(&one, DeactivateAgent { agent_id }, "deactivated", environment).await
        }
        AgentChange::Reactivate(one) => {
            let agent_id = one.agent_id.clone();
            ask(&one, ReactivateAgent { agent_id }, "reactivated", environment).await
        }
        AgentChange::Gone(one) => {
            let agent_id = one.agent_id.clone();
            ask(&one, MarkAgentGone { agent_id }, "gone", environment).await
        }
        AgentChange::Show(args) => show(args, environment).await,
    }
}

async fn drain(args: DrainArgs, environment: &Environment) -> Result<i32, Failure> {
    let DrainArgs { one, reason, grace, mark_gone } = args;
    let message =
        DrainAgent { agent_id: one.agent_id.clone(), reason, grace_max: grace.map(HumanDuration::get), mark_gone };
    ask(&one, message, "draining", environment).await
}

async fn ask<M>(one: &OneAgent, message: M, done: &str, environment: &Environment) -> Result<i32, Failure>
where
    M: RemoteMessage<Result = Result<(), AgentChangeError>>,
    MasterForOperators: Accepts<M>,
{
    one.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
    print(&format!("{done} {}\n", one.agent_id)).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<i32, Failure> {
    let ShowArgs { one, output } = args;
    let agents = one.master.ask(environment, GetAgents {}).await?;
    let found = agents.into_iter().find(|agent| agent.agent_id == one.agent_id);
    let unknown = || AgentChangeError::Unknown(one.agent_id.clone());
    let agent = found.ok_or_else(unknown).or_exit(Exit::Usage)?;
    let text = match output {
        listing::ShowFormat::Text => listing::lines(&facts_of(&agent)),
        listing::ShowFormat::Json => document("agent", &agent).or_exit(Exit::WorkFailed)?,
    };
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

fn facts_of(agent: &AgentSummary) -> Vec<(&'static str, String)> {
    let attributes: Vec<String> = agent.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let mut facts = vec![
        ("agent", agent.agent_id.to_string()),
        ("host", agent.hostname.clone()),
        ("endpoint", agent.endpoint.clone()),
        ("state", agent.state.name().to_owned()),
        ("tasks", agent.active_tasks.to_string()),
        ("total", agent.total.to_string()),
        ("reserved", agent.reserved.to_string()),
        ("used", agent.used.to_string()),
        ("offered", agent.offered.to_string()),
        ("attributes", attributes.join(";")),
        ("registered", age::since(agent.registered_ms)),
    ];
    if let Some(drain) = &agent.drain {
        let grace = drain.grace_max.map(|grace| HumanDuration::from(grace).to_string());
        facts.push(("drain since", age::since(drain.begun_ms)));
        facts.push(("drain reason", drain.reason.clone()));
        facts.push(("drain grace", grace.unwrap_or_else(|| "that of each task".to_owned())));
        facts.push(("then gone", if drain.mark_gone { "yes" } else { "no" }.to_owned()));
    }
    facts
}
