//! `Binaries`: the binaries of deployments, handed in by clients and read by agents, beside the journal of the deployer.
//!
//! So an agent can be replaced when the client has long gone. What a deployment names is kept; of the others, the one
//! that was used least recently makes room.

use crate::actor::{BinariesInUse, DeployerActor};
use actix::{Actor, Addr, Context, Handler};
use odeon_protocol::binary::Digest;
use odeon_protocol::messages::binaries::{
    BinaryProgress, BinaryRange, OfferBinary, PutBinary, RANGE_BYTES_MAX, ReadBinary, ReadBinaryError, StoreBinaryError,
};
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{BinaryDir, BinaryError, Exports, PartialBinary, Reply};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tracing::info;

/// The most binaries that are being handed in at a time.
const UPLOADS_MAX: usize = 8;
/// The most ranges that are being read at a time; the others wait.
const READS_MAX: usize = 32;
/// What is being handed in and gets no further for so long makes room for another.
const UPLOAD_IDLE_MAX: Duration = Duration::from_secs(60);

/// A binary that is being handed in.
struct Upload {
    /// None while it is being written to, and once it is whole.
    partial: Arc<Mutex<Option<PartialBinary>>>,
    last_heard: Instant,
}

impl Upload {
    /// Whether it is being worked on, or may go on.
    fn is_open(&self, now: Instant) -> bool {
        let is_idle = now.duration_since(self.last_heard) >= UPLOAD_IDLE_MAX;
        Arc::strong_count(&self.partial) > 1 || (lock(&self.partial).is_some() && !is_idle)
    }
}

/// The actor behind the name of the store.
pub(crate) struct Binaries {
    dir: BinaryDir,
    deployer: Addr<DeployerActor>,
    uploads: BTreeMap<Digest, Upload>,
    readers: Arc<Semaphore>,
}

