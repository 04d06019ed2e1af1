//! Of which class a resource is: for whom it is reserved, on which disk it lies, whether it is shared or revocable.
//!
//! Amounts are not here; see [`TypedResources`](super::TypedResources).

use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who made a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationKind {
    /// The agent's own configuration; it cannot be undone while the agent runs.
    #[default]
    Static,
    /// A framework or an operator.
    Dynamic,
}

/// One reservation; a stack of them refines a reservation for a role to one for a role below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reservation {
    /// For whom; with all roles below it.
    pub role: Role,
    /// Who made it.
    #[serde(default)]
    pub kind: ReservationKind,
    /// In whose name, if told.
    #[serde(default)]
    pub principal: Option<String>,
    /// Free words of whoever made it; others make it another reservation.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl Reservation {
    /// A static reservation without principal and labels.
    #[must_use]
    pub fn fixed(role: Role) -> Self {
        Self { role, kind: ReservationKind::Static, principal: None, labels: BTreeMap::new() }
    }

    /// A reservation that was made while the agent ran.
    #[must_use]
    pub fn dynamic(role: Role, labels: BTreeMap<String, String>) -> Self {
        Self { role, kind: ReservationKind::Dynamic, principal: None, labels }
    }
}

/// On what a disk resource lies; without a source it is the agent's work directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskSource {
    /// A directory of an auxiliary disk, which can be divided.
    Path(String),
    /// A whole mounted file system, which is given out whole.
    Mount(String),
    /// A block device, given out whole.
    Block(String),
    /// Raw storage of a provider, which can be divided.
    Raw(String),
}

/// What two amounts have in common if they may be added up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Class {
    /// From the widest to the narrowest; the last one says for whom it is. Empty: unreserved.
    #[serde(default)]
    pub reservations: Vec<Reservation>,
    /// For disks that are not the agent's work directory.
    #[serde(default)]
    pub source: Option<DiskSource>,
    /// The persistent volume that lies there; it is given out whole.
    #[serde(default)]
    pub volume: Option<String>,
    /// Whether several may hold the volume at once.
    #[serde(default)]
    pub is_shared: bool,
    /// Whether it may be taken back at any time.
    #[serde(default)]
    pub is_revocable: bool,
}

/// Why a class makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ClassError {
    /// Nothing is ever reserved for the default role.
    #[error("a reservation for the default role * means nothing")]
    DefaultRole,
    /// A reservation in a stack is not for a role below the one before.
    #[error("a reservation for {inner} does not refine one for {outer}: it is no role below it")]
    NotBelow {
        /// The wider role.
        outer: Role,
        /// The role at fault.
        inner: Role,
    },
    /// A static reservation stands on another one.
    #[error("the static reservation for {0} refines another: only the first one may be static")]
    StaticAbove(Role),
    /// A volume on unreserved disk.
    #[error("the persistent volume {0} is not reserved: a volume belongs to a role")]
    UnreservedVolume(String),
    /// Shared, but no volume.
    #[error("only persistent volumes are shared")]
    SharedWithoutVolume,
    /// Revocable and reserved at once.
    #[error("revocable resources cannot be reserved for {0}")]
    RevocableReserved(Role),
}

impl Class {
    /// Reserved statically for a role.
    #[must_use]
    pub fn reserved(role: Role) -> Self {
        Self { reservations: vec![Reservation::fixed(role)], ..Self::default() }
    }

    /// Neither reserved nor in any other way special.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The role that it is reserved for, refinements considered.
    #[must_use]
    pub fn reserved_for(&self) -> Option<&Role> {
        self.reservations.last().map(|reservation| &reservation.role)
    }

    /// Whether a reservation was refined; frameworks that know only one role a resource cannot read that.
    #[must_use]
    pub fn is_refined(&self) -> bool {
        self.reservations.len() > 1
    }

