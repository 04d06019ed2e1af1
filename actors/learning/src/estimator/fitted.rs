//! What came of an estimator: a model over arrays.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::kernel::largest;
use crate::model::{PredictError, TrainedModel};
use crate::predictions::class_of;
use crate::scores::{Confusion, ScoreError, regression};

/// Why a fitted model has no score.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FittedError {
    /// The rows do not fit.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The targets do not fit.
    #[error(transparent)]
    Score(#[from] ScoreError),
}

/// A fitted estimator.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    model: TrainedModel,
    /// The targets that stand for the classes of a classifier.
    classes: Vec<f64>,
}

impl Fitted {
    /// A model whose classes are these targets; none of a model of a number.
    #[must_use]
    pub fn new(model: TrainedModel, classes: Vec<f64>) -> Self {
        Self { model, classes }
    }

    /// The targets of rows, shape `[rows]`: numbers, or the class of each.
    ///
    /// # Errors
    /// [`PredictError`] if the rows do not fit.
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Array1<f64>, PredictError> {
        let scores = self.model.scores(x)?;
        let of_row = |row: ArrayView1<'_, f64>| match self.classes.is_empty() {
            true => row[0],
            false => self.classes[self.class_of(&row.to_vec())],
        };
        Ok(scores.outer_iter().map(of_row).collect())
    }

    /// Probabilities or margins of classes, shape `[rows, classes]`, or of the second one alone, shape `[rows, 1]`; the
    /// predictions of a model of a number.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn scores(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, PredictError> {
        self.model.scores(x)
    }

    /// R² of a model of a number, accuracy of a classifier.
    ///
    /// # Errors
    /// [`FittedError`] if rows or targets do not fit.
    pub fn score(&self, x: ArrayView2<'_, f64>, y: ArrayView1<'_, f64>) -> Result<f64, FittedError> {
        let predicted = self.predict(x)?.to_vec();
        if !self.model.model.is_classifier() {
            return Ok(regression(&y.to_vec(), &predicted)?.r2);
        }
        let right = |(target, predicted): (&f64, &f64)| usize::from(target == predicted);
        let outcomes: Vec<usize> = y.iter().zip(&predicted).map(right).collect();
        if outcomes.len() != y.len() {
            return Err(ScoreError::LengthMismatch { targets: y.len(), predictions: predicted.len() }.into());
        }
        Ok(Confusion::new(&vec![1; y.len()], &outcomes, 2)?.accuracy())
    }

    /// Weights, shape `[outputs, columns]`, of the columns as they were prepared; none of a tree.
    #[must_use]
    pub fn coefficients(&self) -> Array2<f64> {
        let values: Vec<f64> = self.model.coefficients.iter().map(|coefficient| coefficient.value).collect();
        let outputs = self.model.output_count().max(1);
        Array2::from_shape_vec((outputs, values.len() / outputs), values).expect("each output has as many weights")
    }

    /// The intercept of each output.
    #[must_use]
    pub fn intercepts(&self) -> Vec<f64> {
        self.model.named_intercepts().into_iter().map(|(_, value)| value).collect()
    }

    /// The classes, ascending.
    #[must_use]
    pub fn classes(&self) -> &[f64] {
        &self.classes
    }

    /// All of the model, to be shown or put into a file.
    #[must_use]
    pub fn model(&self) -> &TrainedModel {
        &self.model
    }

    fn class_of(&self, scores: &[f64]) -> usize {
        if scores.len() > 1 { largest(scores) } else { class_of(&self.model, scores) }
    }
}
