//! `Journal`: an append-only file of checksummed records that recovers from a torn write.
//!
//! The bytes are handled by pure functions over slices; files only at the end. It does not decide
//! what to write or when, and it is synchronous: call it where blocking is allowed.
//!
//! File: an 8-byte magic, a 4-byte version, a 4-byte CRC-32 of both. Record: 4 bytes of body length,
//! 4 bytes CRC-32 of the length, 4 bytes CRC-32 of the body, then the body as msgpack with named
//! fields. All integers are little-endian. The length has a checksum of its own because a flipped bit
//! in it would otherwise look like a torn tail and cut off good records.

use odeon_protocol::codec;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The version of the file format that is written and read.
pub const JOURNAL_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"odeonjnl";
const FILE_HEADER_BYTES: usize = 16;
const RECORD_HEADER_BYTES: usize = 12;

/// Why a journal cannot be opened or written. A retry does not help unless the cause is removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system refuses. After a failed append the journal must not be used again.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another process has the journal open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is no journal, or its header is damaged. It is left as it was.
    #[error("{} is not a journal: {cause}", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
        /// What is wrong at its beginning.
        cause: &'static str,
    },
    /// A newer program wrote the file. It is left as it was.
    #[error("{} has version {version}, this program reads {JOURNAL_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        version: u32,
    },
    /// A record is damaged. The file is left as it was.
    #[error("{} is damaged at byte {offset}: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the record begins.
        offset: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// A record cannot be written in the file's format, or is over 4 GiB.
    #[error("a record for {} cannot be encoded: {cause}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the format refuses.
        cause: String,
    },
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Whether the file was made just now.
    pub created: bool,
    /// Complete records.
    pub record_count: usize,
    /// Bytes of an unfinished write that were cut off.
    pub torn_bytes: u64,
}

/// An open journal of records of type `R`; the file is locked while it is open.
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    file: File,
    records: PhantomData<fn(&R)>,
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Opens a journal, or makes an empty one, and returns its records.
    ///
    /// A torn tail, which an interrupted write leaves, is cut off.
    ///
    /// # Errors
    /// [`JournalError`]; the file is then left as it was.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, Vec<R>, RecoveryReport), JournalError> {
        let path = path.into();
        let created = !path.try_exists().map_err(io_error(&path, "look for"))?;
        if created {
            write_new(&path, &file_header())?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_error(&path, "open"))?;
        lock_file(&file, &path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error(&path, "read"))?;
        let (records, whole_bytes) = decode_file(&bytes, &path)?;
        let torn_bytes = (bytes.len() - whole_bytes) as u64;
        if torn_bytes > 0 {
            file.set_len(whole_bytes as u64).map_err(io_error(&path, "cut the torn tail of"))?;
            file.sync_all().map_err(io_error(&path, "sync"))?;
        }
        file.seek(SeekFrom::End(0)).map_err(io_error(&path, "seek in"))?;
        let report = RecoveryReport { created, record_count: records.len(), torn_bytes };
        Ok((Self { path, file, records: PhantomData }, records, report))
    }
}

impl<R: Serialize> Journal<R> {
    /// Replaces the contents, all or nothing: what is left after a crash is the old or the new file.
    ///
    /// # Errors
    /// [`JournalError`]; the journal is consumed, as it cannot be known which file is in place.
    pub fn replace_with(self, records: &[R]) -> Result<Self, JournalError> {
        let Self { path, file: old, .. } = self;
        let mut bytes = file_header();
        encode_records(records, &mut bytes).map_err(|cause| JournalError::Record { path: path.clone(), cause })?;
        let file = write_new(&path, &bytes)?;
        drop(old);
        Ok(Self { path, file, records: PhantomData })
    }

    /// Appends records and returns once they are durable, with one sync for all.
    ///
    /// # Errors
    /// [`JournalError`]; the journal must then not be used again, as the tail may be torn.
    pub fn append(&mut self, records: &[R]) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        encode_records(records, &mut bytes).map_err(|cause| JournalError::Record { path: self.path.clone(), cause })?;
        self.file.write_all(&bytes).map_err(io_error(&self.path, "append to"))?;
        self.file.sync_data().map_err(io_error(&self.path, "sync"))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn io_error<'a>(path: &'a Path, operation: &'static str) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { path: path.to_owned(), operation, source }
}

