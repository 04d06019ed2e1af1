//! What nodes tell of their actors and links, asked from many of them at a time, with the rates between two looks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use odeon_protocol::deployment::ActorLocation;
use odeon_protocol::messages::deployments::ActorSummary;
use odeon_runtime::{
    ActorAddress, ActorFigures, Endpoint, FIGURES, GetFigures, Node, NodeFigures, NodeId, Peer, TellsFigures,
};
use serde::Serialize;

/// How long a node may take to answer; one that does not is shown without figures.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);
/// Nodes that are asked at the same time.
const ASKED_AT_ONCE_MAX: usize = 64;

/// What is shown of the messages of an actor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Messages that wait.
    pub(super) waiting: u64,
    /// Tells that may wait.
    pub(super) capacity: u64,
    /// Messages that were handled since the actor was placed.
    pub(super) handled: u64,
    /// Messages a second since the last look; none at the first.
    pub(super) per_second: Option<f64>,
    /// The mean time for one, in microseconds: since the last look, or at the first since the actor was placed.
    pub(super) handling_us: Option<f64>,
    /// The text of its last panic.
    pub(super) last_error: Option<String>,
}

/// A node that is asked: its place and which run of it.
type Place = (String, u64, String);

/// Asks nodes again and again, and remembers the last answers.
#[derive(Debug)]
pub(super) struct Looks {
    node: Node,
    last: BTreeMap<(Place, String), (Instant, ActorFigures)>,
}

impl Looks {
    /// Looks from a node of one's own.
    pub(super) fn from(node: &Node) -> Self {
        Self { node: node.clone(), last: BTreeMap::new() }
    }

    /// The figures of those actors that run, by name.
    pub(super) async fn at(&mut self, actors: &[ActorSummary]) -> BTreeMap<String, Figures> {
        let places: Vec<&ActorLocation> = actors.iter().filter_map(|actor| actor.location.as_ref()).collect();
        let nodes = ask(&self.node, places.iter().copied().map(place).collect()).await;
        let now = Instant::now();
        let mut seen = BTreeMap::new();
        let mut figures = BTreeMap::new();
        for location in places {
            let told = nodes
                .get(&place(location))
                .and_then(|told| told.actors.iter().find(|actor| actor.name.as_str() == location.actor));
            let Some(told) = told else { continue };
            let key = (place(location), location.actor.clone());
            figures.insert(location.actor.clone(), between(self.last.get(&key), now, told));
            seen.insert(key, (now, told.clone()));
        }
        self.last = seen;
        figures
    }
}

/// What each of these nodes tells; those that do not answer are left out.
pub(super) async fn of_hosts(node: &Node, actors: &[ActorSummary]) -> Vec<NodeFigures> {
    let places = actors.iter().filter_map(|actor| actor.location.as_ref()).map(place).collect();
    ask(node, places).await.into_values().collect()
}

/// What the node tells that listens at an endpoint.
pub(super) async fn of_node_at(node: &Node, endpoint: &Endpoint) -> Option<NodeFigures> {
    let peer: Peer<TellsFigures> = node.peer_at(endpoint, FIGURES);
    peer.send_within(GetFigures {}, ANSWER_WAIT_MAX).await.ok()
}

fn place(location: &ActorLocation) -> Place {
    (location.node.clone(), location.incarnation, location.endpoint.clone())
}

async fn ask(node: &Node, mut places: Vec<Place>) -> BTreeMap<Place, NodeFigures> {
    places.sort();
    places.dedup();
    let answers = places.into_iter().map(|place| async {
        let (name, incarnation, endpoint) = place.clone();
        let (id, endpoint) = (NodeId { name, incarnation }, Endpoint::new(endpoint));
        let address = ActorAddress { actor: FIGURES.into(), node: Some(id), endpoint: Some(endpoint) };
        let peer: Peer<TellsFigures> = node.resolve(&address);
        let told = peer.send_within(GetFigures {}, ANSWER_WAIT_MAX).await;
        Some((place, told.ok()?))
    });
    let answers = futures_util::stream::iter(answers).buffer_unordered(ASKED_AT_ONCE_MAX);
    answers.filter_map(std::future::ready).collect().await
}

/// What two looks at an actor show.
fn between(before: Option<&(Instant, ActorFigures)>, now: Instant, told: &ActorFigures) -> Figures {
    let passed = before.map(|(at, _)| now.duration_since(*at)).filter(|passed| !passed.is_zero());
    let (handled, handling) = before.map_or((0, Duration::ZERO), |(_, before)| (before.handled, before.handling));
    let handled = told.handled.saturating_sub(handled);
    let handling = told.handling.saturating_sub(handling);
    let mean = |count: u64| handling.as_secs_f64() * 1e6 / count as f64;
    Figures {
        waiting: told.waiting,
        capacity: told.capacity,
        handled: told.handled,
        per_second: passed.map(|passed| handled as f64 / passed.as_secs_f64()),
        handling_us: (handled > 0).then(|| mean(handled)),
        last_error: told.last_error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(handled: u64, handling_ms: u64) -> ActorFigures {
        ActorFigures {
            name: "counter/0".into(),
            waiting: 3,
            capacity: 1024,
            handled,
            handling: Duration::from_millis(handling_ms),
            restarts: 0,
            last_error: None,
        }
    }

    #[test]
    fn the_first_look_shows_means_and_no_rate_and_the_next_what_was_between() {
        let start = Instant::now();
        let first = between(None, start, &told(100, 10));
        assert_eq!((first.per_second, first.handling_us, first.waiting), (None, Some(100.0), 3));
        let later = between(Some(&(start, told(100, 10))), start + Duration::from_secs(2), &told(300, 20));
        assert_eq!((later.per_second, later.handling_us, later.handled), (Some(100.0), Some(50.0), 300));
        let idle = between(Some(&(start, told(300, 20))), start + Duration::from_secs(2), &told(300, 20));
        assert_eq!((idle.per_second, idle.handling_us), (Some(0.0), None));
    }
}
