//! `odeon actors`: lists deployed actors, and what is done to one by the deployer.

use clap::{Args, Subcommand};
use odeon_executor::Directory;
use odeon_protocol::messages::deployments::{ActorState, ActorSummary, GetActors, StartActor, StopActor};
use odeon_protocol::messages::hosted_actor::{DescribeActor, HostedActor};
use odeon_runtime::Peer;
use serde::Serialize;

use super::MasterAddress;
use super::actor_list::{LinksArgs, ListArgs, links, list};
use super::listing::{ShowFormat, lines};
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{document, escaped, print};

/// Lists the deployed actors, or acts on one
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ActorsArgs {
    #[command(subcommand)]
    command: Option<ActorsCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum ActorsCommand {
    /// Lists the actors (the default)
    List(ListArgs),
    /// Lists the links of the nodes on which actors are, and of the master's: traffic, queues, round trips
    Links(LinksArgs),
    /// Shows the actors below their deployments
    Tree(TreeArgs),
    /// Shows all that is known of an actor, with the messages that it takes
    Describe(DescribeArgs),
    /// Ends an actor; it stays ended until it is started
    Stop(OneActor),
    /// Starts an actor that was stopped, has finished, or was given up
    Start(OneActor),
}

#[derive(Debug, Args)]
struct TreeArgs {
    #[command(flatten)]
    master: MasterAddress,
}

/// One actor, by name.
#[derive(Debug, Args)]
pub(super) struct OneActor {
    /// The actor, as `odeon actors` shows it
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) master: MasterAddress,
}

#[derive(Debug, Args)]
struct DescribeArgs {
    #[command(flatten)]
    one: OneActor,
    /// The form of what is told
    #[arg(short, long, value_enum, default_value_t)]
    output: ShowFormat,
}

/// An actor with what its host knows.
#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    actor: ActorSummary,
    /// The wire names that it takes, if it runs.
    messages: Option<Vec<String>>,
}

/// Does what was asked for.
pub(crate) async fn actors(args: ActorsArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.command.unwrap_or(ActorsCommand::List(args.list)) {
        ActorsCommand::List(args) => list(args, environment).await,
        ActorsCommand::Links(args) => links(args, environment).await,
        ActorsCommand::Tree(TreeArgs { master }) => {
            let all = master.ask_deployer(environment, GetActors { deployment: None, actor_type: None }).await?;
            done(&tree(&all))
        }
        ActorsCommand::Describe(args) => describe(args, environment).await,
        ActorsCommand::Stop(OneActor { name, master }) => {
            master.ask_deployer(environment, StopActor { actor: name.clone() }).await?.or_exit(Exit::Usage)?;
            done(&format!("stopping {name}\n"))
        }
        ActorsCommand::Start(OneActor { name, master }) => {
            master.ask_deployer(environment, StartActor { actor: name.clone() }).await?.or_exit(Exit::Usage)?;
            done(&format!("starting {name}\n"))
        }
    }
}

fn done(text: &str) -> Result<i32, Failure> {
    print(text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// Deployments, and below each its actors; they come in the order of their names.
fn tree(actors: &[ActorSummary]) -> String {
    let deployment = |actor: &ActorSummary| actor.name.rsplit_once('/').map(|(name, _)| name.to_owned());
    let mut text = String::new();
    let mut above = None;
    for actor in actors {
        if deployment(actor) != above {
            above = deployment(actor);
            let name = above.as_deref().unwrap_or_default();
            text += &format!("{}  {}\n", escaped(name), escaped(&actor.actor_type));
        }
        let host = actor.hostname.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
        text += &format!("  {}  {}{}\n", escaped(&actor.name), actor.state.name(), escaped(&host));
    }
    text
}

async fn describe(args: DescribeArgs, environment: &Environment) -> Result<i32, Failure> {
    let DescribeArgs { one: OneActor { name, master }, output } = args;
    let all = master.ask_deployer(environment, GetActors { deployment: None, actor_type: None }).await?;
    let found = all.into_iter().find(|actor| actor.name == name);
    let actor = found.ok_or_else(|| Failure::usage(format!("there is no actor {name}; see `odeon actors`")))?;
    let messages = match actor.state {
        ActorState::Running => Some(messages(&name, &master, environment).await?),
        _ => None,
    };
    done(&match output {
        ShowFormat::Text => lines(&facts(&actor, messages.as_deref())),
        ShowFormat::Json => document("actor", &Described { actor, messages }).or_exit(Exit::WorkFailed)?,
    })
}

async fn messages(name: &str, master: &MasterAddress, environment: &Environment) -> Result<Vec<String>, Failure> {
    let node = environment.client_node().await?;
    let directory = Directory::at(&node, &master.or_default(environment)?);
    let peer: Peer<HostedActor> = directory.find(name).await.or_exit(Exit::NotReachable)?;
    let described = peer.send(DescribeActor {}).await;
    node.shut_down();
    Ok(described.or_exit(Exit::NotReachable)?.messages)
}

fn facts(actor: &ActorSummary, messages: Option<&[String]>) -> Vec<(&'static str, String)> {
    let location = actor.location.as_ref();
    vec![
        ("name", actor.name.clone()),
        ("type", actor.actor_type.clone()),
        ("state", actor.state.name().to_owned()),
        ("host", actor.hostname.clone().unwrap_or_default()),
        ("endpoint", location.map(|location| location.endpoint.clone()).unwrap_or_default()),
        ("node", location.map(|location| location.node.clone()).unwrap_or_default()),
        ("task", actor.task_id.clone().unwrap_or_default()),
        ("restarts", actor.restarts.to_string()),
        ("message", actor.message.clone()),
        ("takes", messages.map(|names| names.join(", ")).unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_actors_below_their_deployments() {
        let actor = |name: &str, hostname: Option<&str>| ActorSummary {
            name: name.into(),
            actor_type: "t".into(),
            state: if hostname.is_some() { ActorState::Running } else { ActorState::Waiting },
            hostname: hostname.map(str::to_owned),
            task_id: None,
            location: None,
            restarts: 0,
            message: String::new(),
        };
        let text = tree(&[actor("a/0", Some("h1")), actor("a/1", None), actor("b/0", Some("h2"))]);
        assert_eq!(text, "a  t\n  a/0  running on h1\n  a/1  waiting\nb  t\n  b/0  running on h2\n");
    }
}
