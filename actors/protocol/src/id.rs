//! Names of things: each kind of id is its own type, checked by the rules of Mesos.
//!
//! An id is 1 to 255 bytes, not `.` or `..`, and has no control character, slash or backslash, so
//! that it can stand in a path. No id is generated here but from a caller's seed. The text is shared: a copy of
//! an id, of which a cluster makes many for each offer, copies no text.
//!
//! Ids are in the order of the number at their end, and then of their text: `S2` is before `S10`. Most ids of one kind
//! differ in that number, which is kept at hand, so that a search among many thousands of them reads one text.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 255;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing, or only one or two dots.
    #[error("an id may not be {0:?}")]
    Reserved(String),
    /// Longer than [`ID_BYTES_MAX`].
    #[error("an id has at most {ID_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that may not stand in an id.
    #[error("the id {id:?} contains {character:?}; control characters, slashes and backslashes are not allowed")]
    Character {
        /// The whole text.
        id: String,
        /// The first character at fault.
        character: char,
    },
}

/// Checks a text against the rules of ids.
///
/// # Errors
/// [`IdError`] names the rule that it breaks.
pub fn check_id(text: &str) -> Result<(), IdError> {
    if matches!(text, "" | "." | "..") {
        return Err(IdError::Reserved(text.to_owned()));
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    // Nearly all ids are of such characters only, and each is checked wherever it arrives.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'\\')) {
        return Ok(());
    }
    let forbidden = |c: &char| c.is_control() || matches!(c, '/' | '\\');
    text.chars().find(forbidden).map_or(Ok(()), |character| Err(IdError::Character { id: text.to_owned(), character }))
}

/// Digits at the end of an id that count: as many as fit into a number of 64 bits.
const DIGITS_MAX: usize = 19;

/// The text of an id, and the number at its end.
#[derive(Clone)]
struct Text {
    number: u64,
    text: Arc<str>,
}

impl Text {
    fn new(text: Arc<str>) -> Self {
        let digits = text.bytes().rev().take(DIGITS_MAX).take_while(u8::is_ascii_digit);
        let add =
            |(number, unit): (u64, u64), digit: u8| (number + unit * u64::from(digit - b'0'), unit.saturating_mul(10));
        let (number, _) = digits.fold((0, 1), add);
        Self { number, text }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number).then_with(|| match Arc::ptr_eq(&self.text, &other.text) {
            true => Ordering::Equal,
            false => self.text.cmp(&other.text),
        })
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Reads the text of an id: checked where it stands, and copied once.
struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        check_id(text).map_err(E::custom)?;
        Ok(Text::new(text.into()))
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(IdVisitor).map(Self)
            }
        }

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// [`IdError`] names the rule that it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_id(&text)?;
                Ok(Self(Text::new(text.into())))
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.text
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0.text)
            }
        }
    };
}

id! {
    /// One run of a master process; prefixes the ids that it gives out.
    MasterId
}
id! {
    /// An agent, from its admission until it is removed.
    AgentId
}
id! {
    /// A framework, from its first subscription until it is torn down.
    FrameworkId
}
id! {
    /// An executor; unique within its framework and agent.
    ExecutorId
}
id! {
    /// One run of an executor process.
    ContainerId
}
id! {
    /// A task; chosen by its framework and unique within it.
    TaskId
}
id! {
    /// One offer of one agent's resources to one framework under one role.
    OfferId
}
id! {
    /// One status update; made by the agent, named in the acknowledgement.
    StatusUuid
}

/// Makes ids that look random from a seed and a counter, so that a core needs no generator.
#[derive(Debug, Clone)]
pub struct IdSource {
    seed: u64,
    count: u64,
}

impl IdSource {
    /// Starts a sequence; two sources with one seed give the same ids.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    /// The next text of the form of a UUID.
    pub fn next_uuid(&mut self) -> String {
        self.count += 1;
        let high = mix(self.seed ^ mix(self.count));
        let low = mix(high ^ self.count.rotate_left(32));
        let node = low & 0xffff_ffff_ffff;
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{node:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff)
        )
    }

    /// The next id of a status update.
    pub fn next_status_uuid(&mut self) -> StatusUuid {
        StatusUuid(Text::new(self.next_uuid().into()))
    }

    /// The next id of a container.
    pub fn next_container_id(&mut self) -> ContainerId {
        ContainerId(Text::new(self.next_uuid().into()))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_id_that_could_leave_its_directory_is_refused() {
        for text in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0b"] {
            assert!(TaskId::new(text).is_err(), "{text:?}");
        }
        assert_eq!(TaskId::new("x".repeat(256)), Err(IdError::TooLong(256)));
        assert!(TaskId::new("x".repeat(255)).is_ok());
    }

    #[test]
    fn ids_are_in_the_order_of_the_number_at_their_end_and_then_of_their_text() {
        let order = ["a", "b", "c-0", "m-1-S2", "m-2-S2", "m-1-S10", "x9999999999999999999", "a19999999999999999998"];
        let sorted: BTreeSet<AgentId> = order.iter().rev().map(|text| AgentId::new(*text).expect("an id")).collect();
        let texts: Vec<&str> = sorted.iter().map(AgentId::as_str).collect();
        assert_eq!(
            texts,
            ["a", "b", "c-0", "m-1-S2", "m-2-S2", "m-1-S10", "a19999999999999999998", "x9999999999999999999"]
        );
    }

    #[test]
    fn ids_of_one_number_and_of_one_text_are_told_apart() {
        let id = |text: &str| AgentId::new(text).expect("an id");
        assert_eq!(id("a-1"), id("a-1"));
        assert_ne!(id("a-1"), id("b-1"));
        assert_ne!(id("a-1"), id("a-01"));
        assert_eq!(id("a-1").cmp(&id("a-01")), Ordering::Greater);
        assert_eq!(format!("{:?}", id("a-1")), "AgentId(\"a-1\")");
    }

    #[test]
    fn one_seed_gives_one_sequence_without_repeats() {
        let (mut one, mut two) = (IdSource::new(7), IdSource::new(7));
        let ids: Vec<String> = (0..1000).map(|_| one.next_uuid()).collect();
        assert!(ids.iter().all(|id| *id == two.next_uuid()));
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1000);
        assert_eq!(ids[0].len(), 36);
    }
}
