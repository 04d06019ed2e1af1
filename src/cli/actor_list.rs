//! `odeon actors [-w]` and `odeon actors links`: deployed actors with what their hosts tell of them, once or live.

use std::time::Duration;

use clap::Args;
use odeon_protocol::deployment::DeploymentName;
use odeon_protocol::messages::deployments::{ActorSummary, GetActors};
use odeon_runtime::{LinkFigures, Node, NodeId};
use serde::Serialize;

use super::MasterAddress;
use super::figures::{Figures, Looks, of_hosts, of_node_at};
use super::listing::ListingArgs;
use crate::app::Environment;
use crate::config::HumanDuration;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Listed, Reader, Style, print};
use crate::signals::EndSignals;

/// Moves the cursor home and clears what is on the screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only the actors of this deployment
    #[arg(long, value_name = "NAME")]
    deployment: Option<DeploymentName>,
    /// Only actors of this registered type
    #[arg(long = "type", value_name = "NAME")]
    actor_type: Option<String>,
    /// Stay, and show again and again what waits, the messages a second, and how long one takes
    #[arg(short, long, conflicts_with = "quiet")]
    watch: bool,
    /// Between two looks, with --watch
    #[arg(long, value_name = "DURATION", default_value = "1s", requires = "watch")]
    interval: HumanDuration,
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

#[derive(Debug, Args)]
pub(super) struct LinksArgs {
    #[command(flatten)]
    master: MasterAddress,
    #[command(flatten)]
    listing: ListingArgs,
}

/// An actor as it is listed.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    actor: ActorSummary,
    /// What its host tells, where it was asked and has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    figures: Option<Figures>,
}

impl Listed for Row {
    const KIND: &'static str = "actors";
    const COLUMNS: &'static [Column] = &[
        Column::always("ACTOR"),
        Column::always("TYPE"),
        Column::always("STATE"),
        Column::always("HOST"),
        Column::always("RESTARTS"),
        Column::wide("WAITING"),
        Column::wide("HANDLED"),
        Column::wide("HANDLING"),
        Column::wide("ENDPOINT"),
        Column::wide("TASK"),
        Column::wide("MESSAGE"),
    ];

    fn cells(&self) -> Vec<String> {
        let (actor, figures) = (&self.actor, self.figures.as_ref());
        vec![
            actor.name.clone(),
            actor.actor_type.clone(),
            actor.state.name().to_owned(),
            actor.hostname.clone().unwrap_or_default(),
            actor.restarts.to_string(),
            figures.map(|told| told.waiting.to_string()).unwrap_or_default(),
            figures.map(|told| told.handled.to_string()).unwrap_or_default(),
            figures.and_then(|told| told.handling_us).map(micros).unwrap_or_default(),
            actor.location.as_ref().map(|location| location.endpoint.clone()).unwrap_or_default(),
            actor.task_id.clone().unwrap_or_default(),
            actor.message.clone(),
        ]
    }

    fn id(&self) -> String {
        self.actor.name.clone()
    }
}

/// An actor as it is shown live.
#[derive(Serialize)]
#[serde(transparent)]
struct LiveRow(Row);

impl Listed for LiveRow {
    const KIND: &'static str = "actors";
    const COLUMNS: &'static [Column] = &[
        Column::always("ACTOR"),
        Column::always("STATE"),
        Column::always("HOST"),
        Column::always("WAITING"),
        Column::always("MSGS/S"),
        Column::always("HANDLING"),
        Column::always("RESTARTS"),
        Column::always("LAST ERROR"),
        Column::wide("HANDLED"),
        Column::wide("TYPE"),
        Column::wide("ENDPOINT"),
        Column::wide("TASK"),
    ];

    fn cells(&self) -> Vec<String> {
        let (actor, figures) = (&self.0.actor, self.0.figures.as_ref());
        let last_error = figures.and_then(|told| told.last_error.clone());
        vec![
            actor.name.clone(),
            actor.state.name().to_owned(),
            actor.hostname.clone().unwrap_or_default(),
            figures.map(|told| told.waiting.to_string()).unwrap_or_default(),
            figures.and_then(|told| told.per_second).map(|rate| format!("{rate:.0}")).unwrap_or_default(),
            figures.and_then(|told| told.handling_us).map(micros).unwrap_or_default(),
            actor.restarts.to_string(),
            last_error.unwrap_or_else(|| actor.message.clone()),
            figures.map(|told| told.handled.to_string()).unwrap_or_default(),
            actor.actor_type.clone(),
            actor.location.as_ref().map(|location| location.endpoint.clone()).unwrap_or_default(),
            actor.task_id.clone().unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.0.actor.name.clone()
    }
}

/// A link of a node as it is listed.
#[derive(Serialize)]
struct LinkRow {
    /// The node that tells.
    node: String,
    /// The node at the other end.
    peer: String,
    /// Whether the one that tells has dialled.
    is_dialled: bool,
    bytes_in: u64,
    bytes_out: u64,
    frames_in: u64,
    frames_out: u64,
    frames_waiting: u64,
    bytes_waiting: u64,
    asks_waiting: u64,
    round_trip_us: Option<f64>,
}

