//! What subscribers hear about links.
//!
//! One event a link end, not a picture of the cluster: who is a member is decided above the fabric.

use crate::name::{Endpoint, NodeId};
use tokio::sync::broadcast;

/// A link to a node came up or went down, or events were missed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The first link to this run of a node is up.
    Up {
        /// The node.
        node: NodeId,
        /// Where it was dialled; nothing if it dialled us.
        endpoint: Option<Endpoint>,
    },
    /// The last link to this run of a node is gone.
    Down {
        /// The node.
        node: NodeId,
        /// How the link ended.
        reason: String,
    },
    /// The subscriber was too slow and the oldest events are gone: compare
    /// [`Node::linked_nodes`](crate::Node::linked_nodes) with what was known.
    Missed {
        /// How many events.
        count: u64,
    },
}

/// The receiving end of [`Node::subscribe_links`](crate::Node::subscribe_links).
#[derive(Debug)]
pub struct LinkEvents(pub(crate) broadcast::Receiver<LinkEvent>);

impl LinkEvents {
    /// Waits for the next event; nothing once the node is gone.
    ///
    /// Cancelling the wait loses no event.
    pub async fn recv(&mut self) -> Option<LinkEvent> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(count)) => Some(LinkEvent::Missed { count }),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
