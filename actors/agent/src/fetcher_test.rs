//! Tests of fetching: over the fabric from a store that stumbles, and from files.

use super::*;
use actix::{Actor, Context, Handler};
use odeon_runtime::{Exports, Node, Reply};
use std::cell::Cell;
use std::rc::Rc;

const LIMITS: FetchLimits = FetchLimits { stall: Duration::from_secs(2), within: Duration::from_secs(60) };

/// Keeps one binary; counts what is read, and does not answer when told so.
struct Store {
    bytes: Vec<u8>,
    reads: Rc<Cell<usize>>,
    /// Which reads find nobody.
    lost: Vec<usize>,
    /// How many bytes it has in fact, if that is less than it says.
    has: usize,
}

impl Actor for Store {
    type Context = Context<Self>;
}

impl Handler<ReadBinary> for Store {
    type Result = Reply<Result<BinaryRange, ReadBinaryError>>;

    fn handle(&mut self, read: ReadBinary, _: &mut Self::Context) -> Self::Result {
        let number = self.reads.get();
        self.reads.set(number + 1);
        if self.lost.contains(&number) {
            return Reply::later(std::future::pending());
        }
        let from = usize::try_from(read.offset).unwrap().min(self.has);
        let to = (from + RANGE_BYTES_MAX).min(self.has);
        Reply::now(Ok(BinaryRange { size: self.bytes.len() as u64, data: self.bytes[from..to].to_vec() }))
    }
}

struct Bench {
    root: tempfile::TempDir,
    node: Node,
    reads: Rc<Cell<usize>>,
    fetcher: Fetcher,
}

/// A fetcher whose master keeps `bytes`.
async fn bench(bytes: Vec<u8>, lost: Vec<usize>, has: usize) -> Bench {
    let (root, reads) = (tempfile::tempdir().unwrap(), Rc::default());
    let node = Node::builder("n").incarnation(1).start().await.unwrap();
    let store = Store { bytes, reads: Rc::clone(&reads), lost, has }.start();
    node.export("binaries", Exports::new().accept::<ReadBinary, _>(&store));
    let own = root.path().join("own");
    std::fs::write(&own, "own").unwrap();
    let dir = BinaryDir::open(&root.path().join("binaries"), 1 << 30).unwrap();
    let fetcher = Fetcher::new(dir, own, node.peer("binaries"), LIMITS);
    Bench { root, node, reads, fetcher }
}

/// The digest of bytes, as a file has it.
fn binary(bytes: &[u8], uri: Option<String>) -> Binary {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Binary { sha256: digest_of(file.path()).unwrap(), uri }
}

/// More than two ranges.
fn large() -> Vec<u8> {
    (0..2 * RANGE_BYTES_MAX + 12_345).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[actix_rt::test]
async fn all_who_want_a_binary_share_one_fetch_and_later_ones_need_none() {
    let bench = bench(large(), Vec::new(), large().len()).await;
    let wanted = binary(&large(), None);
    let all = futures_util::future::join_all((0..5).map(|_| bench.fetcher.fetch(&wanted))).await;
    for fetched in all {
        assert_eq!(std::fs::read(fetched.unwrap().path).unwrap(), large());
    }
    assert_eq!(bench.reads.get(), 3);
    bench.fetcher.fetch(&wanted).await.unwrap();
    assert_eq!(bench.reads.get(), 3);
    bench.node.shut_down();
}

#[actix_rt::test]
async fn a_fetch_goes_on_where_it_was_when_the_master_was_away() {
    let bench = bench(large(), Vec::new(), large().len()).await;
    let store = bench.node.retract("binaries");
    assert!(store);
    let fetching = bench.fetcher.fetch(&binary(&large(), None));
    let back = Store { bytes: large(), reads: Rc::clone(&bench.reads), lost: Vec::new(), has: large().len() }.start();
    let node = bench.node.clone();
    actix_rt::spawn(async move { node.export("binaries", Exports::new().accept::<ReadBinary, _>(&back)) });
    assert_eq!(std::fs::read(fetching.await.unwrap().path).unwrap(), large());
    bench.node.shut_down();
}

#[actix_rt::test]
async fn a_master_that_does_not_answer_is_given_up() {
    let bench = bench(large(), vec![1], large().len()).await;
    let fetcher = Fetcher { limits: FetchLimits { stall: Duration::ZERO, ..LIMITS }, ..bench.fetcher.clone() };
    let error = fetcher.fetch(&binary(&large(), None)).await.unwrap_err().to_string();
    assert!(error.contains("from the master: no reply within"), "{error}");
    bench.node.shut_down();
}

#[actix_rt::test]
async fn what_the_master_lacks_cuts_short_or_has_otherwise_is_refused_and_leaves_nothing() {
    let bench = bench(large(), Vec::new(), RANGE_BYTES_MAX + 7).await;
    let short = bench.fetcher.fetch(&binary(&large(), None)).await.unwrap_err().to_string();
    assert!(short.contains(&format!("it ends after {} of {} bytes", RANGE_BYTES_MAX + 7, large().len())), "{short}");
    let files = std::fs::read_dir(bench.root.path().join("binaries")).unwrap().count();
    assert_eq!(files, 0);
    bench.node.shut_down();
}

#[actix_rt::test]
async fn another_file_than_the_one_that_is_wanted_is_refused_with_both_digests() {
    let bench = bench(Vec::new(), Vec::new(), 0).await;
    let path = bench.root.path().join("there");
    std::fs::write(&path, "some bytes").unwrap();
    let uri = Some(format!("file://{}", path.display()));
    let fetched = bench.fetcher.fetch(&binary(b"some bytes", uri.clone())).await.unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), b"some bytes");
    let (found, wanted) = (binary(b"some bytes", None), binary(b"other bytes", uri));
    let error = bench.fetcher.fetch(&wanted).await.unwrap_err().to_string();
    assert!(error.contains(found.sha256.as_str()) && error.contains(wanted.sha256.as_str()), "{error}");
    for (uri, told) in
        [("file:///not/there", "No such file"), ("file:///dev", "no plain file"), ("ftp://h/x", "file:// or http://")]
    {
        let wanted = binary(b"other bytes", Some(uri.to_owned()));
        let error = bench.fetcher.fetch(&wanted).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert_eq!(bench.reads.get(), 0);
    bench.node.shut_down();
}

#[actix_rt::test]
async fn the_agents_own_binary_is_not_fetched_unless_it_was_replaced() {
    let bench = bench(b"own".to_vec(), Vec::new(), 3).await;
    let wanted = binary(b"own", None);
    assert_eq!(bench.fetcher.fetch(&wanted).await.unwrap().path, bench.root.path().join("own"));
    assert_eq!(bench.reads.get(), 0);
    std::fs::write(bench.root.path().join("own"), "newer").unwrap();
    bench.fetcher.fetch(&wanted).await.unwrap();
    assert_eq!(bench.reads.get(), 1);
    bench.node.shut_down();
}

#[actix_rt::test]
async fn what_was_spoilt_on_the_disk_is_fetched_anew() {
    let bench = bench(b"bytes".to_vec(), Vec::new(), 5).await;
    let wanted = binary(b"bytes", None);
    let path = bench.fetcher.fetch(&wanted).await.unwrap().path;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "spoilt").unwrap();
    assert_eq!(std::fs::read(bench.fetcher.fetch(&wanted).await.unwrap().path).unwrap(), b"bytes");
    assert_eq!(bench.reads.get(), 2);
    bench.node.shut_down();
}
