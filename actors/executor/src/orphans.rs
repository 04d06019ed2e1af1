//! Processes below this one that have lost their parent: they become children of the executor, which ends them.
//!
//! A process can leave its group and session and clear its environment, but not its ancestry: the system gives an
//! orphan to the nearest ancestor that has asked for it (`prctl(2)`, `PR_SET_CHILD_SUBREAPER`). Only Linux does.

use crate::leaders::Leaders;
use crate::surroundings::TASK_ID;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use odeon_protocol::id::TaskId;
use std::collections::BTreeSet;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;
use tracing::warn;

/// How often the children are looked over before what is left is given up.
const ROUNDS_MAX: u32 = 400;
/// Between two looks.
const ROUND_INTERVAL: Duration = Duration::from_millis(5);

/// Makes this process the parent of all below it that lose theirs.
pub(crate) fn take_in() {
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        warn!(%error, "a process that leaves its group will not be found");
    }
}

/// Kills and buries every child of this process, and what becomes its child by that. Blocks.
///
/// Only for a process that has no children but those of tasks that have ended.
pub(crate) fn end_all() {
    end(|| if has_any() { children() } else { Vec::new() });
}

/// Whether a child of this process that is no leader carries the id of the task in its environment. It is quick, since
/// orphans come to the first thread of this process, and most often there are none.
pub(crate) fn has_any_of(task_id: &TaskId, leaders: &Leaders) -> bool {
    let first = format!("/proc/self/task/{}", Pid::this());
    let children = children_of_thread(Path::new(&first)).unwrap_or_else(children_by_parent);
    children.into_iter().any(|child| !leaders.has(child) && is_of(child, task_id))
}

/// As [`end_all`], for the children that carry the id of the task. Blocks.
///
/// Only for a task whose own process has ended.
pub(crate) fn end_those_of(task_id: &TaskId) {
    end(|| children().into_iter().filter(|child| is_of(*child, task_id)).collect());
}

/// Kills and buries what is found until nothing is.
fn end(find: impl Fn() -> Vec<Pid>) {
    let mut unburied = BTreeSet::new();
    for _ in 0..ROUNDS_MAX {
        unburied.extend(find());
        if unburied.is_empty() {
            return;
        }
        unburied.retain(|child| {
            // It may have ended since.
            let _ = kill(*child, Signal::SIGKILL);
            waitpid(*child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive)
        });
        sleep(ROUND_INTERVAL);
    }
    warn!("processes of a task cannot be killed");
}

/// A process that has ended has no environment any more.
fn is_of(pid: Pid, task_id: &TaskId) -> bool {
    let mark = format!("{TASK_ID}={task_id}");
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
}

/// Whether this process has children: one call, which nearly always says that there are none.
pub(crate) fn has_any() -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look) != Err(Errno::ECHILD)
}

/// The children of all threads, or, on a kernel that does not list them, what names this process as its parent.
fn children() -> Vec<Pid> {
    let listed = || {
        let mut found = Vec::new();
        for thread in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
            found.extend(children_of_thread(&thread.path())?);
        }
        Some(found)
    };
    listed().unwrap_or_else(children_by_parent)
}

fn children_of_thread(thread: &Path) -> Option<Vec<Pid>> {
    let line = std::fs::read_to_string(thread.join("children")).ok()?;
    Some(line.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect())
}

fn children_by_parent() -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let own = Pid::this().as_raw();
    pids.filter(|pid| parent_of(*pid) == Some(own)).map(Pid::from_raw).collect()
}

/// The second number behind the name in parentheses, which can hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_of_a_process_is_read_from_its_line() {
        assert_eq!(parent_of(Pid::this().as_raw()), Some(Pid::parent().as_raw()));
        assert_eq!(parent_of(-1), None);
    }
}
