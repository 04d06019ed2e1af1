//! When the next checkpoint is due.
//!
//! It reads no clock: it is told the time.

use std::time::Duration;

use crate::job::TrainSettings;

/// Counts what is not in the last checkpoint.
#[derive(Debug, Clone)]
pub(crate) struct CheckpointClock {
    rounds: u32,
    interval: Duration,
    /// Passes that the last one does not have.
    missing: u32,
    last: Duration,
}

impl CheckpointClock {
    /// Begins at `now`, with all that is known written.
    pub(crate) fn new(settings: &TrainSettings, now: Duration) -> Self {
        let interval = Duration::from_secs(settings.checkpoint_seconds.into());
        Self { rounds: settings.checkpoint_rounds, interval, missing: 0, last: now }
    }

    /// A pass is done; whether a checkpoint is to be written, which counts as written then. The last pass of a training
    /// always is.
    pub(crate) fn on_pass(&mut self, now: Duration, is_last: bool) -> bool {
        self.missing += 1;
        let is_due = is_last || self.missing >= self.rounds || now >= self.last + self.interval;
        if is_due {
            (self.missing, self.last) = (0, now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_after_so_many_passes_or_so_many_seconds_and_at_the_end() {
        let settings = TrainSettings { checkpoint_rounds: 3, checkpoint_seconds: 10, ..TrainSettings::default() };
        let mut clock = CheckpointClock::new(&settings, Duration::from_secs(100));
        let mut due = |seconds, is_last| clock.on_pass(Duration::from_secs(seconds), is_last);
        let by_count = [101, 102, 103, 104].map(|seconds| due(seconds, false));
        assert_eq!(by_count, [false, false, true, false]);
        let by_time = [112, 113, 114].map(|seconds| due(seconds, false));
        assert_eq!(by_time, [false, true, false]);
        assert_eq!([115, 116].map(|seconds| due(seconds, seconds == 116)), [false, true]);
    }
}
