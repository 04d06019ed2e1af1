//! Updates: taken from executors or made here, written, then told in order until acknowledged.

use super::executor::ExecutorState;
use super::{AgentCore, Out, TaskKey};
use crate::effect::{Effect, Record, ReportNumber};
use crate::status_stream::Acknowledged;
use odeon_protocol::messages::agent_executor::{RegisterExecutorError, UpdateStatus};
use odeon_protocol::messages::master_agent::{AcknowledgeStatus, CommandRefused, ForwardStatus};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusSource, TaskState, TaskStatus};

impl AgentCore {
    /// An executor reports about a task. The answer is for when the update is durable.
    ///
    /// # Errors
    /// [`RegisterExecutorError`] if the run is not one of this agent's, or is over.
    pub fn on_update_status(
        &mut self,
        message: UpdateStatus,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), RegisterExecutorError> {
        let UpdateStatus { framework_id, container_id, mut status, sequence } = message;
        let executor = self.executors.get_mut(&container_id).filter(|one| one.place.framework_id == framework_id);
        let Some(executor) = executor else {
            return Err(RegisterExecutorError::UnknownContainer(container_id));
        };
        let is_new = executor.sequences.insert(sequence);
        let report = Some(ReportNumber { container_id: container_id.clone(), sequence });
        let key = (framework_id, status.task_id.clone());
        let is_of_task = self.tasks.get(&key).is_some_and(|task| {
            task.is_live() && task.container_id.as_ref() == Some(&container_id) && may_follow(status.state)
        });
        if is_new && is_of_task {
            status.source = StatusSource::Executor;
            self.report_as(&key, status, report, now, out);
        }
        Ok(())
    }

    /// The scheduler has taken note of an update. One that names another than the oldest is ignored.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows.
    pub fn on_acknowledge_status(
        &mut self,
        message: AcknowledgeStatus,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), CommandRefused> {
        self.fence(message.epoch)?;
        let AcknowledgeStatus { framework_id, task_id, uuid, .. } = message;
        let key = (framework_id, task_id);
        let Some(stream) = self.streams.get_mut(&key) else { return Ok(()) };
        let acknowledged = stream.acknowledge(&uuid);
        if acknowledged != Acknowledged::Stale {
            self.write(Record::Acknowledged { framework_id: key.0.clone(), task_id: key.1.clone(), uuid }, out);
        }
        match acknowledged {
            Acknowledged::Stale => {}
            Acknowledged::Next => self.send_head(&key, now, out),
            Acknowledged::Idle => {
                self.streams.remove(&key);
            }
            Acknowledged::Done => {
                self.streams.remove(&key);
                if self.tasks.get(&key).is_some_and(|task| !task.is_live()) {
                    self.tasks.remove(&key);
                }
            }
        }
        Ok(())
    }

    /// Takes a new state of a live task: tells it, and draws the consequences of its end.
    pub(super) fn report(&mut self, key: &TaskKey, status: TaskStatus, now: Moment, out: &mut Out) {
        self.report_as(key, status, None, now, out);
    }

    fn report_as(
        &mut self,
        key: &TaskKey,
        status: TaskStatus,
        report: Option<ReportNumber>,
        now: Moment,
        out: &mut Out,
    ) {
        let task = self.tasks.get_mut(key).expect("only known tasks are reported");
        debug_assert!(task.is_live(), "{} has ended", key.1);
        task.state = status.state;
        if !task.muted {
            self.tell_as(key, status, report, now, out);
        }
        if self.tasks[key].state.is_terminal() {
            self.on_task_ended(key, now, out);
        }
    }

    /// Gives an update its uuid, writes it, and sends it if none is before it.
    pub(super) fn tell(&mut self, key: &TaskKey, status: TaskStatus, now: Moment, out: &mut Out) {
        self.tell_as(key, status, None, now, out);
    }

