//! Resources by class: what is reserved, on a certain disk, shared or revocable, apart from what is plain.
//!
//! Copies share what they hold until one of them changes: an offer of all that an agent has costs no copy.

use super::{Class, Resources, ResourcesError, Scalar};
use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
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

    /// Makes it the sum.
    ///
    /// # Errors
    /// As [`Self::checked_add`]; nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), ResourcesError> {
        if other.0.len() > 1 {
            *self = self.checked_add(other)?;
            return Ok(());
        }
        let all = Arc::make_mut(&mut self.0);
        for (class, amounts) in other.parts() {
            match all.get_mut(class) {
                Some(have) => have.add(amounts)?,
                None => drop(all.insert(class.clone(), amounts.clone())),
            }
        }
        Ok(())
    }

    /// Makes it the difference.
    ///
    /// # Errors
    /// As [`Self::checked_sub`]; nothing has changed then.
    pub fn take(&mut self, other: &Self) -> Result<(), ResourcesError> {
        if other.0.len() > 1 {
            *self = self.checked_sub(other)?;
            return Ok(());
        }
        let all = Arc::make_mut(&mut self.0);
        for (class, amounts) in other.parts() {
            let have = all.get_mut(class);
            let is_last = match have {
                Some(have) => {
                    have.take(amounts)?;
                    have.is_empty()
                }
                None => return Resources::empty().take(amounts),
            };
            if is_last {
                all.remove(class);
            }
        }
        Ok(())
    }

    /// How much there is of a scalar, over all classes; a sum out of range is the largest amount.
    #[must_use]
    pub fn amount(&self, name: &str) -> Scalar {
        let amounts = self.0.values().map(|amounts| amounts.scalar(name).thousandths());
        Scalar::from_thousandths(amounts.fold(0, u64::saturating_add))
    }

    /// Only what is reserved.
    #[must_use]
    pub fn reserved(&self) -> Self {
        let reserved = self.parts().filter(|(class, _)| !class.reservations.is_empty());
        reserved.fold(Self::empty(), |all, (class, amounts)| all.with(class.clone(), amounts.clone()))
    }

    /// What a role takes of this for so much in all: of what is reserved for it and the roles above it first, the
    /// narrowest reservation before all others, and the rest of what is plain, whether or not that is there.
    ///
    /// Nobody else could take more of the narrowest one, so no order of tasks leaves less to those that follow.
    #[must_use]
    pub fn part_for(&self, role: &Role, wanted: &Resources) -> Self {
        let is_usable = |class: &Class| class.is_only_reserved() && class.is_for(role);
        let mut usable: Vec<_> = self.parts().filter(|(class, _)| is_usable(class)).collect();
        usable.sort_by_key(|(class, _)| Reverse(class.reserved_for().map(|role| role.as_str().len())));
        let (mut part, mut rest) = (Self::empty(), wanted.clone());
        for (class, amounts) in usable {
            let taken = amounts.common(&rest);
            rest.take(&taken).expect("a common part is a part");
            part = part.with(class.clone(), taken);
        }
        part.with(Class::default(), rest)
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
