//! Names the build of this process, so that two nodes can tell whether they run the same binary.
//!
//! It is a name, not a proof: it is made of what the file system says of the binary and of its first bytes, where linkers
//! leave the id of the build.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

/// The most bytes of the name of a build.
pub(crate) const BUILD_BYTES_MAX: usize = 128;
/// Bytes at the beginning of a binary that go into its name.
const HEAD_BYTES: u64 = 4096;
/// Characters of the name of the file that go into it.
const FILE_CHARS_MAX: usize = 24;

/// The build of this process.
pub(crate) fn of_this_process() -> &'static str {
    static BUILD: OnceLock<String> = OnceLock::new();
    BUILD.get_or_init(|| look().unwrap_or_else(|_| unknown()))
}

fn look() -> io::Result<String> {
    let path = std::env::current_exe()?;
    let (about, mut head) = (path.metadata()?, Vec::new());
    File::open(&path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    for number in [about.len().to_be_bytes(), about.mtime().to_be_bytes(), about.mtime_nsec().to_be_bytes()] {
        head.extend_from_slice(&number);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(FILE_CHARS_MAX).collect();
    let (version, hash) = (env!("CARGO_PKG_VERSION"), crc32fast::hash(&head));
    Ok(format!("{name} {version} ({hash:08x}-{:x})", about.len()))
}

/// One that is like no other: then schemas are compared.
fn unknown() -> String {
    format!("an unknown build in process {}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_has_one_short_name() {
        let build = of_this_process();
        assert_eq!(look().unwrap(), build);
        assert!(build.len() <= BUILD_BYTES_MAX && build.contains(env!("CARGO_PKG_VERSION")), "{build}");
    }
}
