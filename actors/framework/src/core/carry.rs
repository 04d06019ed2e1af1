//! How what a scheduler calls for is carried out.

use super::{DriverCore, Phase};
use crate::calls::Call;
use crate::effect::{Effect, MasterCall};
use crate::scheduler::Scheduler;
use odeon_protocol::id::OfferId;
use odeon_protocol::messages::master_scheduler::{AcceptOffers, DeclineOffers, OfferOperation};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::Filters;
use odeon_protocol::resources::Resources;
use odeon_protocol::task::{StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus};

impl<S: Scheduler> DriverCore<S> {
    pub(super) fn carry_out(&mut self, call: Call, now: Moment, out: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Finishing(_) | Phase::Ended) {
            return;
        }
        match call {
            Call::Accept { offer_ids, operations, tasks, filters } => {
                self.accept(offer_ids, operations, tasks, filters, now, out);
            }
            Call::Decline { offer_ids, filters } => self.decline(offer_ids, filters, out),
            Call::Revive => self.set_interest(false, out),
            Call::Suppress => self.set_interest(true, out),
            Call::Demand(units) => self.set_demand(units, out),
            Call::Kill(task_id) => {
                self.tracker.on_kill(task_id, now.since_start);
                self.repeat_kills(now, out);
            }
            // While it is away it would ask in vain, and is told everything as soon as it is back.
            Call::Reconcile(tasks) => self.reconcile(tasks, out),
            Call::Finish(outcome) => self.finish(outcome, now, out),
        }
    }

    fn set_interest(&mut self, suppressed: bool, out: &mut Vec<Effect>) {
        self.suppressed = suppressed;
        self.tell_interest(out);
    }

    fn set_demand(&mut self, units: Option<Vec<Resources>>, out: &mut Vec<Effect>) {
        if self.demand != units {
            self.demand = units;
            self.tell_demand(out);
        }
    }

    fn accept(
        &mut self,
        offer_ids: Vec<OfferId>,
        operations: Vec<OfferOperation>,
        tasks: Vec<TaskInfo>,
        filters: Filters,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let valid = offer_ids.iter().all(|offer_id| self.offers.contains(offer_id));
        let framework_id = self.subscribed_id().filter(|_| valid);
        let Some(framework_id) = framework_id else {
            // Those that are valid still go back to the master; of the others it knows already.
            self.decline(offer_ids, filters, out);
            return self.drop_tasks(tasks, now);
        };
        for offer_id in &offer_ids {
            self.offers.remove(offer_id);
        }
        for task in &tasks {
            self.tracker.on_launched(task.task_id.clone());
        }
        self.call(MasterCall::Accept(AcceptOffers { framework_id, offer_ids, operations, tasks, filters }), out);
    }

    fn decline(&mut self, mut offer_ids: Vec<OfferId>, filters: Filters, out: &mut Vec<Effect>) {
        offer_ids.retain(|offer_id| self.offers.remove(offer_id));
        if let Some(framework_id) = self.subscribed_id().filter(|_| !offer_ids.is_empty()) {
            self.call(MasterCall::Decline(DeclineOffers { framework_id, offer_ids, filters }), out);
        }
    }

    /// The offer is void, so the tasks are not even sent. Told by the timer, not at once: a scheduler
    /// that tries the same again and again must not keep its driver from everything else.
    fn drop_tasks(&mut self, tasks: Vec<TaskInfo>, now: Moment) {
        let state = TaskState::Dropped.as_told_to(self.introduction.info.is_partition_aware());
        for task in tasks {
            let status = TaskStatus::new(task.task_id, state, StatusSource::Master).at(now.wall_ms);
            self.local.push_back(status.because(StatusReason::InvalidOffers, "the offer is not valid any more"));
        }
    }
}
