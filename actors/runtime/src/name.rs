//! Names in the fabric: of a node, of the place it listens at, and of an actor.
//!
//! A name says nothing about whether the thing exists; the node and its links find that out.

use odeon_protocol::id::{IdError, check_id};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// One run of one node: a process that restarts comes back as another incarnation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId {
    /// Chosen by the operator, such as `master` or `agent-3`.
    pub name: String,
    /// Random for each start of the process.
    pub incarnation: u64,
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:x}", self.name, self.incarnation)
    }
}

/// Where a node listens; for TCP `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint(pub String);

impl Endpoint {
    /// Takes a text as it is; only a dial or a listen shows whether it means anything.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The endpoint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Endpoint {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Endpoint {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&Endpoint> for Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        endpoint.clone()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not the name of an actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// One part breaks the rules of ids.
    #[error("the actor name {name:?} is not valid")]
    Part {
        /// The whole name.
        name: String,
        /// What is wrong with the part.
        #[source]
        source: IdError,
    },
    /// Longer than 255 bytes as a whole.
    #[error("an actor name has at most 255 bytes, this one has {0}")]
    TooLong(usize),
}

/// The name of an actor within its node: `role`, or `role/name` where a role has many actors.
///
/// Each part follows the rules of Mesos ids; the whole has at most 255 bytes. A copy copies no text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActorName(Arc<str>);

impl ActorName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] names the rule that it breaks.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        if name.len() > 255 {
            return Err(NameError::TooLong(name.len()));
        }
        let (role, rest) = name.split_once('/').map_or((name.as_str(), None), |(role, rest)| (role, Some(rest)));
        let checked = check_id(role).and_then(|()| rest.map_or(Ok(()), check_id));
        match checked {
            Ok(()) => Ok(Self(name.into())),
            Err(source) => Err(NameError::Part { name, source }),
        }
    }

    /// The name of one of a role's actors, `role/name`.
    ///
    /// # Errors
    /// As [`ActorName::new`].
    pub fn of_role(role: &str, name: impl fmt::Display) -> Result<Self, NameError> {
        Self::new(format!("{role}/{name}"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for ActorName {
    /// For names in source code; a text from outside goes through [`ActorName::new`].
    ///
    /// # Panics
    /// If the literal is not a name, which is a bug of the caller.
    fn from(name: &'static str) -> Self {
        match Self::new(name) {
            Ok(name) => name,
            Err(error) => panic!("the literal {name:?} is not an actor name: {error}"),
        }
    }
}

impl From<&ActorName> for ActorName {
    fn from(name: &ActorName) -> Self {
        name.clone()
    }
}

impl TryFrom<String> for ActorName {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<ActorName> for String {
    fn from(name: ActorName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for ActorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where to find an actor from any node; can travel inside messages.
///
/// Resolved by [`Node::resolve`](crate::Node::resolve). Without node and endpoint it means an actor
/// of whichever node resolves it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ActorAddress {
    /// The name behind which the actor is exported.
    pub actor: ActorName,
    /// The only run of a node that will do, if it matters.
    pub node: Option<NodeId>,
    /// Where that node can be dialled, if known.
    pub endpoint: Option<Endpoint>,
}

impl fmt::Display for ActorAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.actor)?;
        if let Some(node) = &self.node {
            write!(f, "@{node}")?;
        }
        if let Some(endpoint) = &self.endpoint {
            write!(f, " at {endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_role_or_a_role_and_one_name() {
        for good in ["master", "executor/e-1", "a/b c", "ü/ß"] {
            assert_eq!(ActorName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "/", "a/", "/b", "a/b/c", "..", "a/..", "a\\b", "a\nb", "a/\u{0}"] {
            assert!(matches!(ActorName::new(bad), Err(NameError::Part { .. })), "{bad:?} was taken");
        }
        assert_eq!(ActorName::new(format!("{}/{}", "a".repeat(200), "b".repeat(55))), Err(NameError::TooLong(256)));
    }

    #[test]
    fn a_name_from_the_wire_is_checked() {
        let bytes = rmp_serde::to_vec("a/b/c").unwrap();
        assert!(rmp_serde::from_slice::<ActorName>(&bytes).is_err());
    }

    #[test]
    fn ids_read_well() {
        let node = NodeId { name: "agent-3".into(), incarnation: 0x2a };
        assert_eq!(node.to_string(), "agent-3#2a");
        let address = ActorAddress { actor: "agent".into(), node: Some(node), endpoint: Some("h:1".into()) };
        assert_eq!(address.to_string(), "agent@agent-3#2a at h:1");
    }
}
