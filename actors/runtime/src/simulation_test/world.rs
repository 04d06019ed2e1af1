//! The nodes of a run, what goes wrong with them and between them, and the order in which a run is played.

use super::checks;
use super::ear::{Ear, EarApi, Panic, Pause};
use super::ledger::{Ledger, Place};
use super::mangler::{self, Mistake};
use super::plan::{Fault, MORTALS, Plan, Step, WatcherPlan};
use super::talker::Talker;
use super::watcher;
use crate::events::LinkEvent;
use crate::memory::InMemoryNetwork;
use crate::name::{ActorName, Endpoint, NodeId};
use crate::node::Node;
use crate::supervisor::{OnPanic, Supervised, SupervisorSpec};
use actix::Actor;
use futures_util::future::join_all;
use odeon_protocol::restart::RestartPolicy;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// No talker takes longer, faults and timeouts included.
const TALKING_MAX: Duration = Duration::from_secs(300);
/// How long watchers may take to hear of an end when nothing is wrong any more.
const WATCHING_MAX: Duration = Duration::from_secs(3);
/// How often bounds are looked at.
const SAMPLE: Duration = Duration::from_millis(37);
/// Beyond the bytes of two queues: their last frames, and names that are defined.
const LAST_FRAMES_BYTES: u64 = 300 * 1024;

pub(crate) fn endpoint(node: usize) -> Endpoint {
    Endpoint::new(format!("node-{node}:1"))
}

fn host(node: usize) -> String {
    format!("node-{node}")
}

pub(crate) fn ear(node: usize) -> ActorName {
    ActorName::of_role("ear", node).expect("a short name")
}

pub(crate) fn mortal(index: usize) -> ActorName {
    ActorName::of_role("mortal", index).expect("a short name")
}

/// One run of a node.
struct Running {
    node: Node,
    ear: Supervised,
    mortals: Vec<Supervised>,
    /// The nodes that are up, as told by events.
    up: Rc<RefCell<BTreeSet<NodeId>>>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) ledger: Rc<Ledger>,
    network: InMemoryNetwork,
    mistake: Option<Mistake>,
    begun: Instant,
    incarnations: Cell<u64>,
    nodes: RefCell<Vec<Option<Running>>>,
}

/// Plays a plan to its end and checks it.
pub(crate) async fn play(plan: &Plan, ledger: &Rc<Ledger>, mistake: Option<Mistake>) {
    let world = Rc::new(World {
        plan: plan.clone(),
        ledger: Rc::clone(ledger),
        network: InMemoryNetwork::new(plan.seed),
        mistake,
        begun: Instant::now(),
        incarnations: Cell::new(0),
        nodes: RefCell::new((0..plan.nodes).map(|_| None).collect()),
    });
    for index in 0..plan.nodes {
        world.start(index).await;
    }
    let sampling = spawn_local(Rc::clone(&world).sample());
    let watching: Vec<JoinHandle<()>> = (plan.watchers.iter().enumerate())
        .map(|(id, watcher)| spawn_local(watcher::watch(id, *watcher, Rc::clone(&world))))
        .collect();
    let mut talkers: Vec<Talker> =
        (0..).zip(&plan.talkers).map(|(id, talker)| Talker::new(id, *talker, &world)).collect();
    let talking = async { tokio::join!(world.go_wrong(), join_all(talkers.iter_mut().map(Talker::talk))) };
    if timeout(TALKING_MAX, talking).await.is_err() {
        return ledger.violated("the talkers come to no end".into());
    }
    ledger.note("conclude");
    join_all(talkers.iter_mut().map(Talker::conclude)).await;
    world.end(watching).await;
    sampling.abort();
}

impl World {
    /// A node, if it is not being restarted.
    pub(crate) fn node(&self, index: usize) -> Option<Node> {
        self.nodes.borrow()[index].as_ref().map(|running| running.node.clone())
    }

    /// Whether the actor that is watched has ended since then, on any run of its node.
    pub(crate) fn mortal_ended(&self, watched: &WatcherPlan, since_ms: u64) -> bool {
        let (node, actor) = (watched.to, mortal(watched.mortal));
        let book = self.ledger.book.borrow();
        let mut ends = book.ended.iter();
        ends.any(|(place, at)| place.node == node && place.actor == actor.as_str() && *at >= since_ms)
    }

