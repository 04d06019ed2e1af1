//! Offers: resources of one agent, held out to one framework under one role.

use crate::id::{AgentId, FrameworkId, OfferId};
use crate::resources::{Class, Resources, ResourcesError, TypedResources};
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long refused resources are not offered again, unless the framework says otherwise.
pub const REFUSE_DEFAULT: Duration = Duration::from_secs(5);
/// The longest time for which resources can be refused.
pub const REFUSE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Resources of one agent for one framework, until used, declined or rescinded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Names the offer.
    pub offer_id: OfferId,
    /// To whom it is made.
    pub framework_id: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// Whose resources they are.
    pub agent_id: AgentId,
    /// The host of the agent.
    pub hostname: String,
    /// `host:port` of the agent, for reading what tasks print.
    pub agent_endpoint: String,
    /// What is offered, reserved or not.
    pub resources: Resources,
    /// What of it is reserved, for the role or one above it. Tasks take of it first.
    #[serde(default, skip_serializing_if = "TypedResources::is_empty")]
    pub reserved: TypedResources,
    /// Facts about the host.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Offer {
    /// What is offered, by class: what is reserved apart from what is not.
    ///
    /// # Errors
    /// [`ResourcesError`] if more is said to be reserved than is offered.
    pub fn by_class(&self) -> Result<TypedResources, ResourcesError> {
        if self.reserved.is_empty() {
            return Ok(self.resources.clone().into());
        }
        let plain = self.resources.checked_sub(&self.reserved.quantities()?)?;
        Ok(self.reserved.clone().with(Class::default(), plain))
    }
}

/// What a framework wants to see no more of, for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// For how long; zero for not at all.
    pub refuse: Duration,
}

impl Default for Filters {
    fn default() -> Self {
        Self { refuse: REFUSE_DEFAULT }
    }
}
