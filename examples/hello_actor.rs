//! A new actor type: a struct, its messages, their handlers. Called near, and far over TCP, by the same code.
//!
//! Run it with `cargo run --example hello_actor`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Adds to the counter; the reply is the new value, or an error if it would not fit.
#[derive(Debug, Serialize, Deserialize)]
struct Add(u64);
remote_message!(Add => Result<u64, Overflow>, "examples.v1.Add");

/// The counter is full.
#[derive(Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{0} more do not fit")]
struct Overflow(u64);

interface! {
    /// What a counter hears: whoever holds a `Peer<CounterApi>` may send these.
    CounterApi: Add
}

struct Counter {
    value: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Add> for Counter {
    type Result = Result<u64, Overflow>;

    fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> Self::Result {
        self.value = self.value.checked_add(amount).ok_or(Overflow(amount))?;
        Ok(self.value)
    }
}

/// Does not know whether the counter is in this process or on another host.
async fn count(from: &str, counter: &Peer<CounterApi>) -> Result<(), Failure> {
    let value = counter.send(Add(2)).await.or_exit(Exit::WorkFailed)?;
    println!("{from}: {value:?}");
    let full = counter.send(Add(u64::MAX)).await.or_exit(Exit::WorkFailed)?;
    println!("{from}: {full:?}");
    Ok(())
}

fn main() -> std::process::ExitCode {
    odeon::app().run_program(|_| async {
        let home = Node::builder("home").incarnation(1).start().await.or_exit(Exit::WorkFailed)?;
        let counter = Counter { value: 0 }.start();
        home.export("counter", Exports::new().accept::<Add, _>(&counter));
        let endpoint = home.listen("127.0.0.1:0").await.or_exit(Exit::WorkFailed)?;
        let away = Node::builder("away").incarnation(2).start().await.or_exit(Exit::WorkFailed)?;

        count("near", &home.peer("counter")).await?;
        count("far", &away.peer_at(&endpoint, "counter")).await?;

        let stranger: Peer<CounterApi> = away.peer_at(&endpoint, "nobody");
        println!("nobody: {}", stranger.send(Add(1)).await.expect_err("there is no such actor"));
        Ok(())
    })
}
