//! The time that a shell hands to its core: cores never read a clock.

use std::time::Duration;

/// A point in time: monotonic for deadlines, wall clock for what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment {
    /// Time since the node started; never runs backwards, and decides every deadline.
    pub since_start: Duration,
    /// Milliseconds since the Unix epoch; shown to people, and compared only with what an earlier process wrote down.
    /// A clock that is set decides nothing else.
    pub wall_ms: u64,
}

impl Moment {
    /// A moment so many milliseconds after the start, for tests.
    #[must_use]
    pub fn at_ms(ms: u64) -> Self {
        Self { since_start: Duration::from_millis(ms), wall_ms: ms }
    }

    /// The monotonic time `wait` from now.
    #[must_use]
    pub fn after(self, wait: Duration) -> Duration {
        self.since_start.saturating_add(wait)
    }
}
