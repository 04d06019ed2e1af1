//! What each event does to the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use odeon_allocator::{
    AgentProfile, Capabilities, Constraint, Constraints, Domain, FrameworkProfile, Gang, Grant, Holding, Predicate,
    Quota, Selector, Unavailability,
};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::TypedResources;

use super::{GangState, Stage};
use crate::scenario::format::{
    Accept, AgentBody, Capability, Condition, Convert, Event, Finish, FrameworkBody, GangBody, Pseudo, QuotaBody,
    Selection,
};

/// What a refused event is told with.
type Refused = String;

impl Stage {
    /// Does what the event says; nothing has changed if it is refused.
    pub(super) fn apply(&mut self, event: Event) -> Result<(), Refused> {
        match event {
            Event::AddAgent(body) => self.add_agent(body),
            Event::UpdateAgent(body) => self.update_agent(body),
            Event::RemoveAgent(id) => self.remove_agent(&id),
            Event::ActivateAgent(id) => told(self.allocator.activate_agent(&id)),
            Event::DeactivateAgent(id) => {
                told(self.allocator.deactivate_agent(&id))?;
                self.rescind(|grant| grant.agent == id)
            }
            Event::AddFramework(body) => self.add_framework(body),
            Event::UpdateFramework(body) => {
                let (id, profile) = framework_profile(body)?;
                told(self.allocator.update_framework_with(&id, profile.clone()))?;
                self.frameworks.insert(id, profile.roles);
                Ok(())
            }
            Event::RemoveFramework(id) => self.remove_framework(&id),
            Event::ActivateFramework(id) => told(self.allocator.activate_framework(&id)),
            Event::DeactivateFramework(id) => {
                told(self.allocator.deactivate_framework(&id))?;
                self.rescind(|grant| grant.framework == id)
            }
            Event::Suppress(body) => told(self.allocator.suppress(&body.framework, &body.roles)),
            Event::Revive(body) => told(self.allocator.revive(&body.framework, &body.roles)),
            Event::Decline(body) => self.give_back(&body.selection(), Some(body.refuse.0)),
            Event::Return(selection) => self.give_back(&selection, None),
            Event::Accept(body) => self.accept(&body),
            Event::Finish(body) => self.finish(body),
            Event::Convert(body) => self.convert(&body),
            Event::SetDemand(body) => {
                let units = body.units.map(|units| units.into_iter().map(|unit| unit.0).collect());
                told(self.allocator.set_demand(&body.framework, &body.role, units))
            }
            Event::RequestGang(body) => self.request_gang(body),
            Event::CancelGang(name) => self.cancel_gang(&name),
            Event::SetQuota(body) => {
                let quota = quota(&body);
                told(self.allocator.set_quota(&body.role, &quota))
            }
            Event::RemoveQuota(role) => told(self.allocator.set_quota(&role, &Quota::default())),
            Event::SetWeight(body) => {
                self.allocator.set_weight(&body.role, body.weight.0);
                Ok(())
            }
            Event::SetPriority(body) => {
                self.allocator.set_priority(&body.role, body.priority);
                Ok(())
            }
            Event::TakeBack(body) => {
                self.taken_back = self.allocator.take_back(self.now, body.grace.get());
                Ok(())
            }
            Event::SetUnavailability(body) => {
                let when = body.start.map(|start| Unavailability {
                    start: self.now.saturating_add(start.get()),
                    length: body.length.map(Duration::from),
                });
                told(self.allocator.set_unavailability(&body.agent, when))
            }
            Event::AnswerInverse(body) => {
                let refuse = body.refuse.map(|refuse| refuse.0);
                told(self.allocator.answer_inverse(self.now, &body.framework, &body.agent, refuse))
            }
            Event::AwaitAgents(count) => {
                self.allocator.await_agents(self.now, count);
                Ok(())
            }
            Event::Advance(by) => {
                self.now = self.now.saturating_add(by.get());
                Ok(())
            }
            Event::Batch(body) => {
                self.now = self.now.saturating_add(body.after.map_or(self.interval, Duration::from));
                self.allocator.mark_all();
                Ok(())
            }
        }
    }

