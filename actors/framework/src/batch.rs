//! The built-in batch scheduler: runs copies of a task to their end, and tells how it went.
//!
//! It restarts nothing by default, and keeps no service alive: what has ended stays ended.

mod placement;
mod plan;
mod slot;
mod slots;

pub use placement::{NotPlaced, Shortage};
pub use plan::{BatchPlan, INSTANCES_MAX, PlanError};

use crate::calls::{Calls, Outcome};
use crate::node::{DriverSettings, RunningScheduler, run_scheduler};
use crate::scheduler::Scheduler;
use odeon_protocol::id::{AgentId, FrameworkId, TaskId};
use odeon_protocol::messages::master_scheduler::DEMAND_UNITS_MAX;
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::task::{StatusReason, StatusSource, TaskInfo, TaskState, TaskStatus};
use odeon_runtime::Node;
use placement::Largest;
use slot::Slot;
use slots::Slots;
use std::time::Duration;

/// How long tasks wait for any offer before the batch says what they need. Only then are offers too small not made to it
/// any more, which it would name if it found no place.
pub const DEMAND_AFTER: Duration = Duration::from_secs(1);
/// Tasks that one launch carries, so that it fits into a frame.
pub const LAUNCH_TASKS_MAX: usize = 500;

/// What a batch tells while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchEvent {
    /// A task was sent to an agent.
    Launched {
        /// The framework, as the agent knows it.
        framework_id: FrameworkId,
        /// The task.
        task_id: TaskId,
        /// The agent.
        agent_id: AgentId,
        /// `host:port` of the agent, for reading what the task prints.
        agent_endpoint: String,
        /// The host of the agent.
        hostname: String,
    },
    /// A task has a state.
    Updated {
        /// The report.
        status: TaskStatus,
    },
}

/// How a batch has come out, so far.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BatchResult {
    /// Some tasks have not ended.
    Unfinished,
    /// All tasks have ended.
    Ended,
    /// Not all tasks found a place in time; those that did were ended.
    NotPlaced(Box<NotPlaced>),
}

/// Runs the tasks of a plan.
pub struct BatchScheduler {
    slots: Slots,
    retries: u32,
    placement_timeout: Option<Duration>,
    /// Since when it has waited for a place.
    waiting_since: Option<Duration>,
    /// When tasks have waited for so long that it says what they need.
    demand_at: Option<Duration>,
    /// Whether it has been said.
    says_demand: bool,
    largest: Largest,
    interrupted: bool,
    not_placed: Option<Box<NotPlaced>>,
    tell: Box<dyn FnMut(BatchEvent) + Send>,
}

