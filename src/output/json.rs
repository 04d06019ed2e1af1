//! Output for scripts: one JSON object with a `version` and one named body.
//!
//! The version counts the shape of all bodies; it rises only when a name or a meaning changes, not when one is added.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::escape::is_unsafe;

/// The version of the shape of the JSON output.
pub const JSON_VERSION: u32 = 1;

/// `{"version": 1, "<name>": body}`, indented, the line ended. Characters that could steer a terminal are escaped.
///
/// # Errors
/// If `body` cannot be JSON: a map whose keys are not text, or a `Serialize` that fails.
pub fn document<T: Serialize + ?Sized>(name: &str, body: &T) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(&Versioned { name, body })?;
    Ok(harmless(&text) + "\n")
}

struct Versioned<'a, T: ?Sized> {
    name: &'a str,
    body: &'a T,
}

impl<T: Serialize + ?Sized> Serialize for Versioned<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("version", &JSON_VERSION)?;
        map.serialize_entry(self.name, self.body)?;
        map.end()
    }
}

/// Escapes what JSON allows raw within texts but a terminal may obey; between texts only line breaks occur.
fn harmless(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unsafe(character) && character != '\n' {
            // Every unsafe character lies in the basic plane, where one escape is enough.
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_document_starts_with_its_version_and_names_its_body() {
        let text = document("agent", &json!({"id": "a1"})).unwrap();
        assert_eq!(text, "{\n  \"version\": 1,\n  \"agent\": {\n    \"id\": \"a1\"\n  }\n}\n");
    }

    #[test]
    fn unsafe_characters_are_escaped_and_read_back_the_same() {
        let hostile = "\u{9b}2J\u{202e}\u{7f}\u{1b}\n演";
        let text = document("name", hostile).unwrap();
        assert!(!text.contains(|c: char| is_unsafe(c) && c != '\n'), "{text:?}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["name"], hostile);
    }
}
