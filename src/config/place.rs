//! A place in a text file, and how a message points at it.
//!
//! Keeps a copy of the one line concerned, so that an error outlives the text. Columns count characters from 1.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::output::escaped;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
    line: usize,
    column: usize,
    /// The line as shown: control characters replaced, so that the caret stays below its text.
    source: String,
    caret_offset: usize,
    caret_width: usize,
}

impl Place {
    /// The place of `span` (byte offsets into `text`); a span past the end means the end.
    pub(super) fn of(path: &Path, text: &str, span: Range<usize>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let end = floor_char_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let marked = &text[start..end.min(line_end)];
        Self {
            path: path.to_owned(),
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            source: shown(text[line_start..line_end].trim_end()),
            caret_offset: shown(&text[line_start..start]).chars().count(),
            caret_width: shown(marked.trim_end()).chars().count().max(1),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character within the line, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }

    /// `path:line:column: message`, the source line, and below it a caret with `hint`.
    pub(super) fn point_out(&self, message: &str, hint: &str) -> String {
        let line = self.line.to_string();
        let margin = " ".repeat(line.len());
        let indent = " ".repeat(self.caret_offset);
        let carets = "^".repeat(self.caret_width);
        let caret_line = format!("{margin} | {indent}{carets} {hint}");
        format!(
            "{}:{line}:{}: {message}\n{margin} |\n{line} | {}\n{}",
            escaped(&self.path.to_string_lossy()),
            self.column,
            self.source,
            caret_line.trim_end(),
        )
    }
}

/// One shown line: tabs become single blanks, other control characters their escapes.
fn shown(text: &str) -> String {
    escaped(&text.replace('\t', " ")).into_owned()
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_points_at_its_text_in_its_line() {
        let text = "a = 1\nwörd = 2\nc = 3\n";
        let place = Place::of(Path::new("x.toml"), text, 6..11);
        assert_eq!((place.line(), place.column()), (2, 1));
        let expected = "x.toml:2:1: odd\n  |\n2 | wörd = 2\n  | ^^^^ why";
        assert_eq!(place.point_out("odd", "why"), expected);
    }

    #[test]
    fn columns_count_characters_and_carets_survive_tabs_and_escapes() {
        let text = "\té = \u{1b}x";
        let place = Place::of(Path::new("x.toml"), text, 7..8);
        assert_eq!(place.column(), 7);
        assert_eq!(place.point_out("m", ""), "x.toml:1:7: m\n  |\n1 |  é = \\u{1b}x\n  |            ^");
    }

    #[test]
    fn a_span_at_or_past_the_end_still_has_a_place() {
        let place = Place::of(Path::new("x.toml"), "a = ", 4..99);
        assert_eq!((place.line(), place.column()), (1, 5));
        assert!(place.point_out("m", "").ends_with("1 | a =\n  |     ^"));
        let place = Place::of(Path::new("x.toml"), "a\n", 2..2);
        assert_eq!((place.line(), place.column()), (2, 1));
        assert_eq!(Place::of(Path::new("x.toml"), "", 5..7).line(), 1);
    }

    #[test]
    fn a_span_over_several_lines_marks_only_its_first() {
        let place = Place::of(Path::new("x.toml"), "a = [\n1,\n]\n", 4..10);
        assert_eq!(place.point_out("m", "h"), "x.toml:1:5: m\n  |\n1 | a = [\n  |     ^ h");
    }
}
