//! Records when bytes arrive on a link between two processes: what the tests of the failure detector are made from.
//!
//! It judges nothing, so it is no part of a run of the tests. `src/failure_detector_test.rs` says what holds for the records.

use crate::probe::{Blob, Echo, Probe, ProbeApi};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use odeon_runtime::transport::{Connection, Listener, Tcp, Transport};
use odeon_runtime::{Endpoint, Node, Peer};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

/// Tells this binary that it is the other end.
const OTHER_END: &str = "ODEON_TEST_OTHER_END";
/// Arrivals closer to the one before are left out: they are of no use to the detector, and there are many.
const APART_MIN: Duration = Duration::from_millis(1);
const BLOB_BYTES: u64 = 1 << 20;

/// TCP whose dialled connections note when bytes are read.
#[derive(Debug, Clone, Default)]
struct Noting(Arc<Mutex<Vec<Instant>>>);

impl Transport for Noting {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        let noting = self.clone();
        async move { Ok(Box::new(Noted { stream: Tcp.dial(endpoint).await?, noting }) as Connection) }.boxed()
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Tcp.listen(endpoint)
    }
}

struct Noted {
    stream: Connection,
    noting: Noting,
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() > before {
            self.noting.0.lock().unwrap().push(Instant::now());
        }
        polled
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The other end: listens until it is killed.
#[actix_rt::test]
#[ignore = "the recorder starts it as a process of its own"]
async fn the_other_end() {
    if std::env::var_os(OTHER_END).is_none() {
        return;
    }
    let node = Node::builder("other").incarnation(1).start().await.unwrap();
    node.export("actor", Probe::exported());
    println!("\nlistens at {}", node.listen("127.0.0.1:0").await.unwrap().as_str());
    std::future::pending().await
}

/// A child that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Killed {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap().success());
    }
}

/// A link to another process, and when bytes arrived on it.
struct Recorded {
    other: Killed,
    far: Peer<ProbeApi>,
    noting: Noting,
    _node: Node,
}

impl Recorded {
    async fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "delays::the_other_end", "--ignored", "--nocapture"]).env(OTHER_END, "1");
        let mut other = Killed::start(command.stdout(Stdio::piped()));
        let lines = BufReader::new(other.0.stdout.take().unwrap()).lines();
        let endpoint = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("listens at ")?.to_owned()));
        let noting = Noting::default();
        let builder = Node::builder("own").incarnation(2).transport(Arc::new(noting.clone()));
        let node = builder.start().await.unwrap();
        let far = node.peer_at(&Endpoint::new(endpoint.unwrap()), "actor");
        far.send(Echo("first".into())).await.unwrap();
        Self { other, far, noting, _node: node }
    }

    /// Writes what lay between the arrivals, in microseconds.
    fn write(self, name: &str, what: &str) {
        let mut text = format!("# {what}\n# Microseconds between two arrivals, those below 1,000 left out.\n");
        let arrivals = self.noting.0.lock().unwrap();
        let mut last = arrivals[0];
        for at in arrivals.iter().filter(|at| at.duration_since(arrivals[0]) > Duration::ZERO) {
            if at.duration_since(last) >= APART_MIN {
                writeln!(text, "{}", at.duration_since(last).as_micros()).unwrap();
                last = *at;
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/delays");
        std::fs::write(format!("{path}/{name}.txt"), text).unwrap();
    }
}

#[actix_rt::test]
#[ignore = "takes three minutes of an otherwise idle machine, and writes the fixtures anew"]
async fn record() {
    let idle = Recorded::start().await;
    sleep(Duration::from_secs(45)).await;
    idle.write("idle", "An idle link, 45 s.");

    let bulk = Recorded::start().await;
    let blobs = (0..4).map(|_| async {
        for _ in 0..256 {
            bulk.far.send_within(Blob(BLOB_BYTES), Duration::from_secs(60)).await.unwrap();
        }
    });
    futures_util::future::join_all(blobs).await;
    sleep(Duration::from_secs(5)).await;
    bulk.write("bulk", "1 GiB on the bulk lane in messages of 1 MiB, four at a time, then 5 s without.");

    let busy = Recorded::start().await;
    let load: Vec<Killed> =
        (0..16).map(|_| Killed::start(Command::new("sh").args(["-c", "while :; do :; done"]))).collect();
    sleep(Duration::from_secs(45)).await;
    drop(load);
    busy.write("busy", "An idle link, 45 s, while 16 processes compute on two processors.");

    let stopped = Recorded::start().await;
    for _ in 0..4 {
        sleep(Duration::from_millis(7_300)).await;
        stopped.other.signal("-STOP");
        sleep(Duration::from_secs(3)).await;
        stopped.other.signal("-CONT");
    }
    sleep(Duration::from_secs(5)).await;
    stopped.write("stopped", "An idle link whose other end is stopped for 3 s, four times, 7.3 s apart.");
}
