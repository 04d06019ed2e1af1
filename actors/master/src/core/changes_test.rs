//! What operators change, and that it holds over restarts of the master.

use super::testkit::{Play, command_task, lasting, node, resources};
use super::*;
use crate::settings::RemovalRate;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::messages::master_agent::{AgentTask, RegisterAgent, RegisterAgentError};
use odeon_protocol::messages::master_operator::{AgentState, FrameworkState};
use odeon_protocol::messages::master_scheduler::{ReconcileTasks, Subscribe, SubscribeError};
use odeon_protocol::messages::operations::{
    AgentChangeError, DeactivateAgent, DrainAgent, ExplainFramework, ExplainTask, MarkAgentGone, ReactivateAgent,
    SetRoleWeight, SetRoleWeightError, TeardownError, TeardownFrameworkByOperator,
};
use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;
use odeon_protocol::task::TaskState;

fn drain(play: &mut Play, agent_id: &AgentId, mark_gone: bool) -> Result<(), AgentChangeError> {
    let grace_max = Some(Duration::from_secs(5));
    let message = DrainAgent { agent_id: agent_id.clone(), reason: "new disk".into(), grace_max, mark_gone };
    play.call(|core, now, out| core.on_drain_agent(message, now, out))
}

fn reactivate(play: &mut Play, agent_id: &AgentId) -> Result<(), AgentChangeError> {
    let message = ReactivateAgent { agent_id: agent_id.clone() };
    play.call(|core, _, out| core.on_reactivate_agent(&message, out))
}

fn deactivate(play: &mut Play, agent_id: &AgentId) {
    let message = DeactivateAgent { agent_id: agent_id.clone() };
    play.call(|core, now, out| core.on_deactivate_agent(&message, now, out)).unwrap();
}

fn mark_gone(play: &mut Play, agent_id: &AgentId) {
    let message = MarkAgentGone { agent_id: agent_id.clone() };
    play.call(|core, now, out| core.on_mark_agent_gone(&message, now, out)).unwrap();
}

fn state_of(play: &Play, agent_id: &AgentId) -> Option<AgentState> {
    let agents = play.core.on_get_agents();
    agents.into_iter().find(|agent| agent.agent_id == *agent_id).map(|agent| agent.state)
}

fn kills(play: &mut Play) -> Vec<(String, Option<Duration>)> {
    let mut kills = Vec::new();
    play.effects.retain(|effect| match effect {
        Effect::CommandAgent { command: AgentCommand::Kill(kill), .. } => {
            kills.push((kill.task_id.to_string(), kill.grace_max));
            false
        }
        _ => true,
    });
    kills
}

fn brought(key: &TaskKey) -> Vec<AgentTask> {
    let (framework_id, task) = (key.0.clone(), command_task(key.1.as_str(), "cpus:1;mem:64"));
    vec![AgentTask { framework_id, role: Role::default(), task, state: TaskState::Running }]
}

#[test]
fn a_deactivated_agent_is_not_offered_until_it_is_reactivated_and_its_tasks_run_on() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    let framework_id = play.subscribe("g", None, FrameworkInfo::new("g"));
    assert_eq!(play.offers().len(), 1);
    deactivate(&mut play, &agent_id);
    assert!(play.core.offers.is_empty(), "what was offered is taken back");
    play.wait(60_000);
    assert_eq!((play.offers(), state_of(&play, &agent_id)), (Vec::new(), Some(AgentState::Deactivated)));
    assert_eq!(play.state(&key), Some(TaskState::Staging));
    reactivate(&mut play, &agent_id).unwrap();
    assert_eq!(play.offers().iter().filter(|offer| offer.framework_id == framework_id).count(), 1);
    assert_eq!(state_of(&play, &agent_id), Some(AgentState::Active));
}

#[test]
fn a_deactivated_agent_stays_so_over_a_restart_of_the_master_and_a_new_registration() {
    let mut play = Play::new();
    let agent_id = play.agent("a", "cpus:2;mem:1024");
    deactivate(&mut play, &agent_id);
    let mut play = play.restart();
    play.subscribe("f", None, FrameworkInfo::new("f"));
    play.register_as("a", "cpus:4;mem:1024", Some(agent_id.clone()), Vec::new());
    assert_eq!((play.offers(), state_of(&play, &agent_id)), (Vec::new(), Some(AgentState::Deactivated)));
    assert_eq!(play.core.on_get_agents()[0].total, resources("cpus:4;mem:1024"));
}

