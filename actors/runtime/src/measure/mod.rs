//! What the fabric costs on this machine: each figure beside a floor that was taken in the same run.
//!
//! Here are the loads and the floors; who starts the second process, repeats runs and prints is the command line.
//! Nothing here judges: a figure carries the bound it is compared with, and the reader sees both.

mod far;
mod figure;
mod load;
mod memory;
mod near;
mod raw;
mod sealed;

pub use far::far;
pub use figure::{Better, Bound, Figure, median};
pub use near::near;
pub use sealed::sealed;

use crate::error::{ListenError, PeerError, StartError};
use crate::limits::FabricLimits;
use crate::name::Endpoint;
use crate::node::Node;
use crate::transport::{Tcp, Transport};
use crate::trust::{Credentials, Tls};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The largest message that is measured, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A measurement under way. It is compiled here, and not in the crate that awaits it, which may be optimised less.
pub type Measuring<'a, T> = LocalBoxFuture<'a, Result<T, MeasureError>>;

/// How much of everything one run sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// Small tells, for each measure of them.
    pub tells: u64,
    /// Asks, for each measure of them.
    pub asks: u64,
    /// Tells that nobody waits for.
    pub unawaited: u64,
    /// Bytes moved by each bulk measure.
    pub bulk_bytes: u64,
    /// The size of a large bulk message, in bytes.
    pub large_bytes: usize,
}

impl Scale {
    /// A run of some seconds, for figures to quote.
    pub const FULL: Self = Self {
        tells: 400_000,
        asks: 10_000,
        unawaited: 1_000_000,
        bulk_bytes: 1024 * 1024 * 1024,
        large_bytes: MESSAGE_BYTES_MAX,
    };
    /// A run that shows that everything works, for figures to distrust.
    pub const QUICK: Self =
        Self { tells: 320, asks: 50, unawaited: 5_000, bulk_bytes: 2 * 1024 * 1024, large_bytes: 1024 * 1024 };
}

/// Where the second process can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarEnds {
    /// Its node.
    pub fabric: Endpoint,
    /// The plain socket behind which the floors are.
    pub raw: Endpoint,
    /// Its node on which both ends prove who they are, if it was given credentials.
    pub sealed: Option<Endpoint>,
}

/// The second process: a node with the actors that are measured, and the floors. It serves until dropped.
#[derive(Debug)]
pub struct FarSide {
    ends: FarEnds,
    nodes: Vec<Node>,
    raw: tokio::task::JoinHandle<()>,
}

impl FarSide {
    /// Starts all of it on ports of the loopback interface.
    ///
    /// # Errors
    /// [`MeasureError`] if the node does not start or a port cannot be had.
    pub fn start(incarnation: u64, credentials: Option<Credentials>) -> Measuring<'static, Self> {
        Box::pin(Self::serve(incarnation, credentials))
    }

    async fn serve(incarnation: u64, credentials: Option<Credentials>) -> Result<Self, MeasureError> {
        let mut nodes = vec![start_node("measured", incarnation).await?];
        if let Some(credentials) = credentials {
            nodes.push(start_node_on("sealed", incarnation, Arc::new(Tls::new(credentials))).await?);
        }
        let mut endpoints = Vec::new();
        for node in &nodes {
            endpoints.push(node.listen("127.0.0.1:0").await?);
            load::export(node);
        }
        let mut endpoints = endpoints.into_iter();
        let fabric = endpoints.next().expect("the first node has listened");
        let (raw, serving) = raw::serve().await?;
        Ok(Self { ends: FarEnds { fabric, raw, sealed: endpoints.next() }, nodes, raw: serving })
    }

    /// Where the first process finds it.
    #[must_use]
    pub fn ends(&self) -> &FarEnds {
        &self.ends
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::shut_down);
        self.raw.abort();
    }
}

/// Why a measure has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The own node does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The node finds no port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The second process was given no credentials.
    #[error("the second process has no credentials to measure TLS with")]
    NotSealed,
    /// A message was refused or got no answer.
    #[error("a measured message failed: {0}")]
    Peer(#[from] PeerError),
    /// A floor could not be taken.
    #[error("the floor over a plain socket failed: {0}")]
    Raw(#[from] std::io::Error),
    /// A floor within the process could not be taken.
    #[error("the floor over plain actix failed: {0}")]
    Actix(#[from] actix::MailboxError),
}

async fn start_node(name: &str, incarnation: u64) -> Result<Node, StartError> {
    start_node_on(name, incarnation, Arc::new(Tcp)).await
}

async fn start_node_on(name: &str, incarnation: u64, transport: Arc<dyn Transport>) -> Result<Node, StartError> {
    let limits = FabricLimits {
        // A busy machine makes a measure slow, not wrong.
        send_timeout: Duration::from_secs(120),
        heartbeat_pause: Duration::from_secs(60),
        heartbeat_timeout: Duration::from_secs(60),
        frame_bytes_max: MESSAGE_BYTES_MAX + 1024,
        ..FabricLimits::DEFAULT
    };
    Node::builder(name).incarnation(incarnation).limits(limits).transport(transport).start().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit;
    use crate::trust::PeerRoles;

    #[actix_rt::test]
    async fn every_measure_has_a_figure_a_floor_and_no_message_that_is_unaccounted_for() {
        let credentials = testkit::credentials("bench", PeerRoles::ALL, &[]);
        let far_side = FarSide::start(1, Some(credentials.clone())).await.unwrap();
        let scale = Scale { tells: 160, asks: 10, unawaited: 5_000, bulk_bytes: 1024 * 1024, large_bytes: 512 * 1024 };
        let mut figures = near(2, &scale).await.unwrap();
        figures.extend(far(far_side.ends(), 3, &scale).await.unwrap());
        figures.extend(sealed(far_side.ends(), credentials, 4, &scale).await.unwrap());
        assert_eq!(figures.len(), 20);
        for figure in figures {
            assert!(figure.fabric > 0.0 && figure.floor > 0.0, "{figure:?}");
            assert_eq!(figure.lost, 0, "{figure:?}");
        }
    }
}
