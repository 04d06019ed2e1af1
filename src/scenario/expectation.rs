//! What a step may expect, and whether it came so.

use std::collections::BTreeMap;
use std::str::FromStr;

use odeon_protocol::id::{AgentId, FrameworkId};
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;
use serde::Deserialize;

use super::parsed::Parsed;

/// What is expected after a step; what is not named is not looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// Exactly these offers, in any order.
    pub(super) offers: Option<Vec<Parsed<OfferPattern>>>,
    /// How many offers each framework gets; those not named are not looked at.
    #[serde(default)]
    pub(super) offer_counts: BTreeMap<FrameworkId, usize>,
    /// What each framework is offered in this step, over all agents.
    #[serde(default)]
    pub(super) offered: BTreeMap<FrameworkId, Parsed<TypedResources>>,
    /// What each framework holds now, offered or used, over all agents.
    #[serde(default)]
    pub(super) held: BTreeMap<FrameworkId, Parsed<TypedResources>>,
    /// Exactly these inverse offers, in any order.
    pub(super) inverse: Option<Vec<Parsed<OfferPattern>>>,
    /// Exactly these frameworks are asked to give back, in any order.
    pub(super) asked: Option<Vec<Parsed<OfferPattern>>>,
    /// Of exactly these frameworks tasks are to be killed, in any order.
    pub(super) killed: Option<Vec<Parsed<OfferPattern>>>,
    /// Dominant shares of roles, within 0.005.
    #[serde(default)]
    pub(super) shares: BTreeMap<Role, f64>,
    /// What roles have consumed in the sense of quota.
    #[serde(default)]
    pub(super) consumed: BTreeMap<Role, Parsed<odeon_protocol::resources::Resources>>,
    /// How many filters are live.
    pub(super) filters: Option<usize>,
    /// Where gangs stand: `waiting`, `placed` or `ended`.
    #[serde(default)]
    pub(super) gangs: BTreeMap<String, String>,
    /// Why nothing, or not more, of an agent is offered.
    #[serde(default)]
    pub(super) why: Vec<WhyPattern>,
    /// A part of the text with which the event is refused.
    pub(super) error: Option<String>,
}

/// A reason that is expected, by its word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyPattern {
    pub(super) framework: FrameworkId,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) agent: AgentId,
    pub(super) reason: String,
}

/// `a1 -> f1@role1: cpus:2;mem:1024`; `*` stands for any agent, role and resources may be left out.
#[derive(Debug, Clone)]
pub(super) struct OfferPattern {
    text: String,
    agent: Option<AgentId>,
    framework: FrameworkId,
    role: Option<Role>,
    resources: Option<TypedResources>,
}

/// What a pattern is held against.
pub(super) type OfferParts<'a> = (&'a AgentId, &'a FrameworkId, Option<&'a Role>, &'a TypedResources);

impl FromStr for OfferPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("{text:?} is not of the form `agent -> framework@role: resources`");
        let (agent, rest) = text.split_once("->").ok_or_else(form)?;
        let (whom, resources) = match rest.split_once(": ") {
            Some((whom, resources)) => (whom, Some(resources.parse().map_err(|error| format!("{error}"))?)),
            None => (rest, None),
        };
        let (framework, role) = match whom.trim().split_once('@') {
            Some((framework, role)) => (framework, Some(role.parse().map_err(|error| format!("{error}"))?)),
            None => (whom.trim(), None),
        };
        let agent = match agent.trim() {
            "*" => None,
            agent => Some(agent.parse().map_err(|error| format!("{error}"))?),
        };
        let framework = framework.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { text: text.trim().to_owned(), agent, framework, role, resources })
    }
}

impl OfferPattern {
    fn fits(&self, (agent, framework, role, resources): OfferParts<'_>) -> bool {
        self.agent.as_ref().is_none_or(|expected| expected == agent)
            && self.framework == *framework
            && self.role.as_ref().is_none_or(|expected| Some(expected) == role)
            && self.resources.as_ref().is_none_or(|expected| expected == resources)
    }

    /// How much a pattern says: those that say more choose first.
    fn strictness(&self) -> usize {
        usize::from(self.agent.is_some()) + usize::from(self.role.is_some()) + usize::from(self.resources.is_some())
    }
}

/// What of the patterns and the offers is left over once each is put to another.
pub(super) fn mismatches(
    what: &str,
    patterns: &[Parsed<OfferPattern>],
    offers: &[(String, OfferParts<'_>)],
) -> Vec<String> {
    let mut left: Vec<_> = offers.iter().collect();
    let mut patterns: Vec<&OfferPattern> = patterns.iter().map(|pattern| &pattern.0).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.strictness()));
    let mut failures = Vec::new();
    for pattern in patterns {
        match left.iter().position(|(_, parts)| pattern.fits(*parts)) {
            Some(index) => {
                left.remove(index);
            }
            None => failures.push(format!("expected {what} did not come: {}", pattern.text)),
        }
    }
    failures.extend(left.into_iter().map(|(text, _)| format!("{what} was not expected: {text}")));
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Parsed<OfferPattern>> {
        texts.iter().map(|text| Parsed(text.parse().unwrap())).collect()
    }

    #[test]
    fn stricter_patterns_choose_first_and_what_is_left_over_is_told() {
        let (a1, a2, f1) = ("a1".parse().unwrap(), "a2".parse().unwrap(), "f1".parse().unwrap());
        let (role, cpus) = ("r/x".parse().unwrap(), "cpus:1".parse().unwrap());
        let offers = [&a1, &a2].map(|agent| (format!("{agent}"), (agent, &f1, Some(&role), &cpus)));
        let missing = |texts: &[&str]| mismatches("offer", &patterns(texts), &offers);
        assert!(missing(&["* -> f1", "a1 -> f1@r/x: cpus:1"]).is_empty());
        assert_eq!(missing(&["* -> f1"]).len(), 1);
        assert_eq!(missing(&["a1 -> f1", "a2 -> f1: cpus:2"]).len(), 2);
        assert!("a1 f1".parse::<OfferPattern>().is_err());
    }
}
