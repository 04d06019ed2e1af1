//! A binary on its way from a client to the master, in ranges, from wherever an earlier attempt has stopped.
//!
//! What becomes of it there, and how agents get it, is not known here.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use odeon_protocol::binary::{BINARY_BYTES_MAX, Digest};
use odeon_protocol::messages::binaries::{
    BINARIES, BinaryProgress, BinaryStore, OfferBinary, PutBinary, RANGE_BYTES_MAX, StoreBinaryError,
};
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{Endpoint, Node, Peer, digest_of};
use tokio::task::spawn_blocking;

use crate::exit::Exit;
use crate::failure::{Failure, OrExit, not_answered};

/// How long the master may take to look at what it has, or to write a range.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a link that breaks is tried again without a byte more.
const TRIES_MAX: u32 = 5;
/// Between two tries.
const TRY_INTERVAL: Duration = Duration::from_millis(500);

/// The SHA-256 of a file.
///
/// # Errors
/// [`Failure`] names the file if it cannot be read.
pub(crate) async fn digest(path: &Path) -> Result<Digest, Failure> {
    let file = readable(path);
    let hashed = spawn_blocking(move || digest_of(&file)).await.or_exit(Exit::WorkFailed)?;
    hashed.map_err(|error| unreadable(path, &error))
}

/// Hands a file to the master.
pub(crate) async fn hand_in(node: &Node, master: &Endpoint, digest: &Digest, path: &Path) -> Result<(), Failure> {
    let opened = File::open(readable(path)).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = opened.map_err(|error| unreadable(path, &error))?;
    if size > BINARY_BYTES_MAX {
        let text = format!("{}: {size} bytes are over the limit of {BINARY_BYTES_MAX}", path.display());
        return Err(Failure::usage(text));
    }
    let shipment = Shipment { store: node.peer_at(master, BINARIES), master: master.clone(), digest: digest.clone() };
    let mut progress = shipment.offer(size).await?;
    let file = Arc::new(file);
    while let BinaryProgress::Wanted { offset } = progress {
        let data = read(Arc::clone(&file), offset, size).await.map_err(|error| unreadable(path, &error))?;
        let put = PutBinary { sha256: digest.clone(), offset, data };
        progress = match shipment.ask(put).await? {
            // The master was started again, or has forgotten it.
            Err(StoreBinaryError::NotOffered(_)) => shipment.offer(size).await?,
            put => put.or_exit(Exit::WorkFailed)?,
        };
    }
    Ok(())
}

struct Shipment {
    store: Peer<BinaryStore>,
    master: Endpoint,
    digest: Digest,
}

impl Shipment {
    async fn offer(&self, size: u64) -> Result<BinaryProgress, Failure> {
        self.ask(OfferBinary { sha256: self.digest.clone(), size }).await?.or_exit(Exit::WorkFailed)
    }

    /// Asks again if the master was not reached, for a range that arrives twice changes nothing.
    async fn ask<M>(&self, question: M) -> Result<M::Result, Failure>
    where
        M: RemoteMessage + Clone,
        BinaryStore: Accepts<M>,
    {
        let mut tries = 1;
        loop {
            match self.store.send_within(question.clone(), ANSWER_WAIT_MAX).await {
                Err(error) if error.retry_can_help() && tries < TRIES_MAX => {
                    tracing::debug!(%error, tries, "a binary is handed in again");
                    tries += 1;
                    tokio::time::sleep(TRY_INTERVAL).await;
                }
                answer => return answer.map_err(|error| not_answered(&self.master, &error)),
            }
        }
    }
}

async fn read(file: Arc<File>, offset: u64, size: u64) -> std::io::Result<Vec<u8>> {
    let length = usize::try_from(size - offset.min(size)).unwrap_or(RANGE_BYTES_MAX).min(RANGE_BYTES_MAX);
    let read = move || {
        let mut data = vec![0; length];
        file.read_exact_at(&mut data, offset)?;
        Ok(data)
    };
    spawn_blocking(read).await.map_err(std::io::Error::other)?
}

/// The binary of this process as it was started, even if another one has taken its place on the disk.
fn readable(path: &Path) -> PathBuf {
    let own = Path::new("/proc/self/exe");
    let is_own = own.read_link().is_ok_and(|target| target == path);
    if is_own { own.to_owned() } else { path.to_owned() }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("the binary {} cannot be read: {error}", path.display()))
}
