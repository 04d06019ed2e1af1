//! Values of a scenario that are written as text in a form of their own.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use odeon_allocator::Pattern;
use odeon_protocol::resources::Scalar;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::config::HumanDuration;

/// How long a refusal lasts if nothing is said, in seconds; as in Mesos.
const REFUSE_DEFAULT: f64 = 5.0;

/// A value that is read from its text form.
#[derive(Debug, Clone, Default)]
pub(super) struct Parsed<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(D::Error::custom)
    }
}

/// Scalars by name; unlike resources, zero means something here.
#[derive(Debug, Clone, Default)]
pub(super) struct Scalars(pub(super) BTreeMap<String, Scalar>);

impl FromStr for Scalars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut scalars = BTreeMap::new();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let fail = || format!("{entry:?} is not of the form name:amount");
            let (name, amount) = entry.split_once(':').ok_or_else(fail)?;
            let amount = amount.trim().parse().map_err(|()| fail())?;
            if scalars.insert(name.trim().to_owned(), amount).is_some() {
                return Err(format!("{name:?} is given twice"));
            }
        }
        Ok(Self(scalars))
    }
}

/// A weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight(pub(super) odeon_allocator::Weight);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(NumberOrText)?;
        let fail =
            || D::Error::custom(format!("{number} is not a weight: a number above 0 with at most three decimals"));
        let amount: Scalar = number.parse().map_err(|()| fail())?;
        odeon_allocator::Weight::new(amount).map(Self).map_err(|_| fail())
    }
}

/// How long a refusal lasts: a duration (`"5s"`), or a number of seconds as in Mesos, negative ones meaning the default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refuse(pub(super) Duration);

impl Default for Refuse {
    fn default() -> Self {
        Self(Duration::from_secs_f64(REFUSE_DEFAULT))
    }
}

impl<'de> Deserialize<'de> for Refuse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(NumberOrText)?;
        match text.parse::<f64>() {
            Ok(seconds) if seconds < 0.0 => Ok(Self::default()),
            Ok(seconds) => Duration::try_from_secs_f64(seconds).map(Self).map_err(D::Error::custom),
            Err(_) => Ok(Self(text.parse::<HumanDuration>().map_err(D::Error::custom)?.get())),
        }
    }
}

/// An attribute; numbers are written as numbers.
#[derive(Debug, Clone)]
pub(super) struct Attribute(pub(super) String);

impl<'de> Deserialize<'de> for Attribute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrText).map(Self)
    }
}

/// A regular expression.
pub(super) type PatternText = Parsed<Pattern>;

struct NumberOrText;

impl Visitor<'_> for NumberOrText {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number or a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Both {
        refuse: Refuse,
        weight: Weight,
        limits: Parsed<Scalars>,
    }

    #[test]
    fn numbers_and_texts_are_read_alike() {
        let read = |refuse: &str| {
            let both: Both =
                toml::from_str(&format!("refuse = {refuse}\nweight = 2\nlimits = 'cpus:0;mem:5'")).unwrap();
            assert_eq!(both.weight.0.amount(), Scalar::from_whole(2));
            assert_eq!(both.limits.0.0["cpus"], Scalar::ZERO);
            both.refuse.0
        };
        assert_eq!(read("'2m'"), Duration::from_secs(120));
        assert_eq!(
            (read("0"), read("-1"), read("0.5")),
            (Duration::ZERO, Duration::from_secs(5), Duration::from_millis(500))
        );
    }
}
