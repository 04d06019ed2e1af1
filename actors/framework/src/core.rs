//! Decides what the driver of a scheduler does: subscription, offers, updates and the end.
//!
//! Deliberately absent: sockets, clocks, and any knowledge of what the scheduler is for. Nothing is
//! durable here: an update is acknowledged when the scheduler's method has returned.

mod carry;
mod events;
mod finish;
mod seen;
mod subscription;
mod tracker;

use crate::calls::{Calls, Outcome};
use crate::effect::{CallAnswer, CallKind, Effect, MasterCall, Ticket};
use crate::event::MasterEvent;
use crate::scheduler::Scheduler;
use finish::Finishing;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{FrameworkId, OfferId};
use odeon_protocol::messages::master_scheduler::CallError;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::TaskStatus;
use seen::SeenUpdates;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;
use subscription::Away;
use tracker::Tracker;

/// Before the second attempt to subscribe; doubles with each further one.
pub const SUBSCRIBE_BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest wait between two attempts to subscribe. No jitter: the fabric spreads the dials.
pub const SUBSCRIBE_BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long a client tries to reach the master, unless told otherwise.
pub const SUBSCRIBE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// How often the states of unfinished tasks are asked for.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// When they are asked for after a launch that was not answered.
pub const RECONCILE_SOON: Duration = Duration::from_secs(1);
/// Tasks that one question names.
pub const RECONCILE_TASKS_MAX: usize = 1000;
/// Before a kill is repeated.
pub const KILL_RETRY: Duration = Duration::from_secs(10);
/// Before the master is told again whether offers are wanted.
pub const INTEREST_RETRY: Duration = Duration::from_secs(1);
/// How long the end of the framework may take; after it, the master has to see that it is gone.
pub const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// Before the end of the framework is asked for again.
pub const TEARDOWN_RETRY: Duration = Duration::from_millis(200);
/// The shortest time between two ticks.
pub const TICK_MIN: Duration = Duration::from_millis(10);

/// What a driver says about itself, and how patient it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// The framework.
    pub info: FrameworkInfo,
    /// The id of an earlier run whose tasks are taken over.
    pub framework_id: Option<FrameworkId>,
    /// The actor that hears the master.
    pub actor: String,
    /// How long to try to reach the master, at first and after each break.
    pub subscribe_timeout: Duration,
}

/// The state of a scheduler's driver, with the scheduler in it.
#[derive(Debug)]
pub struct DriverCore<S> {
    scheduler: S,
    introduction: Introduction,
    framework_id: Option<FrameworkId>,
    phase: Phase,
    /// Counts the subscriptions.
    subscription: u64,
    /// Offers that may still be used.
    offers: BTreeSet<OfferId>,
    tracker: Tracker,
    seen: SeenUpdates,
    suppressed: bool,
    /// What the master was told of it last.
    suppressed_told: bool,
    interest_retry_at: Option<Duration>,
    /// What the scheduler waits for, if it has said so.
    demand: Option<Vec<Resources>>,
    demand_retry_at: Option<Duration>,
    /// Heard before the answer to the subscription.
    early: Vec<MasterEvent>,
    /// Updates of tasks that never reached the master.
    local: VecDeque<TaskStatus>,
    reconcile_at: Duration,
    tick_not_before: Duration,
}

#[derive(Debug)]
enum Phase {
    Away(Away),
    Subscribed,
    Finishing(Finishing),
    Ended,
}

