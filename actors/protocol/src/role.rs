//! Roles: the units between which resources are divided. The text is shared, as that of ids.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a text is not a role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{role:?} is not a role: {rule}")]
pub struct RoleError {
    /// The text at fault.
    pub role: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// A role; `/` makes it a path in the tree of roles, `*` is the default one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(Arc<str>);

impl Role {
    /// Checks and takes a text.
    ///
    /// # Errors
    /// [`RoleError`] names the rule of Mesos that it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, RoleError> {
        let text = text.into();
        let rule = if text == "*" {
            None
        } else if text.is_empty() || text.len() > crate::id::ID_BYTES_MAX {
            Some("it has 1 to 255 bytes")
        } else if text.starts_with('-') {
            Some("it does not start with a dash")
        } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            Some("it has no white space, control character or backslash")
        } else if text.split('/').any(|part| matches!(part, "" | "." | ".." | "*")) {
            Some("no part of its path is empty, a dot, two dots or a star")
        } else {
            None
        };
        match rule {
            None => Ok(Self(text.into())),
            Some(rule) => Err(RoleError { role: text, rule }),
        }
    }

    /// Whether it lies below another role in the tree, at any depth.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The role right above it in the tree; nothing at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Whether it stands for itself in the tree, not below another role.
    #[must_use]
    pub fn is_top_level(&self) -> bool {
        !self.0.contains('/')
    }

    /// The role as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Role {
    fn default() -> Self {
        Self("*".into())
    }
}

impl TryFrom<String> for Role {
    type Error = RoleError;
    fn try_from(text: String) -> Result<Self, RoleError> {
        Self::new(text)
    }
}

impl std::str::FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        Self::new(text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.as_str().to_owned()
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_follows_the_rules_of_mesos() {
        for text in ["*", "ads", "eng/ml", "a.b", "a-b"] {
            assert!(Role::new(text).is_ok(), "{text:?}");
        }
        for text in ["", "-a", "a b", "a//b", "/a", "a/", "a/..", "a/*", "a\tb"] {
            assert!(Role::new(text).is_err(), "{text:?}");
        }
    }
}
