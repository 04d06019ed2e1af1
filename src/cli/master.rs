//! `odeon master`: one master, in the foreground.

use clap::Args;

use super::ConfigArgs;
use crate::app::Environment;
use crate::config::{MasterConfig, load};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::roles::{start_deployer, start_master};
use crate::signals::EndSignals;

/// Runs a master until it is interrupted
///
/// Example: odeon master --config config/master.toml
#[derive(Debug, Args)]
pub(crate) struct MasterArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The port to listen on; 0 for any
    #[arg(long)]
    port: Option<u16>,
}

/// Starts the master and stops it in order at the end.
pub(crate) async fn master(args: MasterArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let mut flags: Vec<(&str, String)> = environment.tls_flags();
    flags.extend(args.config.flags());
    flags.extend(args.port.map(|port| ("port", port.to_string())));
    let config = load::<MasterConfig>(args.config.config.as_deref(), &environment.variables, &flags);
    let config = config.or_exit(Exit::Usage)?.value;
    let master = start_master(&config).await?;
    let deployer = match start_deployer(&master, &config).await {
        Ok(deployer) => deployer,
        Err(failure) => {
            master.stop().await;
            return Err(failure);
        }
    };
    let (endpoint, id, epoch) = (&master.endpoint, &master.master_id, master.epoch);
    print(&format!("master   {endpoint}\nid       {id}\nepoch    {epoch}\nstop     Ctrl-C\n"))
        .or_exit(Exit::WorkFailed)?;
    let failure = tokio::select! {
        () = signals.next() => None,
        failure = master.node.failed() => Some(failure),
    };
    deployer.stop().await;
    master.stop().await;
    failure.map_or(Ok(Exit::Done.into()), |failure| Err(Failure::new(Exit::WorkFailed, failure.to_string())))
}
