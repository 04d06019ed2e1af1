//! `odeon bench trees`: boosted trees of generated rows on a local cluster, in rows times trees a second.
//!
//! What a tree costs is told without loading and without turning cells into numbers of bins, which are told apart.

use clap::Args;
use odeon_learning::data::source;
use odeon_learning::job::{TrainingJob, WORKERS_MAX};
use odeon_learning::pass_report::PassReport;

use super::train::{matrix_bytes, one_row_more, one_training};
use super::train_figures::{Figure, Run};
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Style, print, render};

/// Measures boosted trees on generated rows with a cluster of its own
#[derive(Debug, Args)]
pub(crate) struct TreesBenchArgs {
    /// The rows: synthetic:dense?rows=N&cols=N&seed=N
    #[arg(long, value_name = "NAME", default_value = "synthetic:dense?rows=200000&cols=100&seed=1")]
    data: String,
    /// Workers, each with a core to itself if there are as many
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=i64::from(WORKERS_MAX)))]
    workers: u32,
    /// Trees
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    trees: u32,
    /// Splits on the way to a leaf; all are made that lower the loss
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10))]
    depth: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Trains and prints the figures.
pub(crate) async fn trees(args: TreesBenchArgs, environment: &Environment) -> Result<i32, Failure> {
    let job = args.job()?;
    let table = source::scan_source(&job.data.source(), &job.data_spec()).or_exit(Exit::Usage)?;
    let mut run = one_training(&job, table.summary(), environment).await?;
    run.matrix_bytes = matrix_bytes(&table).or_exit(Exit::Usage)?;
    let format = if args.json { Format::Json } else { Format::Table };
    let style = Style::of(&std::io::stdout(), &environment.variables);
    print(&render(&figures(&run), format, style).or_exit(Exit::WorkFailed)?).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

impl TreesBenchArgs {
    fn job(&self) -> Result<TrainingJob, Failure> {
        let (path, rows) = one_row_more(&self.data)?;
        let Self { workers, trees, depth, .. } = self;
        let (leaves, test_size) = (1 << depth, 0.5 / rows as f64);
        let text = format!(
            "name = \"bench\"\n\
             data = {{ path = \"{path}\", target = \"label\", split = \"ordered\", test_size = {test_size:e} }}\n\
             model = {{ type = \"boosted_trees_classifier\", boosting = {{ max_iter = {trees}, max_depth = {depth}, \
             max_leaf_nodes = {leaves} }} }}\n\
             train = {{ workers = {workers} }}\n"
        );
        let job: TrainingJob = toml::from_str(&text).map_err(|error| Failure::usage(error.message().to_owned()))?;
        job.validate().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(job)
    }
}

fn figures(run: &Run) -> Vec<Figure> {
    let seconds = |pass: &PassReport| pass.took.saturating_sub(pass.load).as_secs_f64();
    // The first pass for losses turns all cells into numbers of bins.
    let first = run.passes.iter().position(|pass| pass.name == "losses").map_or(run.passes.len(), |place| place + 1);
    let (before, after) = run.passes.split_at(first);
    let growing = || after.iter().filter(|pass| matches!(pass.name, "losses" | "histograms"));
    let trees = after.iter().filter(|pass| pass.name == "losses").count() as f64;
    let took: f64 = growing().map(seconds).sum();
    let sum = |of: fn(&PassReport) -> f64| growing().map(of).sum::<f64>();
    let load = run.passes.iter().map(|pass| pass.load).max().unwrap_or_default();
    let mut figures = vec![
        Figure::new("loading rows", Some(load.as_secs_f64()), "s"),
        Figure::new("edges and numbers of bins", Some(before.iter().map(seconds).sum()), "s"),
        Figure::new("trees", Some(trees), ""),
        Figure::new("growing them", Some(took), "s"),
        Figure::new("rows times trees", Some(run.row_count as f64 * trees / took), "1/s"),
        Figure::new("slowest worker's sums", Some(sum(|pass| pass.compute.as_secs_f64())), "s").beside("growing", took),
        Figure::new("passes of a tree", Some(growing().count() as f64 / trees), ""),
        Figure::new("bytes of a tree", Some(sum(|pass| pass.bytes as f64) / trees), ""),
        Figure::new("loss", Some(run.objective), ""),
    ];
    if let Some(peak) = run.peak_bytes {
        let peak = Figure::new("peak memory of all processes", Some(peak as f64 / 1e6), "MB");
        figures.push(peak.beside("matrix", run.matrix_bytes() / 1e6));
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pass(name: &'static str, ms: u64) -> PassReport {
        let (took, load) = (Duration::from_millis(ms), Duration::ZERO);
        let compute = took / 2;
        PassReport { number: 1, name, took, slowest: took, compute, load, bytes: 1000, bytes_min: 100, progress: None }
    }

    #[test]
    fn trees_are_told_without_what_comes_before_them() {
        let names =
            ["bins", "bins", "class_counts", "losses", "histograms", "histograms", "losses", "histograms", "losses"];
        let passes = names.map(|name| pass(name, 100)).to_vec();
        let run = Run {
            passes,
            peak_bytes: None,
            row_count: 1000,
            matrix_bytes: 12_000,
            objective: 0.5,
            gradient_norm: 0.0,
            optimum: f64::NAN,
            read_bandwidth: f64::NAN,
        };
        let figures = figures(&run);
        let value = |name: &str| figures.iter().find(|figure| figure.name() == name).and_then(Figure::value);
        assert!((value("edges and numbers of bins").expect("told") - 0.4).abs() < 1e-12);
        assert!((value("rows times trees").expect("told") - 4000.0).abs() < 1e-6);
        assert_eq!((value("passes of a tree"), value("bytes of a tree")), (Some(2.5), Some(2500.0)));
    }

    #[test]
    fn the_job_is_one_that_can_be_trained() {
        let args = TreesBenchArgs {
            data: "synthetic:dense?rows=100&cols=2&seed=1".to_owned(),
            workers: 2,
            trees: 3,
            depth: 4,
            json: false,
        };
        let job = args.job().expect("a job");
        assert_eq!((job.model.boosting.max_leaf_nodes, job.model.boosting.max_iter), (16, 3));
    }
}
