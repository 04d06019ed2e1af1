//! `odeon task …`: what can be done to one task.

use clap::{Args, Subcommand};
use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::messages::master_operator::KillTaskByOperator;

use super::MasterAddress;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;

/// Acts on one task
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Ends a task: asks it first, kills it after its grace
    Kill(KillArgs),
}

#[derive(Debug, Args)]
struct KillArgs {
    /// The task, as `odeon tasks` shows it
    #[arg(value_name = "ID")]
    task_id: TaskId,
    /// Its framework, where several have a task of that id
    #[arg(long, value_name = "ID")]
    framework: Option<FrameworkId>,
    #[command(flatten)]
    master: MasterAddress,
}

/// Does what was asked for.
pub(crate) async fn task(args: TaskArgs, environment: &Environment) -> Result<i32, Failure> {
    let TaskCommand::Kill(kill) = args.command;
    let command = KillTaskByOperator { task_id: kill.task_id.clone(), framework_id: kill.framework.clone() };
    kill.master.ask(environment, command).await?.or_exit(Exit::Usage)?;
    print(&format!("killing {}\n", kill.task_id)).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}
