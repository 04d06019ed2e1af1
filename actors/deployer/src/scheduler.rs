//! The scheduler of the deployer's framework: hands everything that it hears to the actor, which decides.

use actix::{Addr, Message};
use odeon_framework::{Calls, Outcome, Scheduler};
use odeon_protocol::id::FrameworkId;
use odeon_protocol::offer::Offer;
use odeon_protocol::task::TaskStatus;

use crate::actor::DeployerActor;

/// What the driver of the framework tells.
#[derive(Debug)]
pub(crate) enum SchedulerEvent {
    Subscribed(FrameworkId),
    Offers(Vec<Offer>),
    Update(Box<TaskStatus>),
    Disconnected,
    Ended(Outcome),
}

impl Message for SchedulerEvent {
    type Result = ();
}

/// Passes on what it hears.
pub(crate) struct Forwarder {
    pub(crate) deployer: Addr<DeployerActor>,
}

impl Forwarder {
    fn forward(&self, event: SchedulerEvent) {
        // Never waits. Bounded by the offers that the master makes and by the updates that it has under way.
        self.deployer.do_send(event);
    }
}

impl Scheduler for Forwarder {
    fn subscribed(&mut self, framework_id: &FrameworkId, _: &mut Calls) {
        self.forward(SchedulerEvent::Subscribed(framework_id.clone()));
    }

    fn offers(&mut self, offers: Vec<Offer>, _: &mut Calls) {
        self.forward(SchedulerEvent::Offers(offers));
    }

    fn update(&mut self, status: &TaskStatus, _: &mut Calls) {
        self.forward(SchedulerEvent::Update(Box::new(status.clone())));
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.forward(SchedulerEvent::Disconnected);
    }
}
