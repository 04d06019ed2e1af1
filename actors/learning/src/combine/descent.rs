//! Gradient descent without rounds: the sums of a batch count when they come, at whatever point they were computed.
//!
//! The last sums of every batch are kept; a step goes along all of them, and is as long as their age allows. It knows
//! neither messages nor clocks; sums come in any order, and the order decides the last digits.

use std::collections::BTreeMap;

use crate::{
    blocks::{NodeId, even_ranges},
    messages::WorkerId,
    optimiser::{lbfgs::Evaluated, outputs::Outputs, penalty},
};

/// Part of the longest step that theory allows.
const STEP_PART: f64 = 0.9;
/// Sweeps in which the gradient must shrink to `GRADIENT_PROGRESS`; rounding hides the rest if it does not.
const STALLED_SWEEPS_MAX: u64 = 500;
/// See [`STALLED_SWEEPS_MAX`].
const GRADIENT_PROGRESS: f64 = 0.9;

/// What a descent is told at the start.
#[derive(Debug, Clone)]
pub(crate) struct DescentProblem {
    pub(crate) outputs: Outputs,
    /// Penalty on the absolute value of each variable.
    pub(crate) l1: Vec<f64>,
    /// Disjoint nodes that cover the training rows.
    pub(crate) batches: Vec<NodeId>,
    /// Epochs by which a worker may be ahead of the slowest; none for any number. An epoch of a worker goes through all
    /// of its own batches.
    pub(crate) staleness: Option<u64>,
}

/// Where a descent stands.
#[derive(Debug)]
pub(crate) struct Descent {
    outputs: Outputs,
    l1: Vec<f64>,
    staleness: Option<u64>,
    point: Vec<f64>,
    batches: Vec<Batch>,
    workers: BTreeMap<WorkerId, Clock>,
    /// Sums taken.
    updates: u64,
    /// All steps so far, added up.
    travelled: f64,
    gradient_norm_max: f64,
    sweeps_max: u64,
    /// The smallest gradient that counted as progress, and when that was.
    best: (f64, u64),
}

/// What came of a delivery.
#[derive(Debug)]
pub(crate) struct Absorbed {
    /// Value and gradient as far as the sums that are held tell them, at the point before the step, with all penalties;
    /// nothing before there are sums of all batches.
    pub(crate) here: Option<Evaluated>,
    /// Whether as many batches have come since the last time as there are.
    pub(crate) ends_sweep: bool,
    /// If there is nothing more to gain.
    pub(crate) end: Option<DescentEnd>,
}

/// Why a descent is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DescentEnd {
    /// The gradient is small enough, as far as it is known.
    Reached,
    /// It has made as many sweeps as it may.
    SweepsMax,
    /// The gradient does not shrink any more.
    Stalled,
}

#[derive(Debug)]
struct Batch {
    node: NodeId,
    held: Option<Held>,
    /// The largest curvature that was met between two of its gradients.
    curvature: f64,
}

/// The sums of a batch, and where they were computed.
#[derive(Debug)]
struct Held {
    sums: Vec<f64>,
    at: Origin,
}

/// The point that a worker was sent, and what had happened by then.
#[derive(Debug, Clone)]
struct Origin {
    point: Vec<f64>,
    updates: u64,
    travelled: f64,
}

/// What is known of one worker.
#[derive(Debug, Default)]
struct Clock {
    /// Batches of its own, which it sums one after the other.
    own: Vec<usize>,
    /// How many of them are delivered in this epoch.
    done: usize,
    /// How often it has been through all of them.
    epoch: u64,
    open: Option<(usize, Origin)>,
}

/// What a worker is to sum.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BatchRequest {
    pub(crate) node: NodeId,
    /// Where: in the solver's variables.
    pub(crate) point: Vec<f64>,
    /// How often this worker has been through all of its batches.
    pub(crate) epoch: u64,
}

impl Descent {
    /// A descent from a point, without workers.
    pub(crate) fn new(problem: DescentProblem, point: Vec<f64>) -> Self {
        let DescentProblem { outputs, l1, batches, staleness } = problem;
        let batches = batches.into_iter().map(|node| Batch { node, held: None, curvature: 0.0 }).collect();
        Self {
            outputs,
            l1,
            staleness,
            point,
            batches,
            workers: BTreeMap::new(),
            updates: 0,
            travelled: 0.0,
            gradient_norm_max: 0.0,
            sweeps_max: u64::MAX,
            best: (f64::INFINITY, 0),
        }
    }

