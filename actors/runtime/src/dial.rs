//! How a link begins: dial or accept, greet, then run until it ends.
//!
//! Who is at the other end is found out before the first frame is read; then the dialler greets first, and both check magic
//! and version.

use crate::fabric::{Fabric, LinkKey, Side};
use crate::frame::{self, FrameError, Hello};
use crate::link::{EndCause, Link};
use crate::name::Endpoint;
use crate::session::{self, Framed};
use crate::transport::{Connection, End, Listener};
use crate::trust::{PeerIdentity, PeerRoles};
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
    #[error("it calls itself {claimed}, which its certificate for {certified} does not let it")]
    OtherName { claimed: String, certified: String },
    #[error("the other end speaks TLS, and this node has no credentials")]
    SpeaksTls,
}

impl HandshakeError {
    /// Whether one end does not trust the other.
    fn is_distrust(&self) -> bool {
        match self {
            // One of the system's own, as of a firewall, has nothing within.
            Self::Io(error) => error.kind() == io::ErrorKind::PermissionDenied && error.get_ref().is_some(),
            Self::OtherName { .. } | Self::SpeaksTls => true,
            Self::Frame(_) | Self::Closed | Self::Own | Self::SameIdentity => false,
        }
    }
}

impl From<HandshakeError> for EndCause {
    fn from(error: HandshakeError) -> Self {
        Self { text: error.to_string(), is_distrust: error.is_distrust() }
    }
}

/// The other end of a connection, once it has proved who it is and greeted.
struct Greeted {
    hello: Hello,
    /// What the node may act as.
    roles: PeerRoles,
    framed: Framed,
}

/// Tells the fabric that a link has ended, even if its task panics or is dropped with its runtime.
struct Ending {
    fabric: Arc<Fabric>,
    link: Arc<Link>,
    key: Option<LinkKey>,
    endpoint: Option<Endpoint>,
    /// Set when the link has come to an end of its own.
    cause: Option<EndCause>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let cut_short = || if std::thread::panicking() { "the link task panicked" } else { "the process ends" };
        let cause = self.cause.take().unwrap_or_else(|| cut_short().into());
        self.fabric.on_end(self.key.as_ref(), &self.link, self.endpoint.as_ref(), &cause);
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
        () = link.closed.cancelled() => Err("closed by this node".into()),
        never = link.keep_time() => never,
        opened = timeout(limit, open(&fabric, &endpoint)) => match opened {
            Ok(opened) => opened.map_err(EndCause::from),
            Err(_) => Err(EndCause::from(format!("no answer within {} ms", limit.as_millis()))),
        },
    };
    match opened {
        Err(cause) => {
            if cause.is_distrust {
                note_distrust(&fabric, &endpoint.to_string(), &cause.text);
            }
            ending.cause = Some(cause);
        }
        Ok(Greeted { hello: Hello { node, build, .. }, roles, framed }) => {
            let up = Up { key: (node, Side::Dialled, line_of(&endpoint)), build, roles, framed };
            ending.cause = Some(run_link(&fabric, &link, &mut ending.key, Some(&endpoint), up).await);
        }
    }
}

fn note_distrust(fabric: &Fabric, peer: &str, cause: &str) {
    fabric.counters.peers_distrusted.fetch_add(1, Ordering::Relaxed);
    warn!(peer, cause, "there is no trust between this node and a peer");
}

async fn open(fabric: &Fabric, endpoint: &Endpoint) -> Result<Greeted, HandshakeError> {
    let connection = fabric.transport.dial(endpoint).await?;
    let (connection, identity) = fabric.transport.authenticate(connection, End::Dialled(endpoint)).await?;
    let mut framed = Framed::new(connection, frame::HELLO_BYTES_MAX);
    framed.send(&hello(fabric, line_of(endpoint))).await?;
    let hello = read_hello(&mut framed, &identity).await?;
    if hello.node == fabric.id {
        fabric.on_own_endpoint(endpoint);
        return Err(HandshakeError::Own);
    }
    framed.read.set_frame_bytes_max(fabric.limits.frame_bytes_max);
    Ok(Greeted { hello, roles: identity.roles(), framed })
}

