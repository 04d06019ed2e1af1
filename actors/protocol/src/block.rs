//! Blocks of numbers that travel as raw little-endian bytes, not element by element.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A vector of `f64` that is one byte string on the wire: 8 bytes a number, little endian.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct F64Block(pub Vec<f64>);

impl Serialize for F64Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|value| value.to_le_bytes()).collect();
        serde_bytes::Bytes::new(&bytes).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for F64Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            let length = bytes.len();
            return Err(D::Error::custom(format!("a block of f64 has {length} bytes, not a multiple of 8")));
        }
        Ok(Self(numbers.iter().map(|number| f64::from_le_bytes(*number)).collect()))
    }
}

impl From<Vec<f64>> for F64Block {
    fn from(values: Vec<f64>) -> Self {
        Self(values)
    }
}
