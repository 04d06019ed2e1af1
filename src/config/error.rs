//! Why a configuration was refused.
//!
//! Every variant is the user's to mend: the caller prints the text and exits with the usage code.

use super::document::DocumentError;
use super::file::ReadError;
use super::origin::Origin;
use super::wording::suggestion;
use crate::output::escaped;

/// Why [`load`](super::load) refused. The text of a fault in a file spans several lines: place, line, caret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file is not TOML.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A key that the role does not have.
    #[error(
        "{}",
        .origin.point_out(&format!("unknown key `{}`", escaped(key)), &suggestion(.nearest.as_deref(), known))
    )]
    UnknownKey {
        /// The key, in the spelling of its file.
        key: String,
        /// Where it was given.
        origin: Origin,
        /// The known key that was probably meant, as it is spelled at the origin.
        nearest: Option<String>,
        /// Every key of the role.
        known: Vec<String>,
    },
    /// A variable `ODEON_<ROLE>__<KEY>` of no known role.
    #[error("{}: unknown role ({})", escaped(name), suggestion(.nearest.as_deref(), known))]
    UnknownRole {
        /// The variable's name.
        name: String,
        /// The role that was probably meant.
        nearest: Option<String>,
        /// Every role, as spelled in a variable.
        known: Vec<String>,
    },
    /// A value of a wrong type, outside its range, or at odds with another.
    #[error("{}", .origin.point_out(&format!("`{}`: {}", escaped(key), escaped(reason)), ""))]
    Invalid {
        /// The key at fault.
        key: String,
        /// Where its value came from.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
}
