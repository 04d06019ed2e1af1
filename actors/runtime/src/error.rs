//! What can go wrong between two actors, and when a node starts or listens.
//!
//! An error of the handler itself is not here: it is part of the reply.

use crate::name::{ActorName, Endpoint};
use odeon_protocol::codec::CodecError;
use odeon_protocol::id::IdError;
use serde::{Deserialize, Serialize};

/// Why a message has no reply. Near and far actors fail alike.
///
/// Each variant says whether a retry can help. Where the message may have been handled, a retry is
/// safe only for a message that may be handled twice: see [`PeerError::may_have_run`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum PeerError {
    /// No link to the node, and none could be made. Not sent; a retry helps once the backoff is
    /// over and the node is there, but not if the cause is another incarnation or version.
    #[error("{target} is unreachable: {cause}")]
    Unreachable {
        /// The node or the endpoint.
        target: String,
        /// What stands in the way.
        cause: String,
    },
    /// One end does not trust the other: a certificate is missing, of another authority, expired, or for something else.
    /// Not sent; a retry fails the same way until the credentials of either end are others.
    #[error("{target} and this node do not trust each other: {cause}")]
    Untrusted {
        /// The node or the endpoint.
        target: String,
        /// Which end objects, and to what.
        cause: String,
    },
    /// The roles in the certificate of this node do not let it send the message. Not handled; a retry fails the same way.
    #[error("{actor} does not take {message} from a peer whose role is {roles}")]
    Forbidden {
        /// The actor.
        actor: ActorName,
        /// The wire name of the message.
        message: String,
        /// The roles of the sender.
        roles: String,
    },
    /// The node exports no actor behind the name. Not handled; a retry helps if it starts later.
    #[error("there is no actor {actor}")]
    NoSuchActor {
        /// The name that was asked for.
        actor: ActorName,
    },
    /// The actor is there, but does not accept the message. Not handled; a retry fails the same way.
    #[error("the actor {actor} does not accept {message}")]
    NotExported {
        /// The actor.
        actor: ActorName,
        /// The wire name of the message.
        message: String,
    },
    /// The sender is of another build, in which the message is not what it is here. Not handled; a retry fails the same
    /// way.
    #[error("{message} is not the same in both builds: {difference}; the sender has {sent}, the receiver has {heard}")]
    OtherSchema {
        /// The wire name of the message.
        message: String,
        /// What differs.
        difference: String,
        /// The fingerprint and the build of the sender.
        sent: String,
        /// The fingerprint and the build of the receiver.
        heard: String,
    },
    /// The bytes of the message, or of its reply, are not what the type says. A retry fails the same way.
    #[error("{message} cannot be decoded: {cause}")]
    Undecodable {
        /// The wire name of the message.
        message: String,
        /// Where decoding stopped.
        cause: String,
    },
    /// The message, or its reply, cannot be written in the wire format. A retry fails the same way.
    #[error("{message} cannot be encoded: {cause}")]
    Unencodable {
        /// The wire name of the message.
        message: String,
        /// What the format refuses.
        cause: String,
    },
    /// A bounded queue on the way is full: the mailbox, the link, or the asks that are open at
    /// either end of the link. Not handled; a retry helps later.
    #[error("the mailbox, or a queue on the way to it, is full")]
    MailboxFull,
    /// The actor had stopped, or stopped or panicked while it handled the message, which may or may
    /// not have run. A retry helps if the actor is restarted.
    #[error("the actor has stopped")]
    Stopped,
    /// No reply in time; the message may or may not have run, or may yet run. A retry can help.
    #[error("no reply within {after_ms} ms")]
    Timeout {
        /// How long the sender waited.
        after_ms: u64,
    },
    /// The message, or its reply, is larger than a frame may be. A retry fails the same way.
    #[error("a frame of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// The size of the frame.
        bytes: u64,
        /// The limit of the node that would have sent it.
        limit: u64,
    },
    /// The message was handed to a link which broke before the reply; it may or may not have run.
    /// A retry can help.
    #[error("the link was lost before the reply: {cause}")]
    LinkLost {
        /// How the link ended.
        cause: String,
    },
}

impl PeerError {
    /// Whether the handler may have seen the message.
    #[must_use]
    pub fn may_have_run(&self) -> bool {
        matches!(self, Self::Stopped | Self::Timeout { .. } | Self::LinkLost { .. })
    }

    pub(crate) fn undecodable(message: &str, cause: &CodecError) -> Self {
        Self::Undecodable { message: message.into(), cause: cause.to_string() }
    }

    pub(crate) fn unencodable(message: &str, cause: &CodecError) -> Self {
        Self::Unencodable { message: message.into(), cause: cause.to_string() }
    }

    /// Whether the same message may succeed later.
    #[must_use]
    pub fn retry_can_help(&self) -> bool {
        use PeerError::{NotExported, OtherSchema, TooLarge, Undecodable, Unencodable};
        let is_final = matches!(
            self,
            NotExported { .. } | OtherSchema { .. } | Undecodable { .. } | Unencodable { .. } | TooLarge { .. }
        );
        !is_final && !self.is_denied()
    }

    /// Whether it is a matter of who this node is.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Untrusted { .. } | Self::Forbidden { .. })
    }
}

/// Why a node does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name of the node breaks the rules of ids.
    #[error("the node name {name:?} is not valid")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        #[source]
        source: IdError,
    },
    /// Without an incarnation a restarted node could not be told from the one before.
    #[error("the node {0:?} was given no incarnation")]
    NoIncarnation(String),
    /// A limit that cannot work.
    #[error("the limit {name} may not be {value}")]
    Limit {
        /// The field of [`FabricLimits`](crate::FabricLimits).
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// Why a node does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Something else listens there.
    #[error("the address {endpoint} is in use")]
    InUse {
        /// The address.
        endpoint: Endpoint,
    },
    /// Others could reach it, and this node cannot tell who they are.
    #[error(
        "cannot listen at {endpoint}: {cause}; give this node a certificate (`odeon cert`), or let it listen at 127.0.0.1"
    )]
    Unprotected {
        /// The address.
        endpoint: Endpoint,
        /// What is missing.
        cause: String,
    },
    /// The address is not one of this machine, or may not be used.
    #[error("cannot listen at {endpoint}")]
    Failed {
        /// The address.
        endpoint: Endpoint,
        /// What the transport says.
        #[source]
        source: std::io::Error,
    },
}
