//! Offers: made of grants, and used, declined, taken back or expired exactly once.
//!
//! What is launched on them is in `launch`.

use super::timers::Timer;
use super::{MasterCore, MasterOutbox};
use crate::effect::SchedulerEvent;
use odeon_allocator::Grant;
use odeon_protocol::id::{AgentId, FrameworkId, OfferId};
use odeon_protocol::messages::master_scheduler::{CallError, DeclineOffers, OfferRescinded, OffersMade};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer, REFUSE_MAX};
use odeon_protocol::resources::TypedResources;
use odeon_runtime::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

impl MasterCore {
    /// Holds out what was granted, in as few messages as their size allows.
    pub(super) fn make_offers(&mut self, grants: Vec<Grant>, now: Moment, out: &mut MasterOutbox) {
        let mut by_framework: BTreeMap<FrameworkId, Vec<Offer>> = BTreeMap::new();
        for grant in grants {
            let offer = self.make_offer(grant, now);
            by_framework.entry(offer.framework_id.clone()).or_default().push(offer);
        }
        let most = self.rules.offers_per_message_max.max(1);
        for (framework_id, mut offers) in by_framework {
            while !offers.is_empty() {
                let rest = offers.split_off(offers.len().min(most));
                let made =
                    OffersMade { framework_id: framework_id.clone(), offers: std::mem::replace(&mut offers, rest) };
                self.tell(&framework_id, SchedulerEvent::Offers(made), out);
            }
        }
    }

    fn make_offer(&mut self, grant: Grant, now: Moment) -> Offer {
        let Grant { framework, role, agent: agent_id, resources } = grant;
        let text = format!("{}-O{}", self.master_id, self.next_offer);
        self.next_offer += 1;
        let offer_id = OfferId::new(text).expect("the id of the master leaves room for a number");
        let agent = self.agents.get_mut(&agent_id).expect("the allocator grants what is of allocated agents");
        agent.ledger.hold_out(&framework, &role, &resources);
        agent.offers.insert(offer_id.clone());
        let offer = Offer {
            offer_id: offer_id.clone(),
            framework_id: framework,
            role,
            agent_id,
            hostname: agent.info.hostname.clone(),
            agent_endpoint: agent.info.endpoint.clone(),
            resources: resources.quantities().expect("an agent has nothing twice, whatever its class"),
            reserved: resources.reserved(),
            attributes: agent.info.attributes.clone(),
        };
        if let Some(wait) = self.rules.offer_timeout {
            self.timers.set(Timer::OfferExpiry(offer_id.clone()), now.after(wait));
        }
        let framework =
            self.frameworks.get_mut(&offer.framework_id).expect("the allocator grants to frameworks that are there");
        framework.offers.insert(offer_id.clone());
        self.offers.insert(offer_id, offer.clone());
        offer
    }

    /// Ends an offer in the books of its agent; the allocator still counts it as the framework's.
    pub(super) fn take_offer(&mut self, offer_id: &OfferId) -> Option<Offer> {
        let offer = self.offers.remove(offer_id)?;
        self.timers.cancel(&Timer::OfferExpiry(offer_id.clone()));
        let agent = self.agents.get_mut(&offer.agent_id).expect("an agent's offers end before it is forgotten");
        agent.offers.remove(offer_id);
        let framework = self.frameworks.get_mut(&offer.framework_id).expect("a framework's offers end before it does");
        framework.offers.remove(offer_id);
        agent.ledger.take_back(&offer.framework_id, &offer.role, &by_class(&offer));
        Some(offer)
    }

    /// Gives offers back.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then. An offer that is void already is no error.
    pub fn on_decline_offers(&mut self, node: &NodeId, message: &DeclineOffers, now: Moment) -> Result<(), CallError> {
        self.check_caller(&message.framework_id, node)?;
        for offer_id in &message.offer_ids {
            let is_theirs = self.offers.get(offer_id).is_some_and(|offer| offer.framework_id == message.framework_id);
            if is_theirs {
                self.return_offer(offer_id, refusal(message.filters), now);
            }
        }
        Ok(())
    }

    /// Ends an offer and gives all of it back.
    pub(super) fn return_offer(&mut self, offer_id: &OfferId, refuse: Option<Duration>, now: Moment) {
        let Some(offer) = self.take_offer(offer_id) else { return };
        self.give_back(&offer.framework_id, &offer.role, &offer.agent_id, &by_class(&offer), refuse, now);
    }

    /// Takes an offer back and tells its framework.
    pub(super) fn rescind(&mut self, offer_id: &OfferId, now: Moment, out: &mut MasterOutbox) {
        let Some(offer) = self.offers.get(offer_id) else { return };
        let framework_id = offer.framework_id.clone();
        self.return_offer(offer_id, None, now);
        let rescinded = OfferRescinded { framework_id: framework_id.clone(), offer_id: offer_id.clone() };
        self.tell(&framework_id, SchedulerEvent::Rescinded(rescinded), out);
    }

    pub(super) fn rescind_offers_of_agent(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let offers = self.agents.get(agent_id).map(|agent| agent.offers.clone()).unwrap_or_default();
        offers.iter().for_each(|offer_id| self.rescind(offer_id, now, out));
    }

    pub(super) fn rescind_offers_of_framework(
        &mut self,
        framework_id: &FrameworkId,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        let theirs = self.frameworks.get(framework_id).map(|framework| framework.offers.clone()).unwrap_or_default();
        theirs.iter().for_each(|offer_id| self.rescind(offer_id, now, out));
    }
}

/// What is offered, by class.
pub(super) fn by_class(offer: &Offer) -> TypedResources {
    offer.by_class().expect("the master says of its offers what is true")
}

/// For how long a framework refuses; nothing if not at all.
pub(super) fn refusal(filters: Filters) -> Option<Duration> {
    Some(filters.refuse.min(REFUSE_MAX)).filter(|refuse| !refuse.is_zero())
}
