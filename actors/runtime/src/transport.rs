//! What the fabric needs from a network, and TCP as the usual one.
//!
//! A transport moves bytes; frames, heartbeats and reconnects are the links' business.

use crate::name::Endpoint;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::fmt::Debug;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// An open connection.
pub type Connection = Box<dyn Stream>;

/// Dials and listens.
pub trait Transport: Debug + Send + Sync + 'static {
    /// Opens a connection.
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>>;
    /// Starts to listen.
    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;
}

/// A place where connections arrive.
pub trait Listener: Send + 'static {
    /// Where it listens in fact; a port 0 is resolved.
    fn endpoint(&self) -> Endpoint;
    /// Waits for the next connection.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;
}

/// TCP without delay of small writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        async move { prompt(TcpStream::connect(endpoint.as_str()).await?) }.boxed()
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        async move {
            let listener = TcpListener::bind(endpoint.as_str()).await?;
            let endpoint = Endpoint(listener.local_addr()?.to_string());
            Ok(Box::new(TcpPort { listener, endpoint }) as Box<dyn Listener>)
        }
        .boxed()
    }
}

fn prompt(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

struct TcpPort {
    listener: TcpListener,
    endpoint: Endpoint,
}

impl Listener for TcpPort {
    fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        async move { prompt(self.listener.accept().await?.0) }.boxed()
    }
}
