//! Death watch: who watches an actor hears once how it ended.
//!
//! A restart behind the same name is no end. What ends is what a name is taken back from: an actor that nobody
//! supervises and that stops by itself keeps its name, so nobody hears of it.

use crate::fabric::lock;
use crate::name::ActorName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::watch;

/// How an actor ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EndReason {
    /// It has stopped, or its name was taken back.
    Stopped,
    /// It panicked, and its supervisor does not start it again.
    Failed {
        /// The text of the last panic.
        panic: String,
    },
    /// The link to its node is lost or cannot be had, or this node shuts down. The actor itself may go on.
    NodeLost {
        /// How the link ended.
        cause: String,
    },
    /// There is no actor behind the name.
    Unknown,
}

/// The end of an actor that was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminated {
    /// Its name.
    pub actor: ActorName,
    /// How it ended.
    pub reason: EndReason,
}

/// Those who wait for the end of an actor of this node.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<BTreeMap<ActorName, watch::Sender<Option<EndReason>>>>);

impl Ends {
    /// Waits for the end of an actor, unless `exists` says that there is none: asked while no end can be told, so that
    /// none is missed between the question and the wait.
    pub(crate) fn subscribe(
        &self,
        actor: &ActorName,
        exists: impl FnOnce() -> bool,
    ) -> Option<watch::Receiver<Option<EndReason>>> {
        let mut ends = lock(&self.0);
        exists().then(|| ends.entry(actor.clone()).or_insert_with(|| watch::channel(None).0).subscribe())
    }

    /// Tells all who wait; to be called once the name leads nowhere.
    pub(crate) fn on_end(&self, actor: &ActorName, reason: EndReason) {
        if let Some(waiting) = lock(&self.0).remove(actor) {
            waiting.send_replace(Some(reason));
        }
    }
}
