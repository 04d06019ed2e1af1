//! The transport on which both ends prove who they are: TLS 1.3 over another transport.
//!
//! Nothing of the fabric is read before the handshake is over. There is no way back to plain text.

use super::credentials::{Credentials, server_name};
use super::identity::PeerIdentity;
use super::wording::worded;
use crate::name::Endpoint;
use crate::transport::{Anywhere, Connection, End, Listener, Transport};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// What is read of a peer that was refused, in bytes: closed with something unread, it would not hear why.
const FAREWELL_BYTES_MAX: u64 = 64 * 1024;
/// How long a peer that was refused has to close the connection.
const FAREWELL_WAIT_MAX: Duration = Duration::from_secs(1);

/// TLS over another transport, with certificates at both ends.
pub struct Tls {
    credentials: Credentials,
    beneath: Arc<dyn Transport>,
}

impl Tls {
    /// Over TCP, between any hosts.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self::over(Arc::new(Anywhere), credentials)
    }

    /// Over another transport.
    #[must_use]
    pub fn over(beneath: Arc<dyn Transport>, credentials: Credentials) -> Self {
        Self { credentials, beneath }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("credentials", &self.credentials).field("beneath", &self.beneath).finish()
    }
}

impl Transport for Tls {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Connection>> {
        self.beneath.dial(endpoint)
    }

    fn listen<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        self.beneath.listen(endpoint)
    }

    fn identity(&self) -> PeerIdentity {
        self.credentials.identity().clone()
    }

    fn authenticate<'a>(
        &'a self,
        connection: Connection,
        end: End<'a>,
    ) -> BoxFuture<'a, io::Result<(Connection, PeerIdentity)>> {
        async move {
            let stream = match end {
                End::Dialled(endpoint) => self.connect(connection, endpoint).await,
                End::Accepted => self.accept(connection).await,
            };
            proven(stream.map_err(worded)?)
        }
        .boxed()
    }
}

impl Tls {
    async fn connect(&self, connection: Connection, endpoint: &Endpoint) -> io::Result<TlsStream<Connection>> {
        let connector = TlsConnector::from(Arc::clone(&self.credentials.client));
        let stream = connector.connect(server_name(endpoint)?, connection).await.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                let cause = "it was closed during the TLS handshake; maybe the other end does not speak TLS";
                io::Error::new(io::ErrorKind::PermissionDenied, cause)
            }
            _ => error,
        });
        Ok(stream?.into())
    }

    async fn accept(&self, connection: Connection) -> io::Result<TlsStream<Connection>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.credentials.server));
        match acceptor.accept(connection).into_fallible().await {
            Ok(stream) => Ok(stream.into()),
            Err((error, mut connection)) => {
                let farewell = async {
                    connection.shutdown().await?;
                    tokio::io::copy(&mut connection.take(FAREWELL_BYTES_MAX), &mut tokio::io::sink()).await
                };
                // That the peer is gone already makes no difference to it.
                let _ = tokio::time::timeout(FAREWELL_WAIT_MAX, farewell).await;
                Err(error)
            }
        }
    }
}

/// Who is at the other end of a handshake that has succeeded.
fn proven(stream: TlsStream<Connection>) -> io::Result<(Connection, PeerIdentity)> {
    let denied = |cause: String| io::Error::new(io::ErrorKind::PermissionDenied, cause);
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
    let certificate = certificate.ok_or_else(|| denied("the other end presents no certificate".into()))?;
    let identity = PeerIdentity::of_certificate(certificate);
    let identity = identity.map_err(|error| denied(format!("the certificate of the other end: {error}")))?;
    Ok((Box::new(Sealed(stream)), identity))
}

/// A TLS stream whose end is the end, said goodbye or not: frames have lengths, so a cut one is noticed.
struct Sealed(TlsStream<Connection>);

impl AsyncRead for Sealed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.0).poll_read(cx, buf) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(worded(error))),
            other => other,
        }
    }
}

impl AsyncWrite for Sealed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_endpoint_is_what_a_certificate_must_be_for() {
        let host = |text: &str| server_name(&text.into()).map(|name| name.to_str().into_owned()).ok();
        assert_eq!(host("node-7.example.com:5050").as_deref(), Some("node-7.example.com"));
        assert_eq!(host("10.0.0.1:5050").as_deref(), Some("10.0.0.1"));
        assert_eq!(host("[::1]:5050").as_deref(), Some("::1"));
        assert_eq!(host("a b:1"), None);
    }
}
