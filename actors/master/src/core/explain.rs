//! Why a task or a framework waits, told from what the master knows.
//!
//! Changes nothing, and guesses nothing.

use super::agents::Presence;
use super::frameworks::Framework;
use super::ledger::sum;
use super::tasks::Task;
use super::{MasterCore, TaskKey};
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::messages::master_operator::KillTaskError;
use odeon_protocol::messages::operations::{ExplainError, ExplainFramework, ExplainTask, Explanation, Finding};
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{StatusReason, TaskState};

fn finding(about: &str, text: impl Into<String>) -> Finding {
    Finding { about: about.to_owned(), text: text.into() }
}

fn seconds_since(wall_ms: u64, now: Moment) -> u64 {
    now.wall_ms.saturating_sub(wall_ms) / 1000
}

impl MasterCore {
    /// Tells what a task waits for.
    ///
    /// # Errors
    /// [`ExplainError`] if no task, or more than one, is meant.
    pub fn on_explain_task(&self, message: &ExplainTask, now: Moment) -> Result<Explanation, ExplainError> {
        let (task_id, meant) = (&message.task_id, message.framework_id.as_ref());
        let unknown = || ExplainError::UnknownTask(task_id.clone());
        let key = match self.holder_of(task_id, meant) {
            Ok(framework_id) => (framework_id, task_id.clone()),
            Err(KillTaskError::Ambiguous(task_id)) => return Err(ExplainError::AmbiguousTask(task_id)),
            Err(_) => return self.explain_ended(task_id, meant).ok_or_else(unknown),
        };
        let task = self.task(&key).ok_or_else(unknown)?;
        let mut findings = vec![self.finding_about_state(task, now)];
        findings.extend(self.finding_about_agent(&task.agent_id, now));
        if task.kill_asked {
            findings.push(finding("kill", "it has been asked to end; its agent ends it when its grace is over"));
        }
        findings.extend(self.finding_about_scheduler(&key));
        Ok(Explanation { id: task_id.to_string(), state: task.state.to_string(), findings })
    }

    fn explain_ended(&self, task_id: &TaskId, meant: Option<&FrameworkId>) -> Option<Explanation> {
        let mut frameworks = self.all_frameworks().filter(|(id, _, _)| meant.is_none_or(|meant| meant == *id));
        let task = frameworks.find_map(|(_, framework, _)| framework.history.get(task_id)).map(|ended| &ended.task)?;
        let reason = task.reason.map(StatusReason::name).unwrap_or("no reason given");
        let text = format!("it has ended and waits for nothing: {reason}; {}", task.message);
        let findings = vec![finding("state", text.trim_end_matches("; "))];
        Some(Explanation { id: task_id.to_string(), state: task.state.to_string(), findings })
    }

    fn finding_about_state(&self, task: &Task, now: Moment) -> Finding {
        let age = seconds_since(task.updated_ms, now);
        let text = match task.state {
            TaskState::Staging => format!("launched {age} s ago; its executor has not reported yet"),
            TaskState::Starting => format!("its executor prepares it since {age} s"),
            TaskState::Running => format!("it runs since {age} s, and waits for nothing"),
            TaskState::Killing => format!("it was told to end {age} s ago, and has not ended yet"),
            TaskState::Unreachable => format!("out of sight since {age} s: it may still run"),
            state => format!("{state} since {age} s"),
        };
        finding("state", text)
    }

    fn finding_about_agent(&self, agent_id: &AgentId, now: Moment) -> Option<Finding> {
        let agent = self.agents.get(agent_id)?;
        let (host, drain) = (&agent.info.hostname, agent.drain.as_ref());
        let text = match (agent.presence, drain) {
            (Presence::Recovered, _) => format!("agent {agent_id} ({host}) has not come back to this master yet"),
            (Presence::Disconnected, _) => format!("the connection to agent {agent_id} ({host}) is broken"),
            (Presence::Unreachable, _) => format!("agent {agent_id} ({host}) does not answer"),
            (Presence::Connected, Some(drain)) => {
                let age = seconds_since(drain.begun_ms, now);
                format!("agent {agent_id} ({host}) is drained since {age} s: {:?}", drain.reason)
            }
            (Presence::Connected, None) => return None,
        };
        Some(finding("agent", text))
    }

