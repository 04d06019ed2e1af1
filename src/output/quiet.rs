//! Rows as bare ids, one a line: what the next command of a pipe wants.

use super::escape::escaped;
use super::listed::Listed;

/// The ids of `rows`, each line ended; nothing for no rows.
#[must_use]
pub fn ids<T: Listed>(rows: &[T]) -> String {
    rows.iter().map(|row| format!("{}\n", escaped(&row.id()))).collect()
}
