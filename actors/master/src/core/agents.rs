//! Agents: admission, pings, broken connections, and agents that stay away.
//!
//! What becomes of the tasks that a returning agent brings is in `take_back`.

use super::ledger::Ledger;
use super::reservations::check_info;
use super::timers::Timer;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::{AgentAddress, AgentCommand, Effect, SchedulerEvent};
use crate::record::{Record, RegisteredAgent};
use odeon_protocol::agent::AgentInfo;
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use odeon_protocol::messages::master_agent::{AGENT, AgentRegistered, PingAgent, RegisterAgent, RegisterAgentError};
use odeon_protocol::messages::master_scheduler::AgentLost;
use odeon_protocol::messages::members::MemberChange;
use odeon_protocol::messages::operations::Drain;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::TypedResources;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskState};
use odeon_runtime::{ActorName, NodeId};
use std::collections::{BTreeMap, BTreeSet};

/// How an agent stands to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// In the registry; not heard of since the master began.
    Recovered,
    /// Registered, and its link is up.
    Connected,
    /// Its link broke.
    Disconnected,
    /// Given up for now.
    Unreachable,
}

/// An executor, charged to the role of its first task for as long as it has one.
#[derive(Debug, Clone)]
pub(super) struct Executor {
    pub(super) info: ExecutorInfo,
    /// What it takes, by class.
    pub(super) takes: TypedResources,
    pub(super) role: Role,
    pub(super) task_count: usize,
}

/// An agent that the master remembers.
#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) info: AgentInfo,
    pub(super) presence: Presence,
    /// The allocator has it, and the ledger says the same as the allocator.
    pub(super) allocated: bool,
    /// Where it was when it registered last.
    pub(super) address: Option<AgentAddress>,
    pub(super) admitted_ms: u64,
    pub(super) ledger: Ledger,
    pub(super) executors: BTreeMap<(FrameworkId, ExecutorId), Executor>,
    pub(super) offers: BTreeSet<OfferId>,
    /// Tasks that have not ended, those out of sight included.
    pub(super) tasks: BTreeSet<TaskKey>,
    /// Tasks that the master has declared ended and that the agent may still have.
    pub(super) given_up: BTreeSet<TaskKey>,
    /// Kills to be sent when the agent has answered a ping; it may not have heard of them.
    pub(super) kills_due: BTreeSet<TaskKey>,
    pub(super) pings_missed: u32,
    /// A command may be lost: the agent shall register anew, to compare the tasks.
    pub(super) must_register: bool,
    /// An operator keeps it from being offered.
    pub(super) deactivated: bool,
    /// An operator has all of it ended.
    pub(super) drain: Option<Drain>,
    /// What is reserved of it since it registered first; always a part of what it has.
    pub(super) reserved: TypedResources,
}

impl Agent {
    fn new(info: AgentInfo, presence: Presence, admitted_ms: u64) -> Self {
        Self {
            info,
            presence,
            allocated: false,
            address: None,
            admitted_ms,
            ledger: Ledger::default(),
            executors: BTreeMap::new(),
            offers: BTreeSet::new(),
            tasks: BTreeSet::new(),
            given_up: BTreeSet::new(),
            kills_due: BTreeSet::new(),
            pings_missed: 0,
            must_register: false,
            deactivated: false,
            drain: None,
            reserved: TypedResources::empty(),
        }
    }

    /// The run of the agent's process that registered last.
    pub(super) fn node(&self) -> Option<&NodeId> {
        self.address.as_ref().map(|address| &address.node)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.presence == Presence::Connected
    }
}

