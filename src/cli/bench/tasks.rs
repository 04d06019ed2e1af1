//! `odeon bench tasks`: what a task costs, from its submission to its end, beside what the machine itself takes.
//!
//! Master, agent and executors are processes of their own; the frameworks that submit run here. The time of a task ends
//! when its last update is here, which is acknowledged at once: it was recorded by the agent before it was sent.

use std::time::Instant;

use clap::{Args, ValueEnum};
use odeon_executor::{Task, TaskContext, TaskFailure};
use odeon_framework::batch::{BatchPlan, BatchScheduler, INSTANCES_MAX};
use odeon_framework::measure::OneByOne;
use odeon_framework::{DriverSettings, Outcome, RunningScheduler, Scheduler};
use odeon_protocol::executor::{CommandInfo, ExecutorInfo};
use odeon_protocol::framework::FrameworkInfo;
use odeon_protocol::id::{ExecutorId, TaskId};
use odeon_protocol::resources::{CPUS, Resources, Scalar};
use odeon_protocol::task::{TaskInfo, TaskState, Work};
use odeon_runtime::Node;
use serde::Serialize;

use super::floors;
use super::processes::{Processes, Role};
use super::times::Times;
use crate::app::{Environment, fresh_seed};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, print, render};

/// Single tasks before those that are measured: the first one of an executor also starts it.
const WARM_UP: usize = 5;
/// The processors of the agent that is measured; they are counted, not used.
const AGENT_CPUS: u64 = 1000;
/// Processes that are started for the floor, and calls and round trips.
const SPAWNS: usize = 1000;
const ROUND_TRIPS: usize = 5000;
const CALLS: usize = 100_000;

/// Measures tasks on a cluster of a master and an agent, from their submission to their end
#[derive(Debug, Args)]
pub(crate) struct TasksBenchArgs {
    /// How many tasks are submitted together
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = count)]
    tasks: usize,
    /// How many tasks are submitted one after the other
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count)]
    singles: usize,
    /// What a task is
    #[arg(long, value_enum, default_value_t = Kind::Process)]
    kind: Kind,
    /// How many tasks may run at the same time [default: 8 executors, 64 commands of one executor, all inline tasks]
    #[arg(long, value_name = "N", value_parser = count)]
    slots: Option<usize>,
    /// The frameworks checkpoint: launches, updates and acknowledgements are on the agent's disk before they count
    #[arg(long)]
    checkpoint: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// The command `true`, with an executor of its own.
    Process,
    /// The command `true`, in one executor that runs all of them.
    Shared,
    /// A task type that does nothing, in one executor that runs all of them.
    Inline,
}

fn count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=INSTANCES_MAX).contains(number));
    number.ok_or_else(|| format!("`{text}` is not a number from 1 to {INSTANCES_MAX}"))
}

/// The task that does nothing.
pub(crate) struct Nothing;

impl Task for Nothing {
    const NAME: &'static str = "odeon.bench.nothing";

    async fn run(_context: TaskContext) -> Result<(), TaskFailure> {
        Ok(())
    }
}

impl TasksBenchArgs {
    /// What each task takes, so that so many of them fit on the agent as may run.
    fn each(&self) -> Resources {
        let usual = match self.kind {
            Kind::Process => 8,
            Kind::Shared => 64,
            Kind::Inline => INSTANCES_MAX,
        };
        let slots = u64::try_from(self.slots.unwrap_or(usual)).unwrap_or(u64::MAX);
        Resources::empty().with_scalar(CPUS, Scalar::from_thousandths((AGENT_CPUS * 1000 / slots).max(1)))
    }

    fn driver(&self, name: &str, cluster: &Processes) -> DriverSettings {
        let mut info = FrameworkInfo::new(name);
        info.checkpoint = self.checkpoint;
        DriverSettings::new(cluster.endpoint().clone(), info, fresh_seed())
    }

