//! `odeon bench reregistration`: how long a master that was started again takes to have all agents and tasks back.
//!
//! What is measured, and how, is in `odeon_master::measure`.

use clap::Args;
use odeon_master::measure::{Reregistered, Reregistration, reregistration};
use serde::Serialize;

use super::processes::own_processor_time;
use crate::app::{Environment, fresh_seed};
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Column, Format, Listed, Style, print, render};

/// Measures how soon a restarted master has its agents and tasks back, in one process
#[derive(Debug, Args)]
pub(crate) struct ReregistrationArgs {
    /// How many agents
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    agents: u32,
    /// How many tasks each agent brings back
    #[arg(long, value_name = "T", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100))]
    tasks_per_agent: u32,
    /// Over how many frameworks the tasks are spread
    #[arg(long, value_name = "M", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    frameworks: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One measure.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What the same run on the same machine takes to put copies of the tasks into a map.
    floor: Option<f64>,
    /// `value / floor`.
    ratio: Option<f64>,
    /// The most that was promised for these counts.
    target: Option<f64>,
    holds: Option<bool>,
}

impl Listed for Row {
    const KIND: &'static str = "reregistration";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("VALUE"),
        Column::always("UNIT"),
        Column::always("COPIED"),
        Column::always("RATIO"),
        Column::always("TARGET"),
        Column::always("HOLDS"),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>| value.map(|value| format!("{value:.1}")).unwrap_or_default();
        vec![
            self.name.to_owned(),
            number(Some(self.value)),
            self.unit.to_owned(),
            number(self.floor),
            number(self.ratio),
            number(self.target),
            self.holds.map(|holds| if holds { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

/// What was promised from the start of the new master until all is back, in milliseconds.
fn target(setup: &Reregistration) -> Option<f64> {
    match (setup.agents, setup.tasks_per_agent) {
        (10_000, 10) => Some(1_000.0),
        (40_000, 10) => Some(4_000.0),
        _ => None,
    }
}

fn rows(setup: &Reregistration, seen: &Reregistered) -> Vec<Row> {
    let plain = |name, value, unit| Row { name, value, unit, floor: None, ratio: None, target: None, holds: None };
    let (all, copied) = (millis(seen.started + seen.registered), millis(seen.copied));
    let target = target(setup);
    let mut rows = vec![
        plain("registry read", millis(seen.started), "ms"),
        plain("agents and tasks back", millis(seen.registered), "ms"),
        Row {
            floor: Some(copied),
            ratio: Some(all / copied),
            target,
            holds: target.map(|target| all <= target),
            ..plain("in all", all, "ms")
        },
        plain("tasks given up", seen.refused as f64, ""),
    ];
    rows.extend(seen.busy.map(|busy| plain("processor time", millis(busy), "ms")));
    rows
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Measures, and prints the table.
pub(crate) async fn run(args: ReregistrationArgs, environment: &Environment) -> Result<i32, Failure> {
    let ReregistrationArgs { agents, tasks_per_agent, frameworks, json } = args;
    let setup = Reregistration { agents, tasks_per_agent, frameworks, seed: fresh_seed() };
    let directory = tempfile::Builder::new().prefix("odeon-bench-").tempdir().or_exit(Exit::WorkFailed)?;
    let seen =
        reregistration(setup, directory.path().join("master"), own_processor_time).await.or_exit(Exit::WorkFailed)?;
    let format = if json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    print(&render(&rows(&setup, &seen), format, style).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_target_counts_from_the_start_of_the_new_master() {
        let setup = Reregistration { agents: 40_000, tasks_per_agent: 10, frameworks: 1, seed: 1 };
        let seconds = Duration::from_secs;
        let seen = |started, registered| Reregistered {
            started: seconds(started),
            registered: seconds(registered),
            refused: 0,
            busy: None,
            copied: seconds(1),
        };
        let holds = |seen: Reregistered| rows(&setup, &seen).iter().find_map(|row| row.holds);
        assert_eq!((holds(seen(1, 3)), holds(seen(2, 3))), (Some(true), Some(false)));
        let small = Reregistration { agents: 1, ..setup };
        assert!(rows(&small, &seen(1, 1)).iter().all(|row| row.holds.is_none()));
    }
}
