//! Which waiting actor goes to which offer: spread over agents, the emptiest first.

use odeon_protocol::deployment::{DeploymentName, DeploymentSpec};
use odeon_protocol::id::AgentId;
use odeon_protocol::offer::Offer;
use odeon_protocol::resources::Resources;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

/// The actors of one deployment that want a place.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) spec: &'a DeploymentSpec,
    /// Their indices.
    pub(crate) indices: Vec<u32>,
    /// How many actors of the deployment each agent has already.
    pub(crate) placed: BTreeMap<AgentId, u32>,
    /// The agents that have a host for them.
    pub(crate) hosted: BTreeSet<AgentId>,
}

/// For each offer, in order: what is placed on it.
pub(crate) type Placement = Vec<Vec<(DeploymentName, u32)>>;

/// Places as many as fit. A deployment pays for its host on each agent where it has none yet.
pub(crate) fn place(wanted: Vec<Wanted<'_>>, offers: &[Offer], host: &Resources) -> Placement {
    let mut left: Vec<Resources> = offers.iter().map(|offer| offer.resources.clone()).collect();
    let mut placement = vec![Vec::new(); offers.len()];
    for wanted in wanted {
        place_one(wanted, offers, host, &mut left, &mut placement);
    }
    placement
}

fn place_one(wanted: Wanted<'_>, offers: &[Offer], host: &Resources, left: &mut [Resources], out: &mut Placement) {
    let Wanted { spec, indices, mut placed, mut hosted } = wanted;
    let count_on = |placed: &BTreeMap<AgentId, u32>, agent: &AgentId| placed.get(agent).copied().unwrap_or(0);
    let may_be_on =
        |offer: &Offer| spec.constraints.iter().all(|(name, value)| offer.attributes.get(name) == Some(value));
    let fitting = offers.iter().enumerate().filter(|(_, offer)| may_be_on(offer));
    let mut heap: BinaryHeap<_> =
        fitting.map(|(at, offer)| Reverse((count_on(&placed, &offer.agent_id), at))).collect();
    for index in indices {
        // An offer on which it does not fit is of no use to its like either, and is not looked at again.
        while let Some(Reverse((known, at))) = heap.pop() {
            let agent = &offers[at].agent_id;
            let count = count_on(&placed, agent);
            if count != known {
                heap.push(Reverse((count, at)));
                continue;
            }
            let is_full = spec.per_agent_max.is_some_and(|max| count >= max);
            let for_host = if hosted.contains(agent) { Ok(left[at].clone()) } else { left[at].checked_sub(host) };
            let rest = for_host.and_then(|rest| rest.checked_sub(&spec.resources));
            let Some(rest) = rest.ok().filter(|_| !is_full) else { continue };
            left[at] = rest;
            out[at].push((spec.name.clone(), index));
            placed.insert(agent.clone(), count + 1);
            hosted.insert(agent.clone());
            heap.push(Reverse((count + 1, at)));
            break;
        }
    }
}

#[cfg(test)]
#[path = "placement_test.rs"]
pub(crate) mod tests;
