//! A network in memory whose cables can be cut, slowed down or forgotten: for tests on a paused clock.
//!
//! It keeps the order of bytes within a connection, as TCP does; what is on the way when a connection breaks is lost.

use crate::backoff::Seeded;
use crate::fabric::lock;
use crate::name::Endpoint;
use crate::transport::{Connection, Listener, Transport};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

/// What the two buffers of a connection hold, in bytes.
const PIPE_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: usize = 128;
/// Bytes that travel on a cable which takes time; what is beyond waits in the buffer of the connection.
const TRAVELLING_BYTES_MAX: usize = 16 * 1024;
/// Bytes that set out together on such a cable.
const CHUNK_BYTES: usize = 4 * 1024;

/// A network of named hosts; clones are the same network.
#[derive(Clone)]
pub struct InMemoryNetwork {
    state: Arc<Mutex<State>>,
}

struct State {
    random: Seeded,
    listeners: BTreeMap<Endpoint, (String, mpsc::Sender<Connection>)>,
    /// From one host to another.
    cut: BTreeSet<(String, String)>,
    /// From one host to another, if bytes take time.
    paces: BTreeMap<(String, String), Pace>,
    ends: Vec<Arc<End>>,
}

/// How long bytes are on the way.
#[derive(Debug, Clone, Copy)]
struct Pace {
    delay_max: Duration,
    bytes_per_ms: u32,
}

/// What the network can do to one end of a connection.
struct End {
    host: String,
    other: String,
    broken: AtomicBool,
    /// The other end is gone and nothing says so.
    forgotten: AtomicBool,
    reader: AtomicWaker,
}

impl InMemoryNetwork {
    /// An empty network; the seed decides how streams are cut into reads.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: Seeded::new(seed),
            listeners: BTreeMap::new(),
            cut: BTreeSet::new(),
            paces: BTreeMap::new(),
            ends: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The network as one host sees it. Any text is an endpoint; it belongs to the host that listens.
    pub fn host(&self, name: impl Into<String>) -> Arc<dyn Transport> {
        Arc::new(Host { network: self.clone(), name: name.into() })
    }

    /// Stops all bytes between two hosts, silently: neither end is told, dials hang.
    pub fn cut(&self, a: &str, b: &str) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Stops all bytes from one host to another, silently.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        lock(&self.state).cut.insert((from.to_owned(), to.to_owned()));
    }

    /// Lets bytes flow again; those held back arrive first.
    pub fn heal(&self, a: &str, b: &str) {
        let mut state = lock(&self.state);
        state.cut.remove(&(a.to_owned(), b.to_owned()));
        state.cut.remove(&(b.to_owned(), a.to_owned()));
        state.ends.iter().for_each(|end| end.reader.wake());
    }

    /// Breaks all connections between two hosts; both ends are told.
    pub fn reset(&self, a: &str, b: &str) {
        for end in &lock(&self.state).ends {
            let (host, other) = (end.host.as_str(), end.other.as_str());
            if (host, other) == (a, b) || (host, other) == (b, a) {
                end.broken.store(true, Ordering::Relaxed);
                end.reader.wake();
            }
        }
    }

    /// Breaks all connections between two hosts at the end of `told` alone: the other end hears no more and is not told,
    /// as if `told` had lost its power, and what it sends goes nowhere.
    pub fn forget(&self, told: &str, other: &str) {
        for end in &lock(&self.state).ends {
            match (end.host.as_str(), end.other.as_str()) {
                (host, far) if (host, far) == (told, other) => end.broken.store(true, Ordering::Relaxed),
                (host, far) if (host, far) == (other, told) => end.forgotten.store(true, Ordering::Relaxed),
                _ => continue,
            }
            end.reader.wake();
        }
    }

    /// From now on bytes from one host to another are on the way for up to `delay_max`, and no more than `bytes_per_ms` of
    /// a connection arrive in a millisecond; at least one does.
    pub fn slow(&self, from: &str, to: &str, delay_max: Duration, bytes_per_ms: u32) {
        let pace = Pace { delay_max, bytes_per_ms: bytes_per_ms.max(1) };
        lock(&self.state).paces.insert((from.to_owned(), to.to_owned()), pace);
    }

    /// Bytes from one host to another take no time from now on; those on the way still do.
    pub fn quicken(&self, from: &str, to: &str) {
        lock(&self.state).paces.remove(&(from.to_owned(), to.to_owned()));
    }

    fn pace(&self, from: &str, to: &str) -> Option<Pace> {
        let state = lock(&self.state);
        // Most networks have no slow cable: then no names are made to look one up.
        if state.paces.is_empty() { None } else { state.paces.get(&(from.to_owned(), to.to_owned())).copied() }
    }

    fn is_cut(&self, from: &str, to: &str) -> bool {
        lock(&self.state).cut.contains(&(from.to_owned(), to.to_owned()))
    }

    fn connect(&self, from: &str, to: &str) -> (Connection, Connection) {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        (self.end(near, from, to), self.end(far, to, from))
    }

    fn end(&self, pipe: DuplexStream, host: &str, other: &str) -> Connection {
        let end = Arc::new(End {
            host: host.to_owned(),
            other: other.to_owned(),
            broken: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        });
        let mut state = lock(&self.state);
        // An end that only this table knows belongs to a stream that is gone.
        state.ends.retain(|end| Arc::strong_count(end) > 1);
        state.ends.push(Arc::clone(&end));
        drop(state);
        Box::new(MemoryStream { pipe, end, network: self.clone(), travelling: Travelling::default() })
    }
}

impl fmt::Debug for InMemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("InMemoryNetwork")
            .field("endpoints", &state.listeners.keys())
            .field("cut", &state.cut)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Host {
    network: InMemoryNetwork,
    name: String,
}

