//! `EmbeddedStore`: the rows of the registry in one redb file, which survives a crash at any byte.
//!
//! Each row carries a CRC-32 of its own beside the checksums of the pages. Opening looks at a copy in
//! memory first: a file that is refused is left byte for byte as it was.

use super::rows::Change;
use super::store::{Contents, RegistryStore, StoreError, StoreVersion};
use crate::record::Record;
use odeon_protocol::codec;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition, TableError};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The format of keys and rows. A file with a higher one is refused.
pub(super) const FORMAT: u64 = 1;
/// Pages that are kept in memory; the rows themselves live in the core of the master.
const CACHE_BYTES: usize = 4 << 20;
const CHECKSUM_BYTES: usize = 4;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const ROWS: TableDefinition<&str, &[u8]> = TableDefinition::new("rows");
const META_FORMAT: &str = "format";
const META_VERSION: &str = "version";

/// An open registry file, locked against other processes.
pub(super) struct EmbeddedStore {
    path: PathBuf,
    database: Database,
}

impl EmbeddedStore {
    /// Makes a file with these rows; one that is there already is replaced.
    ///
    /// # Errors
    /// [`StoreError`]; what is at `path` then is not complete.
    pub(super) fn create(path: &Path, changes: &[Change]) -> Result<(), StoreError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|source| StoreError::Io { path: path.to_owned(), operation: "create", source })?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_file(file);
        let database = database.map_err(|error| failed(path, "create", error))?;
        let mut store = Self { path: path.to_owned(), database };
        store.change(StoreVersion::default(), changes, Some(FORMAT)).map(|_| ())
    }

    /// A file that a program of another format might have made.
    #[cfg(test)]
    pub(super) fn create_with_format(path: &Path, format: u64) -> Result<(), StoreError> {
        let database = Database::create(path).map_err(|error| failed(path, "create", error))?;
        let mut store = Self { path: path.to_owned(), database };
        store.change(StoreVersion::default(), &[], Some(format)).map(|_| ())
    }

    /// Opens a file that is there.
    ///
    /// # Errors
    /// [`StoreError`]; the file is left as it was.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        check_copy(path)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).open(path);
        let database = database.map_err(|error| failed(path, "open", error))?;
        Ok(Self { path: path.to_owned(), database })
    }

    fn change(
        &mut self,
        expected: StoreVersion,
        changes: &[Change],
        format: Option<u64>,
    ) -> Result<StoreVersion, StoreError> {
        let written = self.write(expected, changes, format);
        written.map_err(|refusal| match refusal {
            Refusal::Conflict { found } => StoreError::Conflict { expected, found },
            Refusal::Engine(error) => failed(&self.path, "write to", error),
        })
    }

    fn write(&self, expected: StoreVersion, changes: &[Change], format: Option<u64>) -> Result<StoreVersion, Refusal> {
        let transaction = self.database.begin_write().map_err(redb::Error::from)?;
        let next = StoreVersion(expected.0 + 1);
        {
            let mut meta = transaction.open_table(META).map_err(redb::Error::from)?;
            let found = meta.get(META_VERSION).map_err(redb::Error::from)?.map(|version| version.value());
            let found = StoreVersion(found.unwrap_or_default());
            if found != expected {
                return Err(Refusal::Conflict { found });
            }
            if let Some(format) = format {
                meta.insert(META_FORMAT, format).map_err(redb::Error::from)?;
            }
            meta.insert(META_VERSION, next.0).map_err(redb::Error::from)?;
            let mut rows = transaction.open_table(ROWS).map_err(redb::Error::from)?;
            for change in changes {
                match change {
                    Change::Put { key, record } => rows.insert(key.as_str(), encode(record).as_slice()),
                    Change::Delete { key } => rows.remove(key.as_str()),
                }
                .map_err(redb::Error::from)?;
            }
        }
        transaction.commit().map_err(redb::Error::from)?;
        Ok(next)
    }
}

impl RegistryStore for EmbeddedStore {
    fn read(&self) -> Result<Contents, StoreError> {
        contents(&self.database, &self.path)
    }

    fn commit(&mut self, expected: StoreVersion, changes: &[Change]) -> Result<StoreVersion, StoreError> {
        self.change(expected, changes, None)
    }
}

