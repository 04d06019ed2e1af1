//! The actors of a cluster, or some of them, kept up to date by asking the deployer for the next change.

use crate::directory::{Directory, DirectoryError};
use odeon_protocol::messages::deployments::{ActorSummary, GetActors};
use odeon_protocol::messages::directory::{ANSWERED_WITHIN, ActorsSeen, Revision, WatchActors};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Before the directory is asked again after it has not answered.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The actors as the directory knew them last. Clones follow by themselves: each hears of each change.
///
/// While the directory does not answer, it stays as it is. Changes that come close together are seen as one.
#[derive(Debug, Clone)]
pub struct FollowedActors(watch::Receiver<Arc<Vec<ActorSummary>>>);

impl Directory {
    /// Follows actors from now on, until the last clone of the result is dropped.
    ///
    /// # Errors
    /// [`DirectoryError`] if the directory does not answer the first question.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn follow(&self, wanted: GetActors) -> Result<FollowedActors, DirectoryError> {
        let first = self.ask_for_change(&wanted, None).await?;
        let (sender, receiver) = watch::channel(Arc::new(first.actors.unwrap_or_default()));
        tokio::spawn(self.clone().keep_asking(wanted, first.revision, sender));
        Ok(FollowedActors(receiver))
    }

    async fn keep_asking(self, wanted: GetActors, mut seen: Revision, sender: watch::Sender<Arc<Vec<ActorSummary>>>) {
        loop {
            let answer = tokio::select! {
                answer = self.ask_for_change(&wanted, Some(seen)) => answer,
                () = sender.closed() => return,
            };
            match answer {
                Ok(ActorsSeen { revision, actors }) => {
                    seen = revision;
                    if let Some(actors) = actors {
                        sender.send_if_modified(|known| {
                            let is_other = **known != actors;
                            if is_other {
                                *known = Arc::new(actors);
                            }
                            is_other
                        });
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the actors that are followed may have changed unseen");
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        }
    }

    async fn ask_for_change(&self, wanted: &GetActors, seen: Option<Revision>) -> Result<ActorsSeen, DirectoryError> {
        let question = WatchActors { wanted: wanted.clone(), seen };
        let answer = self.deployer.send_within(question, ANSWERED_WITHIN).await;
        Ok(answer.map_err(DirectoryError::Directory)??)
    }
}

impl FollowedActors {
    /// The actors now, in the order of their names.
    #[must_use]
    pub fn now(&self) -> Arc<Vec<ActorSummary>> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits until they are others, or do something else, than at the last call or at the start; nothing is missed but
    /// what was undone meanwhile. Never resolves if the runtime on which they are followed has ended.
    pub async fn changed(&mut self) -> Arc<Vec<ActorSummary>> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}
