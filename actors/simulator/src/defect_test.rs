//! Each mistake is turned on, and seeds are run until an invariant is violated.

use super::Defect;
use crate::planner::{Shape, expand};
use crate::run::simulate;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::sync::Mutex;

const ALL: [Defect; 28] = [
    Defect::AckBeforeDurable,
    Defect::EffectBeforeDurable,
    Defect::ForwardWithoutRecord,
    Defect::LoseDurableRecord,
    Defect::AdmitWithoutRecord,
    Defect::ForgetUnreachableRecord,
    Defect::ForgetEpochRecord,
    Defect::ForgetReservations,
    Defect::ReserveWithoutRecord,
    Defect::ForgetEpochFence,
    Defect::ObeyAnyScheduler,
    Defect::UpdateWithoutUuid,
    Defect::ReuseUuid,
    Defect::SkipTerminalUpdate,
    Defect::NeverForwardTheEnd,
    Defect::NeverTellUpdates,
    Defect::ForgetAcknowledgement,
    Defect::AcknowledgeUnasked,
    Defect::ForgetFilter,
    Defect::OfferTwice,
    Defect::AcceptTwice,
    Defect::IgnoreRevive,
    Defect::NeverLaunch,
    Defect::NeverRunTask,
    Defect::RunTwice,
    Defect::IgnoreExecutorExit,
    Defect::NeverRegisterAgain,
    Defect::NeverPing,
];

/// Within so many seeds each mistake has to be noticed: fewer than any run of the seeds covers.
const SEEDS_MAX: u64 = 200;

/// The first seed that shows the mistake, and what it violates; a panic of a core counts.
fn noticed(defect: Defect) -> Option<(u64, &'static str)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let plan = expand(seed, &Shape::default());
        match catch_unwind(|| defect.during(|| simulate(&plan).violation)) {
            Ok(violation) => violation.map(|violation| (seed, violation.invariant)),
            Err(_) => Some((seed, "a panic")),
        }
    })
}

/// The mistakes are shared out over two threads; each run is one thread.
#[test]
fn every_mistake_is_noticed_by_an_invariant() {
    let (next, found) = (Mutex::new(ALL.iter()), Mutex::new(BTreeMap::new()));
    let search = || {
        loop {
            let defect = next.lock().unwrap().next();
            let Some(defect) = defect else { break };
            let seen = noticed(*defect);
            found.lock().unwrap().insert(format!("{defect:?}"), seen);
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(search);
        threads.spawn(search);
    });
    let found = found.into_inner().unwrap();
    let missed: Vec<&String> = found.iter().filter(|(_, seen)| seen.is_none()).map(|(defect, _)| defect).collect();
    for (defect, (seed, invariant)) in found.iter().filter_map(|(defect, seen)| Some((defect, (*seen)?))) {
        println!("{defect}: seed {seed} violates {invariant}");
    }
    assert!(found.len() == ALL.len() && missed.is_empty(), "not noticed: {missed:?}");
}
