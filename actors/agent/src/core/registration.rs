//! How the agent gets and keeps its place with the master: attempts, pings and the epoch fence.

use super::{AgentCore, Out, TaskKey};
use crate::backoff;
use crate::effect::{AgentEnd, Effect, Record};
use odeon_protocol::id::AgentId;
use odeon_protocol::messages::Epoch;
use odeon_protocol::messages::master_agent::{
    AgentRegistered, AgentTask, CommandRefused, PingAgent, RegisterAgent, RegisterAgentError,
};
use odeon_protocol::moment::Moment;
use std::time::Duration;

/// The id in refusals of an agent that has none.
const NO_AGENT_ID: &str = "unregistered";

#[derive(Debug)]
pub(super) struct Registration {
    phase: Phase,
    seed: u64,
    /// Attempts so far; decides the jitter.
    attempts: u64,
    failures: u32,
    agent_id: Option<AgentId>,
    epoch: Epoch,
    ping_timeout: Duration,
}

#[derive(Debug)]
enum Phase {
    Waiting { until: Option<Duration> },
    Asking,
    Registered { ping_by: Duration },
}

impl Registration {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            phase: Phase::Waiting { until: None },
            seed,
            attempts: 0,
            failures: 0,
            agent_id: None,
            epoch: Epoch::default(),
            ping_timeout: Duration::ZERO,
        }
    }

    /// That of an agent whose predecessor was known to a master.
    pub(super) fn recovered(seed: u64, agent_id: Option<AgentId>, epoch: Epoch) -> Self {
        Self { agent_id, epoch, ..Self::new(seed) }
    }

    /// The newest term of a master that it has followed.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn agent_id(&self) -> Option<&AgentId> {
        self.agent_id.as_ref()
    }

    pub(super) fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking)
    }

    pub(super) fn is_registered(&self) -> bool {
        matches!(self.phase, Phase::Registered { .. })
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.phase {
            Phase::Waiting { until } => until,
            Phase::Asking => None,
            Phase::Registered { ping_by } => Some(ping_by),
        }
    }

    fn admitted(&mut self, registered: &AgentRegistered, now: Moment) {
        self.agent_id = Some(registered.agent_id.clone());
        self.epoch = registered.epoch;
        self.ping_timeout = registered.ping_timeout;
        self.failures = 0;
        self.phase = Phase::Registered { ping_by: now.after(self.ping_timeout) };
    }

    fn wait_after_failure(&mut self, min: Duration, max: Duration, now: Moment) {
        self.failures = self.failures.saturating_add(1);
        let wait = backoff::jittered(backoff::doubled(self.failures, min, max), self.seed, self.attempts);
        self.phase = Phase::Waiting { until: Some(now.after(wait)) };
    }
}

impl AgentCore {
    /// The node is up: asks the master for admission.
    pub fn on_start(&mut self, out: &mut Out) {
        self.register(out);
    }

    /// The master has answered a registration, or could not be asked (`None`).
    pub fn on_registration(
        &mut self,
        answer: Option<Result<AgentRegistered, RegisterAgentError>>,
        now: Moment,
        out: &mut Out,
    ) {
        let limits = (self.limits.registration_backoff_min, self.limits.registration_backoff_max);
        match answer {
            // The answer of a master that was replaced meanwhile counts as none.
            Some(Ok(registered)) if registered.epoch >= self.registration.epoch => {
                self.note_admission(Some(&registered.agent_id), registered.epoch, out);
                self.registration.admitted(&registered, now);
                self.give_up_tasks(&registered, now, out);
                self.send_all_heads(now, out);
            }
            // Neither is another after a retry.
            Some(Err(refusal @ (RegisterAgentError::NoResources { .. } | RegisterAgentError::Gone(_)))) => {
                self.registration.wait_after_failure(limits.0, limits.1, now);
                self.begin_end(AgentEnd::Refused(refusal), now, out);
            }
            Some(Err(RegisterAgentError::Removed(_))) => {
                self.note_admission(None, self.registration.epoch, out);
                self.registration.agent_id = None;
                self.registration.wait_after_failure(limits.0, limits.1, now);
                self.give_up_everything(now, out);
            }
            Some(_) | None => self.registration.wait_after_failure(limits.0, limits.1, now),
        }
    }

