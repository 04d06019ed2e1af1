//! What a process or node of these tests shows to be let in, beside its arguments. Nothing so far: nodes let in everybody.

use odeon::prelude::Node;

use crate::support::stage::Invocation;

/// Adds what a command needs to be let in.
pub(crate) fn of_command(command: Invocation) -> Invocation {
    command
}

/// A node that is let in.
pub(crate) async fn node(name: &str, incarnation: u64) -> Node {
    Node::builder(name).incarnation(incarnation).start().await.expect("a node that only dials can start")
}
