//! Between master and the schedulers of frameworks.

use super::reservations::ReservationError;
use crate::framework::FrameworkInfo;
use crate::id::{AgentId, FrameworkId, MasterId, OfferId, StatusUuid, TaskId};
use crate::offer::{Filters, Offer};
use crate::resources::{Resources, TypedResources};
use crate::role::Role;
use crate::task::{TaskInfo, TaskStatus};
use crate::{interface, remote_message};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

interface! {
    /// What the master hears from schedulers.
    pub MasterForSchedulers: Subscribe, AcceptOffers, DeclineOffers, ReviveOffers, SuppressOffers,
        DeclareDemand, KillFrameworkTask, AcknowledgeUpdates, ReconcileTasks, TeardownFramework
}

interface! {
    /// What a scheduler hears from the master.
    pub SchedulerForMaster: OffersMade, OfferRescinded, ReturnWanted, TasksUpdated, AgentLost, FrameworkFailed
}

/// Makes the sender the scheduler of a framework; the newest subscriber wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// The id of an earlier subscription, to take up its tasks again.
    pub framework_id: Option<FrameworkId>,
    /// What the framework says about itself.
    pub info: FrameworkInfo,
    /// Roles that want no offers for now.
    #[serde(default)]
    pub suppressed: BTreeSet<Role>,
    /// The actor on the sender's node that hears the events.
    pub actor: String,
}
remote_message!(Subscribe => Result<Subscribed, SubscribeError>, "master.v1.Subscribe");

/// The answer to a subscriber.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// The id of the framework: the one that it brought, or a new one.
    pub framework_id: FrameworkId,
    /// The run of the master.
    pub master_id: MasterId,
}

/// Why a framework is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The framework has ended, and its id with it.
    #[error("framework {0} has been removed; subscribe without an id")]
    Removed(FrameworkId),
    /// The master never gave out that id.
    #[error("framework {0} is not known; subscribe without an id")]
    Unknown(FrameworkId),
    /// A role is suppressed that the framework does not have.
    #[error("role {0} is suppressed but is not a role of the framework")]
    SuppressedRole(Role),
    /// The name of the actor that should hear the events cannot be one.
    #[error("{0:?} is not the name of an actor")]
    Actor(String),
    /// The master has as many frameworks as it takes. A retry helps when one has ended.
    #[error("the master takes no more than {max} frameworks")]
    TooMany {
        /// How many it takes.
        max: usize,
    },
}

/// Uses offers of one agent and role; what the tasks leave goes back, refused for the time of the filters.
///
/// A task that cannot be launched is answered by an update, not by an error of the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptOffers {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The offers, used up by the call.
    pub offer_ids: Vec<OfferId>,
    /// What is done to their sum before anything is launched, in this order: all of it or, if one cannot be done,
    /// nothing, and then no task is launched either.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<OfferOperation>,
    /// What is launched on their sum, in this order.
    pub tasks: Vec<TaskInfo>,
    /// For what is left.
    #[serde(default)]
    pub filters: Filters,
}
remote_message!(AcceptOffers => Result<(), CallError>, "master.v1.AcceptOffers");

/// The most operations of one call.
pub const OPERATIONS_MAX: usize = 64;

/// What is done to offered resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferOperation {
    /// Keeps resources for the role of the offers, until they are unreserved.
    Reserve {
        /// As they are offered: plain, or reserved for a role above.
        resources: TypedResources,
        /// Free words that make it another reservation.
        #[serde(default)]
        labels: BTreeMap<String, String>,
    },
    /// Ends the last reservation of resources.
    Unreserve {
        /// As they are offered.
        resources: TypedResources,
    },
}

/// Gives offers back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclineOffers {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The offers.
    pub offer_ids: Vec<OfferId>,
    /// For how long they are not wanted.
    #[serde(default)]
    pub filters: Filters,
}
remote_message!(DeclineOffers => Result<(), CallError>, "master.v1.DeclineOffers");

/// Wants offers again: ends suppression and filters, of the given roles or, if there is none, of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviveOffers {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The roles.
    pub roles: BTreeSet<Role>,
}
remote_message!(ReviveOffers => Result<(), CallError>, "master.v1.ReviveOffers");

/// Wants no offers, under the given roles or, if there is none, under all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressOffers {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The roles.
    pub roles: BTreeSet<Role>,
}
remote_message!(SuppressOffers => Result<(), CallError>, "master.v1.SuppressOffers");

/// The most units of one declaration.
pub const DEMAND_UNITS_MAX: usize = 64;

/// Says what the framework waits for, in place of what it said before: only offers that hold one of the units are made
/// to it, and a role of a priority may take back for it what others hold above their even part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclareDemand {
    /// The framework.
    pub framework_id: FrameworkId,
    /// Under which roles; under all of the framework if there is none.
    #[serde(default)]
    pub roles: BTreeSet<Role>,
    /// What one task takes, for each kind of task; without a list any offer is welcome. At most [`DEMAND_UNITS_MAX`].
    #[serde(default)]
    pub units: Option<Vec<Resources>>,
}
remote_message!(DeclareDemand => Result<(), CallError>, "master.v1.DeclareDemand");

