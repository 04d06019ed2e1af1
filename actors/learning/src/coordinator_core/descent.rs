//! The part of the coordinator that runs a descent: batches of the tree instead of passes over it.
//!
//! What a batch means is told in `combine`; here is who is asked, and what is done about those who fail.

use std::time::Duration;

use super::{BadPartial, CoordinatorCore, DropReason, Effect, Phase, check_values};
use crate::{
    blocks::NodeId,
    combine::{Absorbed, Descent, DescentEnd},
    messages::{Partial, WorkerId},
    optimiser::lbfgs::{Evaluated, StopReason},
    program::{Progress, TrainError},
};

/// A descent under way.
#[derive(Debug)]
pub(super) struct OpenDescent {
    descent: Descent,
    /// Passes before it.
    passes: u64,
    /// Who has insisted that its sums are not finite.
    overflow: Option<WorkerId>,
}

impl CoordinatorCore {
    pub(super) fn begin_descent(&mut self, now: Duration, mut descent: Descent, out: &mut Vec<Effect>) {
        let pass_number = self.pass_number;
        for (worker, known) in &mut self.workers {
            known.begin_pass(pass_number);
            // One that owes an answer to a pass takes part when it has come.
            if known.owed.is_none() {
                descent.join(worker.clone());
            }
        }
        self.phase = Phase::Descending(Box::new(OpenDescent { descent, passes: self.pass_number, overflow: None }));
        self.ask_batches(now, out);
    }

    /// A worker that owes nothing takes part.
    pub(super) fn join_descent(&mut self, now: Duration, worker: &WorkerId, out: &mut Vec<Effect>) {
        let is_free = self.workers.get(worker).is_some_and(|known| known.owed.is_none());
        let Phase::Descending(open) = &mut self.phase else { return };
        if is_free {
            open.descent.join(worker.clone());
            self.ask_batches(now, out);
        }
    }

    /// A worker is out; its batches go to the others.
    pub(super) fn leave_descent(&mut self, now: Duration, worker: &WorkerId, out: &mut Vec<Effect>) {
        let Phase::Descending(open) = &mut self.phase else { return };
        open.descent.leave(worker);
        self.ask_batches(now, out);
    }

    fn ask_batches(&mut self, now: Duration, out: &mut Vec<Effect>) {
        let Phase::Descending(open) = &mut self.phase else { return };
        for (worker, batch) in open.descent.requests() {
            let asked = self.workers.get_mut(&worker).expect("whoever takes part in a descent is a worker");
            // A worker keeps the rows of its last two passes: an epoch of its own counts as one.
            let pass_number = open.passes + 1 + batch.epoch;
            self.pass_number = self.pass_number.max(pass_number);
            if asked.epoch != pass_number {
                asked.epoch = pass_number;
                asked.delivered.clear();
            }
            asked.open.insert(batch.node);
            asked.owe(now, pass_number, 1, now + self.limits.answer_wait);
            let pass = self.trainer.batch_pass(&batch.point);
            let request = asked.request(pass_number, &pass, vec![batch.node], self.trainer.steps());
            out.push(Effect::ComputeBatch { worker, request });
        }
    }

    /// A worker delivers the sums of a batch, or what it owed before the descent.
    pub(super) fn on_batch(
        &mut self,
        now: Duration,
        worker: &WorkerId,
        pass_number: u64,
        partials: Vec<Partial>,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Descending(open) = &mut self.phase else { return };
        let owes = |owed: super::Owed| owed.pass_number == pass_number;
        let is_owed = self.workers.get(worker).and_then(|known| known.owed).is_some_and(owes);
        let Some(node) = open.descent.asked(worker).filter(|_| is_owed) else {
            self.on_stale(now, worker, pass_number, partials.len() as u64, out);
            return self.join_descent(now, worker, out);
        };
        let known = self.workers.get_mut(worker).expect("it was just found");
        if partials.iter().all(|partial| partial.node != node && known.delivered.contains(&partial.node)) {
            self.counts.repeated += partials.len() as u64;
            known.unsolicited += 1;
            return self.drop_if_unsolicited(now, worker, out);
        }
        known.open.clear();
        known.settle(now, pass_number);
        match self.values_of(node, partials) {
            Err(fault) => self.after_bad_batch(now, worker, fault, out),
            Ok(values) => self.take_batch(now, worker, node, values, out),
        }
    }

    /// The values of the one partial that was asked for.
    fn values_of(&self, node: NodeId, partials: Vec<Partial>) -> Result<Vec<f64>, BadPartial> {
        let expected = self.partial_len(&self.trainer.batch_pass(self.trainer.descent_start()));
        match <[Partial; 1]>::try_from(partials) {
            Ok([partial]) if partial.node == node => {
                check_values(expected, &partial.values.0)?;
                Ok(partial.values.0)
            }
            _ => Err(BadPartial::NotAskedFor),
        }
    }

    fn take_batch(&mut self, now: Duration, worker: &WorkerId, node: NodeId, values: Vec<f64>, out: &mut Vec<Effect>) {
        let (Phase::Descending(open), Some(known)) = (&mut self.phase, self.workers.get_mut(worker)) else { return };
        known.delivered.insert(node);
        let Absorbed { here, ends_sweep, end } = open.descent.absorb(worker, values);
        self.counts.counted += 1;
        self.fruitless_drops = 0;
        if ends_sweep {
            self.trainer.give_point(open.descent.point(), 1);
            self.tell_sweep(now, here, out);
        }
        match end {
            None => self.ask_batches(now, out),
            Some(end) => self.end_descent(now, end, out),
        }
    }

    fn tell_sweep(&mut self, now: Duration, here: Option<Evaluated>, out: &mut Vec<Effect>) {
        if self.checkpoints.as_mut().is_some_and(|clock| clock.on_pass(now, false)) {
            out.push(self.checkpoint());
        }
        let round = self.trainer.rounds();
        out.extend(here.map(|here| {
            Effect::Progress(Progress { round, objective: here.value, gradient_norm: here.gradient_norm() })
        }));
    }

    /// Its point is judged over all rows, in a pass like others.
    fn end_descent(&mut self, now: Duration, end: DescentEnd, out: &mut Vec<Effect>) {
        let Phase::Descending(open) = &self.phase else { return };
        self.trainer.give_point(open.descent.point(), 0);
        self.trainer.judge_point(match end {
            DescentEnd::Reached => None,
            DescentEnd::SweepsMax => Some(StopReason::RoundsMax),
            DescentEnd::Stalled => Some(StopReason::FloatingPointFloor),
        });
        self.open_next_pass(now, out);
    }

    fn after_bad_batch(&mut self, now: Duration, worker: &WorkerId, fault: BadPartial, out: &mut Vec<Effect>) {
        let Phase::Descending(open) = &mut self.phase else { return };
        self.counts.refuse(fault);
        let known = self.workers.get_mut(worker).expect("it has just delivered");
        known.bad_partials += 1;
        let bad_partials = known.bad_partials;
        if bad_partials < self.limits.bad_partials_max {
            open.descent.take_back(worker);
            return self.ask_batches(now, out);
        }
        if fault == BadPartial::NotFinite
            && let Some(first) = open.overflow.replace(worker.clone())
        {
            let (pass_number, second) = (self.pass_number, worker.clone());
            return self.fail(TrainError::Overflow { pass_number, first, second }, out);
        }
        self.drop_worker(now, worker, DropReason::BadPartials(bad_partials, fault), out);
    }
}
