//! What `odeon bench train` says of a training, from the reports of its passes.

use std::time::Duration;

use odeon_learning::pass_report::PassReport;
use odeon_learning::program::Progress;
use serde::Serialize;

use super::times::Times;
use crate::output::{Column, Listed};

/// A training, and what it is compared with.
pub(super) struct Run {
    pub(super) passes: Vec<PassReport>,
    /// Of all processes together.
    pub(super) peak_bytes: Option<u64>,
    pub(super) row_count: usize,
    /// Of the rows as they are kept: 4 a cell, and of sparse rows 8 for each that is not 0.
    pub(super) matrix_bytes: usize,
    pub(super) objective: f64,
    pub(super) gradient_norm: f64,
    pub(super) optimum: f64,
    /// Bytes a second.
    pub(super) read_bandwidth: f64,
}

/// One measure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Figure {
    name: String,
    value: Option<f64>,
    unit: &'static str,
    /// What it is compared with, if anything.
    beside_name: Option<&'static str>,
    beside: Option<f64>,
    ratio: Option<f64>,
}

impl Listed for Figure {
    const KIND: &'static str = "training";
    const COLUMNS: &'static [Column] = &[
        Column::always("MEASURE"),
        Column::always("VALUE"),
        Column::always("UNIT"),
        Column::always("BESIDE"),
        Column::always("OF"),
        Column::always("RATIO"),
    ];

    fn cells(&self) -> Vec<String> {
        let short = |value: Option<f64>| value.map(short).unwrap_or_default();
        vec![
            self.name.clone(),
            self.value.map_or_else(|| "not reached".to_owned(), |_| short(self.value)),
            self.unit.to_owned(),
            short(self.beside),
            self.beside_name.unwrap_or_default().to_owned(),
            self.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
        ]
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

/// Four digits are more than the machine repeats.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e6.. => format!("{:.4}M", value / 1e6),
        1e-2..1e6 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

impl Figure {
    pub(super) fn new(name: impl Into<String>, value: Option<f64>, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, beside_name: None, beside: None, ratio: None }
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(test)]
    pub(super) fn value(&self) -> Option<f64> {
        self.value
    }

    pub(super) fn beside(self, name: &'static str, beside: f64) -> Self {
        let ratio = self.value.map(|value| value / beside);
        Self { beside_name: Some(name), beside: Some(beside), ratio, ..self }
    }
}

impl Run {
    pub(super) fn rounds(&self) -> impl Iterator<Item = Progress> {
        self.passes.iter().filter_map(|pass| pass.progress)
    }

    pub(super) fn matrix_bytes(&self) -> f64 {
        self.matrix_bytes as f64
    }

    /// How far an objective is above the optimum, as part of it.
    fn excess(&self, objective: f64) -> f64 {
        (objective - self.optimum) / self.optimum
    }

    /// Seconds without loading, and readings of all rows, until a round is so near the optimum.
    fn until(&self, excess: f64) -> Option<(f64, f64)> {
        let near = |pass: &PassReport| pass.progress.is_some_and(|round| self.excess(round.objective) <= excess);
        let count = self.passes.iter().position(near)? + 1;
        let seconds = |pass: &PassReport| pass.took.saturating_sub(pass.load).as_secs_f64();
        Some((self.passes[..count].iter().map(seconds).sum(), count as f64))
    }

    /// The median over passes of one kind, in milliseconds.
    fn median_ms(&self, name: &str, of: impl Fn(&PassReport) -> Duration) -> Option<f64> {
        let passes = self.passes.iter().filter(|pass| pass.name == name).map(of);
        let median = Times::new(passes.collect()).at(50);
        median.is_finite().then_some(median / 1e3)
    }
}

/// All measures of a run.
pub(super) fn figures(run: &Run) -> Vec<Figure> {
    let reach = |excess: f64| run.until(excess).unzip();
    let [(coarse_s, coarse), (fine_s, fine)] = [1e-3, 1e-6].map(reach);
    let best = run.rounds().map(|round| run.excess(round.objective)).fold(f64::INFINITY, f64::min);
    let load = run.passes.iter().map(|pass| pass.load).max().unwrap_or_default();
    let all: f64 = run.passes.iter().map(|pass| pass.took.as_secs_f64()).sum();
    let mut figures = vec![
        Figure::new("loading rows", Some(load.as_secs_f64()), "s"),
        Figure::new("all passes, loading included", Some(all), "s"),
        Figure::new("time to 1e-3", coarse_s, "s"),
        Figure::new("readings to 1e-3", coarse, ""),
        Figure::new("time to 1e-6", fine_s, "s"),
        Figure::new("readings to 1e-6", fine, ""),
        Figure::new("best excess", Some(best), "of optimum"),
        Figure::new("rounds", Some(run.rounds().count() as f64), ""),
        Figure::new("gradient left", Some(run.gradient_norm), ""),
        Figure::new("objective", Some(run.objective), "").beside("optimum", run.optimum),
    ];
    figures.extend(["gradient", "curvature"].into_iter().filter_map(|name| kernel(run, name)).flatten());
    figures.extend(rounds(run));
    figures.push(Figure::new("read bandwidth", Some(run.read_bandwidth / 1e9), "GB/s"));
    if let Some(peak) = run.peak_bytes {
        let matrix = run.matrix_bytes() / 1e6;
        figures
            .push(Figure::new("peak memory of all processes", Some(peak as f64 / 1e6), "MB").beside("matrix", matrix));
    }
    figures
}

