//! Who belongs to the cluster, as the master knows it: agents and frameworks, and what becomes of them.

use super::directory::{Revision, WatchError};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};

/// Events that the master keeps for those who follow.
pub const MEMBER_EVENTS_MAX: usize = 1024;

interface! {
    /// What the master hears from whoever follows the members of the cluster.
    pub MembersOfCluster: WatchMembers
}

/// Asks the master what has happened to members since the last answer; held until something does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchMembers {
    /// What the last answer said; without, the members there are come at once.
    #[serde(default)]
    pub seen: Option<Revision>,
}
remote_message!(WatchMembers => Result<MembersSeen, WatchError>, "master.v1.WatchMembers");

/// What has happened to members, in order, or all of them where that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembersSeen {
    /// To be told with the next question. Its run is the term of the master: another one is another master.
    pub revision: Revision,
    /// How many events are not told, because too many have happened since; the members are told instead.
    pub missed: u64,
    /// The members now, if nothing was seen before, or of another run, or events are not told.
    pub members: Option<Vec<Member>>,
    /// What has happened since.
    pub events: Vec<MemberEvent>,
}

/// Something that happened to a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberEvent {
    /// When, in milliseconds since the Unix epoch, by the master's clock.
    pub at_ms: u64,
    /// What.
    pub change: MemberChange,
    /// The member, as it is after that.
    pub member: Member,
}

/// What happens to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// It is new.
    Joined,
    /// Its link broke; it may be back soon.
    Disconnected,
    /// It has not answered for long: what runs there is out of sight.
    Unreachable,
    /// It is connected again, as the same member; the incarnation says whether as the same process.
    Returned,
    /// It is forgotten, and its id with it.
    Removed,
}

impl MemberChange {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Disconnected => "disconnected",
            Self::Unreachable => "unreachable",
            Self::Returned => "returned",
            Self::Removed => "removed",
        }
    }
}

/// An agent or a framework.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// What it is.
    pub role: MemberRole,
    /// Its id, which it keeps over restarts.
    pub id: String,
    /// The host of an agent, or what a framework calls itself.
    pub name: String,
    /// How it stands.
    pub state: MemberState,
    /// The name of its node, if it is connected or was when it was heard of last.
    #[serde(default)]
    pub node: Option<String>,
    /// Which run of the node.
    #[serde(default)]
    pub incarnation: Option<u64>,
    /// `host:port`, if it listens.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Offers what its host has.
    Agent,
    /// Runs work on agents.
    Framework,
}

impl MemberRole {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Framework => "framework",
        }
    }
}

/// How a member stands to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Connected.
    Up,
    /// Not connected; it may come back.
    Disconnected,
    /// It has not answered for long.
    Unreachable,
    /// It is no member any more.
    Removed,
}

impl MemberState {
    /// The word for people and programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Disconnected => "disconnected",
            Self::Unreachable => "unreachable",
            Self::Removed => "removed",
        }
    }
}
