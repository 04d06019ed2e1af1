//! How a driver comes to be subscribed, again and again, and what follows from it.

use super::{
    DriverCore, KILL_RETRY, Phase, RECONCILE_INTERVAL, RECONCILE_TASKS_MAX, SUBSCRIBE_BACKOFF_MAX,
    SUBSCRIBE_BACKOFF_MIN,
};
use crate::calls::Outcome;
use crate::effect::{Effect, MasterCall};
use crate::scheduler::Scheduler;
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::messages::master_scheduler::{
    DeclareDemand, KillFrameworkTask, ReconcileTasks, ReviveOffers, Subscribe, SubscribeError, Subscribed,
    SuppressOffers,
};
use odeon_protocol::moment::Moment;
use odeon_protocol::role::Role;
use std::collections::BTreeSet;
use std::time::Duration;

/// The master is being looked for.
#[derive(Debug)]
pub(super) struct Away {
    give_up_at: Duration,
    failures: u32,
    /// Why the last attempt was in vain.
    cause: String,
    attempt: Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Not begun.
    Idle,
    UnderWay,
    At(Duration),
}

impl Away {
    pub(super) fn idle() -> Self {
        let cause = "it has not answered".to_owned();
        Self { give_up_at: Duration::MAX, failures: 0, cause, attempt: Attempt::Idle }
    }

    fn begun(give_up_at: Duration) -> Self {
        Self { give_up_at, attempt: Attempt::UnderWay, ..Self::idle() }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.attempt == Attempt::UnderWay
    }

    fn on_failed(&mut self, cause: String, now: Moment) {
        let wait = SUBSCRIBE_BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures += 1;
        self.cause = cause;
        self.attempt = Attempt::At(now.after(wait.min(SUBSCRIBE_BACKOFF_MAX)));
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match self.attempt {
            Attempt::Idle => None,
            Attempt::UnderWay => Some(self.give_up_at),
            Attempt::At(at) => Some(at.min(self.give_up_at)),
        }
    }
}

impl<S: Scheduler> DriverCore<S> {
    /// The driver is up: subscribes.
    pub fn on_start(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.phase = Phase::Away(Away::begun(now.after(self.introduction.subscribe_timeout)));
        self.subscribe(out);
    }

