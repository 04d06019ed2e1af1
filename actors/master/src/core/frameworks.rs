//! Frameworks: how they leave and end, who may call for them, and what they say about offers in general.
//!
//! How they come is in `subscribe`.

use super::history::{BareEnd, EndedTask, History};
use super::tasks::Task;
use super::timers::Timer;
use super::{MasterCore, MasterOutbox, TaskKey};
use crate::effect::{AgentCommand, SchedulerAddress, SchedulerEvent};
use crate::record::{Record, RegisteredFramework};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{AgentId, FrameworkId, OfferId, TaskId};
use odeon_protocol::messages::master_agent::ShutdownFramework;
use odeon_protocol::messages::master_scheduler::{
    CallError, FrameworkFailed, ReviveOffers, SuppressOffers, TeardownFramework,
};
use odeon_protocol::messages::members::MemberChange;
use odeon_protocol::messages::operations::{TeardownError, TeardownFrameworkByOperator};
use odeon_protocol::moment::Moment;
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskState};
use odeon_runtime::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A framework that has not ended.
#[derive(Debug, Clone)]
pub(super) struct Framework {
    pub(super) info: FrameworkInfo,
    /// Those of the info, or the default role.
    pub(super) roles: BTreeSet<Role>,
    /// Nothing while it is disconnected.
    pub(super) scheduler: Option<SchedulerAddress>,
    pub(super) admitted_ms: u64,
    /// Tasks that have not ended.
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// What it was offered and has not answered.
    pub(super) offers: BTreeSet<OfferId>,
    /// Where it has launched tasks: executors may be left there when all tasks have ended.
    pub(super) agents: BTreeSet<AgentId>,
    pub(super) history: History,
    /// While it is not connected: by when it has to be back, in milliseconds since the Unix epoch.
    pub(super) deadline_ms: Option<u64>,
}

impl Framework {
    pub(super) fn new(info: FrameworkInfo, scheduler: Option<SchedulerAddress>, admitted_ms: u64) -> Self {
        let roles = roles_of(&info);
        let (tasks, agents, history) = (BTreeMap::new(), BTreeSet::new(), History::default());
        let offers = BTreeSet::new();
        Self { info, roles, scheduler, admitted_ms, tasks, offers, agents, history, deadline_ms: None }
    }
}

/// The roles of a framework; the default one if it names none.
pub(super) fn roles_of(info: &FrameworkInfo) -> BTreeSet<Role> {
    if info.roles.is_empty() { BTreeSet::from([Role::default()]) } else { info.roles.clone() }
}

/// A framework that has ended; only its id is known of those that ended before this master began.
#[derive(Debug, Clone)]
pub(super) struct EndedFramework {
    pub(super) framework_id: FrameworkId,
    pub(super) framework: Option<Framework>,
}

impl EndedFramework {
    pub(super) fn forgotten(framework_id: FrameworkId) -> Self {
        Self { framework_id, framework: None }
    }
}

impl MasterCore {
    /// A framework of the registry has time to come back, even one that would otherwise end at once.
    ///
    /// One that was away before has what is left of its time: it runs on while there is no master.
    pub(super) fn recover_framework(
        &mut self,
        framework_id: FrameworkId,
        registered: RegisteredFramework,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        let RegisteredFramework { info, admitted_ms, deadline_ms } = registered;
        let wait = info.failover_timeout.max(self.rules.framework_return_timeout);
        let framework = Framework::new(info, None, admitted_ms);
        let added = self.allocator.add_framework(framework_id.clone(), &framework.roles, &BTreeSet::new());
        added.expect("the allocator is empty at the start");
        let known = self.allocator.deactivate_framework(&framework_id);
        known.expect("it was added above");
        self.frameworks.insert(framework_id.clone(), framework);
        match deadline_ms {
            // A clock that was set back does not give more time than a disconnect would.
            Some(deadline_ms) => {
                let left = Duration::from_millis(deadline_ms.saturating_sub(now.wall_ms)).min(wait);
                self.frameworks.entry(framework_id.clone()).and_modify(|known| known.deadline_ms = Some(deadline_ms));
                self.timers.set(Timer::Failover(framework_id), now.after(left));
            }
            None => self.await_return(&framework_id, wait, now, out),
        }
    }