/// Two endpoints of one node are two lines: links over them do not replace each other.
fn line_of(endpoint: &Endpoint) -> u32 {
    crc32fast::hash(endpoint.as_str().as_bytes())
}

fn hello(fabric: &Fabric, line: u32) -> Vec<u8> {
    frame::encode_hello(frame::PROTOCOL_VERSION, &fabric.id, line, &fabric.build)
}

/// Reads a greeting; who it comes from is known by now, and what it says must agree with that.
async fn read_hello(framed: &mut Framed, identity: &PeerIdentity) -> Result<Hello, HandshakeError> {
    let next = framed.read.next().await;
    if framed.read.begins_with_tls() {
        return Err(HandshakeError::SpeaksTls);
    }
    let bytes = next?.ok_or(HandshakeError::Closed)?;
    let hello = frame::decode_hello(&bytes)?;
    if !identity.may_be(&hello.node) {
        let certified = identity.name().unwrap_or_default().to_owned();
        return Err(HandshakeError::OtherName { claimed: hello.node.name, certified });
    }
    Ok(hello)
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
        Ok(Ok(greeted)) => return run_accepted(&fabric, greeted).await,
        Ok(Err(error)) if error.is_distrust() => return note_distrust(&fabric, "a dialler", &error.to_string()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no greeting in time".to_owned(),
    };
    fabric.counters.greetings_refused.fetch_add(1, Ordering::Relaxed);
    warn!(cause = refused, "refused a connection");
}

async fn run_accepted(fabric: &Arc<Fabric>, greeted: Greeted) {
    let Greeted { hello: Hello { node, line, build }, roles, framed } = greeted;
    let link = fabric.new_link(node.to_string());
    let mut ending =
        Ending { fabric: Arc::clone(fabric), link: Arc::clone(&link), key: None, endpoint: None, cause: None };
    let up = Up { key: (node, Side::Accepted, line), build, roles, framed };
    ending.cause = Some(run_link(fabric, &link, &mut ending.key, None, up).await);
}

/// What a link that comes up is known by.
struct Up {
    key: LinkKey,
    build: String,
    roles: PeerRoles,
    framed: Framed,
}

async fn run_link(
    fabric: &Arc<Fabric>,
    link: &Arc<Link>,
    registered: &mut Option<LinkKey>,
    endpoint: Option<&Endpoint>,
    up: Up,
) -> EndCause {
    let Up { key, build, roles, framed } = up;
    fabric.on_up(key.clone(), link, endpoint);
    *registered = Some(key.clone());
    session::run(fabric, link, &key.0, session::Other { build, roles }, framed).await.into()
}

/// Answers even a greeting of another version, so that the other side can name both.
async fn greet(fabric: &Fabric, connection: Connection) -> Result<Greeted, HandshakeError> {
    if !fabric.has_room() {
        return Err(HandshakeError::Io(io::Error::other("this node has too many links")));
    }
    let (connection, identity) = fabric.transport.authenticate(connection, End::Accepted).await?;
    let mut framed = Framed::new(connection, frame::HELLO_BYTES_MAX);
    let theirs = read_hello(&mut framed, &identity).await;
    if matches!(theirs, Ok(_) | Err(HandshakeError::Frame(FrameError::Version { .. } | FrameError::Hello(_)))) {
        framed.send(&hello(fabric, 0)).await?;
    }
    let theirs = theirs?;
    if theirs.node == fabric.id {
        return Err(HandshakeError::SameIdentity);
    }
    framed.read.set_frame_bytes_max(fabric.limits.frame_bytes_max);
    Ok(Greeted { hello: theirs, roles: identity.roles(), framed })
}
