//! `odeon actor …`: messages to one actor, written as JSON.

use clap::{Args, Subcommand};
use odeon_executor::{Directory, DirectoryError};
use odeon_protocol::messages::hosted_actor::{CallActor, CallActorError, HostedActor};

use odeon_runtime::Endpoint;

use super::actors::OneActor;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{escaped, print};

/// Sends a message to an actor
#[derive(Debug, Args)]
pub(crate) struct ActorArgs {
    #[command(subcommand)]
    command: ActorCommand,
}

#[derive(Debug, Subcommand)]
enum ActorCommand {
    /// Sends a message, and prints the reply as JSON
    ///
    /// Example: odeon actor ask counter/0 '{"Add": {"amount": 2}}'
    Ask(CallArgs),
    /// Sends a message, and does not wait until it is handled
    Tell(CallArgs),
}

#[derive(Debug, Args)]
struct CallArgs {
    #[command(flatten)]
    one: OneActor,
    /// `{"Message": {…}}`, or `"Message"` if it has no fields; `odeon actors describe` shows which there are
    #[arg(value_name = "JSON")]
    message: String,
}

/// Does what was asked for.
pub(crate) async fn actor(args: ActorArgs, environment: &Environment) -> Result<i32, Failure> {
    let (CallArgs { one, message }, wait) = match args.command {
        ActorCommand::Ask(call) => (call, true),
        ActorCommand::Tell(call) => (call, false),
    };
    let master = one.master.or_default(environment)?;
    let node = environment.client_node().await?;
    let directory = Directory::at(&node, &master);
    let answer = directory.actor::<HostedActor>(one.name).send(CallActor { message, wait }).await;
    node.shut_down();
    let reply = answer.map_err(|error| failure(error, &master))?;
    let reply = reply.map_err(|error| Failure::new(exit_of(&error), error.to_string()))?;
    if wait {
        print(&format!("{}\n", escaped(&reply))).or_exit(Exit::WorkFailed)?;
    }
    Ok(Exit::Done.into())
}

/// What is wrong with the message is the user's; what befalls the actor is not.
fn exit_of(error: &CallActorError) -> Exit {
    match error {
        CallActorError::MailboxFull | CallActorError::Stopped | CallActorError::Unwritable { .. } => Exit::WorkFailed,
        _ => Exit::Usage,
    }
}

fn failure(error: DirectoryError, master: &Endpoint) -> Failure {
    match error {
        DirectoryError::Directory(cause) => crate::failure::not_answered(master, &cause),
        DirectoryError::NotFound(cause) => Failure::usage(format!("{cause}; see `odeon actors`")),
        DirectoryError::Failed { error, .. } if error.is_denied() => {
            Failure::new(Exit::NotPermitted, error.to_string())
        }
        other => Failure::new(Exit::NotReachable, other.to_string()),
    }
}
