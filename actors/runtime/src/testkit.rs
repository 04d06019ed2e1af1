//! What tests of roles need: nodes on a network in memory, and one actor seen from near and from far.
//!
//! Always compiled, so that other crates' tests can use it; it is of no use in production.

use crate::exports::Exports;
use crate::limits::FabricLimits;
use crate::memory::InMemoryNetwork;
use crate::name::{ActorName, Endpoint};
use crate::node::Node;
use crate::peer::Peer;
use crate::transport::Transport;
use crate::trust::{Authority, CredentialFiles, Credentials, PeerRoles, Request, Validity};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

pub use crate::stranger::hear;

/// Two nodes on a network in memory: `home` listens, `away` dials.
#[derive(Debug)]
pub struct TwoNodes {
    /// The network; the hosts are named `home` and `away`.
    pub network: InMemoryNetwork,
    /// The node that listens at [`TwoNodes::HOME`].
    pub home: Node,
    /// The other node.
    pub away: Node,
}

impl TwoNodes {
    /// Where `home` listens.
    pub const HOME: &str = "home:1";

    /// Starts both with the default limits.
    pub async fn start(seed: u64) -> Self {
        Self::start_with(seed, FabricLimits::DEFAULT).await
    }

    /// Starts both with other limits.
    pub async fn start_with(seed: u64, limits: FabricLimits) -> Self {
        let network = InMemoryNetwork::new(seed);
        let home = node_on(&network, "home", 1, limits.clone()).await;
        home.listen(Self::HOME).await.expect("a new network has room");
        let away = node_on(&network, "away", 2, limits).await;
        Self { network, home, away }
    }

    /// An actor of `home`, seen from there and from `away`.
    pub fn peers<I>(&self, actor: impl Into<ActorName>) -> [Peer<I>; 2] {
        let actor = actor.into();
        let far = self.away.peer_at(&Endpoint::new(Self::HOME), actor.clone());
        [self.home.peer(actor), far]
    }
}

/// Starts a node on a network in memory, with its name as its host.
///
/// # Panics
/// If the name or a limit is not valid: the test is wrong then.
pub async fn node_on(network: &InMemoryNetwork, name: &str, incarnation: u64, limits: FabricLimits) -> Node {
    node_over(network.host(name), name, incarnation, limits).await
}

/// As [`node_on`], over another transport.
///
/// # Panics
/// As [`node_on`].
pub async fn node_over(transport: Arc<dyn Transport>, name: &str, incarnation: u64, limits: FabricLimits) -> Node {
    let builder = Node::builder(name).incarnation(incarnation).transport(transport).limits(limits);
    builder.start().await.expect("the test names a valid node")
}

/// The authority of all certificates that tests issue in this process.
///
/// # Panics
/// If the system gives no randomness.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new(today()).expect("the system has randomness"))
}

/// Valid now, for a day.
#[must_use]
pub fn today() -> Validity {
    Validity::days(SystemTime::now(), 1)
}

/// Credentials of the [`authority`] of tests, for these hosts.
///
/// # Panics
/// If a name or a host cannot stand in a certificate.
#[must_use]
pub fn credentials(name: &str, roles: PeerRoles, hosts: &[&str]) -> Credentials {
    let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    credentials_of(authority(), &Request { name: name.to_owned(), roles, hosts, validity: today() })
}

/// As [`credentials`], of any authority and with anything in them that a node takes for its own.
///
/// # Panics
/// As [`credentials`], and if the certificate is not valid now.
#[must_use]
pub fn credentials_of(authority: &Authority, request: &Request) -> Credentials {
    let issued = authority.issue(request).expect("the test asks for a valid certificate");
    let files = CredentialFiles { ca: "ca.pem".into(), cert: "cert.pem".into(), key: "key.pem".into() };
    let ca = authority.cert_pem().as_bytes();
    let credentials = Credentials::from_pem(&files, ca, issued.cert_pem.as_bytes(), issued.key_pem.as_bytes());
    credentials.expect("what was just issued is good")
}

/// The same actor from near and from far: run the same test body over both.
///
/// The nodes live as long as the peers.
pub async fn near_and_far<I>(exports: Exports) -> [Peer<I>; 2] {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", exports);
    nodes.peers("actor")
}
