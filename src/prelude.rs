//! What most programs on top of Odeon use, in one import.

pub use actix::prelude::{Actor, Context, Handler};
pub use odeon_executor::{
    ActorStart, Deployable, Directory, FollowedActors, FollowedGroup, FollowedMembers, GroupChange, KeyedActors,
    MemberNews, Messages, NamedActor, Publisher, SubscribeError, Subscription, Task, TaskContext, TaskFailure,
    TopicEvent,
};
pub use odeon_framework::{Call, Calls, Outcome, Scheduler};
pub use odeon_learning::trainable::{LabelledRows, SecondDerivatives, Target, Trainable};
pub use odeon_protocol::deployment::{DeploymentName, DeploymentSpec};
pub use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
pub use odeon_protocol::framework::FrameworkInfo;
pub use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
pub use odeon_protocol::messages::deployments::{ActorState, ActorSummary, GetActors};
pub use odeon_protocol::offer::{Filters, Offer};
pub use odeon_protocol::resources::{Resources, Scalar};
pub use odeon_protocol::restart::RestartPolicy;
pub use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus, Work};
pub use odeon_runtime::{
    ActorPanic, Endpoint, Exports, Group, HandOver, Node, OnPanic, PanicPolicy, Peer, PeerError, Reply,
    SupervisedState, SupervisorSpec,
};

pub use crate::app::Environment;
pub use crate::cluster::LocalCluster;
pub use crate::config::LocalConfig;
pub use crate::deployments::Deployments;
pub use crate::exit::Exit;
pub use crate::failure::{Failure, OrExit};
pub use crate::{app, interface, remote_message};
