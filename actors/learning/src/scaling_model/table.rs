//! The tables of `docs/training.md`, which `odeon simulate-training` prints as well.
//!
//! Which rows stand in them is decided here; what is in a row in the model.

use std::fmt::Write;

use super::{Compression, Outcome, Scenario, Topology, Waiting};

/// Workers of the columns.
const WORKERS: [usize; 6] = [2, 8, 32, 128, 512, 1024];

/// The rows: what they are called, and how workers are combined.
const WAYS: [(&str, Topology, Compression, Waiting); 9] = [
    ("star", Topology::Star, Compression::None, Waiting::ForAll),
    ("tree, fan-in 4", Topology::Tree { fan_in: 4 }, Compression::None, Waiting::ForAll),
    ("ring", Topology::Ring, Compression::None, Waiting::ForAll),
    ("star, 16 bits", Topology::Star, Compression::Half, Waiting::ForAll),
    ("star, 1 bit", Topology::Star, Compression::OneBit, Waiting::ForAll),
    ("star, largest 1 %", Topology::Star, Compression::Top { per_mille: 10 }, Waiting::ForAll),
    ("tree, fan-in 4, largest 1 %", Topology::Tree { fan_in: 4 }, Compression::Top { per_mille: 10 }, Waiting::ForAll),
    ("star, 3 rounds ahead", Topology::Star, Compression::None, Waiting::Bounded(3)),
    ("star, no bound", Topology::Star, Compression::None, Waiting::ForNobody),
];

/// A way to combine so many workers, and what comes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalingRow {
    /// What it is called.
    pub way: &'static str,
    /// How many there are.
    pub workers: usize,
    /// What comes of it.
    pub outcome: Outcome,
}

/// Each way for each number of workers.
#[must_use]
pub fn scaling_rows(base: Scenario) -> Vec<ScalingRow> {
    let of_way = |(way, topology, compression, waiting)| {
        WORKERS.map(|workers| {
            let outcome = Scenario { workers, topology, compression, waiting, ..base }.run();
            ScalingRow { way, workers, outcome }
        })
    };
    WAYS.into_iter().flat_map(of_way).collect()
}

/// The same as a table in Markdown: time, speed-up and bytes of a round.
#[must_use]
pub fn scaling_table(base: Scenario) -> String {
    let mut table = String::from("| combined by |");
    let mut line = |text: std::fmt::Arguments<'_>| table.write_fmt(text).expect("writing to memory cannot fail");
    WORKERS.iter().for_each(|workers| line(format_args!(" {workers} |")));
    line(format_args!("\n|---|{}\n", "---|".repeat(WORKERS.len())));
    for rows in scaling_rows(base).chunks(WORKERS.len()) {
        line(format_args!("| {} |", rows[0].way));
        rows.iter().for_each(|row| line(format_args!(" {} |", cell(&row.outcome, base.rounds))));
        line(format_args!("\n"));
    }
    table
}

fn cell(outcome: &Outcome, rounds: u32) -> String {
    let round_ms = 1000.0 * outcome.time.as_secs_f64() / f64::from(rounds);
    let bytes = outcome.bytes as f64 / f64::from(rounds);
    format!("{round_ms:.1} ms, {:.1}×, {}", outcome.speed_up, amount(bytes))
}

fn amount(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1e6 => format!("{:.0} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.1} GB", bytes / 1e9),
    }
}
