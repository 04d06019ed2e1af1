//! A rate as operators write it: `unlimited`, or a count in a span of time, such as `2/1m`.
//!
//! Counts nothing itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::HumanDuration;

/// How often something may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RateLimit {
    /// As often as it comes.
    #[default]
    Unlimited,
    /// At most so often in any span of so long.
    AtMost {
        /// How often; at least once.
        count: u32,
        /// In how long; longer than nothing.
        per: HumanDuration,
    },
}

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a rate: write \"unlimited\", or a count and a duration, such as \"2/1m\"")]
pub struct RateLimitError {
    /// The text at fault.
    text: String,
}

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        let error = || RateLimitError { text: text.to_owned() };
        if text.trim() == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let (count, per) = text.split_once('/').ok_or_else(error)?;
        let count: u32 = count.trim().parse().map_err(|_| error())?;
        let per: HumanDuration = per.parse().map_err(|_| error())?;
        if count == 0 || per.is_zero() { Err(error()) } else { Ok(Self::AtMost { count, per }) }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::AtMost { count, per } => write!(f, "{count}/{per}"),
        }
    }
}

impl Serialize for RateLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RateLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_prints_as_it_is_read_and_what_is_none_is_refused() {
        for text in ["unlimited", "1/10s", "20/1h30m"] {
            assert_eq!(text.parse::<RateLimit>().unwrap().to_string(), text);
        }
        for text in ["", "2", "2/", "/1m", "0/1m", "2/0s", "2/60", "-1/1m", "no limit"] {
            assert!(text.parse::<RateLimit>().unwrap_err().to_string().contains("2/1m"), "{text}");
        }
    }
}