    /// The connection to the master is gone.
    pub fn on_link_down(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Subscribed) {
            return;
        }
        self.phase = Phase::Away(Away::begun(now.after(self.introduction.subscribe_timeout)));
        self.offers.clear();
        self.subscribe(out);
        self.ask_scheduler(now, out, |scheduler, calls| scheduler.disconnected(calls));
    }

    /// The master answered a subscription, or could not be asked, for this cause.
    pub fn on_subscribe_answered(
        &mut self,
        answer: Result<Result<Subscribed, SubscribeError>, String>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match (&mut self.phase, answer) {
            (Phase::Away(_), Ok(Ok(subscribed))) => self.on_subscribed(subscribed, now, out),
            (Phase::Away(_), Ok(Err(refusal))) => self.fail(refusal.to_string(), out),
            (Phase::Away(away), Err(cause)) => away.on_failed(cause, now),
            (Phase::Finishing(_), answer) => self.on_subscribe_answered_late(answer, now, out),
            (Phase::Subscribed | Phase::Ended, _) => {}
        }
    }

    fn on_subscribed(&mut self, subscribed: Subscribed, now: Moment, out: &mut Vec<Effect>) {
        let resumed = self.framework_id.is_some();
        self.framework_id = Some(subscribed.framework_id.clone());
        self.phase = Phase::Subscribed;
        self.subscription += 1;
        self.reconcile_at = now.after(RECONCILE_INTERVAL);
        (self.interest_retry_at, self.demand_retry_at) = (None, None);
        if resumed && self.subscription == 1 {
            // Taken over from an earlier run: whatever it left is told.
            self.reconcile(vec![], out);
        } else if resumed {
            self.reconcile_unfinished(out);
        }
        if self.suppressed != self.suppressed_told {
            self.tell_interest(out);
        }
        // A subscription begins with none.
        if self.demand.is_some() {
            self.tell_demand(out);
        }
        self.tracker.hasten_kills(now);
        self.repeat_kills(now, out);
        self.ask_scheduler(now, out, |scheduler, calls| scheduler.subscribed(&subscribed.framework_id, calls));
        self.take_early(now, out);
    }

    pub(super) fn on_away_timer(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Phase::Away(away) = &mut self.phase else { return };
        if away.give_up_at <= now.since_start {
            let cause = away.cause.clone();
            self.end(Outcome::MasterUnreachable { cause }, out);
        } else if matches!(away.attempt, Attempt::At(at) if at <= now.since_start) {
            away.attempt = Attempt::UnderWay;
            self.subscribe(out);
        }
    }

    pub(super) fn on_subscribed_timer(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.reconcile_at <= now.since_start {
            self.reconcile_at = now.after(RECONCILE_INTERVAL);
            self.reconcile_unfinished(out);
        }
        if self.interest_retry_at.is_some_and(|at| at <= now.since_start) {
            self.tell_interest(out);
        }
        if self.demand_retry_at.is_some_and(|at| at <= now.since_start) {
            self.tell_demand(out);
        }
        self.repeat_kills(now, out);
    }

    pub(super) fn subscribe(&mut self, out: &mut Vec<Effect>) {
        self.early.clear();
        self.suppressed_told = self.suppressed;
        let Self { framework_id, introduction, .. } = self;
        let suppressed = if self.suppressed { own_roles(&introduction.info.roles) } else { BTreeSet::new() };
        out.push(Effect::Subscribe(Subscribe {
            framework_id: framework_id.clone(),
            info: introduction.info.clone(),
            suppressed,
            actor: introduction.actor.clone(),
        }));
    }

    /// Tells the master whether offers are wanted, under all roles.
    pub(super) fn tell_interest(&mut self, out: &mut Vec<Effect>) {
        self.interest_retry_at = None;
        if let Some(framework_id) = self.subscribed_id() {
            self.suppressed_told = self.suppressed;
            let roles = BTreeSet::new();
            let call = if self.suppressed {
                MasterCall::Suppress(SuppressOffers { framework_id, roles })
            } else {
                MasterCall::Revive(ReviveOffers { framework_id, roles })
            };
            self.call(call, out);
        }
    }

    /// Tells the master what is waited for, under all roles.
    pub(super) fn tell_demand(&mut self, out: &mut Vec<Effect>) {
        self.demand_retry_at = None;
        if let Some(framework_id) = self.subscribed_id() {
            let (roles, units) = (BTreeSet::new(), self.demand.clone());
            self.call(MasterCall::Demand(DeclareDemand { framework_id, roles, units }), out);
        }
    }

    pub(super) fn repeat_kills(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Some(framework_id) = self.subscribed_id() else { return };
        for task_id in self.tracker.take_kills(now, now.after(KILL_RETRY)) {
            let framework_id = framework_id.clone();
            self.call(MasterCall::Kill(KillFrameworkTask { framework_id, task_id }), out);
        }
    }

    /// No question if there is nothing to ask: an empty one would mean all tasks.
    fn reconcile_unfinished(&self, out: &mut Vec<Effect>) {
        for tasks in self.tracker.unfinished().chunks(RECONCILE_TASKS_MAX) {
            self.reconcile(tasks.to_vec(), out);
        }
    }

    pub(super) fn reconcile(&self, tasks: Vec<(TaskId, Option<AgentId>)>, out: &mut Vec<Effect>) {
        if let Some(framework_id) = self.subscribed_id() {
            self.call(MasterCall::Reconcile(ReconcileTasks { framework_id, tasks }), out);
        }
    }

    /// The id of the framework while calls can be made.
    pub(super) fn subscribed_id(&self) -> Option<FrameworkId> {
        self.framework_id.clone().filter(|_| matches!(self.phase, Phase::Subscribed))
    }
}

fn own_roles(roles: &BTreeSet<Role>) -> BTreeSet<Role> {
    if roles.is_empty() { BTreeSet::from([Role::default()]) } else { roles.clone() }
}
