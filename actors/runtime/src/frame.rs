//! Frames as bytes: head and body, and the greeting that opens a link. Pure.
//!
//! A frame is a length of four bytes, one byte for its kind, what that kind says at fixed places, and the body as
//! msgpack with named fields. All numbers are big-endian. Queues and sockets are elsewhere.

use crate::build::BUILD_BYTES_MAX;
use crate::error::PeerError;
use crate::name::NodeId;

/// The version of this wire format; both ends of a link must speak the same one.
pub const PROTOCOL_VERSION: u16 = 3;
/// The largest greeting, in bytes.
pub(crate) const HELLO_BYTES_MAX: usize = 1024;
/// Names that one direction of a link may have given numbers to at the same time.
pub(crate) const ROUTES_MAX: u16 = 64;
const MAGIC: &[u8; 4] = b"ODEN";
/// The length that precedes each frame, in bytes.
pub(crate) const PREFIX_BYTES: usize = 4;
/// How much of a bulk frame leaves at once, in bytes: a control frame waits no longer than for one piece.
pub(crate) const PIECE_BYTES: usize = 64 * 1024;
/// Bytes of pieces that may be on the way, in bytes: what is in the buffers of the socket, no control frame overtakes.
pub(crate) const WINDOW_BYTES: usize = 256 * 1024;
/// The receiver tells how much it has read once it is so much, in bytes.
pub(crate) const CREDIT_BYTES: usize = WINDOW_BYTES / 4;
/// Bytes of tells of one route that may be without room in the mailbox of their actor; the last one may go beyond.
pub(crate) const ROUTE_WINDOW_BYTES: usize = 256 * 1024;
/// The receiver tells how much has found room once it is so much, in bytes.
pub(crate) const ROUTE_CREDIT_BYTES: usize = ROUTE_WINDOW_BYTES / 4;
/// The head of a tell by number, in bytes.
const TELL_HEAD_BYTES: usize = 3;
/// In place of a route: the names follow.
const NAMED: u16 = u16::MAX;

/// What a frame is for, as its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Ping,
    Tell,
    Ask,
    Reply,
    Refusal,
    Define,
    Begin,
    Piece,
    Credit,
    Room,
    Watch,
    Unwatch,
    Schema,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        use Kind::{Ask, Begin, Credit, Define, Piece, Ping, Refusal, Reply, Room, Schema, Tell, Unwatch, Watch};
        let kinds = [Ping, Tell, Ask, Reply, Refusal, Define, Begin, Piece, Credit, Room, Watch, Unwatch, Schema];
        kinds.get(usize::from(byte)).copied()
    }
}

