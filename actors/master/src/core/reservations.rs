//! Reservations that are made while agents run: by operators, and by frameworks on what they are offered.
//!
//! They are kept in the registry, beside the agent: one write makes them durable, and neither a restart of the agent nor
//! one of the master can lose them. What an agent has is what it says about itself, with these on top.

use super::agents::Agent;
use super::launch::{Pool, sum_of_disjoint};
use super::offers::by_class;
use super::{MasterCore, MasterOutbox};
use crate::record::Record;
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::id::{AgentId, OfferId};
use odeon_protocol::messages::master_agent::RegisterAgentError;
use odeon_protocol::messages::master_scheduler::{OPERATIONS_MAX, OfferOperation};
use odeon_protocol::messages::reservations::{
    RESERVATIONS_MAX, ReservationError, ReserveResources, UnreserveResources,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{Class, Reservation, Scalar, TypedResources};
use odeon_protocol::role::Role;

/// What is to change its class, and into what.
struct Conversion {
    from: TypedResources,
    into: TypedResources,
}

impl Conversion {
    fn reserving(from: &TypedResources, reservation: &Reservation) -> Result<Self, ReservationError> {
        Self::new(from, |class| Ok(class.reserved_as(reservation.clone())?))
    }

    fn unreserving(from: &TypedResources) -> Result<Self, ReservationError> {
        let not_dynamic = || ReservationError::NotDynamic(from.clone());
        Self::new(from, |class| if class.is_dynamic() { Ok(class.unreserved()) } else { Err(not_dynamic()) })
    }

    fn new(
        from: &TypedResources,
        change: impl Fn(&Class) -> Result<Class, ReservationError>,
    ) -> Result<Self, ReservationError> {
        if from.is_empty() {
            return Err(ReservationError::Nothing);
        }
        if from.parts().any(|(class, _)| !class.is_plain() && !class.is_only_reserved()) {
            return Err(ReservationError::Special(from.clone()));
        }
        let mut into = TypedResources::empty();
        for (class, amounts) in from.parts() {
            into = into.checked_add(&TypedResources::empty().with(change(class)?, amounts.clone()))?;
        }
        Ok(Self { from: from.clone(), into })
    }

    /// What is reserved of an agent behind it.
    fn applied_to(&self, reserved: &TypedResources) -> Result<TypedResources, ReservationError> {
        let reserved = reserved.checked_sub(&dynamic(&self.from))?.checked_add(&dynamic(&self.into))?;
        if reserved.parts().count() > RESERVATIONS_MAX { Err(ReservationError::TooMany) } else { Ok(reserved) }
    }
}

/// What was reserved while the agent ran.
fn dynamic(resources: &TypedResources) -> TypedResources {
    let parts = resources.parts().filter(|(class, _)| class.is_dynamic());
    parts.fold(TypedResources::empty(), |all, (class, amounts)| all.with(class.clone(), amounts.clone()))
}

/// Checks that what an agent says of itself makes sense.
pub(super) fn check_info(info: &AgentInfo) -> Result<(), RegisterAgentError> {
    let hostname = || info.hostname.clone();
    if info.resources.is_empty() {
        return Err(RegisterAgentError::NoResources { hostname: hostname() });
    }
    let checked = || -> Result<(), ReservationError> {
        info.reserved.parts().try_for_each(|(class, _)| class.check())?;
        let is_static = |class: &Class| class.is_only_reserved() && *class == class.of_agent();
        if info.reserved.parts().any(|(class, _)| !is_static(class)) {
            return Err(ReservationError::Special(info.reserved.clone()));
        }
        info.by_class()?;
        Ok(())
    };
    let refused =
        |cause| RegisterAgentError::Reservations { hostname: hostname(), reserved: info.reserved.clone(), cause };
    checked().map_err(refused)
}

impl Agent {
    /// Whether nothing of it is reserved.
    pub(super) fn is_plain(&self) -> bool {
        self.reserved.is_empty() && self.info.reserved.is_empty()
    }

    /// All that it has, by class.
    pub(super) fn total(&self) -> TypedResources {
        let own = self.info.by_class().expect("an agent that reserves more than it has is not admitted");
        self.reserved.parts().fold(own, |total, (class, amounts)| {
            let part = |class: Class| TypedResources::empty().with(class, amounts.clone());
            let rest = total.checked_sub(&part(class.of_agent()));
            let rest = rest.expect("what is reserved of an agent is a part of what it has");
            rest.checked_add(&part(class.clone())).expect("a part that changes its class is nowhere twice")
        })
    }

    /// All that is reserved of it.
    pub(super) fn reserved_in_all(&self) -> TypedResources {
        if self.is_plain() { TypedResources::empty() } else { self.total().reserved() }
    }

    /// What is reserved of it and not used.
    pub(super) fn reserved_left(&self) -> TypedResources {
        let used = self.ledger.used.values();
        let less = |left: TypedResources, part: &TypedResources| left.checked_sub(&part.reserved());
        used.fold(self.reserved_in_all(), |left, used| less(left, used).expect("no more of it is used than there is"))
    }
}

impl MasterCore {
    /// Keeps resources of an agent for a role; offers of them are taken back.
    ///
    /// # Errors
    /// [`ReservationError`]; nothing has changed then.
    pub fn on_reserve_resources(
        &mut self,
        message: &ReserveResources,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), ReservationError> {
        let conversion = Conversion::reserving(&message.resources, &message.reservation())?;
        self.check_room(&message.role, &message.resources)?;
        self.convert_free(&message.agent_id, &conversion, now, out)
    }

    /// Ends the last reservation of resources of an agent.
    ///
    /// # Errors
    /// [`ReservationError`]; nothing has changed then.
    pub fn on_unreserve_resources(
        &mut self,
        message: &UnreserveResources,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), ReservationError> {
        let conversion = Conversion::unreserving(&message.resources)?;
        self.convert_free(&message.agent_id, &conversion, now, out)
    }

    fn convert_free(
        &mut self,
        agent_id: &AgentId,
        conversion: &Conversion,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), ReservationError> {
        let agent = self.agents.get(agent_id).ok_or_else(|| ReservationError::UnknownAgent(agent_id.clone()))?;
        if !agent.allocated {
            return Err(ReservationError::Away(agent_id.clone()));
        }
        self.check_free(agent, agent_id, &conversion.from)?;
        let reserved = conversion.applied_to(&agent.reserved)?;
        self.call_back(agent_id, &conversion.from, now, out);
        let converted = self.allocator.convert(None, agent_id, &conversion.from, &conversion.into);
        converted.expect("it is free, and the amounts are the same");
        self.set_reserved(agent_id, reserved, out);
        self.allocator.mark(agent_id).expect("it was converted there");
        Ok(())
    }

    /// What is free or offered can be had.
    fn check_free(&self, agent: &Agent, agent_id: &AgentId, wanted: &TypedResources) -> Result<(), ReservationError> {
        let free = self.allocator.free(agent_id).unwrap_or_default();
        let free = agent.ledger.offered.values().fold(free, |free, offered| sum_of_disjoint(&free, offered));
        if free.contains(wanted) {
            return Ok(());
        }
        Err(ReservationError::NotFree { wanted: wanted.clone(), free })
    }

    /// Takes offers of an agent back until so much of it is free.
    fn call_back(&mut self, agent_id: &AgentId, wanted: &TypedResources, now: Moment, out: &mut MasterOutbox) {
        let offers: Vec<OfferId> =
            self.agents.get(agent_id).into_iter().flat_map(|agent| agent.offers.clone()).collect();
        for offer_id in offers {
            if self.allocator.free(agent_id).is_some_and(|free| free.contains(wanted)) {
                return;
            }
            let offered = by_class(&self.offers[&offer_id]);
            if wanted.parts().any(|(class, amounts)| !offered.of(class).common(amounts).is_empty()) {
                self.rescind(&offer_id, now, out);
            }
        }
    }

    /// The limits of the role and of those above it, which what is reserved counts against from now on.
    fn check_room(&self, role: &Role, resources: &TypedResources) -> Result<(), ReservationError> {
        for holder in std::iter::successors(Some(role.clone()), Role::parent) {
            let Some(limits) = self.quotas.limits(&holder) else { continue };
            let consumed = self.allocator.consumed(&holder);
            let is_new = |class: &Class| !class.reserved_for().is_some_and(|of| *of == holder || of.is_below(&holder));
            for (name, &limit) in limits {
                let new = resources.parts().filter(|(class, _)| is_new(class)).map(|(_, amounts)| amounts.scalar(name));
                let new = new.fold(0_u64, |sum, amount| sum.saturating_add(amount.thousandths()));
                let amount = Scalar::from_thousandths(consumed.scalar(name).thousandths().saturating_add(new));
                if new > 0 && amount > limit {
                    return Err(ReservationError::OverLimit { role: holder, name: name.clone(), amount, limit });
                }
            }
        }
        Ok(())
    }

    fn set_reserved(&mut self, agent_id: &AgentId, reserved: TypedResources, out: &mut MasterOutbox) {
        let agent = self.agents.get_mut(agent_id).expect("it was found before");
        agent.reserved = reserved.clone();
        out.write(Record::AgentReserved { agent_id: agent_id.clone(), reserved });
    }

    /// Keeps what is reserved of an agent that has registered, as far as it still has it.
    pub(super) fn keep_reservations(&mut self, agent_id: &AgentId, out: &mut MasterOutbox) {
        let agent = self.agents.get(agent_id).expect("it has been admitted");
        let mut own = agent.info.by_class().expect("it was checked");
        let mut kept = TypedResources::empty();
        for (class, amounts) in agent.reserved.parts() {
            let base = class.of_agent();
            let there = own.of(&base).common(amounts);
            own.take(&TypedResources::empty().with(base, there.clone())).expect("a common part is a part");
            kept = kept.with(class.clone(), there);
        }
        if kept != agent.reserved {
            self.set_reserved(agent_id, kept, out);
        }
    }

    /// Looks whether operations can be done on offers, one behind the other; says which cannot.
    pub(super) fn check_operations(
        &self,
        offer_ids: &[OfferId],
        operations: &[OfferOperation],
    ) -> Result<(), (usize, ReservationError)> {
        if operations.is_empty() {
            return Ok(());
        }
        if operations.len() > OPERATIONS_MAX {
            return Err((OPERATIONS_MAX, ReservationError::TooManyOperations(operations.len())));
        }
        let offers: Vec<_> = offer_ids.iter().filter_map(|offer_id| self.offers.get(offer_id)).collect();
        let first = offers.first().expect("there is an offer, as was checked");
        let mut left = offers
            .iter()
            .map(|offer| by_class(offer))
            .fold(TypedResources::empty(), |sum, offer| sum_of_disjoint(&sum, &offer));
        let mut reserved = self.agents[&first.agent_id].reserved.clone();
        for (index, operation) in operations.iter().enumerate() {
            let done = conversion_of(operation, &first.role).and_then(|conversion| {
                let not_free = || ReservationError::NotFree { wanted: conversion.from.clone(), free: left.clone() };
                let rest = left.checked_sub(&conversion.from).map_err(|_| not_free())?;
                left = rest.checked_add(&conversion.into)?;
                reserved = conversion.applied_to(&reserved)?;
                Ok(())
            });
            done.map_err(|cause| (index, cause))?;
        }
        Ok(())
    }

    /// Does operations that were checked.
    pub(super) fn operate(&mut self, pool: &mut Pool, operations: &[OfferOperation], out: &mut MasterOutbox) {
        for operation in operations {
            let conversion = conversion_of(operation, &pool.role).expect("it was checked");
            let holder = Some((&pool.framework_id, &pool.role));
            let converted = self.allocator.convert(holder, &pool.agent_id, &conversion.from, &conversion.into);
            converted.expect("the framework holds it, and the amounts are the same");
            pool.left.take(&conversion.from).expect("it was checked");
            pool.left.add(&conversion.into).expect("it was checked");
            let reserved = conversion.applied_to(&self.agents[&pool.agent_id].reserved).expect("it was checked");
            self.set_reserved(&pool.agent_id, reserved, out);
        }
    }
}

/// A framework reserves for the role under which it was offered the resources.
fn conversion_of(operation: &OfferOperation, role: &Role) -> Result<Conversion, ReservationError> {
    match operation {
        OfferOperation::Reserve { resources, labels } => {
            Conversion::reserving(resources, &Reservation::dynamic(role.clone(), labels.clone()))
        }
        OfferOperation::Unreserve { resources } => Conversion::unreserving(resources),
    }
}
