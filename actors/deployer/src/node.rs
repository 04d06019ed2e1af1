//! A deployer as a value: its journal and its actor, on the node of a master, started and stopped in order.

use crate::actor::{Beginning, DeployerActor, StopDeployer, Surroundings};
use crate::core::{DeployerCore, DeployerOutbox};
use crate::state::Record;
use actix::Addr;
use odeon_protocol::messages::deployments::DEPLOYER;
use odeon_runtime::journal::{Journal, JournalError};
use odeon_runtime::transport::Transport;
use odeon_runtime::{
    Clock, CompactingJournal, Endpoint, Node, OnPanic, RecordLog, StartError, Supervised, SupervisorSpec,
};
use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// Messages that may wait for the deployer; each waiting asker has a place besides.
const MAILBOX_CAPACITY: usize = 4096;
/// The name of its file in the work directory.
const JOURNAL: &str = "deployments.journal";

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
}

impl DeployerNode {
    /// Reads the journal and starts the actor on the current arbiter.
    ///
    /// # Errors
    /// [`StartDeployerError`]; nothing runs then.
    pub async fn start(settings: DeployerSettings, transport: Arc<dyn Transport>) -> Result<Self, StartDeployerError> {
        let DeployerSettings { node, master, work_dir, seed } = settings;
        let (log, records) = read_journal(work_dir).await?;
        let framework = Node::builder(DEPLOYER).incarnation(seed).seed(seed).transport(transport).start().await?;
        let (clock, mut first) = (Clock::start(), DeployerOutbox::new());
        let core = DeployerCore::recover(records, master.to_string(), seed, clock.now(), &mut first);
        let surroundings = Surroundings { node, framework: framework.clone(), master, seed };
        let (actor, supervised) = supervise(&surroundings, Beginning { core, first, log, clock });
        Ok(Self { framework, actor, supervised })
    }

    /// Stops the actor once all that it decided is durable. What is deployed runs on, for the next start to find.
    pub async fn stop(self) {
        if self.actor.send(StopDeployer).await.is_err() {
            tracing::info!("the deployer had stopped before");
        }
        self.supervised.ended().await;
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
