//! The choice of a format, and listings in each of them.

use super::json::document;
use super::listed::Listed;
use super::style::Style;
use super::table;

/// How results are written (`--output`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, one line for each result
    #[default]
    Table,
    /// One JSON object with a version, for scripts
    Json,
    /// The table with more columns
    Wide,
}

/// Writes `rows` in `format`; `style` concerns the tables only.
///
/// # Errors
/// If a row cannot be JSON, see [`document`].
pub fn render<T: Listed>(rows: &[T], format: Format, style: Style) -> Result<String, serde_json::Error> {
    match format {
        Format::Table => Ok(table::render(rows, false, style)),
        Format::Wide => Ok(table::render(rows, true, style)),
        Format::Json => document(T::KIND, rows),
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::output::{Column, ids};

    #[derive(Serialize)]
    struct Dog {
        name: String,
        age_years: u32,
        owner: Option<String>,
    }

    impl Listed for Dog {
        const KIND: &'static str = "dogs";
        const COLUMNS: &'static [Column] = &[Column::always("NAME"), Column::wide("OWNER"), Column::always("AGE")];

        fn cells(&self) -> Vec<String> {
            vec![self.name.clone(), self.owner.clone().unwrap_or_default(), format!("{}y", self.age_years)]
        }

        fn id(&self) -> String {
            self.name.clone()
        }
    }

    fn dog(name: &str, owner: Option<&str>) -> Dog {
        Dog { name: name.to_owned(), age_years: 3, owner: owner.map(str::to_owned) }
    }

    fn dogs() -> Vec<Dog> {
        vec![dog("rex", Some("Ann")), dog("fido-the-long", None)]
    }

    #[test]
    fn a_table_aligns_its_columns_and_ends_lines_cleanly() {
        let text = render(&dogs(), Format::Table, Style::Plain).unwrap();
        assert_eq!(text, "NAME           AGE\nrex            3y\nfido-the-long  3y\n");
    }

    #[test]
    fn a_wide_table_has_more_columns_and_marks_empty_cells() {
        let text = render(&dogs(), Format::Wide, Style::Plain).unwrap();
        assert_eq!(text, "NAME           OWNER  AGE\nrex            Ann    3y\nfido-the-long  -      3y\n");
    }

    #[test]
    fn a_table_of_nothing_is_its_header() {
        assert_eq!(render::<Dog>(&[], Format::Table, Style::Plain).unwrap(), "NAME  AGE\n");
        assert_eq!(ids::<Dog>(&[]), "");
    }

    #[test]
    fn json_holds_the_version_and_the_raw_values() {
        let text = render(&dogs(), Format::Json, Style::Terminal).unwrap();
        let expected = serde_json::json!({"version": 1, "dogs": [
            {"name": "rex", "age_years": 3, "owner": "Ann"},
            {"name": "fido-the-long", "age_years": 3, "owner": null},
        ]});
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
    }

    #[test]
    fn a_hostile_name_stays_on_its_line_in_every_format() {
        let rows = [dog("a\nb\u{1b}[2J", Some("c\r\u{9b}"))];
        let table = render(&rows, Format::Wide, Style::Plain).unwrap();
        assert_eq!(table.lines().nth(1), Some("a\\nb\\u{1b}[2J  c\\r\\u{9b}  3y"));
        assert_eq!(table.lines().count(), 2);
        assert_eq!(ids(&rows), "a\\nb\\u{1b}[2J\n");
        assert!(!render(&rows, Format::Json, Style::Plain).unwrap().contains(['\u{1b}', '\u{9b}']));
    }

    #[test]
    fn a_long_name_is_neither_cut_nor_folded() {
        let long = "x".repeat(500);
        let table = render(&[dog(&long, None)], Format::Table, Style::Plain).unwrap();
        assert_eq!(table.lines().nth(1), Some(format!("{long}  3y").as_str()));
    }

    #[test]
    fn attributes_appear_only_in_the_terminal_style() {
        let escape = '\u{1b}';
        assert!(render(&dogs(), Format::Table, Style::Terminal).unwrap().starts_with(escape));
        assert!(!render(&dogs(), Format::Table, Style::Plain).unwrap().contains(escape));
    }

    #[test]
    fn ids_stand_one_a_line() {
        assert_eq!(ids(&dogs()), "rex\nfido-the-long\n");
    }
}
