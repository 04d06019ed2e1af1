//! How full the disk of the sandboxes is, and what follows: how long they are kept, and whether tasks are taken.

use super::{AgentCore, Out};
use crate::settings::AgentLimits;
use odeon_protocol::moment::Moment;
use std::fmt;
use std::time::Duration;

/// The whole of a disk, in thousandths.
const WHOLE: u32 = 1000;

/// The used part of a disk, in thousandths; what only the system may use counts as used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct DiskUsage(u32);

impl DiskUsage {
    /// Of so many bytes, so many are available.
    #[must_use]
    pub fn new(total_bytes: u64, available_bytes: u64) -> Self {
        let used = u128::from(total_bytes.saturating_sub(available_bytes));
        // What has no size is not looked at.
        let permille = (used * u128::from(WHOLE)).checked_div(u128::from(total_bytes)).unwrap_or_default();
        Self(u32::try_from(permille).expect("a part of the whole is at most the whole"))
    }

    /// How long a sandbox is kept after its end: the less, the fuller the disk.
    pub(super) fn sandbox_age_max(self, limits: &AgentLimits) -> Duration {
        let room = WHOLE.saturating_sub(limits.disk_headroom_permille).saturating_sub(self.0);
        limits.sandbox_age_max / WHOLE * room
    }
}

impl fmt::Display for DiskUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} %", self.0 / 10, self.0 % 10)
    }
}

impl AgentCore {
    /// The disk was looked at: sandboxes that are too old for it go.
    pub fn on_disk_measured(&mut self, usage: DiskUsage, now: Moment, out: &mut Out) {
        self.disk = usage;
        self.history.set_age_max(usage.sandbox_age_max(&self.limits));
        self.forget_sandboxes(now, out);
    }

    /// How often the disk is to be looked at.
    #[must_use]
    pub fn disk_watch_interval(&self) -> Duration {
        self.limits.disk_watch_interval
    }

    /// Whether the disk has no room for the output of a further task.
    pub(super) fn disk_is_full(&self) -> bool {
        self.disk.0 > self.limits.disk_full_permille
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_the_part_of_the_longest_that_is_free_beyond_the_headroom() {
        let age = |available| DiskUsage::new(1000, available).sandbox_age_max(&AgentLimits::DEFAULT);
        let week = Duration::from_secs(7 * 24 * 3600);
        assert_eq!(age(1000), week / 10 * 9);
        assert_eq!(age(600), week / 2);
        assert_eq!([age(100), age(0)], [Duration::ZERO; 2]);
    }

    #[test]
    fn a_usage_is_a_part_of_the_whole_whatever_the_system_says() {
        assert_eq!(DiskUsage::new(0, 5).to_string(), "0.0 %");
        assert_eq!(DiskUsage::new(3, 9).to_string(), "0.0 %");
        assert_eq!(DiskUsage::new(u64::MAX, 0).to_string(), "100.0 %");
        assert_eq!(DiskUsage::new(10_000, 63).to_string(), "99.3 %");
    }
}
