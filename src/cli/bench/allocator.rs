//! `odeon bench allocator`: runs, declines and single events of the allocator at scale, in this process.
//!
//! What is measured, and how, is in `odeon_allocator::measure`; here are the clock and the memory that it asks for.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use odeon_allocator::SorterKind;
use odeon_allocator::measure::{Figure, Instruments, Setup, measure};
use serde::Serialize;

use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, print, render};

/// Measures the allocator: full cycles, declines, single events, and memory
#[derive(Debug, Args)]
pub(crate) struct AllocatorArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=200_000))]
    agents: u32,
    /// How many frameworks
    #[arg(long, value_name = "M", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frameworks: u32,
    /// How roles and frameworks are ordered
    #[arg(long, value_enum, default_value_t)]
    sorter: Sorter,
    /// Whether who declines also refuses, until everyone has refused everything
    #[arg(long, value_enum, default_value_t)]
    filters: Switch,
    /// Reserve half of every fourth agent
    #[arg(long)]
    reservations: bool,
    /// Spread the frameworks over this many roles with a guarantee and a limit; one role without any if 0
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    quota_roles: u32,
    /// How often everything is measured; of each measure the run with the median ratio is shown
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Sorter {
    #[default]
    Drf,
    Random,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Switch {
    #[default]
    On,
    Off,
}

/// A figure as it is listed.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    unit: &'static str,
    allocator: f64,
    floor_name: &'static str,
    floor: f64,
    ratio: f64,
    /// The most that was promised for these counts; null where nothing was.
    target: Option<f64>,
    holds: Option<bool>,
    agents: u32,
    frameworks: u32,
}

impl Row {
    fn new(figure: &Figure, setup: &Setup) -> Self {
        let &Figure { name, unit, value, floor_name, floor, target } = figure;
        let (ratio, holds) = (figure.ratio(), figure.holds());
        let (agents, frameworks) = (setup.agents, setup.frameworks);
        Self { name, unit, allocator: value, floor_name, floor, ratio, target, holds, agents, frameworks }
    }
}

impl Listed for Row {
    const KIND: &'static str = "allocator";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("ALLOCATOR"),
        Column::always("UNIT"),
        Column::always("FLOOR"),
        Column::always("OF"),
        Column::always("RATIO"),
        Column::always("TARGET"),
        Column::always("HOLDS"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_owned(),
            format!("{:.2}", self.allocator),
            self.unit.to_owned(),
            format!("{:.3}", self.floor),
            self.floor_name.to_owned(),
            format!("{:.1}", self.ratio),
            self.target.map(|target| format!("{target:.0}")).unwrap_or_default(),
            self.holds.map(|holds| if holds { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

/// The clock and the memory of this process.
struct ThisProcess {
    begin: Instant,
}

impl Instruments for ThisProcess {
    fn now(&mut self) -> Duration {
        self.begin.elapsed()
    }

    /// Nothing where the system does not tell.
    fn memory(&mut self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        resident_bytes(&status).unwrap_or_default()
    }
}

/// The resident memory that a status file of Linux tells, in bytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Measures, and prints the table.
pub(crate) fn allocator(args: &AllocatorArgs, environment: &Environment) -> Result<i32, Failure> {
    let sorter = match args.sorter {
        Sorter::Drf => SorterKind::Drf,
        Sorter::Random => SorterKind::Random,
    };
    let setup = Setup {
        agents: args.agents,
        frameworks: args.frameworks,
        sorter,
        filters: args.filters == Switch::On,
        reservations: args.reservations,
        quota_roles: args.quota_roles,
        seed: 1,
    };
    let mut process = ThisProcess { begin: Instant::now() };
    let runs: Vec<Vec<Figure>> = (0..args.runs).map(|_| measure(&setup, &mut process)).collect();
    let rows: Vec<Row> = middle(runs).iter().map(|figure| Row::new(figure, &setup)).collect();
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    let text = render(&rows, format, style).or_exit(Exit::WorkFailed)?;
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// Of each measure the run with the median ratio; all runs hold the same measures in the same order.
fn middle(mut runs: Vec<Vec<Figure>>) -> Vec<Figure> {
    let count = runs.first().map_or(0, Vec::len);
    let mut figures = Vec::new();
    for index in 0..count {
        runs.sort_by(|a, b| a[index].ratio().total_cmp(&b[index].ratio()));
        figures.push(runs[(runs.len() - 1) / 2][index].clone());
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(resident_bytes("VmPeak:\t 9 kB\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(resident_bytes("nothing here"), None);
    }

    #[test]
    fn of_three_runs_the_middle_one_is_shown_for_each_measure() {
        let run = |values: [f64; 2]| {
            let (name, unit, floor_name, floor, target) = ("x", "ms", "y", 1.0, None);
            values.map(|value| Figure { name, unit, value, floor_name, floor, target }).to_vec()
        };
        let shown = middle(vec![run([1.0, 9.0]), run([3.0, 7.0]), run([2.0, 8.0])]);
        assert_eq!(shown.iter().map(|figure| figure.value).collect::<Vec<_>>(), [2.0, 8.0]);
    }
}
