//! `odeon deploy`: puts actors on the cluster, and waits until they run.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use odeon_protocol::deployment::DeploymentName;
use odeon_protocol::messages::deployments::{ActorState, ActorSummary, Deploy, DeployOutcome, GetActors};
use tokio::time::Instant;

use super::MasterAddress;
use crate::app::Environment;
use crate::config::{DeploymentFile, HumanDuration, document, read_text};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::print;
use crate::signals::EndSignals;

/// Between two looks at how the actors do.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Deploys actors as a file says, and waits until they run
///
/// They run until `odeon deployment remove`; one that fails, or loses its agent, is started again behind its name.
/// Example: odeon deploy examples/deployments/counter.toml
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The deployment file; see examples/deployments/
    file: PathBuf,
    /// How long to wait until all actors run (exit code 5 if they do not); they stay deployed
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    wait: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
}

/// Deploys, then follows the actors until they run.
pub(crate) async fn deploy(args: DeployArgs, environment: &Environment) -> Result<i32, Failure> {
    let mut signals = EndSignals::listen()?;
    let text = read_text(&args.file).or_exit(Exit::Usage)?;
    let file: DeploymentFile = document::parse(&args.file, &text).or_exit(Exit::Usage)?;
    let spec = file.spec().map_err(|failure| Failure::usage(format!("{}: {failure}", args.file.display())))?;
    let (name, instances) = (spec.name.clone(), spec.instances);
    let outcome = args.master.ask_deployer(environment, Deploy { spec }).await?.or_exit(Exit::Usage)?;
    let done = match outcome {
        DeployOutcome::Created => "deployed",
        DeployOutcome::Unchanged => "unchanged",
    };
    print(&format!("{name} {done}, {}\n", actors(instances))).or_exit(Exit::WorkFailed)?;
    tokio::select! {
        () = signals.next() => {
            Err(Failure::new(Exit::Interrupted, format!("interrupted; {name} stays deployed, see `odeon actors`")))
        }
        running = all_run(&args.master, environment, &name, instances, args.wait.get()) => running,
    }
}

/// So many actors, in words.
pub(super) fn actors(count: u32) -> String {
    format!("{count} actor{}", if count == 1 { "" } else { "s" })
}

/// Waits until all actors of a deployment run or have finished.
pub(super) async fn all_run(
    master: &MasterAddress,
    environment: &Environment,
    name: &DeploymentName,
    instances: u32,
    within: Duration,
) -> Result<i32, Failure> {
    let deadline = Instant::now() + within;
    loop {
        let wanted = GetActors { deployment: Some(name.clone()), actor_type: None };
        let found = master.ask_deployer(environment, wanted).await?;
        if let Some(given_up) = found.iter().find(|actor| actor.state == ActorState::GivenUp) {
            let text = format!("{} is given up: {}", given_up.name, given_up.message);
            return Err(Failure::new(Exit::WorkFailed, text));
        }
        let is_well = |actor: &&ActorSummary| matches!(actor.state, ActorState::Running | ActorState::Finished);
        let well = found.iter().filter(is_well).count();
        if well == found.len() && well == instances as usize {
            print(&format!("{name} runs\n")).or_exit(Exit::WorkFailed)?;
            return Ok(Exit::Done.into());
        }
        if Instant::now() >= deadline {
            return Err(not_running(name, &found, within));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn not_running(name: &DeploymentName, found: &[ActorSummary], within: Duration) -> Failure {
    let behind = found.iter().filter(|actor| !matches!(actor.state, ActorState::Running | ActorState::Finished));
    let line = |actor: &ActorSummary| format!("  {}: {} {}", actor.name, actor.state.name(), actor.message);
    let told: Vec<String> = behind.map(|actor| line(actor).trim_end().to_owned()).collect();
    let text = format!(
        "{name}: after {within:?} not all actors run; they stay deployed and start when there is room\n{}\n\
         see `odeon agents` for what is free, or end them with `odeon deployment remove {name}`",
        told.join("\n")
    );
    Failure::new(Exit::NotPlaced, text)
}