/// Why a change is not made.
enum Refusal {
    Conflict { found: StoreVersion },
    Engine(redb::Error),
}

impl From<redb::Error> for Refusal {
    fn from(error: redb::Error) -> Self {
        Self::Engine(error)
    }
}

/// Reads a file into memory and looks at all of it there: repairs of the engine touch the copy alone.
fn check_copy(path: &Path) -> Result<(), StoreError> {
    let bytes = read_locked(path)?;
    // The engine takes an empty file for a new one; a file in its place is never empty.
    if bytes.is_empty() {
        return Err(damaged(path, "it is empty"));
    }
    let checked = std::panic::catch_unwind(|| check_bytes(&bytes, path));
    checked.unwrap_or_else(|_| Err(damaged(path, "its pages contradict each other")))
}

fn check_bytes(bytes: &[u8], path: &Path) -> Result<(), StoreError> {
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, bytes));
    filled.map_err(|source| StoreError::Io { path: path.to_owned(), operation: "copy into memory", source })?;
    let opened = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(memory);
    let mut database = opened.map_err(|error| failed(path, "read", error))?;
    database.check_integrity().map_err(|error| failed(path, "check", error))?;
    contents(&database, path).map(|_| ())
}

fn read_locked(path: &Path) -> Result<Vec<u8>, StoreError> {
    let io = |operation| move |source| StoreError::Io { path: path.to_owned(), operation, source };
    let mut file = File::open(path).map_err(io("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes).map_err(io("read"))?;
    Ok(bytes)
}

fn contents(database: &Database, path: &Path) -> Result<Contents, StoreError> {
    let engine = |error: redb::Error| failed(path, "read", error);
    let transaction = database.begin_read().map_err(|error| engine(error.into()))?;
    let meta = transaction.open_table(META).map_err(|error| table_missing(error, path))?;
    let number = |key: &str| -> Result<u64, StoreError> {
        let value = meta.get(key).map_err(|error| engine(error.into()))?.map(|value| value.value());
        value.ok_or_else(|| damaged(path, format!("it has no {key}")))
    };
    let (format, version) = (number(META_FORMAT)?, StoreVersion(number(META_VERSION)?));
    if format > FORMAT {
        return Err(StoreError::Newer { path: path.to_owned(), found: format, known: FORMAT });
    }
    let rows = transaction.open_table(ROWS).map_err(|error| table_missing(error, path))?;
    let mut records = Vec::new();
    for row in rows.iter().map_err(|error| engine(error.into()))? {
        let (key, value) = row.map_err(|error| engine(error.into()))?;
        let record = decode(value.value());
        records.push(record.map_err(|cause| damaged(path, format!("row {}: {cause}", key.value())))?);
    }
    Ok(Contents { version, records })
}

fn encode(record: &Record) -> Vec<u8> {
    let body = codec::encode(record).expect("a record holds nothing that msgpack refuses");
    let mut value = crc32fast::hash(&body).to_le_bytes().to_vec();
    value.extend(body);
    value
}

fn decode(value: &[u8]) -> Result<Record, String> {
    let Some((checksum, body)) = value.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err("it is shorter than a checksum".to_owned());
    };
    if u32::from_le_bytes(*checksum) != crc32fast::hash(body) {
        return Err("its checksum does not fit".to_owned());
    }
    codec::decode(body, codec::RECORD_DEPTH_MAX).map_err(|error| format!("it cannot be decoded: {error}"))
}

fn damaged(path: &Path, cause: impl Into<String>) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), cause: cause.into() }
}

fn table_missing(error: TableError, path: &Path) -> StoreError {
    match error {
        TableError::TableDoesNotExist(name) => damaged(path, format!("it has no table {name}")),
        error => failed(path, "read", redb::Error::from(error)),
    }
}

/// Sorts the errors of the engine into what can be done about them.
fn failed(path: &Path, operation: &'static str, error: impl Into<redb::Error>) -> StoreError {
    let path = path.to_owned();
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path },
        // The engine says so as well of a file that is none of its own.
        redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            StoreError::Damaged { path, cause: "it is no registry".to_owned() }
        }
        redb::Error::Io(source) => StoreError::Io { path, operation, source },
        error => StoreError::Damaged { path, cause: error.to_string() },
    }
}
