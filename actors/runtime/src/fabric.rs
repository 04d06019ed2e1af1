//! What all handles of one node share: its exports, its links, and the way to each.
//!
//! The table of links is one short lock; nothing waits while it is held.

use crate::backoff::{Failures, Seeded};
use crate::dial;
use crate::error::PeerError;
use crate::events::LinkEvent;
use crate::exports::Exports;
use crate::figures::Gauges;
use crate::limits::FabricLimits;
use crate::link::{EndCause, Link};
use crate::name::{ActorName, Endpoint, NodeId};
use crate::node::NodeFailure;
use crate::schemas::KnownSchemas;
use crate::transport::{Listener, Transport};
use crate::watch::{EndReason, Ends};
use dashmap::DashMap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Locks; a panic of another thread while it held the lock left the data whole, as no code here
/// panics between two changes that belong together.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who opened a link; a node that dialled us is answered over its own link first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Accepted,
    Dialled,
}

/// Tells the links between two nodes apart: who dialled, and under which endpoint.
pub(crate) type LinkKey = (NodeId, Side, u32);

/// Events that were refused or lost, counted since the start of the node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) frames_refused: AtomicU64,
    pub(crate) greetings_refused: AtomicU64,
    pub(crate) peers_distrusted: AtomicU64,
    pub(crate) messages_forbidden: AtomicU64,
    pub(crate) tells_dropped: AtomicU64,
    pub(crate) refusals_dropped: AtomicU64,
    pub(crate) replies_late: AtomicU64,
}

/// One endpoint that was dialled.
#[derive(Default)]
struct Slot {
    failures: Failures,
    cause: EndCause,
    link: Option<Arc<Link>>,
}

#[derive(Default)]
struct Table {
    slots: BTreeMap<Endpoint, Slot>,
    up: BTreeMap<LinkKey, Arc<Link>>,
    /// Endpoints that turned out to be this node.
    own: BTreeSet<Endpoint>,
}

/// Where a peer's messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Near,
    At(Endpoint),
    Of(NodeId),
    OfAt(NodeId, Endpoint),
}

/// Where one message goes now.
pub(crate) enum Route {
    Near,
    Far(Arc<Link>),
}

pub(crate) struct Fabric {
    pub(crate) id: NodeId,
    /// Nodes of the same build tell each other no schemas.
    pub(crate) build: String,
    pub(crate) schemas: KnownSchemas,
    pub(crate) limits: FabricLimits,
    pub(crate) transport: Arc<dyn Transport>,
    /// The runtime of the arbiter that started the node; link tasks run there.
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) counters: Counters,
    pub(crate) handshakes: Arc<Semaphore>,
    pub(crate) stop: CancellationToken,
    /// As `stop`, for whoever asks at every message.
    is_stopped: AtomicBool,
    pub(crate) events: broadcast::Sender<LinkEvent>,
    pub(crate) failure: watch::Sender<Option<NodeFailure>>,
    /// What this node tells others to dial: the first endpoint it listens at.
    pub(crate) advertised: Mutex<Option<Endpoint>>,
    pub(crate) random: Mutex<Seeded>,
    /// Read by every message, from any thread; written when an actor starts or ends.
    exports: DashMap<ActorName, Arc<Exports>>,
    /// Rises with every change of the exports.
    exports_generation: AtomicU64,
    ends: Ends,
    pub(crate) gauges: Gauges,
    table: Mutex<Table>,
    links_started: AtomicU64,
}

impl Fabric {
    pub(crate) fn new(
        id: NodeId,
        build: String,
        limits: FabricLimits,
        transport: Arc<dyn Transport>,
        seed: u64,
    ) -> Self {
        Self {
            id,
            build,
            schemas: KnownSchemas::default(),
            transport,
            runtime: tokio::runtime::Handle::current(),
            counters: Counters::default(),
            handshakes: Arc::new(Semaphore::new(limits.handshakes_max)),
            stop: CancellationToken::new(),
            is_stopped: AtomicBool::new(false),
            events: broadcast::channel(limits.link_events_max).0,
            failure: watch::channel(None).0,
            advertised: Mutex::default(),
            random: Mutex::new(Seeded::new(seed)),
            exports: DashMap::new(),
            exports_generation: AtomicU64::new(0),
            ends: Ends::default(),
            gauges: Gauges::default(),
            table: Mutex::default(),
            links_started: AtomicU64::new(0),
            limits,
        }
    }

