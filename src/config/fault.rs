//! What a role's `validate` finds: a value out of range, or values at odds.
//!
//! Names keys only; where their values came from is added by [`load`](super::load).

use std::path::Path;

use super::HumanDuration;

/// A value out of range, or values at odds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The keys concerned, at least one.
    pub(super) keys: Vec<String>,
    /// What is wrong, to be read after "`key`: ".
    pub(super) reason: String,
}

impl Fault {
    /// `key` holds a value it may not hold; `reason` completes "`key`: ".
    #[must_use]
    pub fn of(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { keys: vec![key.into()], reason: reason.into() }
    }

    /// Refuses a period of no length, which would make a timer spin.
    pub(super) fn if_zero(key: &str, period: HumanDuration) -> Result<(), Self> {
        if period.is_zero() { Err(Self::of(key, "must be longer than 0s")) } else { Ok(()) }
    }

    /// Refuses an empty path, which would mean the current directory by accident.
    pub(super) fn if_empty(key: &str, path: &Path) -> Result<(), Self> {
        if path.as_os_str().is_empty() { Err(Self::of(key, "must not be empty")) } else { Ok(()) }
    }

    /// Refuses a lower bound above its upper bound; the key that was set in the stronger layer is blamed.
    pub(super) fn if_above(keys: [&str; 2], [min, max]: [HumanDuration; 2]) -> Result<(), Self> {
        if min <= max {
            return Ok(());
        }
        let reason = format!("{} is {min}, which is longer than {} with {max}", keys[0], keys[1]);
        Err(Self { keys: keys.map(str::to_owned).into(), reason })
    }
}
