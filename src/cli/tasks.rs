//! `odeon tasks`: lists the tasks of a cluster.

use clap::Args;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::master_operator::{GetTasks, TaskSummary};
use odeon_protocol::task::StatusReason;
use serde::Serialize;

use super::listing::ListingArgs;
use super::{MasterAddress, age};
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Lists the tasks, those that ended included, in the order of their launch
#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
    /// Only tasks of this framework
    #[arg(long, value_name = "ID")]
    framework: Option<FrameworkId>,
    /// Only tasks that have not ended
    #[arg(long)]
    active: bool,
}

/// A task as it is listed.
#[derive(Serialize)]
#[serde(transparent)]
struct Row(TaskSummary);

impl Listed for Row {
    const KIND: &'static str = "tasks";
    const COLUMNS: &'static [Column] = &[
        Column::always("TASK"),
        Column::always("NAME"),
        Column::always("STATE"),
        Column::always("AGENT"),
        Column::wide("HOST"),
        Column::wide("FRAMEWORK"),
        Column::wide("ROLE"),
        Column::wide("RESOURCES"),
        Column::wide("LAUNCHED"),
        Column::wide("REASON"),
        Column::wide("MESSAGE"),
    ];

    fn cells(&self) -> Vec<String> {
        let task = &self.0;
        vec![
            task.task_id.to_string(),
            task.name.clone(),
            task.state.name().to_owned(),
            task.agent_id.to_string(),
            task.hostname.clone(),
            task.framework_name.clone(),
            task.role.to_string(),
            task.resources.to_string(),
            age::since(task.launched_ms),
            task.reason.map(StatusReason::name).unwrap_or_default().to_owned(),
            task.message.clone(),
        ]
    }

    fn id(&self) -> String {
        self.0.task_id.to_string()
    }
}

/// Asks the master and prints the list.
pub(crate) async fn tasks(args: TasksArgs, environment: &Environment) -> Result<i32, Failure> {
    let tasks = args.master.ask(environment, GetTasks { framework_id: args.framework.clone() }).await?;
    let wanted = tasks.into_iter().filter(|task| !args.active || !task.state.is_terminal());
    args.listing.print(&wanted.map(Row).collect::<Vec<_>>(), environment)
}