    /// The same, which is over when the largest component of the gradient is at most this, or after so many sweeps.
    pub(crate) fn until(self, gradient_norm_max: f64, sweeps_max: u64) -> Self {
        Self { gradient_norm_max, sweeps_max, ..self }
    }

    /// Where it is now.
    pub(crate) fn point(&self) -> &[f64] {
        &self.point
    }

    /// How often all batches have been summed, on average.
    pub(crate) fn sweeps(&self) -> u64 {
        self.updates / self.batches.len() as u64
    }

    /// A worker takes part from now on, from where the slowest is.
    pub(crate) fn join(&mut self, worker: WorkerId) {
        if self.workers.contains_key(&worker) {
            return;
        }
        let epoch = self.slowest_epoch();
        self.workers.insert(worker, Clock { epoch, ..Clock::default() });
        self.share_out();
    }

    /// A worker is out; what it has delivered stays.
    pub(crate) fn leave(&mut self, worker: &WorkerId) {
        if self.workers.remove(worker).is_some() {
            self.share_out();
        }
    }

    /// The workers that are to sum a batch now, and which, where.
    pub(crate) fn requests(&mut self) -> Vec<(WorkerId, BatchRequest)> {
        let (slowest, staleness) = (self.slowest_epoch(), self.staleness);
        let here = Origin { point: self.point.clone(), updates: self.updates, travelled: self.travelled };
        let mut requests = Vec::new();
        for (worker, clock) in &mut self.workers {
            let is_ahead = staleness.is_some_and(|staleness| clock.epoch > slowest + staleness);
            let next = clock.own.get(clock.done).filter(|_| clock.open.is_none() && !is_ahead);
            let Some(batch) = next.copied() else { continue };
            clock.open = Some((batch, here.clone()));
            let (node, point, epoch) = (self.batches[batch].node, here.point.clone(), clock.epoch);
            requests.push((worker.clone(), BatchRequest { node, point, epoch }));
        }
        requests
    }

    /// The node that a worker was asked for.
    pub(crate) fn asked(&self, worker: &WorkerId) -> Option<NodeId> {
        let (batch, _) = self.workers.get(worker)?.open.as_ref()?;
        Some(self.batches[*batch].node)
    }

    /// What a worker was asked for cannot be used: it is asked again.
    pub(crate) fn take_back(&mut self, worker: &WorkerId) {
        if let Some(clock) = self.workers.get_mut(worker) {
            clock.open = None;
        }
    }

    /// Takes the sums that a worker was asked for, which are finite and of the right length, and steps.
    pub(crate) fn absorb(&mut self, worker: &WorkerId, sums: Vec<f64>) -> Absorbed {
        let nothing = Absorbed { here: None, ends_sweep: false, end: None };
        let Some(clock) = self.workers.get_mut(worker) else { return nothing };
        let Some((batch, at)) = clock.open.take() else { return nothing };
        clock.done += 1;
        if clock.done >= clock.own.len() {
            (clock.done, clock.epoch) = (0, clock.epoch + 1);
            self.help_slowest(worker);
        }
        self.updates += 1;
        self.note_curvature(batch, &sums, &at);
        self.batches[batch].held = Some(Held { sums, at });
        let ends_sweep = self.updates.is_multiple_of(self.batches.len() as u64);
        let Some(total) = self.total() else { return Absorbed { ends_sweep, ..nothing } };
        let (value, gradient) = self.outputs.objective(&self.point, &total);
        let here = penalty::penalised(&self.point, value, &gradient, &self.l1);
        let end = self.end(here.gradient_norm());
        if end.is_none() {
            self.step(&gradient);
        }
        Absorbed { here: Some(here), ends_sweep, end }
    }

    fn end(&mut self, gradient_norm: f64) -> Option<DescentEnd> {
        let sweeps = self.sweeps();
        if gradient_norm < GRADIENT_PROGRESS * self.best.0 {
            self.best = (gradient_norm, sweeps);
        }
        match () {
            () if gradient_norm <= self.gradient_norm_max => Some(DescentEnd::Reached),
            () if sweeps >= self.sweeps_max => Some(DescentEnd::SweepsMax),
            () if sweeps >= self.best.1 + STALLED_SWEEPS_MAX => Some(DescentEnd::Stalled),
            () => None,
        }
    }

