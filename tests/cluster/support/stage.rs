//! The corner of the machine that one test has to itself.
//!
//! All that is started on a stage has the stage's own `TMPDIR`, which agents, executors and tasks hand on: it
//! tells their processes from those of any other test, and shows which files they leave.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Finished, Process, Running, eventually};

/// Directories and processes of one test. Dropping it kills the processes and removes the directories.
pub(crate) struct Stage {
    root: tempfile::TempDir,
    program: PathBuf,
    /// What every command finds in its environment.
    variables: Vec<(&'static str, PathBuf)>,
}

/// A command line of `odeon`, not started yet.
pub(crate) struct Invocation {
    name: String,
    command: Command,
}

impl Stage {
    /// An empty stage for the binary under test.
    pub(crate) fn new() -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_odeon")).to_owned())
    }

    /// An empty stage for an example that has the whole command line.
    pub(crate) fn of_example(name: &str) -> Self {
        let program = example(name);
        assert!(program.exists(), "{} is missing: run `cargo build --example {name}` before", program.display());
        Self::of(program)
    }

    fn of(program: PathBuf) -> Self {
        let root = tempfile::Builder::new().prefix("odeon-test-").tempdir().expect("a temporary directory");
        let stage = Self { root, program, variables: Vec::new() };
        for directory in [stage.temporary(), stage.here()] {
            fs::create_dir(directory).expect("an empty directory has room for two");
        }
        stage
    }

    /// Where temporary files of what runs on this stage go.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// The current directory of commands: empty at first.
    pub(crate) fn here(&self) -> PathBuf {
        self.root.path().join("here")
    }

    /// Adds a variable to the environment of every command.
    #[allow(dead_code, reason = "only hosts show something to all of them")]
    pub(crate) fn show(&mut self, name: &'static str, value: &Path) {
        self.variables.push((name, value.to_owned()));
    }

    /// Writes a file of the test.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.here().join(name);
        fs::write(&path, content).expect("a stage can be written to");
        path
    }

    /// A command line of the stage's binary. It sees nothing of the settings of whoever runs the tests.
    pub(crate) fn odeon<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Invocation {
        self.invoke(&self.program, arguments)
    }

    /// A command line of another binary that has the whole command line.
    pub(crate) fn invoke<I: IntoIterator<Item: AsRef<OsStr>>>(&self, program: &Path, arguments: I) -> Invocation {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.here()).env("TMPDIR", self.temporary());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ODEON")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        Invocation { name: format!("odeon {}", words.join(" ")), command }
    }

    /// The live processes of this stage.
    pub(crate) fn processes(&self) -> Vec<Process> {
        Process::all_with(&format!("TMPDIR={}", self.temporary().display()))
    }

    /// The live executors of this stage.
    pub(crate) fn executors(&self) -> Vec<Process> {
        self.processes().into_iter().filter(Process::is_executor).collect()
    }

    /// The live processes of this stage that run exactly this command line.
    pub(crate) fn commands(&self, command_line: &str) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.arguments.join(" ") == command_line).collect()
    }

    /// Waits until a process with this command line runs.
    pub(crate) fn wait_for_command(&self, command_line: &str) -> Process {
        eventually(&format!("a process `{command_line}`"), || self.commands(command_line).pop())
    }

    /// Waits until no process with this command line runs.
    pub(crate) fn wait_for_no_command(&self, command_line: &str) {
        let what = format!("the end of all processes `{command_line}`");
        eventually(&what, || self.commands(command_line).is_empty().then_some(()));
    }

    /// Waits until no process of this stage lives.
    pub(crate) fn wait_for_no_process(&self) {
        eventually("the end of all processes of the test", || self.processes().is_empty().then_some(()));
    }

    /// Requires that neither a process nor a temporary file is there, at this moment.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), Vec::new(), "processes are left");
        assert_eq!(files_in(&self.temporary()), Vec::<String>::new(), "temporary files are left");
    }

    /// What lies in the current directory of commands, sorted.
    pub(crate) fn files_here(&self) -> Vec<String> {
        files_in(&self.here())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Several times: a process may be starting another at this moment.
        for _ in 0..3 {
            self.processes().iter().for_each(Process::kill);
        }
    }
}

impl Invocation {
    /// Adds a variable to its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        Running::start(self.name, &mut self.command)
    }

    /// Starts it and waits for its end.
    pub(crate) fn end(self) -> Finished {
        self.start().end()
    }
}

/// The binary of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_odeon")).with_file_name("examples").join(name)
}

/// The names of what lies in a directory, sorted.
fn files_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