    fn add_agent(&mut self, mut body: AgentBody) -> Result<(), Refused> {
        let used = std::mem::take(&mut body.used);
        let id = body.id.clone();
        let profile = agent_profile(AgentProfile::new(TypedResources::empty()), body);
        let holdings: Vec<Holding> = used
            .into_iter()
            .map(|used| Holding { framework: used.framework, role: used.role, resources: used.resources.0 })
            .collect();
        told(self.allocator.add_agent_with(id.clone(), profile.clone(), &holdings))?;
        for Holding { framework, role, resources } in holdings {
            let used = self.used.entry((framework, role, id.clone())).or_default();
            *used = told(used.checked_add(&resources))?;
        }
        self.agents.insert(id, profile);
        Ok(())
    }

    fn update_agent(&mut self, body: AgentBody) -> Result<(), Refused> {
        let id = body.id.clone();
        let before = self.agents.get(&id).ok_or_else(|| format!("agent {id} is not known"))?;
        let profile = agent_profile(before.clone(), body);
        told(self.allocator.update_agent_with(&id, profile.clone()))?;
        self.agents.insert(id, profile);
        Ok(())
    }

    fn remove_agent(&mut self, id: &AgentId) -> Result<(), Refused> {
        told(self.allocator.remove_agent(id))?;
        self.agents.remove(id);
        self.offers.retain(|grant| grant.agent != *id);
        self.used.retain(|(_, _, agent), _| agent != id);
        Ok(())
    }

    fn add_framework(&mut self, body: FrameworkBody) -> Result<(), Refused> {
        let (id, profile) = framework_profile(body)?;
        told(self.allocator.add_framework_with(id.clone(), profile.clone()))?;
        self.frameworks.insert(id, profile.roles);
        Ok(())
    }

    /// A framework that goes gives back all that it holds.
    fn remove_framework(&mut self, id: &FrameworkId) -> Result<(), Refused> {
        told(self.allocator.deactivate_framework(id))?;
        self.rescind(|grant| grant.framework == *id)?;
        let mine: Vec<_> = self.used.keys().filter(|(framework, ..)| framework == id).cloned().collect();
        for key in mine {
            let Some(resources) = self.used.remove(&key) else { continue };
            let (framework, role, agent) = &key;
            told(self.allocator.recover(self.now, framework, role, agent, resources, None))?;
        }
        self.frameworks.remove(id);
        told(self.allocator.remove_framework(id))
    }

    /// Takes offers back without a filter, if there are any.
    fn rescind(&mut self, is_meant: impl Fn(&Grant) -> bool) -> Result<(), Refused> {
        let (gone, kept) = std::mem::take(&mut self.offers).into_iter().partition(is_meant);
        self.offers = kept;
        self.recover_all(gone, None)
    }

    fn give_back(&mut self, selection: &Selection, refuse: Option<Duration>) -> Result<(), Refused> {
        let gone = self.take_offers(selection)?;
        self.recover_all(gone, refuse)
    }

    fn recover_all(&mut self, grants: Vec<Grant>, refuse: Option<Duration>) -> Result<(), Refused> {
        for Grant { framework, role, agent, resources } in grants {
            told(self.allocator.recover(self.now, &framework, &role, &agent, resources, refuse))?;
        }
        Ok(())
    }

    fn take_offers(&mut self, selection: &Selection) -> Result<Vec<Grant>, Refused> {
        let is_meant = |grant: &Grant| {
            selection.framework.as_ref().is_none_or(|id| *id == grant.framework)
                && selection.role.as_ref().is_none_or(|role| *role == grant.role)
                && selection.agent.as_ref().is_none_or(|id| *id == grant.agent)
        };
        let (meant, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.offers).into_iter().partition(is_meant);
        self.offers = kept;
        if meant.is_empty() { Err("no offer that is out fits".to_owned()) } else { Ok(meant) }
    }

