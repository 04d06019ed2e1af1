//! Reads a configuration or job file: the one place of this module that touches the disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::output::escaped;

/// Largest file that is read, in bytes; anything larger is no configuration.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is absent, unreadable, or not UTF-8.
    #[error("cannot read {}: {source}", escaped(&.path.to_string_lossy()))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file exceeds [`FILE_BYTES_MAX`].
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", escaped(&.path.to_string_lossy()))]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the whole text of `path`, up to [`FILE_BYTES_MAX`].
///
/// # Errors
/// [`ReadError`] if the file cannot be read, is not UTF-8, or is too large.
pub fn read_text(path: &Path) -> Result<String, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ReadError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_at_the_limit_is_read_and_one_byte_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.toml");
        std::fs::write(&path, vec![b'#'; 1 << 20]).unwrap();
        assert_eq!(read_text(&path).unwrap().len(), 1 << 20);
        std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
        assert!(matches!(read_text(&path), Err(ReadError::TooLarge { .. })));
    }

    #[test]
    fn absent_files_and_other_encodings_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.toml");
        assert!(read_text(&path).unwrap_err().to_string().contains("x.toml: No such file"));
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("x.toml: invalid utf-8"));
    }
}
