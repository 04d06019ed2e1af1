//! What the host has, less what is left to the system; a text can say otherwise.
//!
//! The arithmetic is pure; only [`HostFacts::read`] looks at the host.

use nix::sys::statvfs::statvfs;
use odeon_protocol::resources::{
    CPUS, Class, DISK, MEM, PORTS, ParseTypedError, Range, Ranges, Resources, ResourcesError, Scalar, TypedResources,
};
use std::path::Path;

/// Left to the system, in MiB, or half of the memory if that is less.
const MEM_RESERVE_MIB: u64 = 1024;
/// Left free, in MiB, or half of the free space if that is less.
const DISK_RESERVE_MIB: u64 = 5 * 1024;
const CPUS_UNKNOWN: u64 = 1;
const MEM_UNKNOWN_MIB: u64 = 1024;
const DISK_UNKNOWN_MIB: u64 = 10 * 1024;
const PORTS_OFFERED: Range = Range { begin: 31_000, end: 32_000 };

/// What was found out about the host; what is missing could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Processors that this process may use.
    pub cpus: Option<usize>,
    /// The text of `/proc/meminfo`.
    pub meminfo: Option<String>,
    /// Free space where sandboxes will be, in MiB.
    pub disk_mib: Option<u64>,
}

impl HostFacts {
    /// Looks at the host. `work_dir` need not be there yet.
    #[must_use]
    pub fn read(work_dir: &Path) -> Self {
        let work_dir = std::path::absolute(work_dir).unwrap_or_else(|_| work_dir.to_owned());
        let existing = work_dir.ancestors().find(|path| path.exists());
        Self {
            cpus: std::thread::available_parallelism().ok().map(usize::from),
            meminfo: std::fs::read_to_string("/proc/meminfo").ok(),
            disk_mib: existing.and_then(free_mib),
        }
    }

    /// What an agent on this host offers.
    #[must_use]
    pub fn offered(&self) -> Resources {
        let cpus = self.cpus.and_then(|count| u64::try_from(count).ok()).unwrap_or(CPUS_UNKNOWN);
        let mem = self.meminfo.as_deref().and_then(total_mib).map(|total| without(total, MEM_RESERVE_MIB));
        let disk = self.disk_mib.map(|free| without(free, DISK_RESERVE_MIB));
        Resources::empty()
            .with_scalar(CPUS, Scalar::from_whole(cpus))
            .with_scalar(MEM, Scalar::from_whole(mem.unwrap_or(MEM_UNKNOWN_MIB)))
            .with_scalar(DISK, Scalar::from_whole(disk.unwrap_or(DISK_UNKNOWN_MIB)))
            .with_ranges(PORTS, Ranges::new(vec![PORTS_OFFERED]).expect("one range in order"))
    }
}

/// What an agent offers, and what of it is reserved for roles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferedResources {
    /// All of it.
    pub all: Resources,
    /// The part that is reserved.
    pub reserved: TypedResources,
}

