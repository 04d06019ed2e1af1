//! A deployer as a value: its journal, its binaries and their actors, on the node of a master, started and stopped in
//! order.

use crate::actor::{Beginning, DeployerActor, StopDeployer, Surroundings};
use crate::binaries::Binaries;
use crate::core::{DeployerCore, DeployerOutbox};
use crate::state::Record;
use crate::topics_actor::TopicRegistry;
use actix::Addr;
use odeon_protocol::messages::binaries::BINARIES;
use odeon_protocol::messages::deployments::DEPLOYER;
use odeon_runtime::journal::{Journal, JournalError};
use odeon_runtime::transport::Transport;
use odeon_runtime::{
    BinaryDir, Clock, CompactingJournal, Endpoint, Node, OnPanic, RecordLog, RestartPolicy, StartError, Supervised,
    SupervisorSpec,
};
use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Messages that may wait for the deployer; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 4096;
/// Messages that may wait for the store of binaries; each waiting asker has a place besides.
const BINARIES_MAILBOX_CAPACITY: usize = 256;
/// Bytes of binaries that the master keeps; those that no deployment names, and were used least recently, make room.
const BINARIES_BYTES_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// The name of its file in the work directory.
const JOURNAL: &str = "deployments.journal";
/// The name of the directory of binaries beside it.
const DIRECTORY: &str = "binaries";

/// What a deployer needs to start.
#[derive(Debug, Clone)]
pub struct DeployerSettings {
    /// The node on which it is exported, whose failure is its own.
    pub node: Node,
    /// Where the master listens, for the framework and for actors that look for each other.
    pub master: Endpoint,
    /// Where the journal is kept; made by whoever owns it.
    pub work_dir: PathBuf,
    /// Tells this start from any other; a random number.
    pub seed: u64,
}

/// Why a deployer does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartDeployerError {
    /// What was deployed cannot be read.
    #[error("cannot read what is deployed")]
    Journal(#[from] JournalError),
    /// The directory of binaries cannot be used.
    #[error("cannot use the directory {}", path.display())]
    Binaries {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The node of its framework refuses its settings.
    #[error("cannot start the node of the deployer")]
    Node(#[from] StartError),
}

/// A deployer that runs. Dropping it does not stop it.
#[derive(Debug)]
pub struct DeployerNode {
    framework: Node,
    actor: Addr<DeployerActor>,
    supervised: Supervised,
    binaries: Supervised,
    topics: Supervised,
}

impl DeployerNode {
    /// Reads the journal and starts the actor on the current arbiter.
    ///
    /// # Errors
    /// [`StartDeployerError`]; nothing runs then.
    pub async fn start(settings: DeployerSettings, transport: Arc<dyn Transport>) -> Result<Self, StartDeployerError> {
        let DeployerSettings { node, master, work_dir, seed } = settings;
        let (log, records) = read_journal(work_dir.clone()).await?;
        let dir = open_binaries(work_dir.join(DIRECTORY)).await?;
        let framework = Node::builder(DEPLOYER).incarnation(seed).seed(seed).transport(transport).start().await?;
        let (clock, mut first) = (Clock::start(), DeployerOutbox::new());
        let core = DeployerCore::recover(records, master.to_string(), seed, clock.now(), &mut first);
        let surroundings = Surroundings { node, framework: framework.clone(), master, seed };
        let (actor, supervised) = supervise(&surroundings, Beginning { core, first, log, clock });
        let binaries = supervise_binaries(&surroundings.node, dir, actor.clone());
        let topics = TopicRegistry::start(&surroundings.node, seed);
        Ok(Self { framework, actor, supervised, binaries, topics })
    }

    /// Stops the actor once all that it decided is durable. What is deployed runs on, for the next start to find.
    pub async fn stop(self) {
        if self.actor.send(StopDeployer).await.is_err() {
            tracing::info!("the deployer had stopped before");
        }
        self.topics.stop();
        self.supervised.ended().await;
        self.binaries.stop();
        self.binaries.ended().await;
        self.topics.ended().await;
        self.framework.shut_down();
    }
}

/// Opens the journal off the arbiter.
async fn read_journal(work_dir: PathBuf) -> Result<(Box<dyn RecordLog<Record>>, Vec<Record>), JournalError> {
    let open = move || {
        let (journal, records, _) = Journal::<Record>::open(work_dir.join(JOURNAL))?;
        let log: Box<dyn RecordLog<Record>> = Box::new(CompactingJournal::new(journal, Record::says_all));
        Ok((log, records))
    };
    tokio::task::spawn_blocking(open).await.expect("opening the journal does not panic")
}

/// Opens the directory of binaries off the arbiter; the lock on the journal keeps others away.
async fn open_binaries(path: PathBuf) -> Result<BinaryDir, StartDeployerError> {
    let opened = {
        let path = path.clone();
        tokio::task::spawn_blocking(move || BinaryDir::open(&path, BINARIES_BYTES_MAX)).await
    };
    let opened = opened.map_err(io::Error::other).and_then(|opened| opened);
    opened.map_err(|source| StartDeployerError::Binaries { path, source })
}

fn supervise_binaries(node: &Node, dir: BinaryDir, deployer: Addr<DeployerActor>) -> Supervised {
    let spec = SupervisorSpec {
        name: BINARIES.into(),
        on_panic: OnPanic::Restart(RestartPolicy::default()),
        mailbox_capacity: BINARIES_MAILBOX_CAPACITY,
    };
    node.supervise(spec, move || Binaries::new(dir.clone(), deployer.clone()), Binaries::exports)
}

/// Half a decision must not survive: a panic fails the node.
fn supervise(surroundings: &Surroundings, beginning: Beginning) -> (Addr<DeployerActor>, Supervised) {
    let spec =
        SupervisorSpec { name: DEPLOYER.into(), on_panic: OnPanic::Escalate, mailbox_capacity: MAILBOX_CAPACITY };
    let (mut beginning, own) = (Some(beginning), surroundings.clone());
    let factory = move || {
        let beginning = beginning.take().expect("a deployer that panics is not built again");
        DeployerActor::new(own.clone(), beginning)
    };
    let address = Rc::new(RefCell::new(None));
    let built = Rc::clone(&address);
    let exports = move |own: &Addr<DeployerActor>| {
        built.replace(Some(own.clone()));
        DeployerActor::exports(own)
    };
    let supervised = surroundings.node.supervise(spec, factory, exports);
    let actor = address.take().expect("the exports are listed before the supervisor returns");
    (actor, supervised)
}