/// An actor and a message that it is to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Names<'a> {
    pub(crate) actor: &'a str,
    pub(crate) message: &'a str,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way<'a> {
    /// By the number that an earlier [`Head::Define`] of the control lane gave to two names.
    Route(u16),
    /// By the names themselves.
    Named(Names<'a>),
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head<'a> {
    Ping,
    Tell(Way<'a>),
    Ask {
        way: Way<'a>,
        correlation: u64,
        deadline_ms: u64,
    },
    Reply(u64),
    Refusal(u64),
    /// From here on the number means these names; below [`ROUTES_MAX`].
    Define(u16, Names<'a>),
    /// The body is the first piece of a bulk frame of so many bytes, which has a head of its own.
    Begin(u32),
    /// The body is the next piece of it.
    Piece,
    /// So many bytes of pieces have been read.
    Credit(u32),
    /// The body is the name of an actor, whose end is the reply.
    Watch(u64),
    /// Nobody waits for that end any more.
    Unwatch(u64),
    /// So many bytes of tells of a route have found room, or never will.
    Room(u16, u32),
    /// The body is what the message of this name looks like where the frame comes from.
    Schema(&'a str),
}

impl<'a> Head<'a> {
    /// The names in it, if it carries any in place of a number.
    pub(crate) fn names(&self) -> Option<Names<'a>> {
        match *self {
            Self::Tell(Way::Named(names)) | Self::Ask { way: Way::Named(names), .. } => Some(names),
            _ => None,
        }
    }

    /// The same with a number in place of its names.
    pub(crate) fn by(self, route: u16) -> Self {
        match self {
            Self::Tell(_) => Self::Tell(Way::Route(route)),
            Self::Ask { correlation, deadline_ms, .. } => {
                Self::Ask { way: Way::Route(route), correlation, deadline_ms }
            }
            other => other,
        }
    }
}

/// Why a frame or a greeting is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("unknown frame kind {0}")]
    Kind(u8),
    #[error("the frame ends within its head")]
    Short,
    #[error("a name is not text")]
    Text,
    #[error("the route {0} is not defined")]
    Route(u16),
    #[error("a piece does not belong to a bulk frame, or a bulk frame begins within another")]
    Piece,
    #[error("{count} bytes are said to be read, and {sent} were sent")]
    Credit { count: u32, sent: usize },
    #[error("a schema is no text, is too long, or is one too many")]
    Schema,
    #[error("the other side does not speak this protocol")]
    Magic,
    #[error("protocol version {theirs} meets version {PROTOCOL_VERSION} of this node")]
    Version { theirs: u16 },
    #[error("the greeting cannot be read: {0}")]
    Hello(String),
}

/// Begins a frame behind what `bytes` holds; the body is to follow, then [`finish`] with the result.
pub(crate) fn begin(bytes: &mut Vec<u8>, head: &Head<'_>) -> usize {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; PREFIX_BYTES]);
    match *head {
        Head::Ping => bytes.push(Kind::Ping as u8),
        Head::Tell(way) => {
            bytes.push(Kind::Tell as u8);
            write_way(bytes, way);
        }
        Head::Ask { way, correlation, deadline_ms } => {
            bytes.push(Kind::Ask as u8);
            bytes.extend_from_slice(&correlation.to_be_bytes());
            bytes.extend_from_slice(&deadline_ms.to_be_bytes());
            write_way(bytes, way);
        }
        Head::Reply(correlation) => write_number(bytes, Kind::Reply, correlation),
        Head::Refusal(correlation) => write_number(bytes, Kind::Refusal, correlation),
        Head::Watch(correlation) => write_number(bytes, Kind::Watch, correlation),
        Head::Unwatch(correlation) => write_number(bytes, Kind::Unwatch, correlation),
        Head::Define(route, names) => {
            bytes.push(Kind::Define as u8);
            bytes.extend_from_slice(&route.to_be_bytes());
            write_names(bytes, names);
        }
        Head::Begin(count) | Head::Credit(count) => {
            let kind = if matches!(head, Head::Begin(_)) { Kind::Begin } else { Kind::Credit };
            bytes.push(kind as u8);
            bytes.extend_from_slice(&count.to_be_bytes());
        }
        Head::Piece => bytes.push(Kind::Piece as u8),
        Head::Schema(message) => {
            bytes.push(Kind::Schema as u8);
            write_name(bytes, message);
        }
        Head::Room(route, count) => {
            bytes.push(Kind::Room as u8);
            bytes.extend_from_slice(&route.to_be_bytes());
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    }
    start
}

fn write_number(bytes: &mut Vec<u8>, kind: Kind, correlation: u64) {
    bytes.push(kind as u8);
    bytes.extend_from_slice(&correlation.to_be_bytes());
}

fn write_way(bytes: &mut Vec<u8>, way: Way<'_>) {
    match way {
        Way::Route(route) => bytes.extend_from_slice(&route.to_be_bytes()),
        Way::Named(names) => {
            bytes.extend_from_slice(&NAMED.to_be_bytes());
            write_names(bytes, names);
        }
    }
}

fn write_names(bytes: &mut Vec<u8>, names: Names<'_>) {
    write_name(bytes, names.actor);
    write_name(bytes, names.message);
}

fn write_name(bytes: &mut Vec<u8>, name: &str) {
    let length = u16::try_from(name.len()).expect("an actor has 255 bytes at most, and wire names are in the source");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(name.as_bytes());
}

/// Ends the frame that began at `start`, or takes it away again.
///
/// # Errors
/// [`PeerError::TooLarge`] above `bytes_max`.
pub(crate) fn finish(bytes: &mut Vec<u8>, start: usize, bytes_max: usize) -> Result<(), PeerError> {
    let total = bytes.len() - start - PREFIX_BYTES;
    let length = u32::try_from(total).ok().filter(|_| total <= bytes_max);
    let Some(length) = length else {
        bytes.truncate(start);
        return Err(PeerError::TooLarge { bytes: total as u64, limit: bytes_max as u64 });
    };
    bytes[start..start + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Writes a tell by number: as [`write`], for the frames there are most of.
#[inline]
pub(crate) fn write_tell(bytes: &mut Vec<u8>, route: u16, body: &[u8], bytes_max: usize) -> Result<(), PeerError> {
    let total = TELL_HEAD_BYTES + body.len();
    let Some(length) = u32::try_from(total).ok().filter(|_| total <= bytes_max) else {
        return Err(PeerError::TooLarge { bytes: total as u64, limit: bytes_max as u64 });
    };
    let ([a, b, c, d], [e, f]) = (length.to_be_bytes(), route.to_be_bytes());
    bytes.reserve(PREFIX_BYTES + total);
    bytes.extend_from_slice(&[a, b, c, d, Kind::Tell as u8, e, f]);
    bytes.extend_from_slice(body);
    Ok(())
}

/// The number and the body of a tell by number; none if the frame is another one, or none.
#[inline]
pub(crate) fn numbered_tell(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let ([kind, a, b], body) = bytes.split_first_chunk()?;
    let route = u16::from_be_bytes([*a, *b]);
    (*kind == Kind::Tell as u8 && route != NAMED).then_some((route, body))
}

/// How long a frame with this head and a body of so many bytes is, without its length prefix.
pub(crate) fn length_of(head: &Head<'_>, body_bytes: usize) -> usize {
    let way = |way: &Way<'_>| match way {
        Way::Route(_) => 2,
        Way::Named(names) => 6 + names.actor.len() + names.message.len(),
    };
    let head_bytes = match head {
        Head::Ping | Head::Piece => 1,
        Head::Tell(to) => 1 + way(to),
        Head::Ask { way: to, .. } => 17 + way(to),
        Head::Reply(_) | Head::Refusal(_) | Head::Watch(_) | Head::Unwatch(_) => 9,
        Head::Define(_, names) => 1 + way(&Way::Named(*names)),
        Head::Begin(_) | Head::Credit(_) => 5,
        Head::Schema(message) => 3 + message.len(),
        Head::Room(..) => 7,
    };
    head_bytes + body_bytes
}

/// Writes a whole frame behind what `bytes` holds.
///
/// # Errors
/// As [`finish`].
pub(crate) fn write(bytes: &mut Vec<u8>, head: &Head<'_>, body: &[u8], bytes_max: usize) -> Result<(), PeerError> {
    let start = begin(bytes, head);
    bytes.extend_from_slice(body);
    finish(bytes, start, bytes_max)
}

/// Whether a frame, of which perhaps not all is there, is a piece of a bulk frame.
pub(crate) fn is_piece(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|kind| [Kind::Begin as u8, Kind::Piece as u8].contains(kind))
}

/// Splits a frame into its head and its body.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Head<'_>, &[u8]), FrameError> {
    let (&kind, rest) = bytes.split_first().ok_or(FrameError::Short)?;
    let mut rest = rest;
    let head = match Kind::of(kind).ok_or(FrameError::Kind(kind))? {
        Kind::Ping => Head::Ping,
        Kind::Tell => Head::Tell(read_way(&mut rest)?),
        Kind::Ask => {
            let correlation = u64::from_be_bytes(array(&mut rest)?);
            let deadline_ms = u64::from_be_bytes(array(&mut rest)?);
            Head::Ask { way: read_way(&mut rest)?, correlation, deadline_ms }
        }
        Kind::Reply => Head::Reply(u64::from_be_bytes(array(&mut rest)?)),
        Kind::Refusal => Head::Refusal(u64::from_be_bytes(array(&mut rest)?)),
        Kind::Watch => Head::Watch(u64::from_be_bytes(array(&mut rest)?)),
        Kind::Unwatch => Head::Unwatch(u64::from_be_bytes(array(&mut rest)?)),
        Kind::Define => {
            let route = u16::from_be_bytes(array(&mut rest)?);
            Head::Define(route, read_names(&mut rest)?)
        }
        Kind::Begin => Head::Begin(u32::from_be_bytes(array(&mut rest)?)),
        Kind::Piece => Head::Piece,
        Kind::Credit => Head::Credit(u32::from_be_bytes(array(&mut rest)?)),
        Kind::Room => {
            let route = u16::from_be_bytes(array(&mut rest)?);
            Head::Room(route, u32::from_be_bytes(array(&mut rest)?))
        }
        Kind::Schema => Head::Schema(read_name(&mut rest)?),
    };
    Ok((head, rest))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (taken, left) = rest.split_first_chunk().ok_or(FrameError::Short)?;
    *rest = left;
    Ok(*taken)
}

fn read_way<'a>(rest: &mut &'a [u8]) -> Result<Way<'a>, FrameError> {
    match u16::from_be_bytes(array(rest)?) {
        NAMED => Ok(Way::Named(read_names(rest)?)),
        route => Ok(Way::Route(route)),
    }
}