/// Why an agent cannot offer what a text says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DetectResourcesError {
    /// The text does not describe resources.
    #[error(transparent)]
    Text(#[from] ParseTypedError),
    /// Only reservations are for an agent to say.
    #[error("an agent can reserve resources, as in cpus(ads):2, but not offer {0}")]
    Special(TypedResources),
    /// More is reserved than the host has.
    #[error("more is reserved than there is: {0}")]
    Amounts(#[from] ResourcesError),
}

/// What an agent offers: what the host has, except for the resources that the text names, as in `cpus:4;mem:1024`.
///
/// Reservations, as in `cpus(ads):2`, are beside the plain amount of that name or, if there is none, a part of what the
/// host has.
///
/// # Errors
/// [`DetectResourcesError`] if the text does not describe what an agent can offer.
pub fn detect_resources(work_dir: &Path, text: Option<&str>) -> Result<OfferedResources, DetectResourcesError> {
    let named: TypedResources = text.unwrap_or_default().parse()?;
    offered_as(&HostFacts::read(work_dir).offered(), &named)
}

fn offered_as(detected: &Resources, named: &TypedResources) -> Result<OfferedResources, DetectResourcesError> {
    let is_static = |class: &Class| class.is_only_reserved() && *class == class.of_agent();
    if named.parts().any(|(class, _)| !class.is_plain() && !is_static(class)) {
        return Err(DetectResourcesError::Special(named.clone()));
    }
    let (plain, reserved) = (named.of(&Class::default()), named.reserved());
    let beside = reserved.quantities()?;
    let is_named = |name: &str| names_of(&plain).any(|named| named == name);
    let scalars = beside.scalars().filter(|(name, _)| is_named(name));
    let mut added = scalars.fold(Resources::empty(), |added, (name, amount)| added.with_scalar(name, amount));
    for (name, ranges) in beside.ranges().filter(|(name, _)| is_named(name)) {
        added = added.with_ranges(name, ranges.clone());
    }
    for (name, items) in beside.sets() {
        added = added.with_set(name, items.clone());
    }
    let all = merged(detected, plain).checked_add(&added)?;
    all.checked_sub(&beside)?;
    Ok(OfferedResources { all, reserved })
}

/// All of `named`, and what `detected` has under other names.
fn merged(detected: &Resources, named: Resources) -> Resources {
    let names: Vec<String> = names_of(&named).map(str::to_owned).collect();
    let is_new = |name: &str| !names.iter().any(|named| named == name);
    let mut all = named;
    for (name, amount) in detected.scalars().filter(|(name, _)| is_new(name)) {
        all = all.with_scalar(name, amount);
    }
    for (name, ranges) in detected.ranges().filter(|(name, _)| is_new(name)) {
        all = all.with_ranges(name, ranges.clone());
    }
    all
}

fn names_of(resources: &Resources) -> impl Iterator<Item = &str> {
    let scalars = resources.scalars().map(|(name, _)| name);
    scalars.chain(resources.ranges().map(|(name, _)| name)).chain(resources.sets().map(|(name, _)| name))
}

fn without(total_mib: u64, reserve_mib: u64) -> u64 {
    total_mib - reserve_mib.min(total_mib / 2)
}

/// Reads the line `MemTotal:  16307692 kB`.
fn total_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // the widths differ between systems
fn free_mib(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    let blocks = u64::try_from(disk.blocks_available()).ok()?;
    let block_bytes = u64::try_from(disk.fragment_size()).ok()?;
    Some(blocks.saturating_mul(block_bytes) / (1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(mem_kib: u64, disk_mib: u64) -> HostFacts {
        let meminfo = Some(format!("MemTotal:       {mem_kib} kB\nMemFree:        1 kB\n"));
        HostFacts { cpus: Some(8), meminfo, disk_mib: Some(disk_mib) }
    }

    #[test]
    fn a_large_host_leaves_a_fixed_part_to_the_system_and_a_small_one_half() {
        let large = facts(16 * 1024 * 1024, 100_000).offered();
        assert_eq!(large.to_string(), "cpus:8;disk:94880;mem:15360;ports:[31000-32000]");
        let small = facts(1024 * 1024, 1000).offered();
        assert_eq!(small.to_string(), "cpus:8;disk:500;mem:512;ports:[31000-32000]");
    }

    #[test]
    fn what_cannot_be_found_out_is_assumed() {
        let expected = "cpus:1;disk:10240;mem:1024;ports:[31000-32000]";
        assert_eq!(HostFacts::default().offered().to_string(), expected);
        let odd = HostFacts { meminfo: Some("MemTotal: many".into()), ..HostFacts::default() };
        assert_eq!(odd.offered().to_string(), expected);
    }

    #[test]
    fn a_text_replaces_the_resources_that_it_names_and_no_other() {
        let named = "cpus:4;mem:1024;gpus:{a,b}".parse().unwrap();
        let all = merged(&facts(16 * 1024 * 1024, 100_000).offered(), named);
        assert_eq!(all.to_string(), "cpus:4;disk:94880;mem:1024;ports:[31000-32000];gpus:{a,b}");
    }

    #[test]
    fn what_is_reserved_is_beside_what_is_named_and_else_a_part_of_what_the_host_has() {
        let detected = facts(16 * 1024 * 1024, 100_000).offered();
        let offered = |text: &str| offered_as(&detected, &text.parse().unwrap());
        let beside = offered("cpus:4;cpus(ads):2;mem:1024").unwrap();
        assert_eq!(beside.all.to_string(), "cpus:6;disk:94880;mem:1024;ports:[31000-32000]");
        let of_host = offered("cpus(ads):2;ports(ads):[31000-31009]").unwrap();
        assert_eq!(of_host.all, detected);
        assert_eq!(of_host.reserved.to_string(), "cpus(ads):2;ports(ads):[31000-31009]");
        assert!(offered("cpus(ads):9").unwrap_err().to_string().starts_with("more is reserved than there is: cpus"));
        assert!(matches!(offered("cpus(dynamic:ads):1"), Err(DetectResourcesError::Special(_))));
        assert!(matches!(offered("disk[mount=/m]:1"), Err(DetectResourcesError::Special(_))));
    }

    #[test]
    fn this_host_offers_something() {
        let resources = detect_resources(Path::new("not/there/yet"), None).unwrap();
        assert!(resources.all.scalar(CPUS) > Scalar::ZERO && resources.all.scalar(MEM) > Scalar::ZERO);
        assert!(detect_resources(Path::new("."), Some("cpus")).is_err());
    }
}
