//! Launching tasks on offers: each task is checked in turn against what is left, and refused by an update.
//!
//! A refused task changes nothing; those behind it are still looked at.

use super::offers::{by_class, refusal};
use super::tasks::{Takes, Task, word_of_master};
use super::{MasterCore, MasterOutbox};
use crate::effect::AgentCommand;
use odeon_protocol::framework::Capability;
use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use odeon_protocol::messages::master_agent::LaunchTask;
use odeon_protocol::messages::master_scheduler::{AcceptOffers, CallError};
use odeon_protocol::messages::reservations::ReservationError;
use odeon_protocol::moment::Moment;
use odeon_protocol::resources::{Resources, ResourcesError, TypedResources};
use odeon_protocol::role::Role;
use odeon_protocol::task::{StatusReason, TaskInfo, TaskState};
use odeon_runtime::NodeId;
use std::collections::BTreeSet;

/// What accepted offers have in common, and what is left of their sum.
pub(super) struct Pool {
    pub(super) framework_id: FrameworkId,
    pub(super) agent_id: AgentId,
    pub(super) role: Role,
    pub(super) left: TypedResources,
}

/// Why offers cannot be used together; all tasks on them are dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum OffersInvalid {
    #[error("no offer is named")]
    None,
    #[error("offer {0} is named twice")]
    Twice(OfferId),
    #[error("offer {0} is not valid any more")]
    Void(OfferId),
    #[error("offer {0} is of another agent or role than the first")]
    Mixed(OfferId),
    #[error("operation {0} on the offers cannot be done: {1}")]
    Operation(usize, ReservationError),
}

/// Why one task is not launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TaskInvalid {
    #[error("the task id {0} is in use")]
    InUse(TaskId),
    #[error("the task names no resources")]
    NoResources,
    #[error("the command names no program")]
    NoProgram,
    #[error("the executor id {0} is in use on the agent by an executor that differs")]
    ExecutorDiffers(ExecutorId),
    #[error("the task does not fit the offers: {0}")]
    DoesNotFit(#[source] ResourcesError),
}

impl TaskInvalid {
    fn reason(&self) -> StatusReason {
        match self {
            Self::DoesNotFit(_) => StatusReason::ResourcesUnknown,
            _ => StatusReason::TaskInvalid,
        }
    }
}

impl MasterCore {
    /// Uses offers up: launches what can be launched, and gives the rest back.
    ///
    /// # Errors
    /// [`CallError`]; nothing has changed then. What is wrong with offers and tasks is told by updates.
    pub fn on_accept_offers(
        &mut self,
        node: &NodeId,
        message: AcceptOffers,
        now: Moment,
        out: &mut MasterOutbox,
    ) -> Result<(), CallError> {
        let AcceptOffers { framework_id, offer_ids, operations, tasks, filters } = message;
        self.check_caller(&framework_id, node)?;
        if let Err(invalid) = self.check_offers(&framework_id, &offer_ids) {
            self.drop_tasks(&framework_id, &offer_ids, tasks, &invalid, now, out);
            let unusable = CallError::OffersUnusable(invalid.to_string());
            return if operations.is_empty() { Ok(()) } else { Err(unusable) };
        }
        if let Err((index, cause)) = self.check_operations(&offer_ids, &operations) {
            let why = OffersInvalid::Operation(index, cause.clone());
            self.drop_tasks(&framework_id, &offer_ids, tasks, &why, now, out);
            return Err(CallError::Operation { index, cause });
        }
        let mut pool = self.take_pool(&framework_id, &offer_ids);
        self.operate(&mut pool, &operations, out);
        for task in tasks {
            match self.check_task(&pool, &task) {
                Ok(takes) => {
                    let taken = [&takes.task, &takes.executor].into_iter().try_for_each(|part| pool.left.take(part));
                    taken.expect("it was checked");
                    self.launch(&pool, task, &takes, now, out);
                }
                Err(invalid) => self.refuse_task(&pool, &task.task_id, &invalid, now, out),
            }
        }
        self.give_back(&framework_id, &pool.role, &pool.agent_id, &pool.left, refusal(filters), now);
        Ok(())
    }

