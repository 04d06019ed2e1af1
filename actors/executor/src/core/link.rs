//! What the executor knows of its link to the agent, and how long it waits for it.

use odeon_protocol::moment::Moment;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Link {
    /// Not wanted yet, or not any more.
    #[default]
    Out,
    /// The agent is being asked to register this executor.
    Registering {
        /// Then the agent counts as lost.
        give_up_at: Duration,
        /// The next attempt; nothing while one is under way.
        retry_at: Option<Duration>,
    },
    /// Registered.
    Up,
}

impl Link {
    /// A first attempt is under way.
    pub(super) fn waiting(give_up_at: Duration) -> Self {
        Self::Registering { give_up_at, retry_at: None }
    }

    /// The attempt failed.
    pub(super) fn on_failed(&mut self, next_attempt: Duration) {
        if let Self::Registering { retry_at, .. } = self {
            *retry_at = Some(next_attempt);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self {
            Self::Registering { give_up_at, retry_at } => Some(retry_at.unwrap_or(*give_up_at).min(*give_up_at)),
            Self::Out | Self::Up => None,
        }
    }

    /// Whether the agent has been out of reach for too long; tells it once.
    pub(super) fn take_lost(&mut self, now: Moment) -> bool {
        let lost = matches!(self, Self::Registering { give_up_at, .. } if *give_up_at <= now.since_start);
        if lost {
            *self = Self::Out;
        }
        lost
    }

    /// Whether an attempt is due; it counts as under way from then on.
    pub(super) fn take_retry(&mut self, now: Moment) -> bool {
        match self {
            Self::Registering { retry_at, .. } if retry_at.is_some_and(|at| at <= now.since_start) => {
                *retry_at = None;
                true
            }
            _ => false,
        }
    }
}
