//! The built-in scheduler: jobs that arrive over time, each tried until one of its tasks has finished.
//!
//! It stands for a framework that stores what it is told before it returns, so it survives its process.

use crate::hosts::TASK_TYPE;
use crate::random::{Concern, Stream};
use odeon_framework::{Calls, Scheduler};
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use odeon_protocol::messages::master_scheduler::OfferOperation;
use odeon_protocol::moment::Moment;
use odeon_protocol::offer::{Filters, Offer};
use odeon_protocol::resources::{Resources, Scalar, TypedResources};
use odeon_protocol::task::{TaskInfo, TaskState, TaskStatus, Work};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How often the states of live tasks are asked for.
const RECONCILE_AGAIN: Duration = Duration::from_secs(120);

/// How a task behaves; written into its name, where the simulated executor reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskScript {
    pub(crate) runs_ms: u64,
    pub(crate) fails: bool,
    /// It does not end when it is asked to.
    pub(crate) stubborn: bool,
}

impl TaskScript {
    fn to_name(self) -> String {
        format!("{}:{}:{}", self.runs_ms, u8::from(self.fails), u8::from(self.stubborn))
    }

    pub(crate) fn of(task: &TaskInfo) -> Self {
        let mut parts = task.name.split(':').map(|part| part.parse::<u64>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self { runs_ms: next(), fails: next() != 0, stubborn: next() != 0 }
    }
}

/// Something that the checks want to know.
#[derive(Debug, Clone)]
pub(crate) enum News {
    Updated(TaskStatus),
    Offered(OfferId),
    Subscribed(FrameworkId),
}

#[derive(Debug, Clone)]
struct Job {
    resources: Resources,
    script: TaskScript,
    is_command: bool,
    /// The framework itself kills its first task.
    is_killed: bool,
    attempts: u32,
    done: bool,
}

/// A framework's jobs, and what it knows of them.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    number: u32,
    /// Which process it is that is driven, so that two do not give their tasks the same id.
    process: u32,
    chance: Stream,
    jobs: Vec<Job>,
    waiting: VecDeque<u32>,
    /// Tasks that are believed to live.
    live: BTreeMap<TaskId, u32>,
    /// Tasks that are believed to have ended.
    ended: BTreeSet<TaskId>,
    pub(crate) framework_id: Option<FrameworkId>,
    done_count: u32,
    suppressed: bool,
    reconcile_at: Duration,
    news: Vec<News>,
}

impl Workload {
    pub(crate) fn new(seed: u64, number: u32, job_count: u32) -> Self {
        let mut chance = Stream::new(seed ^ (u64::from(number) << 32), Concern::Workload);
        let jobs = (0..job_count).map(|_| Job::draw(&mut chance)).collect();
        Self {
            number,
            process: 0,
            chance,
            jobs,
            waiting: VecDeque::new(),
            live: BTreeMap::new(),
            ended: BTreeSet::new(),
            framework_id: None,
            done_count: 0,
            suppressed: false,
            reconcile_at: Duration::ZERO,
            news: Vec::new(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done_count as usize == self.jobs.len() && self.live.is_empty()
    }

    /// Whether it has nothing to launch and waits for no end: jobs that were killed elsewhere are nobody's any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.live.is_empty()
    }

    /// What is not done, for people.
    pub(crate) fn open_work(&self) -> String {
        let live: Vec<&str> = self.live.keys().map(TaskId::as_str).take(4).collect();
        format!("{} of {} jobs done, {} waiting, live: {live:?}", self.done_count, self.jobs.len(), self.waiting.len())
    }

    pub(crate) fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// A job comes while no process runs.
    pub(crate) fn arrive_quietly(&mut self, job: u32) {
        self.waiting.push_back(job);
    }

    pub(crate) fn arrive(&mut self, job: u32, calls: &mut Calls) {
        self.waiting.push_back(job);
        self.want_offers(calls);
    }

    /// A new process drives it, with a clock of its own, and a driver that wants offers.
    pub(crate) fn take_up(&mut self) {
        self.process += 1;
        self.suppressed = false;
        self.reconcile_at = RECONCILE_AGAIN;
    }

    /// The framework has ended against its will: all its tasks are void.
    pub(crate) fn start_over(&mut self) {
        self.framework_id = None;
        for (task_id, job) in std::mem::take(&mut self.live) {
            self.ended.insert(task_id);
            self.retry(job);
        }
    }

    fn want_offers(&mut self, calls: &mut Calls) {
        if std::mem::take(&mut self.suppressed) {
            calls.revive();
        }
    }

    fn retry(&mut self, job: u32) {
        if !self.jobs[job as usize].done {
            self.waiting.push_back(job);
        }
    }

    /// As many of the waiting jobs as fit into an offer.
    fn pack(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let (mut left, mut tasks, mut kept) = (offer.resources.clone(), Vec::new(), VecDeque::new());
        while let Some(number) = self.waiting.pop_front() {
            let task = self.task_of(number, &offer.agent_id);
            let needed = task.resources.checked_add(&task.executor().resources);
            match needed.and_then(|needed| left.checked_sub(&needed)) {
                Ok(rest) => {
                    left = rest;
                    self.jobs[number as usize].attempts += 1;
                    self.live.insert(task.task_id.clone(), number);
                    tasks.push(task);
                }
                Err(_) => kept.push_back(number),
            }
        }
        self.waiting = kept;
        tasks
    }

    /// While there is work, a part of an agent is kept now and then; what was kept is let go when there is none.
    fn operations(&mut self, offer: &Offer) -> Vec<OfferOperation> {
        let kept = offer.reserved.parts().filter(|(class, _)| class.is_dynamic());
        let kept = kept.fold(TypedResources::empty(), |all, (class, some)| all.with(class.clone(), some.clone()));
        if !kept.is_empty() {
            let lets_go = self.waiting.is_empty() || self.chance.percent(20);
            return if lets_go { vec![OfferOperation::Unreserve { resources: kept }] } else { Vec::new() };
        }
        let resources = Resources::cpus_mem(Scalar::from_thousandths(self.chance.between(1, 3) * 100), 32);
        let is_there = offer.resources.checked_sub(&offer.reserved.quantities().unwrap_or_default());
        let is_there = is_there.is_ok_and(|plain| plain.contains(&resources));
        if self.waiting.is_empty() || !is_there || !self.chance.percent(25) {
            return Vec::new();
        }
        vec![OfferOperation::Reserve { resources: resources.into(), labels: BTreeMap::new() }]
    }

    fn task_of(&self, number: u32, agent_id: &AgentId) -> TaskInfo {
        let job = &self.jobs[number as usize];
        let text = format!("f{}-p{}-j{number}-a{}", self.number, self.process, job.attempts);
        let work = if job.is_command {
            Work::Command(CommandInfo {
                argv: vec!["wait".to_owned()],
                environment: BTreeMap::new(),
                working_directory: None,
            })
        } else {
            let executor_id = ExecutorId::new(format!("e-{agent_id}")).expect("an id with a letter before it is an id");
            let resources = Resources::cpus_mem(Scalar::from_thousandths(100), 32);
            let executor =
                ExecutorInfo { executor_id, name: "shared".to_owned(), resources, program: None, binary: None };
            Work::Registered { executor, task_type: TASK_TYPE.to_owned(), data: Vec::new() }
        };
        let task_id = TaskId::new(text).expect("letters and digits are an id");
        TaskInfo::new(task_id, job.script.to_name(), job.resources.clone(), work)
    }
}

impl Job {
    fn draw(chance: &mut Stream) -> Self {
        let cpus = Scalar::from_thousandths(chance.between(1, 15) * 100);
        let runs_ms = if chance.percent(80) { chance.between(1, 20_000) } else { chance.between(20_000, 200_000) };
        let script = TaskScript { runs_ms, fails: chance.percent(10), stubborn: chance.percent(20) };
        Self {
            resources: Resources::cpus_mem(cpus, chance.between(16, 1024)),
            script,
            is_command: chance.percent(50),
            is_killed: chance.percent(15),
            attempts: 0,
            done: false,
        }
    }
}

impl Scheduler for Workload {
    fn subscribed(&mut self, framework_id: &FrameworkId, calls: &mut Calls) {
        self.news.push(News::Subscribed(framework_id.clone()));
        if self.framework_id.as_ref().is_some_and(|earlier| earlier != framework_id) {
            self.start_over();
        }
        self.framework_id = Some(framework_id.clone());
        let live: Vec<_> = self.live.keys().map(|task_id| (task_id.clone(), None)).collect();
        if !live.is_empty() {
            calls.reconcile(live);
        }
        if !self.waiting.is_empty() {
            self.want_offers(calls);
        }
        self.reconcile_at = calls.now().after(RECONCILE_AGAIN);
    }

