//! `From<M>`: a message together with the node that sent it.

use crate::name::NodeId;
use odeon_protocol::actix::Message;
use odeon_protocol::wire::RemoteMessage;

/// A message and the node it came from, for handlers that answer or remember the sender.
///
/// An actor gets it for messages exported with [`Exports::accept_from`](crate::Exports::accept_from).
/// For a near sender it is the own node. The fabric fills it in from the link's handshake: a sender
/// cannot claim to be another node than the one it introduced itself as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From<M> {
    /// The node of the sender.
    pub node: NodeId,
    /// What it sent.
    pub message: M,
}

impl<M: RemoteMessage> Message for From<M> {
    type Result = M::Result;
}
