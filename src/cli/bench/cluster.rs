//! `odeon bench cluster`: a master with as many agents, frameworks and tasks as told, of which only the master is real.
//!
//! Agents and frameworks live here and talk to the master as they always do, many over each link; agents start nothing,
//! and a task is over when its time is. What is printed of it is in `cluster_figures`.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use odeon_agent::measure::{Emulated, Emulation, Tally, agent_number};
use odeon_executor::Task;
use odeon_framework::measure::{AllOffers, TaskKind};
use odeon_framework::{DriverSettings, RunningScheduler};
use odeon_protocol::executor::ExecutorInfo;
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::ExecutorId;
use odeon_protocol::offer::Offer;
use odeon_protocol::resources::{CPUS, Resources, Scalar};
use odeon_protocol::task::{TaskStatus, Work};
use odeon_runtime::{Endpoint, Node};

use super::Nothing;
use super::cluster_figures::{Seen, rows};
use super::floors;
use super::processes::{Role, own_memory_kib, own_processor_time};
use super::times::Times;
use crate::app::{Environment, fresh_seed};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Style, print, render};

/// Agents that share a link, since a process cannot open a connection for each of them; what a master may have under way
/// to all of these at once has room on it.
const AGENTS_PER_LINK: u32 = 50;
/// Frameworks that share a link.
const FRAMEWORKS_PER_LINK: u32 = 10;
/// Between two looks at the counts.
const POLL: Duration = Duration::from_millis(5);
/// How long it may take until all agents are there, and until all tasks run.
const WAIT_MAX: Duration = Duration::from_secs(180);
/// Of the tasks that should run, the part that has to before the load counts as there, in percent.
const RUNNING_PERCENT: u64 = 95;
/// Times of offers that are kept.
const OFFER_TIMES_MAX: usize = 1 << 22;
const ROUND_TRIPS: usize = 5000;

/// Measures a master under emulated agents, with frameworks that launch all they can
#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) agents: u32,
    /// How many frameworks
    #[arg(long, value_name = "M", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) frameworks: u32,
    /// How many tasks run at the same time, spread evenly over the agents [default: two on each agent]
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) tasks: Option<u32>,
    /// How long a task runs, in seconds; with 0 it is over at once, and the master has as much to do as it can
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub(super) task_seconds: f64,
    /// For how long it is measured, in seconds
    #[arg(long, value_name = "S", default_value_t = 10.0, value_parser = seconds)]
    pub(super) seconds: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..=3600.0).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number of seconds from 0 to 3600"))
}

impl ClusterArgs {
    /// Tasks that have room on one agent.
    fn slots(&self) -> u32 {
        self.tasks.map_or(2, |tasks| tasks.div_ceil(self.agents))
    }

    /// Tasks that run when all have room.
    pub(super) fn running(&self) -> u64 {
        u64::from(self.agents) * u64::from(self.slots())
    }

    fn emulation(&self, master: &Endpoint) -> Emulation {
        Emulation {
            master: master.clone(),
            agents: self.agents,
            agents_per_link: AGENTS_PER_LINK,
            resources: cpus(self.slots()),
            task_time: Duration::from_secs_f64(self.task_seconds),
            seed: fresh_seed(),
        }
    }
}

fn cpus(count: u32) -> Resources {
    Resources::empty().with_scalar(CPUS, Scalar::from_thousandths(u64::from(count) * 1000))
}

