//! What operators ask a master for while a run goes on: a part of an agent is reserved, and let go again.
//!
//! They do not wait for answers. A refusal changes nothing, which the checks see.

use crate::lifecycle::role_of;
use odeon_master::{MasterCore, MasterOutbox};
use odeon_protocol::messages::reservations::{ReserveResources, UnreserveResources};
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{Resources, Scalar};
use std::collections::BTreeMap;

/// Agents among which an operator chooses.
const AGENTS_MAX: usize = 64;

/// Reserves too little of an agent to keep any job from running or, if something of it is reserved, lets all of that go.
pub(super) fn ask(core: &mut MasterCore, wish: u64, frameworks: usize, now: Moment, out: &mut MasterOutbox) {
    let agents: Vec<_> = core.agent_ids().take(AGENTS_MAX).cloned().collect();
    let (place, framework) = ((wish % 1_000) as usize, (wish / 1_000 % frameworks.max(1) as u64) as u32);
    let Some(agent_id) = agents.get(place % agents.len().max(1)).cloned() else { return };
    let Ok(Some(books)) = core.books(&agent_id) else { return };
    let resources = books.reserved;
    let answer = if resources.is_empty() {
        let resources = Resources::cpus_mem(Scalar::from_thousandths(200), 32).into();
        let message = ReserveResources { agent_id, resources, role: role_of(framework), labels: BTreeMap::new() };
        core.on_reserve_resources(&message, now, out)
    } else {
        core.on_unreserve_resources(&UnreserveResources { agent_id, resources }, now, out)
    };
    drop(answer);
}
