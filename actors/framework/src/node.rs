//! Runs a scheduler on a node: [`run_scheduler`], and the handles to the run.

use crate::actor::{Input, Interrupt, SchedulerDriver};
use crate::calls::{Calls, Outcome};
use crate::core::{DriverCore, Introduction, SUBSCRIBE_TIMEOUT_DEFAULT};
use crate::scheduler::Scheduler;
use actix::{Actor, Addr, AsyncContext};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{FrameworkId, IdSource};
use odeon_protocol::messages::master_scheduler::{
    AgentLost, FrameworkFailed, OfferRescinded, OffersMade, ReturnWanted, TasksUpdated,
};
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{ActorName, Endpoint, Exports, Node};
use std::time::Duration;
use tokio::sync::oneshot;

/// What a driver needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverSettings {
    /// Where the master listens.
    pub master: Endpoint,
    /// What the framework says about itself.
    pub info: FrameworkInfo,
    /// The id of an earlier run whose tasks are taken over.
    pub framework_id: Option<FrameworkId>,
    /// How long to try to reach the master, at first and after each break.
    pub subscribe_timeout: Duration,
    /// Names the actor, so that many can live in one node; a random number for each run.
    pub seed: u64,
}

impl DriverSettings {
    /// A new framework that gives up after [`SUBSCRIBE_TIMEOUT_DEFAULT`].
    #[must_use]
    pub fn new(master: Endpoint, info: FrameworkInfo, seed: u64) -> Self {
        Self { master, info, framework_id: None, subscribe_timeout: SUBSCRIBE_TIMEOUT_DEFAULT, seed }
    }
}

/// A scheduler whose run is over.
#[derive(Debug)]
pub struct EndedScheduler<S> {
    /// The scheduler, with all that it knows.
    pub scheduler: S,
    /// How its run ended.
    pub outcome: Outcome,
}

/// The scheduler or its driver had a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the scheduler has panicked")]
pub struct SchedulerPanicked;

/// A scheduler under way. Dropping it does not end the run.
#[derive(Debug)]
pub struct RunningScheduler<S: Scheduler> {
    handle: SchedulerHandle<S>,
    ended: oneshot::Receiver<(S, Outcome)>,
}

impl<S: Scheduler> RunningScheduler<S> {
    /// A handle for others to use while the run is awaited.
    #[must_use]
    pub fn handle(&self) -> SchedulerHandle<S> {
        self.handle.clone()
    }

    /// Waits for the end. By then the framework is taken down, if the master could be reached.
    ///
    /// # Errors
    /// [`SchedulerPanicked`] if there is no scheduler left.
    pub async fn ended(self) -> Result<EndedScheduler<S>, SchedulerPanicked> {
        let ended = self.ended.await;
        ended.map(|(scheduler, outcome)| EndedScheduler { scheduler, outcome }).map_err(|_| SchedulerPanicked)
    }
}

/// A way to talk to a running scheduler from outside. Clones are the same.
pub struct SchedulerHandle<S: Scheduler> {
    address: Addr<SchedulerDriver<S>>,
}

impl<S: Scheduler> Clone for SchedulerHandle<S> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone() }
    }
}

impl<S: Scheduler> std::fmt::Debug for SchedulerHandle<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SchedulerHandle").field("connected", &self.address.connected()).finish()
    }
}

impl<S: Scheduler> SchedulerHandle<S> {
    /// Calls the scheduler between two of its other calls; nothing if its run is over.
    pub async fn with<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut S, &mut Calls) -> R + Send + 'static,
    ) -> Option<R> {
        self.address.send(Input { act: Box::new(act) }).await.ok().flatten()
    }

    /// As [`with`](Self::with), without waiting for it; calls are made in the order of these calls.
    pub fn tell(&self, act: impl FnOnce(&mut S, &mut Calls) + Send + 'static) {
        // Lost only if the run is over already. Bounded by what the caller has heard from the scheduler.
        self.address.do_send(Input { act: Box::new(act) });
    }

    /// Ends the run as [`Outcome::Interrupted`], and all tasks with it.
    pub fn interrupt(&self) {
        // Lost only if the run is over already; a few of them do not crowd the mailbox.
        self.address.do_send(Interrupt);
    }
}

/// Starts a scheduler on the current arbiter: it subscribes, and runs until it finishes or fails.
pub fn run_scheduler<S: Scheduler>(settings: DriverSettings, node: &Node, scheduler: S) -> RunningScheduler<S> {
    let name = ActorName::of_role("scheduler", IdSource::new(settings.seed).next_uuid()).expect("a UUID is an id");
    let introduction = Introduction {
        info: settings.info,
        framework_id: settings.framework_id,
        actor: name.as_str().to_owned(),
        subscribe_timeout: settings.subscribe_timeout,
    };
    let master = node.peer_at(&settings.master, "master");
    let (sender, ended) = oneshot::channel();
    // The name is exported before the actor subscribes: the master may follow its answer with offers.
    let address = SchedulerDriver::create(|ctx| {
        node.export(&name, exports(&ctx.address()));
        SchedulerDriver::new(DriverCore::new(introduction, scheduler), node.clone(), master, name, sender)
    });
    RunningScheduler { handle: SchedulerHandle { address }, ended }
}

/// What a framework takes from peers: all of it comes from its master.
fn exports<S: Scheduler>(driver: &Addr<SchedulerDriver<S>>) -> Exports {
    Exports::new()
        .only_from(&[PeerRole::Master])
        .accept::<OffersMade, _>(driver)
        .accept::<OfferRescinded, _>(driver)
        .accept::<ReturnWanted, _>(driver)
        .accept::<TasksUpdated, _>(driver)
        .accept::<AgentLost, _>(driver)
        .accept::<FrameworkFailed, _>(driver)
}

#[cfg(test)]
#[path = "node_test.rs"]
mod tests;
