//! What a peer is to the cluster, and sets of that. Pure.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a peer is to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// A person, or a program that runs frameworks: the command line, `odeon run`, `odeon train`.
    Client,
    /// Offers the resources of a host and starts executors there.
    Agent,
    /// Divides the resources, and tells agents what to launch.
    Master,
    /// A process that an agent has started: an executor, with the tasks and actors in it.
    ActorHost,
}

/// A text that is the name of no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: there are client, agent, master and actor-host")]
pub struct UnknownRole(pub String);

impl PeerRole {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Client, Self::Agent, Self::Master, Self::ActorHost];

    /// The role in words, as in a certificate.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Master => "master",
            Self::ActorHost => "actor-host",
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PeerRole {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PeerRoles(u8);

impl PeerRoles {
    /// Every role: who has it may send anything.
    pub const ALL: Self = Self::of(&PeerRole::ALL);

    /// The set of these roles.
    #[must_use]
    pub const fn of(roles: &[PeerRole]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < roles.len() {
            bits |= 1 << roles[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Whether a role is in the set.
    #[must_use]
    pub fn contains(self, role: PeerRole) -> bool {
        self.meets(Self::of(&[role]))
    }

    /// Whether some role is in both sets.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The set with one more role.
    #[must_use]
    pub fn with(self, role: PeerRole) -> Self {
        Self(self.0 | Self::of(&[role]).0)
    }

    /// The roles of the set.
    pub fn iter(self) -> impl Iterator<Item = PeerRole> {
        PeerRole::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl fmt::Display for PeerRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(PeerRole::name).collect();
        f.write_str(&names.join(", "))
    }
}

impl fmt::Debug for PeerRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_as_it_is_written() {
        for role in PeerRole::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!("Agent".parse::<PeerRole>(), Err(UnknownRole("Agent".into())));
    }

    #[test]
    fn sets_meet_in_a_role_that_both_have() {
        let clients = PeerRoles::of(&[PeerRole::Client]);
        let workers = PeerRoles::of(&[PeerRole::Agent, PeerRole::ActorHost]);
        assert!(!clients.meets(workers) && clients.meets(PeerRoles::ALL) && !clients.meets(PeerRoles::of(&[])));
        assert!(clients.with(PeerRole::Agent).meets(workers));
        assert_eq!(workers.to_string(), "agent, actor-host");
    }
}
