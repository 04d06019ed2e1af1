//! A model on rows of a file that it was not trained on: predictions, and how good they are.
//!
//! Rows are read and predicted a few thousand at a time. What is judged is kept until the end: a target
//! and a score for each row.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::data::{ColumnSetting, DataError, DataSpec, Rows, source, source::Table};
use crate::job::ModelKind;
use crate::model::{PredictError, TrainedModel};
use crate::prepare::FittedStep;
use crate::scores::{Average, Confusion, ScoreError, average_precision, log_loss, regression, roc_auc};

/// Rows that are read before they are predicted.
const ROWS_AT_ONCE: usize = 4096;

/// Why a file has no predictions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictionError {
    /// The file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A row cannot be predicted; `first` is the number of the first row that was given, from 1.
    #[error("behind data row {first}: {error}")]
    Predict {
        /// Data rows before those given.
        first: usize,
        /// What is wrong with one of them.
        error: PredictError,
    },
    /// The predictions cannot be judged.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The output cannot be written.
    #[error("the predictions cannot be written: {0}")]
    Write(#[from] csv::Error),
}

/// How a model does on a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Rows judged.
    pub row_count: usize,
    /// By name, in alphabetical order.
    pub metrics: BTreeMap<String, f64>,
    /// Of a classifier: rows by class, then by predicted class.
    pub confusion: Option<Confusion>,
}

/// Writes a CSV of one line for each row of the file: the `prediction`, and for a classifier the
/// `probability` or the `margin` of class 1. Returns the number of rows.
///
/// # Errors
/// [`PredictionError`]; what was written before the fault is incomplete.
pub fn predict_file(model: &TrainedModel, path: &Path, out: impl Write) -> Result<usize, PredictionError> {
    let table = source::scan(path, &data_spec(model, false))?;
    let mut out = csv::Writer::from_writer(out);
    let score_name = match model.model {
        ModelKind::Linear => None,
        ModelKind::Logistic => Some("probability"),
        ModelKind::LinearSvc => Some("margin"),
    };
    out.write_record(["prediction"].into_iter().chain(score_name))?;
    each_prediction(model, &table, |_, score| {
        match score_name {
            None => out.write_record([score.to_string()])?,
            Some(_) => out.write_record([class_name(model, class_of(model, score)), score.to_string()])?,
        }
        Ok(())
    })?;
    out.flush().map_err(csv::Error::from)?;
    Ok(table.summary().row_count)
}

/// Predicts every row of the file and compares with its target.
///
/// # Errors
/// [`PredictionError`].
pub fn evaluate_file(model: &TrainedModel, path: &Path) -> Result<Evaluation, PredictionError> {
    let table = source::scan(path, &data_spec(model, true))?;
    let (mut targets, mut scores) = (Vec::new(), Vec::new());
    each_prediction(model, &table, |target, score| {
        targets.push(target);
        scores.push(score);
        Ok(())
    })?;
    let row_count = targets.len();
    if !model.model.is_classifier() {
        let metrics = named(&regression_metrics(&targets, &scores)?);
        return Ok(Evaluation { row_count, metrics, confusion: None });
    }
    let (metrics, confusion) = class_metrics(model, &targets, &scores)?;
    Ok(Evaluation { row_count, metrics, confusion: Some(confusion) })
}

