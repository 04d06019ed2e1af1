//! What may cross the wire: messages with a hand-written wire name.
//!
//! This file holds no list of messages: each area declares its own, next to their types.

use crate::codec::{CodecError, Probed};
use crate::schema::Schema;
use actix::Message;
use serde::{Serialize, de::DeserializeOwned};

/// Which queue of a link carries a message, so that control is never stuck behind data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Small messages that keep the cluster alive: calls, events, heartbeats.
    Control,
    /// Gradients, data blocks, file contents.
    Bulk,
}

/// A message that may be sent to an actor of another node.
///
/// Its reply must cross the wire as well. Declare it with [`remote_message!`](crate::remote_message).
pub trait RemoteMessage:
    Message<Result: Serialize + DeserializeOwned + Send + 'static> + Serialize + DeserializeOwned + Send + 'static
{
    /// `area.version.Name`; written by hand, never changed once released.
    const WIRE_NAME: &'static str;
    /// The queue that carries the message and its reply.
    const LANE: Lane = Lane::Control;

    /// Writes the message behind what `bytes` holds, see [`codec::encode_into`](crate::codec::encode_into).
    ///
    /// All functions are written out for each type by the macro, so that the code of a message is
    /// compiled once, where it is declared, and not in every crate that sends or hears it.
    ///
    /// # Errors
    /// [`CodecError`] if the message holds what msgpack cannot.
    fn encode_into(&self, bytes: &mut Vec<u8>) -> Result<(), CodecError>;
    /// Reads a message, see [`codec::decode`](crate::codec::decode).
    ///
    /// # Errors
    /// [`CodecError`] if the bytes are not exactly one such message.
    fn decode(bytes: &[u8], depth_max: usize) -> Result<Self, CodecError>;
    /// Writes a reply to the message behind what `bytes` holds.
    ///
    /// # Errors
    /// As [`Self::encode_into`].
    fn encode_reply_into(reply: &Self::Result, bytes: &mut Vec<u8>) -> Result<(), CodecError>;
    /// Reads a reply to the message.
    ///
    /// # Errors
    /// As [`Self::decode`].
    fn decode_reply(bytes: &[u8], depth_max: usize) -> Result<Self::Result, CodecError>;
    /// Looks at what the message reads, see [`codec::probe`](crate::codec::probe).
    #[must_use]
    fn probe(bytes: &[u8], somes: usize) -> Probed;
    /// Looks at what its reply reads.
    #[must_use]
    fn probe_reply(bytes: &[u8], somes: usize) -> Probed;
    /// The schema of message and reply, found out when it is first asked for.
    #[must_use]
    fn schema() -> &'static Schema;
}

/// An interface: the set of messages that a kind of actor accepts.
///
/// Role crates do not know each other's actors. They hold a `Peer<I>`, which can be sent whatever
/// `I` accepts. Every message is also an interface of its own, with that one message.
pub trait Accepts<M: RemoteMessage>: 'static {}

impl<M: RemoteMessage> Accepts<M> for M {}

/// Declares that a type is a message with a reply, its wire name and, if not control, its lane.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// /// Adds to the counter; the reply is the new value.
/// #[derive(Debug, Serialize, Deserialize)]
/// struct Add(u64);
/// odeon_protocol::remote_message!(Add => u64, "examples.v1.Add");
/// ```
#[macro_export]
macro_rules! remote_message {
    ($message:ty => $reply:ty, $name:literal) => {
        $crate::remote_message!($message => $reply, $name, Control);
    };
    ($message:ty => $reply:ty, $name:literal, $lane:ident) => {
        impl $crate::actix::Message for $message {
            type Result = $reply;
        }
        impl $crate::wire::RemoteMessage for $message {
            const WIRE_NAME: &'static str = $name;
            const LANE: $crate::wire::Lane = $crate::wire::Lane::$lane;
            $crate::remote_message!(@codec);
        }
    };
    (@codec) => {
        fn encode_into(&self, bytes: &mut Vec<u8>) -> Result<(), $crate::codec::CodecError> {
            $crate::codec::encode_into(self, bytes)
        }
        fn decode(bytes: &[u8], depth_max: usize) -> Result<Self, $crate::codec::CodecError> {
            $crate::codec::decode(bytes, depth_max)
        }
        fn encode_reply_into(reply: &Self::Result, bytes: &mut Vec<u8>) -> Result<(), $crate::codec::CodecError> {
            $crate::codec::encode_into(reply, bytes)
        }
        fn decode_reply(bytes: &[u8], depth_max: usize) -> Result<Self::Result, $crate::codec::CodecError> {
            $crate::codec::decode(bytes, depth_max)
        }
        fn probe(bytes: &[u8], somes: usize) -> $crate::codec::Probed {
            $crate::codec::probe::<Self>(bytes, somes)
        }
        fn probe_reply(bytes: &[u8], somes: usize) -> $crate::codec::Probed {
            $crate::codec::probe::<Self::Result>(bytes, somes)
        }
        fn schema() -> &'static $crate::schema::Schema {
            static SCHEMA: std::sync::OnceLock<$crate::schema::Schema> = std::sync::OnceLock::new();
            SCHEMA.get_or_init($crate::schema::Schema::of::<Self>)
        }
    };
}

/// Declares an interface type and the messages it accepts.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Serialize, Deserialize)]
/// # struct Add(u64);
/// # odeon_protocol::remote_message!(Add => u64, "examples.v1.Add");
/// odeon_protocol::interface! {
///     /// What a counter hears.
///     pub Counter: Add
/// }
/// ```
#[macro_export]
macro_rules! interface {
    ($(#[$doc:meta])* $visibility:vis $interface:ident: $($message:ty),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        $visibility enum $interface {}
        $(impl $crate::wire::Accepts<$message> for $interface {})+
    };
}
