//! What a coordinator knows of one worker: what it was asked for, what it still owes, and how long that usually takes.
//!
//! Who is asked for what is decided in the core.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use odeon_protocol::block::F64Block;

use super::{CoordinatorLimits, OpenPass};
use crate::{
    blocks::NodeId,
    messages::{ComputePartials, WorkerId},
    prepare::FittedStep,
    program::Pass,
    tree::histogram::TreeMemory,
};

/// Most doublings of the passes for which a worker that was late is asked for nothing.
const SPARED_DOUBLINGS_MAX: u32 = 6;

/// One worker.
#[derive(Debug, Default)]
pub(super) struct Worker {
    /// Nodes asked for in this pass and not delivered.
    pub(super) open: BTreeSet<NodeId>,
    /// Nodes of this pass that were delivered.
    pub(super) delivered: BTreeSet<NodeId>,
    /// The answer that is under way; it may be to an earlier pass.
    pub(super) owed: Option<Owed>,
    pub(super) bad_partials: u32,
    /// Answers that nobody waited for.
    pub(super) unsolicited: u32,
    /// Of a descent: the epoch whose nodes are in `delivered`, as a pass.
    pub(super) epoch: u64,
    /// Whether what it owes in this pass is asked of others as well.
    pub(super) is_backed_up: bool,
    /// Whether others were asked at once for what it was asked for, because it was late the last time.
    is_on_trial: bool,
    late_in_a_row: u32,
    /// Until this pass it is asked for nothing if others can be.
    spared_until: u64,
    /// Fitted steps of `[prepare]` that it was sent.
    steps_known: usize,
    /// The column means that it was sent.
    mean_known: F64Block,
    /// The bins and trees that it was sent.
    trees_known: TreeMemory,
}

/// An answer that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) pass_number: u64,
    pub(super) asked_at: Duration,
    pub(super) answer_by: Duration,
    /// Blocks asked for.
    pub(super) blocks: usize,
}

impl Worker {
    /// A request that brings the steps fitted since the last one, and column means if they are new.
    pub(super) fn request(
        &mut self,
        pass_number: u64,
        pass: &Pass,
        nodes: Vec<NodeId>,
        steps: &[FittedStep],
    ) -> ComputePartials {
        let steps_known = std::mem::replace(&mut self.steps_known, steps.len());
        let mut pass = pass.clone();
        if let Some(mean) = pass.mean_mut() {
            match *mean == self.mean_known {
                true => mean.0.clear(),
                false => self.mean_known.clone_from(mean),
            }
        }
        if let Some(state) = pass.tree_state_mut() {
            self.trees_known.leave_out(state);
        }
        ComputePartials { pass_number, pass, nodes, steps_known, new_steps: steps[steps_known..].to_vec() }
    }

    /// It is asked for more blocks of a pass.
    pub(super) fn owe(&mut self, now: Duration, pass_number: u64, blocks: usize, answer_by: Duration) {
        let before = self.owed.filter(|owed| owed.pass_number == pass_number);
        let (asked_at, owed) = before.map_or((now, 0), |owed| (owed.asked_at, owed.blocks));
        self.owed = Some(Owed { pass_number, asked_at, answer_by, blocks: owed + blocks });
    }

    /// A new pass begins; what it owes of the last one it still owes.
    pub(super) fn begin_pass(&mut self, pass_number: u64) {
        if self.is_on_trial && self.owed.is_some() {
            self.on_late(pass_number);
        }
        self.open.clear();
        self.delivered.clear();
        (self.is_backed_up, self.is_on_trial) = (false, false);
    }

    /// What it is asked for is asked of others at the same time.
    pub(super) fn begin_trial(&mut self) {
        (self.is_backed_up, self.is_on_trial) = (true, true);
    }

    /// Whether it was in time the last time.
    pub(super) fn is_reliable(&self) -> bool {
        self.late_in_a_row == 0
    }

    /// Takes the answer to a pass off what it owes; how long each block took, if it owed this one.
    pub(super) fn settle(&mut self, now: Duration, pass_number: u64) -> Option<Duration> {
        let owed = self.owed.take_if(|owed| owed.pass_number == pass_number)?;
        Some(now.saturating_sub(owed.asked_at) / u32::try_from(owed.blocks.max(1)).unwrap_or(u32::MAX))
    }

    /// It has delivered all of a pass while that is open: if nobody had to wait for it, it is reliable again.
    pub(super) fn on_delivered(&mut self) {
        if self.is_on_trial || !self.is_backed_up {
            self.late_in_a_row = 0;
        }
    }

    /// It is late: others are asked as well, and it is spared for a while, for longer each time.
    pub(super) fn on_late(&mut self, pass_number: u64) {
        self.is_backed_up = true;
        self.spared_until = pass_number + (1 << self.late_in_a_row.min(SPARED_DOUBLINGS_MAX)) + 1;
        self.late_in_a_row += 1;
    }

    /// When it counts as late, if a block usually takes so long.
    pub(super) fn late_at(&self, per_block: Duration, limits: &CoordinatorLimits) -> Option<Duration> {
        let owed = self.owed.filter(|_| !self.open.is_empty() && !self.is_backed_up)?;
        let blocks = u32::try_from(owed.blocks).unwrap_or(u32::MAX);
        let usual = per_block.saturating_mul(blocks).saturating_mul(limits.backup_factor);
        Some(owed.asked_at + usual.max(limits.backup_wait_min))
    }

    fn is_spared(&self, pass_number: u64) -> bool {
        pass_number < self.spared_until
    }
}

/// Those that may be asked for more in this pass: they owe nothing of an earlier one. Of them those that are not spared,
/// if there are any.
pub(super) fn askable(workers: &BTreeMap<WorkerId, Worker>, pass_number: u64) -> Vec<WorkerId> {
    preferred(workers, pass_number, |worker| worker.owed.is_none_or(|owed| owed.pass_number == pass_number))
}

/// Those that owe nothing; of them those that are not spared, if there are any.
pub(super) fn idle(workers: &BTreeMap<WorkerId, Worker>, pass_number: u64) -> Vec<WorkerId> {
    preferred(workers, pass_number, |worker| worker.owed.is_none())
}

fn preferred(workers: &BTreeMap<WorkerId, Worker>, pass_number: u64, may: impl Fn(&Worker) -> bool) -> Vec<WorkerId> {
    let fit: Vec<(&WorkerId, &Worker)> = workers.iter().filter(|(_, worker)| may(worker)).collect();
    let swift: Vec<WorkerId> =
        fit.iter().filter(|(_, worker)| !worker.is_spared(pass_number)).map(|(id, _)| (*id).clone()).collect();
    if swift.is_empty() { fit.into_iter().map(|(id, _)| id.clone()).collect() } else { swift }
}

/// What a block usually takes in this pass: the median over the answers that have come, once they are half of all.
pub(super) fn usual_block_time(open_pass: &OpenPass, workers: &BTreeMap<WorkerId, Worker>) -> Option<Duration> {
    let times = &open_pass.block_times;
    let owing = workers.values().filter(|worker| !worker.open.is_empty()).count();
    if times.is_empty() || times.len() < owing {
        return None;
    }
    let mut sorted = times.clone();
    sorted.sort_unstable();
    Some(sorted[sorted.len() / 2])
}
