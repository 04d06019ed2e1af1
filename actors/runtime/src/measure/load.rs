//! The messages that are measured, and the actor that counts what reaches it.

use super::figure::Rate;
use crate::error::PeerError;
use crate::exports::Exports;
use crate::name::ActorName;
use crate::node::Node;
use crate::peer::Peer;
use crate::supervisor::{OnPanic, SupervisorSpec};
use actix::{Actor, Addr, Context, Handler};
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_protocol::{interface, remote_message};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The mailbox of the sink, in messages: deeper than what one read of a socket can hold.
pub(super) const MAILBOX: usize = 64 * 1024;
const SINK: &str = "sink";

/// What the sink has heard so far.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Delivered {
    pub(super) messages: u64,
}

/// A small message; only the last of a series is sent as an ask.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}
remote_message!(Note => Delivered, "measure.v1.Note");

/// A large message; only the last of a series is sent as an ask.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Parcel {
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}
remote_message!(Parcel => Delivered, "measure.v1.Parcel", Bulk);

/// The payload comes back.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Echo {
    #[serde(with = "serde_bytes")]
    payload: Vec<u8>,
}
remote_message!(Echo => Echo, "measure.v1.Echo");

interface! {
    /// What the sink hears.
    pub(super) SinkApi: Note, Parcel, Echo
}

/// Made anew for each send: the payload is allocated, as that of a real message is.
pub(super) trait Load: RemoteMessage {
    fn of(bytes: usize) -> Self;
}

impl Load for Note {
    fn of(bytes: usize) -> Self {
        Self { payload: vec![7; bytes] }
    }
}

impl Load for Parcel {
    fn of(bytes: usize) -> Self {
        Self { payload: vec![7; bytes] }
    }
}

impl Load for Echo {
    fn of(bytes: usize) -> Self {
        Self { payload: vec![7; bytes] }
    }
}

/// Counts what reaches it.
#[derive(Default)]
pub(super) struct Sink {
    delivered: Delivered,
}

impl Sink {
    pub(super) fn start_counting() -> Addr<Self> {
        Self::create(|context| {
            context.set_mailbox_capacity(MAILBOX);
            Self::default()
        })
    }

    fn count(&mut self) -> Delivered {
        self.delivered.messages += 1;
        self.delivered
    }
}

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<Note> for Sink {
    type Result = actix::MessageResult<Note>;
    fn handle(&mut self, _: Note, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.count())
    }
}

impl Handler<Parcel> for Sink {
    type Result = actix::MessageResult<Parcel>;
    fn handle(&mut self, _: Parcel, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(self.count())
    }
}

impl Handler<Echo> for Sink {
    type Result = actix::MessageResult<Echo>;
    fn handle(&mut self, echo: Echo, _: &mut Self::Context) -> Self::Result {
        actix::MessageResult(echo)
    }
}

/// Starts a sink of its own for the node, behind the name that all measures use.
pub(super) fn export(node: &Node) {
    let spec = SupervisorSpec { name: sink_name(), on_panic: OnPanic::Escalate, mailbox_capacity: MAILBOX };
    // It lives as long as its node.
    drop(node.supervise(spec, Sink::default, |sink| {
        Exports::new().accept::<Note, _>(sink).accept::<Parcel, _>(sink).accept::<Echo, _>(sink)
    }));
}

pub(super) fn sink_name() -> ActorName {
    ActorName::new(SINK).expect("the name keeps the rules")
}

/// Tells `count` messages and counts at the receiver what arrived of them.
pub(super) async fn tell_rate<M>(peer: &Peer<SinkApi>, bytes: usize, count: u64) -> Result<Rate, PeerError>
where
    M: Load<Result = Delivered>,
    SinkApi: Accepts<M>,
{
    let before = peer.send(M::of(bytes)).await?;
    let start = Instant::now();
    for _ in 1..count {
        peer.tell(M::of(bytes)).await?;
    }
    // An ask on the same lane: it is handled after all that was told.
    let after = peer.send(M::of(bytes)).await?;
    let arrived = after.messages - before.messages;
    Ok(Rate { per_second: per_second(arrived, start), lost: count - arrived })
}

/// The times of single echoes, one after the other, in microseconds.
pub(super) async fn echo_times(peer: &Peer<SinkApi>, bytes: usize, count: u64) -> Result<Vec<f64>, PeerError> {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        peer.send(Echo::of(bytes)).await?;
        times.push(micros(start));
    }
    Ok(times)
}

pub(super) fn per_second(count: u64, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

pub(super) fn micros(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}
