//! What a thing must say of itself to be listed.

use serde::Serialize;

/// A column of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    pub(super) name: &'static str,
    pub(super) wide_only: bool,
}

impl Column {
    /// A column of every table; the name is upper case by custom.
    #[must_use]
    pub const fn always(name: &'static str) -> Self {
        Self { name, wide_only: false }
    }

    /// A column of the wide table only.
    #[must_use]
    pub const fn wide(name: &'static str) -> Self {
        Self { name, wide_only: true }
    }
}

/// One row of a listing. `Serialize` gives its JSON, which is for scripts: stable names, raw numbers, nothing cut.
pub trait Listed: Serialize {
    /// What the rows are, in the plural and lower case: the name of the list in JSON.
    const KIND: &'static str;
    /// The columns, left to right.
    const COLUMNS: &'static [Column];

    /// The row's text for people, one cell for each of [`Listed::COLUMNS`]; nothing to say is an empty cell.
    fn cells(&self) -> Vec<String>;

    /// What other commands take to mean this row.
    fn id(&self) -> String;
}
