//! The task that every executor knows: it runs a program, without a shell, and tells how it ended.
//!
//! No resource limits here: those are the agent's, around the whole executor.

use crate::node::end_orphans;
use crate::settings::{CONTAINER_ID, SANDBOX};
use crate::task::{TaskContext, TaskFailure, Urgency};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::id::ContainerId;
use odeon_protocol::task::TaskExit;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tracing::warn;

/// What a shell returns for a program that is not there.
const NOT_FOUND: TaskExit = TaskExit::Code(127);
/// What a shell returns for a program that cannot be run.
const NOT_EXECUTABLE: TaskExit = TaskExit::Code(126);
/// `ENOEXEC`: a text file without the line that names its interpreter.
const NO_EXECUTABLE_FORMAT: i32 = 8;

/// A command and what surrounds it.
#[derive(Debug, Clone)]
pub(crate) struct CommandTask {
    pub(crate) command: CommandInfo,
    /// The environment below the command's own.
    pub(crate) base_environment: BTreeMap<String, String>,
    pub(crate) container_id: ContainerId,
    /// Whether the process has this command alone.
    pub(crate) owns_process: bool,
}

impl CommandTask {
    /// Runs the command to its end. Whatever is left of its process group then is killed.
    pub(crate) async fn run(self, context: TaskContext) -> Result<(), TaskFailure> {
        let child = self.spawn(&context)?;
        let group = ProcessGroup::of(&child);
        context.report("");
        let status = group.wait(child, &context).await;
        drop(group);
        // What has left the group as well: a command has its executor to itself.
        end_orphans(self.owns_process).await;
        let exit = status.map(exit_of).map_err(|error| TaskFailure::new(format!("cannot wait for it: {error}")))?;
        match exit {
            TaskExit::Code(0) => Ok(()),
            exit => Err(TaskFailure::of_command(format!("the command {exit}"), exit)),
        }
    }

    fn spawn(&self, context: &TaskContext) -> Result<Child, TaskFailure> {
        let (program, arguments) = self.command.argv.split_first().ok_or(TaskFailure::new("the command is empty"))?;
        let directory = self.directory(context)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).env_clear().envs(self.environment(context));
        command.stdin(Stdio::null()).process_group(0);
        command.stdout(open_output(context.sandbox(), "stdout")?);
        command.stderr(open_output(context.sandbox(), "stderr")?);
        command.spawn().map_err(|error| not_started(program, &error))
    }

    /// Checked here, because a missing directory would look like a missing program.
    fn directory(&self, context: &TaskContext) -> Result<PathBuf, TaskFailure> {
        let given = self.command.working_directory.as_deref().unwrap_or_default();
        let directory = context.sandbox().join(given);
        if directory.is_dir() {
            return Ok(directory);
        }
        let message = format!("the working directory {} is not there", directory.display());
        Err(TaskFailure::of_command(message, NOT_EXECUTABLE))
    }

    fn environment(&self, context: &TaskContext) -> BTreeMap<String, String> {
        let mut environment = self.base_environment.clone();
        environment.extend(self.command.environment.clone());
        let sandbox = context.sandbox().to_string_lossy().into_owned();
        let task_id = context.task_id().to_string();
        let own = [
            (SANDBOX, sandbox.clone()),
            ("MESOS_SANDBOX", sandbox),
            ("ODEON_TASK_ID", task_id.clone()),
            ("MESOS_TASK_ID", task_id),
            (CONTAINER_ID, self.container_id.to_string()),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        environment
    }
}

/// For the task's user alone: what programs print may be secret.
fn open_output(sandbox: &Path, name: &str) -> Result<File, TaskFailure> {
    let path = sandbox.join(name);
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    opened.map_err(|error| TaskFailure::new(format!("cannot open {}: {error}", path.display())))
}

fn not_started(program: &str, error: &io::Error) -> TaskFailure {
    let is_path = program.contains('/');
    let (message, exit) = match error.kind() {
        io::ErrorKind::NotFound if is_path && Path::new(program).exists() => {
            (format!("the interpreter of {program} is not there"), NOT_FOUND)
        }
        io::ErrorKind::NotFound if is_path => (format!("the program {program} is not there"), NOT_FOUND),
        io::ErrorKind::NotFound => (
            format!("the program {program} is not on the PATH of the task; give its full path, or set PATH"),
            NOT_FOUND,
        ),
        io::ErrorKind::PermissionDenied => (format!("the program {program} may not be executed"), NOT_EXECUTABLE),
        _ if error.raw_os_error() == Some(NO_EXECUTABLE_FORMAT) => {
            (format!("{program} is neither a program nor a script that names its interpreter"), NOT_EXECUTABLE)
        }
        _ => (format!("the program {program} cannot be started: {error}"), NOT_EXECUTABLE),
    };
    TaskFailure::of_command(message, exit)
}

fn exit_of(status: ExitStatus) -> TaskExit {
    // A process that neither returned nor was ended by a signal has not ended, which wait excludes.
    let code = status.code().map(TaskExit::Code);
    code.unwrap_or_else(|| TaskExit::Signal(status.signal().unwrap_or_default()))
}

/// The processes that a command started and that did not leave its group. Killed when dropped: none
/// outlives the command, nor an executor that ends in an orderly way.
#[derive(Debug)]
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
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