    fn accept(&mut self, body: &Accept) -> Result<(), Refused> {
        let mut parts = Vec::new();
        let taken = self.take_offers(&body.selection())?;
        for grant in &taken {
            let used = body.resources.as_ref().map_or(&grant.resources, |resources| &resources.0);
            match grant.resources.checked_sub(used) {
                Ok(rest) => parts.push((used.clone(), rest)),
                Err(error) => {
                    let refused = format!("the offer of {} does not hold {used}: {error}", grant.agent);
                    self.offers.extend(taken);
                    return Err(refused);
                }
            }
        }
        for (grant, (part, rest)) in taken.into_iter().zip(parts) {
            let Grant { framework, role, agent, .. } = grant;
            if !rest.is_empty() {
                told(self.allocator.recover(self.now, &framework, &role, &agent, rest, Some(body.refuse.0)))?;
            }
            let used = self.used.entry((framework, role, agent)).or_default();
            *used = told(used.checked_add(&part))?;
        }
        Ok(())
    }

    fn finish(&mut self, body: Finish) -> Result<(), Refused> {
        let key = (body.framework, body.role, body.agent);
        let used = self.used.get(&key).ok_or_else(|| format!("{} uses nothing of {}", key.0, key.2))?;
        let part = body.resources.map_or_else(|| used.clone(), |part| part.0);
        let rest = told(used.checked_sub(&part))?;
        told(self.allocator.recover(self.now, &key.0, &key.1, &key.2, part, None))?;
        if rest.is_empty() {
            self.used.remove(&key);
        } else {
            self.used.insert(key, rest);
        }
        Ok(())
    }

    fn convert(&mut self, body: &Convert) -> Result<(), Refused> {
        let (from, into) = (&body.from.0, &body.into.0);
        let Some(framework) = &body.framework else {
            told(self.allocator.convert(None, &body.agent, from, into))?;
            return self.follow_total(&body.agent);
        };
        told(self.allocator.convert(Some((framework, &body.role)), &body.agent, from, into))?;
        let key = (framework.clone(), body.role.clone(), body.agent.clone());
        let is_own = |grant: &&mut Grant| {
            grant.framework == key.0 && grant.role == key.1 && grant.agent == key.2 && grant.resources.contains(from)
        };
        let held = match self.used.get_mut(&key).filter(|used| used.contains(from)) {
            Some(used) => Some(used),
            None => self.offers.iter_mut().find(is_own).map(|grant| &mut grant.resources),
        };
        let held = held.ok_or_else(|| format!("{framework} holds {from} only in parts: name what it uses"))?;
        *held = told(told(held.checked_sub(from))?.checked_add(into))?;
        self.follow_total(&body.agent)
    }

    fn request_gang(&mut self, body: GangBody) -> Result<(), Refused> {
        if self.gangs.contains_key(&body.name) {
            return Err(format!("a gang {} has been asked for already", body.name));
        }
        let GangBody { name, framework, role, unit, count, deadline } = body;
        let deadline = self.now.saturating_add(deadline.get());
        let id = told(self.allocator.request_gang(Gang { framework, role, unit: unit.0, count, deadline }))?;
        self.gangs.insert(name, (id, GangState::Waiting));
        Ok(())
    }

    fn cancel_gang(&mut self, name: &str) -> Result<(), Refused> {
        let gang = self.gangs.get_mut(name).filter(|(_, state)| *state == GangState::Waiting);
        let (id, state) = gang.ok_or_else(|| format!("no gang {name} is waiting"))?;
        self.allocator.cancel_gang(*id);
        *state = GangState::Ended;
        Ok(())
    }

    fn follow_total(&mut self, id: &AgentId) -> Result<(), Refused> {
        let total = self.allocator.total(id).ok_or_else(|| format!("agent {id} is not known"))?;
        if let Some(profile) = self.agents.get_mut(id) {
            profile.total = total;
        }
        Ok(())
    }
}

fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, Refused> {
    result.map_err(|error| error.to_string())
}

fn agent_profile(before: AgentProfile, body: AgentBody) -> AgentProfile {
    let attributes = body.attributes.map(|attributes| {
        let named = attributes.into_iter().map(|(name, value)| (name, value.0));
        named.collect::<BTreeMap<_, _>>()
    });
    let zone = body.zone.unwrap_or_default();
    AgentProfile {
        total: body.resources.map_or(before.total, |resources| resources.0),
        attributes: attributes.unwrap_or(before.attributes),
        hostname: body.hostname.unwrap_or(before.hostname),
        domain: body.region.map(|region| Domain { region, zone }).or(before.domain),
        multi_role: body.multi_role.unwrap_or(before.multi_role),
        hierarchical_role: body.hierarchical_role.unwrap_or(before.hierarchical_role),
    }
}

fn framework_profile(body: FrameworkBody) -> Result<(FrameworkId, FrameworkProfile), Refused> {
    let can = |capability| body.capabilities.contains(&capability);
    let capabilities = Capabilities {
        revocable: can(Capability::RevocableResources),
        gpu: can(Capability::GpuResources),
        shared: can(Capability::SharedResources),
        refinement: can(Capability::ReservationRefinement),
        multi_role: can(Capability::MultiRole),
        region_aware: can(Capability::RegionAware),
    };
    if body.roles.len() > 1 && !capabilities.multi_role {
        return Err(format!("framework {} has several roles without MULTI_ROLE", body.id));
    }
    let sizes = |sizes: Vec<crate::scenario::parsed::Parsed<_>>| sizes.into_iter().map(|size| size.0).collect();
    let minimum = body.minimum.into_iter().map(|(role, own)| (role, sizes(own))).collect();
    let mut constraints = BTreeMap::new();
    for (role, groups) in body.constraints {
        let groups: Result<Vec<Vec<Constraint>>, Refused> =
            groups.into_iter().map(|group| group.into_iter().map(constraint).collect()).collect();
        constraints.insert(role, Constraints::new(groups?));
    }
    let demand = body.demand.into_iter().map(|(role, units)| (role, sizes(units))).collect();
    let (roles, suppressed) = (body.roles, body.suppressed);
    Ok((body.id, FrameworkProfile { roles, suppressed, capabilities, minimum, constraints, demand }))
}

fn constraint(condition: Condition) -> Result<Constraint, Refused> {
    let selector = match (condition.attribute, condition.of) {
        (Some(name), None) => Selector::Attribute(name),
        (None, Some(Pseudo::Hostname)) => Selector::Hostname,
        (None, Some(Pseudo::Region)) => Selector::Region,
        (None, Some(Pseudo::Zone)) => Selector::Zone,
        _ => return Err("a constraint names either `attribute` or `of`".to_owned()),
    };
    let predicates = [
        condition.exists.map(|exists| if exists { Predicate::Exists } else { Predicate::NotExists }),
        condition.equals.map(Predicate::Equals),
        condition.not_equals.map(Predicate::NotEquals),
        condition.matches.map(|pattern| Predicate::Matches(pattern.0)),
        condition.not_matches.map(|pattern| Predicate::NotMatches(pattern.0)),
    ];
    let mut predicates = predicates.into_iter().flatten();
    match (predicates.next(), predicates.next()) {
        (Some(predicate), None) => Ok(Constraint { selector, predicate }),
        _ => Err("a constraint has exactly one of exists, equals, not_equals, matches, not_matches".to_owned()),
    }
}

fn quota(body: &QuotaBody) -> Quota {
    match &body.both {
        Some(both) => Quota { guarantees: both.0.0.clone(), limits: both.0.0.clone() },
        None => Quota { guarantees: body.guarantees.0.0.clone(), limits: body.limits.0.0.clone() },
    }
}
