//! `Leaders`: the processes that an executor has started for its commands. A child that is none of them has lost its
//! parent to the end of a task.

use nix::unistd::Pid;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use tokio::process::Child;

/// Those that have not been waited for. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leaders(Rc<RefCell<BTreeSet<Pid>>>);

/// One of them, until it is dropped.
pub(crate) struct Leader {
    leaders: Leaders,
    pid: Option<Pid>,
}

impl Leaders {
    /// Counts a process among them.
    pub(crate) fn add(&self, child: &Child) -> Leader {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        self.0.borrow_mut().extend(pid);
        Leader { leaders: self.clone(), pid }
    }

    /// Whether a process is one.
    pub(crate) fn has(&self, pid: Pid) -> bool {
        self.0.borrow().contains(&pid)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            self.leaders.0.borrow_mut().remove(&pid);
        }
    }
}
