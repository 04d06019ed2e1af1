//! The checks of one task: when each is due, and what an answer means.
//!
//! One question of each kind is under way at a time; the next one waits for the interval after its answer.

use crate::effect::CheckKind;
use odeon_protocol::moment::Moment;
use odeon_protocol::task::{Check, CheckResult, StatusReason, TaskInfo};
use std::time::Duration;

/// What an answer leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The framework hears of it.
    Tell { reason: StatusReason, message: String },
    /// The framework hears of it, and the task is killed.
    Kill { message: String },
}

#[derive(Debug, Default)]
pub(super) struct Checks {
    health: Option<Health>,
    plain: Option<Pulse>,
    /// What the health check says; stays when the checks have stopped.
    pub(super) healthy: Option<bool>,
    /// What the plain check has found last; stays as well.
    pub(super) found: Option<CheckResult>,
}

#[derive(Debug)]
struct Health {
    pulse: Pulse,
    failures: u32,
    failures_max: u32,
    grace: Duration,
    /// Until then, or until a good answer, bad ones do not count.
    grace_until: Option<Duration>,
}

#[derive(Debug)]
struct Pulse {
    check: Check,
    due: Due,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// The task does not run yet.
    NotYet,
    At(Duration),
    UnderWay,
}

impl Pulse {
    fn new(check: Check) -> Self {
        Self { check, due: Due::NotYet }
    }

    fn at(&self) -> Option<Duration> {
        match self.due {
            Due::At(at) => Some(at),
            Due::NotYet | Due::UnderWay => None,
        }
    }

    fn take_due(&mut self, now: Moment) -> Option<Check> {
        self.at().filter(|at| *at <= now.since_start)?;
        self.due = Due::UnderWay;
        Some(self.check.clone())
    }

    /// Whether the answer was waited for.
    fn on_answer(&mut self, now: Moment) -> bool {
        let was_asked = self.due == Due::UnderWay;
        if was_asked {
            self.due = Due::At(now.after(self.check.interval));
        }
        was_asked
    }
}

impl Checks {
    pub(super) fn of(task: &TaskInfo) -> Self {
        let health = task.health_check.as_deref().map(|health| Health {
            pulse: Pulse::new(health.check.clone()),
            failures: 0,
            failures_max: health.consecutive_failures,
            grace: health.grace,
            grace_until: None,
        });
        Self { health, plain: task.check.as_deref().cloned().map(Pulse::new), healthy: None, found: None }
    }

    /// The task runs: its delays begin, once.
    pub(super) fn on_running(&mut self, now: Moment) {
        for pulse in self.pulses() {
            if pulse.due == Due::NotYet {
                pulse.due = Due::At(now.after(pulse.check.delay));
            }
        }
        if let Some(health) = &mut self.health {
            health.grace_until.get_or_insert(now.after(health.grace));
        }
    }

    /// Asks nothing any more.
    pub(super) fn stop(&mut self) {
        (self.health, self.plain) = (None, None);
    }

    /// Whether nothing is asked.
    pub(super) fn is_empty(&self) -> bool {
        self.health.is_none() && self.plain.is_none()
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let health = self.health.as_ref().and_then(|health| health.pulse.at());
        health.into_iter().chain(self.plain.as_ref().and_then(Pulse::at)).min()
    }

    /// What is to be asked now; it counts as under way from then on.
    pub(super) fn take_due(&mut self, now: Moment) -> Vec<(CheckKind, Check)> {
        let health = self.health.as_mut().and_then(|health| health.pulse.take_due(now));
        let plain = self.plain.as_mut().and_then(|pulse| pulse.take_due(now));
        let health = health.map(|check| (CheckKind::Health, check));
        health.into_iter().chain(plain.map(|check| (CheckKind::Plain, check))).collect()
    }

    pub(super) fn on_answer(&mut self, kind: CheckKind, result: CheckResult, now: Moment) -> Option<Verdict> {
        match kind {
            CheckKind::Health => self.on_health(result, now),
            CheckKind::Plain => self.on_plain(result, now),
        }
    }

    /// Only a change is worth telling.
    fn on_plain(&mut self, result: CheckResult, now: Moment) -> Option<Verdict> {
        self.plain.as_mut()?.on_answer(now).then_some(())?;
        if self.found.replace(result) == Some(result) {
            return None;
        }
        Some(Verdict::Tell { reason: StatusReason::TaskCheckStatusUpdated, message: result.to_string() })
    }

    fn on_health(&mut self, result: CheckResult, now: Moment) -> Option<Verdict> {
        let health = self.health.as_mut()?;
        health.pulse.on_answer(now).then_some(())?;
        let reason = StatusReason::TaskHealthCheckStatusUpdated;
        if result.is_good() {
            health.failures = 0;
            // A good answer ends the grace.
            health.grace_until = Some(Duration::ZERO);
            let is_news = self.healthy.replace(true) != Some(true);
            return is_news.then(|| Verdict::Tell { reason, message: format!("healthy: {result}") });
        }
        if health.grace_until.is_some_and(|until| now.since_start < until) {
            return None;
        }
        health.failures = health.failures.saturating_add(1);
        self.healthy = Some(false);
        let message = format!("unhealthy, {} of {} times: {result}", health.failures, health.failures_max);
        let is_enough = health.failures >= health.failures_max;
        Some(if is_enough { Verdict::Kill { message } } else { Verdict::Tell { reason, message } })
    }

    fn pulses(&mut self) -> impl Iterator<Item = &mut Pulse> {
        self.health.iter_mut().map(|health| &mut health.pulse).chain(&mut self.plain)
    }
}
