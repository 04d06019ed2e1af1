//! Resources by class: what is reserved, on a certain disk, shared or revocable, apart from what is plain.
//!
//! Copies share what they hold until one of them changes: an offer of all that an agent has costs no copy.

use super::{Class, Resources, ResourcesError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Amounts by class; no class is kept without an amount.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<(Class, Resources)>", into = "Vec<(Class, Resources)>")]
pub struct TypedResources(Arc<BTreeMap<Class, Resources>>);

impl TypedResources {
    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sets what there is of a class.
    #[must_use]
    pub fn with(mut self, class: Class, amounts: Resources) -> Self {
        let all = Arc::make_mut(&mut self.0);
        all.remove(&class);
        if !amounts.is_empty() {
            all.insert(class, amounts);
        }
        self
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The classes and their amounts, plain ones first.
    pub fn parts(&self) -> impl Iterator<Item = (&Class, &Resources)> {
        self.0.iter()
    }

    /// What there is of a class.
    #[must_use]
    pub fn of(&self, class: &Class) -> Resources {
        self.0.get(class).cloned().unwrap_or_default()
    }

    /// The sum over all classes, which are forgotten.
    ///
    /// # Errors
    /// [`ResourcesError::Sum`] if the classes together overflow, or have a port or an item twice.
    pub fn quantities(&self) -> Result<Resources, ResourcesError> {
        self.0.values().try_fold(Resources::empty(), |sum, amounts| sum.checked_add(amounts))
    }

    /// The sum.
    ///
    /// # Errors
    /// As [`Resources::checked_add`].
    pub fn checked_add(&self, other: &Self) -> Result<Self, ResourcesError> {
        let mut sum = self.clone();
        for (class, amounts) in other.parts() {
            let total = sum.of(class).checked_add(amounts)?;
            sum = sum.with(class.clone(), total);
        }
        Ok(sum)
    }

    /// The difference.
    ///
    /// # Errors
    /// As [`Resources::checked_sub`].
    pub fn checked_sub(&self, other: &Self) -> Result<Self, ResourcesError> {
        let mut rest = self.clone();
        for (class, amounts) in other.parts() {
            let left = rest.of(class).checked_sub(amounts)?;
            rest = rest.with(class.clone(), left);
        }
        Ok(rest)
    }

    /// Whether `other` could be taken from `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.parts().all(|(class, amounts)| self.0.get(class).is_some_and(|have| have.contains(amounts)))
    }
}

impl From<Resources> for TypedResources {
    fn from(plain: Resources) -> Self {
        Self::empty().with(Class::default(), plain)
    }
}

impl From<&Resources> for TypedResources {
    fn from(plain: &Resources) -> Self {
        plain.clone().into()
    }
}

impl From<&Self> for TypedResources {
    fn from(resources: &Self) -> Self {
        resources.clone()
    }
}

impl TryFrom<Vec<(Class, Resources)>> for TypedResources {
    type Error = ResourcesError;
    fn try_from(parts: Vec<(Class, Resources)>) -> Result<Self, ResourcesError> {
        parts
            .into_iter()
            .try_fold(Self::empty(), |all, (class, amounts)| all.checked_add(&Self::empty().with(class, amounts)))
    }
}

impl From<TypedResources> for Vec<(Class, Resources)> {
    fn from(resources: TypedResources) -> Self {
        Arc::unwrap_or_clone(resources.0).into_iter().collect()
    }
}

/// The text form: `cpus:4;cpus(ads):2;disk(ads)[id=v1,shared]:50`.
impl std::fmt::Display for TypedResources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut texts = Vec::new();
        for (class, amounts) in self.parts() {
            let text = amounts.to_string();
            let entries = text.split(';').filter_map(|entry| entry.split_once(':'));
            texts.extend(entries.map(|(name, amount)| format!("{name}{class}:{amount}")));
        }
        f.write_str(&texts.join(";"))
    }
}

#[cfg(test)]
#[path = "typed_test.rs"]
mod tests;
