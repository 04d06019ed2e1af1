//! The actor under test and its messages.

use actix::{Actor, ActorContext, Addr, Context, Handler, MessageResult, ResponseFuture};
use odeon_protocol::{interface, remote_message};
use odeon_runtime::{Exports, From, NodeId, OnPanic, RestartPolicy, Supervised, SupervisorSpec};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

macro_rules! messages {
    ($($(#[$attribute:meta])* $name:ident $fields:tt => $reply:ty, $wire:literal, $lane:ident;)+) => {
        $(messages!(@one $name $fields); remote_message!($name => $reply, $wire, $lane);)+
    };
    (@one $name:ident ($($field:ty),*)) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub(crate) struct $name($(pub(crate) $field),*);
    };
}

messages! {
    Echo(String) => String, "probe.v1.Echo", Control;
    Fail(u32) => Result<u32, ProbeError>, "probe.v1.Fail", Control;
    SleepMs(u64) => (), "probe.v1.SleepMs", Control;
    Note(u32) => (), "probe.v1.Note", Control;
    BulkNote(u32, ByteBuf) => (), "probe.v1.BulkNote", Bulk;
    Notes() => Vec<u32>, "probe.v1.Notes", Control;
    WhoAmI() => NodeId, "probe.v1.WhoAmI", Control;
    Blob(u64) => ByteBuf, "probe.v1.Blob", Bulk;
    Boom(String) => (), "probe.v1.Boom", Control;
    Quit() => (), "probe.v1.Quit", Control;
    NotOnTheList() => (), "probe.v1.NotOnTheList", Control;
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum ProbeError {
    #[error("{0} is refused")]
    Refused(u32),
}

interface! {
    pub(crate) ProbeApi: Echo, Fail, SleepMs, Note, BulkNote, Notes, WhoAmI, Blob, Boom, Quit, NotOnTheList
}

#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) notes: Arc<Mutex<Vec<u32>>>,
}

impl Actor for Probe {
    type Context = Context<Self>;
}

impl Probe {
    /// Starts a probe that nobody supervises.
    pub(crate) fn exported() -> Exports {
        Self::exports(&Self::default().start())
    }

    pub(crate) fn exports(address: &Addr<Self>) -> Exports {
        Exports::new()
            .accept::<Echo, _>(address)
            .accept::<Fail, _>(address)
            .accept::<SleepMs, _>(address)
            .accept::<Note, _>(address)
            .accept::<BulkNote, _>(address)
            .accept::<Notes, _>(address)
            .accept_from::<WhoAmI, _>(address)
            .accept::<Blob, _>(address)
            .accept::<Boom, _>(address)
            .accept::<Quit, _>(address)
    }
}

/// A supervised probe behind the name `actor`.
pub(crate) fn supervised(node: &odeon_runtime::Node, on_panic: OnPanic) -> Supervised {
    let spec = SupervisorSpec { name: "actor".into(), on_panic, mailbox_capacity: 64 };
    node.supervise(spec, Probe::default, Probe::exports)
}

pub(crate) fn restart() -> OnPanic {
    let policy = RestartPolicy { restarts_max: 1, within: Duration::from_secs(60), ..RestartPolicy::default() };
    OnPanic::Restart(policy)
}

impl Handler<Echo> for Probe {
    type Result = String;
    fn handle(&mut self, Echo(text): Echo, _: &mut Self::Context) -> String {
        text
    }
}

impl Handler<Fail> for Probe {
    type Result = Result<u32, ProbeError>;
    fn handle(&mut self, Fail(number): Fail, _: &mut Self::Context) -> Self::Result {
        Err(ProbeError::Refused(number))
    }
}

impl Handler<SleepMs> for Probe {
    type Result = ResponseFuture<()>;
    fn handle(&mut self, SleepMs(ms): SleepMs, _: &mut Self::Context) -> Self::Result {
        Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
    }
}

impl Handler<Note> for Probe {
    type Result = ();
    fn handle(&mut self, Note(number): Note, _: &mut Self::Context) {
        self.notes.lock().unwrap().push(number);
    }
}

impl Handler<BulkNote> for Probe {
    type Result = ();
    fn handle(&mut self, BulkNote(number, _): BulkNote, _: &mut Self::Context) {
        self.notes.lock().unwrap().push(number);
    }
}

impl Handler<Notes> for Probe {
    type Result = Vec<u32>;
    fn handle(&mut self, _: Notes, _: &mut Self::Context) -> Vec<u32> {
        self.notes.lock().unwrap().clone()
    }
}

impl Handler<From<WhoAmI>> for Probe {
    type Result = MessageResult<From<WhoAmI>>;
    fn handle(&mut self, message: From<WhoAmI>, _: &mut Self::Context) -> Self::Result {
        MessageResult(message.node)
    }
}

impl Handler<Blob> for Probe {
    type Result = MessageResult<Blob>;
    fn handle(&mut self, Blob(bytes): Blob, _: &mut Self::Context) -> Self::Result {
        MessageResult(ByteBuf::from(vec![7; bytes as usize]))
    }
}

impl Handler<Boom> for Probe {
    type Result = ();
    fn handle(&mut self, Boom(text): Boom, _: &mut Self::Context) {
        panic!("{text}");
    }
}

impl Handler<Quit> for Probe {
    type Result = ();
    fn handle(&mut self, _: Quit, context: &mut Self::Context) {
        context.stop();
    }
}
