//! The figures of `odeon bench cluster`, each beside a floor or a target where there is one.

use std::time::Duration;

use serde::Serialize;

use super::cluster::ClusterArgs;
use super::times::Times;
use crate::output::{Column, Listed};

/// What a run has seen.
pub(super) struct Seen {
    /// From the first dial until the last agent had its id.
    pub(super) registering: Duration,
    /// Launches a second until nearly all tasks ran.
    pub(super) starting_rate: f64,
    pub(super) launch_rate: f64,
    /// From the end of a task until its agent was offered again.
    pub(super) offers: Times,
    pub(super) running: u64,
    pub(super) master_kib: Option<u64>,
    pub(super) own_kib: Option<u64>,
    /// Processor time of a launch and its task, in microseconds.
    pub(super) master_each: f64,
    pub(super) own_each: f64,
    pub(super) failures: u64,
    /// What was said of the first of them.
    pub(super) failure: Option<String>,
    pub(super) repeated: u64,
    pub(super) refused: u64,
    pub(super) trips: Times,
}

/// One measure.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What the same run on the same machine takes for less; none if there is nothing to compare with.
    floor_name: Option<&'static str>,
    floor: Option<f64>,
    /// `value / floor`.
    ratio: Option<f64>,
    /// What is asked of a cluster of this size; none if nothing is.
    target: Option<f64>,
    holds: Option<bool>,
}

impl Row {
    fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, floor_name: None, floor: None, ratio: None, target: None, holds: None }
    }

    fn beside(mut self, name: &'static str, floor: f64) -> Self {
        (self.floor_name, self.floor, self.ratio) = (Some(name), Some(floor), Some(self.value / floor));
        self
    }

    fn at_least(mut self, target: Option<f64>) -> Self {
        (self.target, self.holds) = (target, target.map(|target| self.value >= target));
        self
    }

    fn at_most(mut self, target: Option<f64>) -> Self {
        (self.target, self.holds) = (target, target.map(|target| self.value <= target));
        self
    }
}

impl Listed for Row {
    const KIND: &'static str = "cluster";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("VALUE"),
        Column::always("UNIT"),
        Column::always("FLOOR"),
        Column::always("OF"),
        Column::always("RATIO"),
        Column::always("TARGET"),
        Column::always("HOLDS"),
    ];

    fn cells(&self) -> Vec<String> {
        let number = |value: Option<f64>, digits| value.map(|value| format!("{value:.digits$}")).unwrap_or_default();
        vec![
            self.name.to_owned(),
            number(Some(self.value), 1),
            self.unit.to_owned(),
            number(self.floor, 3),
            self.floor_name.unwrap_or_default().to_owned(),
            number(self.ratio, 2),
            number(self.target, 0),
            self.holds.map(|holds| if holds { "yes" } else { "no" }.to_owned()).unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.name.to_owned()
    }
}

/// What is asked of a cluster of a size.
#[derive(Debug, PartialEq)]
struct Targets {
    launches: f64,
    offer_p99_ms: f64,
    memory_mib: Option<(f64, f64)>,
}

/// A large cluster has to keep up with what it launches within its memory, a small one to be quick as well. There is
/// nothing to ask above the largest.
fn targets(agents: u32) -> Option<Targets> {
    match agents {
        0..=5_000 => Some(Targets { launches: 20_000.0, offer_p99_ms: 5.0, memory_mib: None }),
        5_001..=10_000 => Some(Targets { launches: 10_000.0, offer_p99_ms: 5.0, memory_mib: None }),
        10_001..=50_000 => {
            Some(Targets { launches: 10_000.0, offer_p99_ms: 250.0, memory_mib: Some((1024.0, 3072.0)) })
        }
        _ => None,
    }
}

/// The measures of a run, in the order in which things happen.
pub(super) fn rows(args: &ClusterArgs, seen: &Seen) -> Vec<Row> {
    let target = targets(args.agents);
    let of = |value: fn(&Targets) -> f64| target.as_ref().map(value);
    let memory = target.as_ref().and_then(|target| target.memory_mib);
    let (trip, agents) = (seen.trips.at(50), f64::from(args.agents));
    let mut rows = vec![
        Row::new("agents registered", agents, ""),
        Row::new("frameworks", f64::from(args.frameworks), ""),
        Row::new("agents registered a second", agents / seen.registering.as_secs_f64(), "1/s"),
        Row::new("tasks running", seen.running as f64, ""),
        Row::new("launches, until all tasks run", seen.starting_rate, "1/s"),
        Row::new("launches, sustained", seen.launch_rate, "1/s")
            .beside("loopback round trips, one by one", 1e6 / trip)
            .at_least(of(|target| target.launches)),
        Row::new("freed until offered, p50", seen.offers.at(50) / 1e3, "ms").beside("loopback round trip", trip / 1e3),
        Row::new("freed until offered, p99", seen.offers.at(99) / 1e3, "ms")
            .beside("loopback round trip, p99", seen.trips.at(99) / 1e3)
            .at_most(of(|target| target.offer_p99_ms)),
        Row::new("processor time of the master, each launch", seen.master_each, "us"),
        Row::new("processor time of all others, each launch", seen.own_each, "us"),
    ];
    let mib = |kib: u64| kib as f64 / 1024.0;
    rows.extend(
        seen.master_kib
            .map(|kib| Row::new("memory of the master", mib(kib), "MiB").at_most(memory.map(|(master, _)| master))),
    );
    rows.extend(seen.master_kib.zip(seen.own_kib).map(|(master, own)| {
        Row::new("memory of everything", mib(master + own), "MiB").at_most(memory.map(|(_, all)| all))
    }));
    rows.push(Row::new("tasks that did not end well", seen.failures as f64, ""));
    rows.push(Row::new("updates told again", seen.repeated as f64, ""));
    rows.push(Row::new("registrations tried again", seen.refused as f64, ""));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_depends_on_the_size() {
        let launches = |agents| targets(agents).map(|target| target.launches);
        assert_eq!(
            [5_000, 10_000, 50_000, 50_001].map(launches),
            [Some(20_000.0), Some(10_000.0), Some(10_000.0), None]
        );
    }

    #[test]
    fn a_target_holds_from_its_own_side() {
        let row = || Row::new("x", 5.0, "");
        assert_eq!((row().at_least(Some(5.0)).holds, row().at_least(Some(6.0)).holds), (Some(true), Some(false)));
        assert_eq!((row().at_most(Some(5.0)).holds, row().at_most(Some(4.0)).holds), (Some(true), Some(false)));
        assert_eq!(row().at_most(None).holds, None);
    }
}
