//! Where others reach the actors of an executor's process; it listens when somebody wants that for the first time.

use odeon_runtime::{Endpoint, ListenError, Node};
use tokio::sync::OnceCell;

/// The way into the node of an executor.
#[derive(Debug)]
pub(crate) struct Doorway {
    node: Node,
    /// The address of the agent's host: whoever reaches the agent reaches its executors.
    host: String,
    endpoint: OnceCell<Endpoint>,
}

impl Doorway {
    pub(crate) fn new(node: &Node, agent: &Endpoint) -> Self {
        let host = agent.as_str().rsplit_once(':').map_or(agent.as_str(), |(host, _)| host).to_owned();
        Self { node: node.clone(), host, endpoint: OnceCell::new() }
    }

    /// Listens at any port of the host, once for all who ask.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint, ListenError> {
        let listens = || self.node.listen(format!("{}:0", self.host));
        self.endpoint.get_or_try_init(listens).await.cloned()
    }
}