/// What a pass of one kind costs the slowest worker.
fn kernel(run: &Run, name: &str) -> Option<[Figure; 3]> {
    let ms = run.median_ms(name, |pass| pass.compute)?;
    let gb_s = run.matrix_bytes() / ms / 1e6;
    Some([
        Figure::new(format!("{name} pass, median"), Some(ms), "ms"),
        Figure::new(format!("{name} pass, rows"), Some(run.row_count as f64 / ms * 1e3), "rows/s"),
        Figure::new(format!("{name} pass, matrix"), Some(gb_s), "GB/s")
            .beside("read bandwidth", run.read_bandwidth / 1e9),
    ])
}

/// What is not the kernels: the actors, the solver, and the bytes between them.
fn rounds(run: &Run) -> Vec<Figure> {
    let rounds = || run.passes.iter().filter(|pass| pass.progress.is_some());
    let overhead = Times::new(rounds().map(PassReport::overhead).collect());
    let sum = |of: fn(&PassReport) -> u64| rounds().map(of).sum::<u64>() as f64 / rounds().count().max(1) as f64;
    vec![
        Figure::new("overhead of a round, median", Some(overhead.at(50)), "us"),
        Figure::new("overhead of a round, p90", Some(overhead.at(90)), "us"),
        Figure::new("bytes of a round", Some(sum(|pass| pass.bytes)), "")
            .beside("least of a star", sum(|pass| pass.bytes_min)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(name: &'static str, ms: u64, objective: Option<f64>) -> PassReport {
        let progress = objective.map(|objective| Progress { round: 1, objective, gradient_norm: 0.0 });
        let (took, slowest) = (Duration::from_millis(ms), Duration::from_millis(ms - 1));
        let load = Duration::from_millis(if name == "column_sums" { 70 } else { 0 });
        PassReport { number: 1, name, took, slowest, compute: slowest, load, bytes: 110, bytes_min: 100, progress }
    }

    fn run() -> Run {
        let passes = vec![
            pass("column_sums", 100, None),
            pass("gradient", 10, Some(0.6)),
            pass("gradient", 10, Some(0.5004)),
            pass("gradient", 12, Some(0.5)),
        ];
        let (row_count, matrix_bytes, read_bandwidth) = (1_000_000, 40_000_000, 8e9);
        let (objective, gradient_norm, optimum) = (0.5, 0.0, 0.5);
        Run {
            passes,
            peak_bytes: Some(50_000_000),
            row_count,
            matrix_bytes,
            objective,
            gradient_norm,
            optimum,
            read_bandwidth,
        }
    }

    fn value(figures: &[Figure], name: &str) -> (Option<f64>, Option<f64>) {
        let figure = figures.iter().find(|figure| figure.name == name).expect(name);
        (figure.value, figure.ratio)
    }

    #[test]
    fn times_count_from_the_first_pass_without_loading() {
        let figures = figures(&run());
        assert_eq!(value(&figures, "readings to 1e-3").0, Some(3.0));
        assert!((value(&figures, "time to 1e-3").0.expect("reached") - 0.050).abs() < 1e-12);
        assert!((value(&figures, "time to 1e-6").0.expect("reached") - 0.062).abs() < 1e-12);
        assert_eq!(value(&figures, "overhead of a round, median").0, Some(1000.0));
        assert_eq!(value(&figures, "bytes of a round").1, Some(1.1));
        assert_eq!(value(&figures, "peak memory of all processes").1, Some(1.25));
        let (gb_s, part) = value(&figures, "gradient pass, matrix");
        assert!(
            (gb_s.expect("measured") - 40.0 / 9.0).abs() < 1e-9 && (part.expect("compared") - 5.0 / 9.0).abs() < 1e-9
        );
    }

    #[test]
    fn what_is_not_reached_is_told() {
        let run = Run { optimum: 0.4, ..run() };
        let row = figures(&run).into_iter().find(|figure| figure.name == "time to 1e-6").expect("a row");
        assert_eq!((row.value, row.cells()[1].as_str()), (None, "not reached"));
    }
}
