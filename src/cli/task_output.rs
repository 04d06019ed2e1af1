//! Follows what tasks print: reads the files of their sandboxes from the agents, piece by piece, to the end.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

use odeon_protocol::id::{FrameworkId, TaskId};
use odeon_protocol::messages::sandbox::{AgentForClients, ReadSandbox, ReadSandboxError, SandboxChunk, SandboxFile};
use odeon_runtime::{Endpoint, Node, Peer, PeerError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{info, warn};

/// How long an agent may wait for new bytes before it answers with none.
const READ_WAIT: Duration = Duration::from_secs(1);
/// How long one answer may take besides.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// Between two attempts to read while the task is on its way to the agent, or the agent is out of reach.
const RETRY_WAIT: Duration = Duration::from_millis(20);
/// How long the agent may be out of reach, behind the end of the task, before the rest is given up: it may just have
/// been restarted.
const REST_WAIT_MAX: Duration = Duration::from_secs(3);
/// A line longer than this is written in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The outputs of the tasks of one run.
pub(super) struct TaskOutputs {
    node: Node,
    label: bool,
    ends: BTreeMap<TaskId, watch::Sender<bool>>,
    readers: Vec<JoinHandle<()>>,
    unread: Rc<Notify>,
}

impl TaskOutputs {
    /// No outputs yet.
    pub(super) fn new(node: Node, label: bool) -> Self {
        Self { node, label, ends: BTreeMap::new(), readers: Vec::new(), unread: Rc::default() }
    }

    /// Shows what a task prints, from now on.
    pub(super) fn follow(&mut self, framework_id: &FrameworkId, task_id: &TaskId, agent: &str) {
        let (end, ended) = watch::channel(false);
        self.ends.insert(task_id.clone(), end);
        let agent: Peer<AgentForClients> = self.node.peer_at(&Endpoint::new(agent), "agent");
        for file in [SandboxFile::Stdout, SandboxFile::Stderr] {
            let label = if self.label { format!("{task_id}: ") } else { String::new() };
            let reader = Reader {
                agent: agent.clone(),
                framework_id: framework_id.clone(),
                task_id: task_id.clone(),
                ended: ended.clone(),
                sink: Sink { file, label, line: Vec::new() },
                unread: Rc::clone(&self.unread),
            };
            self.readers.push(actix_rt::spawn(reader.read()));
        }
    }

    /// Resolves when nobody reads any more what is shown, as after `| head`.
    pub(super) async fn unread(&self) {
        self.unread.notified().await;
    }

    /// The task has ended: what it has printed by now is all.
    pub(super) fn ended(&self, task_id: &TaskId) {
        if let Some(end) = self.ends.get(task_id) {
            end.send_replace(true);
        }
    }

    /// Waits until all is shown.
    pub(super) async fn finish(self) {
        for end in self.ends.values() {
            end.send_replace(true);
        }
        for reader in self.readers {
            if let Err(error) = reader.await {
                warn!(%error, "the output of a task is not complete");
            }
        }
    }
}

/// Reads one file of one task.
struct Reader {
    agent: Peer<AgentForClients>,
    framework_id: FrameworkId,
    task_id: TaskId,
    ended: watch::Receiver<bool>,
    sink: Sink,
    unread: Rc<Notify>,
}

impl Reader {
    async fn read(mut self) {
        let (mut offset, mut out_of_reach) = (0, None);
        loop {
            // Looked at first: only an answer that was asked for behind the end can be the last.
            let has_ended = *self.ended.borrow();
            match self.piece(offset).await {
                Ok(Ok(SandboxChunk { data, complete })) => {
                    offset += data.len() as u64;
                    out_of_reach = None;
                    if self.sink.take(&data).is_err() {
                        return self.unread.notify_one();
                    }
                    if complete {
                        break;
                    }
                }
                Ok(Err(ReadSandboxError::UnknownTask(_))) | Err(_) if !has_ended => {
                    tokio::time::sleep(RETRY_WAIT).await;
                }
                // A task that never ran has printed nothing; that is no loss.
                Ok(Err(ReadSandboxError::UnknownTask(_))) => break,
                Ok(Err(error)) => break self.give_up(&error),
                Err(error) => {
                    let since: &mut Instant = out_of_reach.get_or_insert_with(Instant::now);
                    if since.elapsed() >= REST_WAIT_MAX {
                        break self.give_up(&error);
                    }
                    tokio::time::sleep(RETRY_WAIT).await;
                }
            }
        }
        // Whoever does not read any more does not want the rest either.
        let _ = self.sink.end();
    }

    async fn piece(&self, offset: u64) -> Result<Result<SandboxChunk, ReadSandboxError>, PeerError> {
        let question = ReadSandbox {
            framework_id: self.framework_id.clone(),
            task_id: self.task_id.clone(),
            file: self.sink.file,
            offset,
            wait: READ_WAIT,
        };
        self.agent.send_within(question, READ_WAIT + ANSWER_WAIT_MAX).await
    }

    fn give_up(&self, error: &impl std::fmt::Display) {
        // The end of the task is told to the person anyway, and with it that the agent is gone.
        info!(task = %self.task_id, file = ?self.sink.file, %error, "the rest of the output is lost");
    }
}

/// Writes to standard output or error; with a label in whole lines, so that those of several tasks do not mix.
struct Sink {
    file: SandboxFile,
    label: String,
    line: Vec<u8>,
}

impl Sink {
    fn take(&mut self, data: &[u8]) -> std::io::Result<()> {
        if self.label.is_empty() {
            return self.write(data);
        }
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() >= LINE_BYTES_MAX {
                self.write_line()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        // The label of another task comes next, on a line of its own.
        self.line.push(b'\n');
        self.write_line()
    }

    fn write_line(&mut self) -> std::io::Result<()> {
        let line = [self.label.as_bytes(), &std::mem::take(&mut self.line)].concat();
        self.write(&line)
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        match self.file {
            SandboxFile::Stdout => write_all(&mut std::io::stdout().lock(), bytes),
            SandboxFile::Stderr => write_all(&mut std::io::stderr().lock(), bytes),
        }
    }
}

fn write_all(stream: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}
