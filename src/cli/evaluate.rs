//! `odeon evaluate`: how good a model is on rows whose target is known.

use std::path::PathBuf;

use clap::Args;
use odeon_learning::predictions::{Evaluation, class_name, evaluate_file};
use serde::Serialize;

use super::models::NumberRow;
use super::predict::failure;
use super::run_directory::read_usable_model;
use crate::app::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, OrExit};
use crate::output::{Format, Style, document, escaped, print, render};

/// Judges a trained model on a file with its target
///
/// Example: odeon evaluate run1 held_out.csv
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// The model: a directory of `odeon train --out`, or a file in it
    model: PathBuf,
    /// The rows, CSV with a header and the column that was learned
    data: PathBuf,
    /// The form of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// What is told in JSON.
#[derive(Serialize)]
struct Told<'a> {
    rows: usize,
    metrics: &'a std::collections::BTreeMap<String, f64>,
    classes: Vec<String>,
    /// Rows by class, then by predicted class.
    confusion: Option<&'a [Vec<u64>]>,
}

/// Judges and prints.
pub(crate) fn evaluate(args: &EvaluateArgs, environment: &Environment) -> Result<i32, Failure> {
    let model = read_usable_model(&args.model, &environment.models)?;
    let Evaluation { row_count, metrics, confusion } = evaluate_file(&model, &args.data).map_err(failure)?;
    let counts = confusion.as_ref().map(|confusion| confusion.counts());
    let classes: Vec<String> = (0..counts.map_or(0, <[_]>::len)).map(|class| class_name(&model, class)).collect();
    let text = match args.output {
        Format::Json => {
            let told = Told { rows: row_count, metrics: &metrics, classes, confusion: counts };
            document("evaluation", &told).or_exit(Exit::WorkFailed)?
        }
        format => {
            let style = Style::of(&std::io::stdout(), &environment.variables);
            let rows: Vec<NumberRow> = metrics.iter().map(|(name, value)| NumberRow::new(name, *value)).collect();
            let table = render(&rows, format, style).or_exit(Exit::WorkFailed)?;
            format!("{table}\non {row_count} rows\n{}", confusion_lines(&classes, counts.unwrap_or_default()))
        }
    };
    print(&text).or_exit(Exit::WorkFailed)?;
    Ok(Exit::Done.into())
}

/// A line for each class and each class that its rows were called.
pub(super) fn confusion_lines(classes: &[String], counts: &[Vec<u64>]) -> String {
    let cell = |class: usize, predicted: usize, count: u64| {
        format!("{count} of class {} called {}\n", escaped(&classes[class]), escaped(&classes[predicted]))
    };
    let row = |(class, row): (usize, &Vec<u64>)| {
        row.iter().enumerate().map(|(predicted, count)| cell(class, predicted, *count)).collect::<String>()
    };
    counts.iter().enumerate().map(row).collect()
}
