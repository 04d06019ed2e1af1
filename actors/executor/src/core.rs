//! Decides what an executor does: registration, the life of each task, and its end.
//!
//! Deliberately absent: processes, sockets, clocks. Nothing is durable here, so there is no journal:
//! what must survive is the agent's business, which answers an update only when it is safe.

mod checks;
mod ending;
mod link;
mod supervise;
mod task;
mod tasks;
mod updates;

use crate::effect::Effect;
use crate::end::{ExecutorEnd, TaskEnd};
use ending::{Ending, cut};
use link::Link;
use odeon_protocol::id::{ContainerId, ExecutorId, FrameworkId, TaskId};
use odeon_protocol::messages::agent_executor::{
    EndTask, ExecutorRegistered, RegisterExecutor, RegisterExecutorError, RunTask, ShutdownExecutor, UpdateStatus,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{Check, HealthCheck, StatusReason, TaskInfo, TaskState, TaskStatus, Work};
use std::collections::BTreeSet;
use std::time::Duration;
use task::Task;
use tasks::Tasks;
use updates::UpdateQueue;

/// How long the agent may be out of reach before the executor ends its tasks and itself, unless its framework
/// checkpoints.
pub const AGENT_LOST_AFTER: Duration = Duration::from_secs(2);
/// How long the first registration may take.
pub const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to register.
pub const REGISTER_RETRY: Duration = Duration::from_millis(200);
/// Before an update that was not answered is sent again.
pub const UPDATE_RETRY: Duration = Duration::from_millis(500);
/// After the grace, how long an executor that ends waits for tasks and answers before it ends anyway.
pub const END_MARGIN: Duration = Duration::from_secs(1);
/// Texts of tasks are cut to so many bytes before they travel.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// Who this executor is, and how long tasks have between being asked and being made to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The executor.
    pub executor_id: ExecutorId,
    /// This run of it.
    pub container_id: ContainerId,
    /// The grace when the agent is gone and cannot name one.
    pub shutdown_grace: Duration,
    /// How long it waits for an agent that is gone, if its framework checkpoints.
    pub recovery_timeout: Option<Duration>,
}

impl Identity {
    fn agent_lost_after(&self) -> Duration {
        self.recovery_timeout.unwrap_or(AGENT_LOST_AFTER)
    }

    /// The agent may also be gone before it was reached.
    fn register_timeout(&self) -> Duration {
        self.recovery_timeout.unwrap_or_default().max(REGISTER_TIMEOUT)
    }
}

/// The state of an executor process.
#[derive(Debug)]
pub struct ExecutorCore {
    identity: Identity,
    task_types: BTreeSet<String>,
    link: Link,
    tasks: Tasks,
    updates: UpdateQueue,
    ending: Option<Ending>,
    /// How long a task has to end that names no time itself.
    kill_grace: Duration,
    /// Whether the framework understands `TASK_KILLING`.
    killing_state: bool,
    ended: bool,
}

impl ExecutorCore {
    /// An executor that has not registered yet and knows the given task types.
    #[must_use]
    pub fn new(identity: Identity, task_types: BTreeSet<String>) -> Self {
        Self {
            kill_grace: identity.shutdown_grace,
            killing_state: false,
            identity,
            task_types,
            link: Link::default(),
            tasks: Tasks::new(),
            updates: UpdateQueue::default(),
            ending: None,
            ended: false,
        }
    }

    /// The process is up: registers.
    pub fn on_start(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.link = Link::waiting(now.after(self.identity.register_timeout()));
        self.register(out);
    }

    /// The agent answered the registration, or could not be asked (`None`).
    pub fn on_register_answered(
        &mut self,
        answer: Option<Result<ExecutorRegistered, RegisterExecutorError>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match answer {
            _ if self.ended => {}
            Some(Ok(registered)) => {
                self.kill_grace = registered.kill_grace;
                self.killing_state |= registered.killing_state;
                self.link = Link::Up;
                self.updates.on_link_up();
                self.send_updates(now, out);
            }
            Some(Err(refusal)) => self.begin_end(ExecutorEnd::Refused(refusal), Duration::ZERO, now, out),
            None => self.link.on_failed(now.after(REGISTER_RETRY)),
        }
    }

    /// The link to the agent is gone. Registers anew until the agent has been out of reach for too long.
    pub fn on_link_down(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.ended || self.link != Link::Up {
            return;
        }
        self.link = Link::waiting(now.after(self.identity.agent_lost_after()));
        self.register(out);
    }

    /// The agent starts a task. One that is known already is not started again.
    pub fn on_run_task(&mut self, message: RunTask, now: Moment, out: &mut Vec<Effect>) {
        let RunTask { task, sandbox } = message;
        if self.ended || self.tasks.knows(&task.task_id) {
            return;
        }
        self.tasks.start(task.task_id.clone(), Task::new(&task, now));
        if let Some(status) = self.refusal(&task, now) {
            self.finish_task(status, now, out);
            return;
        }
        if self.killing_state {
            self.updates.push(self.status(&task.task_id, TaskState::Starting, now));
            self.send_updates(now, out);
        }
        out.push(Effect::StartTask { task: Box::new(task), sandbox });
    }

    /// The agent ends a task. Of several graces the earliest end counts.
    pub fn on_end_task(&mut self, message: &EndTask, now: Moment, out: &mut Vec<Effect>) {
        if !self.ended {
            self.ask_to_end(&message.task_id, now.after(message.grace), now, out);
        }
    }

