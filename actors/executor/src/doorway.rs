//! Where others reach the actors of an executor's process; it listens when somebody wants that for the first time.

use odeon_runtime::{Endpoint, ListenError, Node};
use tokio::sync::OnceCell;

/// The way into the node of an executor.
#[derive(Debug)]
pub(crate) struct Doorway {
    node: Node,
    /// Where it listens; port 0 for any.
    listen: Endpoint,
    /// The host at which others reach it: whoever reaches the agent reaches its executors.
    host: String,
    endpoint: OnceCell<Endpoint>,
}

impl Doorway {
    pub(crate) fn new(node: &Node, listen: &Endpoint, host: &str) -> Self {
        Self { node: node.clone(), listen: listen.clone(), host: host.to_owned(), endpoint: OnceCell::new() }
    }

    /// Listens, once for all who ask.
    pub(crate) async fn endpoint(&self) -> Result<Endpoint, ListenError> {
        self.endpoint.get_or_try_init(|| self.listen()).await.cloned()
    }

    async fn listen(&self) -> Result<Endpoint, ListenError> {
        let bound = self.node.listen(&self.listen).await?;
        let port = bound.as_str().rsplit_once(':').map_or("0", |(_, port)| port);
        let reached = Endpoint::new(format!("{}:{port}", self.host));
        self.node.advertise(&reached);
        Ok(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn it_listens_once_and_is_told_by_the_host_that_others_know() {
        let node = Node::builder("e").incarnation(1).start().await.unwrap();
        let doorway = Doorway::new(&node, &Endpoint::new("127.0.0.1:0"), "localhost");
        let first = doorway.endpoint().await.unwrap();
        let (host, port) = first.as_str().rsplit_once(':').unwrap();
        assert!(host == "localhost" && port != "0", "{first}");
        assert_eq!(doorway.endpoint().await.unwrap(), first);
        assert_eq!(node.endpoint(), Some(first));
        node.shut_down();
    }
}