impl Transport for Host {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let (host, listener) = lock(&self.network.state).listeners.get(endpoint).cloned().ok_or_else(refused)?;
            if self.network.is_cut(&self.name, &host) || self.network.is_cut(&host, &self.name) {
                std::future::pending::<()>().await;
            }
            let (near, far) = self.network.connect(&self.name, &host);
            listener.send(far).await.map_err(|_| refused())?;
            Ok(near)
        }
        .boxed()
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        async move {
            let (sender, arriving) = mpsc::channel(BACKLOG);
            let mut state = lock(&self.network.state);
            if state.listeners.get(endpoint).is_some_and(|(_, listener)| !listener.is_closed()) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            state.listeners.insert(endpoint.clone(), (self.name.clone(), sender));
            Ok(Box::new(Port { endpoint: endpoint.clone(), arriving }) as Box<dyn Listener>)
        }
        .boxed()
    }
}

struct Port {
    endpoint: Endpoint,
    arriving: mpsc::Receiver<Connection>,
}

impl Listener for Port {
    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        async move { self.arriving.recv().await.ok_or_else(|| io::ErrorKind::BrokenPipe.into()) }.boxed()
    }
}

/// What has left the other end and is not here yet.
#[derive(Default)]
struct Travelling {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// When the last of them is here.
    last: Option<Instant>,
    /// Whether the other end has closed behind them.
    is_over: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Travelling {
    fn is_empty(&self) -> bool {
        self.chunks.is_empty() && !self.is_over
    }

    fn set_out(&mut self, bytes: &[u8], pace: Option<Pace>, draw: u64) {
        let now = Instant::now();
        let on_the_way = pace.map_or(Duration::ZERO, |Pace { delay_max, .. }| {
            let micros = u64::try_from(delay_max.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
            Duration::from_micros(draw % micros)
        });
        let spread = pace.map_or(Duration::ZERO, |Pace { bytes_per_ms, .. }| {
            Duration::from_micros(bytes.len() as u64 * 1000 / u64::from(bytes_per_ms))
        });
        let due = self.last.map_or(now + on_the_way, |last| last.max(now + on_the_way)) + spread;
        self.last = Some(due);
        self.bytes += bytes.len();
        self.chunks.push_back((due, bytes.to_vec()));
    }

    /// Hands on what is here by now.
    fn poll_arrived(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some((due, bytes)) = self.chunks.front_mut() else {
                return if self.is_over { Poll::Ready(Ok(())) } else { Poll::Pending };
            };
            if *due <= Instant::now() {
                let count = bytes.len().min(buf.remaining());
                buf.put_slice(&bytes[..count]);
                bytes.drain(..count);
                self.bytes -= count;
                if bytes.is_empty() {
                    self.chunks.pop_front();
                }
                return Poll::Ready(Ok(()));
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*due)));
            timer.as_mut().reset(*due);
            if timer.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

struct MemoryStream {
    pipe: DuplexStream,
    end: Arc<End>,
    network: InMemoryNetwork,
    travelling: Travelling,
}

impl MemoryStream {
    fn check(&self) -> io::Result<()> {
        if self.end.broken.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }

    fn is_forgotten(&self) -> bool {
        self.end.forgotten.load(Ordering::Relaxed)
    }

    /// While nothing comes back, the other end's close does not either: bytes just go nowhere.
    fn hide_close<T>(&self, polled: Poll<io::Result<T>>, gone: T) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(_)) if self.is_forgotten() || self.network.is_cut(&self.end.other, &self.end.host) => {
                Poll::Ready(Ok(gone))
            }
            polled => polled,
        }
    }

    /// Lets set out what waits in the pipe, as much as the cable takes at once.
    fn set_out(&mut self, cx: &mut Context<'_>, pace: Option<Pace>) {
        let mut chunk = [0; CHUNK_BYTES];
        while !self.travelling.is_over && self.travelling.bytes < TRAVELLING_BYTES_MAX {
            let mut part = ReadBuf::new(&mut chunk);
            // The pipe ends with its other end, and has no other failure.
            let Poll::Ready(_) = Pin::new(&mut self.pipe).poll_read(cx, &mut part) else { return };
            if part.filled().is_empty() {
                self.travelling.is_over = true;
            } else {
                let draw = lock(&self.network.state).random.next();
                self.travelling.set_out(part.filled(), pace, draw);
            }
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.end.reader.register(cx.waker());
        self.check()?;
        if self.is_forgotten() || self.network.is_cut(&self.end.other, &self.end.host) {
            return Poll::Pending;
        }
        let pace = self.network.pace(&self.end.other, &self.end.host);
        if pace.is_some() || !self.travelling.is_empty() {
            self.set_out(cx, pace);
            return self.travelling.poll_arrived(cx, buf);
        }
        let draw = lock(&self.network.state).random.next();
        if !draw.is_multiple_of(8) {
            return Pin::new(&mut self.pipe).poll_read(cx, buf);
        }
        // Now and then only a few bytes arrive, as on a real network.
        let mut few = [0; 16];
        let room = buf.remaining().min(1 + (draw as usize >> 8) % few.len());
        let mut part = ReadBuf::new(&mut few[..room]);
        let polled = Pin::new(&mut self.pipe).poll_read(cx, &mut part);
        buf.put_slice(part.filled());
        polled
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        if self.is_forgotten() {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.pipe).poll_write(cx, buf);
        self.hide_close(polled, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = Pin::new(&mut self.pipe).poll_write_vectored(cx, bufs);
        self.hide_close(polled, bufs.iter().map(|buf| buf.len()).sum())
    }

    fn is_write_vectored(&self) -> bool {
        self.pipe.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let polled = Pin::new(&mut self.pipe).poll_flush(cx);
        self.hide_close(polled, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
