//! Agents without hosts, many on each link: they register, take tasks and report as real ones do, and start nothing.
//!
//! What they show is what a master takes for a cluster of a size that no machine has. How long their tasks run is part
//! of the load; who takes the times and prints them is the command line.

mod emulated;
mod stage;
mod tally;

pub use tally::Tally;

use odeon_protocol::resources::Resources;
use odeon_runtime::transport::Transport;
use odeon_runtime::{Endpoint, FabricLimits, Node, StartError};
use stage::Stage;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The first part of the names of hosts that are not there; the number of the agent is the second.
const HOST: &str = "emulated-";

/// Agents to be emulated.
#[derive(Debug, Clone)]
pub struct Emulation {
    /// Where the master listens.
    pub master: Endpoint,
    /// How many agents.
    pub agents: u32,
    /// How many of them share a link.
    pub agents_per_link: u32,
    /// What each of them offers.
    pub resources: Resources,
    /// How long a task runs, on average; each runs half as long to half as long again.
    pub task_time: Duration,
    /// Names the nodes, and spreads the times of tasks.
    pub seed: u64,
}

/// The number of the agent that offers itself under this host name.
#[must_use]
pub fn agent_number(hostname: &str) -> Option<u32> {
    hostname.strip_prefix(HOST)?.parse().ok()
}

/// Agents that are being emulated. Dropping it does not end them; they end with their nodes.
#[derive(Debug)]
pub struct Emulated {
    nodes: Vec<Node>,
}

impl Emulated {
    /// Starts the nodes and the agents on the current arbiter, where they begin to register.
    ///
    /// # Errors
    /// If a node cannot start.
    pub async fn start(
        emulation: Emulation,
        transport: Arc<dyn Transport>,
        tally: Arc<Tally>,
    ) -> Result<Self, StartError> {
        let links = emulation.agents.div_ceil(emulation.agents_per_link.max(1));
        let mut nodes = Vec::new();
        for link in 0..links {
            let builder = Node::builder(format!("agents-{link}")).incarnation(emulation.seed.wrapping_add(link.into()));
            nodes.push(builder.transport(Arc::clone(&transport)).limits(limits()).start().await?);
        }
        let stage = Rc::new(Stage::new(emulation, nodes.clone(), tally));
        // Boxed here, to be compiled with the care of this crate.
        let play: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(stage.play());
        actix_rt::spawn(play);
        Ok(Self { nodes })
    }

    /// Closes all links; the agents are gone for their master.
    pub fn stop(&self) {
        self.nodes.iter().for_each(Node::shut_down);
    }
}

/// A link of many agents has the places of many.
fn limits() -> FabricLimits {
    FabricLimits { inbound_asks_max: 1 << 15, pending_asks_max: 1 << 15, ..FabricLimits::DEFAULT }
}