/// The name of a class in the file.
#[must_use]
pub fn class_name(model: &TrainedModel, class: usize) -> String {
    model.classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn class_of(model: &TrainedModel, score: f64) -> usize {
    let least = if model.model == ModelKind::Logistic { 0.5 } else { 0.0 };
    usize::from(score > least)
}

/// The columns of the file as they were in training; the target only if it is needed.
fn data_spec(model: &TrainedModel, with_target: bool) -> DataSpec {
    let features: Vec<String> = model.input_names().into_iter().map(str::to_owned).collect();
    let words = model.input.iter().filter(|column| column.has_levels());
    let mut columns: BTreeMap<String, ColumnSetting> =
        features.iter().map(|name| (name.clone(), ColumnSetting::Numeric)).collect();
    columns.extend(words.map(|column| (column.name.clone(), ColumnSetting::Ordinal(column.levels.clone()))));
    if with_target && !model.classes.is_empty() {
        columns.insert(model.target.clone(), ColumnSetting::Ordinal(model.classes.clone()));
    }
    DataSpec {
        target: with_target.then(|| model.target.clone()),
        features: Some(features),
        binary_target: model.model.is_classifier(),
        columns,
        missing_words: model.missing_words.clone(),
        missing_is_filled: model.steps.iter().any(|step| matches!(step, FittedStep::Fill { .. })),
        ..DataSpec::default()
    }
}

/// Calls `each` with the target (0 if it was not read) and the prediction of every row, in their order.
fn each_prediction(
    model: &TrainedModel,
    table: &Table,
    mut each: impl FnMut(f64, f64) -> Result<(), PredictionError>,
) -> Result<(), PredictionError> {
    let mut first = 0;
    table.each_chunk(ROWS_AT_ONCE, |Rows { x, y }| {
        let scores = model.predict(x.view()).map_err(|error| PredictionError::Predict { first, error })?;
        first += scores.len();
        y.iter().zip(scores).try_for_each(|(target, score)| each(*target, score))
    })
}

fn regression_metrics(targets: &[f64], predictions: &[f64]) -> Result<[(&'static str, f64); 5], ScoreError> {
    let scores = regression(targets, predictions)?;
    Ok([
        ("mean_squared_error", scores.mean_squared_error),
        ("root_mean_squared_error", scores.root_mean_squared_error),
        ("mean_absolute_error", scores.mean_absolute_error),
        ("r2", scores.r2),
        ("explained_variance", scores.explained_variance),
    ])
}

/// Rankings are left out where all rows are of one class.
fn class_metrics(
    model: &TrainedModel,
    targets: &[f64],
    scores: &[f64],
) -> Result<(BTreeMap<String, f64>, Confusion), ScoreError> {
    let is_positive: Vec<bool> = targets.iter().map(|target| *target == 1.0).collect();
    let classes: Vec<usize> = is_positive.iter().map(|positive| usize::from(*positive)).collect();
    let predicted: Vec<usize> = scores.iter().map(|score| class_of(model, *score)).collect();
    let confusion = Confusion::new(&classes, &predicted, 2)?;
    let positive = confusion.class(1);
    let mut metrics = named(&[
        ("accuracy", confusion.accuracy()),
        ("balanced_accuracy", confusion.balanced_accuracy()),
        ("precision", positive.precision),
        ("recall", positive.recall),
        ("f1", positive.f1),
    ]);
    for (name, average) in [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)] {
        let scores = confusion.average(average);
        let values = [("precision", scores.precision), ("recall", scores.recall), ("f1", scores.f1)];
        metrics.extend(values.map(|(metric, value)| (format!("{metric}_{name}"), value)));
    }
    for (name, ranking) in
        [("roc_auc", roc_auc(&is_positive, scores)), ("average_precision", average_precision(&is_positive, scores))]
    {
        match ranking {
            Ok(value) => drop(metrics.insert(name.to_owned(), value)),
            Err(ScoreError::OneClass) => {}
            Err(error) => return Err(error),
        }
    }
    if model.model == ModelKind::Logistic {
        let of_class = is_positive.iter().zip(scores);
        let of_class: Vec<f64> = of_class.map(|(positive, p)| if *positive { *p } else { 1.0 - p }).collect();
        metrics.insert("log_loss".to_owned(), log_loss(&of_class)?);
    }
    Ok((metrics, confusion))
}

fn named(metrics: &[(&str, f64)]) -> BTreeMap<String, f64> {
    metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[cfg(test)]
#[path = "predictions_test.rs"]
mod tests;
