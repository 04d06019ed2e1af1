//! Schemas: what a message and its reply look like on the wire, so that two builds can tell whether they mean the same.
//!
//! A schema is found out by asking the type itself: it is given the beginning of a value, and what it asks for where the
//! bytes end is noted, place by place. So a message needs nothing but `Deserialize`. Names of Rust types do not matter.
//! What a type decides while it reads (untagged enums, flattened fields) is not seen: such a place agrees with any other.

mod trace;

use crate::codec::Probed;
use crate::wire::RemoteMessage;
use std::collections::BTreeMap;
use std::fmt;

/// The most bytes of the text of a schema; longer ones are cut, and agree as far as they go.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// Stands at a place that cannot be seen.
const UNSEEN: &str = "?";
/// Ends a place that must be there.
const REQUIRED: char = '!';

/// What a message and its reply look like: a line for each place, in the order of their names.
///
/// ```text
/// in struct
/// in.amount! u64
/// in.note ?text
/// out u64
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Schema {
    text: String,
}

/// Tells schemas apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.fingerprint())
    }
}

/// A place and what is there.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    kind: &'a str,
    required: bool,
}

impl Schema {
    /// That of a message; ask [`RemoteMessage::schema`], which remembers it.
    #[must_use]
    pub fn of<M: RemoteMessage>() -> Self {
        Self::traced(&M::probe, &M::probe_reply)
    }

    fn traced(message: &dyn Fn(&[u8], usize) -> Probed, reply: &dyn Fn(&[u8], usize) -> Probed) -> Self {
        let mut places = trace::places("in", message);
        places.append(&mut trace::places("out", reply));
        let mut text = String::new();
        for (place, kind) in places {
            let line = format!("{place} {kind}\n");
            if text.len() + line.len() > SCHEMA_BYTES_MAX {
                break;
            }
            text.push_str(&line);
        }
        Self { text }
    }

    /// One that was told by another node.
    #[must_use]
    pub fn told(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    /// All lines.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// FNV-1a over the text, 64 bits.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        Fingerprint(self.text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step))
    }

    /// Whether a node with this schema can hear one with the other, and be answered to: the message of the other is read
    /// here, the reply from here there.
    ///
    /// A reader finds at each place that both know the same kind of value, where an optional value may also be one that
    /// is always there, and finds each place that it cannot do without. Fields and variants that only the writer knows
    /// agree: a field is passed over, a variant is refused when it comes.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn hears(&self, other: &Self) -> Result<(), String> {
        if self == other {
            return Ok(());
        }
        let (here, there) = (self.places(), other.places());
        reads("in", &here, &there).map_err(|what| format!("{what}, as the receiver reads it"))?;
        reads("out", &there, &here).map_err(|what| format!("{what}, as the sender reads the reply"))
    }

    fn places(&self) -> BTreeMap<&str, Place<'_>> {
        self.text.lines().filter_map(place).collect()
    }
}

fn place(line: &str) -> Option<(&str, Place<'_>)> {
    let (name, kind) = line.split_once(' ')?;
    let bare = name.trim_end_matches(REQUIRED);
    Some((bare, Place { kind, required: bare.len() < name.len() }))
}

/// Whether a reader understands a writer, in one of the two directions.
fn reads(
    direction: &str,
    reader: &BTreeMap<&str, Place<'_>>,
    writer: &BTreeMap<&str, Place<'_>>,
) -> Result<(), String> {
    for (name, wanted) in reader.iter().filter(|(name, _)| name.starts_with(direction)) {
        match writer.get(name) {
            Some(found) if takes(wanted.kind, found.kind) => {}
            Some(found) => return Err(format!("{name} is {}, not {}", found.kind, wanted.kind)),
            None if wanted.required && parent(name).is_some_and(|parent| is_seen(parent, writer)) => {
                return Err(format!("{name} is missing"));
            }
            None => {}
        }
    }
    Ok(())
}

/// Whether a reader of one kind takes what a writer of the other writes.
fn takes(wanted: &str, found: &str) -> bool {
    let is_unseen = |kind: &str| matches!(kind.trim_start_matches('?'), "" | "any");
    let without = wanted.strip_prefix('?').filter(|rest| !rest.is_empty());
    wanted == found || is_unseen(wanted) || is_unseen(found) || without.is_some_and(|rest| takes(rest, found))
}

/// The struct that a field belongs to.
fn parent(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(parent, _)| parent)
}

/// Whether a place is known to be a struct; in one that is not seen, nothing is missed.
fn is_seen(place: &str, places: &BTreeMap<&str, Place<'_>>) -> bool {
    places.get(place).is_some_and(|place| place.kind.trim_start_matches('?') == "struct")
}

#[cfg(test)]
#[path = "schema_test.rs"]
mod tests;