impl std::fmt::Debug for BatchScheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchScheduler").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl BatchScheduler {
    /// A batch that has launched nothing yet; `tell` hears what happens, and must not block.
    #[must_use]
    pub fn new(plan: BatchPlan, tell: impl FnMut(BatchEvent) + Send + 'static) -> Self {
        let BatchPlan { tasks, retries, placement_timeout } = plan;
        Self {
            slots: Slots::new(tasks),
            retries,
            placement_timeout,
            waiting_since: None,
            demand_at: None,
            says_demand: false,
            largest: Largest::default(),
            interrupted: false,
            not_placed: None,
            tell: Box::new(tell),
        }
    }

    /// Runs the batch, as [`run_scheduler`] does.
    pub fn run(self, settings: DriverSettings, node: &Node) -> RunningScheduler<Self> {
        run_scheduler(settings, node, self)
    }

    /// Ends all tasks, and launches none any more. The run ends when they have.
    pub fn kill_all(&mut self, calls: &mut Calls) {
        self.interrupted = true;
        for index in self.slots.waiting() {
            let task_id = self.slots.get(index).task.task_id.clone();
            let mut status = TaskStatus::new(task_id, TaskState::Killed, StatusSource::Master);
            "killed before it was launched".clone_into(&mut status.message);
            self.slots.end(index, status.at(calls.now().wall_ms));
        }
        self.slots.launched_ids().for_each(|task_id| calls.kill(task_id.clone()));
        self.finish_if_done(calls);
    }

    /// How it has come out.
    #[must_use]
    pub fn result(&self) -> BatchResult {
        match &self.not_placed {
            Some(not_placed) => BatchResult::NotPlaced(not_placed.clone()),
            None if self.slots.have_ended() => BatchResult::Ended,
            None => BatchResult::Unfinished,
        }
    }

    /// The last reports of the tasks that have ended, in the order of the plan.
    pub fn ends(&self) -> impl Iterator<Item = &TaskStatus> {
        self.slots.ends()
    }

    /// The exit code for a shell: 0 if all tasks finished, else the first other one in the order of the
    /// plan; nothing if no task left one.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        let finished = self.ends().filter(|status| status.state == TaskState::Finished).count();
        if finished == self.slots.len() {
            return Some(0);
        }
        let codes = self.ends().filter_map(|status| status.exit).map(|exit| exit.shell_code());
        codes.into_iter().find(|code| *code != 0)
    }

    fn is_over(&self) -> bool {
        self.interrupted || self.not_placed.is_some()
    }

    fn finish_if_done(&self, calls: &mut Calls) {
        if self.slots.have_ended() {
            calls.finish(if self.interrupted { Outcome::Interrupted } else { Outcome::Finished });
        }
    }

    fn launch(&mut self, offer: Offer, tasks: Vec<TaskInfo>, calls: &mut Calls) {
        for task in &tasks {
            (self.tell)(BatchEvent::Launched {
                framework_id: offer.framework_id.clone(),
                task_id: task.task_id.clone(),
                agent_id: offer.agent_id.clone(),
                agent_endpoint: offer.agent_endpoint.clone(),
                hostname: offer.hostname.clone(),
            });
        }
        // What is left of an offer that was cut short is wanted again at once.
        let cut_short = tasks.len() == LAUNCH_TASKS_MAX;
        let filters = if cut_short { Filters { refuse: Duration::ZERO } } else { Filters::default() };
        calls.accept(vec![offer.offer_id], tasks, filters);
    }

    /// Takes the end of a task; false if it is launched again.
    fn end_slot(&mut self, index: usize, status: &TaskStatus) -> bool {
        let over = self.is_over();
        let slot = self.slots.get(index);
        // The offer was withdrawn before the task came, or a role of a higher priority took its place: it has not failed.
        let is_blameless =
            matches!(status.reason, Some(StatusReason::InvalidOffers | StatusReason::ContainerPreempted));
        let may_fail_again = status.state != TaskState::Finished && slot.failures < self.retries;
        if over || !(is_blameless || may_fail_again) {
            self.slots.end(index, status.clone());
            return true;
        }
        self.slots.wait_again(index, !is_blameless);
        false
    }

    /// Tasks wait from now on: what they need is said if that lasts.
    fn wait_from(&mut self, now: Moment) {
        self.waiting_since = Some(now.since_start);
        self.demand_at = Some(now.after(DEMAND_AFTER));
    }

    /// Says what waiting tasks need, unless that is too much to be said.
    fn say_demand(&mut self, calls: &mut Calls) {
        self.demand_at = None;
        self.says_demand = true;
        let needs = self.slots.needs();
        calls.demand((1..=DEMAND_UNITS_MAX).contains(&needs.len()).then_some(needs));
    }

    fn deadline(&self) -> Option<Duration> {
        let waits = self.slots.waiting_count() > 0 && !self.is_over();
        let since = self.waiting_since.filter(|_| waits)?;
        Some(since.saturating_add(self.placement_timeout?))
    }
}

impl Scheduler for BatchScheduler {
    fn subscribed(&mut self, _framework_id: &FrameworkId, calls: &mut Calls) {
        if self.waiting_since.is_none() {
            self.wait_from(calls.now());
        }
        self.finish_if_done(calls);
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        let before = self.slots.waiting_count();
        let mut unused = Vec::new();
        for offer in offers {
            self.largest.see(&offer);
            let tasks = if self.is_over() { vec![] } else { self.slots.pack(&offer.resources, LAUNCH_TASKS_MAX) };
            if tasks.is_empty() {
                unused.push(offer.offer_id);
            } else {
                self.launch(offer, tasks, calls);
            }
        }
        if !unused.is_empty() {
            calls.decline(unused, Filters::default());
        }
        if before > self.slots.waiting_count() && self.says_demand {
            self.say_demand(calls);
        }
        if before > 0 && self.slots.waiting_count() == 0 {
            self.says_demand = false;
            calls.suppress();
        }
    }

    fn update(&mut self, status: &TaskStatus, calls: &mut Calls) {
        let Some(index) = self.slots.launched(&status.task_id) else { return };
        (self.tell)(BatchEvent::Updated { status: status.clone() });
        if !status.state.is_terminal() {
            return;
        }
        let others_wait = self.slots.waiting_count() > 0;
        if self.end_slot(index, status) {
            self.finish_if_done(calls);
        } else {
            if !others_wait {
                self.wait_from(calls.now());
            }
            calls.revive();
        }
    }

    fn tick(&mut self, now: Moment, calls: &mut Calls) {
        if self.demand_at.is_some_and(|at| at <= now.since_start) {
            self.say_demand(calls);
        }
        if self.deadline().is_none_or(|deadline| deadline > now.since_start) {
            return;
        }
        let missing: Vec<&Slot> = self.slots.waiting().into_iter().map(|index| self.slots.get(index)).collect();
        let waited = self.placement_timeout.unwrap_or_default();
        self.not_placed = Some(Box::new(self.largest.explain(waited, &missing, self.slots.len())));
        // The end of the framework ends the tasks that did find a place.
        calls.finish(Outcome::Finished);
    }

    fn next_tick(&self) -> Option<Duration> {
        let demand_at = self.demand_at.filter(|_| self.slots.waiting_count() > 0 && !self.is_over());
        demand_at.into_iter().chain(self.deadline()).min()
    }
}

#[cfg(test)]
#[path = "batch_test.rs"]
mod tests;
