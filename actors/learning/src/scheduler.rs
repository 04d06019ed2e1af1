//! The scheduler of a training job: keeps the wanted number of workers running, spread over agents.
//!
//! It knows tasks and offers, not models; what workers compute is between them and the coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

use odeon_framework::{Calls, Outcome, Scheduler};
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, TaskId};
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::{MEM, Resources, Scalar};
use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus, Work};

use crate::messages::WorkerId;
use crate::worker::{WorkerAssignment, WorkerTask};

/// Workers that may be started in place of lost ones, over the life of a job.
const REPLACEMENTS_MAX: u32 = 100;
/// How long workers may take to finish when the training has ended; then they are killed.
const FINISH_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long offers are refused while no worker is missing; a revival ends the refusal.
const REFUSE_WHILE_FULL: Filters = Filters { refuse: Duration::from_secs(3600) };
/// What the process around an agent's workers takes, in MiB.
const HOST_MEM_MIB: u64 = 32;

/// A worker's task as the scheduler knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerRecord {
    /// Its name for people.
    pub name: String,
    /// Its newest state.
    pub state: TaskState,
    /// Where it runs or ran.
    pub agent_id: AgentId,
    /// Why, for people.
    pub message: String,
}

/// Hears that a worker's task has ended while the training goes on, and how.
pub type OnWorkerEnded = Box<dyn FnMut(WorkerId, String)>;

/// Starts workers on offers and replaces those that are lost.
pub struct TrainingScheduler {
    wanted: u32,
    resources: Resources,
    data: Vec<u8>,
    tasks: BTreeMap<TaskId, WorkerRecord>,
    launched: u32,
    phase: Phase,
    on_worker_ended: OnWorkerEnded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Training,
    /// The training has ended; the workers are finishing, until the deadline once it is known.
    Finishing {
        deadline: Option<Duration>,
    },
    Done,
}

impl TrainingScheduler {
    /// A scheduler for so many workers, each with these resources.
    #[must_use]
    pub fn new(
        workers: u32,
        resources: Resources,
        assignment: &WorkerAssignment,
        on_worker_ended: OnWorkerEnded,
    ) -> Self {
        let data = serde_json::to_vec(assignment).expect("an address has only text and numbers");
        let (tasks, phase) = (BTreeMap::new(), Phase::Training);
        Self { wanted: workers, resources, data, tasks, launched: 0, phase, on_worker_ended }
    }

    /// The tasks, those that ended included.
    #[must_use]
    pub fn tasks(&self) -> &BTreeMap<TaskId, WorkerRecord> {
        &self.tasks
    }

    /// Takes the tasks out.
    #[must_use]
    pub fn into_tasks(self) -> BTreeMap<TaskId, WorkerRecord> {
        self.tasks
    }

    /// Lets the workers finish; the framework ends when all have.
    pub fn end(&mut self, calls: &mut Calls) {
        if self.phase == Phase::Training {
            self.phase = Phase::Finishing { deadline: None };
            self.finish_if_all_ended(calls);
        }
    }

    fn live(&self) -> usize {
        self.tasks.values().filter(|task| !task.state.is_terminal()).count()
    }

    fn missing(&self) -> usize {
        let replacements_left = (self.wanted + REPLACEMENTS_MAX).saturating_sub(self.launched) as usize;
        match self.phase {
            Phase::Training => (self.wanted as usize).saturating_sub(self.live()).min(replacements_left),
            Phase::Finishing { .. } | Phase::Done => 0,
        }
    }

    fn finish_if_all_ended(&mut self, calls: &mut Calls) {
        if matches!(self.phase, Phase::Finishing { .. }) && self.live() == 0 {
            self.phase = Phase::Done;
            calls.finish(Outcome::Finished);
        }
    }

