//! What those ask who follow a list that changes: the next state of it, once it is another than the one they have seen.
//!
//! A question of this kind is held until there is something to tell. Who asks again after each answer follows the list; a
//! broken link or a new run of the one who answers is mended by the next question.

use super::deployments::{ActorSummary, GetActors};
use crate::remote_message;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a question is held at most when nothing changes.
pub const HELD_FOR: Duration = Duration::from_secs(20);
/// How long the asker waits for the answer.
pub const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Which state of a list was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Tells one run of the one who answers from another; their numbers have nothing to do with each other.
    pub run: u64,
    /// Counts changes.
    pub number: u64,
}

/// Asks the deployer for actors, once they are others than those that were seen or do something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchActors {
    /// Which ones.
    pub wanted: GetActors,
    /// What the last answer said; without, the answer comes at once.
    #[serde(default)]
    pub seen: Option<Revision>,
}
remote_message!(WatchActors => Result<ActorsSeen, WatchError>, "deployer.v1.WatchActors");

/// The actors as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorsSeen {
    /// To be told with the next question.
    pub revision: Revision,
    /// All that were asked for; none if nothing has changed for [`HELD_FOR`].
    pub actors: Option<Vec<ActorSummary>>,
}

/// Why a question for changes is not held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WatchError {
    /// As many are held as may be. A retry helps later.
    #[error("{0} questions wait for a change already, which is the limit")]
    TooMany(usize),
    /// The one who held the question has ended. A retry finds another one, or none.
    #[error("the one who was asked has ended")]
    Ended,
}
