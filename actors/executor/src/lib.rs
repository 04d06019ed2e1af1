//! The executor: runs tasks, hosts deployed actors, and has the traits that users implement for theirs.
//!
//! An agent starts an executor process, which calls [`run_executor`]. Deliberately absent: resource
//! limits, which the agent puts around the process, and recovery of an executor that has ended itself.

pub mod core;
pub mod effect;
pub mod settings;

mod actor;
mod command;
mod deployable;
mod directory;
mod doorway;
mod end;
mod followed;
mod followed_group;
mod followed_members;
mod host;
mod host_lease;
mod json_door;
mod keyed;
mod leaders;
mod messages;
mod node;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(test)]
mod paper_task;
mod probe;
mod publisher;
mod registry;
mod runner;
mod strict_json;
mod subscription;
mod surroundings;
mod task;
mod topic_inbox;

pub use deployable::{ActorStart, Deployable};
pub use directory::{Directory, DirectoryError, FOUND_WITHIN, NamedActor};
pub use end::{ExecutorEnd, TaskEnd};
pub use followed::FollowedActors;
pub use followed_group::{FollowedGroup, GroupChange};
pub use followed_members::{FollowedMembers, MemberNews};
pub use keyed::KeyedActors;
pub use messages::Messages;
pub use node::{RunExecutorError, run_executor};
pub use publisher::{Handed, Publisher};
pub use registry::{RegisterTaskError, TaskRegistry};
pub use settings::{ExecutorSettings, SettingsError};
pub use subscription::{SubscribeError, Subscription, TopicEvent};
pub use task::{Task, TaskContext, TaskFailure};
