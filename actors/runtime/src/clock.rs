//! The clock of a shell: what it hands to its core as `now`.

use odeon_protocol::moment::Moment;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Counts from its creation, with the clock of tokio, which tests can pause.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Begins to count.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        // A clock before 1970 is shown as 1970: nothing depends on it.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ms = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
        Moment { since_start: self.start.elapsed(), wall_ms }
    }

    /// How long until a moment of this clock.
    #[must_use]
    pub fn until(&self, deadline: Duration) -> Duration {
        deadline.saturating_sub(self.start.elapsed())
    }
}
