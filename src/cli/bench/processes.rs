//! A cluster to measure: a master and an agent, each a process of its own, in a directory that goes with them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use odeon_protocol::messages::master_operator::{AgentState, GetAgents, MasterForOperators};
use odeon_runtime::{Endpoint, Node, Peer};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::Instant;

use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};

/// How long a role may take to be there, and to end.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The unit of times of processes; Linux shows the same one on every machine.
const TICKS_PER_SECOND: u64 = 100;
/// Between two looks at whether the agent has registered.
const POLL: Duration = Duration::from_millis(5);

/// Killed when dropped; ended in order by [`Processes::stop`].
pub(super) struct Processes {
    pub(super) master: Role,
    pub(super) agent: Role,
    endpoint: Endpoint,
    _directory: tempfile::TempDir,
}

/// A process of the cluster.
pub(super) struct Role {
    name: &'static str,
    child: Child,
    /// Kept open, or the role could not print.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Processes {
    /// Starts both, with an agent that offers these resources, and returns when it has registered.
    pub(super) async fn start(environment: &Environment, resources: &str, node: &Node) -> Result<Self, Failure> {
        let directory = tempfile::Builder::new().prefix("odeon-bench-").tempdir().or_exit(Exit::WorkFailed)?;
        let mut master = Role::start("master", environment, directory.path(), &[])?;
        let endpoint = master.value("master").await?;
        let agent = ["--master", &endpoint, "--resources", resources];
        let mut agent = Role::start("agent", environment, directory.path(), &agent)?;
        agent.value("agent").await?;
        let cluster = Self { master, agent, endpoint: Endpoint::new(endpoint), _directory: directory };
        cluster.registered(node).await?;
        Ok(cluster)
    }

    /// Where the master listens.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn registered(&self, node: &Node) -> Result<(), Failure> {
        let (deadline, master) = (Instant::now() + WAIT_MAX, node.peer_at(&self.endpoint, "master"));
        let master: Peer<MasterForOperators> = master;
        while Instant::now() < deadline {
            let agents = master.send(GetAgents {}).await.or_exit(Exit::WorkFailed)?;
            if agents.iter().any(|agent| agent.state == AgentState::Active) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Failure::new(Exit::WorkFailed, format!("the agent has not registered within {WAIT_MAX:?}")))
    }

    /// Ends the agent with all that it runs, then the master.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.agent.stop().await?;
        self.master.stop().await
    }
}

impl Role {
    /// Starts a role on any port, with a directory of its own in this one.
    pub(super) fn start(
        name: &'static str,
        environment: &Environment,
        directory: &Path,
        arguments: &[&str],
    ) -> Result<Self, Failure> {
        let work_dir = format!("work_dir={}", directory.join(name).display());
        let mut child = Command::new(&environment.program)
            .args([name, "--set", "port=0", "--set", &work_dir])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .or_exit(Exit::WorkFailed)?;
        let stdout = child.stdout.take().ok_or_else(|| silent(name))?;
        Ok(Self { name, child, lines: BufReader::new(stdout).lines() })
    }

    /// What the role prints behind a label.
    pub(super) async fn value(&mut self, label: &str) -> Result<String, Failure> {
        let read = async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(value) = line.strip_prefix(label) {
                    return Ok(Some(value.trim().to_owned()));
                }
            }
            Ok::<_, std::io::Error>(None)
        };
        let read = tokio::time::timeout(WAIT_MAX, read).await.or_exit(Exit::WorkFailed)?;
        read.or_exit(Exit::WorkFailed)?.ok_or_else(|| silent(self.name))
    }

    /// The memory of the process, in KiB: what is its own, and its part of what it shares with other processes of this
    /// binary; nothing where the system does not tell.
    pub(super) fn memory_kib(&self) -> Option<u64> {
        let sums = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()?)).ok()?;
        kib(&sums, "Pss:")
    }

    /// The processor time that the process has taken so far; nothing where the system does not tell.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        processor_time(&std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?)
    }

    /// Ends the role in order.
    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        pid.map(|pid| kill(pid, Signal::SIGINT)).transpose().or_exit(Exit::WorkFailed)?;
        let ended = tokio::time::timeout(WAIT_MAX, self.child.wait()).await.or_exit(Exit::WorkFailed)?;
        let status = ended.or_exit(Exit::WorkFailed)?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::new(
                Exit::WorkFailed,
                format!("the {} of the measured cluster has failed: {status}", self.name),
            ))
        }
    }
}

/// The processor time of this process.
pub(super) fn own_processor_time() -> Option<Duration> {
    processor_time(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// The memory of this process, as [`Role::memory_kib`] tells it.
pub(super) fn own_memory_kib() -> Option<u64> {
    kib(&std::fs::read_to_string("/proc/self/smaps_rollup").ok()?, "Pss:")
}

/// User and system time in a status line of a process, whose name may hold anything.
fn processor_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn silent(name: &str) -> Failure {
    Failure::new(Exit::WorkFailed, format!("the {name} of the measured cluster did not say where it listens"))
}

/// The number in a line such as `Pss: 10240 kB`.
fn kib(status: &str, label: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_process_is_user_and_system_time() {
        let stat = "7 (a) name) S 1 7 7 0 -1 4194560 9 0 0 0 150 25 0 0 20 0 1 0 5";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(processor_time("7"), None);
        assert!(own_processor_time().is_some() && own_memory_kib().is_some_and(|kib| kib > 1024));
    }

    #[test]
    fn the_memory_of_a_process_is_read_from_its_lines() {
        let sums = "55a0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:       23212 kB\nPss:       10240 kB\nPss_Dirty: 108 kB\n";
        assert_eq!((kib(sums, "Pss:"), kib(sums, "Rss:")), (Some(10_240), Some(23_212)));
        assert_eq!(kib(sums, "Swap:"), None);
    }
}
