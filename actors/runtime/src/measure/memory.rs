//! The memory of this process, as the system tells it.

/// The most memory that this process had up to a moment.
pub(super) struct Memory {
    peak_kib: u64,
}

impl Memory {
    /// From now on; nothing where the system does not tell.
    pub(super) fn now() -> Option<Self> {
        // Where it cannot be reset, an earlier peak hides what is below it.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        peak_kib().map(|peak_kib| Self { peak_kib })
    }

    /// By how much the peak has risen since, in MiB.
    pub(super) fn grown_mib(self) -> Option<f64> {
        Some((peak_kib()? - self.peak_kib.min(peak_kib()?)) as f64 / 1024.0)
    }
}

fn peak_kib() -> Option<u64> {
    peak_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_from_its_line_and_what_was_touched_since_is_told() {
        assert_eq!(peak_in("VmRSS:\t 5 kB\nVmHWM:\t   20480 kB\n"), Some(20_480));
        assert_eq!(peak_in("VmRSS:\t 5 kB\n"), None);
        let Some(memory) = Memory::now() else { return };
        let touched = std::hint::black_box(vec![1_u8; 64 * 1024 * 1024]);
        assert!(memory.grown_mib().is_some_and(|grown| grown > 32.0), "{}", touched.len());
    }
}
