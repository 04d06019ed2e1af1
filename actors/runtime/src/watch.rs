//! Death watch: who watches an actor hears once how it ended.
//!
//! A restart behind the same name is no end. What ends is what a name is taken back from: an actor that nobody
//! supervises and that stops by itself keeps its name, so nobody hears of it.

use crate::fabric::lock;
use crate::name::ActorName;
use futures_util::FutureExt;
use futures_util::future::Shared;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::oneshot;

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

/// Those who wait for the end of an actor of this node. They hear in the order in which they came, so that a run on a
/// paused clock repeats; a channel of tokio for many receivers draws the order.
#[derive(Debug, Default)]
pub(crate) struct Ends(Mutex<BTreeMap<ActorName, (oneshot::Sender<EndReason>, Ending)>>);

/// The end of an actor, as soon as it is known; an error if nobody will tell any more.
pub(crate) type Ending = Shared<oneshot::Receiver<EndReason>>;

impl Ends {
    /// Waits for the end of an actor, unless `exists` says that there is none: asked while no end can be told, so that
    /// none is missed between the question and the wait.
    pub(crate) fn subscribe(&self, actor: &ActorName, exists: impl FnOnce() -> bool) -> Option<Ending> {
        let mut ends = lock(&self.0);
        exists().then(|| {
            let entry = ends.entry(actor.clone()).or_insert_with(|| {
                let (tell, ending) = oneshot::channel();
                (tell, ending.shared())
            });
            entry.1.clone()
        })
    }

    /// Tells all who wait; to be called once the name leads nowhere.
    pub(crate) fn on_end(&self, actor: &ActorName, reason: EndReason) {
        let waiting = lock(&self.0).remove(actor);
        if let Some((tell, _)) = waiting {
            // Its receiver is the other half of the entry; perhaps nobody else waits.
            let _ = tell.send(reason);
        }
    }
}