fn read_names<'a>(rest: &mut &'a [u8]) -> Result<Names<'a>, FrameError> {
    Ok(Names { actor: read_name(rest)?, message: read_name(rest)? })
}

fn read_name<'a>(rest: &mut &'a [u8]) -> Result<&'a str, FrameError> {
    let length = usize::from(u16::from_be_bytes(array(rest)?));
    let (taken, left) = rest.split_at_checked(length).ok_or(FrameError::Short)?;
    *rest = left;
    std::str::from_utf8(taken).map_err(|_| FrameError::Text)
}

/// Writes the greeting: magic and version in a form that every version can read, then the node and its build.
pub(crate) fn encode_hello(version: u16, node: &NodeId, line: u32, build: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&version.to_be_bytes());
    rmp_serde::encode::write(&mut bytes, &(node, line, build)).expect("a vector takes any bytes");
    bytes
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) node: NodeId,
    pub(crate) line: u32,
    pub(crate) build: String,
}

/// Reads the other side's greeting.
pub(crate) fn decode_hello(bytes: &[u8]) -> Result<Hello, FrameError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FrameError::Magic)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::Magic)?;
    let theirs = u16::from_be_bytes(*version);
    if theirs != PROTOCOL_VERSION {
        return Err(FrameError::Version { theirs });
    }
    let (node, line, build): (NodeId, u32, String) =
        rmp_serde::from_slice(rest).map_err(|error| FrameError::Hello(error.to_string()))?;
    if build.len() > BUILD_BYTES_MAX {
        return Err(FrameError::Hello("the name of its build is too long".into()));
    }
    odeon_protocol::id::check_id(&node.name).map_err(|error| FrameError::Hello(error.to_string()))?;
    Ok(Hello { node, line, build })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn node() -> NodeId {
        NodeId { name: "n".into(), incarnation: 7 }
    }

    #[test]
    fn every_kind_of_frame_survives_the_wire() {
        let names = Names { actor: "a/b", message: "m.v1.M" };
        let heads = [
            Head::Ping,
            Head::Tell(Way::Route(7)),
            Head::Tell(Way::Named(names)),
            Head::Ask { way: Way::Route(63), correlation: u64::MAX, deadline_ms: 5000 },
            Head::Ask { way: Way::Named(names), correlation: 9, deadline_ms: 0 },
            Head::Reply(1),
            Head::Refusal(2),
            Head::Define(3, names),
            Head::Begin(1 << 20),
            Head::Piece,
            Head::Credit(4),
            Head::Room(5, 6),
            Head::Watch(7),
            Head::Unwatch(8),
            Head::Schema("m.v1.M"),
        ];
        for head in heads {
            let mut bytes = b"earlier".to_vec();
            write(&mut bytes, &head, b"body", 1024).unwrap();
            let (prefix, rest) = bytes[b"earlier".len()..].split_first_chunk().unwrap();
            assert_eq!(u32::from_be_bytes(*prefix) as usize, rest.len());
            assert_eq!(decode(rest), Ok((head, &b"body"[..])));
            assert_eq!(length_of(&head, 4), rest.len());
        }
    }

    #[test]
    fn a_tell_by_number_is_written_and_read_as_any_other_frame() {
        let (mut short, mut long) = (b"earlier".to_vec(), b"earlier".to_vec());
        write_tell(&mut short, 7, b"body", 7).unwrap();
        write(&mut long, &Head::Tell(Way::Route(7)), b"body", 7).unwrap();
        assert_eq!(short, long);
        let frame = &short[b"earlier".len() + PREFIX_BYTES..];
        assert_eq!(numbered_tell(frame), Some((7, &b"body"[..])));
        for end in 0..3 {
            assert_eq!(numbered_tell(&frame[..end]), None);
        }
        assert_eq!(write_tell(&mut short, 7, b"body", 6), Err(PeerError::TooLarge { bytes: 7, limit: 6 }));
        assert_eq!(short, long);
        let names = Names { actor: "a", message: "m.v1.M" };
        for head in [Head::Tell(Way::Named(names)), Head::Reply(7), Head::Ping] {
            let mut other = Vec::new();
            write(&mut other, &head, b"body", 1024).unwrap();
            assert_eq!(numbered_tell(&other[PREFIX_BYTES..]), None);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_with_both_sizes_and_leaves_nothing_behind() {
        let mut bytes = b"earlier".to_vec();
        let refused = write(&mut bytes, &Head::Reply(1), &[0; 100], 64);
        assert_eq!(refused, Err(PeerError::TooLarge { bytes: 109, limit: 64 }));
        assert_eq!(bytes, b"earlier");
    }

    #[test]
    fn a_frame_that_ends_within_its_head_is_none() {
        let mut bytes = Vec::new();
        let names = Names { actor: "actor", message: "m.v1.M" };
        begin(&mut bytes, &Head::Ask { way: Way::Named(names), correlation: 1, deadline_ms: 1 });
        let whole = &bytes[PREFIX_BYTES..];
        assert!(decode(whole).is_ok());
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length]), Err(FrameError::Short), "{length}");
        }
        assert_eq!(decode(&[99]), Err(FrameError::Kind(99)));
    }

    #[test]
    fn a_greeting_of_another_version_is_refused_with_both_versions() {
        let hello = Hello { node: node(), line: 3, build: "b".into() };
        assert_eq!(decode_hello(&encode_hello(PROTOCOL_VERSION, &node(), 3, "b")), Ok(hello));
        let long = "b".repeat(BUILD_BYTES_MAX + 1);
        assert!(matches!(decode_hello(&encode_hello(PROTOCOL_VERSION, &node(), 3, &long)), Err(FrameError::Hello(_))));
        let error = decode_hello(&encode_hello(9, &node(), 3, "b")).unwrap_err();
        assert_eq!(error.to_string(), "protocol version 9 meets version 3 of this node");
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