    async fn start(self: &Rc<Self>, index: usize) {
        let incarnation = self.incarnations.get() + 1;
        self.incarnations.set(incarnation);
        let transport = mangler::mangle(self.network.host(host(index)), self.mistake);
        let builder = Node::builder(host(index)).incarnation(incarnation).transport(transport);
        let node = builder.limits(self.plan.limits()).start().await.expect("the plan names valid limits");
        let place = |actor: &ActorName| Place { node: index, incarnation, actor: actor.as_str().to_owned() };
        let plain = Ear { place: place(&"plain".into()), ledger: Rc::clone(&self.ledger) }.start();
        node.export("plain", Ear::exports(&plain));
        let supervise = |name: ActorName| {
            let (place, ledger) = (place(&name), Rc::clone(&self.ledger));
            let (backoff_min, backoff_max) = (Duration::from_millis(10), Duration::from_millis(200));
            let policy = RestartPolicy { restarts_max: 1000, backoff_min, backoff_max, ..RestartPolicy::default() };
            let mailbox_capacity = if self.plan.tight { 4 } else { 64 };
            let spec = SupervisorSpec { name, on_panic: OnPanic::Restart(policy), mailbox_capacity };
            node.supervise(spec, move || Ear { place: place.clone(), ledger: Rc::clone(&ledger) }, Ear::exports)
        };
        let (ear, mortals) = (supervise(ear(index)), (0..MORTALS).map(|index| supervise(mortal(index))).collect());
        let up = self.hear_of_links(&node);
        while node.listen(endpoint(index)).await.is_err() {
            // The run before has not let go of it yet.
            sleep(Duration::from_millis(1)).await;
        }
        self.ledger.note(&format!("start {index} as {incarnation}"));
        self.nodes.borrow_mut()[index] = Some(Running { node, ear, mortals, up });
    }

    /// For each node `Up` and `Down` take turns.
    fn hear_of_links(&self, node: &Node) -> Rc<RefCell<BTreeSet<NodeId>>> {
        let (mut events, ledger, own) = (node.subscribe_links(), Rc::clone(&self.ledger), node.id().clone());
        let up = Rc::new(RefCell::new(BTreeSet::new()));
        let known = Rc::clone(&up);
        spawn_local(async move {
            while let Some(event) = events.recv().await {
                ledger.note(&format!("{own} hears {event:?}"));
                let in_turn = match event {
                    LinkEvent::Up { node, .. } => known.borrow_mut().insert(node),
                    LinkEvent::Down { node, .. } => {
                        ledger.book.borrow_mut().counts.links_lost += 1;
                        known.borrow_mut().remove(&node)
                    }
                    LinkEvent::Missed { .. } => false,
                };
                if !in_turn {
                    ledger.violated(format!("{own} heard of a link out of turn"));
                }
            }
        });
        up
    }

    /// All faults in their order; then everything is well again.
    async fn go_wrong(self: &Rc<Self>) {
        let mut restarting = Vec::new();
        for Step { at_ms, fault } in self.plan.faults.clone() {
            sleep_until(self.begun + Duration::from_millis(at_ms)).await;
            self.ledger.note(&format!("{fault:?}"));
            restarting.extend(self.inflict(fault));
        }
        sleep_until(self.begun + Duration::from_millis(self.plan.heal_ms)).await;
        for (a, b) in (0..self.plan.nodes).flat_map(|a| (0..self.plan.nodes).map(move |b| (a, b))) {
            self.network.heal(&host(a), &host(b));
            self.network.quicken(&host(a), &host(b));
        }
        for restart in restarting {
            restart.await.expect("a start does not panic");
        }
        self.ledger.note("all faults are over");
    }