    /// Whether it is given out whole or not at all.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.volume.is_some() || matches!(self.source, Some(DiskSource::Mount(_) | DiskSource::Block(_)))
    }

    /// Whether it is reserved, and in no other way special.
    #[must_use]
    pub fn is_only_reserved(&self) -> bool {
        let other = Self { reservations: Vec::new(), ..self.clone() };
        !self.reservations.is_empty() && other.is_plain()
    }

    /// Whether the last reservation was made while the agent ran, and can be undone.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.reservations.last().is_some_and(|last| last.kind == ReservationKind::Dynamic)
    }

    /// The same with another reservation on top.
    ///
    /// # Errors
    /// [`ClassError`] if that makes no sense.
    pub fn reserved_as(&self, reservation: Reservation) -> Result<Self, ClassError> {
        let mut class = self.clone();
        class.reservations.push(reservation);
        class.check()?;
        Ok(class)
    }

    /// The same without the reservation on top.
    #[must_use]
    pub fn unreserved(&self) -> Self {
        let mut class = self.clone();
        class.reservations.pop();
        class
    }

    /// Of what class it was before anybody made a reservation while the agent ran.
    #[must_use]
    pub fn of_agent(&self) -> Self {
        let mut class = self.clone();
        class.reservations.retain(|reservation| reservation.kind == ReservationKind::Static);
        class
    }

    /// Whether frameworks of a role may have it: it is unreserved, or reserved for the role or one above it.
    #[must_use]
    pub fn is_for(&self, role: &Role) -> bool {
        self.reserved_for().is_none_or(|owner| owner == role || role.is_below(owner))
    }

    /// Checks that it makes sense.
    ///
    /// # Errors
    /// [`ClassError`] names what contradicts what.
    pub fn check(&self) -> Result<(), ClassError> {
        if self.reservations.iter().any(|reservation| reservation.role == Role::default()) {
            return Err(ClassError::DefaultRole);
        }
        for pair in self.reservations.windows(2) {
            let (outer, inner) = (&pair[0].role, &pair[1].role);
            if !inner.is_below(outer) {
                return Err(ClassError::NotBelow { outer: outer.clone(), inner: inner.clone() });
            }
            if pair[1].kind == ReservationKind::Static {
                return Err(ClassError::StaticAbove(inner.clone()));
            }
        }
        match (self.reserved_for(), &self.volume) {
            (None, Some(volume)) => Err(ClassError::UnreservedVolume(volume.clone())),
            (_, None) if self.is_shared => Err(ClassError::SharedWithoutVolume),
            (Some(role), _) if self.is_revocable => Err(ClassError::RevocableReserved(role.clone())),
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.kind == ReservationKind::Dynamic {
            f.write_str("dynamic:")?;
        }
        write!(f, "{}", self.role)?;
        if let Some(principal) = &self.principal {
            write!(f, "@{principal}")?;
        }
        self.labels.iter().try_for_each(|(key, value)| write!(f, "#{key}={value}"))
    }
}

impl std::fmt::Display for DiskSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(root) => write!(f, "path={root}"),
            Self::Mount(root) => write!(f, "mount={root}"),
            Self::Block(id) => write!(f, "block={id}"),
            Self::Raw(id) => write!(f, "raw={id}"),
        }
    }
}

/// What stands behind a name in the text form: `(a,dynamic:a/b@ops)[mount=/mnt/1,id=v1,shared]`.
impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.reservations.is_empty() {
            let stack: Vec<String> = self.reservations.iter().map(ToString::to_string).collect();
            write!(f, "({})", stack.join(","))?;
        }
        let mut flags: Vec<String> = self.source.iter().map(ToString::to_string).collect();
        flags.extend(self.volume.iter().map(|volume| format!("id={volume}")));
        flags.extend(self.is_shared.then(|| "shared".to_owned()));
        flags.extend(self.is_revocable.then(|| "revocable".to_owned()));
        if flags.is_empty() { Ok(()) } else { write!(f, "[{}]", flags.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> Role {
        text.parse().unwrap()
    }

    fn refined(roles: &[&str]) -> Class {
        let mut reservations: Vec<_> = roles.iter().map(|text| Reservation::fixed(role(text))).collect();
        reservations.iter_mut().skip(1).for_each(|reservation| reservation.kind = ReservationKind::Dynamic);
        Class { reservations, ..Class::default() }
    }

    #[test]
    fn a_reservation_is_for_its_role_and_the_roles_below_it() {
        let class = refined(&["a", "a/b"]);
        assert!(class.is_for(&role("a/b")) && class.is_for(&role("a/b/c")));
        assert!(!class.is_for(&role("a")) && !class.is_for(&role("a/bc")) && !class.is_for(&role("*")));
        assert!(Class::default().is_for(&role("*")));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert_eq!(refined(&["a", "a/b"]).check(), Ok(()));
        assert!(matches!(refined(&["a/b", "a"]).check(), Err(ClassError::NotBelow { .. })));
        assert_eq!(refined(&["*"]).check(), Err(ClassError::DefaultRole));
        let mut stacked = refined(&["a", "a/b"]);
        stacked.reservations[1].kind = ReservationKind::Static;
        assert_eq!(stacked.check(), Err(ClassError::StaticAbove(role("a/b"))));
        let volume = Class { volume: Some("v".to_owned()), ..Class::default() };
        assert_eq!(volume.check(), Err(ClassError::UnreservedVolume("v".to_owned())));
        let shared = Class { is_shared: true, ..Class::reserved(role("a")) };
        assert_eq!(shared.check(), Err(ClassError::SharedWithoutVolume));
        let revocable = Class { is_revocable: true, ..Class::reserved(role("a")) };
        assert_eq!(revocable.check(), Err(ClassError::RevocableReserved(role("a"))));
    }
}
