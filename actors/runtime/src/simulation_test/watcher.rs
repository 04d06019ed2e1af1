//! One who watches an actor until it hears how it ended; a lost node is no end of the actor, so it watches again.

use super::ear::EarApi;
use super::plan::WatcherPlan;
use super::world::{World, endpoint, mortal};
use crate::peer::Peer;
use crate::watch::EndReason;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// How long a watcher waits before it watches again.
const PAUSE: Duration = Duration::from_millis(20);

/// Watches until the end is heard. What is heard must have happened, and within the watch if the actor was there.
pub(crate) async fn watch(id: usize, plan: WatcherPlan, world: Rc<World>) {
    let ledger = &world.ledger;
    loop {
        let Some(node) = world.node(plan.from) else {
            sleep(PAUSE).await;
            continue;
        };
        let began = ledger.now_ms();
        let peer: Peer<EarApi> = node.peer_at(&endpoint(plan.to), mortal(plan.mortal));
        let heard = peer.watch().await;
        ledger.note(&format!("watcher {id}: {heard:?}"));
        match heard.map(|terminated| terminated.reason) {
            Ok(EndReason::NodeLost { .. }) => ledger.book.borrow_mut().counts.nodes_lost += 1,
            Ok(EndReason::Stopped) if world.mortal_ended(&plan, began) => break,
            Ok(EndReason::Unknown) if world.mortal_ended(&plan, 0) => break,
            Ok(reason) => ledger.violated(format!("watcher {id} heard {reason:?}, which has not happened")),
            Err(error) if error.retry_can_help() && !error.may_have_run() => {}
            Err(error) => ledger.violated(format!("watcher {id} heard {error}")),
        }
        sleep(PAUSE).await;
    }
    ledger.book.borrow_mut().counts.watch_ends += 1;
}
