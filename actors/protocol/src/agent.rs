//! What an agent says about itself.

use crate::resources::{Class, Resources, ResourcesError, TypedResources};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An agent as it registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// The host, for people and for placement.
    pub hostname: String,
    /// `host:port` under which clients and executors reach it.
    pub endpoint: String,
    /// All that it offers, reserved or not.
    pub resources: Resources,
    /// What of it its configuration reserves for roles.
    #[serde(default, skip_serializing_if = "TypedResources::is_empty")]
    pub reserved: TypedResources,
    /// Facts about the host, for placement.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl AgentInfo {
    /// All that it offers, by class: what is reserved apart from what is not.
    ///
    /// # Errors
    /// [`ResourcesError`] if it reserves more than it offers.
    pub fn by_class(&self) -> Result<TypedResources, ResourcesError> {
        if self.reserved.is_empty() {
            return Ok(self.resources.clone().into());
        }
        let plain = self.resources.checked_sub(&self.reserved.quantities()?)?;
        Ok(self.reserved.clone().with(Class::default(), plain))
    }
}