#[test]
fn a_drain_kills_within_the_grace_and_tells_when_the_agent_is_empty() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    drain(&mut play, &agent_id, false).unwrap();
    assert_eq!(kills(&mut play), [("t".to_owned(), Some(Duration::from_secs(5)))]);
    assert_eq!(state_of(&play, &agent_id), Some(AgentState::Draining));
    assert_eq!(drain(&mut play, &agent_id, false), Err(AgentChangeError::Draining(agent_id.clone())));
    assert_eq!(reactivate(&mut play, &agent_id), Err(AgentChangeError::Draining(agent_id.clone())));
    play.wait(3000);
    assert_eq!(state_of(&play, &agent_id), Some(AgentState::Draining));
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    assert_eq!((play.offers(), state_of(&play, &agent_id)), (Vec::new(), Some(AgentState::Drained)));
    reactivate(&mut play, &agent_id).unwrap();
    assert_eq!((play.offers().len(), state_of(&play, &agent_id)), (1, Some(AgentState::Active)));
}

#[test]
fn a_drain_goes_on_after_a_restart_of_the_master() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    drain(&mut play, &agent_id, false).unwrap();
    let mut play = play.restart();
    play.subscribe("f", Some(key.0.clone()), lasting("f"));
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), brought(&key));
    assert_eq!(state_of(&play, &agent_id), Some(AgentState::Draining));
    play.wait(1000);
    let answer = &crate::effect::CommandOutcome::Obeyed;
    let ping = CommandReceipt::Ping;
    play.call(|core, now, out| core.on_command_outcome(&agent_id, &node("a"), &ping, answer, now, out));
    assert_eq!(kills(&mut play), [("t".to_owned(), Some(Duration::from_secs(5)))]);
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    assert_eq!((play.offers(), state_of(&play, &agent_id)), (Vec::new(), Some(AgentState::Drained)));
    let mut play = play.restart();
    play.register_as("a", "cpus:2;mem:1024", Some(agent_id.clone()), Vec::new());
    assert_eq!(state_of(&play, &agent_id), Some(AgentState::Drained), "and is still drained after another");
    assert_eq!(reactivate(&mut play, &agent_id), Ok(()));
}

#[test]
fn an_agent_that_is_drained_to_be_gone_is_shut_down_when_it_is_empty() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    drain(&mut play, &agent_id, true).unwrap();
    play.wait(10);
    assert_eq!(play.commands(), ["kill"]);
    play.forward("a", &agent_id, &key, TaskState::Killed, TaskState::Killed);
    play.wait(10);
    assert_eq!((play.commands(), state_of(&play, &agent_id)), (vec!["shutdown agent"], None));
    assert_eq!(reactivate(&mut play, &agent_id), Err(AgentChangeError::Gone(agent_id)));
}

#[test]
fn a_gone_agent_ends_its_tasks_and_is_told_to_shut_down_when_it_comes_back() {
    let (play, agent_id, key) = Play::with_task(lasting("f"));
    let mut play = play;
    play.lose("a");
    mark_gone(&mut play, &agent_id);
    assert_eq!(play.told(), [("t".to_owned(), TaskState::GoneByOperator)]);
    let mut play = play.restart();
    play.subscribe("f", Some(key.0.clone()), lasting("f"));
    let info = super::testkit::agent_info("a", "cpus:2;mem:1024");
    let message = RegisterAgent { agent_id: Some(agent_id.clone()), info, tasks: brought(&key), actor: None };
    let refused = play.call(|core, now, out| core.on_register_agent(&node("a"), message, now, out));
    assert_eq!(refused, Err(RegisterAgentError::Gone(agent_id.clone())));
    assert_eq!(play.commands(), ["shutdown agent"]);
    let tasks = vec![(key.1.clone(), Some(agent_id))];
    let ask = ReconcileTasks { framework_id: key.0, tasks };
    play.call(|core, now, out| core.on_reconcile_tasks(&node("f"), &ask, now, out)).unwrap();
    assert_eq!(play.told(), [("t".to_owned(), TaskState::GoneByOperator)]);
}

#[test]
fn gone_agents_are_remembered_within_a_bound_and_the_longest_gone_is_forgotten_first() {
    let rules = MasterRules { gone_agents_max: 1, ..MasterRules::default() };
    let mut play = Play::with(rules, Vec::new());
    let (first, second) = (play.agent("a", "cpus:1"), play.agent("b", "cpus:1"));
    mark_gone(&mut play, &first);
    mark_gone(&mut play, &second);
    let kept = Registry::of(play.records.clone()).gone_agents;
    assert_eq!(kept.iter().map(|gone| &gone.agent_id).collect::<Vec<_>>(), [&second]);
    assert_eq!(reactivate(&mut play, &first), Err(AgentChangeError::Unknown(first)));
}

#[test]
fn a_weight_is_kept_over_a_restart_and_what_is_none_is_refused() {
    let mut play = Play::new();
    let role: Role = "eng".parse().unwrap();
    let set = |weight| SetRoleWeight { role: "eng".parse().unwrap(), weight };
    let zero = Scalar::from_thousandths(0);
    let refused = play.call(|core, _, out| core.on_set_role_weight(set(zero), out));
    assert_eq!(refused, Err(SetRoleWeightError::NotAWeight { role: role.clone(), weight: zero }));
    play.call(|core, _, out| core.on_set_role_weight(set(Scalar::from_thousandths(2500)), out)).unwrap();
    let play = play.restart();
    let roles = play.core.on_get_roles();
    let listed: Vec<_> = roles.iter().map(|listed| (listed.role.as_str(), listed.weight)).collect();
    assert_eq!(listed, [("*", 1.0), ("eng", 2.5)]);
}

