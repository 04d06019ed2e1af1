//! Updates: taken from executors or made here, then told in order until acknowledged. Those of frameworks that
//! checkpoint are written before; those of others end with the process of the agent, as their tasks do.

use super::executor::ExecutorState;
use super::{AgentCore, Out, TaskKey};
use crate::effect::{Effect, Record, ReportNumber};
use crate::status_stream::Acknowledged;
use odeon_protocol::messages::agent_executor::{RegisterExecutorError, UpdateStatus, UpdateStatuses};
use odeon_protocol::messages::master_agent::{AcknowledgeStatus, AcknowledgeStatuses, CommandRefused, ForwardStatus};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{StatusSource, TaskState, TaskStatus};

impl AgentCore {
    /// An executor reports about tasks, in this order. The answer is for when all of it is durable.
    ///
    /// # Errors
    /// As [`Self::on_update_status`]; all reports of a message are of one run.
    pub fn on_update_statuses(
        &mut self,
        message: UpdateStatuses,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), RegisterExecutorError> {
        message.reports.into_iter().try_for_each(|report| self.on_update_status(report, now, out))
    }

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

    /// Schedulers have taken note of updates.
    ///
    /// # Errors
    /// As [`Self::on_acknowledge_status`]; all of a message are of one term.
    pub fn on_acknowledge_statuses(
        &mut self,
        message: AcknowledgeStatuses,
        now: Moment,
        out: &mut Out,
    ) -> Result<(), CommandRefused> {
        message.updates.into_iter().try_for_each(|update| self.on_acknowledge_status(update, now, out))
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
        let is_kept = self.streams.is_kept(&key);
        let acknowledged = self.streams.acknowledge(&key, &uuid);
        if acknowledged == Acknowledged::Stale {
            return Ok(());
        }
        // The next update does not wait for the write: if that is lost, the earlier one is only told once more.
        self.send_head(&key, now, out);
        if is_kept {
            self.write(Record::Acknowledged { framework_id: key.0.clone(), task_id: key.1.clone(), uuid }, out);
        }
        self.send_waiting(now, out);
        if acknowledged == Acknowledged::Done && self.tasks.get(&key).is_some_and(|task| !task.is_live()) {
            self.tasks.remove(&key);
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

    /// Gives an update its uuid, writes it if the framework checkpoints, and sends it if none is before it.
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
        status.executor_id = self.tasks.get(key).map(|task| task.info.executor_id());
        let is_transient = self.tasks.get(key).is_some_and(|task| !task.checkpoint);
        let stream = self.streams.of_task(key, is_transient);
        let record = (!stream.is_transient()).then(|| status.clone());
        let is_head = stream.push(status, self.limits.status_updates_max);
        if let Some(status) = record {
            self.write(Record::Updated { framework_id: key.0.clone(), status, report }, out);
        }
        if is_head {
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
        if let Some(index) = executor.tasks.iter().position(|task_id| *task_id == key.1) {
            executor.tasks.remove(index);
        }
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
        self.streams.rewind();
        keys.iter().for_each(|key| self.send_head(key, now, out));
    }

    pub(super) fn resend_updates(&mut self, now: Moment, out: &mut Out) {
        self.streams.due(now).iter().for_each(|key| self.send_head(key, now, out));
        self.send_waiting(now, out);
    }

    /// Sends what has waited for another update of its framework to be acknowledged.
    fn send_waiting(&mut self, now: Moment, out: &mut Out) {
        while let Some(key) = self.streams.take_waiting(&self.limits) {
            self.send_head(&key, now, out);
        }
    }

    fn send_head(&mut self, key: &TaskKey, now: Moment, out: &mut Out) {
        let Some(agent_id) = self.agent_id().cloned().filter(|_| self.registration.is_registered()) else { return };
        if let Some((status, latest)) = self.streams.send_head(key, now, &self.limits) {
            out.send(Effect::Forward(ForwardStatus { agent_id, framework_id: key.0.clone(), status, latest }));
        }
    }
}

/// Whether an executor may say so of a live task.
fn may_follow(state: TaskState) -> bool {
    state.is_terminal() || matches!(state, TaskState::Starting | TaskState::Running | TaskState::Killing)
}
