//! One who talks: numbered messages to one actor or to a group, and what becomes of each.

use super::chance::Chance;
use super::ear::{EarApi, Haul, Say, pad_of};
use super::ledger::{Life, NEAR};
use super::plan::{Hearer, TalkerPlan};
use super::world::{World, ear, endpoint};
use crate::error::PeerError;
use crate::fabric::{Route, Target};
use crate::group::Group;
use crate::node::Node;
use crate::peer::Peer;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde_bytes::ByteBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long all may take to work again after the last fault: a dial that hangs, the longest backoff, a link that is
/// noticed to be dead, and what was on the way at the slowest pace.
const RECOVERY: Duration = Duration::from_secs(6);

/// How a talker sends one message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    TryTell,
    Tell,
    Ask,
    /// An ask with a timeout that is often too short.
    HastyAsk,
    /// An ask whose future is dropped.
    DroppedAsk,
}

pub(crate) struct Talker {
    pub(crate) id: u32,
    pub(crate) plan: TalkerPlan,
    world: Rc<World>,
    chance: Chance,
    number: u32,
    /// Of the run of the node that the peers belong to.
    incarnation: Option<u64>,
    /// One, or the members of a group; kept over many messages, so that what a peer remembers is part of the run.
    peers: Rc<Group<EarApi>>,
    asking: Vec<tokio::task::JoinHandle<()>>,
}

impl Talker {
    pub(crate) fn new(id: u32, plan: TalkerPlan, world: &Rc<World>) -> Self {
        let chance = Chance::new(world.plan.seed, 100 + u64::from(id));
        Self {
            id,
            plan,
            world: Rc::clone(world),
            chance,
            number: 0,
            incarnation: None,
            peers: Rc::new(Group::new([])),
            asking: Vec::new(),
        }
    }

    /// Says all it has to say, waits for its answers, and then shows that each lane works.
    pub(crate) async fn talk(&mut self) {
        for _ in 0..self.plan.count {
            if self.plan.gap_ms_max > 0 && self.chance.percent(60) {
                sleep(Duration::from_millis(self.chance.between(0, self.plan.gap_ms_max))).await;
            }
            let (manner, is_bulk) = (self.manner(), self.chance.percent(self.plan.bulk_percent));
            let Some(node) = self.world.node(self.plan.from) else { continue };
            self.say(&node, manner, is_bulk).await;
        }
        for asking in self.asking.drain(..) {
            asking.await.expect("an ask does not panic");
        }
    }