#[test]
fn a_framework_that_an_operator_ends_is_told_and_its_tasks_end() {
    let (mut play, _, key) = Play::with_task(lasting("f"));
    let message = TeardownFrameworkByOperator { framework_id: key.0.clone() };
    play.call(|core, now, out| core.on_teardown_by_operator(&message, now, out)).unwrap();
    let is_failed = |effect: &Effect| matches!(effect, Effect::TellScheduler { event: SchedulerEvent::Failed(_), .. });
    assert!(play.effects.iter().any(is_failed));
    assert_eq!(play.commands(), ["shutdown framework"]);
    assert_eq!(play.core.on_get_frameworks()[0].state, FrameworkState::Completed);
    let again = play.call(|core, now, out| core.on_teardown_by_operator(&message, now, out));
    assert_eq!(again, Err(TeardownError::Ended(key.0)));
}

#[test]
fn agents_are_given_up_no_faster_than_the_rate_allows() {
    let agent_removal_rate = Some(RemovalRate { count: 1, per: Duration::from_secs(3600) });
    let mut play = Play::with(MasterRules { agent_removal_rate, ..MasterRules::default() }, Vec::new());
    for name in ["a", "b"] {
        play.agent(name, "cpus:1");
        play.lose(name);
    }
    let away =
        |play: &Play| play.core.on_get_agents().iter().filter(|agent| agent.state == AgentState::Unreachable).count();
    play.wait(700_000);
    assert_eq!(away(&play), 1);
    play.wait(3_000_000);
    assert_eq!(away(&play), 2);
}

#[test]
fn a_master_that_misses_too_many_agents_of_its_registry_steps_down_and_gives_none_up() {
    let mut play = Play::with(MasterRules { recovery_removal_percent_max: 50, ..MasterRules::default() }, Vec::new());
    let agents: Vec<AgentId> = ["a", "b", "c"].iter().map(|name| play.agent(name, "cpus:1")).collect();
    let mut play = play.restart();
    play.register_as("a", "cpus:1", Some(agents[0].clone()), Vec::new());
    play.wait(600_001);
    let reasons: Vec<_> = play.effects.iter().filter(|effect| matches!(effect, Effect::StepDown { .. })).collect();
    assert!(!reasons.is_empty());
    assert_eq!(play.core.recovered.len(), 2, "they are still waited for");
}

#[test]
fn agents_and_frameworks_beyond_the_limits_are_refused_by_type() {
    let rules = MasterRules { agents_max: 1, frameworks_max: 1, ..MasterRules::default() };
    let mut play = Play::with(rules, Vec::new());
    play.agent("a", "cpus:1");
    play.subscribe("f", None, FrameworkInfo::new("f"));
    let info = super::testkit::agent_info("b", "cpus:1");
    let message = RegisterAgent { agent_id: None, info, tasks: Vec::new(), actor: None };
    let refused = play.call(|core, now, out| core.on_register_agent(&node("b"), message, now, out));
    assert_eq!(refused, Err(RegisterAgentError::TooMany { max: 1 }));
    let (info, suppressed) = (FrameworkInfo::new("g"), BTreeSet::new());
    let message = Subscribe { framework_id: None, info, suppressed, actor: "scheduler/g".into() };
    let refused = play.call(|core, now, out| core.on_subscribe(&node("g"), message, now, out));
    assert_eq!(refused, Err(SubscribeError::TooMany { max: 1 }));
}

#[test]
fn an_explanation_names_the_drain_the_kill_and_the_missing_scheduler() {
    let (mut play, agent_id, key) = Play::with_task(lasting("f"));
    drain(&mut play, &agent_id, false).unwrap();
    play.lose("f");
    play.wait(60_000);
    let ask = ExplainTask { task_id: key.1.clone(), framework_id: None };
    let told = play.core.on_explain_task(&ask, play.now()).unwrap();
    let about: Vec<&str> = told.findings.iter().map(|finding| finding.about.as_str()).collect();
    assert_eq!((told.state.as_str(), about), ("TASK_STAGING", vec!["state", "agent", "kill", "scheduler"]));
    assert!(told.findings[1].text.contains("new disk"), "{}", told.findings[1].text);
    let ask = ExplainFramework { framework_id: key.0.clone() };
    let told = play.core.on_explain_framework(&ask, play.now()).unwrap();
    assert!(told.findings[0].text.contains("within 3540 s"), "{}", told.findings[0].text);
    play.subscribe("f", Some(key.0), lasting("f"));
    let told = play.core.on_explain_framework(&ask, play.now()).unwrap();
    assert!(told.findings[0].text.contains("it is drained: \"new disk\""), "{}", told.findings[0].text);
}
