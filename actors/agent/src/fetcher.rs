//! `Fetcher`: gets the binaries that executors are started from, each once, and keeps them by their digest.
//!
//! The agent's own binary is not fetched. What is not exactly what was asked for is never started.

use crate::http_get::{Download, HttpError};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use odeon_protocol::binary::{Binary, Digest, Location, UriError, masked};
use odeon_protocol::messages::binaries::{BinaryRange, BinaryStore, RANGE_BYTES_MAX, ReadBinary, ReadBinaryError};
use odeon_runtime::{BinaryDir, BinaryError, FileStamp, KeptBinary, PartialBinary, Peer, PeerError, digest_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

/// How many binaries are fetched at a time; the others wait.
const FETCHES_MAX: usize = 4;
/// Between two attempts to reach the master within one fetch.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// How long a fetch may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchLimits {
    /// Without another byte.
    pub(crate) stall: Duration,
    /// In all.
    pub(crate) within: Duration,
}

/// Why a binary is not there. One text for all who wait for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its binary {} cannot be fetched from {from}: {cause}", digest.short())]
pub(crate) struct FetchError {
    digest: Digest,
    from: String,
    cause: String,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Uri(#[from] UriError),
    #[error("{0}")]
    Http(#[from] HttpError),
    #[error("{0}")]
    Binary(#[from] BinaryError),
    #[error("{0}")]
    Store(#[from] ReadBinaryError),
    #[error("{0}")]
    Unreachable(PeerError),
    #[error("it takes longer than {0:?}")]
    TooLong(Duration),
    #[error("the size has changed from {0} to {1} bytes meanwhile")]
    Changed(u64, u64),
}

/// A binary that is there, and stays as long as this is held.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) path: PathBuf,
    _kept: Option<Arc<KeptBinary>>,
}

/// A binary on its way.
pub(crate) type Fetching = BoxFuture<'static, Result<Fetched, FetchError>>;

type UnderWay = Arc<Mutex<BTreeMap<Digest, Shared<Fetching>>>>;

/// The agent's own binary, and what it was when it was hashed last: it may be replaced under a running agent.
struct OwnBinary {
    path: PathBuf,
    hashed: Mutex<Option<(FileStamp, Digest)>>,
}

impl OwnBinary {
    fn is(&self, wanted: &Digest) -> io::Result<bool> {
        let stamp = FileStamp::of(&self.path.canonicalize()?)?;
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = hashed.take().filter(|(known, _)| *known == stamp);
        let (_, digest) = hashed.insert(match known {
            Some(known) => known,
            None => (stamp, digest_of(&self.path)?),
        });
        Ok(digest == wanted)
    }
}

/// Gets binaries for one agent.
#[derive(Clone)]
pub(crate) struct Fetcher {
    dir: BinaryDir,
    own: Arc<OwnBinary>,
    store: Peer<BinaryStore>,
    limits: FetchLimits,
    permits: Arc<Semaphore>,
    under_way: UnderWay,
}

impl Fetcher {
    pub(crate) fn new(dir: BinaryDir, program: PathBuf, store: Peer<BinaryStore>, limits: FetchLimits) -> Self {
        let own = Arc::new(OwnBinary { path: program, hashed: Mutex::default() });
        Self { dir, own, store, limits, permits: Arc::new(Semaphore::new(FETCHES_MAX)), under_way: Arc::default() }
    }

    /// Gets a binary; all who want the same one share one fetch, and its failure. It goes on if nobody waits any more.
    pub(crate) fn fetch(&self, binary: &Binary) -> Fetching {
        let known = self.under_way().get(&binary.sha256).cloned();
        if let Some(known) = known {
            return known.boxed();
        }
        let (fetcher, wanted) = (self.clone(), binary.clone());
        let fetching = async move {
            let fetched = fetcher.get(&wanted).await;
            fetcher.under_way().remove(&wanted.sha256);
            fetched.map_err(|cause| refused(&wanted, &cause))
        };
        let fetching = fetching.boxed().shared();
        self.under_way().insert(binary.sha256.clone(), fetching.clone());
        tokio::spawn(fetching.clone().map(drop));
        fetching.boxed()
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeMap<Digest, Shared<Fetching>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn get(&self, binary: &Binary) -> Result<Fetched, Failed> {
        if let Some(here) = self.here(&binary.sha256).await? {
            return Ok(here);
        }
        let within = self.limits.within;
        let begun = Instant::now();
        let transfer = async {
            let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
            self.transfer(binary).await
        };
        let kept = timeout(within, transfer).await.map_err(|_| Failed::TooLong(within))??;
        let (digest, took_ms) = (binary.sha256.short(), begun.elapsed().as_millis());
        info!(binary = digest, from = from(binary), took_ms, "a binary was fetched");
        Ok(Fetched { path: kept.path().to_owned(), _kept: Some(Arc::new(kept)) })
    }

    /// The binary, if it is the agent's own or was fetched before.
    async fn here(&self, digest: &Digest) -> Result<Option<Fetched>, Failed> {
        let (dir, own, digest) = (self.dir.clone(), Arc::clone(&self.own), digest.clone());
        let look = move || {
            if let Some(kept) = dir.find(&digest)? {
                debug!(binary = digest.short(), "a binary is there already");
                return Ok(Some(Fetched { path: kept.path().to_owned(), _kept: Some(Arc::new(kept)) }));
            }
            Ok(own.is(&digest)?.then(|| Fetched { path: own.path.clone(), _kept: None }))
        };
        blocking(look).await
    }

    async fn transfer(&self, binary: &Binary) -> Result<KeptBinary, Failed> {
        let mut source = match binary.uri.as_deref().map(Location::of).transpose()? {
            None => Source::store(&self.store, &binary.sha256, self.limits.stall).await?,
            Some(Location::File(path)) => Source::file(path).await?,
            Some(Location::Http { host, port, path }) => {
                Source::Http(Download::begin(&host, port, &path, self.limits.stall).await?)
            }
        };
        let (dir, digest, size) = (self.dir.clone(), binary.sha256.clone(), source.size());
        let mut partial = blocking(move || Ok(dir.begin(&digest, size, &BTreeSet::new())?)).await?;
        while !partial.is_whole() {
            let data = source.next(partial.got()).await?;
            partial = blocking(move || write(partial, &data)).await?;
        }
        blocking(move || Ok(partial.install()?)).await
    }
}

/// Writes the next bytes; none are the end.
fn write(mut partial: PartialBinary, data: &[u8]) -> Result<PartialBinary, Failed> {
    if data.is_empty() {
        return Err(partial
            .install()
            .map(drop)
            .err()
            .map_or_else(|| io::Error::other("it is whole").into(), Failed::from));
    }
    partial.write(data)?;
    Ok(partial)
}

/// Where bytes come from.
enum Source {
    Store { store: Peer<BinaryStore>, digest: Digest, size: u64, first: Option<Vec<u8>>, stall: Duration },
    File { file: Arc<File>, size: u64 },
    Http(Download),
}

impl Source {
    async fn store(store: &Peer<BinaryStore>, digest: &Digest, stall: Duration) -> Result<Self, Failed> {
        let BinaryRange { size, data } = read_range(store, digest, 0, stall).await?;
        Ok(Self::Store { store: store.clone(), digest: digest.clone(), size, first: Some(data), stall })
    }

    async fn file(path: String) -> Result<Self, Failed> {
        let open = move || {
            let about = Path::new(&path).metadata()?;
            if !about.is_file() {
                return Err(io::Error::other(format!("{path} is no plain file")).into());
            }
            Ok(Self::File { file: Arc::new(File::open(&path)?), size: about.len() })
        };
        blocking(open).await
    }

    fn size(&self) -> u64 {
        match self {
            Self::Store { size, .. } | Self::File { size, .. } => *size,
            Self::Http(download) => download.size,
        }
    }

    /// The next bytes, which begin at the offset.
    async fn next(&mut self, offset: u64) -> Result<Vec<u8>, Failed> {
        match self {
            Self::Store { store, digest, size, first, stall } => {
                if let Some(first) = first.take() {
                    return Ok(first);
                }
                let range = read_range(store, digest, offset, *stall).await?;
                if range.size != *size {
                    return Err(Failed::Changed(*size, range.size));
                }
                Ok(range.data)
            }
            Self::File { file, .. } => {
                let file = Arc::clone(file);
                let read = move || {
                    let mut data = Vec::new();
                    (&*file).take(RANGE_BYTES_MAX as u64).read_to_end(&mut data)?;
                    Ok(data)
                };
                blocking(read).await
            }
            Self::Http(download) => Ok(download.next(RANGE_BYTES_MAX).await?),
        }
    }
}

/// Reads a range, again and again as long as the master cannot be reached: what came before stays.
async fn read_range(
    store: &Peer<BinaryStore>,
    digest: &Digest,
    offset: u64,
    stall: Duration,
) -> Result<BinaryRange, Failed> {
    let until = Instant::now() + stall;
    loop {
        let left = until.saturating_duration_since(Instant::now()).max(RETRY_INTERVAL);
        match store.send_within(ReadBinary { sha256: digest.clone(), offset }, left).await {
            Ok(range) => return Ok(range?),
            Err(error) if error.retry_can_help() && Instant::now() < until => {
                warn!(binary = digest.short(), offset, %error, "a range of a binary is asked for again");
                sleep(RETRY_INTERVAL).await;
            }
            Err(error) => return Err(Failed::Unreachable(error)),
        }
    }
}

async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> Result<T, Failed> {
    spawn_blocking(act).await.map_err(io::Error::other)?
}

fn refused(binary: &Binary, cause: &Failed) -> FetchError {
    FetchError { digest: binary.sha256.clone(), from: from(binary), cause: cause.to_string() }
}

fn from(binary: &Binary) -> String {
    binary.uri.as_deref().map_or_else(|| "the master".to_owned(), masked)
}

#[cfg(test)]
#[path = "fetcher_test.rs"]
mod tests;
