//! A binary with an actor type of its own and the whole command line: `counter local`, `counter deploy`, `counter actor ask`.
//!
//! Start a cluster with `odeon local`, then, beside it:
//!
//! ```text
//! cargo run --example counter -- deploy examples/deployments/counter.toml
//! cargo run --example counter -- actor ask counter/0 '{"Add": {"amount": 2}}'
//! ```

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Adds to the counter; the reply is the new value.
#[derive(Debug, Serialize, Deserialize)]
struct Add {
    amount: u64,
}
remote_message!(Add => u64, "counter.v1.Add");

/// Asks for the value.
#[derive(Debug, Serialize, Deserialize)]
struct Get;
remote_message!(Get => u64, "counter.v1.Get");

struct Counter {
    value: u64,
}

/// `[args]` of its deployment.
#[derive(Deserialize)]
struct CounterArgs {
    start: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Add> for Counter {
    type Result = u64;

    /// An overflow panics: the counter is started again, at its beginning.
    fn handle(&mut self, Add { amount }: Add, _: &mut Self::Context) -> u64 {
        self.value = self.value.checked_add(amount).expect("the sum fits into 64 bits");
        self.value
    }
}

impl Handler<Get> for Counter {
    type Result = u64;

    fn handle(&mut self, _: Get, _: &mut Self::Context) -> u64 {
        self.value
    }
}

impl Deployable for Counter {
    type Args = CounterArgs;

    fn build(args: CounterArgs, _: &ActorStart) -> Result<Self, TaskFailure> {
        Ok(Self { value: args.start })
    }

    fn messages(list: Messages<Self>) -> Messages<Self> {
        list.accept::<Add>().accept::<Get>()
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().actor::<Counter>("examples.Counter").run()
}
