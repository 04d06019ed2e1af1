//! A checkpoint in its place on disk: a reader finds the last one that is whole, whenever the writer was killed.
//!
//! What stands in it is not known here.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Checkpoint, CheckpointBinding, CheckpointFault, hex};
use crate::data::{DataError, DataSource};

/// Largest checkpoint that is read.
const BYTES_MAX: u64 = 1 << 32;
/// Bytes of data that are read at a time for their digest.
const CHUNK_BYTES: usize = 1 << 16;

/// Where the checkpoints of one training are written.
#[derive(Debug, Clone)]
pub struct CheckpointFile {
    path: PathBuf,
    binding: CheckpointBinding,
}

/// What was found where checkpoints will be written.
#[derive(Debug, Clone)]
pub struct OpenedCheckpoint {
    /// Where they will be.
    pub file: CheckpointFile,
    /// What to go on from, if a training was ended there.
    pub found: Option<Checkpoint>,
}

/// Why there is nothing to go on from, or nowhere to write to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A checkpoint is there, and this training cannot go on from it.
    #[error("{path}: {fault}")]
    Refused {
        /// Where.
        path: PathBuf,
        /// Why.
        fault: CheckpointFault,
    },
    /// The disk refuses.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl CheckpointFile {
    /// Reads what is at `path`, if anything is.
    ///
    /// # Errors
    /// [`CheckpointError`] if there is something that this training cannot go on from.
    pub fn open(path: &Path, binding: CheckpointBinding) -> Result<OpenedCheckpoint, CheckpointError> {
        let io = |source| CheckpointError::Io { operation: "read", path: path.to_owned(), source };
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(file) => file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(io)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(OpenedCheckpoint { file: Self { path: path.to_owned(), binding }, found: None });
            }
            Err(error) => return Err(io(error)),
        };
        let refused = |fault| CheckpointError::Refused { path: path.to_owned(), fault };
        let found = Checkpoint::decode(&bytes, &binding).map_err(refused)?;
        Ok(OpenedCheckpoint { file: Self { path: path.to_owned(), binding }, found: Some(found) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a checkpoint in place of the one before. It is on disk when this returns; until then the other one is.
    ///
    /// # Errors
    /// [`CheckpointError`] if the disk refuses.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        let io = |source| CheckpointError::Io { operation: "write", path: self.path.clone(), source };
        replace_durably(&self.path, &checkpoint.encode(&self.binding)).map_err(io)
    }
}

/// Puts bytes at `path`: whoever looks sees what was there before or all of them, also after a loss of power.
///
/// # Errors
/// What the disk says.
pub fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let beside = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// The SHA-256 of where rows come from: the bytes of all files in their order, or the name of generated data.
///
/// # Errors
/// If a file cannot be found or read.
pub fn content_sha256(source: &DataSource) -> Result<String, DataError> {
    let mut all = Sha256::new();
    for paths in [Some(&source.paths), source.test_paths.as_ref()] {
        // Rows for testing are told from rows for training.
        all.update([u8::from(paths.is_some())]);
        let Some(paths) = paths else { continue };
        if let Some(name) = paths.synthetic() {
            all.update(name);
            continue;
        }
        for file in paths.files()? {
            let unreadable = |error: io::Error| DataError::Unreadable {
                file: file.display().to_string(),
                reason: error.to_string(),
            };
            all.update(file_sha256(&file).map_err(unreadable)?);
        }
    }
    Ok(hex(all.finalize()))
}

fn file_sha256(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut hash, mut chunk) = (File::open(path)?, Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(length) => hash.update(&chunk[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
