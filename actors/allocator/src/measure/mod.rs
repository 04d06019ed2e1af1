//! Measures the allocator at scale, beside bare arithmetic over the same counts in the same run.
//!
//! The clock is handed in, and so is what tells the memory of the process: nothing here reads either. Everything
//! goes through the public methods of [`Allocator`](crate::Allocator), as a master would call them; nothing of a
//! cluster beyond the allocator is in the figures.

mod cluster;
mod floor;

use crate::SorterKind;
use cluster::Cluster;
use floor::Floor;
use std::time::Duration;

/// Events of the steady churn that are measured.
const EVENTS: usize = 20_000;
/// Runs over agents of which nobody wants anything; the one with the median time counts.
const REFUSED_RUNS: usize = 5;

/// What is built and measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// How many agents.
    pub agents: u32,
    /// How many frameworks.
    pub frameworks: u32,
    /// How roles and frameworks are ordered.
    pub sorter: SorterKind,
    /// Whether who declines also refuses, until everyone has refused everything.
    pub filters: bool,
    /// Whether half of every fourth agent is reserved for the role of one of the frameworks.
    pub reservations: bool,
    /// Over how many roles with a guarantee and a limit the frameworks are spread; zero for one role without.
    pub quota_roles: u32,
    /// Decides all that is left to chance.
    pub seed: u64,
}

/// What a measurement needs from outside.
pub trait Instruments {
    /// The time since some fixed moment.
    fn now(&mut self) -> Duration;
    /// The memory of this process, in bytes.
    fn memory(&mut self) -> u64;
}

/// A measure, beside the floor of the same run.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: &'static str,
    /// Of value and floor.
    pub unit: &'static str,
    /// How it went.
    pub value: f64,
    /// What the floor is.
    pub floor_name: &'static str,
    /// How it goes with arrays and arithmetic alone.
    pub floor: f64,
    /// The most that the value should be at these counts; none where nothing was promised.
    pub target: Option<f64>,
}

impl Figure {
    /// How often the floor goes into the value.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.value / self.floor
    }

    /// Whether the target is kept to; none without one.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        self.target.map(|target| self.value <= target)
    }
}

/// Builds a cluster and measures it.
pub fn measure(setup: &Setup, instruments: &mut dyn Instruments) -> Vec<Figure> {
    let empty = instruments.memory();
    let mut floor = Floor::new(setup);
    let flat = instruments.memory().saturating_sub(empty);
    let (mut cluster, build) = timed(instruments, || Cluster::new(setup));
    let mut figures = Vec::new();
    let mut note = |name, unit, value, (floor_name, floor), target| {
        figures.push(Figure { name, unit, value, floor_name, floor, target });
    };
    let per_agent = f64::from(setup.agents.max(1));
    let (_, copy) = timed(instruments, || floor.copy());
    note("register an agent", "us", micros(build) / per_agent, ("copied numbers", micros(copy) / per_agent), None);

    let (_, cycle) = timed(instruments, || cluster.run());
    let (_, bare) = timed(instruments, || floor.cycle());
    note("full cycle", "ms", millis(cycle), ("bare order", millis(bare)), target_of_cycle(setup));

    let (mean, worst) = events(instruments, |number| cluster.event(number));
    let (bare_mean, bare_worst) = events(instruments, |number| floor.event(number));
    note("event, mean", "us", mean, ("bare order", bare_mean), Some(20.0));
    note("event, p99", "us", worst, ("bare order", bare_worst), None);

    let (_, declined) = timed(instruments, || cluster.decline_all());
    let (_, bare) = timed(instruments, || floor.give_all_back());
    note("decline", "us", micros(declined) / per_agent, ("bare order", micros(bare) / per_agent), None);
    let (_, again) = timed(instruments, || cluster.run_over_all());
    let (_, bare) = timed(instruments, || floor.cycle());
    note("next cycle", "ms", millis(again), ("bare order", millis(bare)), None);
    if setup.filters {
        cluster.refuse_all();
        let refused = median(instruments, || cluster.run_over_all());
        floor.refuse_all();
        let bare = median(instruments, || floor.refused_cycle());
        note("everyone refused", "ms", refused, ("a bit a pair", bare), target_of_refused(setup));
    }
    let used = instruments.memory().saturating_sub(empty + flat);
    note("memory", "MiB", mib(used), ("flat arrays", floor.bytes().max(1.0)), target_of_memory(setup));
    figures
}

