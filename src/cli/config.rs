//! `odeon config show`: the configuration in force, and where each value came from.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::ConfigArgs;
use crate::app::Environment;
use crate::config::{AgentConfig, Entry, LocalConfig, MasterConfig, RoleConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, print, render};

/// Shows the configuration in force
#[derive(Debug, Args)]
pub(crate) struct ConfigCommandArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints every key of a role: defaults, file, environment and flags laid over each other
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The role
    #[arg(value_enum)]
    role: ShownRole,
    #[command(flatten)]
    config: ConfigArgs,
    /// Adds where each value came from
    #[arg(long)]
    origin: bool,
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShownRole {
    Master,
    Agent,
    Local,
}

/// A value without its origin.
#[derive(Serialize)]
struct Plain {
    key: String,
    value: String,
}

/// A value with its origin.
#[derive(Serialize)]
struct WithOrigin {
    key: String,
    value: String,
    origin: String,
}

impl Listed for Plain {
    const KIND: &'static str = "config";
    const COLUMNS: &'static [Column] = &[Column::always("KEY"), Column::always("VALUE")];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.value.clone()]
    }

    fn id(&self) -> String {
        self.key.clone()
    }
}

impl Listed for WithOrigin {
    const KIND: &'static str = "config";
    const COLUMNS: &'static [Column] = &[Column::always("KEY"), Column::always("VALUE"), Column::always("ORIGIN")];

    fn cells(&self) -> Vec<String> {
        vec![self.key.clone(), self.value.clone(), self.origin.clone()]
    }

    fn id(&self) -> String {
        self.key.clone()
    }
}

/// Prints the configuration.
pub(crate) fn config(args: ConfigCommandArgs, environment: &Environment) -> Result<i32, Failure> {
    let ConfigCommand::Show(show) = args.command;
    let entries = match show.role {
        ShownRole::Master => entries::<MasterConfig>(&show.config, environment)?,
        ShownRole::Agent => entries::<AgentConfig>(&show.config, environment)?,
        ShownRole::Local => entries::<LocalConfig>(&show.config, environment)?,
    };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    let text = if show.origin {
        let with_origin = |Entry { key, value, origin }| WithOrigin { key, value, origin: origin.to_string() };
        render(&entries.into_iter().map(with_origin).collect::<Vec<_>>(), show.output, style)
    } else {
        let plain = |Entry { key, value, .. }| Plain { key, value };
        render(&entries.into_iter().map(plain).collect::<Vec<_>>(), show.output, style)
    };
    print(&text.or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

fn entries<T: RoleConfig>(args: &ConfigArgs, environment: &Environment) -> Result<Vec<Entry>, Failure> {
    let loaded = load::<T>(args.config.as_deref(), &environment.variables, &args.flags()).or_exit(Exit::Usage)?;
    Ok(loaded.entries())
}
