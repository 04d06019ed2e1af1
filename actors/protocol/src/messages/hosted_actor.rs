//! What the host of an actor hears about it from people: messages as JSON, and the question which there are.

use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};

interface! {
    /// What every hosted actor hears besides its own messages.
    pub HostedActor: CallActor, DescribeActor
}

/// A message to the actor, written as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallActor {
    /// The message as JSON text: `{"Name": {…}}`, or `"Name"` for one without fields. The name is the wire name, or
    /// its last part where only one of the actor's messages ends so.
    pub message: String,
    /// Whether the actor's reply is waited for; without, it is answered as soon as the mailbox has the message.
    pub wait: bool,
}
remote_message!(CallActor => Result<String, CallActorError>, "host.v1.CallActor");

/// Why a message as JSON has no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallActorError {
    /// The text is not JSON of the form that is wanted.
    #[error("{0}; write {{\"Message\": {{…}}}}, or \"Message\" if it has no fields")]
    NotACall(String),
    /// The actor takes no such message.
    #[error("the actor takes no message {name:?}; it takes {}", accepted.join(", "))]
    UnknownMessage {
        /// What was written.
        name: String,
        /// The wire names that it takes.
        accepted: Vec<String>,
    },
    /// Several messages end so.
    #[error("{name:?} is the end of several messages: {}", candidates.join(", "))]
    Ambiguous {
        /// What was written.
        name: String,
        /// Their wire names.
        candidates: Vec<String>,
    },
    /// The fields are not those of the message.
    #[error("{message}: {reason}")]
    Fields {
        /// The wire name.
        message: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// The reply cannot be shown as JSON.
    #[error("the reply to {message} cannot be written as JSON: {reason}")]
    Unwritable {
        /// The wire name.
        message: String,
        /// Why.
        reason: String,
    },
    /// The mailbox has no place. A retry helps later.
    #[error("the mailbox of the actor is full")]
    MailboxFull,
    /// The actor stopped or panicked before it replied; the message may have run.
    #[error("the actor stopped before it replied")]
    Stopped,
}

/// Asks which messages an actor takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribeActor {}
remote_message!(DescribeActor => ActorDescription, "host.v1.DescribeActor");

/// What an actor is on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorDescription {
    /// The wire names of its messages, in order.
    pub messages: Vec<String>,
}
