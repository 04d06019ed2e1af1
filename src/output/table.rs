//! Rows as aligned columns without borders, one line each. The wide form has more columns.
//!
//! Lines are never folded or cut to the terminal's width, so that a table reads the same in a pipe.

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

use super::escape::escaped;
use super::listed::Listed;
use super::style::Style;

/// Blanks between two columns.
const GAP: u16 = 2;

/// What an empty cell shows, so that every line has the same number of words to split at.
const NOTHING: &str = "-";

/// The table of `rows`, header first, each line ended.
pub(super) fn render<T: Listed>(rows: &[T], wide: bool, style: Style) -> String {
    let is_shown = |index: usize| wide || !T::COLUMNS[index].wide_only;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let header = T::COLUMNS.iter().enumerate().filter(|(index, _)| is_shown(*index));
    table.set_header(header.map(|(_, column)| header_cell(column.name, style)));
    for row in rows {
        let cells = row.cells();
        assert_eq!(cells.len(), T::COLUMNS.len(), "a row of {} has one cell for each column", T::KIND);
        let shown = cells.iter().enumerate().filter(|(index, _)| is_shown(*index));
        table.add_row(shown.map(|(_, text)| Cell::new(cell_text(text))));
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    match style {
        Style::Plain => table.force_no_tty(),
        Style::Terminal => table.enforce_styling(),
    };
    table.trim_fmt() + "\n"
}

fn header_cell(name: &str, style: Style) -> Cell {
    let cell = Cell::new(name);
    if style == Style::Terminal { cell.add_attribute(Attribute::Bold) } else { cell }
}

fn cell_text(text: &str) -> String {
    if text.trim().is_empty() { NOTHING.to_owned() } else { escaped(text).into_owned() }
}
