//! Launches: a task finds or starts its executor, waits for its registration, and is handed over.

use super::disk::DiskUsage;
use super::executor::{Executor, ExecutorState};
use super::task::{Kill, Task};
use super::{AgentCore, Out, TaskKey};
use crate::effect::{Effect, Record};
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{ContainerId, FrameworkId, TaskId};
use odeon_protocol::messages::agent_executor::{ExecutorRegistered, RegisterExecutor, RegisterExecutorError};
use odeon_protocol::messages::master_agent::{CommandRefused, LaunchTask, LaunchTasks};
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::ResourcesError;
use odeon_protocol::task::{StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus};
use std::time::Duration;

/// Why a task is not taken; the framework hears it in an update.
#[derive(Debug, thiserror::Error)]
enum LaunchRefused {
    #[error("executor {0} runs here with another description")]
    OtherExecutor(String),
    #[error("{0} of the disk of the agent is in use, too much to take a task; free some of it, or remove sandboxes")]
    DiskFull(DiskUsage),
    #[error("the agent has less than the task and its executor need: {0}")]
    Resources(#[from] ResourcesError),
}

impl LaunchRefused {
    fn reason(&self) -> StatusReason {
        match self {
            Self::OtherExecutor(_) => StatusReason::TaskInvalid,
            Self::DiskFull(_) => StatusReason::ContainerLaunchFailed,
            Self::Resources(_) => StatusReason::ResourcesUnknown,
        }
    }

    /// Nothing is wrong with a task for which there is only no room.
    fn state(&self) -> TaskState {
        if matches!(self, Self::DiskFull(_)) { TaskState::Failed } else { TaskState::Error }
    }
}

impl AgentCore {
    /// The master starts tasks, in this order.
    ///
    /// # Errors
    /// As [`Self::on_launch_task`]; all of a message are of one term.
    pub fn on_launch_tasks(&mut self, message: LaunchTasks, now: Moment, out: &mut Out) -> Result<(), CommandRefused> {
        message.launches.into_iter().try_for_each(|launch| self.on_launch_task(launch, now, out))
    }

    /// The master starts a task. One that is known already is not started again.
    ///
    /// A task that cannot be taken is answered by an update, not by an error.
    ///
    /// # Errors
    /// [`CommandRefused`] if the master is not the one that the agent follows, or the agent is ending.
    pub fn on_launch_task(&mut self, message: LaunchTask, now: Moment, out: &mut Out) -> Result<(), CommandRefused> {
        self.fence(message.epoch)?;
        if self.end.is_some() {
            return Err(self.not_registered());
        }
        let key = (message.framework_id.clone(), message.task.task_id.clone());
        match self.tasks.get(&key) {
            Some(task) if task.muted => {
                let text = "an earlier task of this id still ends on the agent";
                let status = self.refusal(&key.1, StatusReason::TaskInvalid, text, now);
                self.tell(&key, status, now, out);
            }
            Some(_) => {}
            None => self.launch(key, message, now, out),
        }
        Ok(())
    }

    fn launch(&mut self, key: TaskKey, message: LaunchTask, now: Moment, out: &mut Out) {
        let mut task = Task {
            role: message.role,
            info: message.task,
            container_id: None,
            state: TaskState::Staging,
            sent: false,
            charged: false,
            muted: false,
            kill: Kill::No,
            checkpoint: message.checkpoint,
            killing_state: message.killing_state,
        };
        match self.admit(&key.0, &task.info) {
            Ok(existing) => {
                let starts = existing.is_none();
                let container_id = existing.unwrap_or_else(|| self.ids.next_container_id());
                self.note_launch(&key.0, &task, Some(&container_id), out);
                if starts {
                    self.start_executor(&key.0, &task, container_id.clone(), now, out);
                }
                task.charged = true;
                task.container_id = Some(container_id.clone());
                self.tasks.insert(key.clone(), task);
                self.assign(&key, &container_id, out);
            }
            Err(refused) => {
                let refusal = self.refusal(&key.1, refused.reason(), &refused.to_string(), now);
                let status = TaskStatus { state: refused.state(), ..refusal };
                self.note_launch(&key.0, &task, None, out);
                self.tasks.insert(key.clone(), task);
                self.report(&key, status, now, out);
            }
        }
    }

    /// Writes the launch of a task that outlives the agent's process, before anything is started for it.
    fn note_launch(
        &mut self,
        framework_id: &FrameworkId,
        task: &Task,
        container_id: Option<&ContainerId>,
        out: &mut Out,
    ) {
        if task.checkpoint {
            let (framework_id, container_id) = (framework_id.clone(), container_id.cloned());
            let (role, killing_state, task) = (task.role.clone(), task.killing_state, Box::new(task.info.clone()));
            self.write(Record::Launched { framework_id, role, task, container_id, killing_state }, out);
        }
    }