impl MasterCore {
    /// Admits an agent, or takes it back; its tasks and the master's are compared.
    ///
    /// # Errors
    /// [`RegisterAgentError`] if it has nothing to offer or its id is not good any more.
    pub fn on_register_agent(
        &mut self,
        node: &NodeId,
        message: RegisterAgent,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<AgentRegistered, RegisterAgentError> {
        let RegisterAgent { agent_id, info, tasks, actor } = message;
        let address = address_of(node, actor)?;
        check_info(&info)?;
        if let Some(gone) = agent_id.as_ref().filter(|agent_id| self.gone.contains(agent_id)) {
            self.turn_away(gone.clone(), address, out);
            return Err(RegisterAgentError::Gone(gone.clone()));
        }
        let agent_id = self.identify_agent(agent_id, &address)?;
        self.admit(&agent_id, &address, info, now, out);
        let kill = self.take_back_tasks(&agent_id, tasks, now, out);
        self.offer_anew(&agent_id);
        self.look_at_drain(&agent_id, now);
        Ok(AgentRegistered {
            agent_id,
            master_id: self.master_id.clone(),
            epoch: self.epoch,
            ping_timeout: self.rules.ping_timeout(),
            kill,
        })
    }

    /// The id that an agent brought, the one its process was given by a lost answer, or a new one.
    fn identify_agent(
        &mut self,
        brought: Option<AgentId>,
        address: &AgentAddress,
    ) -> Result<AgentId, RegisterAgentError> {
        if let Some(agent_id) = brought {
            let is_known = self.agents.contains_key(&agent_id);
            return if is_known { Ok(agent_id) } else { Err(RegisterAgentError::Removed(agent_id)) };
        }
        if let Some(agent_id) = self.agents_by_address.get(&key_of(address)) {
            return Ok(agent_id.clone());
        }
        let max = self.rules.agents_max;
        if self.agents.len() >= max {
            return Err(RegisterAgentError::TooMany { max });
        }
        let text = format!("{}-S{}", self.master_id, self.next_agent);
        self.next_agent += 1;
        Ok(AgentId::new(text).expect("the id of the master leaves room for a number"))
    }

    /// Notes that an agent is connected, with what it says about itself; the registry first.
    fn admit(
        &mut self,
        agent_id: &AgentId,
        address: &AgentAddress,
        info: AgentInfo,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        self.remove_predecessor(agent_id, &info.endpoint, now, out);
        self.withdraw(agent_id, now, out);
        let before = self.agents.get(agent_id);
        let is_recorded = before.is_some_and(|agent| agent.info == info && agent.presence != Presence::Unreachable);
        let admitted_ms = before.map_or(now.wall_ms, |agent| agent.admitted_ms);
        let is_still_there = |agent: &Agent| agent.is_connected() && agent.address.as_ref() == Some(address);
        let change = match before {
            None => Some(MemberChange::Joined),
            Some(agent) => (!is_still_there(agent)).then_some(MemberChange::Returned),
        };
        if !is_recorded {
            out.write(Record::AgentAdmitted { agent_id: agent_id.clone(), info: info.clone(), admitted_ms });
        }
        self.forget_places(agent_id);
        self.agents_by_address.insert(key_of(address), agent_id.clone());
        self.agents_by_endpoint.insert(info.endpoint.clone(), agent_id.clone());
        let new = || Agent::new(info.clone(), Presence::Connected, admitted_ms);
        let agent = self.agents.entry(agent_id.clone()).or_insert_with(new);
        agent.presence = Presence::Connected;
        agent.address = Some(address.clone());
        agent.pings_missed = 0;
        agent.must_register = false;
        agent.info = info;
        self.keep_reservations(agent_id, out);
        self.timers.cancel(&Timer::AgentReturn(agent_id.clone()));
        self.timers.set(Timer::Ping(agent_id.clone()), now.after(self.rules.ping_interval));
        if let Some(change) = change {
            self.note_agent(agent_id, change, now, out);
        }
    }

    /// An agent that is not connected and listened where this one does has ended: two cannot listen there.
    fn remove_predecessor(&mut self, agent_id: &AgentId, endpoint: &str, now: Moment, out: &mut MasterOutbox) {
        let earlier = self.agents_by_endpoint.get(endpoint).filter(|earlier| *earlier != agent_id).cloned();
        let Some(earlier) = earlier else { return };
        if self.agents.get(&earlier).is_some_and(|agent| !agent.is_connected()) {
            self.remove_agent(&earlier, StatusReason::AgentRestarted, "the agent has been restarted", now, out);
        }
    }

    fn forget_places(&mut self, agent_id: &AgentId) {
        self.recovered.remove(agent_id);
        let Some(agent) = self.agents.get(agent_id) else { return };
        if agent.presence == Presence::Unreachable {
            self.unreachable.retain(|other| other != agent_id);
        }
        if let Some(address) = &agent.address {
            self.agents_by_address.remove(&key_of(address));
        }
        if self.agents_by_endpoint.get(&agent.info.endpoint) == Some(agent_id) {
            self.agents_by_endpoint.remove(&agent.info.endpoint);
        }
    }

    pub(super) fn recover_agent(&mut self, agent_id: AgentId, registered: RegisteredAgent, now: Moment) {
        let RegisteredAgent { info, admitted_ms, unreachable, deactivated, drain, reserved } = registered;
        self.agents_by_endpoint.insert(info.endpoint.clone(), agent_id.clone());
        let presence = if unreachable { Presence::Unreachable } else { Presence::Recovered };
        if unreachable {
            self.unreachable.push_back(agent_id.clone());
        } else {
            self.recovered.insert(agent_id.clone());
            self.timers.set(Timer::AgentReturn(agent_id.clone()), now.after(self.rules.agent_return_timeout));
        }
        let agent = Agent { deactivated, drain, reserved, ..Agent::new(info, presence, admitted_ms) };
        self.agents.insert(agent_id, agent);
    }

    /// Counts the last ping as missed until it is answered, and sends the next one.
    pub(super) fn on_ping_due(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        if agent.pings_missed >= self.rules.pings_missed_max {
            if self.may_lose_now(Timer::Ping(agent_id.clone()), now) {
                self.lose_agent(agent_id, now, out);
            }
            return;
        }
        agent.pings_missed += 1;
        let connected = agent.is_connected() && !agent.must_register;
        if let Some(to) = agent.address.clone() {
            let ping = PingAgent { epoch: self.epoch, agent_id: agent_id.clone(), connected };
            let command = AgentCommand::Ping(ping);
            out.send(Effect::CommandAgent { agent_id: agent_id.clone(), to, command });
        }
        self.timers.set(Timer::Ping(agent_id.clone()), now.after(self.rules.ping_interval));
    }

    pub(super) fn on_ping_answered(&mut self, agent_id: &AgentId, out: &mut MasterOutbox) {
        let Some(agent) = self.agents.get_mut(agent_id) else { return };
        agent.pings_missed = 0;
        if agent.is_connected() {
            let due = std::mem::take(&mut agent.kills_due);
            due.iter().for_each(|key| self.send_kill(key, out));
        }
    }

    /// Takes an agent out of service; tasks that do not outlive the connection are lost.
    pub(super) fn disconnect_agent(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let Some(agent) = self.agents.get_mut(agent_id).filter(|agent| agent.is_connected()) else { return };
        agent.presence = Presence::Disconnected;
        let deadline = now.after(self.rules.agent_return_timeout);
        self.timers.set(Timer::AgentReturn(agent_id.clone()), deadline);
        let known = self.allocator.deactivate_agent(agent_id);
        known.expect("a connected agent is in the allocator");
        self.note_agent(agent_id, MemberChange::Disconnected, now, out);
        self.rescind_offers_of_agent(agent_id, now, out);
        for key in self.tasks_on(agent_id, |framework| !framework.info.checkpoint) {
            let why = (StatusReason::AgentDisconnected, "the connection to the agent broke");
            self.give_up(&key, TaskState::Lost, why, now, out);
        }
    }

    /// Declares an agent out of reach: its tasks are out of sight, or lost for who cannot tell the difference.
    pub(super) fn lose_agent(&mut self, agent_id: &AgentId, now: Moment, out: &mut MasterOutbox) {
        let Some(agent) = self.agents.get(agent_id).filter(|agent| agent.presence != Presence::Unreachable) else {
            return;
        };
        let address = agent.address.clone();
        out.write(Record::AgentUnreachable { agent_id: agent_id.clone() });
        self.withdraw(agent_id, now, out);
        for key in self.tasks_on(agent_id, |framework| !framework.info.is_partition_aware()) {
            let why = (StatusReason::AgentRemoved, "the agent does not answer");
            self.give_up(&key, TaskState::Lost, why, now, out);
        }
        self.hide_tasks(agent_id, now, out);
        if let Some(address) = address {
            self.agents_by_address.remove(&key_of(&address));
        }
        self.recovered.remove(agent_id);
        self.stop_waiting_for(agent_id);
        let agent = self.agents.get_mut(agent_id).expect("it was found above");
        agent.presence = Presence::Unreachable;
        agent.address = None;
        self.unreachable.push_back(agent_id.clone());
        self.note_agent(agent_id, MemberChange::Unreachable, now, out);
        self.tell_agent_lost(agent_id, out);
        self.forget_longest_away(now, out);
    }

    pub(super) fn tell_agent_lost(&self, agent_id: &AgentId, out: &mut MasterOutbox) {
        for framework_id in self.frameworks.keys() {
            let event = AgentLost { framework_id: framework_id.clone(), agent_id: agent_id.clone() };
            self.tell(framework_id, SchedulerEvent::AgentLost(event), out);
        }
    }

    fn forget_longest_away(&mut self, now: Moment, out: &mut MasterOutbox) {
        while self.unreachable.len() > self.rules.unreachable_agents_max {
            let Some(agent_id) = self.unreachable.front().cloned() else { return };
            self.remove_agent(&agent_id, StatusReason::AgentRemoved, "the agent has been removed", now, out);
        }
    }

    /// Forgets an agent and its id; its tasks have ended.
    fn remove_agent(
        &mut self,
        agent_id: &AgentId,
        reason: StatusReason,
        message: &str,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        out.write(Record::AgentRemoved { agent_id: agent_id.clone() });
        self.forget_agent(agent_id, TaskState::Lost, (reason, message), now, out);
    }

    /// Ends all tasks of an agent and drops what is known of it.
    pub(super) fn forget_agent(
        &mut self,
        agent_id: &AgentId,
        state: TaskState,
        why: (StatusReason, &str),
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        self.withdraw(agent_id, now, out);
        for key in self.tasks_on(agent_id, |_| true) {
            self.give_up(&key, state, why, now, out);
        }
        self.stop_waiting_for(agent_id);
        self.forget_places(agent_id);
        self.note_agent(agent_id, MemberChange::Removed, now, out);
        self.agents.remove(agent_id);
    }

    fn stop_waiting_for(&mut self, agent_id: &AgentId) {
        self.timers.cancel(&Timer::Ping(agent_id.clone()));
        self.timers.cancel(&Timer::AgentReturn(agent_id.clone()));
        self.timers.cancel(&Timer::Drained(agent_id.clone()));
    }
}

/// Where an agent on a node hears its commands.
fn address_of(node: &NodeId, actor: Option<String>) -> Result<AgentAddress, RegisterAgentError> {
    let name = actor.unwrap_or_else(|| AGENT.to_owned());
    match ActorName::new(name.as_str()) {
        Ok(actor) => Ok(AgentAddress { node: node.clone(), actor }),
        Err(_) => Err(RegisterAgentError::Actor(name)),
    }
}

fn key_of(address: &AgentAddress) -> (NodeId, Option<ActorName>) {
    (address.node.clone(), Some(address.actor.clone()))
}
