//! A directory of binaries that are named by their digest: each is there whole and right, or not at all.
//!
//! It is bounded: the binary that was used least recently makes room, but none that is in use. Everything here blocks,
//! so it is called off the arbiter. Where binaries come from is not known here.

use crate::fabric::lock;
use odeon_protocol::binary::{BINARY_BYTES_MAX, Digest};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;
use tracing::{info, warn};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// Ends the name of a binary of which not all is there.
const PART: &str = "part";

/// Why a binary is not taken into the directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BinaryError {
    /// The disk refuses.
    #[error("the disk refuses it: {0}")]
    Io(#[from] io::Error),
    /// It is larger than any may be.
    #[error("it has {0} bytes, over the limit of {BINARY_BYTES_MAX}")]
    TooLarge(u64),
    /// What is in use leaves no room for it.
    #[error("there is no room for {bytes} bytes: of {bytes_max}, all others are in use")]
    NoRoom {
        /// Its bytes.
        bytes: u64,
        /// The bytes that all may have.
        bytes_max: u64,
    },
    /// It is being taken in already.
    #[error("it is being taken in already")]
    Busy,
    /// There are more bytes than were announced.
    #[error("it goes on behind the {0} bytes that were announced")]
    Longer(u64),
    /// There are fewer bytes than were announced.
    #[error("it ends after {got} of {size} bytes")]
    CutShort {
        /// The bytes that came.
        got: u64,
        /// Those that were announced.
        size: u64,
    },
    /// It is another one.
    #[error("it is not what it should be: its sha-256 is {found}, and {wanted} is wanted")]
    OtherDigest {
        /// What it is.
        found: Digest,
        /// What it should be.
        wanted: Digest,
    },
}

/// The directory; clones are the same one.
#[derive(Debug, Clone)]
pub struct BinaryDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Digest, Entry>,
    /// Those of which not all is there, and how much room is kept for each.
    partial: BTreeMap<Digest, u64>,
    /// Counts uses.
    uses: u64,
}

#[derive(Debug, Default)]
struct Entry {
    bytes: u64,
    last_use: u64,
    users: usize,
    /// What the file was like when its bytes were found to be right.
    verified: Option<FileStamp>,
}

/// Tells a file from one that was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileStamp {
    /// That of a file as it is now.
    ///
    /// # Errors
    /// What the system says, or that it is no plain file.
    pub fn of(path: &Path) -> io::Result<Self> {
        let about = path.symlink_metadata()?;
        if !about.is_file() {
            return Err(io::Error::other("it is no plain file"));
        }
        Ok(Self { inode: about.ino(), bytes: about.len(), changed: (about.ctime(), about.ctime_nsec()) })
    }
}

/// A binary that is not removed as long as this lives.
#[derive(Debug)]
pub struct KeptBinary {
    dir: BinaryDir,
    digest: Digest,
    path: PathBuf,
}

