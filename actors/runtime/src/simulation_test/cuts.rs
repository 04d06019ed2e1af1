//! A thousand cuts of a link under control messages: none that was answered is lost, and none is doubled.

use super::ledger::Counts;
use super::plan::Plan;
use super::{assert_holds, run};

const SEEDS: u64 = 50;
const CUTS_EACH: u64 = 30;
/// A cut is over before it is noticed now and then.
const LINKS_LOST_MIN: u64 = 1000;

#[test]
fn a_thousand_cuts_lose_no_answered_message_and_double_none() {
    let mut all = Counts::default();
    for seed in 0..SEEDS {
        let plan = Plan::cuts(seed, CUTS_EACH);
        let outcome = run(&plan, None);
        assert_holds(&plan, &outcome);
        all.add(&outcome.counts);
    }
    println!("{} cuts: {all:?}", SEEDS * CUTS_EACH);
    assert_eq!((all.lost_answered, all.doubled, all.watch_ends), (0, 0, 2 * SEEDS));
    // Both ends tell of each.
    assert!(all.links_lost >= 2 * LINKS_LOST_MIN && all.nodes_lost > 0 && all.unknown > 0, "{all:?}");
}