/// Measures, and prints the table.
pub(crate) async fn cluster(args: ClusterArgs, environment: &Environment) -> Result<i32, Failure> {
    let directory = tempfile::Builder::new().prefix("odeon-bench-").tempdir().or_exit(Exit::WorkFailed)?;
    let mut master = Role::start("master", environment, directory.path(), &[])?;
    let endpoint = Endpoint::new(master.value("master").await?);
    let tally = Arc::new(Tally::new(args.agents));
    let agents = actix_rt::Arbiter::new();
    let seen = measure(&args, environment, &master, &endpoint, &tally, &agents).await;
    agents.stop();
    let stopped = master.stop().await;
    let seen = seen?;
    stopped?;
    if let Some(failure) = &seen.failure {
        tracing::warn!(failure, count = seen.failures, "tasks did not end well");
    }
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    print(&render(&rows(&args, &seen), format, style).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn measure(
    args: &ClusterArgs,
    environment: &Environment,
    master: &Role,
    endpoint: &Endpoint,
    tally: &Arc<Tally>,
    agents: &actix_rt::Arbiter,
) -> Result<Seen, Failure> {
    let trips = floors::round_trips(ROUND_TRIPS).await.or_exit(Exit::WorkFailed)?;
    let began = Instant::now();
    start_agents(args.emulation(endpoint), environment, tally, agents)?;
    let all = u64::from(args.agents);
    until(|| tally.registered() >= all, || format!("{} of {all} agents have registered", tally.registered())).await?;
    let registering = began.elapsed();
    let load = Load::start(args, environment, endpoint, tally).await?;
    let (began, want) = (Instant::now(), args.running() * RUNNING_PERCENT / 100);
    let is_there = || tally.launched() >= want && (args.task_seconds == 0.0 || tally.running() >= want);
    until(is_there, || format!("{} of {want} tasks run", tally.running())).await?;
    let starting_rate = tally.launched() as f64 / began.elapsed().as_secs_f64();
    // Until the tasks that began together end apart.
    tokio::time::sleep(Duration::from_secs_f64(args.task_seconds * 1.5)).await;
    let before = Mark::new(master, tally);
    load.offer_times.borrow_mut().clear();
    tokio::time::sleep(Duration::from_secs_f64(args.seconds)).await;
    let after = Mark::new(master, tally);
    let launches = (after.launched - before.launched) as f64;
    let each = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / launches;
    Ok(Seen {
        registering,
        starting_rate,
        launch_rate: launches / (after.at - before.at).as_secs_f64(),
        offers: Times::new(load.offer_times.take()),
        running: tally.running(),
        master_kib: master.memory_kib(),
        own_kib: own_memory_kib(),
        master_each: each(before.master, after.master),
        own_each: each(before.own, after.own),
        failures: load.failures.borrow().count,
        failure: load.failures.borrow().first.clone(),
        repeated: tally.repeated(),
        refused: tally.refused(),
        trips,
    })
}

/// What there was at a moment.
struct Mark {
    at: Instant,
    launched: u64,
    master: Duration,
    own: Duration,
}

impl Mark {
    fn new(master: &Role, tally: &Tally) -> Self {
        let (master, own) = (master.processor_time().unwrap_or_default(), own_processor_time().unwrap_or_default());
        Self { at: Instant::now(), launched: tally.launched(), master, own }
    }
}

async fn until(is_there: impl Fn() -> bool, so_far: impl Fn() -> String) -> Result<(), Failure> {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_there() {
        if Instant::now() > deadline {
            return Err(Failure::new(Exit::WorkFailed, format!("after {WAIT_MAX:?}, {}", so_far())));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn start_agents(
    emulation: Emulation,
    environment: &Environment,
    tally: &Arc<Tally>,
    agents: &actix_rt::Arbiter,
) -> Result<(), Failure> {
    let (transport, tally) = (environment.transport()?, Arc::clone(tally));
    // An agent that does not start does not register, which is waited for.
    let begun = agents.spawn(async move {
        if let Err(error) = Emulated::start(emulation, transport, tally).await {
            tracing::error!(%error, "the emulated agents do not start");
        }
    });
    if begun { Ok(()) } else { Err(Failure::new(Exit::WorkFailed, "the thread of the agents has ended".to_owned())) }
}

/// The frameworks, and what they have seen. They are gone for the master when this is dropped.
struct Load {
    _frameworks: Vec<RunningScheduler<AllOffers>>,
    nodes: Vec<Node>,
    offer_times: Rc<RefCell<Vec<Duration>>>,
    failures: Rc<RefCell<Failures>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::shut_down);
    }
}

impl Load {
    async fn start(
        args: &ClusterArgs,
        environment: &Environment,
        master: &Endpoint,
        tally: &Arc<Tally>,
    ) -> Result<Self, Failure> {
        let (offer_times, failures) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Failures::default())));
        let (times, tally) = (Rc::clone(&offer_times), Arc::clone(tally));
        let on_offer: Rc<dyn Fn(&Offer)> = Rc::new(move |offer| {
            let waited = agent_number(&offer.hostname).and_then(|agent| tally.offered(agent));
            let mut times = times.borrow_mut();
            let is_full = times.len() >= OFFER_TIMES_MAX;
            times.extend(waited.filter(|_| !is_full));
        });
        let failed = Rc::clone(&failures);
        let on_failure: Rc<dyn Fn(&TaskStatus)> = Rc::new(move |status| failed.borrow_mut().add(status));
        let kind = TaskKind { resources: cpus(1), work: work()? };
        let (mut frameworks, mut nodes): (Vec<_>, Vec<Node>) = (Vec::new(), Vec::new());
        for number in 0..args.frameworks {
            if number % FRAMEWORKS_PER_LINK == 0 {
                nodes.push(environment.client_node().await?);
            }
            let node = nodes.last().expect("the first framework has made one");
            let info = FrameworkInfo::new(format!("load {number}"));
            let settings = DriverSettings::new(master.clone(), info, fresh_seed());
            let load = AllOffers::new(kind.clone(), Rc::clone(&on_offer), Rc::clone(&on_failure));
            frameworks.push(load.run(settings, node));
        }
        Ok(Self { _frameworks: frameworks, nodes, offer_times, failures })
    }
}

/// Tasks that did not end well.
#[derive(Default)]
struct Failures {
    count: u64,
    /// What was said of the first of them.
    first: Option<String>,
}

impl Failures {
    fn add(&mut self, status: &TaskStatus) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("task {} is {}: {}", status.task_id, status.state, status.message));
    }
}

/// What would run if the agents started anything: the task type that does nothing.
fn work() -> Result<Work, Failure> {
    let executor_id = ExecutorId::new("bench").or_exit(Exit::WorkFailed)?;
    let (name, resources) = ("bench".to_owned(), Resources::empty());
    let executor = ExecutorInfo { executor_id, name, resources, program: None, binary: None };
    Ok(Work::Registered { executor, task_type: Nothing::NAME.to_owned(), data: Vec::new() })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ClusterArgs,
    }

    #[test]
    fn every_agent_has_room_for_as_many_tasks_and_all_of_them_for_no_fewer_than_were_asked_for() {
        let running = |arguments: &[&str]| {
            Line::try_parse_from([&["x"], arguments].concat()).expect("flags that parse").args.running()
        };
        assert_eq!(running(&[]), 2000);
        assert_eq!(running(&["--agents", "3", "--tasks", "7"]), 9);
        assert_eq!(running(&["--agents", "9", "--tasks", "2"]), 9);
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        for bad in ["-1", "3601", "inf", "x"] {
            assert!(Line::try_parse_from(["x", "--task-seconds", bad]).is_err(), "{bad}");
        }
    }
}