    /// Ends all links and listeners.
    pub(crate) fn shut_down(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.stop.cancel();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    pub(crate) fn export(&self, actor: ActorName, exports: Exports) -> Arc<Exports> {
        let exports = Arc::new(exports);
        self.exports.insert(actor, Arc::clone(&exports));
        self.on_exports_changed();
        exports
    }

    /// Takes a name back unless something else is behind it by now.
    pub(crate) fn retract_own(&self, actor: &ActorName, own: &Arc<Exports>, reason: EndReason) {
        let was_there = self.exports.remove_if(actor, |_, current| Arc::ptr_eq(current, own)).is_some();
        self.on_exports_changed();
        if was_there {
            self.ends.on_end(actor, reason);
        }
    }

    pub(crate) fn retract(&self, actor: &ActorName) -> bool {
        let was_there = self.exports.remove(actor).is_some();
        self.on_exports_changed();
        if was_there {
            self.ends.on_end(actor, EndReason::Stopped);
        }
        was_there
    }

    /// Waits for the end of an actor of this node, from now on.
    pub(crate) fn watch(&self, actor: &ActorName) -> BoxFuture<'static, EndReason> {
        let Some(end) = self.ends.subscribe(actor, || self.exports.contains_key(actor)) else {
            return std::future::ready(EndReason::Unknown).boxed();
        };
        let stop = self.stop.clone();
        let shut_down = || EndReason::NodeLost { cause: "this node has shut down".into() };
        async move {
            tokio::select! {
                biased;
                ended = end => ended.unwrap_or_else(|_| shut_down()),
                () = stop.cancelled() => shut_down(),
            }
        }
        .boxed()
    }

    fn on_exports_changed(&self) {
        self.exports_generation.fetch_add(1, Ordering::Release);
    }

    /// Tells whoever remembers an export whether it may still be true.
    pub(crate) fn exports_generation(&self) -> u64 {
        self.exports_generation.load(Ordering::Acquire)
    }

    pub(crate) fn exports_of(&self, actor: &ActorName) -> Result<Arc<Exports>, PeerError> {
        let exports = self.exports.get(actor).map(|entry| Arc::clone(&entry));
        exports.ok_or_else(|| PeerError::NoSuchActor { actor: actor.clone() })
    }

    pub(crate) fn listens_at(&self, endpoint: &Endpoint) {
        lock(&self.table).own.insert(endpoint.clone());
        lock(&self.advertised).get_or_insert_with(|| endpoint.clone());
    }

    pub(crate) fn advertise(&self, endpoint: Endpoint) {
        lock(&self.table).own.insert(endpoint.clone());
        *lock(&self.advertised) = Some(endpoint);
    }

    /// The way of the next message; dials if there is none yet.
    pub(crate) fn route(self: &Arc<Self>, target: &Target) -> Result<Route, PeerError> {
        match target {
            Target::Near => Ok(Route::Near),
            Target::At(endpoint) => self.route_to(endpoint),
            Target::Of(node) | Target::OfAt(node, _) if *node == self.id => Ok(Route::Near),
            Target::Of(node) => self.link_of(node).map(Route::Far).ok_or_else(|| {
                let cause = "there is no link to it".into();
                PeerError::Unreachable { target: node.to_string(), cause }
            }),
            Target::OfAt(node, endpoint) => match self.link_of(node) {
                Some(link) => Ok(Route::Far(link)),
                None => self.route_to(endpoint),
            },
        }
    }

    pub(crate) fn link_of(&self, node: &NodeId) -> Option<Arc<Link>> {
        let table = lock(&self.table);
        links_of(&table, node).next().cloned()
    }

    /// The node that answers at an endpoint, if a link to it is up.
    pub(crate) fn node_at(&self, endpoint: &Endpoint) -> Option<NodeId> {
        lock(&self.table).slots.get(endpoint)?.link.as_ref()?.node()
    }

    pub(crate) fn linked_nodes(&self) -> BTreeSet<NodeId> {
        lock(&self.table).up.keys().map(|(node, ..)| node.clone()).collect()
    }

    /// The links that are up, in order.
    pub(crate) fn links_up(&self) -> Vec<(LinkKey, Arc<Link>)> {
        lock(&self.table).up.iter().map(|(key, link)| (key.clone(), Arc::clone(link))).collect()
    }

