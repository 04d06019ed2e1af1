//! A network namespace that is there as long as its value or a process in it.
//!
//! It has no name in the system, so nothing is left of it however the test ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

/// A network of its own, empty at first.
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    /// The reason why that is not permitted here.
    pub(crate) fn new() -> Result<Self, String> {
        // A thread enters it and ends; the open file keeps it.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| format!("no network namespace can be made: {error}"))?;
            File::open("/proc/thread-self/ns/net").map_err(|error| format!("a new namespace cannot be opened: {error}"))
        });
        let file = made.join().expect("the thread does not panic")?;
        Ok(Self { file })
    }

    /// The path under which `ip` finds it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// Does something within it: sockets that are opened and processes that are started meanwhile belong to it.
    pub(crate) fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("who made a namespace may enter it");
            act()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs commands of `ip` within it, one a line.
    ///
    /// # Errors
    /// What `ip` says.
    pub(crate) fn ip(&self, lines: &str) -> Result<(), String> {
        self.within(|| {
            let mut command = Command::new("ip");
            command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut ip = command.spawn().map_err(|error| format!("`ip` cannot be started: {error}"))?;
            let mut stdin = ip.stdin.take().expect("stdin is piped");
            stdin.write_all(lines.as_bytes()).map_err(|error| format!("`ip` does not listen: {error}"))?;
            drop(stdin);
            let ended = ip.wait_with_output().map_err(|error| format!("`ip` cannot be waited for: {error}"))?;
            let told = String::from_utf8_lossy(&ended.stderr).trim().replace('\n', "; ");
            ended.status.success().then_some(()).ok_or_else(|| format!("`ip` fails: {told}"))
        })
    }
}