impl<S: Scheduler> DriverCore<S> {
    /// A driver that has not subscribed yet.
    #[must_use]
    pub fn new(introduction: Introduction, scheduler: S) -> Self {
        Self {
            scheduler,
            framework_id: introduction.framework_id.clone(),
            introduction,
            phase: Phase::Away(Away::idle()),
            subscription: 0,
            offers: BTreeSet::new(),
            tracker: Tracker::default(),
            seen: SeenUpdates::default(),
            suppressed: false,
            suppressed_told: false,
            interest_retry_at: None,
            demand: None,
            demand_retry_at: None,
            early: Vec::new(),
            local: VecDeque::new(),
            reconcile_at: Duration::MAX,
            tick_not_before: Duration::ZERO,
        }
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &S {
        &self.scheduler
    }

    /// Gives the scheduler back.
    pub fn into_scheduler(self) -> S {
        self.scheduler
    }

    /// Somebody outside has something to tell the scheduler or to ask of it.
    pub fn on_input<R>(&mut self, act: impl FnOnce(&mut S, &mut Calls) -> R, now: Moment, out: &mut Vec<Effect>) -> R {
        self.ask_scheduler(now, out, act)
    }

    /// Somebody outside wants the framework to end.
    pub fn on_interrupt(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.finish(Outcome::Interrupted, now, out);
    }

    /// What came of a call.
    pub fn on_call_answered(&mut self, ticket: Ticket, answer: CallAnswer, now: Moment, out: &mut Vec<Effect>) {
        if ticket.kind == CallKind::Teardown {
            return self.on_teardown_answered(&answer, now, out);
        }
        let is_current = ticket.subscription == self.subscription && matches!(self.phase, Phase::Subscribed);
        match (answer, ticket.kind) {
            (CallAnswer::Answered(Ok(())), _) => {}
            _ if !is_current => {}
            // The master answered somebody it does not know: it is a new one, or has not noticed us yet.
            (CallAnswer::Answered(Err(CallError::UnknownFramework(_) | CallError::NotSubscribed(_))), _)
            | (CallAnswer::Broken, _) => self.on_link_down(now, out),
            (
                CallAnswer::Answered(Err(error @ (CallError::Operation { .. } | CallError::OffersUnusable(_)))),
                CallKind::Accept,
            ) => self.ask_scheduler(now, out, |scheduler, calls| scheduler.refused(&error, calls)),
            (_, CallKind::Accept) => self.reconcile_at = self.reconcile_at.min(now.after(RECONCILE_SOON)),
            (_, CallKind::Interest) => self.interest_retry_at = Some(now.after(INTEREST_RETRY)),
            (_, CallKind::Demand) => self.demand_retry_at = Some(now.after(INTEREST_RETRY)),
            (_, CallKind::Teardown | CallKind::Other) => {}
        }
    }

    /// When [`DriverCore::on_timer`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let tick = || self.scheduler.next_tick().map(|at| at.max(self.tick_not_before));
        let local = || (!self.local.is_empty()).then_some(Duration::ZERO);
        match &self.phase {
            Phase::Ended => None,
            Phase::Finishing(finishing) => Some(finishing.next_deadline()),
            Phase::Away(away) => [away.next_deadline(), tick(), local()].into_iter().flatten().min(),
            Phase::Subscribed => {
                let reconcile = Some(self.reconcile_at);
                let others = [
                    self.interest_retry_at,
                    self.demand_retry_at,
                    self.tracker.next_kill(),
                    reconcile,
                    tick(),
                    local(),
                ];
                others.into_iter().flatten().min()
            }
        }
    }

    /// Does what is due.
    pub fn on_timer(&mut self, now: Moment, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Ended => return,
            Phase::Finishing(_) => return self.on_finish_timer(now, out),
            Phase::Away(_) => self.on_away_timer(now, out),
            Phase::Subscribed => self.on_subscribed_timer(now, out),
        }
        for status in std::mem::take(&mut self.local) {
            self.show(&status, now, out);
        }
        let due = self.scheduler.next_tick().is_some_and(|at| at.max(self.tick_not_before) <= now.since_start);
        if due && !matches!(self.phase, Phase::Finishing(_) | Phase::Ended) {
            self.tick_not_before = now.after(TICK_MIN);
            self.ask_scheduler(now, out, |scheduler, calls| scheduler.tick(now, calls));
        }
    }

    fn show(&mut self, status: &TaskStatus, now: Moment, out: &mut Vec<Effect>) {
        self.tracker.on_update(status);
        self.ask_scheduler(now, out, |scheduler, calls| scheduler.update(status, calls));
    }

    /// Calls the scheduler and carries out what it wants, which is nothing any more once it finished.
    fn ask_scheduler<R>(&mut self, now: Moment, out: &mut Vec<Effect>, act: impl FnOnce(&mut S, &mut Calls) -> R) -> R {
        let mut calls = Calls::new(now);
        let result = act(&mut self.scheduler, &mut calls);
        for call in calls.into_vec() {
            self.carry_out(call, now, out);
        }
        result
    }

    fn call(&self, call: MasterCall, out: &mut Vec<Effect>) {
        let ticket = Ticket { subscription: self.subscription, kind: call.kind() };
        out.push(Effect::Call { ticket, call });
    }

    /// Ends at once, without asking the master: it has no such framework.
    fn fail(&mut self, message: String, out: &mut Vec<Effect>) {
        self.scheduler.failed(&message);
        self.end(Outcome::Failed(message), out);
    }

    fn end(&mut self, outcome: Outcome, out: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        self.offers.clear();
        out.push(Effect::End(outcome));
    }
}

#[cfg(test)]
#[path = "core_test.rs"]
mod tests;