    fn route_to(self: &Arc<Self>, endpoint: &Endpoint) -> Result<Route, PeerError> {
        let unreachable = |cause: String| Err(PeerError::Unreachable { target: endpoint.to_string(), cause });
        if self.is_stopped() {
            return unreachable("this node has shut down".into());
        }
        let now = Instant::now();
        let mut table = lock(&self.table);
        if table.own.contains(endpoint) {
            return Ok(Route::Near);
        }
        if !table.slots.contains_key(endpoint) && !make_room(&mut table, self.limits.links_max, now) {
            return unreachable(format!("this node has {} links, its limit", self.limits.links_max));
        }
        let slot = table.slots.entry(endpoint.clone()).or_default();
        if let Some(link) = slot.link.as_ref().filter(|link| !link.is_ended()) {
            return Ok(Route::Far(Arc::clone(link)));
        }
        if let Some(wait) = slot.failures.wait(now) {
            let EndCause { text, is_distrust } = &slot.cause;
            let text = format!("{text}; next dial in {} ms", wait.as_millis());
            return Err(EndCause { text, is_distrust: *is_distrust }.error(endpoint.to_string()));
        }
        let link = self.new_link(endpoint.to_string());
        slot.link = Some(Arc::clone(&link));
        drop(table);
        self.runtime.spawn(dial::dial(Arc::clone(self), Arc::clone(&link), endpoint.clone()));
        Ok(Route::Far(link))
    }

    /// Takes in connections from now on. What an asynchronous function spawns is compiled in the crate that awaits it,
    /// with what that crate is optimised for; so this is none.
    pub(crate) fn accept_all(self: &Arc<Self>, listener: Box<dyn Listener>) {
        self.runtime.spawn(dial::accept_all(Arc::clone(self), listener));
    }

    pub(crate) fn new_link(&self, target: String) -> Arc<Link> {
        let number = self.links_started.fetch_add(1, Ordering::Relaxed);
        Link::new(number, target, &self.limits, self.stop.child_token())
    }

    /// Whether one more connection may be taken in.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.table).up.len() < self.limits.links_max
    }

    /// The endpoint that was dialled is this node.
    pub(crate) fn on_own_endpoint(&self, endpoint: &Endpoint) {
        let mut table = lock(&self.table);
        table.slots.remove(endpoint);
        table.own.insert(endpoint.clone());
    }

    /// A link is up. An older one with the same key is closed: its node has opened this one, so the
    /// older is dead and has not noticed.
    pub(crate) fn on_up(&self, key: LinkKey, link: &Arc<Link>, endpoint: Option<&Endpoint>) {
        let node = key.0.clone();
        link.on_up(node.clone());
        let mut table = lock(&self.table);
        let first = links_of(&table, &node).next().is_none();
        let older = table.up.insert(key, Arc::clone(link));
        if let Some(slot) = endpoint.and_then(|endpoint| table.slots.get_mut(endpoint)) {
            slot.failures.on_success();
        }
        if first {
            info!(%node, "link up");
            // Sent under the lock, so that events are in the order of the table's changes.
            let _ = self.events.send(LinkEvent::Up { node, endpoint: endpoint.cloned() });
        }
        drop(table);
        if let Some(older) = older {
            older.close();
        }
    }

    /// A link has ended, or never came up.
    pub(crate) fn on_end(
        &self,
        key: Option<&LinkKey>,
        link: &Arc<Link>,
        endpoint: Option<&Endpoint>,
        cause: &EndCause,
    ) {
        link.on_end(cause);
        let mut table = lock(&self.table);
        if let Some(slot) = endpoint.and_then(|endpoint| table.slots.get_mut(endpoint)) {
            slot.link = None;
            slot.cause.clone_from(cause);
            let FabricLimits { backoff_min, backoff_max, .. } = self.limits;
            slot.failures.on_failure(Instant::now(), backoff_min, backoff_max, &mut lock(&self.random));
        }
        let Some(key) = key else { return };
        if table.up.get(key).is_some_and(|up| up.number == link.number) {
            table.up.remove(key);
            if links_of(&table, &key.0).next().is_none() {
                info!(node = %key.0, cause = cause.text, "link down");
                let _ = self.events.send(LinkEvent::Down { node: key.0.clone(), reason: cause.text.clone() });
            }
        }
    }
}

fn links_of<'a>(table: &'a Table, node: &NodeId) -> impl Iterator<Item = &'a Arc<Link>> {
    let ends = (node.clone(), Side::Accepted, 0)..=(node.clone(), Side::Dialled, u32::MAX);
    table.up.range(ends).map(|(_, link)| link)
}

/// Forgets endpoints without a link and past their backoff, if there are too many.
fn make_room(table: &mut Table, links_max: usize, now: Instant) -> bool {
    if table.slots.len() >= links_max {
        table.slots.retain(|_, slot| slot.link.is_some() || slot.failures.wait(now).is_some());
    }
    table.slots.len() < links_max
}