impl LinkRow {
    fn new(node: &NodeId, link: &LinkFigures) -> Self {
        Self {
            node: node.to_string(),
            peer: link.node.to_string(),
            is_dialled: link.is_dialled,
            bytes_in: link.bytes_in,
            bytes_out: link.bytes_out,
            frames_in: link.frames_in,
            frames_out: link.frames_out,
            frames_waiting: link.frames_waiting,
            bytes_waiting: link.bytes_waiting,
            asks_waiting: link.asks_waiting,
            round_trip_us: link.round_trip.map(|time| time.as_secs_f64() * 1e6),
        }
    }
}

impl Listed for LinkRow {
    const KIND: &'static str = "links";
    const COLUMNS: &'static [Column] = &[
        Column::always("NODE"),
        Column::always("PEER"),
        Column::always("BYTES IN"),
        Column::always("BYTES OUT"),
        Column::always("FRAMES IN"),
        Column::always("FRAMES OUT"),
        Column::always("QUEUE"),
        Column::always("ROUND TRIP"),
        Column::wide("QUEUE BYTES"),
        Column::wide("ASKS"),
        Column::wide("DIALLED"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.node.clone(),
            self.peer.clone(),
            self.bytes_in.to_string(),
            self.bytes_out.to_string(),
            self.frames_in.to_string(),
            self.frames_out.to_string(),
            self.frames_waiting.to_string(),
            self.round_trip_us.map(micros).unwrap_or_default(),
            self.bytes_waiting.to_string(),
            self.asks_waiting.to_string(),
            if self.is_dialled { "yes" } else { "no" }.to_owned(),
        ]
    }

    fn id(&self) -> String {
        format!("{}-{}", self.node, self.peer)
    }
}

/// Lists actors, with `--watch` again and again. Hosts are asked only for what is shown.
pub(super) async fn list(args: ListArgs, environment: &Environment) -> Result<i32, Failure> {
    let wanted = GetActors { deployment: args.deployment.clone(), actor_type: args.actor_type.clone() };
    if !args.watch {
        let actors = args.master.ask_deployer(environment, wanted).await?;
        let rows = match args.listing.is_wide() {
            true => {
                let node = environment.client_node().await?;
                let rows = look(&mut Looks::from(&node), actors).await;
                node.shut_down();
                rows
            }
            false => actors.into_iter().map(|actor| Row { actor, figures: None }).collect(),
        };
        return args.listing.print(&rows, environment);
    }
    let node = environment.client_node().await?;
    let (mut looks, mut signals) = (Looks::from(&node), EndSignals::listen()?);
    let is_terminal = Style::of(&std::io::stdout(), &environment.variables) == Style::Terminal;
    loop {
        let actors = args.master.ask_deployer(environment, wanted.clone()).await?;
        let rows: Vec<LiveRow> = look(&mut looks, actors).await.into_iter().map(LiveRow).collect();
        if is_terminal {
            print(&format!("{CLEAR}{}", args.listing.text(&rows, environment)?)).or_exit(Exit::WorkFailed)?;
        } else if print(&args.listing.text(&rows, environment)?).or_exit(Exit::WorkFailed)? == Reader::Gone {
            return Ok(Exit::Done.into());
        }
        tokio::select! {
            biased;
            () = signals.next() => return Ok(Exit::Interrupted.into()),
            () = tokio::time::sleep(args.interval.get()) => {}
        }
    }
}

async fn look(looks: &mut Looks, actors: Vec<ActorSummary>) -> Vec<Row> {
    let mut figures = looks.at(&actors).await;
    let row = |actor: ActorSummary| Row { figures: figures.remove(&actor.name), actor };
    actors.into_iter().map(row).collect()
}

/// Lists the links of the nodes on which deployed actors are, and of the master's.
pub(super) async fn links(args: LinksArgs, environment: &Environment) -> Result<i32, Failure> {
    let all = GetActors { deployment: None, actor_type: None };
    let actors = args.master.ask_deployer(environment, all).await?;
    let node: Node = environment.client_node().await?;
    let mut told: Vec<_> = of_node_at(&node, &args.master.or_default(environment)?).await.into_iter().collect();
    told.extend(of_hosts(&node, &actors).await);
    let of_one = |figures: &odeon_runtime::NodeFigures| {
        // The link of this command itself says nothing.
        let links = figures.links.iter().filter(|link| link.node != *node.id());
        links.map(|link| LinkRow::new(&figures.node, link)).collect::<Vec<_>>()
    };
    let rows: Vec<LinkRow> = told.iter().flat_map(of_one).collect();
    node.shut_down();
    args.listing.print(&rows, environment)
}

/// A time in microseconds in a unit that reads well.
fn micros(time: f64) -> String {
    let time = Duration::from_secs_f64(time.max(0.0) / 1e6);
    match time.as_nanos() {
        0..1_000_000 => format!("{:.1}µs", time.as_secs_f64() * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1}ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_the_unit_in_which_it_reads_well() {
        assert_eq!([0.25, 999.0, 1500.0, 2_500_000.0].map(micros), ["0.2µs", "999.0µs", "1.5ms", "2.5s"]);
    }
}
