//! `odeon simulate`: runs whole clusters of the real cores under faults, from seeds or from a plan.
//!
//! A failing plan is made smaller and written to a file, which replays it. Seeds run on all cores, each on one;
//! what is told does not depend on how many there are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use odeon_simulator::{FAULT_KINDS, Plan, RunReport, Shape, Step, expand, shrink, simulate};
use serde::Serialize;

use super::listing::ListingArgs;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Listed};

/// Simulates clusters under faults and checks that nothing is lost, doubled or stuck
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// How many seeds are run
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Runs this plan instead of seeds
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "first_seed", "agents", "frameworks", "hours", "calm"])]
    plan: Option<PathBuf>,
    /// Agents of each cluster; each seed decides if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    agents: Option<u32>,
    /// Frameworks of each cluster; each seed decides if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frameworks: Option<u32>,
    /// Simulated hours in which faults and work come; some minutes if not given
    #[arg(long, value_parser = hours)]
    hours: Option<f64>,
    /// Without faults
    #[arg(long)]
    calm: bool,
    /// Prints the plan of the first seed and runs nothing
    #[arg(long, conflicts_with = "plan")]
    print_plan: bool,
    /// Where the plan of a failure is written
    #[arg(long, value_name = "DIR", default_value = ".")]
    failures: PathBuf,
    #[command(flatten)]
    listing: ListingArgs,
}

/// At most 30 days.
const HOURS_MAX: f64 = 720.0;

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if hours > 0.0 && hours <= HOURS_MAX {
        Ok(hours)
    } else {
        Err(format!("{text} is not above 0 and up to {HOURS_MAX}"))
    }
}

/// All runs together.
#[derive(Serialize)]
struct Row {
    seeds: u64,
    events: u64,
    simulated_s: f64,
    wall_s: f64,
    events_per_s: f64,
    tasks: u64,
    offers: u64,
    whole_after_s_max: f64,
    violations: u64,
    fault_cells_hit: usize,
    /// How often each kind of fault came right after each step of a task's life.
    coverage: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// Of a single run only: equal for equal runs, in any process.
    trace: Option<String>,
    /// The first failure, as `I3 …`, and the file with its plan.
    failure: Option<String>,
    plan: Option<String>,
}

impl Listed for Row {
    const KIND: &'static str = "simulation";
    const COLUMNS: &'static [Column] = &[
        Column::always("SEEDS"),
        Column::always("EVENTS"),
        Column::always("SIMULATED"),
        Column::always("WALL"),
        Column::always("EVENTS/S"),
        Column::always("TASKS"),
        Column::always("VIOLATIONS"),
        Column::always("TRACE"),
        Column::wide("OFFERS"),
        Column::wide("WHOLE AFTER"),
        Column::wide("FAULT CELLS"),
        Column::always("FAILURE"),
        Column::always("PLAN"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.seeds.to_string(),
            self.events.to_string(),
            format!("{:.0}s", self.simulated_s),
            format!("{:.2}s", self.wall_s),
            format!("{:.0}", self.events_per_s),
            self.tasks.to_string(),
            self.violations.to_string(),
            self.trace.clone().unwrap_or_default(),
            self.offers.to_string(),
            format!("{:.0}s", self.whole_after_s_max),
            self.fault_cells_hit.to_string(),
            self.failure.clone().unwrap_or_default(),
            self.plan.clone().unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.trace.clone().unwrap_or_else(|| self.violations.to_string())
    }
}

/// Runs the simulations and prints what they have shown; the exit code is 1 if an invariant was violated.
pub(crate) fn simulate_clusters(args: SimulateArgs, environment: &Environment) -> Result<i32, Failure> {
    let plans = plans(&args)?;
    if args.print_plan {
        let text = plans(0).to_text();
        crate::output::print(&text).or_exit(Exit::WorkFailed)?;
        return Ok(Exit::Done.into());
    }
    let count = if args.plan.is_some() { 1 } else { args.seeds };
    let row = run_all(count, plans, &args.failures)?;
    let failed = row.violations > 0;
    let cells = args.listing.is_wide().then(|| coverage_rows(&row.coverage));
    args.listing.print(&[row], environment)?;
    if let Some(cells) = cells {
        args.listing.print(&cells, environment)?;
    }
    Ok(if failed { Exit::WorkFailed.into() } else { Exit::Done.into() })
}

/// The plans, by number.
fn plans(args: &SimulateArgs) -> Result<Box<dyn Fn(u64) -> Plan + Sync>, Failure> {
    if let Some(path) = &args.plan {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read the plan {}: {error}", path.display())))?;
        let plan = Plan::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        return Ok(Box::new(move |_| plan.clone()));
    }
    let first = args.first_seed;
    let fault_phase_ms = args.hours.map(|hours| ((hours * 3_600_000.0) as u64).max(1));
    let shape = Shape { agents: args.agents, frameworks: args.frameworks, fault_phase_ms, calm: args.calm };
    Ok(Box::new(move |number| expand(first.wrapping_add(number), &shape)))
}

