//! Resources: scalars in checked thousandths, ranges and sets, and their text form.
//!
//! No floating point is kept: sums are exact, and an overflow or a shortage is an error, never a wrap.

mod amounts;
mod class;
mod parse;
mod parse_typed;
mod ranges;
mod scalar;
mod typed;

pub use class::{Class, ClassError, DiskSource, Reservation, ReservationKind};
pub use parse::ParseResourcesError;
pub use parse_typed::ParseTypedError;
pub use ranges::{Range, Ranges, RangesError};
pub use scalar::Scalar;
pub use typed::TypedResources;

use amounts::Amounts;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Processors.
pub const CPUS: &str = "cpus";
/// Memory, in MiB.
pub const MEM: &str = "mem";
/// Disk space, in MiB.
pub const DISK: &str = "disk";
/// TCP and UDP ports.
pub const PORTS: &str = "ports";

/// Why two amounts of resources cannot be combined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResourcesError {
    /// More was taken than there is.
    #[error("{name} is short: {wanted} wanted, {available} available")]
    Short {
        /// The resource.
        name: String,
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// A sum has left the range of 64 bits, or an item was added twice.
    #[error("the sum of {name} is not possible: it is too large or counts an item twice")]
    Sum {
        /// The resource.
        name: String,
    },
}

/// Amounts of named resources; a name has one kind: scalar, ranges or set. Empty entries are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    #[serde(default)]
    scalars: Amounts,
    #[serde(default)]
    ranges: BTreeMap<String, Ranges>,
    #[serde(default)]
    sets: BTreeMap<String, BTreeSet<String>>,
}

impl Resources {
    /// Nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Processors in thousandths and memory in MiB, the two that every task names.
    #[must_use]
    pub fn cpus_mem(cpus: Scalar, mem_mib: u64) -> Self {
        Self::empty().with_scalar(CPUS, cpus).with_scalar(MEM, Scalar::from_whole(mem_mib))
    }

    /// Sets a scalar.
    #[must_use]
    pub fn with_scalar(mut self, name: &str, amount: Scalar) -> Self {
        self.scalars.remove(name);
        if amount > Scalar::ZERO {
            self.scalars.set(name, amount);
        }
        self
    }

    /// Sets ranges.
    #[must_use]
    pub fn with_ranges(mut self, name: &str, ranges: Ranges) -> Self {
        self.ranges.remove(name);
        if !ranges.is_empty() {
            self.ranges.insert(name.to_owned(), ranges);
        }
        self
    }

    /// Sets a set.
    #[must_use]
    pub fn with_set(mut self, name: &str, items: BTreeSet<String>) -> Self {
        self.sets.remove(name);
        if !items.is_empty() {
            self.sets.insert(name.to_owned(), items);
        }
        self
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scalars.is_empty() && self.ranges.is_empty() && self.sets.is_empty()
    }