    fn finding_about_scheduler(&self, key: &TaskKey) -> Option<Finding> {
        let is_away = self.frameworks.get(&key.0).is_some_and(|framework| framework.scheduler.is_none());
        is_away.then(|| finding("scheduler", "the scheduler of its framework is not connected"))
    }

    /// Tells what a framework waits for.
    ///
    /// # Errors
    /// [`ExplainError`] if there is no such framework.
    pub fn on_explain_framework(&self, message: &ExplainFramework, now: Moment) -> Result<Explanation, ExplainError> {
        let id = &message.framework_id;
        let known = self.all_frameworks().find(|(known, _, _)| *known == id);
        let (_, framework, has_ended) = known.ok_or_else(|| ExplainError::UnknownFramework(id.clone()))?;
        let state = super::listing::state_of_framework(framework, has_ended);
        let findings = if has_ended {
            vec![finding("state", "it has ended and waits for nothing")]
        } else if framework.scheduler.is_none() {
            vec![finding("scheduler", self.word_on_return(framework, now))]
        } else {
            self.findings_about_offers(id, framework, now)
        };
        Ok(Explanation { id: id.to_string(), state: state.name().to_owned(), findings })
    }

    fn word_on_return(&self, framework: &Framework, now: Moment) -> String {
        let left = framework.deadline_ms.unwrap_or_default().saturating_sub(now.wall_ms) / 1000;
        format!("its scheduler is not connected; if it is not back within {left} s, the framework and its tasks end")
    }

    fn findings_about_offers(&self, framework_id: &FrameworkId, framework: &Framework, now: Moment) -> Vec<Finding> {
        let held = framework.offers.len();
        let mut findings = Vec::new();
        if held > 0 {
            findings.push(finding("offers", format!("it holds {held} offers, and has not answered them yet")));
        }
        if self.agents.is_empty() {
            findings.push(finding("agents", "there is no agent"));
        }
        for (agent_id, agent) in &self.agents {
            let host = &agent.info.hostname;
            let mut say = |text: String| findings.push(finding("agent", format!("{agent_id} ({host}): {text}")));
            match (agent.presence, &agent.drain) {
                (Presence::Unreachable, _) => say("it does not answer".to_owned()),
                (Presence::Recovered | Presence::Disconnected, _) => say("it is not connected".to_owned()),
                (Presence::Connected, Some(drain)) => say(format!("it is drained: {:?}", drain.reason)),
                (Presence::Connected, None) if agent.deactivated => say("an operator has deactivated it".to_owned()),
                (Presence::Connected, None) => say(self.word_on_free(framework_id, framework, agent_id, now)),
            }
            if findings.len() >= self.rules.findings_max {
                findings.push(finding("agents", format!("{} agents in all", self.agents.len())));
                break;
            }
        }
        findings
    }

    fn word_on_free(
        &self,
        framework_id: &FrameworkId,
        framework: &Framework,
        agent_id: &AgentId,
        now: Moment,
    ) -> String {
        let agent = &self.agents[agent_id];
        let free = self.allocator.free(agent_id).and_then(|free| free.quantities().ok()).unwrap_or_default();
        let offered_to_others = agent.ledger.offered.keys().any(|(holder, _)| holder != framework_id);
        let used = sum(&agent.ledger.used).unwrap_or_default();
        if offered_to_others {
            return "what is free is offered to another framework at this moment".to_owned();
        }
        if free == Resources::empty() {
            return format!("nothing is free; tasks use {used}");
        }
        let why = |role| self.allocator.why(now.since_start, framework_id, role, agent_id);
        let reasons: Vec<String> = framework.roles.iter().map(|role| format!("{}, role {role}", why(role))).collect();
        format!("{free} is free; it is not offered: {}", reasons.join("; "))
    }
}