    /// How many epochs two workers are apart at most.
    #[cfg(test)]
    pub(crate) fn spread(&self) -> u64 {
        let epochs = || self.workers.values().filter(|clock| !clock.own.is_empty()).map(|clock| clock.epoch);
        epochs().max().unwrap_or(0) - epochs().min().unwrap_or(0)
    }

    fn slowest_epoch(&self) -> u64 {
        let epochs = self.workers.values().filter(|clock| !clock.own.is_empty()).map(|clock| clock.epoch);
        epochs.min().unwrap_or(0)
    }

    /// Gives every worker batches of its own, next to each other.
    fn share_out(&mut self) {
        let slowest = self.slowest_epoch();
        let shares = even_ranges(self.batches.len(), self.workers.len());
        for (clock, share) in self.workers.values_mut().zip(shares) {
            // One that had none has not kept up.
            if clock.own.is_empty() {
                clock.epoch = clock.epoch.max(slowest);
            }
            (clock.own, clock.done) = (share.collect(), 0);
        }
    }

    /// A worker that is through with its batches takes one over from the slowest, if that has not done half of its own:
    /// so each comes to have as many as it is fast.
    fn help_slowest(&mut self, helper: &WorkerId) {
        let epoch = self.workers[helper].epoch;
        let behind = self.workers.iter().filter(|(_, clock)| clock.epoch < epoch && clock.own.len() > 1);
        let slowest = behind.min_by_key(|(_, clock)| (clock.epoch, clock.done)).map(|(id, _)| id.clone());
        let Some(clock) = slowest.and_then(|slowest| self.workers.get_mut(&slowest)) else { return };
        if 2 * clock.done >= clock.own.len() {
            return;
        }
        // The last one is not asked for before all others are done.
        let batch = clock.own.pop().expect("it has more than one");
        self.workers.get_mut(helper).expect("it has just delivered").own.push(batch);
    }

    fn note_curvature(&mut self, batch: usize, sums: &[f64], at: &Origin) {
        let Some(before) = &self.batches[batch].held else { return };
        let moved = distance(&at.point, &before.at.point);
        if moved == 0.0 {
            return;
        }
        // At one and the same point the penalties cancel.
        let gradient = |sums: &[f64]| self.outputs.objective(&at.point, sums).1;
        let met = distance(&gradient(sums), &gradient(&before.sums)) / moved;
        self.batches[batch].curvature = self.batches[batch].curvature.max(met);
    }

    /// The sums of all batches, always added in the same order.
    fn total(&self) -> Option<Vec<f64>> {
        let mut held = self.batches.iter().map(|batch| batch.held.as_ref().map(|held| &held.sums));
        let first = held.next()??.clone();
        held.try_fold(first, |mut total, sums| {
            total.iter_mut().zip(sums?).for_each(|(total, value)| *total += value);
            Some(total)
        })
    }

    /// The largest curvature to reckon with. Variables are such that those of the loss add up to their number at the
    /// start, and those of the penalties are at most 1.
    fn curvature(&self) -> f64 {
        let met: f64 = self.batches.iter().map(|batch| batch.curvature).sum();
        let all_met = self.batches.iter().all(|batch| batch.curvature > 0.0);
        if all_met { met + 1.0 } else { (met + 1.0).max(self.point.len() as f64) }
    }

    /// # Source
    /// Wu, Magnússon, Feyzmahdavian, Johansson, *Delay-adaptive step-sizes for asynchronous learning*, ICML 2022: the steps
    /// since the oldest gradient in use was asked for, with the new one, are at most a part of 1 over the curvature.
    fn step(&mut self, gradient: &[f64]) {
        let held = || self.batches.iter().filter_map(|batch| batch.held.as_ref());
        let oldest = held().map(|held| held.at.updates).min().unwrap_or(self.updates);
        let since = self.travelled - held().map(|held| held.at.travelled).fold(self.travelled, f64::min);
        let longest = STEP_PART / self.curvature();
        let length = (longest / (self.updates - oldest) as f64).min(longest - since).max(0.0);
        for ((t, slope), l1) in self.point.iter_mut().zip(gradient).zip(&self.l1) {
            *t = penalty::soft_threshold(*t - length * slope, length * l1);
        }
        self.travelled += length;
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
#[path = "descent_test.rs"]
mod tests;