impl KeptBinary {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for KeptBinary {
    fn drop(&mut self) {
        if let Some(entry) = lock(&self.dir.inner.state).entries.get_mut(&self.digest) {
            entry.users = entry.users.saturating_sub(1);
        }
    }
}

impl BinaryDir {
    /// Opens a directory for so many bytes; made if it is not there. What was not finished in it is removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == PART) {
                std::fs::remove_file(entry.path())?;
            } else if let Some(digest) = entry.file_name().to_str().and_then(|name| Digest::new(name).ok()) {
                let about = entry.metadata()?;
                found.push((about.modified()?, digest, about.len()));
            }
        }
        found.sort();
        let mut state = State::default();
        for (_, digest, bytes) in found {
            state.uses += 1;
            let last_use = state.uses;
            state.entries.insert(digest, Entry { bytes, last_use, ..Entry::default() });
        }
        Ok(Self { inner: Arc::new(Inner { path: path.to_owned(), bytes_max, state: Mutex::new(state) }) })
    }

    /// The binary, if it is there. Its bytes are checked if they were not since the start, or if the file was touched;
    /// one that is not right any more is removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn find(&self, digest: &Digest) -> io::Result<Option<KeptBinary>> {
        let path = self.path_of(digest);
        let Some(known) = self.begin_use(digest) else { return Ok(None) };
        let kept = KeptBinary { dir: self.clone(), digest: digest.clone(), path: path.clone() };
        match FileStamp::of(&path) {
            Ok(stamp) if known == Some(stamp) => {}
            Ok(_) if digest_of(&path)? == *digest => self.on_verified(digest, &path)?,
            wrong => {
                drop(kept);
                let cause = wrong.err().map_or_else(|| "its bytes were changed".to_owned(), |error| error.to_string());
                warn!(binary = digest.short(), cause, "a binary is not what it was, and is removed");
                self.forget(digest)?;
                return Ok(None);
            }
        }
        Ok(Some(kept))
    }

    /// Begins to take in a binary of so many bytes. Others make room, but none in use and none of `keep`.
    ///
    /// # Errors
    /// [`BinaryError`] if it is too large, there is no room, or the disk refuses.
    pub fn begin(&self, digest: &Digest, size: u64, keep: &BTreeSet<Digest>) -> Result<PartialBinary, BinaryError> {
        if size > BINARY_BYTES_MAX {
            return Err(BinaryError::TooLarge(size));
        }
        for removed in self.reserve(digest, size, keep)? {
            info!(binary = removed.short(), "a binary makes room for another");
            remove(&self.path_of(&removed))?;
        }
        let path = self.inner.path.join(format!("{digest}.{PART}"));
        let opened =
            remove(&path).and_then(|()| OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path));
        let dir = self.clone();
        match opened {
            Ok(file) => {
                Ok(PartialBinary { dir, digest: digest.clone(), file, path, hash: Sha256::new(), size, got: 0 })
            }
            Err(error) => {
                lock(&self.inner.state).partial.remove(digest);
                Err(error.into())
            }
        }
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        self.inner.path.join(digest.as_str())
    }

    fn begin_use(&self, digest: &Digest) -> Option<Option<FileStamp>> {
        let mut state = lock(&self.inner.state);
        state.uses += 1;
        let now = state.uses;
        let entry = state.entries.get_mut(digest)?;
        entry.last_use = now;
        entry.users += 1;
        Some(entry.verified)
    }

    /// The time of the file is that of its last check, so that the order of use survives a restart by and large.
    fn on_verified(&self, digest: &Digest, path: &Path) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(0o500))?;
        File::open(path)?.set_modified(SystemTime::now())?;
        let stamp = FileStamp::of(path)?;
        if let Some(entry) = lock(&self.inner.state).entries.get_mut(digest) {
            entry.verified = Some(stamp);
        }
        Ok(())
    }

    fn forget(&self, digest: &Digest) -> io::Result<()> {
        lock(&self.inner.state).entries.remove(digest);
        remove(&self.path_of(digest))
    }

    /// Keeps room for a binary; the answer is what has to go for it, which is forgotten already.
    fn reserve(&self, digest: &Digest, size: u64, keep: &BTreeSet<Digest>) -> Result<Vec<Digest>, BinaryError> {
        let mut state = lock(&self.inner.state);
        if state.partial.contains_key(digest) {
            return Err(BinaryError::Busy);
        }
        let held: u64 = state.entries.values().map(|entry| entry.bytes).chain(state.partial.values().copied()).sum();
        let mut over = (held + size).saturating_sub(self.inner.bytes_max);
        let may_go = |(digest, entry): &(&Digest, &Entry)| entry.users == 0 && !keep.contains(digest);
        let mut candidates: Vec<_> = state.entries.iter().filter(may_go).collect();
        candidates.sort_by_key(|(_, entry)| entry.last_use);
        let mut removed = Vec::new();
        for (candidate, entry) in candidates {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(entry.bytes);
            removed.push(candidate.clone());
        }
        if over > 0 {
            return Err(BinaryError::NoRoom { bytes: size, bytes_max: self.inner.bytes_max });
        }
        state.entries.retain(|digest, _| !removed.contains(digest));
        state.partial.insert(digest.clone(), size);
        Ok(removed)
    }
}

/// A binary of which not all is there; removed when dropped.
#[derive(Debug)]
pub struct PartialBinary {
    dir: BinaryDir,
    digest: Digest,
    file: File,
    path: PathBuf,
    hash: Sha256,
    size: u64,
    got: u64,
}

impl PartialBinary {
    /// How many bytes there are.
    #[must_use]
    pub fn got(&self) -> u64 {
        self.got
    }

    /// Whether all bytes are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.got == self.size
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// [`BinaryError`] if there are more than were announced, or the disk refuses.
    pub fn write(&mut self, data: &[u8]) -> Result<(), BinaryError> {
        let got = self.got + data.len() as u64;
        if got > self.size {
            return Err(BinaryError::Longer(self.size));
        }
        self.file.write_all(data)?;
        self.hash.update(data);
        self.got = got;
        Ok(())
    }

    /// Checks all of it and puts it into its place, at once.
    ///
    /// # Errors
    /// [`BinaryError`] if it is not whole or not what it should be; it is removed then.
    pub fn install(self) -> Result<KeptBinary, BinaryError> {
        if !self.is_whole() {
            return Err(BinaryError::CutShort { got: self.got, size: self.size });
        }
        let found = Digest::of_hash(self.hash.clone().finalize().into());
        if found != self.digest {
            return Err(BinaryError::OtherDigest { found, wanted: self.digest.clone() });
        }
        self.file.set_permissions(Permissions::from_mode(0o500))?;
        self.file.sync_all()?;
        let path = self.dir.path_of(&self.digest);
        std::fs::rename(&self.path, &path)?;
        File::open(&self.dir.inner.path)?.sync_all()?;
        let mut state = lock(&self.dir.inner.state);
        state.uses += 1;
        let (last_use, verified) = (state.uses, Some(FileStamp::of(&path)?));
        state.entries.insert(self.digest.clone(), Entry { bytes: self.size, last_use, users: 1, verified });
        drop(state);
        Ok(KeptBinary { dir: self.dir.clone(), digest: self.digest.clone(), path })
    }
}

impl Drop for PartialBinary {
    fn drop(&mut self) {
        lock(&self.dir.inner.state).partial.remove(&self.digest);
        if let Err(error) = remove(&self.path) {
            warn!(path = %self.path.display(), %error, "what came of a binary cannot be removed");
        }
    }
}

/// The SHA-256 of a file.
///
/// # Errors
/// What the system says.
pub fn digest_of(path: &Path) -> io::Result<Digest> {
    let (mut file, mut hash, mut piece) = (File::open(path)?, Sha256::new(), vec![0; PIECE_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(Digest::of_hash(hash.finalize().into())),
            count => hash.update(&piece[..count]),
        }
    }
}

/// Removes a file that may be gone.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "binary_dir_test.rs"]
mod tests;
