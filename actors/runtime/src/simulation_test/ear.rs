//! The actors that hear the talkers, and their messages.

use super::ledger::{Ledger, Place};
use crate::exports::Exports;
use crate::reply::Reply;
use actix::{Actor, Addr, AsyncContext, Context, Handler};
use odeon_protocol::{interface, remote_message};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::rc::Rc;
use std::time::Duration;

/// A message of a talker on the control lane; the reply is [`answer`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Say(pub(crate) u32, pub(crate) u32, pub(crate) ByteBuf);
remote_message!(Say => u64, "simulation.v1.Say", Control);

/// The same on the bulk lane.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Haul(pub(crate) u32, pub(crate) u32, pub(crate) ByteBuf);
remote_message!(Haul => u64, "simulation.v1.Haul", Bulk);

/// The actor handles nothing for so many milliseconds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pause(pub(crate) u64);
remote_message!(Pause => (), "simulation.v1.Pause");

/// The actor panics.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Panic();
remote_message!(Panic => (), "simulation.v1.Panic");

interface! {
    pub(crate) EarApi: Say, Haul, Pause, Panic
}

/// What a right answer says: it belongs to one message only.
pub(crate) fn answer(talker: u32, number: u32) -> u64 {
    u64::from(talker) << 32 | u64::from(number)
}

pub(crate) struct Ear {
    pub(crate) place: Place,
    pub(crate) ledger: Rc<Ledger>,
}

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Ear {
    pub(crate) fn exports(own: &Addr<Self>) -> Exports {
        Exports::new().accept::<Say, _>(own).accept::<Haul, _>(own).accept::<Pause, _>(own).accept::<Panic, _>(own)
    }

    /// Some answers take their time and are overtaken by others.
    fn hear(&self, talker: u32, number: u32, is_bulk: bool, pad: &ByteBuf) -> Reply<u64> {
        let is_whole = pad[..] == vec![pad_of(number); pad.len()];
        self.ledger.on_heard(&self.place, talker, number, is_bulk, is_whole);
        let answer = answer(talker, number);
        match number % 7 {
            3 => Reply::later(async move {
                tokio::time::sleep(Duration::from_millis(u64::from(number % 40))).await;
                answer
            }),
            _ => Reply::now(answer),
        }
    }
}

/// What the pad of a message is made of.
pub(crate) fn pad_of(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

impl Handler<Say> for Ear {
    type Result = Reply<u64>;
    fn handle(&mut self, Say(talker, number, pad): Say, _: &mut Self::Context) -> Self::Result {
        self.hear(talker, number, false, &pad)
    }
}

impl Handler<Haul> for Ear {
    type Result = Reply<u64>;
    fn handle(&mut self, Haul(talker, number, pad): Haul, _: &mut Self::Context) -> Self::Result {
        self.hear(talker, number, true, &pad)
    }
}

impl Handler<Pause> for Ear {
    type Result = ();
    fn handle(&mut self, Pause(ms): Pause, context: &mut Self::Context) {
        context.wait(actix::fut::wrap_future(tokio::time::sleep(Duration::from_millis(ms))));
    }
}

impl Handler<Panic> for Ear {
    type Result = ();
    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        self.ledger.on_panic(&self.place);
        // Without the text that a panic prints: there are thousands of them.
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}