    /// Tells until it is taken and asks until there is an answer, once all faults have ended: the last messages of the run.
    pub(crate) async fn conclude(&mut self) {
        for (manner, is_bulk) in [(Manner::Tell, false), (Manner::Ask, false), (Manner::Ask, true)] {
            let until = Instant::now() + RECOVERY;
            while !self.is_heard_by_all(manner, is_bulk).await {
                if Instant::now() > until {
                    return self
                        .world
                        .ledger
                        .violated(format!("{} gets no answer after all faults (bulk: {is_bulk})", self.id));
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn is_heard_by_all(&mut self, manner: Manner, is_bulk: bool) -> bool {
        let Some(node) = self.world.node(self.plan.from) else { return false };
        self.know(&node);
        let count = self.peers.all().len();
        for index in 0..count {
            if !self.say_to(&node, index, manner, is_bulk).await {
                return false;
            }
        }
        true
    }

    fn manner(&mut self) -> Manner {
        match self.chance.percent(self.plan.asks_percent) {
            true => self.chance.of(&[Manner::Ask, Manner::Ask, Manner::Ask, Manner::HastyAsk, Manner::DroppedAsk]),
            false => self.chance.of(&[Manner::TryTell, Manner::Tell]),
        }
    }

    async fn say(&mut self, node: &Node, manner: Manner, is_bulk: bool) {
        self.know(node);
        let key = self.number.to_be_bytes();
        let chosen = if self.chance.percent(50) { self.peers.one() } else { self.peers.by_key(&key) };
        let actor = chosen.expect("a group has members").actor();
        let index = self.peers.all().position(|peer| peer.actor() == actor).expect("it is one of them");
        self.say_to(node, index, manner, is_bulk).await;
    }

    /// Sends one message; whether it was taken, or answered if the talker waited for that.
    async fn say_to(&mut self, node: &Node, index: usize, manner: Manner, is_bulk: bool) -> bool {
        self.number += 1;
        let peers = Rc::clone(&self.peers);
        let peer = peers.all().nth(index).expect("it is one of them");
        let (id, number, ledger) = (self.id, self.number, Rc::clone(&self.world.ledger));
        let bytes_max = if is_bulk { self.plan.bulk_bytes_max } else { self.plan.control_bytes_max };
        let length = usize::try_from(self.chance.between(0, bytes_max)).expect("short");
        let pad = ByteBuf::from(vec![pad_of(number); length]);
        let send_timeout = node.limits().send_timeout;
        let within =
            if manner == Manner::HastyAsk { Duration::from_millis(self.chance.between(1, 60)) } else { send_timeout };
        let is_ask = !matches!(manner, Manner::TryTell | Manner::Tell);
        ledger.on_sending((id, number), peer.actor(), is_ask, is_bulk, life(node, peer), within);
        match manner {
            Manner::TryTell => {
                let told =
                    if is_bulk { peer.try_tell(Haul(id, number, pad)) } else { peer.try_tell(Say(id, number, pad)) };
                let is_taken = told.is_ok();
                ledger.on_end(id, number, told.map(|()| None));
                is_taken
            }
            Manner::Tell => {
                let told = match is_bulk {
                    true => peer.tell(Haul(id, number, pad)).await,
                    false => peer.tell(Say(id, number, pad)).await,
                };
                let is_taken = told.is_ok();
                ledger.on_end(id, number, told.map(|()| None));
                is_taken
            }
            _ => self.ask(index, number, pad, is_bulk, manner, within).await,
        }
    }

    async fn ask(
        &mut self,
        index: usize,
        number: u32,
        pad: ByteBuf,
        is_bulk: bool,
        manner: Manner,
        within: Duration,
    ) -> bool {
        let (id, ledger) = (self.id, Rc::clone(&self.world.ledger));
        let peers = Rc::clone(&self.peers);
        let mut asking: LocalBoxFuture<'static, Result<u64, PeerError>> = Box::pin(async move {
            let peer = peers.all().nth(index).expect("it is one of them");
            match is_bulk {
                true => peer.send_within(Haul(id, number, pad), within).await,
                false => peer.send_within(Say(id, number, pad), within).await,
            }
        });
        // Polled once it has its place in the order.
        let early = asking.as_mut().now_or_never();
        let patience = (manner == Manner::DroppedAsk).then(|| Duration::from_millis(self.chance.between(0, 30)));
        let end = async move {
            let waited = match (early, patience) {
                (Some(reply), _) => Ok(reply),
                (None, Some(patience)) => timeout(patience, asking).await,
                (None, None) => Ok(asking.await),
            };
            match waited {
                Ok(reply) => {
                    let is_answered = reply.is_ok();
                    ledger.on_end(id, number, reply.map(Some));
                    is_answered
                }
                Err(_) => {
                    ledger.on_dropped(id, number);
                    false
                }
            }
        };
        if self.world.ledger.is_patient() || manner == Manner::Ask && self.number > self.plan.count {
            return end.await;
        }
        self.asking.push(tokio::task::spawn_local(end.map(drop)));
        true
    }

    /// Makes the peers anew if the node has been restarted.
    fn know(&mut self, node: &Node) {
        let incarnation = node.id().incarnation;
        if self.incarnation == Some(incarnation) {
            return;
        }
        let peers = match self.plan.hearer {
            Hearer::Ear => vec![node.peer_at(&endpoint(self.plan.to), ear(self.plan.to))],
            Hearer::Plain => vec![node.peer_at(&endpoint(self.plan.to), "plain")],
            Hearer::Group => (0..self.world.plan.nodes).map(|to| node.peer_at(&endpoint(to), ear(to))).collect(),
        };
        (self.incarnation, self.peers) = (Some(incarnation), Rc::new(Group::new(peers)));
    }
}

/// What the message will cross, if it is sent now.
fn life(node: &Node, peer: &Peer<EarApi>) -> Option<Life> {
    let at = peer.address().endpoint.expect("a peer of an endpoint");
    match node.fabric.route(&Target::At(at)).ok()? {
        Route::Near => Some((node.id().incarnation, NEAR)),
        Route::Far(link) => Some((node.id().incarnation, link.number)),
    }
}
