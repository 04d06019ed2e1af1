//! Answers clients that read what tasks print; waits for a while if there is nothing yet.
//!
//! Files are read off the arbiter; whether a task has ended is asked of the agent before each read, so
//! that an output called complete is complete.

use crate::actor::{AgentActor, LocateSandbox};
use crate::core::SandboxLocation;
use crate::sandbox::{Piece, Sandboxes};
use actix::Addr;
use odeon_protocol::messages::sandbox::{READ_WAIT_MAX, ReadSandbox, ReadSandboxError, SandboxChunk};
use std::io;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// Between two looks at a file that has nothing new.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) async fn read_sandbox(
    agent: Addr<AgentActor>,
    sandboxes: Sandboxes,
    message: ReadSandbox,
) -> Result<SandboxChunk, ReadSandboxError> {
    let until = Instant::now() + message.wait.min(READ_WAIT_MAX);
    loop {
        let wanted = LocateSandbox { framework_id: message.framework_id.clone(), task_id: message.task_id.clone() };
        let location = agent.send(wanted).await.ok().flatten();
        let location = location.ok_or_else(|| ReadSandboxError::UnknownTask(message.task_id.clone()))?;
        let is_complete = location.is_complete;
        let piece = read_piece(sandboxes.clone(), location, &message)
            .await
            .map_err(|error| ReadSandboxError::Io { task_id: message.task_id.clone(), cause: error.to_string() })?;
        if !piece.data.is_empty() || is_complete || Instant::now() >= until {
            return Ok(SandboxChunk { data: piece.data, complete: is_complete && piece.at_end });
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

async fn read_piece(sandboxes: Sandboxes, location: SandboxLocation, message: &ReadSandbox) -> io::Result<Piece> {
    let (task_id, file, offset) = (message.task_id.clone(), message.file, message.offset);
    let read = spawn_blocking(move || sandboxes.read(&location.place, &task_id, file, offset));
    read.await.map_err(io::Error::other).and_then(|read| read)
}
