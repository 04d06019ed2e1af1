//! Finds and kills what an executor has left behind, wherever it has gone.
//!
//! A process belongs to a run if its environment names the container, or if it is in the executor's
//! process group. One that leaves the group and clears its environment escapes; only cgroups would
//! hold it. Where `/proc` is absent, only the group is killed.

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use odeon_protocol::id::ContainerId;
use std::path::Path;
use std::time::Duration;

/// The variable that names the container; executors hand it to their tasks.
pub(crate) const CONTAINER_ID: &str = "ODEON_CONTAINER_ID";
/// How often a run is looked over before what is left is given up.
const SWEEPS_MAX: u32 = 200;
/// Between two looks.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);

/// The root of a run: its executor process.
#[derive(Debug, Clone)]
pub(crate) struct ProcessTree {
    container_id: ContainerId,
    root: Pid,
    /// When the root started, in ticks; nothing of the run is older.
    started: u64,
}

/// A process, told by its start from a later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    group: i32,
    started: u64,
    is_zombie: bool,
}

impl ProcessTree {
    /// The run of an executor that has just been started and not been waited for.
    pub(crate) fn of(container_id: ContainerId, root: i32) -> Self {
        let root = Pid::from_raw(root);
        let started = Process::look(root).map_or(0, |process| process.started);
        Self { container_id, root, started }
    }

    /// Signals the group of the root. Only for as long as the root has not been waited for: after that its
    /// number may be another's.
    pub(crate) fn signal_group(&self, signal: Signal) {
        // The only failure is that nobody is left.
        let _ = killpg(self.root, signal);
    }

    /// Kills what lives of the run, again and again until nothing does. Blocks.
    ///
    /// Returns how many processes are left: none, unless the system cannot kill them.
    pub(crate) fn sweep(&self) -> usize {
        if !Path::new("/proc/self/stat").exists() {
            self.signal_group(Signal::SIGKILL);
            return 0;
        }
        for _ in 0..SWEEPS_MAX {
            let left = self.members();
            if left.is_empty() {
                return 0;
            }
            left.iter().for_each(Process::kill);
            std::thread::sleep(SWEEP_INTERVAL);
        }
        self.members().len()
    }

    fn members(&self) -> Vec<Process> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
        let own = Pid::this();
        pids.filter(|pid| *pid != own).filter_map(Process::look).filter(|process| self.has(process)).collect()
    }

    fn has(&self, process: &Process) -> bool {
        if process.is_zombie || process.started < self.started {
            return false;
        }
        process.group == self.root.as_raw() || process.is_of(&self.container_id)
    }
}

impl Process {
    fn look(pid: Pid) -> Option<Self> {
        Self::parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Reads the line of `/proc/<pid>/stat`. The second field, a name in parentheses, can hold anything.
    fn parse(pid: Pid, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let is_zombie = matches!(*fields.first()?, "Z" | "X");
        Some(Self { pid, group: fields.get(2)?.parse().ok()?, started: fields.get(19)?.parse().ok()?, is_zombie })
    }

    fn is_of(&self, container_id: &ContainerId) -> bool {
        let environment = std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        has_entry(&environment, &format!("{CONTAINER_ID}={container_id}"))
    }

    fn kill(&self) {
        let same = Self::look(self.pid).is_some_and(|now| now.started == self.started);
        if same {
            // It may have ended since.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

fn has_entry(environment: &[u8], entry: &str) -> bool {
    environment.split(|byte| *byte == 0).any(|one| one == entry.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "42 (a) b (c) S 1 77 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 200";
        let process = Process::parse(Pid::from_raw(42), stat).unwrap();
        assert_eq!((process.group, process.started, process.is_zombie), (77, 123_456, false));
        assert_eq!(Process::parse(Pid::from_raw(42), "42 (a) Z 1"), None);
    }

    #[test]
    fn only_the_whole_entry_names_the_container() {
        let environment = b"A=1\0ODEON_CONTAINER_ID=c-1\0B=2\0";
        assert!(has_entry(environment, "ODEON_CONTAINER_ID=c-1"));
        assert!(!has_entry(environment, "ODEON_CONTAINER_ID=c-"));
        assert!(!has_entry(b"XODEON_CONTAINER_ID=c-1\0", "ODEON_CONTAINER_ID=c-1"));
    }
}
