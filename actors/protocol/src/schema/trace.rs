//! Finds the places of a type: from the beginnings of values that it is given, and what it asks for behind them.
//!
//! Wherever a beginning goes on with a list or a map, that is said to have one part more than follows, unless its length
//! is fixed. So a type that is content with a part asks for the next one, or has all, which is how that is seen.

use super::{REQUIRED, UNSEEN};
use crate::codec::{Asked, Probed, encode};
use std::collections::BTreeMap;

/// The most places of one type.
const PLACES_MAX: usize = 2000;
/// How deep places are looked for.
const DEPTH_MAX: usize = 24;
/// Parts of a list of fixed length that are looked at.
const TUPLE_PARTS_MAX: usize = 12;
/// What is tried where a text is wanted, for one may have rules.
const TEXTS: [&str; 6] =
    ["a", "0", "1", "a:1", "*", "0000000000000000000000000000000000000000000000000000000000000000"];

/// The places below `root`, each with what is there; a place that must be there ends with `!`.
pub(super) fn places(root: &str, probe: &dyn Fn(&[u8], usize) -> Probed) -> BTreeMap<String, String> {
    let mut tracer = Tracer { probe, places: BTreeMap::new(), required: Vec::new() };
    tracer.look(&At { name: root.to_owned(), before: Vec::new(), somes: 0, above: Vec::new(), depth: 0 });
    for name in std::mem::take(&mut tracer.required) {
        if let Some(kind) = tracer.places.remove(&name) {
            tracer.places.insert(format!("{name}{REQUIRED}"), kind);
        }
    }
    tracer.places
}

