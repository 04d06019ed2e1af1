//! What a batch should run.

use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::id::{ExecutorId, ID_BYTES_MAX, IdError, TaskId};
use odeon_protocol::resources::{Resources, ResourcesError};
use odeon_protocol::task::{HealthCheck, TaskInfo, Work};
use std::collections::BTreeSet;
use std::time::Duration;

/// The most tasks of one batch.
pub const INSTANCES_MAX: usize = 10_000;
/// Kept free behind each id for the number of an attempt.
const RETRY_SUFFIX_BYTES: usize = "-retry-4294967295".len();

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The name cannot be part of an id.
    #[error("the name {name:?} cannot name a task")]
    Name {
        /// The name.
        name: String,
        /// The rule that it breaks.
        #[source]
        source: IdError,
    },
    /// Too long to be made an id of.
    #[error("the name of a task has at most {max} bytes, {name:?} has {actual}")]
    NameTooLong {
        /// The name.
        name: String,
        /// The limit.
        max: usize,
        /// Its length.
        actual: usize,
    },
    /// No task, or too many.
    #[error("a batch has 1 to {INSTANCES_MAX} tasks, not {0}")]
    Count(usize),
    /// Two tasks have one id.
    #[error("the task id {0} is given twice")]
    SameId(TaskId),
    /// A task takes nothing, which no agent accepts.
    #[error("the task {0} asks for no resources")]
    NoResources(TaskId),
    /// A task and its executor cannot be counted together.
    #[error("the resources of the task {task_id} and of its executor cannot be added")]
    Sum {
        /// The task.
        task_id: TaskId,
        /// What is wrong with the sum.
        #[source]
        source: ResourcesError,
    },
}

/// Tasks, and how hard to try.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPlan {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) retries: u32,
    pub(super) placement_timeout: Option<Duration>,
}

impl BatchPlan {
    /// Copies of a command. One copy is named as it is, several are numbered from 0: `name.0`.
    ///
    /// # Errors
    /// [`PlanError`] names what is wrong.
    pub fn copies(
        name: &str,
        instances: usize,
        command: &CommandInfo,
        resources: &Resources,
    ) -> Result<Self, PlanError> {
        if instances == 0 || instances > INSTANCES_MAX {
            return Err(PlanError::Count(instances));
        }
        let task = |index: usize| {
            let id = if instances == 1 { name.to_owned() } else { format!("{name}.{index}") };
            let task_id = TaskId::new(id).map_err(|source| PlanError::Name { name: name.to_owned(), source })?;
            let work = Work::Command(command.clone());
            Ok(TaskInfo::new(task_id, name, resources.clone(), work))
        };
        Self::of_tasks((0..instances).map(task).collect::<Result<_, _>>()?)
    }

    /// Any tasks; their order decides who is placed first.
    ///
    /// # Errors
    /// [`PlanError`] names what is wrong.
    pub fn of_tasks(tasks: Vec<TaskInfo>) -> Result<Self, PlanError> {
        if tasks.is_empty() || tasks.len() > INSTANCES_MAX {
            return Err(PlanError::Count(tasks.len()));
        }
        let mut ids = BTreeSet::new();
        for task in &tasks {
            check(task)?;
            if !ids.insert(&task.task_id) {
                return Err(PlanError::SameId(task.task_id.clone()));
            }
        }
        Ok(Self { tasks, retries: 0, placement_timeout: None })
    }

    /// Runs all commands of the batch that are placed on one agent in one executor process, with this id.
    #[must_use]
    pub fn shared_executor(mut self, executor_id: &ExecutorId) -> Self {
        let executor = ExecutorInfo {
            executor_id: executor_id.clone(),
            name: "shared command executor".to_owned(),
            resources: Resources::empty(),
            program: None,
            binary: None,
        };
        for task in &mut self.tasks {
            if let Work::Command(command) = &task.work {
                task.work = Work::SharedCommand { executor: executor.clone(), command: command.clone() };
            }
        }
        self
    }

    /// Gives all tasks one name for people; their ids stay.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.tasks.iter_mut().for_each(|task| name.clone_into(&mut task.name));
        self
    }

    /// Launches each task that does not finish so many times again; 0 by default.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Gives up if a task has found no place for so long; waits without end by default.
    #[must_use]
    pub fn placement_timeout(mut self, timeout: Duration) -> Self {
        self.placement_timeout = Some(timeout);
        self
    }

    /// Between asking a task to end and killing it; the agents' default if not given.
    #[must_use]
    pub fn kill_grace(mut self, grace: Duration) -> Self {
        self.tasks.iter_mut().for_each(|task| task.kill_grace = Some(grace));
        self
    }

    /// Asks all tasks how they are, and kills those that are not well.
    #[must_use]
    pub fn health_check(mut self, health_check: &HealthCheck) -> Self {
        self.tasks.iter_mut().for_each(|task| task.health_check = Some(Box::new(health_check.clone())));
        self
    }

    /// Ends each task that takes longer; it has failed then.
    #[must_use]
    pub fn max_completion_time(mut self, max: Duration) -> Self {
        self.tasks.iter_mut().for_each(|task| task.max_completion_time = Some(max));
        self
    }

    /// The tasks, in order.
    #[must_use]
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }
}

fn check(task: &TaskInfo) -> Result<(), PlanError> {
    let (max, actual) = (ID_BYTES_MAX - RETRY_SUFFIX_BYTES, task.task_id.as_str().len());
    if actual > max {
        return Err(PlanError::NameTooLong { name: task.task_id.to_string(), max, actual });
    }
    if task.resources.is_empty() {
        return Err(PlanError::NoResources(task.task_id.clone()));
    }
    let sum = task.resources.checked_add(&task.executor().resources);
    sum.map(|_| ()).map_err(|source| PlanError::Sum { task_id: task.task_id.clone(), source })
}