    fn note_admission(&mut self, agent_id: Option<&AgentId>, epoch: Epoch, out: &mut Out) {
        if (self.agent_id(), self.registration.epoch) != (agent_id, epoch) {
            self.write(Record::Admitted { agent_id: agent_id.cloned(), epoch }, out);
        }
    }

    /// The link to the master is gone: registers anew, after a wait so short that it only spreads the agents.
    pub fn on_master_disconnected(&mut self, now: Moment) {
        if self.registration.is_registered() {
            let spread = self.limits.registration_backoff_min / 10;
            let wait = backoff::jittered(spread, self.registration.seed, self.registration.attempts);
            self.registration.phase = Phase::Waiting { until: Some(now.after(wait)) };
        }
    }

    /// The master asks whether the agent is there.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows, or means another agent.
    pub fn on_ping_agent(&mut self, ping: &PingAgent, now: Moment, out: &mut Out) -> Result<(), CommandRefused> {
        self.fence(ping.epoch)?;
        if self.agent_id() != Some(&ping.agent_id) {
            return Err(CommandRefused::NotRegistered(ping.agent_id.clone()));
        }
        if let Phase::Registered { ping_by } = &mut self.registration.phase {
            *ping_by = now.after(self.registration.ping_timeout);
            if !ping.connected {
                self.register(out);
            }
        }
        Ok(())
    }

    pub(super) fn register_if_due(&mut self, now: Moment, out: &mut Out) {
        let due = self.registration.next_deadline().is_some_and(|at| at <= now.since_start);
        if due {
            self.register(out);
        }
    }

    /// Lets a command pass if it comes from the master that the agent follows.
    pub(super) fn fence(&self, epoch: Epoch) -> Result<(), CommandRefused> {
        let current = self.registration.epoch;
        if epoch < current {
            return Err(CommandRefused::OldEpoch { command: epoch, current });
        }
        // A command of a newer master means that the agent has yet to register there.
        if epoch > current || self.agent_id().is_none() {
            return Err(self.not_registered());
        }
        Ok(())
    }

    pub(super) fn not_registered(&self) -> CommandRefused {
        let none = || AgentId::new(NO_AGENT_ID).expect("the constant is an id");
        CommandRefused::NotRegistered(self.agent_id().cloned().unwrap_or_else(none))
    }

    fn register(&mut self, out: &mut Out) {
        if self.end.is_some() {
            return;
        }
        self.registration.attempts += 1;
        self.registration.phase = Phase::Asking;
        let agent_id = self.agent_id().cloned();
        let (info, tasks) = (self.info.clone(), self.tasks_to_report());
        out.send(Effect::Register(RegisterAgent { agent_id, info, tasks, actor: None }));
    }

    fn tasks_to_report(&self) -> Vec<AgentTask> {
        let told = self.tasks.iter().filter(|(_, task)| !task.muted);
        told.map(|((framework_id, _), task)| AgentTask {
            framework_id: framework_id.clone(),
            role: task.role.clone(),
            task: task.info.clone(),
            state: task.state,
        })
        .collect()
    }

    fn give_up_tasks(&mut self, registered: &AgentRegistered, now: Moment, out: &mut Out) {
        for key in &registered.kill {
            self.mute(key, out);
            self.kill_task(key, now, out);
        }
    }

    /// The id of the agent is gone, and with it all that the master knew.
    fn give_up_everything(&mut self, now: Moment, out: &mut Out) {
        let keys: Vec<TaskKey> = self.tasks.keys().chain(self.streams.keys()).cloned().collect();
        keys.iter().for_each(|key| self.mute(key, out));
        self.end_executors(|_| true, now, out);
    }

    /// The master has given a task up: its updates are forgotten and its resources count as free.
    pub(super) fn mute(&mut self, key: &TaskKey, out: &mut Out) {
        let had_kept_updates = self.streams.is_kept(key);
        self.streams.remove(key);
        let is_new = self.tasks.get_mut(key).is_some_and(|task| !std::mem::replace(&mut task.muted, true));
        if had_kept_updates || is_new && self.tasks[key].checkpoint {
            self.write(Record::Forgotten { framework_id: key.0.clone(), task_id: key.1.clone() }, out);
        }
        self.uncharge(key);
        if self.tasks.get(key).is_some_and(|task| !task.is_live()) {
            self.tasks.remove(key);
        }
    }
}
