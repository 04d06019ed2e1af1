//! A pipeline with back-pressure: a stage answers only when the next one has, so that a slow stage slows the source.
//!
//! Run it with `cargo run --example pipeline`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use futures_util::StreamExt;
use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// The source has at most so many items under way.
const UNDER_WAY_MAX: usize = 8;

/// An item on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item(u64);
remote_message!(Item => u64, "pipeline.v1.Item");

/// Asks how many items a stage has had at once, at most.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Peak;
remote_message!(Peak => usize, "pipeline.v1.Peak");

interface! {
    /// What a stage hears.
    StageApi: Item, Peak
}

/// Takes its time for each item, then hands it to the next stage, if there is one.
struct Stage {
    args: StageArgs,
    next: Option<Peer<StageApi>>,
    under_way: usize,
    peak: usize,
}

#[derive(Clone, Copy)]
struct StageArgs {
    takes: Duration,
    adds: u64,
}

impl Actor for Stage {
    type Context = Context<Self>;
}

impl Handler<Item> for Stage {
    type Result = actix::ResponseActFuture<Self, u64>;

    fn handle(&mut self, Item(value): Item, _: &mut Self::Context) -> Self::Result {
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        let (args, next) = (self.args, self.next.clone());
        let work = async move {
            tokio::time::sleep(args.takes).await;
            let value = value + args.adds;
            match next {
                Some(next) => next.send(Item(value)).await.expect("the next stage lives as long as this one"),
                None => value,
            }
        };
        Box::pin(actix::fut::ActorFutureExt::map(actix::fut::wrap_future(work), |value, stage: &mut Self, _| {
            stage.under_way -= 1;
            value
        }))
    }
}

impl Handler<Peak> for Stage {
    type Result = usize;

    fn handle(&mut self, _: Peak, _: &mut Self::Context) -> usize {
        self.peak
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().run_program(|_| async {
        let home = Node::builder("home").incarnation(1).start().await.or_exit(Exit::WorkFailed)?;
        let endpoint = home.listen("127.0.0.1:0").await.or_exit(Exit::WorkFailed)?;
        let away = Node::builder("away").incarnation(2).start().await.or_exit(Exit::WorkFailed)?;
        let mut next = None;
        for (name, takes) in [("slow", Duration::from_millis(5)), ("quick", Duration::ZERO)] {
            let stage = Stage { args: StageArgs { takes, adds: 1 }, next, under_way: 0, peak: 0 }.start();
            home.export(name, Exports::new().accept::<Item, _>(&stage).accept::<Peak, _>(&stage));
            next = Some(home.peer(name));
        }
        let first: Peer<StageApi> = away.peer_at(&endpoint, "quick");
        let results = futures_util::stream::iter(0..100_u64).map(|value| first.send(Item(value)));
        let sum = results.buffer_unordered(UNDER_WAY_MAX).fold(0, |sum, value| async move { sum + value.unwrap_or(0) });
        println!("the sum is {}", sum.await);
        let slow: Peer<StageApi> = away.peer_at(&endpoint, "slow");
        let peak = slow.send(Peak).await.or_exit(Exit::WorkFailed)?;
        println!("at most {UNDER_WAY_MAX} at once: {}", peak <= UNDER_WAY_MAX);
        Ok(())
    })
}
