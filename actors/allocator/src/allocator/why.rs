//! Why a framework is not offered an agent, asked after a run. The rules are those of the run itself.

use super::Allocator;
use crate::bits::Bits;
use crate::books::Books;
use crate::bundle::Bundle;
use crate::round::{Judgement, Round, RoundParts, Stage};
use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::role::Role;
use std::sync::Arc;
use std::time::Duration;

/// Why nothing, or not more, of an agent is held out to a framework under a role.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No agent of this id is here.
    UnknownAgent,
    /// The framework is not subscribed to the role.
    NotSubscribed,
    /// The framework is not connected.
    InactiveFramework,
    /// The framework asked for no offers under this role.
    Suppressed,
    /// The agent is deactivated.
    InactiveAgent,
    /// No run is made until enough agents are back after a failover.
    Paused,
    /// One of both lacks a capability that the other asks for.
    Capability(&'static str),
    /// The constraints of the framework do not admit the agent.
    Constraint,
    /// Nothing is free; these hold it, the framework with the largest part first.
    NothingFree(Vec<(FrameworkId, Role)>),
    /// What is free is reserved for other roles, or of a class that the framework cannot read.
    NotForThisRole,
    /// The role is at its limit.
    QuotaLimit,
    /// What is free is held back for guarantees of other roles.
    Headroom,
    /// What could be offered is below the minimum size.
    MinimumSize,
    /// The framework said what it could use, and this is less.
    NoDemand,
    /// A gang that waits for more holds it back.
    HeldForGang,
    /// The framework refused this, for so much longer.
    Refused(Duration),
    /// Nothing forbids it: the next run that looks at the agent offers it, unless others come first.
    NextRun,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownAgent => f.write_str("agent is not known"),
            Self::NotSubscribed => f.write_str("not subscribed to the role"),
            Self::InactiveFramework => f.write_str("framework is not active"),
            Self::Suppressed => f.write_str("suppressed"),
            Self::InactiveAgent => f.write_str("agent is not active"),
            Self::Paused => f.write_str("paused after failover"),
            Self::Capability(name) => write!(f, "capability {name} is missing"),
            Self::Constraint => f.write_str("constraint"),
            Self::NothingFree(holders) => {
                let holders: Vec<String> = holders.iter().map(|(id, role)| format!("{id}@{role}")).collect();
                write!(f, "nothing is free: held by {}", holders.join(", "))
            }
            Self::NotForThisRole => f.write_str("what is free is reserved for others or cannot be read"),
            Self::QuotaLimit => f.write_str("quota limit"),
            Self::Headroom => f.write_str("headroom for guarantees"),
            Self::MinimumSize => f.write_str("minimum size"),
            Self::NoDemand => f.write_str("less than the framework could use"),
            Self::HeldForGang => f.write_str("held back for a gang"),
            Self::Refused(left) => write!(f, "filter for {} ms more", left.as_millis()),
            Self::NextRun => f.write_str("next run"),
        }
    }
}

impl Reason {
    /// The reason as one word, for scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::UnknownAgent => "unknown-agent",
            Self::NotSubscribed => "not-subscribed",
            Self::InactiveFramework => "inactive-framework",
            Self::Suppressed => "suppressed",
            Self::InactiveAgent => "inactive-agent",
            Self::Paused => "paused",
            Self::Capability(_) => "capability",
            Self::Constraint => "constraint",
            Self::NothingFree(_) => "nothing-free",
            Self::NotForThisRole => "not-for-this-role",
            Self::QuotaLimit => "quota-limit",
            Self::Headroom => "headroom",
            Self::MinimumSize => "minimum-size",
            Self::NoDemand => "no-demand",
            Self::HeldForGang => "gang",
            Self::Refused(_) => "filter",
            Self::NextRun => "next-run",
        }
    }
}

impl Allocator {
    /// Why a framework is not offered what is left of an agent now.
    #[must_use]
    pub fn why(&self, now: Duration, framework: &FrameworkId, role: &Role, agent: &AgentId) -> Reason {
        let Some(&slot) = self.agent_slots.get(agent) else { return Reason::UnknownAgent };
        let known = self.frameworks.get(framework);
        let Some((entry, is_suppressed)) = known.and_then(|entry| Some((entry, entry.is_suppressed(role)?))) else {
            return Reason::NotSubscribed;
        };
        let Some(client) = self.roster.client(framework, role) else { return Reason::NotSubscribed };
        if !entry.is_active {
            return Reason::InactiveFramework;
        }
        let agent = &self.agents[slot];
        if is_suppressed {
            return Reason::Suppressed;
        }
        if !agent.is_active {
            return Reason::InactiveAgent;
        }
        if self.is_paused(now) {
            return Reason::Paused;
        }
        let (mut random, mut refusers) = (self.random.clone(), Bits::default());
        let refusals = self.refusals.of(slot);
        let (terms, view) = self.roster.view(client);
        let books: &Books = &self.roster.books;
        let mut judge = |stage, left: &Arc<Bundle>| {
            let (kinds, rules, left) = (&self.kinds, &self.rules, Arc::clone(left));
            let (refusals, refusers) = (self.refusals.of(slot), &mut refusers);
            let parts = RoundParts { stage, agent, left, kinds, rules, refusals, refusers, random: &mut random };
            let mut round = Round::new(parts);
            round.see(view);
            round.judge(client, terms, view, books)
        };
        let free = agent.free();
        let first =
            if books.is_unsatisfied(view.book) { judge(Stage::Guarantees, free) } else { Err(Judgement::NoGuarantee) };
        let first_is_none = first.is_err();
        let judged = match first {
            Err(Judgement::NoGuarantee) => judge(Stage::Fair, free),
            Err(reason) => judge(Stage::Fair, free).map_err(|_| reason),
            offer => offer,
        };
        let is_held = judged.is_ok() && first_is_none && judge(Stage::Fair, &self.gangs.not_held(slot, free)).is_err();
        match judged {
            Ok(_) if is_held => Reason::HeldForGang,
            Ok(_) => Reason::NextRun,
            Err(Judgement::Capability(name)) => Reason::Capability(name),
            Err(Judgement::Constraint) => Reason::Constraint,
            Err(_) if agent.free().is_empty() => Reason::NothingFree(self.holders(agent)),
            Err(Judgement::NothingFor) => Reason::NotForThisRole,
            Err(Judgement::Limit) => Reason::QuotaLimit,
            Err(Judgement::Headroom | Judgement::NoGuarantee) => Reason::Headroom,
            Err(Judgement::Minimum) => Reason::MinimumSize,
            Err(Judgement::NoDemand) => Reason::NoDemand,
            Err(Judgement::Refused) => {
                let until = refusals.until(client, free).unwrap_or(now);
                Reason::Refused(until.saturating_sub(now))
            }
        }
    }

    fn holders(&self, agent: &super::agents::Agent) -> Vec<(FrameworkId, Role)> {
        let names = agent.held().iter().map(|(client, _)| self.roster.name(*client));
        names.map(|(framework, role)| (framework.clone(), role.clone())).collect()
    }
}
