//! Makes foreign text safe to show: it can neither steer a terminal nor break out of its line.
//!
//! A name, a path or a reason may come from anyone who may submit a task. What is visible stays as it is.

use std::borrow::Cow;

/// `text` with every control character, line break and change of writing direction as an escape such as `\n` or
/// `\u{1b}`.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unsafe(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// As [`escaped`], but line breaks stay.
#[must_use]
pub(crate) fn escaped_lines(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// Whether a terminal or a reader's eye may be misled by `character`.
pub(super) fn is_unsafe(character: char) -> bool {
    let separates_lines = matches!(character, '\u{2028}' | '\u{2029}');
    let turns_direction =
        matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || separates_lines || turns_direction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_line_breaks_and_direction_changes_become_visible() {
        assert_eq!(escaped("a\nb\t\u{1b}[31m"), "a\\nb\\t\\u{1b}[31m");
        assert_eq!(escaped("\u{9b}2J \u{202e}x\u{2028}\u{7f}"), "\\u{9b}2J \\u{202e}x\\u{2028}\\u{7f}");
    }

    #[test]
    fn visible_text_of_any_script_is_left_alone() {
        assert!(matches!(escaped("Ωδεῖον \\n 演劇 🎭"), Cow::Borrowed("Ωδεῖον \\n 演劇 🎭")));
    }
}
