//! `odeon framework …`: what can be done to one framework.

use clap::{Args, Subcommand};
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::operations::{ExplainFramework, TeardownFrameworkByOperator};

use super::explain::print_explanation;
use super::{MasterAddress, listing::ShowFormat};
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;

/// Acts on one framework
#[derive(Debug, Args)]
pub(crate) struct FrameworkArgs {
    #[command(subcommand)]
    command: FrameworkCommand,
}

#[derive(Debug, Subcommand)]
enum FrameworkCommand {
    /// Ends a framework with all its tasks and executors; its id is void then
    Teardown(OneFramework),
    /// Tells what a framework waits for, and why
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
struct OneFramework {
    /// The framework, as `odeon frameworks` shows it
    #[arg(value_name = "ID")]
    framework_id: FrameworkId,
    #[command(flatten)]
    master: MasterAddress,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    #[command(flatten)]
    one: OneFramework,
    /// The form of what is told
    #[arg(short, long, value_enum, default_value_t)]
    output: ShowFormat,
}

/// Does what was asked for.
pub(crate) async fn framework(args: FrameworkArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.command {
        FrameworkCommand::Teardown(one) => {
            let message = TeardownFrameworkByOperator { framework_id: one.framework_id.clone() };
            one.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
            print(&format!("ended {}\n", one.framework_id)).or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
        FrameworkCommand::Explain(ExplainArgs { one, output }) => {
            let message = ExplainFramework { framework_id: one.framework_id };
            let told = one.master.ask(environment, message).await?.or_exit(Exit::Usage)?;
            print_explanation("framework", &told, output)
        }
    }
}
