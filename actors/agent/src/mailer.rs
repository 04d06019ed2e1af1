//! `Mailer`: hands what the agent has for one executor over, in order.
//!
//! It tries again what may still arrive; that an executor does not take a task is told to the actor.

use crate::effect::ContainerPlace;
use crate::sandbox::Sandboxes;
use odeon_protocol::messages::agent_executor::{EndTask, ExecutorForAgent, RunTask, ShutdownExecutor};
use odeon_protocol::task::TaskInfo;
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{Peer, PeerError};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::debug;

/// Letters that may wait for one executor.
const LETTERS_MAX: usize = 4096;
const ATTEMPTS_MAX: u32 = 4;
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Something for an executor.
#[derive(Debug)]
pub(crate) enum Letter {
    Run(Box<TaskInfo>),
    End(EndTask),
    Shutdown(ShutdownExecutor),
}

/// The way to one executor. Dropped, it delivers what it has taken, and ends.
#[derive(Debug)]
pub(crate) struct Mailer {
    letters: mpsc::Sender<Letter>,
}

impl Mailer {
    /// Begins to deliver. The future resolves with the reason when the executor does not take a task.
    pub(crate) fn new(
        peer: Peer<ExecutorForAgent>,
        sandboxes: Sandboxes,
        place: ContainerPlace,
    ) -> (Self, impl Future<Output = Option<String>> + use<>) {
        let (letters, waiting) = mpsc::channel(LETTERS_MAX);
        let route = Route { peer, sandboxes, place };
        (Self { letters }, route.deliver(waiting))
    }

    /// Takes a letter; false if too many wait.
    pub(crate) fn post(&self, letter: Letter) -> bool {
        self.letters.try_send(letter).is_ok()
    }
}

struct Route {
    peer: Peer<ExecutorForAgent>,
    sandboxes: Sandboxes,
    place: ContainerPlace,
}

impl Route {
    async fn deliver(self, mut waiting: mpsc::Receiver<Letter>) -> Option<String> {
        while let Some(letter) = waiting.recv().await {
            let delivered = match letter {
                Letter::Run(task) => match self.run(*task).await {
                    Err(cause) => return Some(cause),
                    Ok(()) => Ok(()),
                },
                // If these do not arrive, the core kills the executor when their grace is over.
                Letter::End(message) => self.send(message).await,
                Letter::Shutdown(message) => self.peer.send(message).await,
            };
            if let Err(error) = delivered {
                debug!(container_id = %self.place.container_id, %error, "an executor does not answer");
            }
        }
        None
    }

    async fn run(&self, task: TaskInfo) -> Result<(), String> {
        let path = self.sandboxes.of_task(&self.place, &task.task_id);
        let sandbox = path.to_string_lossy().into_owned();
        let made = tokio::task::spawn_blocking(move || Sandboxes::make(&path)).await;
        let made = made.map_err(std::io::Error::other).and_then(|made| made);
        made.map_err(|error| format!("cannot make {sandbox}: {error}"))?;
        self.send(RunTask { task, sandbox }).await.map_err(|error| error.to_string())
    }

    async fn send<M>(&self, message: M) -> Result<(), PeerError>
    where
        M: RemoteMessage<Result = ()> + Clone,
        ExecutorForAgent: Accepts<M>,
    {
        let mut attempts = 1;
        loop {
            match self.peer.send(message.clone()).await {
                Err(error) if error.retry_can_help() && attempts < ATTEMPTS_MAX => attempts += 1,
                answered => return answered,
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}
