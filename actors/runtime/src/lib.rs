//! The fabric: how actors of one node or of many hear each other, and what keeps them running.
//!
//! A [`Node`] is one member of the fabric. Actors are plain actix actors; a node exports them behind
//! names, with a visible list of the messages they accept. Others hold a [`Peer`], typed by an
//! interface, and cannot tell a near actor from a far one: replies and errors are the same.
//!
//! ```
//! use actix::{Actor, Context, Handler};
//! use odeon_protocol::{interface, remote_message};
//! use odeon_runtime::{Exports, Node, Peer};
//! use serde::{Deserialize, Serialize};
//!
//! /// Adds to the counter; the reply is the new value.
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Add(u64);
//! remote_message!(Add => u64, "examples.v1.Add");
//! interface! {
//!     /// What a counter hears.
//!     pub CounterApi: Add
//! }
//!
//! struct Counter(u64);
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//! }
//! impl Handler<Add> for Counter {
//!     type Result = u64;
//!     fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u64 {
//!         self.0 += amount;
//!         self.0
//!     }
//! }
//!
//! # #[actix_rt::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let home = Node::builder("home").incarnation(0x5eed).start().await?;
//! let bound = home.listen("127.0.0.1:0").await?;
//! home.export("counter", Exports::new().accept::<Add, _>(&Counter(0).start()));
//!
//! let away = Node::builder("away").incarnation(0xfeed).start().await?;
//! let near: Peer<CounterApi> = home.peer("counter");
//! let far: Peer<CounterApi> = away.peer_at(&bound, "counter");
//! assert_eq!(near.send(Add(1)).await?, 1);
//! assert_eq!(far.send(Add(2)).await?, 3);
//! # Ok(())
//! # }
//! ```
//!
//! Beside peers there is what keeps a node honest:
//! - [`Node::supervise`] restarts a panicked actor behind its name, or fails the node; no panic is silent.
//! - [`Outbox`], [`CommitQueue`], [`Committer`] and [`Journal`] make "durable before visible" a matter of
//!   structure: nothing emitted after a record leaves before the record is on disk.
//! - [`InMemoryNetwork`] and [`testkit`] run many nodes in one test on a paused clock, with cables to cut.
//!
//! What is guaranteed about order, loss, duplication, back-pressure, panic and shutdown, and all limits,
//! stand in `docs/fabric.md`.
//!
//! Who is at the other end of a link, and which messages its role lets it send, is in [`trust`] and `docs/trust.md`.
//!
//! Deliberately absent: membership and placement (they are decided above), remote spawning, redelivery. A message is handled at most once, or the sender is told that this is not known.

mod answering;
mod assembly;
mod backoff;
mod begun;
mod binary_dir;
mod build;
mod clock;
mod commit_queue;
mod committer;
mod compacting_journal;
mod core_shell;
mod deadline_timer;
mod dial;
mod entrance;
mod error;
mod events;
mod exports;
mod fabric;
mod failure_detector;
mod figures;
mod frame;
mod group;
mod heartbeat;
mod held;
mod held_answers;
mod inbox;
pub mod journal;
mod limits;
mod link;
pub mod measure;
mod memory;
mod name;
mod node;
mod origin;
mod outbox;
mod outgoing;
mod peer;
mod placement;
mod process;
mod reader;
mod record_log;
mod reply;
mod routes;
mod run;
mod schemas;
mod sender;
mod session;
#[cfg(test)]
mod simulation_test;
mod slots;
mod stranger;
mod supervisor;
pub mod testkit;
pub mod transport;
pub mod trust;
mod watch;

pub use begun::begun;
pub use binary_dir::{BinaryDir, BinaryError, FileStamp, KeptBinary, PartialBinary, digest_of};
pub use clock::Clock;
pub use commit_queue::{CommitQueue, Durable, WriteBatch};
pub use committer::{CommitError, Committer};
pub use compacting_journal::CompactingJournal;
pub use core_shell::{CoreActor, CoreOutbox, CoreShell, DurableCore};
pub use deadline_timer::DeadlineTimer;
pub use error::{ListenError, PeerError, StartError};
pub use events::{LinkEvent, LinkEvents};
pub use exports::Exports;
pub use figures::{ActorFigures, FIGURES, GetFigures, LinkFigures, NodeFigures, TellsFigures};
pub use frame::PROTOCOL_VERSION;
pub use group::Group;
pub use held::{HeldQuestions, Hold, QuestionId};
pub use held_answers::HeldAnswers;
pub use journal::Journal;
pub use limits::FabricLimits;
pub use memory::InMemoryNetwork;
pub use name::{ActorAddress, ActorName, Endpoint, NameError, NodeId};
pub use node::{FabricCounters, Node, NodeBuilder, NodeFailure};
pub use odeon_protocol::restart::RestartPolicy;
pub use outbox::{Emission, Outbox};
pub use peer::Peer;
pub use placement::{HandOver, Moved};
pub use process::run_to_end;
pub use record_log::{AppendError, RecordLog};
pub use reply::Reply;
pub use sender::From;
pub use supervisor::{ActorPanic, OnPanic, PanicPolicy, Supervised, SupervisedState, SupervisorSpec};
pub use watch::{EndReason, Terminated};