fn lock_file(file: &File, path: &Path) -> Result<(), JournalError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => JournalError::Locked { path: path.to_owned() },
        TryLockError::Error(source) => io_error(path, "lock")(source),
    })
}

/// Writes a file beside `path`, locked, and puts it in place; the result is at its end.
fn write_new(path: &Path, bytes: &[u8]) -> Result<File, JournalError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(io_error(&beside, "create"))?;
    lock_file(&file, &beside)?;
    file.write_all(bytes).map_err(io_error(&beside, "write"))?;
    file.sync_all().map_err(io_error(&beside, "sync"))?;
    fs::rename(&beside, path).map_err(io_error(path, "put in place"))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(io_error(directory, "sync"))?;
    Ok(file)
}

fn file_header() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&JOURNAL_VERSION.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

fn encode_records<R: Serialize>(records: &[R], bytes: &mut Vec<u8>) -> Result<(), String> {
    for record in records {
        let body = codec::encode(record).map_err(|error| error.to_string())?;
        let length = u32::try_from(body.len()).map_err(|_| format!("it has {} bytes", body.len()))?.to_le_bytes();
        bytes.extend_from_slice(&length);
        bytes.extend_from_slice(&crc32fast::hash(&length).to_le_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
    }
    Ok(())
}

fn check_file_header(bytes: &[u8], path: &Path) -> Result<(), JournalError> {
    let not_one = |cause| Err(JournalError::NotAJournal { path: path.to_owned(), cause });
    let Some(header) = bytes.get(..FILE_HEADER_BYTES) else {
        // The header is written before the file gets its name, so no crash leaves a part of it.
        return not_one("it is shorter than a header");
    };
    if header[..8] != MAGIC[..] {
        return not_one("its magic is another");
    }
    if crc32fast::hash(&header[..12]) != u32_at(header, 12) {
        return not_one("the checksum of its header does not fit");
    }
    match u32_at(header, 8) {
        JOURNAL_VERSION => Ok(()),
        version => Err(JournalError::Version { path: path.to_owned(), version }),
    }
}

/// Reads a file; returns its records and where the last complete one ends.
fn decode_file<R: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<(Vec<R>, usize), JournalError> {
    check_file_header(bytes, path)?;
    let (mut records, mut offset) = (Vec::new(), FILE_HEADER_BYTES);
    let damaged = |offset: usize, cause| JournalError::Damaged { path: path.to_owned(), offset: offset as u64, cause };
    while let Some(body) = next_body(&bytes[offset..]).map_err(|cause| damaged(offset, cause.to_owned()))? {
        let record = codec::decode(body, codec::RECORD_DEPTH_MAX);
        records.push(record.map_err(|error| damaged(offset, format!("cannot decode: {error}")))?);
        offset += RECORD_HEADER_BYTES + body.len();
    }
    Ok((records, offset))
}

/// The body of the record at the start of `rest`; nothing at the end or at a torn tail.
fn next_body(rest: &[u8]) -> Result<Option<&[u8]>, &'static str> {
    // A file that grew before its data was written reads as zeros.
    if rest.len() < RECORD_HEADER_BYTES || rest.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if crc32fast::hash(&rest[..4]) != u32_at(rest, 4) {
        return Err("the checksum of a record's length does not fit");
    }
    let length = u32_at(rest, 0) as usize;
    let Some(body) = rest[RECORD_HEADER_BYTES..].get(..length) else {
        return Ok(None);
    };
    if crc32fast::hash(body) != u32_at(rest, 8) {
        return Err("the checksum of a record does not fit");
    }
    Ok(Some(body))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..].first_chunk().expect("the caller has checked the length");
    u32::from_le_bytes(*four)
}

#[cfg(test)]
#[path = "journal_test.rs"]
mod tests;
