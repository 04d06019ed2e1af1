//! Runs an executor: its fabric node, its actor, and the wait for its end.

use crate::actor::{Ended, ExecutorActor};
use crate::end::ExecutorEnd;
use crate::leaders::Leaders;
use crate::registry::TaskRegistry;
use crate::runner::RunningTask;
use crate::settings::ExecutorSettings;
use actix::{Actor, Addr};
use futures_util::future::join_all;
use odeon_protocol::id::{ContainerId, TaskId};
use odeon_protocol::messages::agent_executor::{EndTask, RunTasks, ShutdownExecutor};
use odeon_runtime::transport::Transport;
use odeon_runtime::trust::PeerRole;
use odeon_runtime::{Exports, Node, StartError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long tasks that are dropped may take to let go of what they hold.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// Why an executor could not run to an orderly end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunExecutorError {
    /// Its node does not start.
    #[error("the node of the executor does not start")]
    Node(#[from] StartError),
    /// A bug in the executor itself; its tasks were dropped.
    #[error("the executor's actor has panicked")]
    Panicked,
}

/// Runs an executor to its end. Call it on an actix arbiter; tasks run there too.
///
/// Tasks that are left at the end are dropped and the processes of commands killed before it returns.
///
/// # Errors
/// [`RunExecutorError`] if the node does not start or the executor has a bug.
pub async fn run_executor(
    settings: ExecutorSettings,
    registry: TaskRegistry,
    transport: Arc<dyn Transport>,
) -> Result<ExecutorEnd, RunExecutorError> {
    let owns_process = settings.owns_process;
    #[cfg(target_os = "linux")]
    if owns_process {
        crate::orphans::take_in();
    }
    let container_id = &settings.identity.container_id;
    let builder = Node::builder(format!("executor-{container_id}")).incarnation(incarnation(container_id));
    let node = builder.transport(transport).start().await?;
    node.serve_figures();
    let end = match start(settings, registry, node.clone()).await {
        Ok(Ended { end, left }) => {
            // A task that blocks the thread would not even let this time out.
            let _ = tokio::time::timeout(DROP_TIMEOUT, join_all(left.into_iter().map(RunningTask::dropped))).await;
            Ok(end)
        }
        Err(_) => Err(RunExecutorError::Panicked),
    };
    if owns_process {
        end_orphans().await;
    }
    node.shut_down();
    end
}

/// Starts the actor; it tells its end.
fn start(settings: ExecutorSettings, registry: TaskRegistry, node: Node) -> oneshot::Receiver<Ended> {
    let (sender, ended) = oneshot::channel();
    // The name is exported before the actor registers: the agent may answer with a task at once.
    ExecutorActor::create(|ctx| {
        let address = actix::AsyncContext::address(ctx);
        node.export("executor", exports(&address));
        ExecutorActor::new(settings, registry, node, sender)
    });
    ended
}

/// Ends what has lost its parent below this process, which is the executor's alone.
pub(crate) async fn end_orphans() {
    // It cannot panic, and if it did, nothing would be left to do.
    #[cfg(target_os = "linux")]
    if crate::orphans::has_any() {
        let _ = tokio::task::spawn_blocking(crate::orphans::end_all).await;
    }
}

/// As [`end_orphans`], for what carries the id of a task.
pub(crate) async fn end_orphans_of(task_id: &TaskId, leaders: &Leaders) {
    #[cfg(target_os = "linux")]
    if crate::orphans::has_any_of(task_id, leaders) {
        let task_id = task_id.clone();
        let _ = tokio::task::spawn_blocking(move || crate::orphans::end_those_of(&task_id)).await;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (task_id, leaders);
}

/// What the executor takes from peers: only its agent tells it what to run.
fn exports(address: &Addr<ExecutorActor>) -> Exports {
    let list = Exports::new().only_from(&[PeerRole::Agent]);
    list.accept::<RunTasks, _>(address).accept::<EndTask, _>(address).accept::<ShutdownExecutor, _>(address)
}

/// A container is one run of one executor, so its id tells the runs apart (FNV-1a, 64 bits).
fn incarnation(container_id: &ContainerId) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    container_id.as_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
#[path = "node_test.rs"]
mod tests;
