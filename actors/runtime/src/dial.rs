//! How a link begins: dial or accept, greet, then run until it ends.
//!
//! The dialler greets first; both check magic and version before anything else is read.

use crate::fabric::{Fabric, LinkKey, Side};
use crate::frame::{self, FrameError};
use crate::link::Link;
use crate::name::{Endpoint, NodeId};
use crate::session::{self, Framed};
use crate::transport::{Connection, Listener};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::timeout;
use tracing::warn;

/// Why no link came up.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("closed during the handshake")]
    Closed,
    #[error("the endpoint is this node itself")]
    Own,
    #[error("it claims to be this node")]
    SameIdentity,
}

/// Tells the fabric that a link has ended, even if its task panics or is dropped with its runtime.
struct Ending {
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    key: Option<LinkKey>,
    endpoint: Option<Endpoint>,
    /// Set when the link has come to an end of its own.
    cause: Option<String>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let cut_short = || if std::thread::panicking() { "the link task panicked" } else { "the process ends" };
        let cause = self.cause.as_deref().unwrap_or_else(cut_short);
        self.fabric.on_end(self.key.as_ref(), &self.link, self.endpoint.as_ref(), cause);
    }
}

/// Dials an endpoint and runs the link.
pub(crate) async fn dial(fabric: Arc<Fabric>, link: Arc<Link>, endpoint: Endpoint) {
    let mut ending = Ending {
        fabric: Arc::clone(&fabric),
        link: Arc::clone(&link),
        key: None,
        endpoint: Some(endpoint.clone()),
        cause: None,
    };
    let limit = fabric.limits.dial_timeout;
    let opened = tokio::select! {
        biased;
        () = link.close.cancelled() => Err("closed by this node".to_owned()),
        opened = timeout(limit, open(&fabric, &endpoint)) => match opened {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} ms", limit.as_millis())),
        },
    };
    match opened {
        Err(cause) => ending.cause = Some(cause),
        Ok((node, framed)) => {
            let key = (node, Side::Dialled, line_of(&endpoint));
            ending.cause = Some(run_link(&fabric, &link, &mut ending.key, key, Some(&endpoint), framed).await);
        }
    }
}

async fn open(fabric: &Fabric, endpoint: &Endpoint) -> Result<(NodeId, Framed), HandshakeError> {
    let connection = fabric.transport.dial(endpoint).await?;
    let mut framed = Framed::new(connection, frame::HELLO_BYTES_MAX);
    framed.send(&hello(fabric, line_of(endpoint))).await?;
    let (node, _) = read_hello(&mut framed).await?;
    if node == fabric.id {
        fabric.on_own_endpoint(endpoint);
        return Err(HandshakeError::Own);
    }
    framed.read.set_frame_bytes_max(fabric.limits.frame_bytes_max);
    Ok((node, framed))
}

/// Two endpoints of one node are two lines: links over them do not replace each other.
fn line_of(endpoint: &Endpoint) -> u32 {
    crc32fast::hash(endpoint.as_str().as_bytes())
}

fn hello(fabric: &Fabric, line: u32) -> Vec<u8> {
    frame::encode_hello(frame::PROTOCOL_VERSION, &fabric.id, line)
}

async fn read_hello(framed: &mut Framed) -> Result<(NodeId, u32), HandshakeError> {
    let bytes = framed.read.next().await?.ok_or(HandshakeError::Closed)?;
    Ok(frame::decode_hello(&bytes)?)
}

/// Takes in connections until the node stops.
pub(crate) async fn accept_all(fabric: Arc<Fabric>, mut listener: Box<dyn Listener>) {
    loop {
        let permit = Arc::clone(&fabric.handshakes).acquire_owned().await.expect("the semaphore is never closed");
        let accepted = tokio::select! {
            biased;
            () = fabric.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => {
                tokio::spawn(accept(Arc::clone(&fabric), connection, permit));
            }
            Err(error) => {
                // Usually no file descriptors are left: waiting a little lets some be closed.
                warn!(endpoint = %listener.endpoint(), %error, "cannot accept a connection");
                tokio::time::sleep(fabric.limits.backoff_min).await;
            }
        }
    }
}

async fn accept(fabric: Arc<Fabric>, connection: Connection, permit: tokio::sync::OwnedSemaphorePermit) {
    let greeted = timeout(fabric.limits.dial_timeout, greet(&fabric, connection)).await;
    drop(permit);
    let refused = match greeted {
        Ok(Ok((node, line, framed))) => return run_accepted(&fabric, node, line, framed).await,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no greeting in time".to_owned(),
    };
    fabric.counters.greetings_refused.fetch_add(1, Ordering::Relaxed);
    warn!(cause = refused, "refused a connection");
}

async fn run_accepted(fabric: &Arc<Fabric>, node: NodeId, line: u32, framed: Framed) {
    let link = fabric.new_link(node.to_string());
    let mut ending =
        Ending { fabric: Arc::clone(fabric), link: Arc::clone(&link), key: None, endpoint: None, cause: None };
    let key = (node, Side::Accepted, line);
    ending.cause = Some(run_link(fabric, &link, &mut ending.key, key, None, framed).await);
}

async fn run_link(
    fabric: &Arc<Fabric>,
    link: &Arc<Link>,
    registered: &mut Option<LinkKey>,
    key: LinkKey,
    endpoint: Option<&Endpoint>,
    framed: Framed,
) -> String {
    fabric.on_up(key.clone(), link, endpoint);
    *registered = Some(key.clone());
    session::run(fabric, link, &key.0, framed).await
}

/// Answers even a greeting of another version, so that the other side can name both.
async fn greet(fabric: &Fabric, connection: Connection) -> Result<(NodeId, u32, Framed), HandshakeError> {
    if !fabric.has_room() {
        return Err(HandshakeError::Io(io::Error::other("this node has too many links")));
    }
    let mut framed = Framed::new(connection, frame::HELLO_BYTES_MAX);
    let theirs = read_hello(&mut framed).await;
    if !matches!(theirs, Err(HandshakeError::Frame(FrameError::Magic) | HandshakeError::Io(_) | HandshakeError::Closed))
    {
        framed.send(&hello(fabric, 0)).await?;
    }
    let (node, line) = theirs?;
    if node == fabric.id {
        return Err(HandshakeError::SameIdentity);
    }
    framed.read.set_frame_bytes_max(fabric.limits.frame_bytes_max);
    Ok((node, line, framed))
}
