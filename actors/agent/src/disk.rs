//! Looks at the disk of the sandboxes. It blocks, so it is called off the arbiter.

use crate::core::DiskUsage;
use nix::sys::statvfs::statvfs;
use std::path::Path;

/// How full the file system of a directory is; nothing if the system does not tell.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)] // the widths differ between systems
pub(crate) fn measure(path: &Path) -> Option<DiskUsage> {
    let disk = statvfs(path).ok()?;
    let block_bytes = u64::try_from(disk.fragment_size()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(block_bytes);
    let (total, available) = (u64::try_from(disk.blocks()).ok()?, u64::try_from(disk.blocks_available()).ok()?);
    Some(DiskUsage::new(bytes(total), bytes(available)))
}
