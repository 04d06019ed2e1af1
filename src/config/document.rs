//! Reads a TOML document into a type, and says exactly where it does not fit: position, line, caret, nearest word.
//!
//! For configuration files, job files and training files alike. The type decides what is allowed; nested tables
//! should carry `#[serde(deny_unknown_fields)]`. Reads no files itself.

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Place;
use super::wording::{Complaint, nearest, plain, suggestion};
use crate::output::escaped;

/// Why a document was refused. The place is the first fault only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The text is not TOML.
    #[error("{}", .place.point_out(&format!("not valid TOML: {reason}"), ""))]
    Syntax {
        /// Where reading stopped.
        place: Box<Place>,
        /// What the reader met.
        reason: String,
    },
    /// A key that its table does not have.
    #[error("{}", unknown(place, "key", key, .nearest.as_deref(), known))]
    UnknownKey {
        /// Where the key stands.
        place: Box<Place>,
        /// The key as written.
        key: String,
        /// The known key that was probably meant.
        nearest: Option<String>,
        /// Every key that may stand there.
        known: Vec<String>,
    },
    /// A word where only certain words are allowed.
    #[error("{}", unknown(place, "word", word, .nearest.as_deref(), known))]
    UnknownWord {
        /// Where the word stands.
        place: Box<Place>,
        /// The word as written.
        word: String,
        /// The allowed word that was probably meant.
        nearest: Option<String>,
        /// Every allowed word.
        known: Vec<String>,
    },
    /// A key that must be given; the place is the table that lacks it.
    #[error("{}", .place.point_out(&format!("missing key `{key}`"), ""))]
    MissingKey {
        /// Where the table starts.
        place: Box<Place>,
        /// The key that is not there.
        key: String,
    },
    /// A value of a wrong type or outside its range.
    #[error("{}", .place.point_out(&escaped(reason), ""))]
    WrongValue {
        /// Where the value stands.
        place: Box<Place>,
        /// What is wrong with it.
        reason: String,
    },
}

impl DocumentError {
    /// Where in the file the fault is.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownKey { place, .. }
            | Self::UnknownWord { place, .. }
            | Self::MissingKey { place, .. }
            | Self::WrongValue { place, .. } => place,
        }
    }
}

fn unknown(place: &Place, what: &str, written: &str, nearest: Option<&str>, known: &[String]) -> String {
    place.point_out(&format!("unknown {what} `{}`", escaped(written)), &suggestion(nearest, known))
}

/// Reads `text` as a `T`; `path` only names the file in errors.
///
/// # Errors
/// [`DocumentError`] with the place of the first fault.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, DocumentError> {
    let table = parse_table(path, text)?;
    toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or_default();
        document_error(path, text, &table, span, error.message())
    })
}

/// Reads `text` as a table whose keys and values know their place.
pub(super) fn parse_table<'text>(path: &Path, text: &'text str) -> Result<Spanned<DeTable<'text>>, DocumentError> {
    DeTable::parse(text).map_err(|error| DocumentError::Syntax {
        place: Box::new(Place::of(path, text, error.span().unwrap_or_default())),
        reason: plain(error.message()),
    })
}

fn document_error(
    path: &Path,
    text: &str,
    table: &Spanned<DeTable<'_>>,
    span: Range<usize>,
    message: &str,
) -> DocumentError {
    let place = |span| Box::new(Place::of(path, text, span));
    let meant = |word: &str, known: &[String]| nearest(word, known.iter().map(String::as_str)).map(str::to_owned);
    match Complaint::read(message) {
        Complaint::UnknownKey(key, known) => DocumentError::UnknownKey {
            place: place(key_span(table.get_ref(), table.span(), &span, &key).unwrap_or(span)),
            nearest: meant(&key, &known),
            key,
            known,
        },
        Complaint::UnknownWord(word, known) => {
            DocumentError::UnknownWord { place: place(span), nearest: meant(&word, &known), word, known }
        }
        Complaint::MissingKey(key) => DocumentError::MissingKey { place: place(span), key },
        Complaint::Other(reason) => DocumentError::WrongValue { place: place(span), reason },
    }
}

/// The place of `key` in the table at `wanted`: types that are chosen by a tag only report their whole table.
fn key_span(table: &DeTable<'_>, span: Range<usize>, wanted: &Range<usize>, key: &str) -> Option<Range<usize>> {
    if span == *wanted {
        return table.get_key_value(key).map(|(name, _)| name.span());
    }
    table.values().find_map(|value| key_span_in_value(value, wanted, key))
}

