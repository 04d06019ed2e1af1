//! What must be true of a run when it has ended.

use super::ledger::{Book, End, Life};
use super::plan::Plan;
use std::collections::BTreeMap;

/// Checks all that needs the whole run.
pub(crate) fn check_end(book: &mut Book, plan: &Plan) {
    let mut found = all_have_ended(book);
    found.extend(taken_tells_are_lost_at_the_end_of_a_link_only(book));
    found.extend(counters_agree(book));
    if plan.is_calm() {
        found.extend(a_calm_run_loses_nothing(book));
    }
    found.into_iter().for_each(|text| book.violated(text));
    book.counts.lost_tells =
        book.sent.values().filter(|sent| sent.end == End::Told && sent.heard.is_empty()).count() as u64;
}

fn all_have_ended(book: &Book) -> Vec<String> {
    let open = book.sent.iter().filter(|(_, sent)| sent.end == End::Open);
    open.map(|((talker, number), _)| format!("{talker}/{number} never ended")).collect()
}

/// On one link a tell that was taken is heard, unless the link ends first: so none is missing before one that was heard
/// later. Exempt is what an actor lost with its panic, and what found a full mailbox on the bulk lane, which is counted.
fn taken_tells_are_lost_at_the_end_of_a_link_only(book: &Book) -> Vec<String> {
    let mut last_heard: BTreeMap<(u32, bool, Life), u32> = BTreeMap::new();
    for ((talker, number), sent) in &book.sent {
        if let (Some(life), false) = (sent.life, sent.heard.is_empty()) {
            last_heard.insert((*talker, sent.is_bulk, life), *number);
        }
    }
    let mut missing = Vec::new();
    let mut missing_bulk = 0;
    for ((talker, number), sent) in &book.sent {
        let Some(life) = sent.life else { continue };
        let is_before_heard = last_heard.get(&(*talker, sent.is_bulk, life)).is_some_and(|last| number < last);
        if sent.end != End::Told || !sent.heard.is_empty() || !is_before_heard {
            continue;
        }
        if book.panicked.iter().any(|place| place.actor == sent.actor) {
            continue;
        }
        if sent.is_bulk {
            missing_bulk += 1;
        } else {
            missing.push(format!("the tell {talker}/{number} was taken and is lost on {life:?}"));
        }
    }
    let dropped: u64 = book.counters.values().map(|counters| counters.tells_dropped).sum();
    if missing_bulk > dropped {
        missing.push(format!("{missing_bulk} bulk tells were taken and are lost, and {dropped} are counted"));
    }
    missing
}

/// Between honest nodes no frame is a bad one, and a reply is late only if its asker gave up.
fn counters_agree(book: &Book) -> Vec<String> {
    let mut found = Vec::new();
    for (incarnation, counters) in &book.counters {
        let gave_up = book.sent.values().filter(|sent| {
            let is_from_here = sent.life.is_some_and(|(from, _)| from == *incarnation);
            is_from_here && sent.is_ask && matches!(sent.end, End::Unknown | End::Dropped)
        });
        let gave_up = gave_up.count() as u64;
        if counters.frames_refused > 0 {
            found.push(format!("{incarnation} refused {} frames", counters.frames_refused));
        }
        if counters.replies_late > gave_up {
            found.push(format!("{incarnation} heard {} late replies, {gave_up} asks gave up", counters.replies_late));
        }
    }
    found
}

/// Without faults every ask is answered, every taken tell heard, and every link stays.
fn a_calm_run_loses_nothing(book: &Book) -> Vec<String> {
    let dropped: u64 = book.counters.values().map(|counters| counters.tells_dropped).sum();
    let mut found = Vec::new();
    let mut bulk = 0;
    for ((talker, number), sent) in &book.sent {
        match sent.end {
            End::Told if sent.heard.is_empty() && sent.is_bulk => bulk += 1,
            End::Told if sent.heard.is_empty() => {
                found.push(format!("the tell {talker}/{number} was taken and is lost"))
            }
            End::Unknown if !sent.is_hasty => {
                found.push(format!("{talker}/{number} has no answer although nothing went wrong"))
            }
            _ => {}
        }
    }
    if book.counts.links_lost > 0 {
        found.push(format!("{} links are lost although nothing went wrong", book.counts.links_lost));
    }
    if bulk != dropped {
        found.push(format!("{bulk} bulk tells were taken and are lost, and {dropped} are counted"));
    }
    found
}
