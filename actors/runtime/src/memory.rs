//! A network in memory whose cables can be cut: for tests on a paused clock.
//!
//! It keeps the order of bytes, as TCP does; it does not delay, reorder or drop single bytes.

use crate::backoff::Seeded;
use crate::fabric::lock;
use crate::name::Endpoint;
use crate::transport::{Connection, Listener, Transport};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// What the two buffers of a connection hold, in bytes.
const PIPE_BYTES: usize = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: usize = 128;

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
    ends: Vec<Arc<End>>,
}

/// What the network can do to one end of a connection.
struct End {
    host: String,
    other: String,
    broken: AtomicBool,
    reader: AtomicWaker,
}

impl InMemoryNetwork {
    /// An empty network; the seed decides how streams are cut into reads.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state =
            State { random: Seeded::new(seed), listeners: BTreeMap::new(), cut: BTreeSet::new(), ends: Vec::new() };
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
            reader: AtomicWaker::new(),
        });
        let mut state = lock(&self.state);
        // An end that only this table knows belongs to a stream that is gone.
        state.ends.retain(|end| Arc::strong_count(end) > 1);
        state.ends.push(Arc::clone(&end));
        drop(state);
        Box::new(MemoryStream { pipe, end, network: self.clone() })
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

struct MemoryStream {
    pipe: DuplexStream,
    end: Arc<End>,
    network: InMemoryNetwork,
}

impl MemoryStream {
    fn check(&self) -> io::Result<()> {
        if self.end.broken.load(Ordering::Relaxed) { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl MemoryStream {
    /// While nothing comes back, the other end's close does not either: bytes just go nowhere.
    fn hide_close<T>(&self, polled: Poll<io::Result<T>>, gone: T) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(Err(_)) if self.network.is_cut(&self.end.other, &self.end.host) => Poll::Ready(Ok(gone)),
            polled => polled,
        }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.end.reader.register(cx.waker());
        self.check()?;
        if self.network.is_cut(&self.end.other, &self.end.host) {
            return Poll::Pending;
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
