//! Turns the decoder's messages into words for an operator: no names of Rust types, and the nearest known word.
//!
//! serde offers its complaints as text only, so this is the one file that takes such text apart.

/// The candidate that `word` most likely meant: at most one slip per three characters away, letter case aside.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
    let slips_max = |candidate: &str| (candidate.chars().count() / 3).max(1);
    let measured = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    let (_, found) = measured.filter(|(slips, name)| *slips <= slips_max(name)).min_by_key(|(slips, _)| *slips)?;
    Some(found)
}

/// What to write instead of an unknown word: the nearest known one, or else all of them.
pub(super) fn suggestion(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(word) => format!("did you mean `{word}`?"),
        None if known.is_empty() => "nothing may stand here".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}

/// What serde said, sorted by what an operator does about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// A key that the table does not have; the known ones follow.
    UnknownKey(String, Vec<String>),
    /// A word that is none of the allowed ones, which follow.
    UnknownWord(String, Vec<String>),
    /// A key that must be there.
    MissingKey(String),
    /// Anything else, in plain words.
    Other(String),
}

impl Complaint {
    /// Sorts the text of a decoder's error.
    pub(super) fn read(message: &str) -> Self {
        if let Some((key, known)) = message.strip_prefix("unknown field `").and_then(split_expected) {
            return Self::UnknownKey(key, known);
        }
        if let Some((word, known)) = message.strip_prefix("unknown variant `").and_then(split_expected) {
            return Self::UnknownWord(word, known);
        }
        let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        missing.map_or_else(|| Self::Other(plain(message)), |key| Self::MissingKey(key.to_owned()))
    }
}

/// Splits ``a`, expected one of `b`, `c` `` into `a` and the list; "there are no fields" has an empty list.
fn split_expected(rest: &str) -> Option<(String, Vec<String>)> {
    if let Some(word) = rest.strip_suffix("`, there are no fields") {
        return Some((word.to_owned(), Vec::new()));
    }
    let (word, expected) = rest.split_once("`, expected ")?;
    let known = expected.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((word.to_owned(), known))
}

/// The message with what was expected in words instead of a type's name.
pub(super) fn plain(message: &str) -> String {
    if message == "invalid IP address syntax" {
        return "not an IP address such as 127.0.0.1; the port is a key of its own".to_owned();
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "a text in quotes",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("{found}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_forgives_slips_but_not_other_words() {
        let known = ["offer_timeout", "port", "bind"];
        assert_eq!(nearest("offer_timout", known), Some("offer_timeout"));
        assert_eq!(nearest("OFFER_TIMEOUT", known), Some("offer_timeout"));
        assert_eq!(nearest("prot", known), Some("port"));
        assert_eq!(nearest("ix", ["id"]), Some("id"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(nearest("status_retry_mx", ["status_retry_min", "status_retry_max"]), Some("status_retry_max"));
    }

    #[test]
    fn every_form_of_serde_list_is_read() {
        let read = |text: &str| Complaint::read(text);
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let unknown = |known: &[&str]| Complaint::UnknownKey("x".to_owned(), words(known));
        assert_eq!(read("unknown field `x`, expected one of `a`, `b`, `c`"), unknown(&["a", "b", "c"]));
        assert_eq!(read("unknown field `x`, expected `a` or `b`"), unknown(&["a", "b"]));
        assert_eq!(read("unknown field `x`, expected `a`"), unknown(&["a"]));
        assert_eq!(read("unknown field `x`, there are no fields"), unknown(&[]));
        let word = Complaint::UnknownWord("x".to_owned(), words(&["a", "b"]));
        assert_eq!(read("unknown variant `x`, expected `a` or `b`"), word);
        assert_eq!(read("missing field `name`"), Complaint::MissingKey("name".to_owned()));
    }

    #[test]
    fn names_of_types_become_words() {
        assert_eq!(
            plain("invalid value: integer `70000`, expected u16"),
            "invalid value: integer `70000`, expected a whole number from 0 to 65535"
        );
        let no_address = "x:1".parse::<std::net::IpAddr>().unwrap_err().to_string();
        assert_eq!(plain(&no_address), "not an IP address such as 127.0.0.1; the port is a key of its own");
        assert_eq!(plain("something else"), "something else");
    }
}
