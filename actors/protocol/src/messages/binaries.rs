//! The binaries that a master keeps for its agents: handed in by clients, read by agents, both in ranges.

use crate::binary::Digest;
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};

/// The name behind which the binaries are kept, on the node of the master.
pub const BINARIES: &str = "binaries";
/// The most bytes of one range.
pub const RANGE_BYTES_MAX: usize = 1024 * 1024;

interface! {
    /// What the store of binaries hears.
    pub BinaryStore: OfferBinary, PutBinary, ReadBinary
}

/// Offers a binary; the answer says whether it is wanted, and from which byte on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferBinary {
    /// What it is.
    pub sha256: Digest,
    /// How many bytes it has.
    pub size: u64,
}
remote_message!(OfferBinary => Result<BinaryProgress, StoreBinaryError>, "binaries.v1.OfferBinary");

/// Hands in the next bytes of a binary that was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutBinary {
    /// The binary.
    pub sha256: Digest,
    /// Where the bytes begin; at another place than is wanted they change nothing.
    pub offset: u64,
    /// The bytes, at most [`RANGE_BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}
remote_message!(PutBinary => Result<BinaryProgress, StoreBinaryError>, "binaries.v1.PutBinary", Bulk);

/// How far a binary is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BinaryProgress {
    /// All of it is there, and it is what it was said to be.
    Complete,
    /// The bytes from here on are wanted.
    Wanted {
        /// The first of them.
        offset: u64,
    },
}

/// Why a binary is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StoreBinaryError {
    /// It does not fit, is not what it was said to be, or the disk refuses. A retry fails the same way, unless the
    /// text says that there is no room.
    #[error("the master does not keep the binary: {0}")]
    Refused(String),
    /// It was not offered, or so long ago that the master has forgotten it. A retry begins with the offer.
    #[error("the binary {0} was not offered")]
    NotOffered(Digest),
    /// Too many are being handed in. A retry helps soon.
    #[error("{0} binaries are being handed in, as many as may be")]
    TooMany(usize),
}

/// Reads a range of a binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBinary {
    /// The binary.
    pub sha256: Digest,
    /// From which byte on.
    pub offset: u64,
}
remote_message!(ReadBinary => Result<BinaryRange, ReadBinaryError>, "binaries.v1.ReadBinary", Bulk);

/// A range of a binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinaryRange {
    /// How many bytes all of it has.
    pub size: u64,
    /// The bytes from the offset on, at most [`RANGE_BYTES_MAX`]; none only at the end.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// Why a binary is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ReadBinaryError {
    /// It was never handed in, or was removed to make room. A retry helps once it is deployed again.
    #[error("the master does not have it; deploy it again from a client that does")]
    Unknown,
    /// The disk refuses; the text is the system's.
    #[error("the master cannot read it: {0}")]
    Io(String),
}
