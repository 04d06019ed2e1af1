//! The clock of the shell: what it hands to the core as `now`.

use odeon_protocol::moment::Moment;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Counts from its creation, with the clock of tokio, which tests can pause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Moment {
        // A clock before 1970 is shown as 1970: nothing depends on it.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Moment { since_start: self.start.elapsed(), wall_ms }
    }

    /// How long until a moment of this clock.
    pub(crate) fn until(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.start.elapsed())
    }
}
