//! What is asked of a cluster after its faults: that it is whole, rests, and has left nothing behind.

use crate::hosts::{Host, MasterHost};
use crate::plan::Site;
use crate::world::World;
use odeon_protocol::resources::Resources;
use std::collections::BTreeSet;

/// What the cluster still lacks to be whole.
pub(crate) fn missing(world: &World) -> Option<String> {
    let Some(Host::Master(master)) = world.process_at(Site::Master).map(|process| &process.host) else {
        return Some("there is no master".to_owned());
    };
    for number in 0..world.plan.agents {
        let site = Site::Agent(number);
        let Some(process) = world.process_at(site) else { return Some(format!("{site} does not run")) };
        let Host::Agent(agent) = &process.host else { continue };
        let agent_id = agent.core.agent_id().filter(|_| agent.core.is_registered());
        let Some(agent_id) = agent_id else { return Some(format!("{site} is not registered")) };
        if master.core.node_of_agent(agent_id) != Some(&process.node) {
            return Some(format!("the master does not see {site} as {agent_id}"));
        }
        if agent.core.task_count() > 0 {
            return Some(format!("{site} has {} tasks that are not acknowledged", agent.core.task_count()));
        }
    }
    for number in 0..world.plan.frameworks.len() as u32 {
        let site = Site::Framework(number);
        let Some(process) = world.process_at(site) else { return Some(format!("{site} does not run")) };
        let Host::Scheduler(scheduler) = &process.host else { continue };
        let workload = scheduler.core.scheduler();
        if !workload.is_done() {
            return Some(format!("{site}: {}; {}", workload.open_work(), tasks(master, world)));
        }
        let subscribed = workload.framework_id.as_ref().and_then(|id| master.core.node_of_scheduler(id));
        if subscribed != Some(&process.node) {
            return Some(format!("{site} is not subscribed"));
        }
    }
    // One that came before the process of today and has not heard that it was replaced will subscribe with its work.
    for process in world.processes.values() {
        let Host::Scheduler(scheduler) = &process.host else { continue };
        let workload = scheduler.core.scheduler();
        if !workload.is_idle() {
            return Some(format!("{}: {}; {}", process.node, workload.open_work(), tasks(master, world)));
        }
    }
    match (master.core.live_task_count(), world.checks.running_count()) {
        (0, 0) => None,
        _ => Some(tasks(master, world)),
    }
}

fn tasks(master: &MasterHost, world: &World) -> String {
    let (known, running) = (master.core.live_task_count(), world.checks.running_count());
    format!("the master knows {known} live tasks, {running} run")
}

/// Checks a cluster that was whole and has then had time to rest.
pub(crate) fn check(world: &mut World, unrest_before: u64) {
    let unrest = world.checks.unrest - unrest_before;
    if unrest > 0 {
        world.checks.fail("I15", format!("{unrest} registrations, subscriptions or updates while nothing happened"));
    }
    if let Some(orphan) = orphan(world) {
        world.checks.fail("I12", orphan);
    }
    if let Some(owed) = world.checks.owed() {
        world.checks.fail("I3", owed);
    }
    if let Some(leak) = leak(world) {
        world.checks.fail("I1", leak);
    }
}

/// An executor process that no agent knows.
fn orphan(world: &World) -> Option<String> {
    let crews = world.serving.values().filter_map(|pid| match &world.processes.get(pid)?.host {
        Host::Agent(agent) => Some(agent.crew()),
        _ => None,
    });
    let known: BTreeSet<_> = crews.flatten().collect();
    let orphan = world.executors.keys().find(|container_id| !known.contains(container_id))?;
    Some(format!("the executor {orphan} lives and no agent knows it"))
}

/// Something that is in use by nobody.
fn leak(world: &World) -> Option<String> {
    let Host::Master(master) = &world.process_at(Site::Master)?.host else { return None };
    for agent_id in master.core.agent_ids() {
        let used = master.core.books(agent_id).ok().flatten().map(|books| books.used).unwrap_or_default();
        if !used.is_empty() {
            return Some(format!("no task lives, and {used} of {agent_id} are in use"));
        }
    }
    world.processes.values().find_map(|process| match &process.host {
        Host::Agent(agent) => {
            let charged = agent.core.books().map(|books| books.charged).unwrap_or_else(|_| Resources::empty());
            (!charged.is_empty()).then(|| format!("no task lives, and {} has charged {charged}", process.site))
        }
        _ => None,
    })
}
