//! `odeon agent`: one agent, in the foreground; and, by a further word, what is done to an agent of the cluster.

use clap::Args;
use odeon_agent::AgentEnd;

use super::ConfigArgs;
use super::agent_changes::{AgentChange, change_agent};
use crate::app::Environment;
use crate::config::{AgentConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::roles::start_agent;
use crate::signals::EndSignals;

/// Runs an agent until it is interrupted or its master ends it, or acts on one of the cluster
///
/// Example: odeon agent --master 10.0.0.1:5050 --config config/agent.toml
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    change: Option<AgentChange>,
    #[command(flatten)]
    config: ConfigArgs,
    /// The master to register with
    #[arg(long, value_name = "HOST:PORT")]
    master: Option<String>,
    /// The port to listen on; 0 for any
    #[arg(long)]
    port: Option<u16>,
    /// Where checkpoints and sandboxes are kept
    #[arg(long, value_name = "DIR")]
    work_dir: Option<String>,
    /// What the agent offers, such as "cpus:4;mem:8192"
    #[arg(long, value_name = "TEXT")]
    resources: Option<String>,
}

impl AgentArgs {
    fn flags(&self) -> Vec<(&str, String)> {
        let given = [
            ("master", self.master.clone()),
            ("port", self.port.map(|port| port.to_string())),
            ("work_dir", self.work_dir.clone()),
            ("resources", self.resources.clone()),
        ];
        let mut flags = self.config.flags();
        flags.extend(given.into_iter().filter_map(|(key, value)| Some((key, value?))));
        flags
    }
}

/// Starts the agent and stops it, with all that it runs, at the end; or does what was asked for.
pub(crate) async fn agent(args: AgentArgs, environment: &Environment) -> Result<i32, Failure> {
    match args.change {
        Some(change) => change_agent(change, environment).await,
        None => run_agent(args, environment).await,
    }
}

async fn run_agent(args: AgentArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let mut flags: Vec<(&str, String)> = environment.tls_flags();
    flags.extend(args.flags());
    let config = load::<AgentConfig>(args.config.config.as_deref(), &environment.variables, &flags);
    let config = config.or_exit(Exit::Usage)?.value;
    let agent = start_agent("agent", &config, environment).await?;
    let (endpoint, master) = (agent.endpoint(), &config.master);
    print(&format!("agent    {endpoint}\nmaster   {master}\nstop     Ctrl-C\n")).or_exit(Exit::WorkFailed)?;
    tokio::select! {
        () = signals.next() => {}
        _ = agent.finished() => {}
    }
    match agent.stop().await {
        AgentEnd::Stopped => Ok(Exit::Done.into()),
        AgentEnd::ShutDown(message) => {
            Err(Failure::new(Exit::WorkFailed, format!("the master ended the agent: {message}")))
        }
        AgentEnd::Refused(error) => {
            Err(Failure::new(Exit::WorkFailed, format!("the master does not admit the agent: {error}")))
        }
        AgentEnd::Failed(message) => Err(Failure::new(Exit::WorkFailed, message)),
        end => Err(Failure::new(Exit::WorkFailed, format!("the agent has ended: {end:?}"))),
    }
}
