//! Whether a cluster could ever hold some work: looked at before anything is launched.

use odeon_protocol::messages::master_operator::{AgentState, AgentSummary};
use odeon_protocol::resources::Resources;

/// Checks that one agent could hold `wanted`, if it had nothing else to do.
///
/// # Errors
/// A text that says what is missing, and what the best agents have.
pub(super) fn check_one(agents: &[AgentSummary], wanted: &Resources) -> Result<(), String> {
    check_all(agents, &Resources::empty(), wanted, 1)
}

/// Checks that the agents together could hold `count` times `wanted`, and `host` on each agent that holds some.
///
/// # Errors
/// As [`check_one`], with the number that does fit.
pub(super) fn check_all(
    agents: &[AgentSummary],
    host: &Resources,
    wanted: &Resources,
    count: usize,
) -> Result<(), String> {
    let active: Vec<&AgentSummary> = agents.iter().filter(|agent| agent.state == AgentState::Active).collect();
    if active.is_empty() {
        return Err("the cluster has no active agent: start one with `odeon agent --master HOST:PORT`, or let one be offered again with `odeon agent reactivate ID`".to_owned());
    }
    let fitting: usize = active.iter().map(|agent| fits(&agent.total, host, wanted, count)).sum();
    if fitting >= count {
        return Ok(());
    }
    let totals: Vec<String> =
        active.iter().map(|agent| format!("  {} on {}: {}", agent.agent_id, agent.hostname, agent.total)).collect();
    let missing = count - fitting;
    Err(format!(
        "the cluster cannot hold {count} × {wanted}: {fitting} fit, room for {missing} is missing ({}); its agents have\n{}",
        times(wanted, missing),
        totals.join("\n"),
    ))
}

/// How many times `wanted` goes into `total` behind `host`, at most `count`.
fn fits(total: &Resources, host: &Resources, wanted: &Resources, count: usize) -> usize {
    let mut left = total.checked_sub(host).ok();
    let mut fitting = 0;
    while fitting < count {
        left = left.and_then(|left| left.checked_sub(wanted).ok());
        if left.is_none() {
            break;
        }
        fitting += 1;
    }
    fitting
}

fn times(wanted: &Resources, count: usize) -> String {
    let mut sum = Some(Resources::empty());
    for _ in 0..count {
        sum = sum.and_then(|sum| sum.checked_add(wanted).ok());
    }
    sum.map_or_else(|| format!("{count} × {wanted}"), |sum| sum.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn agent(total: &str, state: AgentState) -> AgentSummary {
        AgentSummary {
            agent_id: "a1".parse().unwrap(),
            hostname: "host".to_owned(),
            endpoint: "127.0.0.1:1".to_owned(),
            state,
            total: total.parse().unwrap(),
            reserved: Default::default(),
            reserved_unused: Default::default(),
            used: Resources::empty(),
            offered: Resources::empty(),
            attributes: BTreeMap::new(),
            active_tasks: 0,
            deactivated: false,
            drain: None,
            registered_ms: 0,
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let agents = [agent("cpus:2;mem:1000", AgentState::Active), agent("cpus:1;mem:1000", AgentState::Active)];
        let wanted: Resources = "cpus:1;mem:100".parse().unwrap();
        let host: Resources = "mem:32".parse().unwrap();
        assert_eq!(check_all(&agents, &host, &wanted, 3), Ok(()));
        let text = check_all(&agents, &host, &wanted, 5).unwrap_err();
        assert!(text.contains("5 × cpus:1;mem:100: 3 fit, room for 2 is missing (cpus:2;mem:200)"), "{text}");
    }

    #[test]
    fn an_agent_out_of_reach_holds_nothing() {
        let agents = [agent("cpus:2;mem:1000", AgentState::Disconnected)];
        assert!(check_one(&agents, &"cpus:1".parse().unwrap()).unwrap_err().contains("no active agent"));
    }
}
