//! A supervisor policy of one's own: an actor that chokes on bad input is restarted at once, and given up when the fault is
//! one that no restart mends.
//!
//! Run it with `cargo run --example supervisor_policy`.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use odeon::prelude::*;
use serde::{Deserialize, Serialize};

/// Asks for the half of an even number.
#[derive(Debug, Serialize, Deserialize)]
struct Halve(u64);
remote_message!(Halve => u64, "supervisor_policy.v1.Halve");

struct Halver;

impl Actor for Halver {
    type Context = Context<Self>;
}

impl Handler<Halve> for Halver {
    type Result = u64;

    fn handle(&mut self, Halve(number): Halve, _: &mut Self::Context) -> u64 {
        assert!(number != 0, "the licence has expired");
        assert!(number.is_multiple_of(2), "{number} is odd");
        number / 2
    }
}

fn main() -> std::process::ExitCode {
    odeon::app().run_program(|_| async {
        let node = Node::builder("home").incarnation(1).start().await.or_exit(Exit::WorkFailed)?;
        let policy = PanicPolicy::new(|panic: &ActorPanic| {
            println!("panic {}: {}", panic.restarts + 1, panic.text);
            (!panic.text.contains("licence")).then_some(Duration::from_millis(1))
        });
        let spec = SupervisorSpec { name: "halver".into(), on_panic: OnPanic::Decide(policy), mailbox_capacity: 16 };
        let mut halver = node.supervise(spec, || Halver, |own| Exports::new().accept::<Halve, _>(own));
        let peer: Peer<Halve> = node.peer("halver");
        for number in [4, 5, 6, 0] {
            println!("half of {number}: {:?}", peer.send(Halve(number)).await);
            while let SupervisedState::Restarting { .. } = halver.state() {
                halver.changed().await;
            }
        }
        println!("{:?}", halver.ended().await);
        Ok(())
    })
}