fn target_of_cycle(setup: &Setup) -> Option<f64> {
    match (setup.agents, setup.frameworks) {
        (10_000, 1_000) => Some(25.0),
        (20_000, 2_000) => Some(80.0),
        _ => None,
    }
}

fn target_of_refused(setup: &Setup) -> Option<f64> {
    ((setup.agents, setup.frameworks) == (10_000, 1_000)).then_some(150.0)
}

fn target_of_memory(setup: &Setup) -> Option<f64> {
    ((setup.agents, setup.frameworks) == (50_000, 200)).then_some(1907.0)
}

fn timed<T>(instruments: &mut dyn Instruments, work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = instruments.now();
    let done = work();
    (done, instruments.now().saturating_sub(begin))
}

/// Mean and 99th percentile, in microseconds.
fn events(instruments: &mut dyn Instruments, mut event: impl FnMut(usize)) -> (f64, f64) {
    let mut times: Vec<f64> = (0..EVENTS).map(|number| micros(timed(instruments, || event(number)).1)).collect();
    times.sort_by(f64::total_cmp);
    let count = u32::try_from(EVENTS).map_or(f64::NAN, f64::from);
    (times.iter().sum::<f64>() / count, times[EVENTS * 99 / 100 - 1])
}

/// The median time of some runs, in milliseconds.
fn median(instruments: &mut dyn Instruments, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..REFUSED_RUNS).map(|_| millis(timed(instruments, &mut run).1)).collect();
    times.sort_by(f64::total_cmp);
    times[REFUSED_RUNS / 2]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves by a microsecond whenever it is asked.
    #[derive(Default)]
    struct Ticks(u64);

    impl Instruments for Ticks {
        fn now(&mut self) -> Duration {
            self.0 += 1;
            Duration::from_micros(self.0)
        }

        fn memory(&mut self) -> u64 {
            self.0 << 20
        }
    }

    fn setup() -> Setup {
        let (filters, reservations, quota_roles, seed) = (true, false, 0, 1);
        Setup { agents: 20, frameworks: 5, sorter: SorterKind::Drf, filters, reservations, quota_roles, seed }
    }

    fn names(setup: &Setup) -> Vec<&'static str> {
        measure(setup, &mut Ticks::default()).into_iter().map(|figure| figure.name).collect()
    }

    #[test]
    fn every_measure_is_taken_once_and_refusals_only_with_filters() {
        let all = names(&setup());
        assert_eq!(all.len(), 8);
        let without: Vec<_> = all.into_iter().filter(|name| *name != "everyone refused").collect();
        assert_eq!(names(&Setup { filters: false, ..setup() }), without);
    }

    #[test]
    fn quota_reservations_and_the_order_by_chance_can_be_measured() {
        let setup = Setup { reservations: true, quota_roles: 3, sorter: SorterKind::Random, ..setup() };
        assert_eq!(names(&setup).len(), 8);
    }

    #[test]
    fn a_target_holds_for_its_counts_only() {
        let large = Setup { agents: 10_000, frameworks: 1_000, ..setup() };
        assert_eq!((target_of_cycle(&large), target_of_cycle(&setup())), (Some(25.0), None));
        let figure = |value| Figure {
            name: "x",
            unit: "ms",
            value,
            floor_name: "y",
            floor: 2.0,
            target: target_of_refused(&large),
        };
        assert_eq!((figure(150.0).holds(), figure(150.5).holds()), (Some(true), Some(false)));
        assert!((figure(5.0).ratio() - 2.5).abs() < 1e-9);
    }
}
