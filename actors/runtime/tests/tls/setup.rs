//! Where bodies find their nodes that run over several transports: here over TLS on a network in memory.

use odeon_runtime::testkit::{authority, credentials, node_over};
use odeon_runtime::trust::{Authority, PeerRole, PeerRoles, Tls};
use odeon_runtime::{ActorName, Endpoint, Exports, FabricLimits, InMemoryNetwork, Node, Peer};
use std::sync::Arc;

/// As the nodes of the testkit, with certificates.
pub(crate) struct TwoNodes {
    pub(crate) network: InMemoryNetwork,
    pub(crate) home: Node,
    pub(crate) away: Node,
}

impl TwoNodes {
    pub(crate) const HOME: &str = odeon_runtime::testkit::TwoNodes::HOME;

    pub(crate) async fn start(seed: u64) -> Self {
        Self::start_with(seed, FabricLimits::DEFAULT).await
    }

    pub(crate) async fn start_with(seed: u64, limits: FabricLimits) -> Self {
        let network = InMemoryNetwork::new(seed);
        let home = node(&network, "home", 1, PeerRoles::of(&[PeerRole::Master]), limits.clone()).await;
        home.listen(Self::HOME).await.expect("a new network has room");
        let away = node(&network, "away", 2, PeerRoles::of(&[PeerRole::Client]), limits).await;
        Self { network, home, away }
    }

    pub(crate) fn peers<I>(&self, actor: impl Into<ActorName>) -> [Peer<I>; 2] {
        let actor = actor.into();
        let far = self.away.peer_at(&Endpoint::new(Self::HOME), actor.clone());
        [self.home.peer(actor), far]
    }
}

/// A node with its name as its host and as that of its certificate.
pub(crate) async fn node(
    network: &InMemoryNetwork,
    name: &str,
    incarnation: u64,
    roles: PeerRoles,
    limits: FabricLimits,
) -> Node {
    let tls = Tls::over(network.host(name), credentials(name, roles, &[name]));
    node_over(Arc::new(tls), name, incarnation, limits).await
}

pub(crate) async fn near_and_far<I>(exports: Exports) -> [Peer<I>; 2] {
    let nodes = TwoNodes::start(1).await;
    nodes.home.export("actor", exports);
    nodes.peers("actor")
}

/// The authority of every certificate here but those of strangers.
pub(crate) fn own_authority() -> &'static Authority {
    authority()
}