    /// Charges the task, and finds the executor that takes it; none if one is to be started.
    fn admit(&mut self, framework_id: &FrameworkId, task: &TaskInfo) -> Result<Option<ContainerId>, LaunchRefused> {
        if self.disk_is_full() {
            return Err(LaunchRefused::DiskFull(self.disk));
        }
        let wanted = task.executor();
        let existing = self.executor_for(framework_id, task);
        if existing.is_some_and(|executor| executor.info != *wanted) {
            return Err(LaunchRefused::OtherExecutor(wanted.executor_id.to_string()));
        }
        let is_charged = existing.is_some_and(|executor| executor.charged);
        let existing = existing.map(|executor| executor.place.container_id.clone());
        if is_charged || wanted.resources.is_empty() {
            self.accounting.take(&task.resources)?;
        } else {
            self.accounting.take(&task.resources.checked_add(&wanted.resources)?)?;
        }
        if let Some(executor) = existing.as_ref().and_then(|id| self.executors.get_mut(id)) {
            executor.charged = true;
            executor.idle_since = None;
        }
        Ok(existing)
    }

    /// A live executor that the task names; a command always has one of its own.
    fn executor_for(&self, framework_id: &FrameworkId, task: &TaskInfo) -> Option<&Executor> {
        let wanted = task.work.named_executor()?;
        self.executors.values().find(|executor| {
            let named = (&executor.place.framework_id, &executor.place.executor_id);
            named == (framework_id, &wanted.executor_id) && !executor.is_command && executor.takes_tasks()
        })
    }

    fn start_executor(
        &mut self,
        framework_id: &FrameworkId,
        task: &Task,
        container_id: ContainerId,
        now: Moment,
        out: &mut Out,
    ) {
        let (info, checkpoint): (ExecutorInfo, bool) = (task.info.executor().into_owned(), task.checkpoint);
        // What is fetched first has its own bounds, and tells when it is there.
        let fetch = if info.binary.is_some() { self.limits.fetch_within } else { Duration::ZERO };
        let deadline = now.after(self.limits.executor_registration_timeout.saturating_add(fetch));
        let is_command = task.info.work.named_executor().is_none();
        let mut executor = Executor::new(framework_id, container_id.clone(), info, is_command, checkpoint, deadline);
        executor.killing_state = task.killing_state;
        let (place, info) = (executor.place.clone(), executor.info.clone());
        out.send(Effect::StartExecutor { place, executor: info, is_command, checkpoint });
        self.executors.insert(container_id, executor);
    }

    fn assign(&mut self, key: &TaskKey, container_id: &ContainerId, out: &mut Out) {
        let executor = self.executors.get_mut(container_id).expect("found or started just now");
        executor.tasks.push_back(key.1.clone());
        let is_registered = executor.state == ExecutorState::Registered;
        self.history.on_launched(key.clone(), executor.place.clone());
        if is_registered {
            self.run_task(key, out);
        }
    }

    fn run_task(&mut self, key: &TaskKey, out: &mut Out) {
        let task = self.tasks.get_mut(key).expect("an executor's tasks are known");
        let container_id = task.container_id.clone().expect("an executor has it");
        task.sent = true;
        out.send(Effect::RunTask { container_id, task: task.info.clone() });
    }

    fn refusal(&self, task_id: &TaskId, reason: StatusReason, message: &str, now: Moment) -> TaskStatus {
        TaskStatus::new(task_id.clone(), TaskState::Error, StatusSource::Agent).because(reason, message).at(now.wall_ms)
    }

    /// An executor is ready, or is back after a broken link: it gets the tasks of which it has said nothing.
    ///
    /// # Errors
    /// [`RegisterExecutorError`] if the agent did not start this run, or has given it up.
    pub fn on_register_executor(
        &mut self,
        message: &RegisterExecutor,
        out: &mut Out,
    ) -> Result<ExecutorRegistered, RegisterExecutorError> {
        let unknown = || RegisterExecutorError::UnknownContainer(message.container_id.clone());
        let executor = self.executors.get_mut(&message.container_id).ok_or_else(unknown)?;
        let named = (&message.framework_id, &message.executor_id);
        let is_known = named == (&executor.place.framework_id, &executor.place.executor_id);
        let agent_id =
            self.registration.agent_id().filter(|_| is_known && executor.takes_tasks()).ok_or_else(unknown)?;
        let answer = ExecutorRegistered {
            agent_id: agent_id.clone(),
            executor: executor.info.clone(),
            kill_grace: self.limits.task_kill_grace,
            killing_state: executor.killing_state,
        };
        executor.state = ExecutorState::Registered;
        executor.link_lost_at = None;
        let keys: Vec<TaskKey> =
            executor.tasks.iter().map(|task_id| (message.framework_id.clone(), task_id.clone())).collect();
        for key in &keys {
            if self.tasks[key].state == TaskState::Staging {
                self.run_task(key, out);
            }
            self.repeat_kill(key, out);
        }
        Ok(answer)
    }
}
