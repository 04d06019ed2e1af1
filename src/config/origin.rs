//! Where a configuration value came from.

use std::fmt;

use super::place::Place;
use crate::output::escaped;

/// The layer that gave a value, and the spot within it. Later variants win over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of the file of `--config`.
    File(Box<Place>),
    /// An environment variable, by name.
    Environment(String),
    /// The command line; holds the dotted key it was given for.
    Flag(String),
}

impl Origin {
    /// How strong the layer is: a value of a higher rank replaced those of lower rank.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }

    /// A whole message about something at this origin; `hint` goes to the caret, or in brackets behind.
    pub(super) fn point_out(&self, message: &str, hint: &str) -> String {
        match self {
            Self::File(place) => place.point_out(message, hint),
            _ if hint.is_empty() => format!("{self}: {message}"),
            _ => format!("{self}: {message} ({hint})"),
        }
    }
}

/// `default`, `path:line`, the variable's name, or `flag`, on one line.
impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(place) => write!(formatter, "{}:{}", escaped(&place.path().to_string_lossy()), place.line()),
            Self::Environment(name) => formatter.write_str(&escaped(name)),
            Self::Flag(_) => formatter.write_str("flag"),
        }
    }
}