    /// The driver asks again for what it has launched itself; what an earlier process has launched is asked for here.
    fn tick(&mut self, now: Moment, calls: &mut Calls) {
        self.reconcile_at = now.after(RECONCILE_AGAIN);
        let live: Vec<_> = self.live.keys().map(|task_id| (task_id.clone(), None)).collect();
        calls.reconcile(live);
    }

    fn next_tick(&self) -> Option<Duration> {
        Some(self.reconcile_at).filter(|_| !self.live.is_empty())
    }

    fn offers(&mut self, offers: Vec<Offer>, calls: &mut Calls) {
        for offer in offers {
            self.news.push(News::Offered(offer.offer_id.clone()));
            let tasks = self.pack(&offer);
            let operations = self.operations(&offer);
            if !operations.is_empty() {
                let filters = Filters { refuse: Duration::from_secs(1) };
                calls.accept_after(operations, vec![offer.offer_id], tasks, filters);
            } else if tasks.is_empty() {
                let refuse = Duration::from_secs(self.chance.between(1, 60));
                calls.decline(vec![offer.offer_id], Filters { refuse });
            } else {
                calls.accept(vec![offer.offer_id], tasks, Filters { refuse: Duration::from_secs(1) });
            }
        }
        if self.waiting.is_empty() && self.chance.percent(50) {
            self.suppressed = true;
            calls.suppress();
        }
    }

    fn update(&mut self, status: &TaskStatus, calls: &mut Calls) {
        self.news.push(News::Updated(status.clone()));
        let task_id = &status.task_id;
        // What nobody knows is given up; should it turn up after all, it is killed.
        if !status.state.is_terminal() && status.state != TaskState::Unknown {
            if self.ended.contains(task_id) {
                calls.kill(task_id.clone());
            } else if let Some(job) = self.live.get(task_id)
                && status.state == TaskState::Running
                && self.jobs[*job as usize].is_killed
            {
                calls.kill(task_id.clone());
            }
            return;
        }
        self.ended.insert(task_id.clone());
        let Some(number) = self.live.remove(task_id) else { return };
        let job = &mut self.jobs[number as usize];
        let wanted = match status.state {
            TaskState::Finished => true,
            TaskState::Killed => job.is_killed,
            TaskState::Failed => job.script.fails,
            _ => false,
        };
        if wanted && !job.done {
            job.done = true;
            self.done_count += 1;
        }
        self.retry(number);
        if !self.waiting.is_empty() {
            self.want_offers(calls);
        }
    }

    fn failed(&mut self, _message: &str) {
        self.start_over();
    }
}
