//! A master as a value: its node, its registry and its actor, started and stopped in order.
//!
//! Starts no actor system, keeps nothing global and parses no configuration; many can be in one process.

use crate::actor::{Beginning, MASTER, MasterActor, StopMaster};
use crate::core::{MasterCore, MasterOutbox};
use crate::record::Registry;
use crate::registry::{OpenRegistryError, RegistryLog, open_registry};
use crate::settings::MasterRules;
use actix::Addr;
use odeon_protocol::id::MasterId;
use odeon_protocol::messages::Epoch;
use odeon_runtime::transport::Transport;
use odeon_runtime::{
    Clock, Endpoint, FabricLimits, ListenError, Node, OnPanic, StartError, Supervised, SupervisorSpec,
};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use tracing::info;

/// Messages that may wait for the master; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 4096;

/// What a master needs to start.
#[derive(Debug, Clone)]
pub struct MasterSettings {
    /// The name of the node.
    pub node_name: String,
    /// Tells this start of the process from any other; a random number.
    pub incarnation: u64,
    /// Seeds the jitter of the fabric and the order in which the allocator looks at agents.
    pub seed: u64,
    /// Where the node listens; port 0 for any.
    pub bind: Endpoint,
    /// What others are told to dial, if it differs from where the node listens.
    pub advertise: Option<Endpoint>,
    /// Where the registry is kept; made if it is not there.
    pub work_dir: PathBuf,
    /// The first part of all ids that the master gives out; the term is the second.
    pub master_id: MasterId,
    /// The bounds of the node.
    pub limits: FabricLimits,
    /// How the master behaves.
    pub rules: MasterRules,
}

/// Why a master does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartMasterError {
    /// The directory of the registry cannot be made.
    #[error("cannot make the directory {path}")]
    WorkDir {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The registry cannot be read.
    #[error("cannot open the registry")]
    Registry(#[from] OpenRegistryError),
    /// The node refuses its settings.
    #[error("cannot start the node of the master")]
    Node(#[from] StartError),
    /// The node cannot listen.
    #[error("cannot listen for agents and frameworks")]
    Listen(#[from] ListenError),
}

/// A master that runs. Dropping it does not stop it.
#[derive(Debug)]
pub struct MasterNode {
    /// Its node; `node.failed()` resolves if the master cannot go on.
    pub node: Node,
    /// What others dial.
    pub endpoint: Endpoint,
    /// The id of this run.
    pub master_id: MasterId,
    /// Its term.
    pub epoch: Epoch,
    actor: Addr<MasterActor>,
    supervised: Supervised,
}

impl MasterNode {
    /// Reads the registry, starts the actor, and only then listens.
    ///
    /// Runs on the current actix arbiter.
    ///
    /// # Errors
    /// [`StartMasterError`] names the step that failed; nothing runs then.
    pub async fn start(settings: MasterSettings, transport: Arc<dyn Transport>) -> Result<Self, StartMasterError> {
        let (log, registry) = read_registry(settings.work_dir).await?;
        let MasterSettings { node_name, incarnation, seed, limits, mut rules, .. } = settings;
        let builder = Node::builder(node_name).incarnation(incarnation).seed(seed);
        let node = builder.transport(transport).limits(limits).start().await?;
        rules.allocator.seed = seed;
        let (clock, mut first) = (Clock::start(), MasterOutbox::new());
        let core = MasterCore::recover(&settings.master_id, rules, registry, clock.now(), &mut first);
        let (master_id, epoch) = (core.master_id().clone(), core.epoch());
        let (actor, supervised) = supervise(&node, Beginning { core, first, log: Box::new(log), clock });
        let bound = match node.listen(settings.bind).await {
            Ok(bound) => bound,
            Err(error) => {
                stop(&node, &actor, &supervised).await;
                return Err(error.into());
            }
        };
        let endpoint = settings.advertise.unwrap_or(bound);
        info!(%master_id, %epoch, %endpoint, "the master listens");
        Ok(Self { node, endpoint, master_id, epoch, actor, supervised })
    }

    /// Stops the actor once all that it decided is durable, then closes the links.
    pub async fn stop(self) {
        stop(&self.node, &self.actor, &self.supervised).await;
    }
}

async fn stop(node: &Node, actor: &Addr<MasterActor>, supervised: &Supervised) {
    if actor.send(StopMaster).await.is_err() {
        info!("the master had stopped before");
    }
    supervised.ended().await;
    node.shut_down();
}

/// Makes the directory and opens the registry, off the arbiter.
async fn read_registry(work_dir: PathBuf) -> Result<(RegistryLog, Registry), StartMasterError> {
    let open = move || {
        let made = std::fs::create_dir_all(&work_dir);
        made.map_err(|source| StartMasterError::WorkDir { path: work_dir.clone(), source })?;
        Ok(open_registry(&work_dir)?)
    };
    tokio::task::spawn_blocking(open).await.expect("opening the registry does not panic")
}

/// Half a decision must not survive: a panic of the master ends its node, and agents and frameworks come
/// back to its successor.
fn supervise(node: &Node, beginning: Beginning) -> (Addr<MasterActor>, Supervised) {
    let spec = SupervisorSpec { name: MASTER.into(), on_panic: OnPanic::Escalate, mailbox_capacity: MAILBOX_CAPACITY };
    let mut beginning = Some(beginning);
    let home = node.clone();
    let factory = move || {
        let beginning = beginning.take().expect("a master that panics is not built again");
        MasterActor::new(&home, beginning)
    };
    let address = Rc::new(RefCell::new(None));
    let built = Rc::clone(&address);
    let exports = move |own: &Addr<MasterActor>| {
        built.replace(Some(own.clone()));
        MasterActor::exports(own)
    };
    let supervised = node.supervise(spec, factory, exports);
    let actor = address.take().expect("the exports are listed before the supervisor returns");
    (actor, supervised)
}

#[cfg(test)]
#[path = "node_test.rs"]
mod tests;
