//! What surrounds the processes of a task: their environment, and the directory in which they begin.

use crate::settings::{CONTAINER_ID, SANDBOX};
use crate::task::TaskFailure;
use odeon_protocol::executor::CommandInfo;
use odeon_protocol::id::{ContainerId, TaskId};
use odeon_protocol::task::TaskExit;
use std::collections::BTreeMap;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;

/// Names the task to its processes, and its processes to the executor.
pub(crate) const TASK_ID: &str = "ODEON_TASK_ID";
/// What a shell returns for a program that is not there.
const NOT_FOUND: TaskExit = TaskExit::Code(127);
/// What a shell returns for a program that cannot be run.
const NOT_EXECUTABLE: TaskExit = TaskExit::Code(126);
/// `ENOEXEC`: a text file without the line that names its interpreter.
const NO_EXECUTABLE_FORMAT: i32 = 8;

/// The same for a command and for the commands that check it.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The environment below the command's own; shared by all tasks of the executor.
    pub(crate) base_environment: Arc<BTreeMap<String, String>>,
    pub(crate) container_id: ContainerId,
    pub(crate) task_id: TaskId,
    pub(crate) sandbox: PathBuf,
}

impl Surroundings {
    /// A command that is ready to start, in a process group of its own and without input.
    pub(crate) fn prepare(&self, info: &CommandInfo) -> Result<Command, TaskFailure> {
        let (program, arguments) = info.argv.split_first().ok_or(TaskFailure::new("the command is empty"))?;
        let (directory, environment) = (self.directory(info)?, self.environment(info));
        let found = environment.get("PATH").and_then(|path| find_program(program, path));
        let mut command = Command::new(found.as_deref().unwrap_or(Path::new(program)));
        command.arg0(program).args(arguments).current_dir(directory).env_clear().envs(environment);
        command.stdin(Stdio::null()).process_group(0);
        Ok(command)
    }

    /// Checked here, because a missing directory would look like a missing program.
    fn directory(&self, info: &CommandInfo) -> Result<PathBuf, TaskFailure> {
        let given = info.working_directory.as_deref().unwrap_or_default();
        let unusable = |error| TaskFailure::new(format!("cannot make {}: {error}", self.sandbox.display()));
        make_sandbox(&self.sandbox).map_err(unusable)?;
        let directory = self.sandbox.join(given);
        if directory.is_dir() {
            return Ok(directory);
        }
        let message = format!("the working directory {} is not there", directory.display());
        Err(TaskFailure::of_command(message, NOT_EXECUTABLE))
    }

    fn environment(&self, info: &CommandInfo) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::clone(&self.base_environment);
        environment.extend(info.environment.clone());
        let sandbox = self.sandbox.to_string_lossy().into_owned();
        let task_id = self.task_id.to_string();
        let own = [
            (SANDBOX, sandbox.clone()),
            ("MESOS_SANDBOX", sandbox),
            (TASK_ID, task_id.clone()),
            ("MESOS_TASK_ID", task_id),
            (CONTAINER_ID, self.container_id.to_string()),
        ];
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        environment
    }
}

/// Where a program that is named without a slash is on the task's own path. To leave the search to the system, the
/// executor would have to be copied for each command, instead of lending its memory until the program has begun.
fn find_program(name: &str, path: &str) -> Option<PathBuf> {
    let is_program = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let directories = path.split(':').filter(|directory| directory.starts_with('/') && !name.contains('/'));
    directories.map(|directory| Path::new(directory).join(name)).find(is_program)
}

/// Makes the directory of a task, for this user only; nothing happens if it is there.
pub(crate) fn make_sandbox(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Why a prepared command did not start, as a shell would tell it.
pub(crate) fn not_started(program: &str, error: &io::Error) -> TaskFailure {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, create_dir, set_permissions, write};

    #[test]
    fn a_program_is_the_first_executable_file_on_the_path_of_its_task() {
        let root = tempfile::tempdir().unwrap();
        let place = |name: &str, mode: u32| {
            let directory = root.path().join(name);
            create_dir(&directory).unwrap();
            write(directory.join("tool"), "").unwrap();
            set_permissions(directory.join("tool"), Permissions::from_mode(mode)).unwrap();
            directory
        };
        let (plain, first, second) = (place("plain", 0o644), place("first", 0o755), place("second", 0o755));
        create_dir(root.path().join("directories")).unwrap();
        create_dir(root.path().join("directories/tool")).unwrap();
        let path = [&root.path().join("directories"), &plain, &first, &second];
        let path = path.map(|directory| directory.to_str().unwrap()).join(":");
        assert_eq!(find_program("tool", &path), Some(first.join("tool")));
        assert_eq!(find_program("another", &path), None);
        assert_eq!(find_program("./tool", &path), None, "it is a path itself");
        assert_eq!(find_program("tool", "relative:"), None, "the system looks there");
    }
}