    fn new_task(&mut self, agent_id: &AgentId) -> TaskInfo {
        let name = format!("worker-{}", self.launched);
        self.launched += 1;
        let task_id = TaskId::new(name.clone()).expect("letters, a dash and digits make an id");
        let record = WorkerRecord {
            name: name.clone(),
            state: TaskState::Staging,
            agent_id: agent_id.clone(),
            message: String::new(),
        };
        self.tasks.insert(task_id.clone(), record);
        let work = Work::Registered {
            executor: worker_host(),
            task_type: <WorkerTask as odeon_executor::Task>::NAME.to_owned(),
            data: self.data.clone(),
        };
        TaskInfo::new(task_id, name, self.resources.clone(), work)
    }
}

/// The process that hosts the workers of one agent.
///
/// # Panics
/// Never: its id is a constant.
#[must_use]
pub fn worker_host() -> ExecutorInfo {
    ExecutorInfo {
        executor_id: ExecutorId::new("workers").expect("letters make an id"),
        name: "training workers".to_owned(),
        resources: Resources::empty().with_scalar(MEM, Scalar::from_whole(HOST_MEM_MIB)),
        program: None,
        binary: None,
    }
}

/// Gives each of `count` workers an offer that holds it, one offer after the other, so that they spread.
///
/// The result has one number of workers for each offer; the first worker of an offer needs a host as well.
fn spread(offers: &[Offer], worker: &Resources, host: &Resources, count: usize) -> Vec<usize> {
    let mut left: Vec<Resources> = offers.iter().map(|offer| offer.resources.clone()).collect();
    let mut placed = vec![0; offers.len()];
    let mut to_place = count;
    let mut progress = true;
    while to_place > 0 && progress {
        progress = false;
        for (left, placed) in left.iter_mut().zip(&mut placed) {
            let with_host = if *placed == 0 { left.checked_sub(host) } else { Ok(left.clone()) };
            let Some(rest) = with_host.and_then(|rest| rest.checked_sub(worker)).ok().filter(|_| to_place > 0) else {
                continue;
            };
            (*left, *placed, progress) = (rest, *placed + 1, true);
            to_place -= 1;
        }
    }
    placed
}

impl Scheduler for TrainingScheduler {
    fn subscribed(&mut self, _: &FrameworkId, _: &mut Calls) {}

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let placed = spread(&offers, &self.resources, &worker_host().resources, self.missing());
        for (offer, count) in offers.into_iter().zip(placed) {
            if count == 0 {
                let filters = if self.missing() == 0 { REFUSE_WHILE_FULL } else { Filters::default() };
                calls.decline(vec![offer.offer_id], filters);
            } else {
                let tasks = (0..count).map(|_| self.new_task(&offer.agent_id)).collect();
                calls.accept(vec![offer.offer_id], tasks, REFUSE_WHILE_FULL);
            }
        }
    }

    fn update(&mut self, status: &TaskStatus, calls: &mut Calls) {
        let Some(task) = self.tasks.get_mut(&status.task_id) else { return };
        let had_ended = task.state.is_terminal();
        task.state = status.state;
        task.message.clone_from(&status.message);
        if let Some(agent_id) = &status.agent_id {
            task.agent_id = agent_id.clone();
        }
        let is_out = status.state.is_terminal() || status.state == TaskState::Unreachable;
        if is_out && !had_ended && self.phase == Phase::Training {
            let reason = format!("{}: {}", status.state, status.message);
            (self.on_worker_ended)(WorkerId(status.task_id.to_string()), reason);
            calls.revive();
        }
        self.finish_if_all_ended(calls);
    }

    fn tick(&mut self, now: Moment, calls: &mut Calls) {
        let Phase::Finishing { deadline } = self.phase else { return };
        match deadline {
            None => self.phase = Phase::Finishing { deadline: Some(now.after(FINISH_WAIT_MAX)) },
            Some(deadline) if now.since_start >= deadline => {
                self.phase = Phase::Done;
                calls.finish(Outcome::Finished);
            }
            Some(_) => {}
        }
    }

    fn next_tick(&self) -> Option<Duration> {
        match self.phase {
            // The clock is not known before the first tick, which is wanted at once.
            Phase::Finishing { deadline } => Some(deadline.unwrap_or_default()),
            Phase::Training | Phase::Done => None,
        }
    }
}

#[cfg(test)]
#[path = "scheduler_test.rs"]
mod tests;
