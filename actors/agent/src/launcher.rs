//! Starts executor processes, watches them, and leaves nothing of them behind.
//!
//! It knows nothing of tasks: what an exit means is the core's business.

use crate::effect::ContainerPlace;
use crate::fetcher::Fetching;
use crate::process_tree::{CONTAINER_ID, EXECUTOR_ID, ProcessTree};
use crate::sandbox::Sandboxes;
use nix::sys::signal::Signal;
use odeon_protocol::task::TaskExit;
use odeon_runtime::Endpoint;
use odeon_runtime::trust::CredentialFiles;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::error;

/// Between asking the group to end and killing it. The executor has had its grace before.
const TERMINATE_WAIT: Duration = Duration::from_millis(500);
/// How long a killed process may take to be gone before it is given up.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// Between two looks at an executor that is nobody's child any more: only the parent is told of an end.
const ADOPTED_LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How often a binary that is said to be busy is started.
const BUSY_TRIES_MAX: usize = 20;
/// Between two such attempts.
const BUSY_WAIT: Duration = Duration::from_millis(10);
/// What an executor gets of the agent's own environment.
const INHERITED: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"];

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// The process has ended, in a way that may not be known, and so has all that it had started.
    Exited(Option<TaskExit>),
    /// The process could not be started, for this reason.
    NotStarted(String),
}

/// What an executor is started from.
pub(crate) enum Program {
    /// The agent's own binary.
    Own,
    /// A file of the host.
    At(PathBuf),
    /// What is being fetched.
    Fetched(Fetching),
}

/// What is common to all executors of an agent.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub(crate) sandboxes: Sandboxes,
    /// The binary of executors that name none.
    pub(crate) program: PathBuf,
    /// The agent's own environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where executors reach the agent.
    pub(crate) endpoint: Endpoint,
    /// Where actors in executors listen; port 0 for any.
    pub(crate) actors_listen: Endpoint,
    /// The host at which other hosts reach them.
    pub(crate) actors_host: String,
    pub(crate) shutdown_grace: Duration,
    /// What executors prove who they are with, if anybody asks.
    pub(crate) credentials: Option<CredentialFiles>,
    /// Where executors that outlive the agent find out how to reach the next one.
    pub(crate) endpoint_file: PathBuf,
    /// How long they wait for it.
    pub(crate) recovery_timeout: Duration,
}

/// Kills a run when sent to; when dropped as well, unless the run outlives the agent.
pub(crate) type KillSwitch = oneshot::Sender<()>;

/// A run under way, and what ends it.
struct Watched {
    place: ContainerPlace,
    kill: oneshot::Receiver<()>,
    outlives_agent: bool,
    /// Whether the executor leaves nothing behind unless it fails: that of a command ends all that descends from it.
    is_tidy: bool,
}

impl Launcher {
    /// Starts an executor. The future runs until nothing of it is left.
    ///
    /// With `checkpoint` it is told to wait for the next process of the agent, and is left alone if this one fails.
    pub(crate) fn run(
        &self,
        place: ContainerPlace,
        program: Program,
        is_command: bool,
        checkpoint: bool,
    ) -> (KillSwitch, impl Future<Output = RunEnd> + use<>) {
        let (switch, mut kill) = oneshot::channel();
        let is_tidy = is_command && matches!(program, Program::Own) && cfg!(target_os = "linux");
        let own = self.program.clone();
        let outlives_agent = checkpoint && !self.recovery_timeout.is_zero();
        let environment = self.environment_of(&place, outlives_agent);
        let directory = self.sandboxes.of_container(&place);
        let run = async move {
            // What was fetched is not removed before the end of the run.
            let (program, _kept) = match program {
                Program::Own => (own, None),
                Program::At(path) => (path, None),
                Program::Fetched(fetching) => tokio::select! {
                    fetched = fetching => match fetched {
                        Ok(fetched) => (fetched.path.clone(), Some(fetched)),
                        Err(error) => return RunEnd::NotStarted(error.to_string()),
                    },
                    () = asked(&mut kill, outlives_agent) => return RunEnd::Exited(None),
                },
            };
            // Making directories and forking would hold the arbiter up.
            let started = spawn_blocking(move || start(&program, environment, &directory, outlives_agent)).await;
            match started {
                Ok(Ok(child)) => Watched { place, kill, outlives_agent, is_tidy }.child(child).await,
                Ok(Err(error)) => RunEnd::NotStarted(error.to_string()),
                Err(error) => RunEnd::NotStarted(error.to_string()),
            }
        };
        (switch, run)
    }

    /// Takes over an executor that an earlier process of the agent has started. As [`Self::run`]; how the process
    /// has ended is known to nobody.
    pub(crate) fn adopt(&self, place: ContainerPlace) -> (KillSwitch, impl Future<Output = RunEnd> + use<>) {
        let (switch, kill) = oneshot::channel();
        (switch, Watched { place, kill, outlives_agent: true, is_tidy: false }.adopted())
    }

