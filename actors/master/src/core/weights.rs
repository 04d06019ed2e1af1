//! The weights of roles: from the configuration, and over them from operators, whose word is kept.
//!
//! What a weight does is the allocator's business.

use super::{MasterCore, MasterOutbox};
use crate::record::Record;
use odeon_allocator::Weight;
use odeon_protocol::messages::operations::{SetRoleWeight, SetRoleWeightError};
use odeon_protocol::resources::Scalar;
use odeon_protocol::role::Role;

impl MasterCore {
    /// Sets the weight of a role.
    ///
    /// # Errors
    /// [`SetRoleWeightError`]; nothing has changed then.
    pub fn on_set_role_weight(
        &mut self,
        message: SetRoleWeight,
        out: &mut MasterOutbox,
    ) -> Result<(), SetRoleWeightError> {
        let SetRoleWeight { role, weight } = message;
        if !self.weigh(&role, weight) {
            return Err(SetRoleWeightError::NotAWeight { role, weight });
        }
        out.write(Record::WeightSet { role, weight });
        self.allocator.mark_all();
        Ok(())
    }

    /// Hands a weight to the allocator; returns whether it is one.
    pub(super) fn weigh(&mut self, role: &Role, weight: Scalar) -> bool {
        let Ok(weight) = Weight::new(weight) else { return false };
        self.allocator.set_weight(role, weight);
        self.rules.allocator.weights.insert(role.clone(), weight);
        true
    }
}