/// A type with named parts, as far as it can be told from others.
type Type = (&'static str, &'static [&'static str]);

/// A place, and how to come to it.
#[derive(Debug, Clone)]
struct At {
    name: String,
    /// The bytes before it.
    before: Vec<u8>,
    /// Options around it that have a value.
    somes: usize,
    /// The types around it, by name and parts.
    above: Vec<Type>,
    depth: usize,
}

impl At {
    /// A place in this one, behind further bytes.
    fn part(&self, name: &str, bytes: &[u8]) -> Self {
        let (name, before) = (format!("{}{name}", self.name), [&self.before[..], bytes].concat());
        Self { name, before, somes: 0, above: self.above.clone(), depth: self.depth + 1 }
    }

    fn within(&self, name: &'static str, parts: &'static [&'static str]) -> Self {
        let mut at = self.clone();
        at.above.push((name, parts));
        at
    }

    /// How many types lie between this one and the one above that it is again.
    fn repeats(&self, found: Type) -> Option<usize> {
        self.above.iter().rev().position(|above| *above == found)
    }
}

/// The bytes of a value that the type takes.
type Sample = Option<Vec<u8>>;

struct Tracer<'a> {
    probe: &'a dyn Fn(&[u8], usize) -> Probed,
    places: BTreeMap<String, String>,
    required: Vec<String>,
}

impl Tracer<'_> {
    fn look(&mut self, at: &At) -> Sample {
        let asked = (self.probe)(&at.before, at.somes).asked;
        let is_too_much = self.places.len() >= PLACES_MAX || at.depth > DEPTH_MAX;
        let sample = match asked.filter(|_| !is_too_much) {
            None => self.put(at, UNSEEN, None),
            Some(Asked::Any) => self.put(at, "any", None),
            Some(Asked::Value(kind)) => {
                let sample = values(kind).into_iter().find(|sample| self.is_taken(at, sample));
                self.put(at, kind, sample)
            }
            Some(Asked::Option) => {
                let inner = At { somes: at.somes + 1, depth: at.depth + 1, ..at.clone() };
                self.look(&inner);
                Some(vec![0xc0])
            }
            Some(Asked::Seq) => {
                self.put(at, "list", None);
                self.look(&at.part("[]", &[0x92]));
                Some(vec![0x90])
            }
            Some(Asked::Map) => {
                self.put(at, "map", None);
                if let Some(key) = self.look(&at.part("<>", &[0x82])) {
                    self.look(&at.part("{}", &[&[0x82][..], &key].concat()));
                }
                Some(vec![0x80])
            }
            Some(Asked::Tuple(length)) => self.tuple(at, length),
            Some(Asked::Struct(name, parts) | Asked::Enum(name, parts)) if at.repeats((name, parts)).is_some() => {
                let levels = at.repeats((name, parts)).unwrap_or_default();
                self.put(at, &format!("again:{levels}"), None)
            }
            Some(Asked::Struct(name, fields)) => self.record(&at.within(name, fields), fields),
            Some(Asked::Enum(name, variants)) => self.choice(&at.within(name, variants), variants),
        };
        sample.filter(|sample| self.is_taken(at, sample))
    }

    fn put(&mut self, at: &At, kind: &str, sample: Sample) -> Sample {
        let options = "?".repeat(at.somes);
        self.places.insert(at.name.clone(), format!("{options}{kind}"));
        sample
    }

    /// Whether the type is content with these bytes here, and asks for what is behind, if anything.
    fn is_taken(&self, at: &At, sample: &[u8]) -> bool {
        let probed = (self.probe)(&[&at.before, sample].concat(), 0);
        probed.asked.is_some() || probed.error.is_none()
    }

    fn tuple(&mut self, at: &At, length: usize) -> Sample {
        self.put(at, &format!("list:{length}"), None);
        let mut bytes = list_head(length);
        for index in 0..length.min(TUPLE_PARTS_MAX) {
            let sample = self.look(&at.part(&format!("#{index}"), &bytes))?;
            bytes.extend(sample);
        }
        Some(bytes)
    }

    /// Looks at the fields, then leaves out all but those that it is told to be missing.
    fn record(&mut self, at: &At, fields: &'static [&'static str]) -> Sample {
        self.put(at, "struct", None);
        let mut samples = BTreeMap::new();
        for field in fields {
            let sample = self.look(&at.part(&format!(".{field}"), &[&[0x82][..], &text(field)].concat()));
            samples.insert(*field, sample);
        }
        let (mut given, mut count) = (Vec::new(), 0);
        loop {
            let value = [map_head(count), given.clone()].concat();
            let missing = match (self.probe)(&[&at.before[..], &value].concat(), 0) {
                Probed { asked: Some(_), .. } | Probed { error: None, .. } => return Some(value),
                Probed { error: Some(error), .. } => missing_field(&error.to_string(), fields),
            };
            let Some(field) = missing.filter(|field| samples.contains_key(field)) else { break };
            self.required.push(format!("{}.{field}", at.name));
            let Some(Some(sample)) = samples.remove(field) else { break };
            given.extend([text(field), sample].concat());
            count += 1;
        }
        // What could not be tried is taken to be needed, unless nothing may stand for it.
        for field in samples.into_keys() {
            let name = format!("{}.{field}", at.name);
            if self.places.get(&name).is_some_and(|kind| !kind.starts_with('?')) {
                self.required.push(name);
            }
        }
        None
    }

    fn choice(&mut self, at: &At, variants: &'static [&'static str]) -> Sample {
        self.put(at, "enum", None);
        let mut first = None;
        for variant in variants {
            let head = [&[0x81][..], &text(variant)].concat();
            let sample = self.look(&at.part(&format!("|{variant}"), &head));
            let sample = match self.is_taken(at, &text(variant)) {
                true => Some(text(variant)),
                false => sample.map(|sample| [head, sample].concat()),
            };
            first = first.or(sample);
        }
        first
    }
}

/// The field that a text says to be missing, in the words of serde.
fn missing_field(error: &str, fields: &'static [&'static str]) -> Option<&'static str> {
    let name = error.strip_prefix("missing field `")?.strip_suffix('`')?;
    fields.iter().copied().find(|field| *field == name)
}

/// What is tried where a value of a kind is wanted.
fn values(kind: &str) -> Vec<Vec<u8>> {
    match kind {
        "bool" => vec![vec![0xc2]],
        "f32" | "f64" => vec![vec![0xcb, 0, 0, 0, 0, 0, 0, 0, 0]],
        "text" | "char" | "name" => TEXTS.into_iter().map(text).collect(),
        "bytes" => vec![vec![0xc4, 0]],
        "unit" => vec![vec![0xc0]],
        "unit struct" => vec![vec![0x90]],
        _ => vec![vec![0x00], vec![0x01]],
    }
}

fn text(text: &str) -> Vec<u8> {
    encode(&text).expect("a text is plain data")
}

fn list_head(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length @ 0..=15) => vec![0x90 | length],
        _ => head(0xdd, length),
    }
}

fn map_head(length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(length @ 0..=15) => vec![0x80 | length],
        _ => head(0xdf, length),
    }
}

fn head(marker: u8, length: usize) -> Vec<u8> {
    [&[marker][..], &u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()].concat()
}
