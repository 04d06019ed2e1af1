//! For tests: the context of a task without an executor around it.

use crate::doorway::Doorway;
use crate::task::{TaskContext, Urgency};
use odeon_protocol::id::TaskId;
use odeon_protocol::resources::Resources;
use odeon_runtime::{Endpoint, Node};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;

/// A context, and what the executor would hold of it.
pub(crate) struct PaperTask {
    pub(crate) context: TaskContext,
    pub(crate) urgency: watch::Sender<Urgency>,
    pub(crate) reports: watch::Receiver<String>,
}

impl PaperTask {
    /// A task `t-1` on a node; it listens at a host of the node's name.
    pub(crate) fn new(node: &Node, sandbox: &Path, data: &[u8]) -> Self {
        let (urgency, observed) = watch::channel(Urgency::None);
        let (report, reports) = watch::channel(String::new());
        let (host, listen) = (&node.id().name, Endpoint::new(format!("{}:0", node.id().name)));
        let context = TaskContext {
            task_id: TaskId::new("t-1").unwrap(),
            name: "test".into(),
            data: data.into(),
            resources: Resources::empty(),
            sandbox: sandbox.to_owned(),
            node: node.clone(),
            doorway: Arc::new(Doorway::new(node, &listen, host)),
            urgency: observed,
            reports: report,
            over: watch::Sender::new(false),
        };
        Self { context, urgency, reports }
    }
}
