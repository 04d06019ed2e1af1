//! What a user writes to have a task type of its own: [`Task`], and what it is given.

use crate::doorway::Doorway;
use crate::surroundings::make_sandbox;
use odeon_protocol::id::TaskId;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{StatusReason, TaskExit};
use odeon_runtime::{Endpoint, ListenError, Node};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// A kind of task that runs inside an executor process.
///
/// It shares one thread with the other tasks of its executor: heavy computing belongs on an arbiter
/// of its own or in `spawn_blocking`. A task that panics fails alone.
pub trait Task: 'static {
    /// The name by which frameworks ask for it.
    const NAME: &'static str;

    /// Runs the task; it has ended when this returns.
    ///
    /// After [`TaskContext::killed`] it should return soon. When the grace is over, it is dropped at
    /// its next `await`.
    fn run(context: TaskContext) -> impl Future<Output = Result<(), TaskFailure>>;
}

/// How urgently a task should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    /// Not at all.
    None,
    /// It is asked to.
    Asked,
    /// It is made to.
    Forced,
}

/// What a task knows, and its way back to the executor.
#[derive(Debug, Clone)]
pub struct TaskContext {
    pub(crate) task_id: TaskId,
    pub(crate) name: String,
    pub(crate) data: Arc<[u8]>,
    pub(crate) resources: Resources,
    pub(crate) sandbox: PathBuf,
    pub(crate) node: Node,
    pub(crate) doorway: Arc<Doorway>,
    pub(crate) urgency: watch::Receiver<Urgency>,
    pub(crate) reports: watch::Sender<String>,
    /// Set when its processes have ended, before the task returns.
    pub(crate) over: watch::Sender<bool>,
}

impl TaskContext {
    /// The task.
    #[must_use]
    pub fn task_id(&self) -> &TaskId {
        &self.task_id
    }

    /// Its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the framework handed to it.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// What it may use.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.resources
    }

    /// A directory for its files, made when it is first asked for; what is written to `stdout` and `stderr` there can
    /// be read from afar.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn sandbox(&self) -> io::Result<&Path> {
        make_sandbox(&self.sandbox)?;
        Ok(&self.sandbox)
    }

    /// The node of the executor's process, to export actors from it and to reach others.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Where other hosts reach the actors that the task exports; the node listens from the first call on.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn endpoint(&self) -> Result<Endpoint, ListenError> {
        self.doorway.endpoint().await
    }

    /// Resolves when the task is asked to end; also if that was before the call.
    pub async fn killed(&self) {
        self.reached(Urgency::Asked).await;
    }

    /// Tells the framework something, by a further `TASK_RUNNING` update.
    ///
    /// A report that has not been sent yet is replaced by the next one: only the newest matters.
    pub fn report(&self, message: impl Into<String>) {
        self.reports.send_replace(message.into());
    }

    pub(crate) async fn reached(&self, level: Urgency) {
        let mut urgency = self.urgency.clone();
        // An error means that the executor is gone, which is as urgent as it gets.
        let _ = urgency.wait_for(|current| *current >= level).await;
    }
}

/// Why a task failed, for people.
///
/// Any error turns into it by `?`. It is therefore no error itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFailure {
    pub(crate) message: String,
    pub(crate) reason: Option<StatusReason>,
    pub(crate) exit: Option<TaskExit>,
}

impl TaskFailure {
    /// A failure with a text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), reason: None, exit: None }
    }

    /// The text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A command that ended with other than zero, or did not start.
    pub(crate) fn of_command(message: impl Into<String>, exit: TaskExit) -> Self {
        let reason = Some(StatusReason::CommandExecutorFailed);
        Self { message: message.into(), reason, exit: Some(exit) }
    }
}

impl<E: std::error::Error> From<E> for TaskFailure {
    /// The text of the error and of its causes.
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self::new(message)
    }
}
