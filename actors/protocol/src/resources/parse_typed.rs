//! Reads the text form of resources by class: `cpus:4;cpus(ads):2;disk(ads)[mount=/mnt/1,id=v1,shared]:50`.
//!
//! Behind a name stand the reservations in parentheses, from the widest to the narrowest, each
//! `[dynamic:]role[@principal][#label=value]`, and in brackets `path=`, `mount=`, `block=`, `raw=`, `id=`,
//! `shared` and `revocable`.

use super::{Class, ClassError, DISK, DiskSource, ParseResourcesError, Reservation, ReservationKind, TypedResources};
use crate::role::RoleError;
use std::str::FromStr;

/// Why a text does not describe resources by class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseTypedError {
    /// An amount cannot be read, or is given twice.
    #[error(transparent)]
    Amount(#[from] ParseResourcesError),
    /// A parenthesis or bracket is not closed, or something else stands behind it.
    #[error("{0:?} is not of the form name(reservations)[disk]:value")]
    Form(String),
    /// A word in brackets means nothing.
    #[error("{word:?} in {entry:?} is none of path=, mount=, block=, raw=, id=, shared, revocable")]
    Word {
        /// The entry.
        entry: String,
        /// The word at fault.
        word: String,
    },
    /// A reservation names no role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// What is said of a resource contradicts itself.
    #[error("{entry:?}: {source}")]
    Class {
        /// The entry.
        entry: String,
        /// The contradiction.
        source: ClassError,
    },
    /// A source or a volume of something that is no disk.
    #[error("{0:?} is no disk: only disks have a source or a volume")]
    NotDisk(String),
    /// A class and name is given twice.
    #[error("{0:?} is given twice")]
    Repeated(String),
}

impl FromStr for TypedResources {
    type Err = ParseTypedError;

    fn from_str(text: &str) -> Result<Self, ParseTypedError> {
        let mut all = Self::empty();
        for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (class, plain) = split(entry)?;
            let amounts = plain.parse()?;
            let sum = all.of(&class);
            let is_known = plain.split_once(':').is_some_and(|(name, _)| names(&sum, name.trim()));
            if is_known {
                return Err(ParseTypedError::Repeated(entry.to_owned()));
            }
            let sum = sum.checked_add(&amounts).map_err(|_| ParseTypedError::Repeated(entry.to_owned()))?;
            all = all.with(class, sum);
        }
        Ok(all)
    }
}

fn names(resources: &super::Resources, name: &str) -> bool {
    let scalars = resources.scalars().map(|(name, _)| name);
    let items = resources.ranges().map(|(name, _)| name).chain(resources.sets().map(|(name, _)| name));
    scalars.chain(items).any(|known| known == name)
}

/// Splits an entry into its class and what is left: `name:value`.
fn split(entry: &str) -> Result<(Class, String), ParseTypedError> {
    let form = || ParseTypedError::Form(entry.to_owned());
    let name_end = entry.find(['(', '[', ':']).ok_or_else(form)?;
    let (name, mut rest) = entry.split_at(name_end);
    let mut class = Class::default();
    if let Some(inner) = rest.strip_prefix('(') {
        let (stack, behind) = inner.split_once(')').ok_or_else(form)?;
        class.reservations = stack.split(',').map(|text| reservation(text.trim())).collect::<Result<_, _>>()?;
        rest = behind;
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let (words, behind) = inner.split_once(']').ok_or_else(form)?;
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            apply(&mut class, entry, word)?;
        }
        rest = behind;
    }
    let value = rest.strip_prefix(':').ok_or_else(form)?;
    if name.trim() != DISK && (class.source.is_some() || class.volume.is_some()) {
        return Err(ParseTypedError::NotDisk(entry.to_owned()));
    }
    class.check().map_err(|source| ParseTypedError::Class { entry: entry.to_owned(), source })?;
    Ok((class, format!("{name}:{value}")))
}

fn apply(class: &mut Class, entry: &str, word: &str) -> Result<(), ParseTypedError> {
    match word.split_once('=') {
        None if word == "shared" => class.is_shared = true,
        None if word == "revocable" => class.is_revocable = true,
        Some(("id", id)) => class.volume = Some(id.to_owned()),
        Some(("path", root)) => class.source = Some(DiskSource::Path(root.to_owned())),
        Some(("mount", root)) => class.source = Some(DiskSource::Mount(root.to_owned())),
        Some(("block", id)) => class.source = Some(DiskSource::Block(id.to_owned())),
        Some(("raw", id)) => class.source = Some(DiskSource::Raw(id.to_owned())),
        _ => return Err(ParseTypedError::Word { entry: entry.to_owned(), word: word.to_owned() }),
    }
    Ok(())
}

fn reservation(text: &str) -> Result<Reservation, ParseTypedError> {
    let mut labels = text.split('#');
    let head = labels.next().unwrap_or_default();
    let (kind, head) = match head.strip_prefix("dynamic:") {
        Some(head) => (ReservationKind::Dynamic, head),
        None => (ReservationKind::Static, head),
    };
    let (role, principal) = match head.split_once('@') {
        Some((role, principal)) => (role, Some(principal.to_owned())),
        None => (head, None),
    };
    let labels = labels.map(|label| label.split_once('=').unwrap_or((label, "")));
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Ok(Reservation { role: role.parse()?, kind, principal, labels })
}
