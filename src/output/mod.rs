//! What people and scripts read on standard output: tables, JSON, bare ids. One format a file.
//!
//! Nothing else in the project writes to standard output; logs go to standard error. A listed thing states its columns,
//! its cells and its id (`Listed`), and its JSON by `Serialize`; every format is made of those.

mod escape;
mod format;
mod json;
mod listed;
mod print;
mod quiet;
mod style;
mod table;

pub use escape::escaped;
pub(crate) use escape::escaped_lines;
pub use format::{Format, render};
pub use json::{JSON_VERSION, document};
pub use listed::{Column, Listed};
pub use print::{Reader, print};
pub use quiet::ids;
pub use style::Style;