    /// The agent ends the executor.
    pub fn on_shutdown(&mut self, message: &ShutdownExecutor, now: Moment, out: &mut Vec<Effect>) {
        self.begin_end(ExecutorEnd::Shutdown, message.grace, now, out);
    }

    /// A task runs, or has something to say while it does.
    pub fn on_task_report(&mut self, task_id: &TaskId, message: &str, now: Moment, out: &mut Vec<Effect>) {
        let running = self.tasks.get_mut(task_id).filter(|_| !self.ended);
        let Some(task) = running else { return };
        let state = if task.asked && self.killing_state { TaskState::Killing } else { TaskState::Running };
        if !task.asked {
            task.checks.on_running(now);
        }
        let mut status = self.status(task_id, state, now);
        status.message = cut(message).to_owned();
        self.updates.push(status);
        self.send_updates(now, out);
    }

    /// A task has ended.
    pub fn on_task_ended(&mut self, task_id: &TaskId, end: TaskEnd, now: Moment, out: &mut Vec<Effect>) {
        if self.tasks.get(task_id).is_some() && !self.ended {
            let status = self.final_status(task_id, end, now);
            self.finish_task(status, now, out);
        }
    }

    /// The agent answered an update, or could not be asked (`None`).
    pub fn on_update_answered(
        &mut self,
        sequence: u64,
        answer: Option<Result<(), RegisterExecutorError>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match answer {
            _ if self.ended => {}
            Some(Ok(())) => {
                self.updates.on_answered(sequence);
                self.send_updates(now, out);
                self.end_if_done(now, out);
            }
            Some(Err(refusal)) => self.begin_end(ExecutorEnd::Refused(refusal), Duration::ZERO, now, out),
            None => self.updates.on_not_answered(sequence, now.after(UPDATE_RETRY)),
        }
    }

    /// When [`ExecutorCore::on_timer`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let ending = self.ending.as_ref().map(|ending| ending.deadline);
        [self.tasks.next_deadline(), ending, self.link.next_deadline(), self.update_due()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn on_timer(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.ended {
            return;
        }
        self.supervise(now, out);
        self.force_overdue(now, out);
        if self.update_due().is_some_and(|at| at <= now.since_start) {
            self.send_updates(now, out);
        }
        if self.link.take_lost(now) {
            self.begin_end(ExecutorEnd::AgentLost, self.identity.shutdown_grace, now, out);
        } else if self.link.take_retry(now) {
            self.register(out);
        }
        self.end_if_done(now, out);
    }

    /// An update that was not answered waits for its time, and for a link.
    fn update_due(&self) -> Option<Duration> {
        self.updates.retry_at().filter(|_| self.link == Link::Up)
    }

    fn register(&self, out: &mut Vec<Effect>) {
        let Identity { framework_id, executor_id, container_id, .. } = self.identity.clone();
        out.push(Effect::Register(RegisterExecutor { framework_id, executor_id, container_id }));
    }

    fn send_updates(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.link != Link::Up {
            return;
        }
        while let Some((sequence, status)) = self.updates.take_due(now) {
            let Identity { framework_id, container_id, .. } = self.identity.clone();
            out.push(Effect::SendUpdate(UpdateStatus { framework_id, container_id, status, sequence }));
        }
    }

    /// Why the task is not even started, as an update.
    fn refusal(&self, task: &TaskInfo, now: Moment) -> Option<TaskStatus> {
        let invalid = |message: &str| {
            Some(self.refused(&task.task_id, TaskState::Error, StatusReason::TaskInvalid, message, now))
        };
        let check = task.check.as_deref().map_or(Ok(()), Check::validate);
        let check = check.and(task.health_check.as_deref().map_or(Ok(()), HealthCheck::validate));
        if let Err(error) = check {
            return invalid(&error.to_string());
        }
        match &task.work {
            _ if self.ending.is_some() => {
                let reason = StatusReason::TaskKilledDuringLaunch;
                Some(self.refused(&task.task_id, TaskState::Killed, reason, "the executor is ending", now))
            }
            work if work.command().is_some_and(|command| command.argv.is_empty()) => invalid("the command is empty"),
            Work::Registered { task_type, .. } if !self.task_types.contains(task_type) => {
                invalid(&self.unknown_type(task_type))
            }
            _ => None,
        }
    }

    fn unknown_type(&self, task_type: &str) -> String {
        let known: Vec<&str> = self.task_types.iter().map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("the task type {task_type:?} is not registered in the executor; registered: {known}")
    }

    fn ask_to_end(&mut self, task_id: &TaskId, force_at: Duration, now: Moment, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(task_id) else { return };
        let is_first = !std::mem::replace(&mut task.asked, true);
        if !is_first {
            // Nothing is set any more once it was forced.
            task.force_at = task.force_at.map(|earlier| earlier.min(force_at));
            return;
        }
        task.stop_supervision();
        self.tasks.set_force_at(task_id, force_at);
        out.push(Effect::AskToEnd(task_id.clone()));
        if self.killing_state {
            self.updates.push(self.status(task_id, TaskState::Killing, now));
            self.send_updates(now, out);
        }
    }

    fn force_overdue(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.tasks.each_timed(|task_id, task| {
            if task.force_at.is_some_and(|at| at <= now.since_start) {
                task.force_at = None;
                out.push(Effect::ForceToEnd(task_id.clone()));
            }
        });
    }
}

#[cfg(test)]
#[path = "core_test.rs"]
mod tests;
