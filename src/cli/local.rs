//! `odeon local`: an all-in-one cluster that stays until it is interrupted.

use std::path::PathBuf;

use clap::Args;

use crate::app::Environment;
use crate::cluster::LocalCluster;
use crate::config::{ByteSize, LocalConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::signals::EndSignals;

/// Launches an all-in-one cluster on this machine, until Ctrl-C
///
/// Example: odeon local --agents 3 --cpus 2 --mem 1GiB
#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    /// The configuration file; see config/local.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How many agents
    #[arg(long)]
    agents: Option<u32>,
    /// Processors that each agent offers
    #[arg(long)]
    cpus: Option<f64>,
    /// Memory that each agent offers, such as 512MiB; a bare number counts MiB
    #[arg(long, value_name = "SIZE", value_parser = ByteSize::from_mem)]
    mem: Option<ByteSize>,
    /// The master's port; 0 for any
    #[arg(long)]
    port: Option<u16>,
    /// Where state is kept, and stays
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Keep the temporary directory
    #[arg(long)]
    keep: bool,
}

impl LocalArgs {
    fn flags(&self) -> Vec<(&'static str, String)> {
        let text = |path: &PathBuf| path.display().to_string();
        let given = [
            ("agents", self.agents.map(|agents| agents.to_string())),
            ("cpus", self.cpus.map(|cpus| cpus.to_string())),
            ("mem", self.mem.map(|mem| mem.to_string())),
            ("port", self.port.map(|port| port.to_string())),
            ("data_dir", self.data_dir.as_ref().map(text)),
            ("keep", self.keep.then(|| "true".to_owned())),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// Starts the cluster, says how to use it, and stops it in order at the end.
pub(crate) async fn local(args: LocalArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let config = load::<LocalConfig>(args.config.as_deref(), &environment.variables, &args.flags());
    let cluster = LocalCluster::start(&config.or_exit(Exit::Usage)?.value, environment).await?;
    print(&banner(&cluster)).or_exit(Exit::WorkFailed)?;
    let failure = tokio::select! {
        () = signals.next() => None,
        failure = cluster.failed() => Some(failure),
    };
    cluster.stop().await;
    match failure {
        None => {
            print("stopped\n").or_exit(Exit::WorkFailed)?;
            Ok(Exit::Done.into())
        }
        Some(failure) => Err(Failure::new(Exit::WorkFailed, failure)),
    }
}

fn banner(cluster: &LocalCluster) -> String {
    let endpoint = cluster.endpoint();
    let fate = if cluster.is_temporary() { "removed at the end" } else { "stays" };
    format!(
        "master   {endpoint}\n\
         agents   {}\n\
         data     {} ({fate})\n\
         use      export ODEON_MASTER={endpoint}\n\
         \x20        odeon run -- echo hello\n\
         \x20        odeon train examples/jobs/iris.toml\n\
         \x20        odeon tasks\n\
         stop     Ctrl-C\n",
        cluster.agent_count(),
        cluster.data_dir().display(),
    )
}
