//! What the fabric needs from a network, and TCP as the usual one.
//!
//! A transport moves bytes, and says who is at the other end; frames, heartbeats and reconnects are the links' business.

use crate::name::Endpoint;
use crate::trust::PeerIdentity;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};

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
    /// Who this end is.
    fn identity(&self) -> PeerIdentity {
        PeerIdentity::unproven()
    }
    /// Finds out who is at the other end, before anything of the fabric is read; bounded by the caller. A transport that
    /// asks nobody for proof trusts whoever it reaches.
    ///
    /// An error of the kind [`PermissionDenied`](io::ErrorKind::PermissionDenied) says that one end does not trust the other.
    fn authenticate<'a>(
        &'a self,
        connection: Connection,
        _end: End<'a>,
    ) -> BoxFuture<'a, io::Result<(Connection, PeerIdentity)>> {
        async move { Ok((connection, PeerIdentity::unproven())) }.boxed()
    }
}

/// Which end of a connection this is.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    /// It has dialled this endpoint.
    Dialled(&'a Endpoint),
    /// It has listened.
    Accepted,
}

/// A place where connections arrive.
pub trait Listener: Send + 'static {
    /// Where it listens in fact; a port 0 is resolved.
    fn endpoint(&self) -> Endpoint;
    /// Waits for the next connection.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>>;
}

/// TCP within this host, in plain text: whoever has no credentials neither listens nor dials beyond the loopback address,
/// because what comes from there may have been said by anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Transport for Tcp {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        async move {
            let addresses = addresses(endpoint).await?;
            if let Some(address) = beyond(&addresses) {
                return Err(unprotected(format!(
                    "{address} is beyond this host, and there are no credentials to dial it with"
                )));
            }
            prompt(TcpStream::connect(&addresses[..]).await?)
        }
        .boxed()
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        async move {
            if let Some(address) = beyond(&addresses(endpoint).await?) {
                return Err(unprotected(format!("{address} is open beyond this host, and there are no credentials")));
            }
            Anywhere.listen(endpoint).await
        }
        .boxed()
    }
}

async fn addresses(endpoint: &Endpoint) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(endpoint.as_str()).await?.collect())
}

fn beyond(addresses: &[SocketAddr]) -> Option<&SocketAddr> {
    addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
}

fn unprotected(cause: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, cause)
}

/// TCP without delay of small writes, between any hosts; for what lies above it and knows who is who.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anywhere;

impl Transport for Anywhere {
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
