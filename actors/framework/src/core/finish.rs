//! How a run ends: the framework is taken down, so that nothing of it is left in the cluster.

use super::{DriverCore, Phase, TEARDOWN_RETRY, TEARDOWN_TIMEOUT};
use crate::calls::Outcome;
use crate::effect::{CallAnswer, Effect, MasterCall};
use crate::scheduler::Scheduler;
use odeon_protocol::id::FrameworkId;
use odeon_protocol::messages::master_scheduler::{CallError, SubscribeError, Subscribed, TeardownFramework};
use odeon_protocol::moment::Moment;
use std::time::Duration;

/// An end that has begun.
#[derive(Debug)]
pub(super) struct Finishing {
    outcome: Outcome,
    /// Ends then, whatever the master says.
    deadline: Duration,
    /// The next attempt; nothing while one is under way.
    retry_at: Option<Duration>,
}

impl Finishing {
    pub(super) fn next_deadline(&self) -> Duration {
        self.retry_at.unwrap_or(self.deadline).min(self.deadline)
    }
}

impl<S: Scheduler> DriverCore<S> {
    /// Begins the end. Of several the first counts.
    pub(super) fn finish(&mut self, outcome: Outcome, now: Moment, out: &mut Vec<Effect>) {
        let mut finishing = Finishing { outcome, deadline: now.after(TEARDOWN_TIMEOUT), retry_at: None };
        match (&self.phase, self.framework_id.clone()) {
            (Phase::Finishing(_) | Phase::Ended, _) => return,
            (Phase::Subscribed, Some(framework_id)) => self.tear_down(framework_id, out),
            // The answer to the subscription under way decides.
            (Phase::Away(away), _) if away.is_under_way() => {}
            (_, Some(_)) => finishing.retry_at = Some(now.since_start),
            (_, None) => return self.end(finishing.outcome, out),
        }
        self.phase = Phase::Finishing(finishing);
        self.offers.clear();
    }

    pub(super) fn on_finish_timer(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let Phase::Finishing(finishing) = &mut self.phase else { return };
        if finishing.deadline <= now.since_start {
            self.end_as_begun(out);
        } else if finishing.retry_at.is_some_and(|at| at <= now.since_start) {
            finishing.retry_at = None;
            // Only a subscribed scheduler can end its framework.
            self.subscribe(out);
        }
    }

    pub(super) fn on_subscribe_answered_late(
        &mut self,
        answer: Result<Result<Subscribed, SubscribeError>, String>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match answer {
            Ok(Ok(subscribed)) => {
                self.framework_id = Some(subscribed.framework_id.clone());
                self.tear_down(subscribed.framework_id, out);
            }
            Ok(Err(_)) => self.end_as_begun(out),
            Err(_) if self.framework_id.is_none() => self.end_as_begun(out),
            Err(_) => self.finish_later(now),
        }
    }

    pub(super) fn on_teardown_answered(&mut self, answer: &CallAnswer, now: Moment, out: &mut Vec<Effect>) {
        match answer {
            _ if !matches!(self.phase, Phase::Finishing(_)) => {}
            CallAnswer::Answered(Ok(()) | Err(CallError::UnknownFramework(_))) => self.end_as_begun(out),
            CallAnswer::Answered(Err(_)) | CallAnswer::NoAnswer | CallAnswer::Broken => self.finish_later(now),
        }
    }

    fn finish_later(&mut self, now: Moment) {
        if let Phase::Finishing(finishing) = &mut self.phase {
            finishing.retry_at = Some(now.after(TEARDOWN_RETRY));
        }
    }

    fn tear_down(&self, framework_id: FrameworkId, out: &mut Vec<Effect>) {
        self.call(MasterCall::Teardown(TeardownFramework { framework_id }), out);
    }

    fn end_as_begun(&mut self, out: &mut Vec<Effect>) {
        if let Phase::Finishing(finishing) = &self.phase {
            self.end(finishing.outcome.clone(), out);
        }
    }
}
