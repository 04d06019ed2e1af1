//! The command line: what can be typed, and which file does it. One command a file.
//!
//! No command decides anything about the cluster here; each one asks the master or starts roles.

mod actor;
mod actor_list;
mod actors;
mod age;
mod agent;
mod agent_changes;
mod agents;
mod allocate;
mod bench;
mod cert;
mod config;
mod deploy;
mod deployment;
mod deployment_plan;
mod deployments;
mod evaluate;
mod executor;
mod explain;
mod figures;
mod folds_report;
mod framework;
mod frameworks;
mod grid;
mod grid_report;
mod health;
mod listing;
mod local;
mod master;
mod master_address;
mod members;
mod models;
mod predict;
mod progress;
mod reservations;
mod reserve;
mod role;
mod role_quota;
mod roles;
mod room;
mod run;
mod run_directory;
mod simulate;
mod simulate_training;
mod task;
mod task_output;
mod tasks;
mod train;
mod train_settings;
mod training_report;
mod trials;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::app::Environment;
use crate::failure::Failure;
use crate::logging::LogFormat;

pub(crate) use bench::Nothing;
pub(crate) use master_address::MasterAddress;

const EXIT_CODES: &str = "Exit codes: 0 done, 1 the work failed (`run` passes the command's own code through), \
    2 usage, configuration or bad input, 3 not reachable, 4 not permitted, 5 not placed, 6 did not converge, \
    130 interrupted.";

/// A cluster of typed actors: runs commands, services and training jobs on one machine or many
#[derive(Debug, Parser)]
#[command(name = "odeon", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What an agent types to start an executor, and nothing else. Describing all that can be typed, only to read this
    /// one word, would take a quarter of the start of an executor.
    pub(crate) fn of_executor(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        let is_executor = arguments.nth(1).is_some_and(|word| word == "executor") && arguments.next().is_none();
        let command = Command::Executor(executor::ExecutorArgs {});
        is_executor.then(|| Self { log: LogArgs::default(), tls: TlsArgs::default(), command })
    }
}

/// How the log on standard error is written.
#[derive(Debug, Default, Args)]
pub(crate) struct LogArgs {
    /// What is logged: a level, or target=level, separated by commas [default: warn, or ODEON_LOG]
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// The form of log lines
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) log_format: LogFormat,
}

/// What this process proves who it is with.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Credentials")]
pub(crate) struct TlsArgs {
    /// The certificate of the cluster's authority [default: ODEON_TLS__CA; without, this host only]
    #[arg(long, global = true, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The certificate of this process [default: ODEON_TLS__CERT]
    #[arg(long, global = true, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its key [default: ODEON_TLS__KEY]
    #[arg(long, global = true, value_name = "FILE")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Vec<(&'static str, String)> {
        let given = [("ca", &self.tls_ca), ("cert", &self.tls_cert), ("key", &self.tls_key)];
        given.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?.display().to_string()))).collect()
    }
}

/// A configuration file and single values over it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file; see config/ for commented ones
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key over file and environment
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The single values as the configuration takes them.
    pub(crate) fn flags(&self) -> Vec<(&str, String)> {
        self.set.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is not of the form KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Train(train::TrainArgs),
    Predict(predict::PredictArgs),
    Evaluate(evaluate::EvaluateArgs),
    Models(models::ModelsArgs),
    Local(local::LocalArgs),
    Run(Box<run::RunArgs>),
    Tasks(tasks::TasksArgs),
    Task(task::TaskArgs),
    Deploy(deploy::DeployArgs),
    Deployments(deployments::DeploymentsArgs),
    Deployment(deployment::DeploymentArgs),
    Actors(actors::ActorsArgs),
    Actor(actor::ActorArgs),
    Agents(agents::AgentsArgs),
    Members(members::MembersArgs),
    Frameworks(frameworks::FrameworksArgs),
    Framework(framework::FrameworkArgs),
    Role(role::RoleArgs),
    Roles(roles::RolesArgs),
    Reserve(reserve::ReserveArgs),
    Unreserve(reserve::UnreserveArgs),
    Reservations(reservations::ReservationsArgs),
    Master(master::MasterArgs),
    Agent(agent::AgentArgs),
    Simulate(simulate::SimulateArgs),
    SimulateTraining(simulate_training::SimulateTrainingArgs),
    Config(config::ConfigCommandArgs),
    Cert(cert::CertArgs),
    Bench(bench::BenchArgs),
    Allocate(allocate::AllocateArgs),
    #[command(hide = true)]
    Executor(executor::ExecutorArgs),
}

impl Command {
    /// Does the command; the result is the exit code, which is the work's own for `run`.
    pub(crate) async fn perform(self, environment: &Environment) -> Result<i32, Failure> {
        match self {
            Self::Train(args) => train::train(args, environment).await,
            Self::Predict(args) => predict::predict(&args, environment),
            Self::Evaluate(args) => evaluate::evaluate(&args, environment),
            Self::Models(args) => models::models(&args, environment),
            Self::Local(args) => local::local(args, environment).await,
            Self::Run(args) => run::run(*args, environment).await,
            Self::Tasks(args) => tasks::tasks(args, environment).await,
            Self::Task(args) => task::task(args, environment).await,
            Self::Deploy(args) => deploy::deploy(args, environment).await,
            Self::Deployments(args) => deployments::deployments(args, environment).await,
            Self::Deployment(args) => deployment::deployment(args, environment).await,
            Self::Actors(args) => actors::actors(args, environment).await,
            Self::Actor(args) => actor::actor(args, environment).await,
            Self::Agents(args) => agents::agents(args, environment).await,
            Self::Members(args) => members::members(args, environment).await,
            Self::Frameworks(args) => frameworks::frameworks(args, environment).await,
            Self::Framework(args) => framework::framework(args, environment).await,
            Self::Role(args) => role::role(args, environment).await,
            Self::Roles(args) => roles::roles(args, environment).await,
            Self::Reserve(args) => reserve::reserve(args, environment).await,
            Self::Unreserve(args) => reserve::unreserve(args, environment).await,
            Self::Reservations(args) => reservations::reservations(args, environment).await,
            Self::Master(args) => master::master(args, environment).await,
            Self::Agent(args) => agent::agent(args, environment).await,
            Self::Simulate(args) => simulate::simulate_clusters(args, environment),
            Self::SimulateTraining(args) => simulate_training::simulate_training(&args, environment),
            Self::Config(args) => config::config(args, environment),
            Self::Cert(args) => cert::cert(args),
            Self::Bench(args) => bench::bench(args, environment).await,
            Self::Allocate(args) => allocate::allocate(&args, environment),
            Self::Executor(args) => executor::executor(args, environment).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_an_agent_types_is_read_as_the_command_line_reads_it() {
        let of_executor = |words: &[&str]| Cli::of_executor(words.iter().map(OsString::from));
        let (short, long) = (of_executor(&["odeon", "executor"]), Cli::try_parse_from(["odeon", "executor"]));
        assert_eq!(format!("{:?}", short.expect("it is known")), format!("{:?}", long.expect("it is known")));
        for others in [&["odeon"][..], &["odeon", "run"], &["odeon", "executor", "--help"], &["executor"]] {
            assert!(of_executor(others).is_none(), "{others:?}");
        }
    }
}
