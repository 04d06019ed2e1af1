//! Live processes, as `/proc` shows them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process that was alive when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// The command line, program first.
    pub(crate) arguments: Vec<String>,
}

impl Process {
    /// All live processes whose environment has this entry, `NAME=value`.
    ///
    /// A zombie has no environment any more, so it does not count.
    pub(crate) fn all_with(entry: &str) -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("Linux has /proc");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| words_of(*pid, "environ").iter().any(|one| one == entry))
            .map(|pid| Self { pid, arguments: words_of(pid, "cmdline") })
            .collect()
    }

    /// All live processes of the host with exactly this command line, whatever their environment.
    pub(crate) fn all_of(command_line: &str) -> Vec<Self> {
        let entries = fs::read_dir("/proc").expect("Linux has /proc");
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all = pids.map(|pid| Self { pid, arguments: words_of(pid, "cmdline") });
        all.filter(|process| process.arguments.join(" ") == command_line).collect()
    }

    /// Whether it is an executor of Odeon.
    pub(crate) fn is_executor(&self) -> bool {
        self.arguments.get(1).is_some_and(|word| word == "executor")
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        signal(self.pid, Signal::SIGKILL);
    }
}

/// Signals a process; that it has ended meanwhile is no failure.
pub(crate) fn signal(pid: i32, signal: Signal) {
    match kill(Pid::from_raw(pid), signal) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => panic!("cannot send {signal} to process {pid}: {error}"),
    }
}

/// The texts of a file of the process that ends each with a zero byte; none if the process is gone or another user's.
fn words_of(pid: i32, file: &str) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}
