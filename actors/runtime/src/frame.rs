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
/// The length that precedes each frame, in bytes.
pub(crate) const PREFIX_BYTES: usize = 4;

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

/// Writes a frame with its length prefix in place of what `frame` held.
///
/// # Errors
/// [`PeerError::TooLarge`] above `bytes_max`.
pub(crate) fn write(frame: &mut Vec<u8>, header: &Header<'_>, body: &[u8], bytes_max: usize) -> Result<(), PeerError> {
    const HEADER_AT: usize = PREFIX_BYTES + 2;
    frame.clear();
    frame.extend_from_slice(&[0; HEADER_AT]);
    rmp_serde::encode::write(frame, header).expect("a vector takes any bytes");
    let header_bytes = frame.len() - HEADER_AT;
    let total = frame.len() - PREFIX_BYTES + body.len();
    let too_large = || PeerError::TooLarge { bytes: total as u64, limit: bytes_max as u64 };
    if total > bytes_max {
        return Err(too_large());
    }
    let header_bytes = u16::try_from(header_bytes).map_err(|_| too_large())?;
    let length = u32::try_from(total).map_err(|_| too_large())?;
    frame[..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    frame[PREFIX_BYTES..HEADER_AT].copy_from_slice(&header_bytes.to_be_bytes());
    frame.extend_from_slice(body);
    Ok(())
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
        let mut frame = b"left over".to_vec();
        write(&mut frame, &header, b"body", 1024).unwrap();
        let (prefix, rest) = frame.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*prefix) as usize, rest.len());
        assert_eq!(decode(rest), Ok((header, &b"body"[..])));
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_with_both_sizes() {
        let refused = write(&mut Vec::new(), &Header::bare(Kind::Reply, 1), &[0; 100], 64);
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
