//! Finds and kills what an executor has left behind, wherever it has gone.
//!
//! A process belongs to a run if its environment names the container, if it is in the executor's
//! process group, or if it descended from the executor when that was to be killed. One that leaves the
//! group and clears its environment escapes if somebody else kills the executor; only cgroups would hold
//! it. Where `/proc` is absent, only the group is killed.

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

/// In the environment of an executor, and not in that of its commands.
pub(crate) const EXECUTOR_ID: &str = "ODEON_EXECUTOR_ID";

/// The processes of a run.
#[derive(Debug, Clone)]
pub(crate) struct ProcessTree {
    container_id: ContainerId,
    /// The executor process; nothing of the run is older. None if it was gone when it was looked for.
    root: Option<Process>,
    /// What has descended from the root, wherever it has gone; see [`ProcessTree::note_descendants`].
    descendants: Vec<Process>,
}

/// A process, told by its start from a later one with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: Pid,
    parent: i32,
    group: i32,
    started: u64,
    is_zombie: bool,
}

impl ProcessTree {
    /// The run of an executor that has just been started and not been waited for.
    pub(crate) fn of(container_id: ContainerId, root: i32) -> Self {
        let root = Pid::from_raw(root);
        let unseen = Process { pid: root, parent: 0, group: root.as_raw(), started: 0, is_zombie: false };
        Self { container_id, root: Some(Process::look(root).unwrap_or(unseen)), descendants: Vec::new() }
    }

    /// The run of an executor that an earlier process of the agent has started. Blocks.
    ///
    /// It is found by the mark of the container alone: no number of a process is remembered, so none that
    /// was given to a stranger meanwhile is ever taken for it.
    pub(crate) fn find(container_id: ContainerId) -> Self {
        let mut tree = Self { container_id, root: None, descendants: Vec::new() };
        let executors = tree.members().into_iter().filter(Process::is_executor);
        tree.root = executors.min_by_key(|process| process.started);
        tree
    }

    /// Whether the executor process lives.
    pub(crate) fn is_alive(&self) -> bool {
        let root = self.root.as_ref();
        root.and_then(Process::again).is_some_and(|process| !process.is_zombie)
    }

    /// Remembers what descends from the root. Comes before the root is killed: then its orphans become another's. Blocks.
    pub(crate) fn note_descendants(&mut self) {
        let Some(root) = self.root.filter(|root| root.again().is_some()) else { return };
        let all = processes();
        let mut found = vec![root];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(all.iter().filter(|one| one.parent == parent.pid.as_raw() && one.pid != Pid::this()));
            next += 1;
        }
        self.descendants = found;
    }

    /// Signals the group of the root, unless the number of the root is another's by now.
    pub(crate) fn signal_group(&self, signal: Signal) {
        let root = self.root.as_ref().filter(|root| root.again().is_some() || !has_proc());
        if let Some(root) = root {
            // The only failure is that nobody is left.
            let _ = killpg(root.pid, signal);
        }
    }

    /// Kills what lives of the run, again and again until nothing does. Blocks.
    ///
    /// Returns how many processes are left: none, unless the system cannot kill them.
    pub(crate) fn sweep(&self) -> usize {
        if !has_proc() {
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
        let own = Pid::this();
        processes().into_iter().filter(|process| process.pid != own && self.has(process)).collect()
    }

    fn has(&self, process: &Process) -> bool {
        let root = self.root.as_ref();
        if process.is_zombie || root.is_some_and(|root| process.started < root.started) {
            return false;
        }
        let descends = self.descendants.iter().any(|one| (one.pid, one.started) == (process.pid, process.started));
        descends || root.is_some_and(|root| process.group == root.pid.as_raw()) || process.is_of(&self.container_id)
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
        Some(Self {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            is_zombie,
        })
    }

    /// The same process as it is now.
    fn again(&self) -> Option<Self> {
        Self::look(self.pid).filter(|now| now.started == self.started)
    }

    fn environment(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default()
    }

    fn is_of(&self, container_id: &ContainerId) -> bool {
        has_entry(&self.environment(), &format!("{CONTAINER_ID}={container_id}"))
    }

    fn is_executor(&self) -> bool {
        let name = format!("{EXECUTOR_ID}=");
        self.environment().split(|byte| *byte == 0).any(|entry| entry.starts_with(name.as_bytes()))
    }

    fn kill(&self) {
        if self.again().is_some() {
            // It may have ended since.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

/// All processes of the host.
fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.map(Pid::from_raw).filter_map(Process::look).collect()
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
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
