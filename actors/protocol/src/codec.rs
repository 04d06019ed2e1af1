//! Messages, replies and records of files as bytes: msgpack with named fields, read with a bound on depth.
//!
//! Headers, frames and lengths are the fabric's.

mod decoder;
mod encoder;
#[cfg(test)]
mod tree;

pub use decoder::Asked;

use decoder::Decoder;
use encoder::Encoder;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;

/// How deep a record of a file may be nested; a file is checked by its checksum, this is the net below.
pub const RECORD_DEPTH_MAX: usize = 128;

/// Why a value has no bytes, or why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

/// Writes a value.
///
/// # Errors
/// [`CodecError`] if it holds what msgpack cannot.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes)?;
    Ok(bytes)
}

/// Writes a value behind what `bytes` holds, for who keeps a buffer.
///
/// # Errors
/// As [`encode`]; part of the value may then have been written.
#[inline]
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    value.serialize(&mut Encoder::new(bytes))
}

/// Reads a value; allocates no more than the bytes hold.
///
/// # Errors
/// [`CodecError`] if the bytes are not such a value, are nested deeper than `depth_max`, or go on behind it.
#[inline]
pub fn decode<T: DeserializeOwned>(bytes: &[u8], depth_max: usize) -> Result<T, CodecError> {
    let mut decoder = Decoder::new(bytes, depth_max);
    let value = T::deserialize(&mut decoder)?;
    match decoder.left() {
        0 => Ok(value),
        left => Err(CodecError(format!("{left} bytes are left over"))),
    }
}

/// What a type does with bytes that are the beginning of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// What it asks for where the bytes end; nothing if it has not come so far, or wants no more.
    pub asked: Option<Asked>,
    /// Why the bytes are no value of it, if they are none.
    pub error: Option<CodecError>,
}

/// Looks at what a type reads behind some bytes; so many options there are taken to have a value.
#[must_use]
pub fn probe<T: DeserializeOwned>(bytes: &[u8], somes: usize) -> Probed {
    let mut decoder = Decoder::probing(bytes, RECORD_DEPTH_MAX, somes);
    let error = T::deserialize(&mut decoder).err();
    Probed { asked: decoder.asked(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_nested_too_deep_or_with_a_tail_is_refused() {
        let bomb = vec![0x91; 100_000];
        assert!(decode::<serde::de::IgnoredAny>(&bomb, 128).is_err());
        assert_eq!(decode::<u8>(&[1, 2, 3], 128), Err(CodecError("2 bytes are left over".into())));
    }

    #[test]
    fn a_length_without_its_elements_allocates_nothing_and_is_refused() {
        for claim in
            [&[0xdd, 0xff, 0xff, 0xff, 0xff][..], &[0xc6, 0xff, 0xff, 0xff, 0xff], &[0xdb, 0xff, 0xff, 0xff, 0xff]]
        {
            assert!(decode::<Vec<u64>>(claim, 128).is_err());
            assert!(decode::<String>(claim, 128).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Vec<(String, Option<Vec<u64>>)>>(&bytes, 128);
        }
    }
}
