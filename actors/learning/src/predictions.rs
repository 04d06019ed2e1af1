//! A model on rows of a file that it was not trained on: predictions, and how good they are.
//!
//! Rows are read and predicted a few thousand at a time. What is judged is kept until the end: a target
//! and a score for each row.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::data::{ColumnSetting, DataError, DataSpec, Rows, source, source::Table};
use crate::metrics::confusion_metrics;
use crate::model::{PredictError, TrainedModel};
use crate::prepare::FittedStep;
use crate::scores::{Confusion, ScoreError, average_precision, log_loss, regression, roc_auc};

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
/// `probability` or the `margin` of class 1, or of each class by its name. Returns the number of rows.
///
/// # Errors
/// [`PredictionError`]; what was written before the fault is incomplete.
pub fn predict_file(model: &TrainedModel, path: &Path, out: impl Write) -> Result<usize, PredictionError> {
    let table = source::scan(path, &data_spec(model, false))?;
    let mut out = csv::Writer::from_writer(out);
    let score_name = if model.model.has_probabilities() { "probability" } else { "margin" };
    let score_names: Vec<String> = match (model.model.is_classifier(), model.model.has_class_scores()) {
        (false, _) => Vec::new(),
        (true, false) => vec![score_name.to_owned()],
        (true, true) => model.classes.iter().map(|class| format!("{score_name}_{class}")).collect(),
    };
    out.write_record(std::iter::once("prediction".to_owned()).chain(score_names))?;
    each_prediction(model, &table, |_, scores| {
        let texts = scores.iter().map(f64::to_string);
        match model.model.is_classifier() {
            false => out.write_record(texts)?,
            true => out.write_record(std::iter::once(class_name(model, class_of(model, scores))).chain(texts))?,
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
    each_prediction(model, &table, |target, of_row| {
        targets.push(target);
        scores.extend(of_row);
        Ok(())
    })?;
    let row_count = targets.len();
    if model.model.has_class_scores() {
        let (metrics, confusion) = many_class_metrics(model, &targets, &scores)?;
        return Ok(Evaluation { row_count, metrics, confusion: Some(confusion) });
    }
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

/// The class of a row with these scores.
pub(crate) fn class_of(model: &TrainedModel, scores: &[f64]) -> usize {
    match (model.model.has_class_scores(), model.model.has_probabilities()) {
        (true, _) => model.class_of(scores),
        (false, true) => usize::from(scores[0] > 0.5),
        (false, false) => usize::from(scores[0] > 0.0),
    }
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
        many_classes: with_target && model.model.has_class_scores(),
        columns,
        missing_words: model.missing_words.clone(),
        missing_is_filled: model.steps.iter().any(|step| matches!(step, FittedStep::Fill { .. })),
        ..DataSpec::default()
    }
}

/// Calls `each` with the target (0 if it was not read) and the scores of every row, in their order.
fn each_prediction(
    model: &TrainedModel,
    table: &Table,
    mut each: impl FnMut(f64, &[f64]) -> Result<(), PredictionError>,
) -> Result<(), PredictionError> {
    let mut first = 0;
    table.each_chunk(ROWS_AT_ONCE, |Rows { x, y }| {
        let scores = model.scores(x.view()).map_err(|error| PredictionError::Predict { first, error })?;
        first += scores.nrows();
        y.iter().zip(scores.outer_iter()).try_for_each(|(target, scores)| each(*target, &scores.to_vec()))
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
    let predicted: Vec<usize> = scores.iter().map(|score| class_of(model, &[*score])).collect();
    let confusion = Confusion::new(&classes, &predicted, 2)?;
    let positive = confusion.class(1);
    let mut metrics = confusion_metrics(&confusion);
    metrics.extend(named(&[("precision", positive.precision), ("recall", positive.recall), ("f1", positive.f1)]));
    for (name, ranking) in
        [("roc_auc", roc_auc(&is_positive, scores)), ("average_precision", average_precision(&is_positive, scores))]
    {
        match ranking {
            Ok(value) => drop(metrics.insert(name.to_owned(), value)),
            Err(ScoreError::OneClass) => {}
            Err(error) => return Err(error),
        }
    }
    if model.model.has_probabilities() {
        let of_class = is_positive.iter().zip(scores);
        let of_class: Vec<f64> = of_class.map(|(positive, p)| if *positive { *p } else { 1.0 - p }).collect();
        metrics.insert("log_loss".to_owned(), log_loss(&of_class)?);
    }
    Ok((metrics, confusion))
}

/// `roc_auc_ovr_macro`, the mean over the classes of each one's area against all others, is left out where a class has
/// no rows, or all.
fn many_class_metrics(
    model: &TrainedModel,
    targets: &[f64],
    scores: &[f64],
) -> Result<(BTreeMap<String, f64>, Confusion), ScoreError> {
    let class_count = model.output_count();
    // The reader takes no target that is not one of the model's classes.
    let classes: Vec<usize> = targets.iter().map(|target| *target as usize).collect();
    let predicted: Vec<usize> = scores.chunks(class_count).map(|scores| model.class_of(scores)).collect();
    let confusion = Confusion::new(&classes, &predicted, class_count)?;
    let mut metrics = confusion_metrics(&confusion);
    let area = |class: usize| {
        let of_class: Vec<f64> = scores.chunks(class_count).map(|row| row[class]).collect();
        roc_auc(&classes.iter().map(|other| *other == class).collect::<Vec<_>>(), &of_class)
    };
    match (0..class_count).map(area).sum::<Result<f64, ScoreError>>() {
        Ok(sum) => drop(metrics.insert("roc_auc_ovr_macro".to_owned(), sum / class_count as f64)),
        Err(ScoreError::OneClass) => {}
        Err(error) => return Err(error),
    }
    if model.model.has_probabilities() {
        let of_class = classes.iter().zip(scores.chunks(class_count)).map(|(class, row)| row[*class]);
        metrics.insert("log_loss".to_owned(), log_loss(&of_class.collect::<Vec<_>>())?);
    }
    Ok((metrics, confusion))
}

fn named(metrics: &[(&str, f64)]) -> BTreeMap<String, f64> {
    metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
}

#[cfg(test)]
#[path = "predictions_test.rs"]
mod tests;
