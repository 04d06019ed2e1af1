//! `Forwarder`: hands updates on to the master, in order; those that wait together go together.
//!
//! It tries nothing again: the core tells an update anew until it is acknowledged.

use odeon_protocol::batch::{BATCH_ITEMS_MAX, take_batch};
use odeon_protocol::messages::master_agent::{ForwardStatus, ForwardStatuses, MasterForAgents};
use odeon_runtime::Peer;
use std::collections::VecDeque;
use tokio::sync::mpsc;
use tracing::debug;

/// Updates that may wait for room on the way to the master. The core has only so many of each framework under way.
const UPDATES_MAX: usize = 1 << 16;

/// The way of updates to the master. Dropped, it tells what it has taken, and ends.
#[derive(Debug)]
pub(crate) struct Forwarder {
    updates: mpsc::Sender<ForwardStatus>,
}

impl Forwarder {
    /// Tells, as long as the future is polled.
    pub(crate) fn new(master: Peer<MasterForAgents>) -> (Self, impl Future<Output = ()> + use<>) {
        let (updates, waiting) = mpsc::channel(UPDATES_MAX);
        (Self { updates }, tell(master, waiting))
    }

    /// Takes an update; it is dropped if too many wait, and told again by the core.
    pub(crate) fn forward(&self, update: ForwardStatus) {
        if self.updates.try_send(update).is_err() {
            debug!("an update was not told, as too many wait, and will be told again");
        }
    }
}

async fn tell(master: Peer<MasterForAgents>, mut waiting: mpsc::Receiver<ForwardStatus>) {
    let (mut taken, mut updates) = (Vec::new(), VecDeque::new());
    while waiting.recv_many(&mut taken, BATCH_ITEMS_MAX).await > 0 {
        updates.extend(taken.drain(..));
        while !updates.is_empty() {
            let message = ForwardStatuses { updates: take_batch(&mut updates) };
            if let Err(error) = master.tell(message).await {
                debug!(%error, "updates were not told and will be told again");
            }
        }
    }
}
