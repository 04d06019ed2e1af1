//! How a driver takes what the master tells.

use super::{DriverCore, Phase};
use crate::effect::{Effect, MasterCall};
use crate::event::MasterEvent;
use crate::scheduler::Scheduler;
use odeon_protocol::messages::master_scheduler::{AcknowledgeUpdate, OfferRescinded, OffersMade};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::TaskStatus;

/// Events that may wait for the answer to a subscription. More are forgotten: updates come again, and
/// offers time out.
const EARLY_MAX: usize = 1024;

impl<S: Scheduler> DriverCore<S> {
    /// The master tells something.
    ///
    /// What follows a subscription may be heard before its answer, because events and answers take
    /// different ways into an actor: it waits for the answer. What belongs to another subscription or
    /// framework is forgotten.
    pub fn on_event(&mut self, event: MasterEvent, now: Moment, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Subscribed if self.framework_id.as_ref() == Some(event.framework_id()) => self.take(event, now, out),
            Phase::Away(away) if away.is_under_way() && self.early.len() < EARLY_MAX => self.early.push(event),
            Phase::Away(_) | Phase::Subscribed | Phase::Finishing(_) | Phase::Ended => {}
        }
    }

    pub(super) fn take_early(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for event in std::mem::take(&mut self.early) {
            self.on_event(event, now, out);
        }
    }

    fn take(&mut self, event: MasterEvent, now: Moment, out: &mut Vec<Effect>) {
        match event {
            MasterEvent::OffersMade(event) => self.on_offers_made(event, now, out),
            MasterEvent::OfferRescinded(event) => self.on_offer_rescinded(&event, now, out),
            MasterEvent::ReturnWanted(event) => {
                self.ask_scheduler(now, out, |scheduler, calls| scheduler.return_wanted(&event, calls));
            }
            MasterEvent::TaskUpdated(event) => self.on_task_updated(&event.status, now, out),
            MasterEvent::AgentLost(event) => {
                self.ask_scheduler(now, out, |scheduler, calls| scheduler.agent_lost(&event.agent_id, calls));
            }
            MasterEvent::FrameworkFailed(event) => self.fail(event.message, out),
        }
    }

    fn on_offers_made(&mut self, event: OffersMade, now: Moment, out: &mut Vec<Effect>) {
        self.offers.extend(event.offers.iter().map(|offer| offer.offer_id.clone()));
        self.ask_scheduler(now, out, |scheduler, calls| scheduler.offers(event.offers, calls));
    }

    fn on_offer_rescinded(&mut self, event: &OfferRescinded, now: Moment, out: &mut Vec<Effect>) {
        if self.offers.remove(&event.offer_id) {
            self.ask_scheduler(now, out, |scheduler, calls| scheduler.rescinded(&event.offer_id, calls));
        }
    }

    /// An update that was shown before is only acknowledged again.
    fn on_task_updated(&mut self, status: &TaskStatus, now: Moment, out: &mut Vec<Effect>) {
        if status.uuid.as_ref().is_none_or(|uuid| self.seen.insert(uuid)) {
            self.show(status, now, out);
        }
        // If the scheduler has just finished, the end of the framework settles its updates.
        let Some(framework_id) = self.subscribed_id() else { return };
        if let (Some(uuid), Some(agent_id)) = (status.uuid.clone(), status.agent_id.clone()) {
            let task_id = status.task_id.clone();
            self.call(MasterCall::Acknowledge(AcknowledgeUpdate { framework_id, agent_id, task_id, uuid }), out);
        }
    }
}
