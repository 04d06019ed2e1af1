//! Frames as bytes: header and body, and the greeting that opens a link. Pure.
//!
//! A frame, after its length prefix: two bytes of header length, the header as a msgpack array, the
//! body as msgpack with named fields. Queues and sockets are elsewhere.

use crate::error::PeerError;
use crate::name::NodeId;
use serde::{Deserialize, Serialize};

/// The version of this wire format; both ends of a link must speak the same one.
pub const PROTOCOL_VERSION: u16 = 1;
/// The largest greeting, in bytes.
pub(crate) const HELLO_BYTES_MAX: usize = 1024;
const MAGIC: &[u8; 4] = b"ODEN";
/// What header and length prefix of any frame fit in.
const HEADER_BYTES_MAX: usize = u16::MAX as usize;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(crate) enum Kind {
    Ping,
    Tell,
    Ask,
    Reply,
    Refusal,
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        kind as Self
    }
}

impl TryFrom<u8> for Kind {
    type Error = String;
    fn try_from(byte: u8) -> Result<Self, String> {
        let kinds = [Self::Ping, Self::Tell, Self::Ask, Self::Reply, Self::Refusal];
        kinds.into_iter().find(|kind| *kind as u8 == byte).ok_or_else(|| format!("unknown frame kind {byte}"))
    }
}

/// The head of a frame; a reply repeats only the correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header<'a> {
    pub(crate) kind: Kind,
    pub(crate) correlation: u64,
    pub(crate) actor: &'a str,
    pub(crate) message: &'a str,
    pub(crate) deadline_ms: u64,
}

impl Header<'_> {
    /// A header that names no actor: ping, reply or refusal.
    pub(crate) const fn bare(kind: Kind, correlation: u64) -> Header<'static> {
        Header { kind, correlation, actor: "", message: "", deadline_ms: 0 }
    }
}

/// Why a frame or a greeting is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the frame header cannot be read: {0}")]
    Header(String),
    #[error("the other side does not speak this protocol")]
    Magic,
    #[error("protocol version {theirs} meets version {PROTOCOL_VERSION} of this node")]
    Version { theirs: u16 },
    #[error("the greeting cannot be read: {0}")]
    Hello(String),
}

/// Writes a frame without its length prefix.
///
/// # Errors
/// [`PeerError::TooLarge`] above `bytes_max`.
pub(crate) fn encode(header: &Header<'_>, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, PeerError> {
    let mut bytes = vec![0, 0];
    rmp_serde::encode::write(&mut bytes, header).expect("a vector takes any bytes");
    let header_bytes = bytes.len() - 2;
    let total = bytes.len() + body.len();
    if total > bytes_max || header_bytes > HEADER_BYTES_MAX {
        return Err(PeerError::TooLarge { bytes: total as u64, limit: bytes_max as u64 });
    }
    let length = u16::try_from(header_bytes).expect("checked above");
    bytes[..2].copy_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// Splits a frame into its header and its body.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), FrameError> {
    let short = || FrameError::Header("the frame is too short".into());
    let (length, rest) = bytes.split_first_chunk::<2>().ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (head, body) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = rmp_serde::from_slice(head).map_err(|error| FrameError::Header(error.to_string()))?;
    Ok((header, body))
}

/// Writes the greeting: magic and version in a form that every version can read, then the node.
pub(crate) fn encode_hello(version: u16, node: &NodeId, line: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    rmp_serde::encode::write(&mut bytes, &(node, line)).expect("a vector takes any bytes");
    bytes
}

/// Reads the other side's greeting.
pub(crate) fn decode_hello(bytes: &[u8]) -> Result<(NodeId, u32), FrameError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FrameError::Magic)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Magic)?;
    let theirs = u16::from_be_bytes(*version);
    if theirs != PROTOCOL_VERSION {
        return Err(FrameError::Version { theirs });
    }
    let (node, line): (NodeId, u32) =
        rmp_serde::from_slice(rest).map_err(|error| FrameError::Hello(error.to_string()))?;
    odeon_protocol::id::check_id(&node.name).map_err(|error| FrameError::Hello(error.to_string()))?;
    Ok((node, line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node() -> NodeId {
        NodeId { name: "n".into(), incarnation: 7 }
    }

    #[test]
    fn a_frame_survives_the_wire() {
        let header = Header { kind: Kind::Ask, correlation: 9, actor: "a/b", message: "m.v1.M", deadline_ms: 5000 };
        let bytes = encode(&header, b"body", 1024).unwrap();
        assert_eq!(decode(&bytes), Ok((header, &b"body"[..])));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_with_both_sizes() {
        let refused = encode(&Header::bare(Kind::Reply, 1), &[0; 100], 64);
        assert!(matches!(refused, Err(PeerError::TooLarge { bytes: 108.., limit: 64 })), "{refused:?}");
    }

    #[test]
    fn a_greeting_of_another_version_is_refused_with_both_versions() {
        assert_eq!(decode_hello(&encode_hello(PROTOCOL_VERSION, &node(), 3)), Ok((node(), 3)));
        let error = decode_hello(&encode_hello(9, &node(), 3)).unwrap_err();
        assert_eq!(error.to_string(), "protocol version 9 meets version 1 of this node");
        assert_eq!(decode_hello(b"GET / HTTP/1.1"), Err(FrameError::Magic));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode_hello(&bytes);
        }
    }
}
