//! The most memory that this process and all that descend from it have had.

use std::collections::BTreeMap;

/// What the system tells of one process.
struct Process {
    parent: u32,
    peak_kib: u64,
}

/// The sum of the peaks of this process and its descendants that live now, in bytes; nothing where the system does not tell.
pub(super) fn peak_bytes() -> Option<u64> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let read = |pid: u32| Some((pid, process(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)?));
    let processes: BTreeMap<u32, Process> = pids.filter_map(read).collect();
    let own = std::process::id();
    processes.contains_key(&own).then(|| family_kib(&processes, own) * 1024)
}

/// Kernel threads have no memory, and so no line of it.
fn process(status: &str) -> Option<Process> {
    let number = |label: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(label))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Process { parent: u32::try_from(number("PPid:")?).ok()?, peak_kib: number("VmHWM:")? })
}

fn family_kib(processes: &BTreeMap<u32, Process>, head: u32) -> u64 {
    let children = processes.iter().filter(|(_, process)| process.parent == head).map(|(pid, _)| *pid);
    processes.get(&head).map_or(0, |process| process.peak_kib)
        + children.map(|child| family_kib(processes, child)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_head_and_all_that_descend_from_it() {
        let status = |parent: u32, kib: u64| format!("Name:\tx\nPPid:\t{parent}\nVmHWM:\t   {kib} kB\n");
        let family = [(7, 1, 100), (8, 7, 20), (9, 8, 3), (10, 1, 1000)];
        let parsed = family.map(|(pid, parent, kib)| (pid, process(&status(parent, kib)).expect("three lines")));
        assert_eq!(family_kib(&parsed.into(), 7), 123);
        assert!(process("Name:\tkthreadd\nPPid:\t0\n").is_none());
    }

    #[test]
    fn this_process_has_memory() {
        assert!(peak_bytes().is_some_and(|bytes| bytes > 1024 * 1024));
    }
}
