//! What frameworks and agents say of themselves that decides what may be offered to whom.

use crate::constraints::Constraints;
use odeon_protocol::resources::{Resources, TypedResources};
use odeon_protocol::role::Role;
use std::collections::{BTreeMap, BTreeSet};

/// What a framework can handle; what it cannot is not offered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Resources that may be taken back at any time.
    pub revocable: bool,
    /// Agents with GPUs.
    pub gpu: bool,
    /// Volumes that others hold at the same time.
    pub shared: bool,
    /// Reservations that were refined.
    pub refinement: bool,
    /// Several roles; agents that do not know of several roles are not offered then.
    pub multi_role: bool,
    /// Agents of other regions than the master's.
    pub region_aware: bool,
}

impl Capabilities {
    /// A framework that reads everything.
    pub const ALL: Self =
        Self { revocable: true, gpu: true, shared: true, refinement: true, multi_role: true, region_aware: true };
    /// A framework that knows none of these.
    pub const NONE: Self =
        Self { revocable: false, gpu: false, shared: false, refinement: false, multi_role: false, region_aware: false };
}

/// A framework, as it subscribes.
#[derive(Debug, Clone)]
pub struct FrameworkProfile {
    /// The roles under which it takes offers.
    pub roles: BTreeSet<Role>,
    /// Those of the roles under which it wants none for now.
    pub suppressed: BTreeSet<Role>,
    /// What it can handle.
    pub capabilities: Capabilities,
    /// Minimum sizes of its own, in place of the cluster's, by role; an empty list takes anything.
    pub minimum: BTreeMap<Role, Vec<Resources>>,
    /// Which agents it takes, by role.
    pub constraints: BTreeMap<Role, Constraints>,
    /// What it could use now, by role: an offer holds all of at least one entry, and without entries none is made.
    /// A role that is not named takes any offer.
    pub demand: BTreeMap<Role, Vec<Resources>>,
}

impl FrameworkProfile {
    /// A framework of some roles that reads everything and takes any agent.
    #[must_use]
    pub fn new(roles: BTreeSet<Role>, suppressed: BTreeSet<Role>) -> Self {
        let (minimum, constraints, demand) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { roles, suppressed, capabilities: Capabilities::ALL, minimum, constraints, demand }
    }
}

/// Where an agent or the master stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The region.
    pub region: String,
    /// The zone in it.
    pub zone: String,
}

/// An agent, as it registers.
#[derive(Debug, Clone)]
pub struct AgentProfile {
    /// All that it has.
    pub total: TypedResources,
    /// What it says of itself; a value that reads as a number or as ranges is no text.
    pub attributes: BTreeMap<String, String>,
    /// Its host.
    pub hostname: String,
    /// Where it stands, if it knows.
    pub domain: Option<Domain>,
    /// Whether it runs tasks of frameworks with several roles.
    pub multi_role: bool,
    /// Whether it runs tasks under roles with a slash.
    pub hierarchical_role: bool,
}

impl AgentProfile {
    /// An agent with resources and nothing else to say.
    #[must_use]
    pub fn new(total: TypedResources) -> Self {
        Self {
            total,
            attributes: BTreeMap::new(),
            hostname: String::new(),
            domain: None,
            multi_role: true,
            hierarchical_role: true,
        }
    }
}