    fn check_offers(&self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Result<(), OffersInvalid> {
        let mut named = BTreeSet::new();
        let mut first = None;
        for offer_id in offer_ids {
            if !named.insert(offer_id) {
                return Err(OffersInvalid::Twice(offer_id.clone()));
            }
            let theirs = self.offers.get(offer_id).filter(|offer| offer.framework_id == *framework_id);
            let offer = theirs.ok_or_else(|| OffersInvalid::Void(offer_id.clone()))?;
            let place = (&offer.agent_id, &offer.role);
            if *first.get_or_insert(place) != place {
                return Err(OffersInvalid::Mixed(offer_id.clone()));
            }
        }
        if first.is_some() { Ok(()) } else { Err(OffersInvalid::None) }
    }

    /// Answers for the tasks on offers that cannot be used; the good ones among the offers are used up as well.
    fn drop_tasks(
        &mut self,
        framework_id: &FrameworkId,
        offer_ids: &[OfferId],
        tasks: Vec<TaskInfo>,
        invalid: &OffersInvalid,
        now: Moment,
        out: &mut MasterOutbox,
    ) {
        for offer_id in offer_ids {
            if self.offers.get(offer_id).is_some_and(|offer| offer.framework_id == *framework_id) {
                self.return_offer(offer_id, None, now);
            }
        }
        for task in tasks {
            let status = word_of_master(&task.task_id, TaskState::Dropped, None, now);
            self.tell_status(framework_id, status.because(StatusReason::InvalidOffers, invalid.to_string()), out);
        }
    }

    /// Ends offers that were checked; their sum is still charged to the framework in the allocator.
    fn take_pool(&mut self, framework_id: &FrameworkId, offer_ids: &[OfferId]) -> Pool {
        let mut taken = offer_ids.iter().filter_map(|offer_id| self.take_offer(offer_id));
        let first = taken.next().expect("there is an offer, as was checked");
        let left = taken.fold(by_class(&first), |sum, offer| sum_of_disjoint(&sum, &by_class(&offer)));
        Pool { framework_id: framework_id.clone(), agent_id: first.agent_id, role: first.role, left }
    }

    /// Checks a task; returns what it takes.
    fn check_task(&self, pool: &Pool, task: &TaskInfo) -> Result<Takes, TaskInvalid> {
        let framework = &self.frameworks[&pool.framework_id];
        if framework.tasks.contains_key(&task.task_id) {
            return Err(TaskInvalid::InUse(task.task_id.clone()));
        }
        if task.resources.is_empty() {
            return Err(TaskInvalid::NoResources);
        }
        if task.work.command().is_some_and(|command| command.argv.first().is_none_or(String::is_empty)) {
            return Err(TaskInvalid::NoProgram);
        }
        let mut left = pool.left.clone();
        let part = take_part(&mut left, &pool.role, &task.resources).map_err(TaskInvalid::DoesNotFit)?;
        let executor = task.executor();
        let executors = &self.agents[&pool.agent_id].executors;
        match executors.get(&(pool.framework_id.clone(), executor.executor_id.clone())) {
            Some(running) if running.info != *executor => {
                Err(TaskInvalid::ExecutorDiffers(executor.executor_id.clone()))
            }
            Some(_) => Ok(Takes { task: part, executor: TypedResources::empty() }),
            None => {
                let taken = take_part(&mut left, &pool.role, &executor.resources);
                Ok(Takes { task: part, executor: taken.map_err(TaskInvalid::DoesNotFit)? })
            }
        }
    }

    fn refuse_task(&self, pool: &Pool, task_id: &TaskId, invalid: &TaskInvalid, now: Moment, out: &mut MasterOutbox) {
        let status = word_of_master(task_id, TaskState::Error, Some(&pool.agent_id), now);
        self.tell_status(&pool.framework_id, status.because(invalid.reason(), invalid.to_string()), out);
    }

    fn launch(&mut self, pool: &Pool, info: TaskInfo, takes: &Takes, now: Moment, out: &mut MasterOutbox) {
        let agent = self.agents.get_mut(&pool.agent_id).expect("the agent of an offer is there");
        let charged = agent.charge_task(&pool.framework_id, &pool.role, &info, takes);
        charged.expect("what was offered is used by nobody else");
        let mut task = Task::new(info.clone(), pool.agent_id.clone(), pool.role.clone(), TaskState::Staging, now);
        task.set_charged(&takes.task);
        self.add_task(&pool.framework_id, task);
        let framework = self.frameworks.get(&pool.framework_id).map(|framework| &framework.info);
        let launch = LaunchTask {
            epoch: self.epoch,
            framework_id: pool.framework_id.clone(),
            role: pool.role.clone(),
            task: info,
            checkpoint: framework.is_some_and(|info| info.checkpoint),
            killing_state: framework.is_some_and(|info| info.capabilities.contains(&Capability::TaskKillingState)),
        };
        self.command(&pool.agent_id, AgentCommand::Launch(Box::new(launch)), out);
    }
}

/// Takes so much of what is left, what is reserved for the role first.
///
/// # Errors
/// If there is less; nothing has changed.
fn take_part(left: &mut TypedResources, role: &Role, wanted: &Resources) -> Result<TypedResources, ResourcesError> {
    let part = left.part_for(role, wanted);
    let in_all = |left: &TypedResources| left.quantities().and_then(|all| all.checked_sub(wanted));
    left.take(&part).map_err(|short| in_all(left).err().unwrap_or(short))?;
    Ok(part)
}

/// The sum of offers.
pub(super) fn sum_of_disjoint(sum: &TypedResources, more: &TypedResources) -> TypedResources {
    sum.checked_add(more).expect("offers of one agent are disjoint")
}
