//! `odeon simulate-training`: what a training would take with other workers, links and ways to combine.
//!
//! The model is in `odeon_learning::scaling_model`; nothing is trained.

use std::time::Duration;

use clap::{Args, ValueEnum};
use odeon_learning::scaling_model::{ScalingRow, Scenario, scaling_rows};
use serde::Serialize;

use super::listing::ListingArgs;
use crate::app::Environment;
use crate::failure::Failure;
use crate::output::{Column, Listed};

/// Models how a training scales, from 2 to 1,024 workers, by how their sums are combined
///
/// Rounds run on an event clock, over links with a delay and a bandwidth: the same figures on every host.
/// Example: odeon simulate-training --like wide --delay-us 10000
#[derive(Debug, Args)]
pub(crate) struct SimulateTrainingArgs {
    /// The training that stands for what is not given
    #[arg(long, value_enum, default_value_t)]
    like: Like,
    /// Rounds, in each of which every row is read once
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Numbers of a point, and of a sum
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    values: Option<u64>,
    /// What one worker alone would compute in a round, in milliseconds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    compute_ms: Option<u64>,
    /// One way between any two, in microseconds
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    delay_us: Option<u64>,
    /// Of each of them, in each direction, in millions of bits a second
    #[arg(long, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
    mbit: Option<u64>,
    /// So much longer than usual a worker may take in a round, in per cent
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=100))]
    jitter: Option<u64>,
    /// How many times as long as the others one worker takes
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100))]
    slowest: Option<u64>,
    #[command(flatten)]
    listing: ListingArgs,
}

/// A training whose figures are known.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Like {
    /// 2,000,000 rows of 100 columns, 16 rounds
    #[default]
    Dense,
    /// Twenty classes over 32,207 columns, 100 rounds
    Wide,
}

/// A way to combine so many workers.
#[derive(Serialize)]
struct Row {
    combined_by: &'static str,
    workers: usize,
    rounds: u32,
    seconds: f64,
    speed_up: f64,
    bytes: u64,
    busiest_bytes: u64,
}

impl Listed for Row {
    const KIND: &'static str = "ways";
    const COLUMNS: &'static [Column] = &[
        Column::always("COMBINED BY"),
        Column::always("WORKERS"),
        Column::always("SECONDS"),
        Column::always("SPEED-UP"),
        Column::always("BYTES"),
        Column::wide("OF THE BUSIEST"),
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.combined_by.to_owned(),
            self.workers.to_string(),
            format!("{:.3}", self.seconds),
            format!("{:.1}", self.speed_up),
            self.bytes.to_string(),
            self.busiest_bytes.to_string(),
        ]
    }

    fn id(&self) -> String {
        format!("{}/{}", self.combined_by, self.workers)
    }
}

/// Runs the model and prints its rows.
pub(crate) fn simulate_training(args: &SimulateTrainingArgs, environment: &Environment) -> Result<i32, Failure> {
    let scenario = args.scenario();
    let row = |ScalingRow { way, workers, outcome }| Row {
        combined_by: way,
        workers,
        rounds: scenario.rounds,
        seconds: outcome.time.as_secs_f64(),
        speed_up: outcome.speed_up,
        bytes: outcome.bytes,
        busiest_bytes: outcome.busiest_bytes,
    };
    args.listing.print(&scaling_rows(scenario).into_iter().map(row).collect::<Vec<_>>(), environment)
}

impl SimulateTrainingArgs {
    fn scenario(&self) -> Scenario {
        let like = match self.like {
            Like::Dense => Scenario::dense(),
            Like::Wide => Scenario::wide(),
        };
        Scenario {
            rounds: self.rounds.unwrap_or(like.rounds),
            values: self.values.unwrap_or(like.values),
            compute: self.compute_ms.map_or(like.compute, Duration::from_millis),
            delay: self.delay_us.map_or(like.delay, Duration::from_micros),
            bandwidth: self.mbit.map_or(like.bandwidth, |mbit| mbit * 125_000),
            jitter_percent: self.jitter.unwrap_or(like.jitter_percent),
            slowest_times: self.slowest.unwrap_or(like.slowest_times),
            ..like
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateTrainingArgs,
    }

    #[test]
    fn what_is_given_stands_in_for_what_is_known() {
        let scenario = |words: &[&str]| <Line as clap::Parser>::parse_from(words).args.scenario();
        assert_eq!(scenario(&["odeon"]), Scenario::dense());
        let given = scenario(&["odeon", "--like", "wide", "--delay-us", "10000", "--mbit", "100", "--rounds", "7"]);
        let expected =
            Scenario { rounds: 7, bandwidth: 12_500_000, delay: Duration::from_millis(10), ..Scenario::wide() };
        assert_eq!(given, expected);
    }
}