    fn list(&self, name: &str, count: usize) -> Result<Vec<TaskInfo>, Failure> {
        let each = self.each();
        let task = |index| {
            let task_id = TaskId::new(format!("{name}-{index}")).or_exit(Exit::WorkFailed)?;
            Ok(TaskInfo::new(task_id, name, each.clone(), self.work()?))
        };
        (0..count).map(task).collect()
    }

    fn work(&self) -> Result<Work, Failure> {
        let argv = vec![floors::NOTHING.to_owned()];
        let command = CommandInfo { argv, environment: [].into(), working_directory: None };
        let executor_id = ExecutorId::new("bench").or_exit(Exit::WorkFailed)?;
        let executor = ExecutorInfo {
            executor_id,
            name: "bench".to_owned(),
            resources: Resources::empty(),
            program: None,
            binary: None,
        };
        Ok(match self.kind {
            Kind::Process => Work::Command(command),
            Kind::Shared => Work::SharedCommand { executor, command },
            Kind::Inline => Work::Registered { executor, task_type: Nothing::NAME.to_owned(), data: Vec::new() },
        })
    }
}

/// One measure.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What the same run on the same machine takes for less; none if there is nothing to compare with.
    floor_name: Option<&'static str>,
    floor: Option<f64>,
    /// `value / floor`.
    ratio: Option<f64>,
}

impl Row {
    fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, floor_name: None, floor: None, ratio: None }
    }

    fn beside(mut self, name: &'static str, floor: f64) -> Self {
        (self.floor_name, self.floor, self.ratio) = (Some(name), Some(floor), Some(self.value / floor));
        self
    }
}

