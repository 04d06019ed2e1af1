//! The task in which a deployed actor lives: builds it, keeps it under a supervisor, and reports how it does.

use crate::deployable::{ActorStart, Deployable};
use crate::directory::Directory;
use crate::host_lease::HostLease;
use crate::json_door::JsonDoor;
use crate::messages::Messages;
use crate::strict_json;
use crate::task::{TaskContext, TaskFailure};
use odeon_protocol::deployment::{ActorAssignment, ActorLocation, ActorReport, HostedState};
use odeon_protocol::messages::deployments::RenewLease;
use odeon_runtime::{ActorName, Endpoint, OnPanic, Supervised, SupervisedState, SupervisorSpec};
use std::rc::Rc;

/// Messages that may wait for a hosted actor; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 1024;

/// Hosts an actor until it ends, is given up, or its task is killed.
pub(crate) async fn host<A: Deployable>(context: TaskContext) -> Result<(), TaskFailure> {
    let assignment: ActorAssignment = serde_json::from_slice(context.data())?;
    let reporter = Reporter::new(&context, &assignment).await?;
    let start = actor_start(&context, &assignment);
    let lease = match assignment.singleton {
        true => tokio::select! {
            biased;
            () = context.killed() => return Ok(()),
            lease = lease(&context, &start) => match lease {
                Ok(lease) => Some(lease),
                Err(reason) => return reporter.lose_lease(&reason),
            }
        },
        false => None,
    };
    let built = match build::<A>(&assignment, &start) {
        Ok(actor) => actor,
        Err(failure) => return reporter.give_up(format!("cannot be built: {}", failure.message())),
    };
    let supervised = supervise(built, assignment, start)?;
    tokio::select! {
        biased;
        () = context.killed() => {
            supervised.stop();
            supervised.ended().await;
            Ok(())
        }
        reason = lost(lease) => {
            supervised.stop();
            supervised.ended().await;
            reporter.lose_lease(&reason)
        }
        ended = reporter.follow(supervised.clone()) => ended,
    }
}

async fn lease(context: &TaskContext, start: &ActorStart) -> Result<HostLease, String> {
    let asks = RenewLease { actor: start.name().to_owned(), task_id: context.task_id().to_string() };
    HostLease::obtain(start.directory(), asks).await
}

/// Says why the lease is lost; never of an actor that needs none.
async fn lost(lease: Option<HostLease>) -> String {
    match lease {
        Some(lease) => lease.lost().await,
        None => std::future::pending().await,
    }
}

fn actor_start(context: &TaskContext, assignment: &ActorAssignment) -> ActorStart {
    let node = context.node().clone();
    ActorStart {
        name: assignment.deployment.actor(assignment.index),
        index: assignment.index,
        instances: assignment.instances,
        epoch: assignment.epoch,
        directory: Directory::at(&node, &Endpoint::new(assignment.directory.as_str())),
        node,
    }
}

fn build<A: Deployable>(assignment: &ActorAssignment, start: &ActorStart) -> Result<A, TaskFailure> {
    let arguments = strict_json::read::<A::Args>(serde_json::from_str(&assignment.arguments)?);
    A::build(arguments.map_err(|reason| TaskFailure::new(format!("args: {reason}")))?, start)
}

fn supervise<A: Deployable>(
    built: A,
    assignment: ActorAssignment,
    start: ActorStart,
) -> Result<Supervised, TaskFailure> {
    let spec = SupervisorSpec {
        name: ActorName::new(start.name())?,
        on_panic: OnPanic::Restart(assignment.restart.clone()),
        mailbox_capacity: MAILBOX_CAPACITY,
    };
    let (node, mut built) = (start.node().clone(), Some(built));
    // What cannot be built again has no caller to tell; the supervisor takes the panic as one more failure.
    let rebuilt = move || build::<A>(&assignment, &start).unwrap_or_else(|failure| panic!("{}", failure.message()));
    let messages = Rc::new(A::messages(Messages::none()));
    Ok(node.supervise(
        spec,
        move || built.take().unwrap_or_else(&rebuilt),
        move |own| JsonDoor::exports(own, &messages),
    ))
}

/// Tells the deployer how the actor does, through the status of the task.
struct Reporter<'a> {
    context: &'a TaskContext,
    location: ActorLocation,
}

impl<'a> Reporter<'a> {
    async fn new(context: &'a TaskContext, assignment: &ActorAssignment) -> Result<Self, TaskFailure> {
        let endpoint = context.endpoint().await?.to_string();
        let node = context.node().id().clone();
        let actor = assignment.deployment.actor(assignment.index);
        let location = ActorLocation { actor, endpoint, node: node.name, incarnation: node.incarnation };
        Ok(Self { context, location })
    }

    fn report(&self, state: HostedState, restarts: u64, last_failure: Option<String>) {
        let report = ActorReport { location: self.location.clone(), state, restarts, last_failure };
        self.context.report(serde_json::to_string(&report).expect("a report has only texts and numbers"));
    }

    /// Says so, and fails the task.
    fn give_up(&self, reason: String) -> Result<(), TaskFailure> {
        self.report(HostedState::GivenUp, 0, Some(reason.clone()));
        Err(TaskFailure::new(reason))
    }

    /// Says that a singleton has ended for want of a lease, and fails the task.
    fn lose_lease(&self, reason: &str) -> Result<(), TaskFailure> {
        self.report(HostedState::LeaseLost, 0, Some(reason.to_owned()));
        Err(TaskFailure::new(reason))
    }

    /// Reports each state until the last one.
    async fn follow(&self, mut supervised: Supervised) -> Result<(), TaskFailure> {
        let mut last_failure = None;
        let mut state = supervised.state();
        loop {
            match state {
                SupervisedState::Running { restarts } => {
                    self.report(HostedState::Running, restarts, last_failure.clone());
                }
                SupervisedState::Restarting { restarts, panic, .. } => {
                    self.report(HostedState::Restarting, restarts, Some(panic.clone()));
                    last_failure = Some(panic);
                }
                SupervisedState::GaveUp { panic } => return self.give_up(format!("panics too often: {panic}")),
                _ => return Ok(()),
            }
            state = supervised.changed().await;
        }
    }
}

#[cfg(test)]
#[path = "host_test.rs"]
mod tests;