impl Binaries {
    pub(crate) fn new(dir: BinaryDir, deployer: Addr<DeployerActor>) -> Self {
        Self { dir, deployer, uploads: BTreeMap::new(), readers: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// What the store takes from peers: agents run what is in it, so only clients put something there.
    pub(crate) fn exports(own: &Addr<Self>) -> Exports {
        Exports::new()
            .only_from(&[PeerRole::Client])
            .accept::<OfferBinary, _>(own)
            .accept::<PutBinary, _>(own)
            .only_from(&[PeerRole::Agent])
            .accept::<ReadBinary, _>(own)
    }

    /// The place of an upload, old or new.
    fn upload(&mut self, digest: &Digest) -> Result<Arc<Mutex<Option<PartialBinary>>>, StoreBinaryError> {
        let now = Instant::now();
        if !self.uploads.contains_key(digest) {
            self.uploads.retain(|_, upload| upload.is_open(now));
            if self.uploads.len() >= UPLOADS_MAX {
                return Err(StoreBinaryError::TooMany(UPLOADS_MAX));
            }
        }
        let new = || Upload { partial: Arc::default(), last_heard: now };
        let upload = self.uploads.entry(digest.clone()).or_insert_with(new);
        upload.last_heard = now;
        Ok(Arc::clone(&upload.partial))
    }
}

impl Actor for Binaries {
    type Context = Context<Self>;
}

impl Handler<OfferBinary> for Binaries {
    type Result = Reply<Result<BinaryProgress, StoreBinaryError>>;

    fn handle(&mut self, OfferBinary { sha256, size }: OfferBinary, _: &mut Self::Context) -> Self::Result {
        let partial = match self.upload(&sha256) {
            Ok(partial) => partial,
            Err(error) => return Reply::now(Err(error)),
        };
        let (dir, deployer) = (self.dir.clone(), self.deployer.clone());
        Reply::later(async move {
            let keep = deployer.send(BinariesInUse).await.unwrap_or_default();
            blocking(move || offer(&dir, &partial, &sha256, size, &keep).map_err(refused)).await
        })
    }
}

impl Handler<PutBinary> for Binaries {
    type Result = Reply<Result<BinaryProgress, StoreBinaryError>>;

    fn handle(&mut self, put: PutBinary, _: &mut Self::Context) -> Self::Result {
        let Some(upload) = self.uploads.get_mut(&put.sha256) else {
            return Reply::now(Err(StoreBinaryError::NotOffered(put.sha256)));
        };
        upload.last_heard = Instant::now();
        let (dir, partial) = (self.dir.clone(), Arc::clone(&upload.partial));
        Reply::later(blocking(move || take_in(&dir, &partial, &put)))
    }
}

impl Handler<ReadBinary> for Binaries {
    type Result = Reply<Result<BinaryRange, ReadBinaryError>>;

    fn handle(&mut self, ReadBinary { sha256, offset }: ReadBinary, _: &mut Self::Context) -> Self::Result {
        let (dir, readers) = (self.dir.clone(), Arc::clone(&self.readers));
        Reply::later(async move {
            let _permit = readers.acquire().await.expect("the semaphore is never closed");
            let read = spawn_blocking(move || read(&dir, &sha256, offset)).await;
            let read = read.map_err(io::Error::other).and_then(|read| read);
            read.map_err(|error| ReadBinaryError::Io(error.to_string()))?.ok_or(ReadBinaryError::Unknown)
        })
    }
}

/// Whether it is there, or from where on it is wanted.
fn offer(
    dir: &BinaryDir,
    partial: &Mutex<Option<PartialBinary>>,
    digest: &Digest,
    size: u64,
    keep: &BTreeSet<Digest>,
) -> Result<BinaryProgress, BinaryError> {
    let mut partial = lock(partial);
    if dir.find(digest)?.is_some() {
        return Ok(BinaryProgress::Complete);
    }
    if partial.is_none() {
        *partial = Some(dir.begin(digest, size, keep)?);
    }
    Ok(BinaryProgress::Wanted { offset: partial.as_ref().map_or(0, PartialBinary::got) })
}

/// Takes the next bytes. Two clients that hand in the same binary help each other.
fn take_in(
    dir: &BinaryDir,
    partial: &Mutex<Option<PartialBinary>>,
    put: &PutBinary,
) -> Result<BinaryProgress, StoreBinaryError> {
    let mut place = lock(partial);
    let Some(mut partial) = place.take() else {
        let is_there = dir.find(&put.sha256).map_err(|error| refused(error.into()))?.is_some();
        return if is_there {
            Ok(BinaryProgress::Complete)
        } else {
            Err(StoreBinaryError::NotOffered(put.sha256.clone()))
        };
    };
    if partial.got() == put.offset && put.data.len() <= RANGE_BYTES_MAX {
        partial.write(&put.data).map_err(refused)?;
    }
    if partial.is_whole() {
        drop(partial.install().map_err(refused)?);
        info!(binary = put.sha256.short(), "a binary is kept for the agents");
        return Ok(BinaryProgress::Complete);
    }
    let offset = partial.got();
    *place = Some(partial);
    Ok(BinaryProgress::Wanted { offset })
}

fn read(dir: &BinaryDir, digest: &Digest, offset: u64) -> io::Result<Option<BinaryRange>> {
    let Some(kept) = dir.find(digest)? else { return Ok(None) };
    let file = File::open(kept.path())?;
    let size = file.metadata()?.len();
    let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(RANGE_BYTES_MAX).min(RANGE_BYTES_MAX);
    let mut data = vec![0; length];
    file.read_exact_at(&mut data, offset)?;
    Ok(Some(BinaryRange { size, data }))
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreBinaryError> + Send + 'static,
) -> Result<T, StoreBinaryError> {
    spawn_blocking(act).await.unwrap_or_else(|error| Err(StoreBinaryError::Refused(error.to_string())))
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn refused(error: BinaryError) -> StoreBinaryError {
    StoreBinaryError::Refused(error.to_string())
}

/// A panic between two changes that belong together is not possible here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "binaries_test.rs"]
mod tests;
