//! `odeon executor`: what an agent starts; not for people.

use clap::Args;
use odeon_executor::{ExecutorSettings, run_executor};

use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// Runs the tasks of one framework on one agent; started by the agent
#[derive(Debug, Args)]
pub(crate) struct ExecutorArgs {}

/// Runs the executor until its agent or its work ends it.
pub(crate) async fn executor(_: ExecutorArgs, environment: &Environment) -> Result<i32, Failure> {
    let settings = ExecutorSettings::from_environment(&environment.variables).or_exit(Exit::Usage)?;
    let end =
        run_executor(settings, environment.tasks.clone(), environment.transport()?).await.or_exit(Exit::WorkFailed)?;
    tracing::info!(?end, "the executor has ended");
    Ok(Exit::Done.into())
}