    fn tell_as(
        &mut self,
        key: &TaskKey,
        mut status: TaskStatus,
        report: Option<ReportNumber>,
        now: Moment,
        out: &mut Out,
    ) {
        status.uuid = Some(self.ids.next_status_uuid());
        status.agent_id = self.agent_id().cloned();
        status.executor_id = self.tasks.get(key).map(|task| task.info.executor().executor_id);
        self.write(Record::Updated { framework_id: key.0.clone(), status: status.clone(), report }, out);
        if self.streams.entry(key.clone()).or_default().push(status, self.limits.status_updates_max) {
            self.send_head(key, now, out);
        }
    }

    fn on_task_ended(&mut self, key: &TaskKey, now: Moment, out: &mut Out) {
        self.uncharge(key);
        let task = &self.tasks[key];
        let container_id = task.container_id.clone();
        if task.muted {
            self.drop_task(key, out);
        }
        let Some(executor) = container_id.and_then(|id| self.executors.get_mut(&id)) else { return };
        executor.tasks.retain(|task_id| *task_id != key.1);
        let place = executor.place.clone();
        self.history.on_task_ended(key, executor.is_command, now);
        if executor.tasks.is_empty() {
            match executor.state {
                ExecutorState::Registered if !executor.is_command => executor.idle_since = Some(now.since_start),
                _ => self.end_executor(&place.container_id, now, out),
            }
        }
        self.forget_sandboxes(now, out);
    }

    /// Forgets a task that was given up and has ended.
    fn drop_task(&mut self, key: &TaskKey, out: &mut Out) {
        if self.tasks.remove(key).is_some_and(|task| task.checkpoint) {
            self.write(Record::Dropped { framework_id: key.0.clone(), task_id: key.1.clone() }, out);
        }
    }

    /// Gives back what a task was charged with, and with the last one what its executor was.
    pub(super) fn uncharge(&mut self, key: &TaskKey) {
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.charged) else { return };
        task.charged = false;
        self.accounting.give_back(&task.info.resources);
        let Some(executor) = task.container_id.as_ref().and_then(|id| self.executors.get_mut(id)) else { return };
        let is_charged = |task_id| self.tasks.get(&(key.0.clone(), task_id)).is_some_and(|task| task.charged);
        if executor.charged && !executor.tasks.iter().cloned().any(is_charged) {
            executor.charged = false;
            self.accounting.give_back(&executor.info.resources);
        }
    }

    /// Sends the oldest update of every task, to a master that may have seen none.
    pub(super) fn send_all_heads(&mut self, now: Moment, out: &mut Out) {
        let keys: Vec<TaskKey> = self.streams.keys().cloned().collect();
        for key in keys {
            self.streams.get_mut(&key).expect("listed just now").rewind();
            self.send_head(&key, now, out);
        }
    }

    pub(super) fn resend_updates(&mut self, now: Moment, out: &mut Out) {
        let due = self.streams.iter().filter(|(_, one)| one.retry_at().is_some_and(|at| at <= now.since_start));
        let keys: Vec<TaskKey> = due.map(|(key, _)| key.clone()).collect();
        keys.iter().for_each(|key| self.send_head(key, now, out));
    }

    fn send_head(&mut self, key: &TaskKey, now: Moment, out: &mut Out) {
        let agent_id = self.agent_id().cloned().filter(|_| self.registration.is_registered());
        let (Some(agent_id), Some(stream)) = (agent_id, self.streams.get_mut(key)) else { return };
        let Some(latest) = stream.latest() else { return };
        if let Some(status) = stream.send_head(now, &self.limits).cloned() {
            out.send(Effect::Forward(ForwardStatus { agent_id, framework_id: key.0.clone(), status, latest }));
        }
    }
}

/// Whether an executor may say so of a live task.
fn may_follow(state: TaskState) -> bool {
    state.is_terminal() || matches!(state, TaskState::Starting | TaskState::Running | TaskState::Killing)
}