    /// Ends a framework unless it is back in time; the deadline outlives the master.
    fn await_return(&mut self, framework_id: &FrameworkId, wait: Duration, now: Moment, out: &mut MasterOutbox) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = now.wall_ms.saturating_add(wait_ms);
        framework.deadline_ms = Some(deadline_ms);
        out.write(Record::FrameworkDisconnected { framework_id: framework_id.clone(), deadline_ms });
        self.timers.set(Timer::Failover(framework_id.clone()), now.after(wait));
    }

    /// Checks that a call comes from the scheduler that is subscribed as the framework.
    pub(super) fn check_caller(&self, framework_id: &FrameworkId, node: &NodeId) -> Result<&Framework, CallError> {
        let unknown = || CallError::UnknownFramework(framework_id.clone());
        let framework = self.frameworks.get(framework_id).ok_or_else(unknown)?;
        let is_subscribed = framework.scheduler.as_ref().is_some_and(|scheduler| scheduler.node == *node);
        if is_subscribed { Ok(framework) } else { Err(CallError::NotSubscribed(framework_id.clone())) }
    }

    /// Ends the suppression and the filters of roles.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_revive_offers(&mut self, node: &NodeId, message: &ReviveOffers) -> Result<(), CallError> {
        self.check_roles(node, &message.framework_id, &message.roles)?;
        let known = self.allocator.revive(&message.framework_id, &message.roles);
        known.expect("the roles were checked");
        Ok(())
    }

    /// Makes no more offers under roles.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_suppress_offers(&mut self, node: &NodeId, message: &SuppressOffers) -> Result<(), CallError> {
        self.check_roles(node, &message.framework_id, &message.roles)?;
        let known = self.allocator.suppress(&message.framework_id, &message.roles);
        known.expect("the roles were checked");
        Ok(())
    }

    pub(super) fn check_roles(
        &self,
        node: &NodeId,
        framework_id: &FrameworkId,
        roles: &BTreeSet<Role>,
    ) -> Result<(), CallError> {
        let framework = self.check_caller(framework_id, node)?;
        let stranger = roles.difference(&framework.roles).next();
        stranger.map_or(Ok(()), |role| Err(CallError::UnknownRole(role.clone())))
    }

    /// Ends a framework on its own wish.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then.
    pub fn on_teardown_framework(
        &mut self,
        node: &NodeId,
        message: &TeardownFramework,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        self.check_caller(&message.framework_id, node)?;
        self.end_framework(&message.framework_id, now, out);
        Ok(())
    }

    /// Ends a framework on the word of an operator; its scheduler is told first.
    ///
    /// # Errors
    /// [`TeardownError`]; nothing has changed then.
    pub fn on_teardown_by_operator(
        &mut self,
        message: &TeardownFrameworkByOperator,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), TeardownError> {
        let id = &message.framework_id;
        if !self.frameworks.contains_key(id) {
            let has_ended = self.ended.iter().any(|ended| ended.framework_id == *id);
            let (ended, unknown) = (TeardownError::Ended(id.clone()), TeardownError::Unknown(id.clone()));
            return Err(if has_ended { ended } else { unknown });
        }
        let message = "the framework was torn down by an operator".to_owned();
        let failed = FrameworkFailed { framework_id: id.clone(), message };
        self.tell(id, SchedulerEvent::Failed(failed), out);
        self.end_framework(id, now, out);
        Ok(())
    }

    pub(super) fn disconnect_frameworks_on(&mut self, node: &NodeId, now: Moment, out: &mut MasterOutbox) {
        let is_there = |framework: &Framework| framework.scheduler.as_ref().is_some_and(|to| to.node == *node);
        let gone = self.frameworks.iter().filter(|(_, framework)| is_there(framework));
        let gone: Vec<FrameworkId> = gone.map(|(framework_id, _)| framework_id.clone()).collect();
        gone.iter().for_each(|framework_id| self.disconnect_framework(framework_id, now, out));
    }

    /// Makes no offers to a framework until it is back, and ends it if it is not back in time.
    fn disconnect_framework(&mut self, framework_id: &FrameworkId, now: Moment, out: &mut MasterOutbox) {
        let Some(framework) = self.frameworks.get_mut(framework_id) else { return };
        framework.scheduler = None;
        let wait = framework.info.failover_timeout;
        let known = self.allocator.deactivate_framework(framework_id);
        known.expect("a framework that has not ended is in the allocator");
        self.note_framework(framework_id, MemberChange::Disconnected, now, out);
        self.rescind_offers_of_framework(framework_id, now, out);
        if wait.is_zero() {
            self.end_framework(framework_id, now, out);
        } else {
            self.await_return(framework_id, wait, now, out);
        }
    }

    /// Ends a framework, its tasks and its executors; its id is not good any more.
    pub(super) fn end_framework(&mut self, framework_id: &FrameworkId, now: Moment, out: &mut MasterOutbox) {
        out.write(Record::FrameworkRemoved { framework_id: framework_id.clone(), removed_ms: now.wall_ms });
        self.rescind_offers_of_framework(framework_id, now, out);
        self.shut_down_on_agents(framework_id, out);
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        let task_ids: Vec<TaskId> = framework.tasks.keys().cloned().collect();
        let why = (StatusReason::FrameworkRemoved, "the framework has been removed");
        for task_id in task_ids {
            let key = (framework_id.clone(), task_id);
            self.end_task(&key, TaskState::Killed, Some(why.0), why.1, true, now);
        }
        let known = self.allocator.remove_framework(framework_id);
        known.expect("a framework that has not ended is in the allocator");
        self.timers.cancel(&Timer::Failover(framework_id.clone()));
        self.note_framework(framework_id, MemberChange::Removed, now, out);
        let framework = self.frameworks.remove(framework_id);
        self.ended.push_back(EndedFramework { framework_id: framework_id.clone(), framework });
        self.forget_ended(out);
    }

    /// Keeps as many ended frameworks as the rules allow, here and in the registry.
    pub(super) fn forget_ended(&mut self, out: &mut MasterOutbox) {
        while self.ended.len() > self.rules.ended_frameworks_max {
            if let Some(EndedFramework { framework_id, .. }) = self.ended.pop_front() {
                out.write(Record::FrameworkForgotten { framework_id });
            }
        }
    }

    fn shut_down_on_agents(&self, framework_id: &FrameworkId, out: &mut MasterOutbox) {
        let Some(framework) = self.frameworks.get(framework_id) else { return };
        for agent_id in &framework.agents {
            let shutdown = ShutdownFramework { epoch: self.epoch, framework_id: framework_id.clone() };
            self.command(agent_id, AgentCommand::ShutdownFramework(shutdown), out);
        }
    }

    /// Remembers how a task ended that is not known otherwise: once told, an end is not taken back.
    pub(super) fn remember_end(&mut self, key: &TaskKey, agent_id: &AgentId, state: TaskState) {
        let keep = self.rules.ended_tasks_max;
        if let Some(framework) = self.frameworks.get_mut(&key.0) {
            let state = state.as_told_to(framework.info.is_partition_aware());
            framework.history.push_bare(key.1.clone(), BareEnd { agent_id: agent_id.clone(), state }, keep);
        }
    }

    pub(super) fn remember(&mut self, framework_id: &FrameworkId, task: Task, by_master: bool) {
        let keep = self.rules.ended_tasks_max;
        if let Some(framework) = self.frameworks.get_mut(framework_id) {
            framework.history.push(EndedTask { task, by_master }, keep);
        }
    }
}
