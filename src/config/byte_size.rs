//! A size in bytes that is written with its unit: `256MiB`.
//!
//! A bare number is refused, because tools disagree on whether it means bytes or mebibytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::quantity::{QuantityError, Unit, take_quantity};

const UNITS: [Unit; 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// The binary units, largest first, as sizes are printed.
const PRINTED_UNITS: [Unit; 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of `bytes` bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size of `mebibytes` times 2^20 bytes; beyond the largest size it stays there.
    #[must_use]
    pub const fn from_mib(mebibytes: u64) -> Self {
        Self(mebibytes.saturating_mul(1 << 20))
    }

    /// Reads a size in which a bare number counts mebibytes, as in `mem:512` of the resources of an agent.
    ///
    /// # Errors
    /// [`QuantityError`] for anything else that [`FromStr`] does not read.
    pub fn from_mem(text: &str) -> Result<Self, QuantityError> {
        text.trim().parse().map(Self::from_mib).or_else(|_| text.parse())
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in mebibytes (2^20 bytes), fractions kept, as the Mesos `mem` resource counts. Exact up to 2^53 bytes.
    #[must_use]
    pub fn mib(self) -> f64 {
        self.0 as f64 / f64::from(1_u32 << 20)
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let trimmed = text.trim();
        let (bytes, rest) = take_quantity(trimmed, trimmed, &UNITS)?;
        if rest.is_empty() {
            return Ok(Self(bytes));
        }
        Err(QuantityError::UnknownUnit {
            text: trimmed.to_owned(),
            unit: rest.to_owned(),
            units: UNITS.map(|(name, _)| name).join(", "),
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = PRINTED_UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (unit, size) = fitting.copied().unwrap_or(("B", 1));
        write!(formatter, "{}{unit}", self.0 / size)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SizeVisitor)
    }
}

struct SizeVisitor;

impl de::Visitor<'_> for SizeVisitor {
    type Value = ByteSize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size with its unit, such as \"256MiB\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_binary_and_decimal_units_and_fractions() {
        let read = |text: &str| text.parse::<ByteSize>().unwrap().bytes();
        let sizes = ["0B", "256MiB", "1 GiB", "1.5GiB", "2GB"].map(read);
        assert_eq!(sizes, [0, 268_435_456, 1_073_741_824, 1_610_612_736, 2_000_000_000]);
    }

    #[test]
    fn a_size_without_a_unit_or_with_a_foreign_one_is_refused() {
        let refusal = |text: &str| text.parse::<ByteSize>().unwrap_err().to_string();
        assert!(refusal("256").starts_with("`256` has no unit, write one of B, KiB"));
        assert!(refusal("256mb").starts_with("`256mb` has the unknown unit `mb`"));
        assert!(refusal("1GiB2").contains("unknown unit `2`"));
        assert_eq!(refusal("-1MiB"), "`-1MiB` has no number where one is expected");
        assert_eq!(refusal("0.3B"), "`0.3B` is too large or too fine to be held exactly");
        assert_eq!(refusal("99999999TiB"), "`99999999TiB` is too large or too fine to be held exactly");
    }

    #[test]
    fn a_bare_number_of_memory_counts_mebibytes() {
        let read = ["512", " 512 ", "512MiB", "0.5GiB"].map(|text| ByteSize::from_mem(text).unwrap());
        assert_eq!(read, [ByteSize::from_mib(512); 4]);
        assert_eq!(ByteSize::from_mem("0.5").unwrap_err(), "0.5".parse::<ByteSize>().unwrap_err());
    }

    #[test]
    fn a_size_prints_in_its_largest_whole_unit_and_reads_back() {
        for (bytes, printed) in [(0, "0B"), (1023, "1023B"), (32 << 20, "32MiB"), (1536 << 20, "1536MiB")] {
            let size = ByteSize::from_bytes(bytes);
            assert_eq!(size.to_string(), printed);
            assert_eq!(printed.parse(), Ok(size));
        }
    }

    #[test]
    fn mebibytes_keep_their_fraction() {
        assert_eq!(ByteSize::from_bytes(3 << 19).mib(), 1.5);
        assert_eq!(ByteSize::from_mib(32).bytes(), 33_554_432);
    }
}
