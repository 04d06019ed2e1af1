//! `Scalar`: an amount in checked thousandths.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A scalar amount in thousandths, as in Mesos, whose scalars have three decimals.
///
/// On the wire and in journals it is the number of thousandths; in forms for people, such as JSON, the amount itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scalar(u64);

impl Scalar {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount given in thousandths.
    #[must_use]
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// A whole amount.
    ///
    /// # Panics
    /// If the amount has more than 16 digits; meant for constants and detected machine sizes.
    #[must_use]
    pub const fn from_whole(whole: u64) -> Self {
        assert!(whole <= u64::MAX / 1000, "scalar is too large");
        Self(whole * 1000)
    }

    /// The amount in thousandths.
    #[must_use]
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// The amount as a number, for shares and for people.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(super) fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 1000, self.0 % 1000);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{part:03}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Scalar {
    type Err = ();

    /// Reads digits with at most three decimals; no sign, no exponent, no rounding.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 {
            return Err(());
        }
        let whole: u64 = whole.parse().map_err(|_| ())?;
        let part: u64 = format!("{part:0<3}").parse().map_err(|_| ())?;
        whole.checked_mul(1000).and_then(|whole| whole.checked_add(part)).map(Self).ok_or(())
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true if self.0.is_multiple_of(1000) => serializer.serialize_u64(self.0 / 1000),
            true => serializer.serialize_f64(self.as_f64()),
            false => serializer.serialize_u64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(AmountVisitor),
            false => u64::deserialize(deserializer).map(Self),
        }
    }
}

/// Reads the amount itself.
struct AmountVisitor;

impl Visitor<'_> for AmountVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount with at most three decimals")
    }

    fn visit_u64<E: de::Error>(self, whole: u64) -> Result<Scalar, E> {
        let thousandths = whole.checked_mul(1000).map(Scalar);
        thousandths.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(whole), &self))
    }

    fn visit_i64<E: de::Error>(self, whole: i64) -> Result<Scalar, E> {
        let whole = u64::try_from(whole).map_err(|_| E::invalid_value(de::Unexpected::Signed(whole), &self))?;
        self.visit_u64(whole)
    }

    fn visit_f64<E: de::Error>(self, amount: f64) -> Result<Scalar, E> {
        // The shortest decimal form is what was written.
        amount.to_string().parse().map_err(|()| E::invalid_value(de::Unexpected::Float(amount), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use proptest::prelude::*;

    #[test]
    fn people_read_amounts_and_the_wire_carries_thousandths() {
        let amounts = [0, 100, 1500, 32_000].map(Scalar::from_thousandths);
        assert_eq!(serde_json::to_string(&amounts).unwrap(), "[0,0.1,1.5,32]");
        assert_eq!(codec::encode(&amounts).unwrap(), codec::encode(&[0, 100, 1500, 32_000]).unwrap());
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["-1", "0.0001", "1e30", "18446744073709551615", "\"1\"", "null"] {
            assert!(serde_json::from_str::<Scalar>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn amounts_read_back_in_both_forms(thousandths in 0..1_u64 << 52) {
            let amount = Scalar::from_thousandths(thousandths);
            prop_assert_eq!(serde_json::from_str::<Scalar>(&serde_json::to_string(&amount).unwrap()).unwrap(), amount);
            let bytes = codec::encode(&amount).unwrap();
            prop_assert_eq!(codec::decode::<Scalar>(&bytes, codec::RECORD_DEPTH_MAX), Ok(amount));
        }
    }
}
