//! The fabric in one thread, from one seed: nodes with actors over a network that is cut, slowed down and broken.
//!
//! The nodes, links and actors are the real ones; simulated are time and the network. A run is decided by its plan alone,
//! which is printed when a check fails. What is checked is in `ledger.rs` and `checks.rs`; `docs/fabric.md` says it in words.

mod chance;
mod checks;
mod cuts;
mod ear;
mod ledger;
mod mangler;
mod plan;
mod seeds;
mod talker;
mod watcher;
mod world;

use ledger::Ledger;
use mangler::Mistake;
use plan::Plan;
use std::rc::Rc;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// What a run has shown.
pub(crate) struct Outcome {
    /// What was violated, in order.
    pub(crate) violations: Vec<String>,
    /// Of all that happened and when.
    pub(crate) trace_hash: u64,
    pub(crate) counts: ledger::Counts,
    /// The last events.
    pub(crate) tail: Vec<String>,
}

/// Plays a plan, with a mistake on the wire if one is named.
pub(crate) fn run(plan: &Plan, mistake: Option<Mistake>) -> Outcome {
    let runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime of one thread");
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let ledger = Rc::new(Ledger::new(plan.patient));
        world::play(plan, &ledger, mistake).await;
        ledger.outcome()
    })
}

/// Fails with all that is needed to see the same again.
pub(crate) fn assert_holds(plan: &Plan, outcome: &Outcome) {
    let Outcome { violations, tail, .. } = outcome;
    assert!(
        violations.is_empty(),
        "seed {}: {} violations: {}\nlast events:\n{}\nto replay, save this plan and name its file in FABRIC_PLAN:\n{plan}",
        plan.seed,
        violations.len(),
        violations.join("\n"),
        tail.join("\n"),
    );
}
