//! `Origin`: whom the messages of a link come from, and how it is told what becomes of them.
//!
//! It counts and logs; it sends nothing.

use crate::error::PeerError;
use crate::fabric::Fabric;
use crate::frame::Names;
use crate::name::NodeId;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use tracing::warn;

/// The other end of a link, as whoever handles its messages knows it.
pub(crate) struct Origin {
    /// Messages that wait for their actor do not keep the node alive.
    fabric: Weak<Fabric>,
    pub(crate) node: NodeId,
    /// How deep the body of a message may be nested.
    pub(crate) depth_max: usize,
}

impl Origin {
    pub(crate) fn new(fabric: &Arc<Fabric>, node: NodeId) -> Arc<Self> {
        Arc::new(Self { fabric: Arc::downgrade(fabric), node, depth_max: fabric.limits.body_depth_max })
    }

    /// Counts and logs tells that found no actor or no room, or were not readable.
    #[cold]
    pub(crate) fn dropped(&self, names: Names<'_>, count: usize, error: &PeerError) {
        if let Some(fabric) = self.fabric.upgrade() {
            fabric.counters.tells_dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
        self.note_forbidden(count, error);
        warn!(node = %self.node, actor = names.actor, message = names.message, count, %error, "messages are dropped");
    }

    /// Counts and logs what a peer may not send.
    #[cold]
    pub(crate) fn note_forbidden(&self, count: usize, error: &PeerError) {
        if let PeerError::Forbidden { .. } = error {
            if let Some(fabric) = self.fabric.upgrade() {
                fabric.counters.messages_forbidden.fetch_add(count as u64, Ordering::Relaxed);
            }
            warn!(node = %self.node, %error, "a peer sends what its role does not allow");
        }
    }
}