/// Ends a task of the framework; the answer is an update of the task, `TASK_LOST` if nobody knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillFrameworkTask {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The task.
    pub task_id: TaskId,
}
remote_message!(KillFrameworkTask => Result<(), CallError>, "master.v1.KillFrameworkTask");

/// Tells that the scheduler has taken note of updates that have a uuid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgeUpdates {
    /// The updates, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub updates: Vec<AcknowledgeUpdate>,
}
remote_message!(AcknowledgeUpdates => Result<(), CallError>, "master.v1.AcknowledgeUpdates");

/// An update that the scheduler has taken note of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgeUpdate {
    /// The framework.
    pub framework_id: FrameworkId,
    /// Where the task runs or ran.
    pub agent_id: AgentId,
    /// The task.
    pub task_id: TaskId,
    /// The update.
    pub uuid: StatusUuid,
}

/// Asks for the state of tasks, or of all that are not ended if none is named; each is answered by an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileTasks {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The tasks, and where they are believed to be.
    pub tasks: Vec<(TaskId, Option<AgentId>)>,
}
remote_message!(ReconcileTasks => Result<(), CallError>, "master.v1.ReconcileTasks");

/// Ends the framework, its tasks and executors; its id is not usable any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeardownFramework {
    /// The framework.
    pub framework_id: FrameworkId,
}
remote_message!(TeardownFramework => Result<(), CallError>, "master.v1.TeardownFramework");

/// Why a call is refused; nothing has changed, where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallError {
    /// The framework is not known or has ended. Subscribe anew.
    #[error("framework {0} is not known")]
    UnknownFramework(FrameworkId),
    /// The sender is not the scheduler of the framework. A newer one has taken over.
    #[error("the sender is not subscribed as framework {0}")]
    NotSubscribed(FrameworkId),
    /// A role is named that the framework does not have.
    #[error("role {0} is not a role of the framework")]
    UnknownRole(Role),
    /// Too much is waited for in one declaration. Name fewer kinds of tasks, or none.
    #[error("{0} units are over the limit of {DEMAND_UNITS_MAX}")]
    TooManyUnits(usize),
    /// An operation on offers cannot be done. None was, the tasks of the call are dropped, and the offers are given back.
    #[error("operation {index} on the offers cannot be done: {cause}")]
    Operation {
        /// Which, counted from 0.
        index: usize,
        /// Why.
        cause: ReservationError,
    },
    /// Operations are asked for on offers that cannot be used. The tasks of the call are dropped.
    #[error("the operations were not done: {0}")]
    OffersUnusable(String),
}

/// Offers resources; the scheduler accepts or declines each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffersMade {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The offers.
    pub offers: Vec<Offer>,
}
remote_message!(OffersMade => (), "scheduler.v1.OffersMade");

/// Takes an offer back; using it has no effect any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferRescinded {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The offer.
    pub offer_id: OfferId,
}
remote_message!(OfferRescinded => (), "scheduler.v1.OfferRescinded");

/// A role of a higher priority waits for what the framework holds above its even part. Tasks that are ended before the
/// time is over are the framework's choice; then as many are killed as it takes, with the reason
/// `REASON_CONTAINER_PREEMPTED`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnWanted {
    /// The framework.
    pub framework_id: FrameworkId,
    /// Under which role it holds them.
    pub role: Role,
    /// Of which agent.
    pub agent_id: AgentId,
    /// How much.
    pub resources: Resources,
    /// Under which role they are waited for.
    pub claimant_role: Role,
    /// How long there is.
    pub within: Duration,
}
remote_message!(ReturnWanted => (), "scheduler.v1.ReturnWanted");

/// Reports about tasks, in this order; one with a uuid comes again until it is acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TasksUpdated {
    /// The reports, at most [`BATCH_ITEMS_MAX`](crate::batch::BATCH_ITEMS_MAX) of them.
    pub updates: Vec<TaskUpdated>,
}
remote_message!(TasksUpdated => (), "scheduler.v1.TasksUpdated");

/// A report about a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskUpdated {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The report.
    pub status: TaskStatus,
}

/// Tells that an agent is out of reach; its tasks have updates of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLost {
    /// The framework.
    pub framework_id: FrameworkId,
    /// The agent.
    pub agent_id: AgentId,
}
remote_message!(AgentLost => (), "scheduler.v1.AgentLost");

/// Tells a scheduler that it is not one any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkFailed {
    /// The framework.
    pub framework_id: FrameworkId,
    /// Why, for people.
    pub message: String,
}
remote_message!(FrameworkFailed => (), "scheduler.v1.FrameworkFailed");
