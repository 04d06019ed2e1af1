//! Keeping a measure on one core, so that figures do not depend on where the scheduler puts things.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// Pins this thread, and the processes it starts from now on, to the first core it may use.
///
/// # Errors
/// If the system refuses.
pub(super) fn to_one_core() -> io::Result<()> {
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread)?;
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let first = first.ok_or_else(|| io::Error::other("this thread may use no core"))?;
    let mut one = CpuSet::new();
    one.set(first)?;
    Ok(sched_setaffinity(this_thread, &one)?)
}
