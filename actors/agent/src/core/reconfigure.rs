//! Whether an agent that starts again may say something else about itself than before.
//!
//! Decides only; what of the host is measured and what the operator has named is the caller's knowledge.

use odeon_protocol::agent::AgentInfo;
use serde::{Deserialize, Serialize};

/// How far an agent that starts again may differ from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReconfigurationPolicy {
    /// Not at all.
    #[default]
    Equal,
    /// It may have more resources and further attributes; without a task that has not ended, anything.
    Additive,
}

impl std::fmt::Display for ReconfigurationPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Equal => "equal",
            Self::Additive => "additive",
        })
    }
}

/// What has changed that may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the {what} of the agent changed from \"{old}\" to \"{new}\", which the reconfiguration policy \"{policy}\" does not allow: \
     go back to the old ones, allow growth with reconfiguration_policy=additive, \
     or give the agent's id and tasks up with recover=fresh"
)]
pub struct ReconfigureError {
    /// Such as `resources`.
    pub what: &'static str,
    /// As they were.
    pub old: String,
    /// As they would be.
    pub new: String,
    /// What was allowed.
    pub policy: ReconfigurationPolicy,
}

/// The agent as it may register, if it may.
pub(super) fn reconfigured(
    old: &AgentInfo,
    new: AgentInfo,
    policy: ReconfigurationPolicy,
    has_live_tasks: bool,
) -> Result<AgentInfo, ReconfigureError> {
    let refused = |what, old: String, new: String| Err(ReconfigureError { what, old, new, policy });
    let grows = policy == ReconfigurationPolicy::Additive;
    if grows && !has_live_tasks {
        return Ok(new);
    }
    if old.hostname != new.hostname {
        return refused("hostname", old.hostname.clone(), new.hostname);
    }
    if old.resources != new.resources && !(grows && new.resources.contains(&old.resources)) {
        return refused("resources", old.resources.to_string(), new.resources.to_string());
    }
    if old.reserved != new.reserved && !(grows && new.reserved.contains(&old.reserved)) {
        return refused("reservations", old.reserved.to_string(), new.reserved.to_string());
    }
    let has_all = || old.attributes.iter().all(|(name, value)| new.attributes.get(name) == Some(value));
    if old.attributes != new.attributes && !(grows && has_all()) {
        return refused("attributes", attributes_text(old), attributes_text(&new));
    }
    Ok(new)
}

fn attributes_text(info: &AgentInfo) -> String {
    info.attributes.iter().map(|(name, value)| format!("{name}:{value}")).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(resources: &str, rack: &[(&str, &str)]) -> AgentInfo {
        AgentInfo {
            hostname: "h".into(),
            endpoint: "h:5051".into(),
            resources: resources.parse().unwrap(),
            reserved: Default::default(),
            attributes: rack.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    #[test]
    fn another_port_is_no_change() {
        let (old, new) = (info("cpus:2", &[]), AgentInfo { endpoint: "h:1".into(), ..info("cpus:2", &[]) });
        assert_eq!(reconfigured(&old, new.clone(), ReconfigurationPolicy::Equal, true), Ok(new));
    }

    #[test]
    fn growth_needs_the_policy_for_it_and_the_refusal_names_old_and_new() {
        let (old, new) = (info("cpus:2", &[]), info("cpus:4", &[("rack", "a")]));
        assert!(reconfigured(&old, new.clone(), ReconfigurationPolicy::Additive, true).is_ok());
        let refused = reconfigured(&old, new, ReconfigurationPolicy::Equal, true).unwrap_err().to_string();
        ["\"cpus:2\"", "\"cpus:4\"", "additive", "fresh"]
            .iter()
            .for_each(|part| assert!(refused.contains(part), "{refused}"));
    }

    #[test]
    fn what_the_configuration_reserves_may_grow_as_resources_may() {
        let reserving = |text: &str| AgentInfo { reserved: text.parse().unwrap(), ..info("cpus:4", &[]) };
        let (old, new) = (reserving("cpus(ads):1"), reserving("cpus(ads):2"));
        assert!(reconfigured(&old, new.clone(), ReconfigurationPolicy::Additive, true).is_ok());
        assert!(reconfigured(&new, old.clone(), ReconfigurationPolicy::Additive, true).is_err());
        let refused = reconfigured(&old, new, ReconfigurationPolicy::Equal, true).unwrap_err().to_string();
        assert!(refused.starts_with("the reservations of the agent changed from \"cpus(ads):1\""), "{refused}");
    }

    #[test]
    fn nothing_shrinks_or_changes_its_value_while_tasks_depend_on_it() {
        let old = info("cpus:2", &[("rack", "a")]);
        let hostname = AgentInfo { hostname: "other".into(), ..old.clone() };
        for new in [info("cpus:1", &[("rack", "a")]), info("cpus:2", &[("rack", "b")]), info("cpus:2", &[]), hostname] {
            assert!(reconfigured(&old, new.clone(), ReconfigurationPolicy::Additive, true).is_err());
            assert!(reconfigured(&old, new.clone(), ReconfigurationPolicy::Equal, false).is_err());
            assert!(reconfigured(&old, new, ReconfigurationPolicy::Additive, false).is_ok());
        }
    }
}
