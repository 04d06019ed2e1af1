//! `odeon task …`: what can be done to one task.

use clap::{Args, Subcommand};
use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::messages::master_operator::{GetTasks, KillTaskByOperator, TaskSummary};
use odeon_protocol::messages::operations::{ExplainError, ExplainTask};
use odeon_protocol::task::StatusReason;

use super::explain::print_explanation;
use super::listing::{ShowFormat, lines};
use super::{MasterAddress, age};
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{document, print};

/// Acts on one task
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Ends a task: asks it first, kills it after its grace
    Kill(OneTask),
    /// Tells what a task waits for, and why
    Explain(ShowArgs),
    /// Shows all that the master knows of a task
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct OneTask {
    /// The task, as `odeon tasks` shows it
    #[arg(value_name = "ID")]
    task_id: TaskId,
    /// Its framework, where several have a task of that id
    #[arg(long, value_name = "ID")]
    framework: Option<FrameworkId>,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct ShowArgs {
    #[command(flatten)]
    one: OneTask,
    /// The form of what is told
    #[arg(short, long, value_enum, default_value_t)]
    output: ShowFormat,
}

/// Does what was asked for.
pub(crate) async fn task(args: TaskArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.command {
        TaskCommand::Kill(one) => kill(one, environment).await,
        TaskCommand::Explain(ShowArgs { one, output }) => {
            let message = ExplainTask { task_id: one.task_id, framework_id: one.framework };
            let told = one.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
            print_explanation("task", &told, output)
        }
        TaskCommand::Show(args) => show(args, environment).await,
    }
}

async fn kill(one: OneTask, environment: &Environment) -> Result<i32, Failure> {
    let command = KillTaskByOperator { task_id: one.task_id.clone(), framework_id: one.framework.clone() };
    one.master.ask(environment, command).await?.or_exit(Exit::Usage)?;
    print(&format!("killing {}\n", one.task_id)).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn show(args: ShowArgs, environment: &Environment) -> Result<i32, Failure> {
    let ShowArgs { one, output } = args;
    let tasks = one.master.ask(environment, GetTasks { framework_id: one.framework.clone() }).await?;
    let mut found = tasks.into_iter().filter(|task| task.task_id == one.task_id);
    let task = match (found.next(), found.next()) {
        (Some(task), None) => Ok(task),
        (Some(_), Some(_)) => Err(ExplainError::AmbiguousTask(one.task_id)),
        (None, _) => Err(ExplainError::UnknownTask(one.task_id)),
    }
    .or_exit(Exit::Usage)?;
    let text = match output {
        ShowFormat::Text => lines(&facts_of(&task)),
        ShowFormat::Json => document("task", &task).or_exit(Exit::WorkFailed)?,
    };
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

fn facts_of(task: &TaskSummary) -> Vec<(&'static str, String)> {
    vec![
        ("task", task.task_id.to_string()),
        ("name", task.name.clone()),
        ("framework", format!("{} ({})", task.framework_id, task.framework_name)),
        ("role", task.role.to_string()),
        ("agent", task.agent_id.to_string()),
        ("host", task.hostname.clone()),
        ("state", task.state.name().to_owned()),
        ("reason", task.reason.map(StatusReason::name).unwrap_or_default().to_owned()),
        ("message", task.message.clone()),
        ("resources", task.resources.to_string()),
        ("launched", age::since(task.launched_ms)),
        ("changed", age::since(task.updated_ms)),
    ]
}