    /// The amount of a scalar; zero if it is not named.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Scalar {
        self.scalars.get(name).unwrap_or_default()
    }

    /// The scalars, by name.
    pub fn scalars(&self) -> impl Iterator<Item = (&str, Scalar)> {
        self.scalars.iter()
    }

    /// The ranges, by name.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, &Ranges)> {
        self.ranges.iter().map(|(name, ranges)| (name.as_str(), ranges))
    }

    /// The sets, by name.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.sets.iter().map(|(name, items)| (name.as_str(), items))
    }

    /// Whether `other` could be taken from `self`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.checked_sub(other).is_ok()
    }

    /// What of `other` could be taken from `self`.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let scalars = other.scalars().map(|(name, amount)| (name, amount.min(self.scalar(name))));
        let mut common = scalars.fold(Self::empty(), |common, (name, amount)| common.with_scalar(name, amount));
        for (name, ranges) in &other.ranges {
            let have = self.ranges.get(name).map(|have| have.common(ranges));
            common = common.with_ranges(name, have.unwrap_or_default());
        }
        for (name, items) in &other.sets {
            let have = self.sets.get(name).map(|have| have & items);
            common = common.with_set(name, have.unwrap_or_default());
        }
        common
    }

    /// Whether there are scalars only.
    fn is_plain(&self) -> bool {
        self.ranges.is_empty() && self.sets.is_empty()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`ResourcesError::Sum`] if a scalar overflows, or a range or set has an item twice.
    pub fn checked_add(&self, other: &Self) -> Result<Self, ResourcesError> {
        let mut sum = self.clone();
        sum.add(other)?;
        Ok(sum)
    }

    /// Makes it the sum.
    ///
    /// # Errors
    /// As [`Self::checked_add`]; nothing has changed then.
    pub fn add(&mut self, other: &Self) -> Result<(), ResourcesError> {
        let fail = |name: &str| ResourcesError::Sum { name: name.to_owned() };
        let fits =
            |(name, amount): (&str, Scalar)| self.scalar(name).checked_add(amount).map(drop).ok_or_else(|| fail(name));
        other.scalars.iter().try_for_each(fits)?;
        if !other.is_plain() {
            let mut sum = self.clone();
            for (name, ranges) in &other.ranges {
                let entry = sum.ranges.entry(name.clone()).or_default();
                *entry = entry.checked_add(ranges).ok_or_else(|| fail(name))?;
            }
            for (name, items) in &other.sets {
                let entry = sum.sets.entry(name.clone()).or_default();
                if !entry.is_disjoint(items) {
                    return Err(fail(name));
                }
                entry.extend(items.iter().cloned());
            }
            *self = sum;
        }
        for (name, amount) in other.scalars.iter() {
            self.scalars.set(name, self.scalar(name).checked_add(amount).expect("it was tried"));
        }
        Ok(())
    }

    /// The difference.
    ///
    /// # Errors
    /// [`ResourcesError::Short`] names the first resource of which there is too little.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, ResourcesError> {
        let mut rest = self.clone();
        rest.take(other)?;
        Ok(rest)
    }

    /// Makes it the difference.
    ///
    /// # Errors
    /// As [`Self::checked_sub`]; nothing has changed then.
    pub fn take(&mut self, other: &Self) -> Result<(), ResourcesError> {
        let short_of = |(name, amount): (&str, Scalar)| {
            let have = self.scalar(name);
            have.checked_sub(amount).map(drop).ok_or_else(|| short(name, &amount, &have))
        };
        other.scalars.iter().try_for_each(short_of)?;
        if !other.is_plain() {
            *self = self.without_items(other)?;
        }
        for (name, amount) in other.scalars.iter() {
            match self.scalar(name).checked_sub(amount).expect("it was tried") {
                Scalar::ZERO => self.scalars.remove(name),
                left => self.scalars.set(name, left),
            }
        }
        Ok(())
    }

    /// All scalars, and the ranges and sets that are left without those of another.
    fn without_items(&self, other: &Self) -> Result<Self, ResourcesError> {
        let mut rest = self.clone();
        for (name, ranges) in &other.ranges {
            let have = self.ranges.get(name).cloned().unwrap_or_default();
            let left = have.checked_sub(ranges).ok_or_else(|| short(name, ranges, &have))?;
            rest = rest.with_ranges(name, left);
        }
        for (name, items) in &other.sets {
            let have = self.sets.get(name).cloned().unwrap_or_default();
            if !items.is_subset(&have) {
                return Err(short(name, &set_text(items), &set_text(&have)));
            }
            rest = rest.with_set(name, have.difference(items).cloned().collect());
        }
        Ok(rest)
    }
}

fn short(name: &str, wanted: &impl ToString, available: &impl ToString) -> ResourcesError {
    ResourcesError::Short { name: name.to_owned(), wanted: wanted.to_string(), available: available.to_string() }
}

fn set_text(items: &BTreeSet<String>) -> String {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    format!("{{{}}}", items.join(","))
}

/// The text form of Mesos: `cpus:4;mem:8192;ports:[31000-32000];disks:{a,b}`.
impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scalars = self.scalars.iter().map(|(name, amount)| format!("{name}:{amount}"));
        let ranges = self.ranges.iter().map(|(name, ranges)| format!("{name}:{ranges}"));
        let sets = self.sets.iter().map(|(name, items)| format!("{name}:{}", set_text(items)));
        f.write_str(&scalars.chain(ranges).chain(sets).collect::<Vec<_>>().join(";"))
    }
}

#[cfg(test)]
#[path = "resources_test.rs"]
mod tests;
