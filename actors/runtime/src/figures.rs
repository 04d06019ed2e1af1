//! What a node can tell of its actors and links: counts since their start, and what waits now.
//!
//! Whoever counts owns the count and only stores it, without a lock: a figure is read while it moves, so two of them
//! need not be of the same moment. Rates are for whoever reads twice.

use crate::exports::Exports;
use crate::fabric::{Fabric, Side, lock};
use crate::name::{ActorName, NodeId};
use crate::node::Node;
use crate::trust::PeerRole;
use actix::{Actor, Context, Handler, MessageResult};
use odeon_protocol::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// Asks a node for its figures; sent to [`FIGURES`] by whoever shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetFigures {}
remote_message!(GetFigures => NodeFigures, "runtime.v1.GetFigures");

interface! {
    /// What the actor behind [`FIGURES`] hears.
    pub TellsFigures: GetFigures
}

/// The name behind which [`Node::serve_figures`] answers.
pub const FIGURES: &str = "figures";

/// What a node tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFigures {
    /// The node.
    pub node: NodeId,
    /// Its supervised actors, by name.
    pub actors: Vec<ActorFigures>,
    /// Its links that are up, by the other node.
    pub links: Vec<LinkFigures>,
}

/// A supervised actor. Messages are those of peers; what is sent to its address, past all peers, is not counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorFigures {
    /// The name behind which it is exported.
    pub name: ActorName,
    /// Messages that wait.
    pub waiting: u64,
    /// Tells that may wait.
    pub capacity: u64,
    /// Messages that were handed to it, over all restarts.
    pub handled: u64,
    /// How long it has been handling them.
    pub handling: Duration,
    /// How often it was restarted.
    pub restarts: u64,
    /// The text of its last panic.
    pub last_error: Option<String>,
}

/// A link that is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFigures {
    /// The node at the other end.
    pub node: NodeId,
    /// Whether this node dialled.
    pub is_dialled: bool,
    /// Bytes that have arrived.
    pub bytes_in: u64,
    /// Frames that have arrived; a bulk frame counts once.
    pub frames_in: u64,
    /// Bytes that were handed to the socket.
    pub bytes_out: u64,
    /// Frames that were handed to the socket; a bulk frame counts once it has begun.
    pub frames_out: u64,
    /// Frames that wait for the socket.
    pub frames_waiting: u64,
    /// Bytes that wait for the socket.
    pub bytes_waiting: u64,
    /// Asks and watches of this node that wait for an answer.
    pub asks_waiting: u64,
    /// How long the last heartbeat took there and back; none before the first, or if the other node does not answer it.
    pub round_trip: Option<Duration>,
}

/// What is counted of the messages of one actor. Each count has one writer at a time.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Messages that have ever been put in; changed under the lock of the inbox.
    pub(crate) put: AtomicU64,
    /// Messages that have ever been taken out to be handled; changed by the actor alone.
    pub(crate) taken: AtomicU64,
    /// Those of them that could not be read, and so were not handled.
    unread: AtomicU64,
    nanos: AtomicU64,
}

impl Counts {
    /// Messages that have been put in and not taken out.
    pub(crate) fn waiting(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        self.put.load(Ordering::Relaxed).saturating_sub(taken)
    }

    pub(crate) fn on_put(&self, count: usize) {
        raise(&self.put, count as u64);
    }

    pub(crate) fn on_taken(&self) {
        raise(&self.taken, 1);
    }

    /// The message that was taken last could not be read.
    #[cold]
    pub(crate) fn on_unread(&self) {
        raise(&self.unread, 1);
    }

    fn handled(&self) -> u64 {
        self.taken.load(Ordering::Relaxed).saturating_sub(self.unread.load(Ordering::Relaxed))
    }

    /// The actor has been handling messages for so long.
    pub(crate) fn on_handled(&self, time: Duration) {
        raise(&self.nanos, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// A new run of the actor begins with an empty inbox.
    pub(crate) fn on_start(&self) {
        self.put.store(self.taken.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Only for a count with one writer at a time.
fn raise(count: &AtomicU64, by: u64) {
    count.store(count.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// What is known of a supervised actor over all its runs.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    pub(crate) counts: Arc<Counts>,
    capacity: u64,
    /// How often it was restarted, and the text of its last panic.
    panics: Mutex<(u64, Option<String>)>,
}

impl Gauge {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity: capacity as u64, ..Self::default() }
    }

    pub(crate) fn on_panic(&self, text: &str) {
        lock(&self.panics).1 = Some(text.to_owned());
    }

    pub(crate) fn on_restart(&self) {
        lock(&self.panics).0 += 1;
    }

    fn figures(&self, name: &ActorName) -> ActorFigures {
        let (restarts, last_error) = lock(&self.panics).clone();
        ActorFigures {
            name: name.clone(),
            waiting: self.counts.waiting(),
            capacity: self.capacity,
            handled: self.counts.handled(),
            handling: Duration::from_nanos(self.counts.nanos.load(Ordering::Relaxed)),
            restarts,
            last_error,
        }
    }
}

/// The gauges of the actors that a node supervises.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<BTreeMap<ActorName, Arc<Gauge>>>);

impl Gauges {
    /// Shows an actor from now on, in place of an earlier one of that name.
    pub(crate) fn insert(&self, name: &ActorName, gauge: &Arc<Gauge>) {
        lock(&self.0).insert(name.clone(), Arc::clone(gauge));
    }

    /// Shows an actor no more, unless another one is shown under its name by now.
    pub(crate) fn remove(&self, name: &ActorName, gauge: &Arc<Gauge>) {
        let mut gauges = lock(&self.0);
        if gauges.get(name).is_some_and(|shown| Arc::ptr_eq(shown, gauge)) {
            gauges.remove(name);
        }
    }

    fn figures(&self) -> Vec<ActorFigures> {
        lock(&self.0).iter().map(|(name, gauge)| gauge.figures(name)).collect()
    }
}

fn figures(fabric: &Fabric) -> NodeFigures {
    let links = fabric.links_up();
    let links = links.iter().map(|((node, side, _), link)| link.figures(node, *side == Side::Dialled));
    NodeFigures { node: fabric.id.clone(), actors: fabric.gauges.figures(), links: links.collect() }
}

impl Node {
    /// What can be told of the supervised actors and the links of this node, now.
    #[must_use]
    pub fn figures(&self) -> NodeFigures {
        figures(&self.fabric)
    }

    /// Answers [`GetFigures`] behind [`FIGURES`] from now on, from the current arbiter.
    ///
    /// # Panics
    /// Outside an actix arbiter or `LocalSet`.
    pub fn serve_figures(&self) {
        let teller = FiguresActor(Arc::downgrade(&self.fabric)).start();
        self.export(FIGURES, Exports::new().only_from(&[PeerRole::Client]).accept::<GetFigures, _>(&teller));
    }
}

/// Tells the figures of its node, which it does not keep alive.
struct FiguresActor(Weak<Fabric>);

impl Actor for FiguresActor {
    type Context = Context<Self>;
}

impl Handler<GetFigures> for FiguresActor {
    type Result = MessageResult<GetFigures>;
    fn handle(&mut self, _: GetFigures, _: &mut Self::Context) -> Self::Result {
        let fabric = self.0.upgrade().expect("its exports, through which it is asked, belong to the fabric");
        MessageResult(figures(&fabric))
    }
}