impl Listed for Row {
    const KIND: &'static str = "tasks";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("VALUE"),
        Column::always("UNIT"),
        Column::always("FLOOR"),
        Column::always("OF"),
        Column::always("RATIO"),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>, digits| value.map(|value| format!("{value:.digits$}")).unwrap_or_default();
        vec![
            self.name.to_owned(),
            number(Some(self.value), 1),
            self.unit.to_owned(),
            number(self.floor, 1),
            self.floor_name.unwrap_or_default().to_owned(),
            number(self.ratio, 3),
        ]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

/// Measures, and prints the table.
pub(crate) async fn tasks(args: TasksBenchArgs, environment: &Environment) -> Result<i32, Failure> {
    let node = environment.client_node().await?;
    let began = Instant::now();
    let cluster = Processes::start(environment, &format!("cpus:{AGENT_CPUS};mem:1024"), &node).await?;
    let measured = measure(&args, &cluster, &node, began).await;
    node.shut_down();
    let stopped = cluster.stop().await;
    let rows = measured?;
    stopped?;
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    print(&render(&rows, format, style).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

async fn measure(args: &TasksBenchArgs, cluster: &Processes, node: &Node, began: Instant) -> Result<Vec<Row>, Failure> {
    let idle = memories(cluster);
    end_of(OneByOne::new(args.list("first", 1)?).run(args.driver("bench first", cluster), node)).await?;
    let first = began.elapsed();
    let singles = one_by_one(args, cluster, node).await?;
    let rate = together(args, cluster, node).await?;
    let mut rows = rates(args.kind, rate, &singles).await?;
    rows.push(Row::new("first task, from the start of the cluster", first.as_secs_f64() * 1e6, "us"));
    rows.extend(idle.iter().map(|(names, kib)| Row::new(names.0, *kib, "KiB")));
    rows.extend(memories(cluster).iter().map(|(names, kib)| Row::new(names.1, *kib, "KiB")));
    Ok(rows)
}

/// Times of single tasks on a cluster that has nothing else to do.
async fn one_by_one(args: &TasksBenchArgs, cluster: &Processes, node: &Node) -> Result<Times, Failure> {
    let tasks = args.list("single", WARM_UP + args.singles)?;
    let ended = end_of(OneByOne::new(tasks).run(args.driver("bench one by one", cluster), node)).await?;
    Ok(Times::new(ended.times().iter().skip(WARM_UP).copied().collect()))
}

/// Tasks in a second, submitted all at once.
async fn together(args: &TasksBenchArgs, cluster: &Processes, node: &Node) -> Result<f64, Failure> {
    let plan = BatchPlan::of_tasks(args.list("batch", args.tasks)?).or_exit(Exit::WorkFailed)?;
    let began = Instant::now();
    let batch = BatchScheduler::new(plan, |_| ()).run(args.driver("bench together", cluster), node);
    let batch = end_of(batch).await?;
    let seconds = began.elapsed().as_secs_f64();
    match batch.ends().find(|status| status.state != TaskState::Finished) {
        None => Ok(args.tasks as f64 / seconds),
        Some(bad) => {
            let text = format!("task {} is {}: {}", bad.task_id, bad.state, bad.message);
            Err(Failure::new(Exit::WorkFailed, text))
        }
    }
}

async fn end_of<S: Scheduler>(running: RunningScheduler<S>) -> Result<S, Failure> {
    let ended = running.ended().await.or_exit(Exit::WorkFailed)?;
    match ended.outcome {
        Outcome::Finished => Ok(ended.scheduler),
        other => Err(Failure::new(Exit::WorkFailed, format!("the tasks did not come to their end: {other:?}"))),
    }
}

/// The measures beside the floors of their kind.
async fn rates(kind: Kind, rate: f64, singles: &Times) -> Result<Vec<Row>, Failure> {
    let (together, p50, p99) = (
        Row::new("tasks, submitted together", rate, "1/s"),
        Row::new("single task, p50", singles.at(50), "us"),
        Row::new("single task, p99", singles.at(99), "us"),
    );
    Ok(match kind {
        Kind::Process | Kind::Shared => {
            let floors =
                tokio::task::spawn_blocking(|| Ok((floors::spawn_rate(SPAWNS)?, floors::spawn_times(SPAWNS)?)));
            let floors: std::io::Result<(f64, Times)> = floors.await.or_exit(Exit::WorkFailed)?;
            let (spawns, times) = floors.or_exit(Exit::WorkFailed)?;
            vec![
                together.beside("spawn and wait, all cores", spawns),
                p50.beside("spawn and wait, p50", times.at(50)),
                p99.beside("spawn and wait, p99", times.at(99)),
            ]
        }
        Kind::Inline => {
            let trips = floors::round_trips(ROUND_TRIPS).await.or_exit(Exit::WorkFailed)?;
            vec![
                together.beside("call in the process", floors::call_rate(CALLS).await),
                p50.beside("loopback round trip, p50", trips.at(50)),
                p99.beside("loopback round trip, p99", trips.at(99)),
            ]
        }
    })
}

/// The memory of each role, in KiB, and what it is called before and after all tasks.
fn memories(cluster: &Processes) -> Vec<((&'static str, &'static str), f64)> {
    let of = |names, role: &Role| role.memory_kib().map(|kib| (names, kib as f64));
    let master = of(("master, idle", "master, after all"), &cluster.master);
    master.into_iter().chain(of(("agent, idle", "agent, after all"), &cluster.agent)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: TasksBenchArgs,
    }

    fn args(arguments: &[&str]) -> TasksBenchArgs {
        Line::try_parse_from([&["x"], arguments].concat()).expect("flags that parse").args
    }

    #[test]
    fn as_many_tasks_fit_on_the_agent_as_may_run() {
        let cpus = |arguments: &[&str]| args(arguments).each().scalar(CPUS).thousandths();
        assert_eq!(cpus(&[]), AGENT_CPUS * 1000 / 8);
        assert_eq!(cpus(&["--kind", "inline"]), 100);
        assert_eq!(cpus(&["--slots", "3"]), 333_333);
    }

    #[test]
    fn a_number_of_tasks_that_cannot_be_run_is_refused() {
        for bad in ["0", "-1", "10001", "many"] {
            assert!(Line::try_parse_from(["x", "--tasks", bad]).is_err(), "{bad}");
        }
    }
}
