//! A duration as people write it: `500ms`, `30s`, `1h30m`.
//!
//! A bare number is refused. Months and years are left out: their length varies.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::quantity::{QuantityError, Unit, take_quantity};

const UNITS: [Unit; 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// A [`Duration`] that reads and prints with units; holds up to 2^64 nanoseconds (584 years).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HumanDuration(Duration);

impl HumanDuration {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration itself.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Self {
        duration.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for HumanDuration {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let trimmed = text.trim();
        let (mut nanoseconds, mut rest) = take_quantity(trimmed, trimmed, &UNITS)?;
        while !rest.is_empty() {
            let (more, left) = take_quantity(trimmed, rest.trim_start(), &UNITS)?;
            let sum = nanoseconds.checked_add(more);
            nanoseconds = sum.ok_or_else(|| QuantityError::NotExact { text: trimmed.to_owned() })?;
            rest = left;
        }
        Ok(Self(Duration::from_nanos(nanoseconds)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str("0s");
        }
        let mut left = self.0.as_nanos();
        for (unit, size) in UNITS.iter().rev() {
            let count = left / u128::from(*size);
            left %= u128::from(*size);
            if count > 0 {
                write!(formatter, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DurationVisitor)
    }
}

struct DurationVisitor;

impl de::Visitor<'_> for DurationVisitor {
    type Value = HumanDuration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a duration with its unit, such as \"30s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_in_every_unit_and_in_parts() {
        let read = |text: &str| text.parse::<HumanDuration>().unwrap().get();
        assert_eq!(read("500ms"), Duration::from_millis(500));
        assert_eq!(read("1.5s"), Duration::from_millis(1500));
        assert_eq!(read("10m"), Duration::from_secs(600));
        assert_eq!(read("1h30m"), Duration::from_secs(5400));
        assert_eq!(read("1d 1s"), Duration::from_secs(86_401));
        assert_eq!(read("0s"), Duration::ZERO);
    }

    #[test]
    fn a_duration_without_a_unit_or_number_is_refused() {
        let refusal = |text: &str| text.parse::<HumanDuration>().unwrap_err().to_string();
        assert_eq!(refusal("30"), "`30` has no unit, write one of ns, us, ms, s, m, h, d");
        assert_eq!(refusal("1h30"), "`1h30` has no unit, write one of ns, us, ms, s, m, h, d");
        assert!(refusal("30sec").contains("unknown unit `sec`"));
        for text in ["", "s", "-1s", "1.s", ".5s", "1.2.3s", "1s-1s"] {
            assert!(refusal(text).ends_with("has no number where one is expected"), "{text}");
        }
        assert!(refusal("999999d").ends_with("too large or too fine to be held exactly"));
        assert!(refusal("213000d213000d").ends_with("too large or too fine to be held exactly"));
    }

    #[test]
    fn a_duration_prints_compactly_and_reads_back() {
        for printed in ["500ms", "30s", "1m30s", "10m", "1d1h", "1s1ns", "0s"] {
            let duration: HumanDuration = printed.parse().unwrap();
            assert_eq!(duration.to_string(), printed);
        }
    }
}
