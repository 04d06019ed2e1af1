//! Which agents a framework takes under a role: predicates on what agents say of themselves.
//!
//! Groups are alternatives; all predicates of a group must hold. As in Mesos, a predicate on text holds for an
//! attribute that is no text, a number or ranges, since it says nothing about those.

use crate::profile::AgentProfile;
use regex_lite::{Regex, RegexBuilder};

/// The most memory that one pattern may take, in bytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// Alternatives; without any, no agent is taken.
#[derive(Debug, Clone)]
pub struct Constraints(Vec<Vec<Constraint>>);

/// A predicate on one thing that an agent says of itself.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// What is looked at.
    pub selector: Selector,
    /// What must hold of it.
    pub predicate: Predicate,
}

/// What a predicate looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// An attribute, by name.
    Attribute(String),
    /// The host.
    Hostname,
    /// The region of the agent's domain.
    Region,
    /// The zone of the agent's domain.
    Zone,
}

/// What must hold.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// It is there.
    Exists,
    /// It is not there.
    NotExists,
    /// It is there with this text.
    Equals(String),
    /// It is not there, or with another text.
    NotEquals(String),
    /// It is there, and all of its text fits a pattern.
    Matches(Pattern),
    /// It is not there, or its text does not fit.
    NotMatches(Pattern),
}

/// A regular expression for the whole of a text; it takes time linear in the text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern: {reason}")]
pub struct PatternError {
    /// The text at fault.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl std::str::FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let whole = format!("^(?:{text})$");
        let built = RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build();
        built.map(Self).map_err(|error| PatternError { pattern: text.to_owned(), reason: error.to_string() })
    }
}

impl Constraints {
    /// Alternatives of predicates that must all hold.
    #[must_use]
    pub fn new(groups: Vec<Vec<Constraint>>) -> Self {
        Self(groups)
    }

    /// Whether an agent is taken.
    #[must_use]
    pub fn admit(&self, agent: &AgentProfile) -> bool {
        self.0.iter().any(|group| group.iter().all(|constraint| constraint.holds(agent)))
    }
}

impl Constraint {
    fn holds(&self, agent: &AgentProfile) -> bool {
        let said = match &self.selector {
            Selector::Attribute(name) => agent.attributes.get(name).map(String::as_str),
            Selector::Hostname => Some(agent.hostname.as_str()),
            Selector::Region => agent.domain.as_ref().map(|domain| domain.region.as_str()),
            Selector::Zone => agent.domain.as_ref().map(|domain| domain.zone.as_str()),
        };
        let is_attribute = matches!(self.selector, Selector::Attribute(_));
        let is_no_text = is_attribute && said.is_some_and(|said| !is_text(said));
        match &self.predicate {
            Predicate::Exists => said.is_some(),
            Predicate::NotExists => said.is_none(),
            _ if is_no_text => true,
            Predicate::Equals(text) => said == Some(text),
            Predicate::NotEquals(text) => said != Some(text),
            Predicate::Matches(pattern) => said.is_some_and(|said| pattern.0.is_match(said)),
            Predicate::NotMatches(pattern) => !said.is_some_and(|said| pattern.0.is_match(said)),
        }
    }
}

/// Whether an attribute is read as text: neither a number nor ranges.
fn is_text(said: &str) -> bool {
    said.parse::<f64>().is_err() && !(said.starts_with('[') && said.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Domain;
    use odeon_protocol::resources::TypedResources;

    fn agent() -> AgentProfile {
        let mut agent = AgentProfile::new(TypedResources::empty());
        agent.hostname = "h1.example".to_owned();
        agent.domain = Some(Domain { region: "eu".to_owned(), zone: "eu-1".to_owned() });
        for (name, value) in [("rack", "a12"), ("cores", "8")] {
            agent.attributes.insert(name.to_owned(), value.to_owned());
        }
        agent
    }

    fn holds(selector: Selector, predicate: Predicate) -> bool {
        Constraint { selector, predicate }.holds(&agent())
    }

    fn attribute(name: &str) -> Selector {
        Selector::Attribute(name.to_owned())
    }

    #[test]
    fn a_predicate_on_text_looks_at_the_whole_text() {
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        assert!(holds(attribute("rack"), Predicate::Matches(pattern("a[0-9]+"))));
        assert!(!holds(attribute("rack"), Predicate::Matches(pattern("a1|2"))));
        assert!(holds(attribute("rack"), Predicate::NotMatches(pattern("a"))));
        assert!(holds(attribute("rack"), Predicate::Equals("a12".to_owned())));
        assert!(!holds(attribute("rack"), Predicate::NotEquals("a12".to_owned())));
        assert!(holds(Selector::Hostname, Predicate::Matches(pattern(r".*\.example"))));
        assert!(holds(Selector::Region, Predicate::Equals("eu".to_owned())));
        assert!(holds(Selector::Zone, Predicate::Exists));
    }

    #[test]
    fn what_is_not_there_fits_only_negations() {
        assert!(!holds(attribute("gone"), Predicate::Exists) && holds(attribute("gone"), Predicate::NotExists));
        assert!(!holds(attribute("gone"), Predicate::Equals("x".to_owned())));
        assert!(holds(attribute("gone"), Predicate::NotEquals("x".to_owned())));
    }

    #[test]
    fn a_number_fits_every_predicate_on_text() {
        assert!(holds(attribute("cores"), Predicate::Equals("x".to_owned())));
        assert!(holds(attribute("cores"), Predicate::NotEquals("8".to_owned())));
        assert!(!holds(attribute("cores"), Predicate::NotExists));
    }

    #[test]
    fn groups_are_alternatives_and_their_predicates_conditions() {
        let equals = |name: &str, value: &str| Constraint {
            selector: attribute(name),
            predicate: Predicate::Equals(value.to_owned()),
        };
        let wrong = || vec![equals("rack", "a12"), equals("rack", "b")];
        assert!(!Constraints::new(vec![wrong()]).admit(&agent()));
        assert!(Constraints::new(vec![wrong(), vec![equals("rack", "a12")]]).admit(&agent()));
        assert!(!Constraints::new(vec![]).admit(&agent()) && Constraints::new(vec![vec![]]).admit(&agent()));
    }

    #[test]
    fn a_broken_or_huge_pattern_is_refused_by_name() {
        assert!("(a".parse::<Pattern>().unwrap_err().to_string().contains("(a"));
        assert!("(a{1000}){1000}".parse::<Pattern>().is_err());
    }
}