/// So many runs are finished before the first of the next is begun; their results wait for each other.
const RUNS_AT_ONCE_MAX: u64 = 256;

fn run_all(count: u64, plans: impl Fn(u64) -> Plan + Sync, failures: &std::path::Path) -> Result<Row, Failure> {
    let start = Instant::now();
    let mut sum = Sum::default();
    for first in (0..count).step_by(RUNS_AT_ONCE_MAX as usize) {
        let numbers = first..count.min(first + RUNS_AT_ONCE_MAX);
        for (number, report) in run_some(numbers, &plans) {
            if let Some(violation) = report.violation.as_ref().filter(|_| sum.failure.is_none()) {
                sum.failure = Some(format!("{} after {:?}: {}", violation.invariant, violation.at, violation.text));
                sum.plan = Some(keep_plan(&plans(number), failures)?);
            }
            sum.add(&report);
        }
    }
    Ok(sum.into_row(count, start.elapsed()))
}

/// Shares runs out over the cores; the results are in the order of the numbers.
fn run_some(numbers: Range<u64>, plans: &(impl Fn(u64) -> Plan + Sync)) -> BTreeMap<u64, RunReport> {
    let (next, reports) = (AtomicU64::new(numbers.start), Mutex::new(BTreeMap::new()));
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= numbers.end {
            break;
        }
        let report = simulate(&plans(number));
        reports.lock().unwrap_or_else(PoisonError::into_inner).insert(number, report);
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(usize::try_from(numbers.end - numbers.start).unwrap_or(cores));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    reports.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the plan of a failure, made smaller.
fn keep_plan(plan: &Plan, failures: &std::path::Path) -> Result<String, Failure> {
    let path = failures.join(format!("failure-{}.toml", plan.seed));
    std::fs::write(&path, shrink(plan).to_text())
        .map_err(|error| Failure::new(Exit::WorkFailed, format!("cannot write {}: {error}", path.display())))?;
    Ok(path.display().to_string())
}

/// What one kind of fault has met.
#[derive(Serialize)]
struct CoverageRow {
    kind: &'static str,
    counts: Vec<u64>,
}

impl Listed for CoverageRow {
    const KIND: &'static str = "simulation-coverage";
    const COLUMNS: &'static [Column] = &[
        Column::wide("FAULT AFTER"),
        Column::wide("SUBSCRIBE"),
        Column::wide("OFFER"),
        Column::wide("ACCEPT"),
        Column::wide("LAUNCH"),
        Column::wide("STAGED"),
        Column::wide("RUNNING"),
        Column::wide("SENT"),
        Column::wide("PERSISTED"),
        Column::wide("ACKNOWLEDGED"),
        Column::wide("TERMINAL"),
        Column::wide("CLEANED"),
    ];

    fn cells(&self) -> Vec<String> {
        std::iter::once(self.kind.to_owned()).chain(self.counts.iter().map(u64::to_string)).collect()
    }

    fn id(&self) -> String {
        self.kind.to_owned()
    }
}

fn coverage_rows(coverage: &BTreeMap<&'static str, BTreeMap<&'static str, u64>>) -> Vec<CoverageRow> {
    let counts = |kind: &str| Step::ALL.map(|step| coverage[kind][step.name()]).to_vec();
    FAULT_KINDS.iter().map(|kind| CoverageRow { kind, counts: counts(kind) }).collect()
}

#[derive(Default)]
struct Sum {
    events: u64,
    simulated: Duration,
    tasks: u64,
    offers: u64,
    whole_after: Duration,
    violations: u64,
    coverage: odeon_simulator::Coverage,
    trace_hash: u64,
    failure: Option<String>,
    plan: Option<String>,
}

impl Sum {
    fn add(&mut self, report: &RunReport) {
        self.events += report.events;
        self.simulated += report.simulated;
        self.tasks += report.tasks;
        self.offers += report.offers;
        self.whole_after = self.whole_after.max(report.whole_after.unwrap_or_default());
        self.violations += u64::from(report.violation.is_some());
        self.coverage.add(&report.coverage);
        self.trace_hash = self.trace_hash.rotate_left(1) ^ report.trace_hash;
    }

    fn hits_of(&self, kind: &'static str) -> BTreeMap<&'static str, u64> {
        Step::ALL.into_iter().map(|step| (step.name(), self.coverage.count(kind, step))).collect()
    }

    fn into_row(self, seeds: u64, wall: Duration) -> Row {
        Row {
            seeds,
            events: self.events,
            simulated_s: self.simulated.as_secs_f64(),
            wall_s: wall.as_secs_f64(),
            events_per_s: self.events as f64 / wall.as_secs_f64().max(1e-9),
            tasks: self.tasks,
            offers: self.offers,
            whole_after_s_max: self.whole_after.as_secs_f64(),
            violations: self.violations,
            fault_cells_hit: self.coverage.hit_count(),
            coverage: FAULT_KINDS.into_iter().map(|kind| (kind, self.hits_of(kind))).collect(),
            trace: Some(format!("{:016x}", self.trace_hash)),
            failure: self.failure,
            plan: self.plan,
        }
    }
}
