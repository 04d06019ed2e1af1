//! `Mailer`: hands what the agent has for one executor over, in order; tasks that wait together go together.
//!
//! It tries again what may still arrive; that an executor does not take a task is told to the actor.

use crate::effect::ContainerPlace;
use crate::sandbox::Sandboxes;
use futures_util::future::try_join_all;
use odeon_protocol::batch::take_batch;
use odeon_protocol::messages::agent_executor::{EndTask, ExecutorForAgent, RunTask, RunTasks, ShutdownExecutor};
use odeon_protocol::task::TaskInfo;
use odeon_protocol::wire::{Accepts, RemoteMessage};
use odeon_runtime::{Peer, PeerError};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::debug;

/// Letters that may wait for one executor: more than tasks of one batch, which may all be meant for it.
const LETTERS_MAX: usize = 1 << 17;
/// Letters that are under way to one executor.
const UNDER_WAY_MAX: usize = 256;
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
        let mut letters = Vec::new();
        while waiting.recv_many(&mut letters, UNDER_WAY_MAX).await > 0 {
            if let Err(cause) = self.hand_over(letters.drain(..)).await {
                return Some(cause);
            }
        }
        None
    }

    /// Tasks go together up to the next letter of another kind; the first one that is not taken says why.
    async fn hand_over(&self, letters: impl Iterator<Item = Letter>) -> Result<(), String> {
        let mut tasks = Vec::new();
        for letter in letters {
            match letter {
                Letter::Run(task) => tasks.push(*task),
                Letter::End(message) => {
                    self.run(&mut tasks).await?;
                    self.note(self.send(message).await);
                }
                Letter::Shutdown(message) => {
                    self.run(&mut tasks).await?;
                    self.note(self.peer.send(message).await);
                }
            }
        }
        self.run(&mut tasks).await
    }

    /// Hands tasks over, in their order, many in a message.
    async fn run(&self, tasks: &mut Vec<TaskInfo>) -> Result<(), String> {
        let with_sandbox = |task: TaskInfo| {
            let sandbox = self.sandboxes.of_task(&self.place, &task.task_id).to_string_lossy().into_owned();
            RunTask { task, sandbox }
        };
        let mut tasks: VecDeque<RunTask> = tasks.drain(..).map(with_sandbox).collect();
        let batches = std::iter::from_fn(|| Some(take_batch(&mut tasks)).filter(|batch| !batch.is_empty()));
        let sent = batches.map(|tasks| self.send(RunTasks { tasks }));
        try_join_all(sent).await.map(|_| ()).map_err(|error| error.to_string())
    }

    /// An end that does not arrive is no loss: the core kills the executor when its grace is over.
    fn note(&self, delivered: Result<(), PeerError>) {
        if let Err(error) = delivered {
            debug!(container_id = %self.place.container_id, %error, "an executor does not answer");
        }
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
