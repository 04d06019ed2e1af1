//! Topics: who subscribes where, and what publishers send straight to subscribers.
//!
//! The registry of topics knows subscribers and tells publishers of them; no message of a topic passes through it.

use super::directory::Revision;
use crate::deployment::ActorLocation;
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The name behind which the registry of topics is exported, on the node of the master.
pub const TOPICS: &str = "topics";
/// How long a subscriber is known after it has been heard of; the end of its actor is heard of at once.
pub const SUBSCRIBER_LEASE: Duration = Duration::from_secs(20);
/// How often a subscriber is heard of.
pub const SUBSCRIBER_RENEWAL: Duration = Duration::from_secs(5);
/// The most bytes of the name of a topic.
pub const TOPIC_BYTES_MAX: usize = 255;

interface! {
    /// What the registry of topics hears.
    pub TopicRegistryApi: SubscribeToTopic, WatchTopic
}

/// Sends what is published on a topic to an actor, until it has ended or its lease is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeToTopic {
    /// The topic, which exists as long as somebody asks for it.
    pub topic: String,
    /// The wire name of its messages.
    pub message: String,
    /// The actor, which hears [`Published`].
    pub subscriber: ActorLocation,
}
remote_message!(SubscribeToTopic => Result<(), TopicError>, "topics.v1.Subscribe");

/// Asks for the subscribers of a topic, once they are others than those that were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchTopic {
    /// The topic.
    pub topic: String,
    /// The wire name of its messages.
    pub message: String,
    /// What the last answer said; without, the answer comes at once.
    #[serde(default)]
    pub seen: Option<Revision>,
}
remote_message!(WatchTopic => Result<TopicSeen, TopicError>, "topics.v1.WatchTopic");

/// The subscribers of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSeen {
    /// To be told with the next question.
    pub revision: Revision,
    /// Whether these are all. A registry that has just begun does not know those yet that have not renewed.
    pub complete: bool,
    /// All that are known; none if nothing has changed.
    pub subscribers: Option<Vec<ActorLocation>>,
}

/// Why there is no subscription, or no word of subscribers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TopicError {
    /// It cannot be the name of a topic. A retry fails the same way.
    #[error("the name of a topic has 1 to {TOPIC_BYTES_MAX} bytes, this one has {0}")]
    Name(usize),
    /// The topic carries another message. A retry fails as long as somebody asks for it.
    #[error("the topic {topic} carries {carries}, not {asked}")]
    OtherMessage {
        /// The topic.
        topic: String,
        /// What it carries.
        carries: String,
        /// What was asked for.
        asked: String,
    },
    /// There are as many as may be. A retry helps later.
    #[error("there are {limit} {what} already, which is the limit")]
    TooMany {
        /// Of what.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// The registry that held the question has ended. A retry finds another one, or none.
    #[error("the registry of topics has ended")]
    Ended,
}

/// A message of a topic, from a publisher to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Who has published it.
    pub publisher: PublisherId,
    /// Counts what the publisher has published, from 1: a gap is what the subscriber has missed.
    pub number: u64,
    /// The message, encoded once for all subscribers.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}
remote_message!(Published => (), "topics.v1.Published");

/// Names a publisher; a new one has a new name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublisherId {
    /// Its node.
    pub node: String,
    /// Which run of the node.
    pub incarnation: u64,
    /// Tells the publishers of one run apart.
    pub number: u64,
}