    fn environment_of(&self, place: &ContainerPlace, outlives_agent: bool) -> BTreeMap<String, String> {
        let is_basic = |name: &str| INHERITED.contains(&name) || name.starts_with("LC_");
        let basics = self.environment.iter().filter(|(name, _)| is_basic(name));
        let own = [
            ("ODEON_AGENT_ENDPOINT", self.endpoint.to_string()),
            ("ODEON_ACTORS_LISTEN", self.actors_listen.to_string()),
            ("ODEON_ACTORS_HOST", self.actors_host.clone()),
            ("ODEON_FRAMEWORK_ID", place.framework_id.to_string()),
            (EXECUTOR_ID, place.executor_id.to_string()),
            (CONTAINER_ID, place.container_id.to_string()),
            ("ODEON_SANDBOX", self.sandboxes.of_container(place).to_string_lossy().into_owned()),
            ("ODEON_EXECUTOR_SHUTDOWN_GRACE_MS", self.shutdown_grace.as_millis().to_string()),
        ];
        let recovery = [
            ("ODEON_AGENT_ENDPOINT_FILE", self.endpoint_file.to_string_lossy().into_owned()),
            ("ODEON_RECOVERY_TIMEOUT_MS", self.recovery_timeout.as_millis().to_string()),
        ];
        let own = own.into_iter().chain(recovery.into_iter().filter(|_| outlives_agent)).chain(self.proofs());
        let own = own.map(|(name, value)| (name.to_owned(), value));
        basics.map(|(name, value)| (name.clone(), value.clone())).chain(own).collect()
    }
}

impl Launcher {
    /// The variables that name the credentials of an executor.
    fn proofs(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let proofs = self.credentials.iter().flat_map(move |CredentialFiles { ca, cert, key }| {
            [("ODEON_TLS__CA", text(ca)), ("ODEON_TLS__CERT", text(cert)), ("ODEON_TLS__KEY", text(key))]
        });
        proofs.collect::<Vec<_>>().into_iter()
    }
}

fn start(
    program: &PathBuf,
    environment: BTreeMap<String, String>,
    directory: &PathBuf,
    outlives_agent: bool,
) -> io::Result<Child> {
    Sandboxes::make(directory)?;
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join("executor.log"))?;
    let mut command = Command::new(program);
    command.arg("executor").env_clear().envs(environment).current_dir(directory);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let started = spawn(command.process_group(0).kill_on_drop(!outlives_agent));
    started.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.display())))
}

/// A process that is being started elsewhere at this moment holds, until it is, the files that were open for writing
/// when it was begun; a binary that was installed just then is said to be busy.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 1..BUSY_TRIES_MAX {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(BUSY_WAIT),
            started => return started,
        }
    }
    command.spawn()
}

impl Watched {
    async fn child(self, mut child: Child) -> RunEnd {
        let Some(root) = child.id().and_then(|id| i32::try_from(id).ok()) else {
            return RunEnd::NotStarted("it has no process id".to_owned());
        };
        let Self { place, mut kill, outlives_agent, is_tidy } = self;
        let mut tree = ProcessTree::of(place.container_id.clone(), root);
        let ended = tokio::select! {
            ended = child.wait() => match ended {
                // A look at all processes of the host is too much for every command.
                Ok(status) if is_tidy && status.success() => return RunEnd::Exited(exit_of(status)),
                ended => ended,
            },
            () = asked(&mut kill, outlives_agent) => {
                tree = with_descendants(tree).await;
                end(&tree, child.wait()).await
            }
        };
        sweep(tree, &place).await;
        RunEnd::Exited(ended.ok().and_then(exit_of))
    }

    async fn adopted(self) -> RunEnd {
        let Self { place, mut kill, outlives_agent, .. } = self;
        let container_id = place.container_id.clone();
        let Ok(mut tree) = spawn_blocking(move || ProcessTree::find(container_id)).await else {
            return RunEnd::Exited(None);
        };
        let is_asked = tokio::select! {
            () = gone(&tree) => false,
            () = asked(&mut kill, outlives_agent) => true,
        };
        if is_asked {
            tree = with_descendants(tree).await;
            let ended = async {
                gone(&tree).await;
                Ok(())
            };
            // What is left is told by the sweep.
            let _ = end(&tree, ended).await;
        }
        sweep(tree, &place).await;
        RunEnd::Exited(None)
    }
}

/// Resolves when a run is to be killed.
async fn asked(kill: &mut oneshot::Receiver<()>, outlives_agent: bool) {
    if kill.await.is_err() && outlives_agent {
        std::future::pending::<()>().await;
    }
}

/// The same tree, which knows what has hidden from it.
async fn with_descendants(tree: ProcessTree) -> ProcessTree {
    let mut noted = tree.clone();
    let noted = spawn_blocking(move || {
        noted.note_descendants();
        noted
    });
    noted.await.unwrap_or(tree)
}

/// Resolves when a process that is nobody's child any more has ended. A look takes some microseconds.
async fn gone(tree: &ProcessTree) {
    while tree.is_alive() {
        sleep(ADOPTED_LOOK_INTERVAL).await;
    }
}

/// Ends the group of a run: politely first.
async fn end<T>(tree: &ProcessTree, ended: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut ended = std::pin::pin!(ended);
    tree.signal_group(Signal::SIGTERM);
    if let Ok(ended) = timeout(TERMINATE_WAIT, &mut ended).await {
        return ended;
    }
    tree.signal_group(Signal::SIGKILL);
    timeout(KILL_WAIT, ended).await?
}

async fn sweep(tree: ProcessTree, place: &ContainerPlace) {
    let left = spawn_blocking(move || tree.sweep()).await;
    if !matches!(left, Ok(0)) {
        error!(container_id = %place.container_id, ?left, "processes of an executor cannot be killed");
    }
}

fn exit_of(status: ExitStatus) -> Option<TaskExit> {
    status.code().map(TaskExit::Code).or_else(|| status.signal().map(TaskExit::Signal))
}

#[cfg(test)]
#[path = "launcher_test.rs"]
mod tests;
