//! The actor beside a hosted actor that hears its messages as JSON, and says which there are.
//!
//! It lives as long as the run of the actor that it belongs to.

use crate::messages::Messages;
use actix::{Actor, Addr, Context, Handler};
use odeon_protocol::messages::hosted_actor::{ActorDescription, CallActor, CallActorError, DescribeActor};
use odeon_runtime::{Exports, Reply};
use std::rc::Rc;

/// Calls that may wait; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 64;

pub(crate) struct JsonDoor<A: Actor> {
    actor: Addr<A>,
    messages: Rc<Messages<A>>,
}

impl<A: Actor<Context = Context<A>>> JsonDoor<A> {
    /// What an actor takes from afar: its own messages, and those of its door.
    pub(crate) fn exports(actor: &Addr<A>, messages: &Rc<Messages<A>>) -> Exports {
        let door = Self::create(|context| {
            context.set_mailbox_capacity(MAILBOX_CAPACITY);
            Self { actor: actor.clone(), messages: Rc::clone(messages) }
        });
        messages.export(actor).accept::<CallActor, _>(&door).accept::<DescribeActor, _>(&door)
    }
}

impl<A: Actor<Context = Context<A>>> Actor for JsonDoor<A> {
    type Context = Context<Self>;
}

impl<A: Actor<Context = Context<A>>> Handler<CallActor> for JsonDoor<A> {
    type Result = Reply<Result<String, CallActorError>>;

    fn handle(&mut self, call: CallActor, _: &mut Self::Context) -> Self::Result {
        if !call.wait {
            return Reply::now(self.messages.tell(&self.actor, &call.message).map(|()| String::new()));
        }
        match self.messages.ask(&self.actor, &call.message) {
            Ok(reply) => Reply::later(reply),
            Err(error) => Reply::now(Err(error)),
        }
    }
}

impl<A: Actor<Context = Context<A>>> Handler<DescribeActor> for JsonDoor<A> {
    type Result = Reply<ActorDescription>;

    fn handle(&mut self, _: DescribeActor, _: &mut Self::Context) -> Self::Result {
        Reply::now(ActorDescription { messages: self.messages.names() })
    }
}
