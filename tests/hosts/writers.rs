//! Somebody who sends numbered messages to every ledger all the time, and remembers what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use odeon::prelude::*;
use odeon_executor::DirectoryError;
use odeon_runtime::{ActorAddress, ActorName, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::credentials;
use super::namespace::Namespace;
use crate::support::text;

/// As in `examples/ledger.rs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Enter {
    number: u64,
}
odeon::remote_message!(Enter => String, "ledger.v1.Enter");
odeon::interface! {
    /// What a ledger hears.
    pub(crate) LedgerApi: Enter
}

/// Between two messages of a kind to an actor, if the first is answered by then.
const PACE: Duration = Duration::from_millis(20);
/// How long a single question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A number that no writer uses.
const STRAY: u64 = u64::MAX;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An ask, by this run of the actor.
    Answered(String),
    /// A tell.
    Taken,
    /// It failed, and may have been handled.
    MayBeHandled,
    /// It failed, and was certainly not handled.
    NotHandled,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) actor: String,
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
}

/// Writers that are under way.
pub(crate) struct Writers {
    may_end: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sent>>,
}

impl Writers {
    /// Starts an asker, with even numbers, and a teller, with odd ones, for each actor.
    pub(crate) fn start(place: &Namespace, master: &str, actors: Vec<String>) -> Self {
        let may_end = Arc::new(AtomicBool::new(false));
        let (ending, master) = (Arc::clone(&may_end), Endpoint::new(master));
        let work = move || {
            in_system(async move {
                let node = credentials::node("writers", 1).await;
                let directory = Directory::at(&node, &master);
                let writers = actors.iter().map(|actor| async {
                    let (asked, told) = tokio::join!(ask(&directory, actor, &ending), tell(&directory, actor, &ending));
                    asked.into_iter().chain(told).collect::<Vec<_>>()
                });
                futures_util::future::join_all(writers).await.into_iter().flatten().collect()
            })
        };
        let thread = place.within(move || thread::spawn(work));
        Self { may_end, thread }
    }

    /// Lets them finish what they are at, and tells all that they have sent.
    pub(crate) fn end(self) -> Vec<Sent> {
        self.may_end.store(true, Ordering::Relaxed);
        self.thread.join().expect("writers do not panic")
    }
}

async fn ask(directory: &Directory, actor: &str, may_end: &AtomicBool) -> Vec<Sent> {
    let ledger = directory.actor::<LedgerApi>(actor);
    let mut sent = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    for number in (0..).step_by(2) {
        pace.tick().await;
        if may_end.load(Ordering::Relaxed) {
            break;
        }
        let outcome = match ledger.send(Enter { number }).await {
            Ok(run) => Outcome::Answered(run),
            Err(DirectoryError::Failed { error, .. }) => failed(&error),
            Err(_) => Outcome::NotHandled,
        };
        sent.push(Sent { actor: actor.to_owned(), number, outcome });
    }
    sent
}

async fn tell(directory: &Directory, actor: &str, may_end: &AtomicBool) -> Vec<Sent> {
    let mut known: Option<Peer<LedgerApi>> = None;
    let mut sent = Vec::new();
    let mut pace = tokio::time::interval(PACE);
    for number in (1..).step_by(2) {
        pace.tick().await;
        if may_end.load(Ordering::Relaxed) {
            break;
        }
        if known.is_none() {
            known = directory.find(actor).await.ok();
        }
        let Some(ledger) = &known else { continue };
        let outcome = match ledger.tell(Enter { number }).await {
            Ok(()) => Outcome::Taken,
            Err(error) => {
                known = None;
                failed(&error)
            }
        };
        sent.push(Sent { actor: actor.to_owned(), number, outcome });
    }
    sent
}

fn failed(error: &PeerError) -> Outcome {
    if error.may_have_run() { Outcome::MayBeHandled } else { Outcome::NotHandled }
}

/// Asks the run of an actor that a listing has told of, whether it still has its name or not.
pub(crate) fn ask_run(place: &Namespace, location: &Value) -> Result<String, PeerError> {
    let incarnation = location["incarnation"].as_u64().expect("a location has an incarnation");
    let address = ActorAddress {
        actor: ActorName::new(text(&location["actor"])).expect("a location names an actor"),
        node: Some(NodeId { name: text(&location["node"]), incarnation }),
        endpoint: Some(Endpoint::new(text(&location["endpoint"]))),
    };
    place.within(move || {
        in_system(async move {
            let node = credentials::node("asker", 2).await;
            node.resolve::<LedgerApi>(&address).send_within(Enter { number: STRAY }, ANSWER_WITHIN).await
        })
    })
}

/// Whether the directory can be asked from a place.
pub(crate) fn can_look_up(place: &Namespace, master: &str, actor: &str) -> bool {
    let master = Endpoint::new(master);
    place.within(move || {
        in_system(async move {
            let node = credentials::node("seeker", 3).await;
            Directory::at(&node, &master).find::<LedgerApi>(actor).await.is_ok()
        })
    })
}

fn in_system<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(work)
}
