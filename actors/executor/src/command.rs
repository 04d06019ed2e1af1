//! The task that every executor knows: it runs a program, without a shell, and tells how it ended.
//!
//! No resource limits here: those are the agent's, around the whole executor.

use crate::leaders::Leaders;
use crate::node::{end_orphans, end_orphans_of};
use crate::surroundings::{Surroundings, not_started};
use crate::task::{TaskContext, TaskFailure, Urgency};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::task::TaskExit;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;
use tokio::process::Child;
use tokio::sync::Semaphore;
use tracing::warn;

/// A command and what surrounds it.
#[derive(Debug, Clone)]
pub(crate) struct CommandTask {
    pub(crate) command: CommandInfo,
    pub(crate) surroundings: Surroundings,
    pub(crate) stragglers: Stragglers,
    /// Who may start a process now; shared by the commands of an executor.
    pub(crate) turns: Arc<Semaphore>,
}

/// Commands of one executor that are being started at a time. Each takes a thread meanwhile, and many of those would
/// mostly wait for each other in the system.
pub(crate) const STARTS_MAX: usize = 4;

/// What happens to processes below the executor that have left the group of the command and outlive it.
#[derive(Debug, Clone)]
pub(crate) enum Stragglers {
    /// All are ended: the command has its executor to itself.
    Children,
    /// Those are ended that carry the task's id in their environment. One that has cleared it as well is ended with
    /// the executor.
    OfTask(Leaders),
    /// The process is not the executor's alone: nothing is known of its children.
    Spared,
}

impl CommandTask {
    /// Runs the command to its end. Whatever is left of its process group then is killed.
    pub(crate) async fn run(self, context: TaskContext) -> Result<(), TaskFailure> {
        let child = self.spawn().await?;
        let leader = match &self.stragglers {
            Stragglers::OfTask(leaders) => Some(leaders.add(&child)),
            Stragglers::Children | Stragglers::Spared => None,
        };
        let group = ProcessGroup::of(&child);
        context.report("");
        let status = group.wait(child, &context).await;
        drop((group, leader));
        // What is asked of it has no answer any more, and must not be taken for one that was left behind.
        context.over.send_replace(true);
        self.end_stragglers().await;
        let exit = status.map(exit_of).map_err(|error| TaskFailure::new(format!("cannot wait for it: {error}")))?;
        match exit {
            TaskExit::Code(0) => Ok(()),
            exit => Err(TaskFailure::of_command(format!("the command {exit}"), exit)),
        }
    }

    async fn end_stragglers(&self) {
        match &self.stragglers {
            Stragglers::Children => end_orphans().await,
            Stragglers::OfTask(leaders) => end_orphans_of(&self.surroundings.task_id, leaders).await,
            Stragglers::Spared => {}
        }
    }

    /// Making directories and starting a process would hold up the other tasks of the executor, if it has others; for one
    /// command, a thread would take longer to start than the command.
    async fn spawn(&self) -> Result<Child, TaskFailure> {
        if matches!(self.stragglers, Stragglers::Children) {
            return start(&self.command, &self.surroundings);
        }
        let (command, surroundings) = (self.command.clone(), self.surroundings.clone());
        let _turn = self.turns.acquire().await;
        let started = tokio::task::spawn_blocking(move || start(&command, &surroundings)).await;
        started.unwrap_or_else(|error| Err(TaskFailure::new(format!("cannot be started: {error}"))))
    }
}

/// Starts the program of a command. It is killed if nobody takes it.
fn start(info: &CommandInfo, surroundings: &Surroundings) -> Result<Child, TaskFailure> {
    let mut command = surroundings.prepare(info)?;
    command.stdout(open_output(&surroundings.sandbox, "stdout")?);
    command.stderr(open_output(&surroundings.sandbox, "stderr")?);
    command.kill_on_drop(true).spawn().map_err(|error| not_started(&info.argv[0], &error))
}

/// For the task's user alone: what programs print may be secret.
fn open_output(sandbox: &Path, name: &str) -> Result<File, TaskFailure> {
    let path = sandbox.join(name);
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    opened.map_err(|error| TaskFailure::new(format!("cannot open {}: {error}", path.display())))
}

/// How a process has ended.
pub(crate) fn exit_of(status: ExitStatus) -> TaskExit {
    // A process that neither returned nor was ended by a signal has not ended, which wait excludes.
    let code = status.code().map(TaskExit::Code);
    code.unwrap_or_else(|| TaskExit::Signal(status.signal().unwrap_or_default()))
}

/// The processes that a command started and that did not leave its group. Killed when dropped: none
/// outlives the command, nor an executor that ends in an orderly way.
#[derive(Debug)]
pub(crate) struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// Waits for the leader; ends the group as urgently as the task should end.
    async fn wait(&self, mut child: Child, context: &TaskContext) -> io::Result<ExitStatus> {
        tokio::select! {
            status = child.wait() => return status,
            () = context.killed() => self.signal(Signal::SIGTERM),
        }
        tokio::select! {
            status = child.wait() => return status,
            () = context.reached(Urgency::Forced) => self.signal(Signal::SIGKILL),
        }
        child.wait().await
    }

    fn signal(&self, signal: Signal) {
        // No such group: all have ended already.
        match self.0.map(|group| killpg(group, signal)) {
            None | Some(Ok(()) | Err(nix::errno::Errno::ESRCH)) => {}
            Some(Err(error)) => warn!(?signal, %error, "cannot signal the processes of a task"),
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

#[cfg(test)]
#[path = "command_test.rs"]
mod tests;