    fn inflict(self: &Rc<Self>, fault: Fault) -> Option<JoinHandle<()>> {
        let network = &self.network;
        match fault {
            Fault::Cut { a, b } => network.cut(&host(a), &host(b)),
            Fault::CutOneWay { from, to } => network.cut_one_way(&host(from), &host(to)),
            Fault::Heal { a, b } => network.heal(&host(a), &host(b)),
            Fault::Reset { a, b } => network.reset(&host(a), &host(b)),
            Fault::Forget { told, other } => network.forget(&host(told), &host(other)),
            Fault::Slow { from, to, delay_ms, bytes_per_ms } => {
                network.slow(&host(from), &host(to), Duration::from_millis(delay_ms), bytes_per_ms);
            }
            Fault::Quicken { from, to } => network.quicken(&host(from), &host(to)),
            Fault::Panic { node } => {
                // A full mailbox refuses it: then nobody panics.
                let _ = self.node(node)?.peer::<EarApi>(ear(node)).try_tell(Panic());
            }
            Fault::Pause { node, supervised, ms } => {
                let actor = if supervised { ear(node) } else { "plain".into() };
                let _ = self.node(node)?.peer::<EarApi>(actor).try_tell(Pause(ms));
            }
            Fault::End { node, mortal } => self.end_mortal(self.nodes.borrow()[node].as_ref()?, node, mortal),
            Fault::Restart { node, after_ms } => return self.restart(node, after_ms),
        }
        None
    }

    fn end_mortal(&self, running: &Running, node: usize, index: usize) {
        let incarnation = running.node.id().incarnation;
        self.ledger.on_mortal_end(Place { node, incarnation, actor: mortal(index).as_str().to_owned() });
        running.mortals[index].stop();
    }

    fn restart(self: &Rc<Self>, index: usize, after_ms: u64) -> Option<JoinHandle<()>> {
        let running = self.nodes.borrow_mut()[index].take()?;
        running.node.shut_down();
        self.stop(index, &running);
        let world = Rc::clone(self);
        Some(spawn_local(async move {
            sleep(Duration::from_millis(after_ms)).await;
            // What was late to the run before is counted by now.
            world.count(&running.node);
            drop(running);
            world.start(index).await;
        }))
    }

    fn stop(&self, index: usize, running: &Running) {
        running.ear.stop();
        running.node.retract("plain");
        (0..MORTALS).for_each(|mortal| self.end_mortal(running, index, mortal));
    }

    fn count(&self, node: &Node) {
        self.ledger.book.borrow_mut().counters.insert(node.id().incarnation, node.counters());
    }

    /// Looks at what is bounded, again and again.
    async fn sample(self: Rc<Self>) {
        loop {
            sleep(SAMPLE).await;
            for index in 0..self.plan.nodes {
                self.node(index).iter().for_each(|node| self.check_bounds(node));
            }
        }
    }

    fn check_bounds(&self, node: &Node) {
        let limits = node.limits();
        let frames_max = (limits.control_frames_max + limits.bulk_frames_max) as u64;
        let bytes_max = (limits.control_bytes_max + limits.bulk_bytes_max) as u64 + LAST_FRAMES_BYTES;
        let asks_max = (limits.pending_asks_max + self.plan.watchers.len()) as u64;
        for link in node.figures().links {
            if link.frames_waiting > frames_max || link.bytes_waiting > bytes_max || link.asks_waiting > asks_max {
                self.ledger.violated(format!("a link is over its bounds: {link:?}"));
            }
        }
    }

    /// Ends all that may end, and checks the whole run.
    async fn end(&self, watching: Vec<JoinHandle<()>>) {
        for (index, running) in self.nodes.borrow().iter().enumerate() {
            let running = running.as_ref().expect("all restarts are over");
            (0..MORTALS).for_each(|mortal| self.end_mortal(running, index, mortal));
        }
        if timeout(WATCHING_MAX, join_all(watching)).await.is_err() {
            self.ledger.violated("a watcher does not hear of an end".into());
        }
        sleep(Duration::from_millis(100)).await;
        for running in self.nodes.borrow().iter().flatten() {
            self.count(&running.node);
            if *running.up.borrow() != running.node.linked_nodes() {
                self.ledger.violated(format!("events and links of {:?} differ", running.node));
            }
            running.node.shut_down();
        }
        checks::check_end(&mut self.ledger.book.borrow_mut(), &self.plan);
    }
}
