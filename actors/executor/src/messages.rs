//! The messages of a deployable actor: one list for other nodes and for the command line.

use crate::strict_json;
use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Actor, Addr, Context, Handler};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use odeon_protocol::messages::hosted_actor::CallActorError;
use odeon_protocol::wire::RemoteMessage;
use odeon_runtime::Exports;
use odeon_runtime::trust::PeerRole;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A reply on its way, as JSON text.
type JsonReply = LocalBoxFuture<'static, Result<String, CallActorError>>;

/// Whether a mailbox has the message.
type Told = Result<(), CallActorError>;

/// What can be done with one message of an actor, without knowing its type.
struct Entry<A: Actor> {
    export: fn(Exports, &Addr<A>) -> Exports,
    ask: fn(&Addr<A>, Value) -> Result<JsonReply, String>,
    tell: fn(&Addr<A>, Value) -> Result<Told, String>,
}

impl<A: Actor> Clone for Entry<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Actor> Copy for Entry<A> {}

/// The messages that an actor takes from afar.
pub struct Messages<A: Actor> {
    list: BTreeMap<&'static str, Entry<A>>,
}

impl<A: Actor> fmt::Debug for Messages<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.list.keys()).finish()
    }
}

impl<A: Actor<Context = Context<A>>> Messages<A> {
    pub(crate) fn none() -> Self {
        Self { list: BTreeMap::new() }
    }

    /// Adds a message.
    ///
    /// # Panics
    /// If the list has one of that wire name already, which is a bug of the caller.
    #[must_use]
    pub fn accept<M>(mut self) -> Self
    where
        M: RemoteMessage,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let entry =
            Entry { export: |exports, actor| exports.accept::<M, A>(actor), ask: ask::<M, A>, tell: tell::<M, A> };
        let earlier = self.list.insert(M::WIRE_NAME, entry);
        assert!(earlier.is_none(), "the message {} is accepted twice", M::WIRE_NAME);
        self
    }

    /// The wire names, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        self.list.keys().map(|name| (*name).to_owned()).collect()
    }

    /// The list for the fabric: clients and other actors may send what is on it.
    pub(crate) fn export(&self, actor: &Addr<A>) -> Exports {
        let none = Exports::new().only_from(&[PeerRole::Client, PeerRole::ActorHost]);
        self.list.values().fold(none, |exports, entry| (entry.export)(exports, actor))
    }

    /// Asks the actor, with a message that is written as JSON.
    pub(crate) fn ask(&self, actor: &Addr<A>, call: &str) -> Result<JsonReply, CallActorError> {
        self.with_entry(call, |entry, fields| (entry.ask)(actor, fields))
    }

    /// Tells the actor: the result says whether its mailbox has the message.
    pub(crate) fn tell(&self, actor: &Addr<A>, call: &str) -> Result<(), CallActorError> {
        self.with_entry(call, |entry, fields| (entry.tell)(actor, fields))?
    }

    fn with_entry<T>(
        &self,
        call: &str,
        act: impl Fn(Entry<A>, Value) -> Result<T, String>,
    ) -> Result<T, CallActorError> {
        let (name, fields) = parse(call)?;
        let (wire_name, entry) = self.find(&name)?;
        let done = match fields {
            Some(fields) => act(entry, fields),
            // Serde writes a struct without fields as `null` or as `{}`, depending on how it is declared.
            None => act(entry, Value::Null).or_else(|_| act(entry, Value::Object(serde_json::Map::new()))),
        };
        done.map_err(|reason| CallActorError::Fields { message: wire_name.to_owned(), reason })
    }

    /// The message of a wire name, or of its last part.
    fn find(&self, name: &str) -> Result<(&'static str, Entry<A>), CallActorError> {
        if let Some((wire_name, entry)) = self.list.get_key_value(name) {
            return Ok((wire_name, *entry));
        }
        let ends_so = |wire_name: &&'static str| wire_name.rsplit('.').next() == Some(name);
        let candidates: Vec<&'static str> = self.list.keys().copied().filter(ends_so).collect();
        match candidates.as_slice() {
            [] => Err(CallActorError::UnknownMessage { name: name.to_owned(), accepted: self.names() }),
            [one] => Ok((one, self.list[one])),
            many => {
                let candidates = many.iter().map(|name| (*name).to_owned()).collect();
                Err(CallActorError::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }
}

/// Splits a call into the name of its message and the fields, if it has any.
fn parse(call: &str) -> Result<(String, Option<Value>), CallActorError> {
    let not_a_call = |text: String| CallActorError::NotACall(text);
    match serde_json::from_str(call).map_err(|error| not_a_call(error.to_string()))? {
        Value::String(name) => Ok((name, None)),
        Value::Object(fields) if fields.len() == 1 => {
            let (name, fields) = fields.into_iter().next().expect("there is one");
            Ok((name, Some(fields)))
        }
        Value::Object(fields) => Err(not_a_call(format!("an object with {} keys names no message", fields.len()))),
        _ => Err(not_a_call("this is neither an object nor a text".to_owned())),
    }
}

fn ask<M, A>(actor: &Addr<A>, fields: Value) -> Result<JsonReply, String>
where
    M: RemoteMessage,
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    let asked = actor.send(strict_json::read::<M>(fields)?);
    let reply = async move {
        let reply = asked.await.map_err(|_| CallActorError::Stopped)?;
        let unwritable = |error: serde_json::Error| CallActorError::Unwritable {
            message: M::WIRE_NAME.to_owned(),
            reason: error.to_string(),
        };
        serde_json::to_string(&reply).map_err(unwritable)
    };
    Ok(reply.boxed_local())
}

fn tell<M, A>(actor: &Addr<A>, fields: Value) -> Result<Told, String>
where
    M: RemoteMessage,
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
{
    let told = actor.try_send(strict_json::read::<M>(fields)?);
    Ok(told.map_err(|error| match error {
        SendError::Full(_) => CallActorError::MailboxFull,
        SendError::Closed(_) => CallActorError::Stopped,
    }))
}

#[cfg(test)]
#[path = "messages_test.rs"]
mod tests;
