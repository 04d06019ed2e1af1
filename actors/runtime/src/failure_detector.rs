//! Says from the past silences of a link how long one may last before the link counts as dead: the phi accrual rule. Pure.
//!
//! It knows one link. Who is a member, and what becomes of the actors beyond the link, is decided above the fabric.

use crate::limits::FabricLimits;
use std::collections::VecDeque;
use std::time::Duration;

/// Silences that are remembered: one for each heartbeat, so that a link has forgotten a bad spell after a minute.
const SILENCES_MAX: usize = 60;
/// How many standard deviations above its mean a normally distributed silence exceeds once in 10^8 times: phi 8.
const DEVIATIONS: f64 = 5.612;
/// Of the heartbeat interval: silences are never taken to be more regular than this.
const DEVIATION_MIN: f64 = 0.1;
/// Of the heartbeat interval: how regular the silences of a new link are taken to be.
const DEVIATION_AT_FIRST: f64 = 0.25;

/// Hears of all bytes that arrive on a link, whatever they are, and says when the link is to be given up.
///
/// What it learns from is the longest silence of each heartbeat interval, so a link that carries much teaches it as fast as
/// an idle one. Times count from any one moment.
///
/// # Source
/// Hayashibara, Défago, Yared, Katayama, *The phi accrual failure detector*, SRDS 2004, with a lower bound of the deviation,
/// a pause that is always forgiven, and an upper bound of the whole.
#[derive(Debug)]
pub(crate) struct FailureDetector {
    interval: Duration,
    pause: Duration,
    silence_max: Duration,
    /// When bytes last arrived.
    last: Duration,
    /// The longest silence since `began`, the first moment that no remembered silence covers.
    longest: Duration,
    began: Duration,
    /// The oldest first.
    silences: VecDeque<Duration>,
}

impl FailureDetector {
    /// Begins with a link on which bytes arrive just now.
    pub(crate) fn new(limits: &FabricLimits, now: Duration) -> Self {
        let interval = limits.heartbeat_interval;
        let apart = interval.mul_f64(DEVIATION_AT_FIRST);
        Self {
            interval,
            pause: limits.heartbeat_pause,
            silence_max: limits.heartbeat_timeout,
            last: now,
            longest: Duration::ZERO,
            began: now,
            silences: VecDeque::from([interval.saturating_sub(apart), interval.saturating_add(apart)]),
        }
    }

    /// Bytes have arrived.
    pub(crate) fn on_bytes(&mut self, now: Duration) {
        self.longest = self.longest.max(now.saturating_sub(self.last));
        self.last = now;
        if now.saturating_sub(self.began) < self.interval {
            return;
        }
        if self.silences.len() == SILENCES_MAX {
            self.silences.pop_front();
        }
        self.silences.push_back(std::mem::take(&mut self.longest));
        self.began = now;
    }

    /// When the link is given up, unless bytes arrive before.
    pub(crate) fn due(&self) -> Duration {
        self.last.saturating_add(self.patience())
    }

    /// How long it has been silent.
    pub(crate) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// The silence whose phi is 8, and the pause; never above the upper bound.
    fn patience(&self) -> Duration {
        let count = self.silences.len() as f64;
        let mean = self.silences.iter().map(Duration::as_secs_f64).sum::<f64>() / count;
        let squares = self.silences.iter().map(|silence| (silence.as_secs_f64() - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt().max(self.interval.as_secs_f64() * DEVIATION_MIN);
        let expected = Duration::try_from_secs_f64(mean + DEVIATIONS * deviation).unwrap_or(Duration::MAX);
        expected.saturating_add(self.pause).min(self.silence_max)
    }
}

#[cfg(test)]
#[path = "failure_detector_test.rs"]
mod tests;