fn key_span_in_value(value: &Spanned<DeValue<'_>>, wanted: &Range<usize>, key: &str) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => key_span(table, value.span(), wanted, key),
        DeValue::Array(items) => items.iter().find_map(|item| key_span_in_value(item, wanted, key)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::config::{ByteSize, HumanDuration};

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Job {
        name: String,
        #[serde(default)]
        group: Vec<Group>,
        model: Option<Model>,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Group {
        name: String,
        #[serde(default)]
        count: u16,
        grace: Option<HumanDuration>,
        mem: Option<ByteSize>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
    enum Model {
        Linear { l2: f64 },
        Tree { depth: u32 },
    }

    fn refusal(text: &str) -> String {
        parse::<Job>(Path::new("job.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_sound_document_is_read() {
        let text = "name = 'a'\n[[group]]\nname = 'g'\ngrace = '5s'\nmem = '1MiB'\n[model]\ntype = 'tree'\ndepth = 3\n";
        let job: Job = parse(Path::new("job.toml"), text).unwrap();
        assert_eq!(job.group[0].grace, Some(HumanDuration::from_secs(5)));
        assert_eq!(job.group[0].mem, Some(ByteSize::from_mib(1)));
        assert_eq!(job.model, Some(Model::Tree { depth: 3 }));
    }

    #[test]
    fn an_unknown_key_is_pointed_at_with_the_nearest_known_one() {
        let expected = "job.toml:4:3: unknown key `cuont`\n  |\n4 |   cuont = 1\n  |   ^^^^^ did you mean `count`?";
        assert_eq!(refusal("name = 'a'\n[[group]]\nname = 'g'\n  cuont = 1\n"), expected);
    }

    #[test]
    fn an_unknown_key_near_no_other_lists_the_known_ones() {
        let error = refusal("name = 'a'\nzzz = 1\n");
        assert!(error.ends_with("2 | zzz = 1\n  | ^^^ known: name, group, model, labels"), "{error}");
    }

    #[test]
    fn an_unknown_key_of_a_tagged_type_is_pointed_at_too() {
        let error = refusal("name = 'a'\n[model]\ntype = 'linear'\nl3 = 1\n");
        assert!(error.starts_with("job.toml:4:1: unknown key `l3`"), "{error}");
        assert!(refusal("name='a'\nmodel = {type='linear', l3=1}").starts_with("job.toml:2:25: unknown key `l3`"));
    }

    #[test]
    fn an_unknown_word_is_pointed_at_with_the_nearest_allowed_one() {
        let error = refusal("name = 'a'\nmodel.type = 'liner'\n");
        assert!(error.starts_with("job.toml:2:14: unknown word `liner`"), "{error}");
        assert!(error.ends_with("^^^^^^^ did you mean `linear`?"), "{error}");
    }

    #[test]
    fn a_wrong_type_and_a_wrong_range_are_pointed_at_in_plain_words() {
        let error = refusal("name = 1\n");
        assert!(error.starts_with("job.toml:1:8: invalid type: integer `1`, expected a text in quotes\n"), "{error}");
        let error = refusal("name = 'a'\n[[group]]\nname = 'g'\ncount = 70000\n");
        assert!(error.starts_with("job.toml:4:9: invalid value: integer `70000`, expected a whole number from 0 to"));
        let error = refusal("name = 'a'\n[[group]]\nname = 'g'\nmem = '12'\n");
        assert!(error.starts_with("job.toml:4:7: `12` has no unit, write one of B,"), "{error}");
    }

    #[test]
    fn a_missing_key_is_named_at_its_table() {
        assert!(refusal("").starts_with("job.toml:1:1: missing key `name`"));
        let error = refusal("name = 'a'\n[[group]]\nname = 'g'\n[[group]]\ncount = 1\n");
        assert!(error.starts_with("job.toml:4:1: missing key `name`\n"), "{error}");
    }

    #[test]
    fn text_that_is_not_toml_is_pointed_at() {
        let error = refusal("name = 'a'\nname = 'b'\n");
        assert!(error.starts_with("job.toml:2:1: not valid TOML: duplicate key"), "{error}");
        assert!(refusal("name = ").starts_with("job.toml:1:8: not valid TOML: "));
    }

    #[test]
    fn hostile_text_cannot_write_to_the_terminal_or_break_a_line() {
        let error = refusal("name = 'a'\n\"\\u001b[2J\\nx\" = 1\n");
        assert!(!error.contains('\u{1b}'), "{error:?}");
        assert_eq!(error.lines().count(), 4, "{error}");
    }

    #[test]
    fn deep_nesting_is_refused_not_followed() {
        let text = format!("name = {}", "[".repeat(100_000));
        assert!(matches!(parse::<Job>(Path::new("x"), &text), Err(DocumentError::Syntax { .. })));
    }
}
