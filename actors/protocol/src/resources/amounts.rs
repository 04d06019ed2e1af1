//! `Amounts`: scalars by name, in the order of their names.
//!
//! Every task and offer carries some, nearly always one to three: a list takes a tenth of the memory of a tree, and the
//! usual names are not copied.

use super::{CPUS, DISK, MEM, Scalar};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The processors that are made for graphics.
const GPUS: &str = "gpus";

/// A name is in it once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Amounts(Vec<(Cow<'static, str>, Scalar)>);

fn shared(name: &str) -> Cow<'static, str> {
    let usual = [CPUS, MEM, DISK, GPUS].into_iter().find(|usual| *usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

impl Amounts {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<Scalar> {
        self.place(name).ok().map(|place| self.0[place].1)
    }

    /// Sets an amount, whatever it was.
    pub(super) fn set(&mut self, name: &str, amount: Scalar) {
        match self.place(name) {
            Ok(place) => self.0[place].1 = amount,
            Err(place) => self.0.insert(place, (shared(name), amount)),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.0.iter().map(|(name, amount)| (name.as_ref(), *amount))
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name))
    }
}

impl Serialize for Amounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Amounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AmountsVisitor)
    }
}

struct AmountsVisitor;

impl<'de> Visitor<'de> for AmountsVisitor {
    type Value = Amounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("amounts by name")
    }

    /// Of a name that is there twice the last amount counts, as in any map.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Amounts, A::Error> {
        let mut amounts = Amounts::default();
        while let Some((NameOf(name), amount)) = map.next_entry()? {
            match amounts.place(&name) {
                Ok(place) => amounts.0[place].1 = amount,
                Err(place) => amounts.0.insert(place, (name, amount)),
            }
        }
        Ok(amounts)
    }
}

struct NameOf(Cow<'static, str>);

impl<'de> Deserialize<'de> for NameOf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = NameOf;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a resource")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<NameOf, E> {
                Ok(NameOf(shared(name)))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn amounts(pairs: &[(String, u64)]) -> Amounts {
        let mut amounts = Amounts::default();
        pairs.iter().for_each(|(name, amount)| amounts.set(name, Scalar::from_thousandths(*amount)));
        amounts
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_of_the_same_is_in_order_and_on_the_wire(
            pairs in proptest::collection::vec(("(cpus|mem|a|zz|disk)", 0..9_u64), 0..9),
            removed in "(cpus|mem|a)",
        ) {
            let mut amounts = amounts(&pairs);
            let mut map: BTreeMap<String, Scalar> =
                pairs.into_iter().map(|(name, amount)| (name, Scalar::from_thousandths(amount))).collect();
            let bytes = crate::codec::encode(&map).unwrap();
            prop_assert_eq!(&crate::codec::encode(&amounts).unwrap(), &bytes);
            prop_assert_eq!(&crate::codec::decode::<Amounts>(&bytes, 8).unwrap(), &amounts);
            amounts.remove(&removed);
            map.remove(&removed);
            let pairs: Vec<(String, Scalar)> = amounts.iter().map(|(name, amount)| (name.to_owned(), amount)).collect();
            prop_assert_eq!(pairs, map.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(amounts.get("cpus"), map.get("cpus").copied());
            prop_assert_eq!(amounts.is_empty(), map.is_empty());
        }
    }

    #[test]
    fn of_a_name_that_is_there_twice_the_last_amount_counts() {
        let twice = serde_json::from_str::<Amounts>(r#"{"mem": 1, "a": 2, "mem": 3}"#).unwrap();
        let once = serde_json::from_str::<Amounts>(r#"{"a": 2, "mem": 3}"#).unwrap();
        assert_eq!(twice, once);
    }
}
