//! A trained model, and its one form in bytes.
//!
//! It holds nothing that depends on who computed it, when, or from which path.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::DataColumn;
use crate::job::{MarginLoss, ModelKind};
use crate::kernel::{largest, softmax};
use crate::model_registry::OwnModel;
use crate::optimiser::lbfgs::StopReason;
use crate::prepare::{ApplyError, ColumnScore, FittedStep, apply};
use crate::svm::{SupportVectors, voted};
use crate::tree::Tree;
use crate::tree::ensemble::Ensemble;

/// Version of the model's form in bytes.
pub const MODEL_VERSION: u32 = 1;

/// A linear function of the features, or a tree of decisions on them, how it was obtained, and how it did on the test rows.
///
/// The fields stand in alphabetical order because the canonical bytes keep the order of declaration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedModel {
    /// The words of the classes, if the target is one of words or there are weights for each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// One for each feature, in column order; of standardised columns if there is a `scaling`. Of a model with
    /// weights for each class one list behind the other, in the order of `classes`.
    pub coefficients: Vec<Coefficient>,
    /// The test rows by class, then by predicted class, of a model with weights for each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
    /// Whether the solver met its tolerance.
    pub converged: bool,
    /// In place of coefficients, if the model is many trees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
    /// Of a support vector machine with the hinge: the objective less a lower bound of its minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duality_gap: Option<f64>,
    /// Of a user's own model, whose parameters are in `coefficients`, and of a kernel machine: the columns that they are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Largest component of the gradient at the end, in the solver's conditioned variables.
    pub gradient_norm: f64,
    /// Of a tree: the part of each feature in what its splits take away, in column order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub importances: Vec<Coefficient>,
    /// The columns of the file, if they are not just the numbers that the coefficients are of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<DataColumn>,
    /// Prediction (or log-odds) where all (scaled) features are 0; 0 if there are `intercepts`.
    pub intercept: f64,
    /// The same for each class, of a model with weights for each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intercepts: Vec<f64>,
    /// The penalty on absolute values in the objective, if there is one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub l1: f64,
    /// The penalty on squares in the objective.
    pub l2: f64,
    /// The loss of a linear support vector machine, if it is not the squared hinge.
    #[serde(default, skip_serializing_if = "MarginLoss::is_squared")]
    pub loss: MarginLoss,
    /// On the test rows, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Words that stand for a missing cell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_words: Vec<String>,
    /// Kind of model.
    pub model: ModelKind,
    /// The job's name.
    pub name: String,
    /// Mean loss over the training rows plus penalty.
    pub objective: f64,
    /// Whether `l2` is also on the intercept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub penalise_intercept: bool,
    /// Evaluations of the objective.
    pub rounds: u32,
    /// What was done to the columns, if anything.
    pub scaling: Option<ModelScaling>,
    /// What selections found in the training rows, and what they did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<ColumnScore>,
    /// What is done to the columns of the file before `scaling`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<FittedStep>,
    /// Why the solver stopped, if it did not converge.
    pub stopped: Option<StopReason>,
    /// In place of coefficients, if the model is a kernel machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<SupportVectors>,
    /// The predicted column.
    pub target: String,
    /// Rows judged on.
    pub test_row_count: usize,
    /// Rows fitted on.
    pub train_row_count: usize,
    /// In place of coefficients, if the model is a tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Tree>,
    /// Version of this form.
    pub version: u32,
}

/// The weight of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coefficient {
    /// The class, of a model with weights for each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The feature.
    pub name: String,
    /// Its weight.
    pub value: f64,
}

/// `(x - mean) / scale` is applied to every feature first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelScaling {
    /// Means of the training rows, in column order.
    pub mean: Vec<f64>,
    /// Population standard deviations of the training rows, 1 for a constant column.
    pub scale: Vec<f64>,
}

/// Rows that do not fit a model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PredictError {
    /// Too many or too few columns.
    #[error("the model has {expected} features, the rows have {actual}")]
    Shape {
        /// Features of the model.
        expected: usize,
        /// Columns of the rows.
        actual: usize,
    },
    /// A number that a step cannot take.
    #[error(transparent)]
    Step(#[from] ApplyError),
    /// A user's model whose code is not here.
    #[error("this binary has no model \"{0}\"")]
    NoCode(String),
    /// A cell that is missing, and was never missing in training.
    #[error("row {row} has a missing cell that no step of the model fills, in \"{column}\"")]
    Missing {
        /// Position among the rows given.
        row: usize,
        /// The column, as the steps name it.
        column: String,
    },
}

impl Coefficient {
    /// The feature, with the class before it, if it is the weight of one.
    #[must_use]
    pub fn label(&self) -> String {
        self.class.iter().chain([&self.name]).cloned().collect::<Vec<_>>().join(": ")
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl TrainedModel {
    /// Names of the columns of the file, in the order of a row.
    #[must_use]
    pub fn input_names(&self) -> Vec<&str> {
        match self.input.is_empty() {
            true => self.feature_names(),
            false => self.input.iter().map(|column| column.name.as_str()).collect(),
        }
    }

    /// Features of a row that has gone through the steps.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.feature_names().len()
    }

    /// Scores of a row: one for each class, or a single one.
    #[must_use]
    pub fn output_count(&self) -> usize {
        if self.model.has_class_scores() { self.classes.len() } else { 1 }
    }

    /// The intercepts by name: that of each class, or the only one.
    #[must_use]
    pub fn named_intercepts(&self) -> Vec<(String, f64)> {
        match self.intercepts.is_empty() {
            true if self.is_of_trees() || self.support.is_some() || self.model.own().is_some() => Vec::new(),
            true => vec![("(intercept)".to_owned(), self.intercept)],
            false => {
                let of_class = |(class, value): (&String, &f64)| (format!("{class}: (intercept)"), *value);
                self.classes.iter().zip(&self.intercepts).map(of_class).collect()
            }
        }
    }

    /// Whether it is one tree or many, and has importances in place of coefficients.
    #[must_use]
    pub fn is_of_trees(&self) -> bool {
        self.tree.is_some() || self.ensemble.is_some()
    }

    /// Names of the columns of a row that has gone through the steps.
    #[must_use]
    pub fn feature_names(&self) -> Vec<&str> {
        let of_features = match (self.model.own(), self.is_of_trees()) {
            _ if self.support.is_some() => return self.features.iter().map(String::as_str).collect(),
            (Some(_), _) => return self.features.iter().map(String::as_str).collect(),
            (None, true) => &self.importances[..],
            (None, false) => &self.coefficients[..self.coefficients.len() / self.output_count()],
        };
        of_features.iter().map(|coefficient| coefficient.name.as_str()).collect()
    }

    /// For each row of `x`, shape `[rows, columns of the file]`, in the units of the file: the predicted target of
    /// a linear model, the probability of class 1 of a logistic one, the margin of a support vector
    /// machine, which is positive for class 1; the number of the class, if each has a score.
    ///
    /// # Errors
    /// [`PredictError`] if `x` has another number of columns, or a cell that the model cannot take.
    pub fn predict(&self, x: ArrayView2<'_, f64>) -> Result<Vec<f64>, PredictError> {
        let scores = self.scores(x)?;
        Ok(match self.model.has_class_scores() {
            false => scores.into_raw_vec_and_offset().0,
            true => scores.outer_iter().map(|row| self.class_of(&row.to_vec()) as f64).collect(),
        })
    }

    /// The class of a row with a score for each class.
    #[must_use]
    pub fn class_of(&self, scores: &[f64]) -> usize {
        if self.support.is_some() { voted(scores) } else { largest(scores) }
    }

    /// As [`Self::predict`], shape `[rows, 1]`; of a model with a score for each class their probabilities or
    /// margins, shape `[rows, classes]`.
    ///
    /// # Errors
    /// As [`Self::predict`].
    pub fn scores(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, PredictError> {
        let expected = self.input_names().len();
        if x.ncols() != expected {
            return Err(PredictError::Shape { expected, actual: x.ncols() });
        }
        let x = apply(&self.steps, x.to_owned())?;
        if let Some(((row, column), _)) = x.indexed_iter().find(|(_, cell)| cell.is_nan()) {
            let column = self.feature_names()[column].to_owned();
            return Err(PredictError::Missing { row, column });
        }
        if let Some(own) = self.model.own() {
            return self.own_scores(own, &x);
        }
        let mut scores = Array2::zeros((x.nrows(), self.output_count()));
        for (row, mut scores) in x.outer_iter().zip(scores.outer_iter_mut()) {
            let of_row = self.scores_of_row(row);
            scores.iter_mut().zip(of_row).for_each(|(score, value)| *score = value);
        }
        Ok(scores)
    }

    /// What a user's model says of rows that have gone through the steps.
    fn own_scores(&self, own: OwnModel, x: &Array2<f64>) -> Result<Array2<f64>, PredictError> {
        let Some(code) = own.code() else { return Err(PredictError::NoCode(own.name().to_owned())) };
        let parameters: Vec<f64> = self.coefficients.iter().map(|parameter| parameter.value).collect();
        let score = |row: ArrayView1<'_, f64>| code.predict(&row.to_vec(), &parameters);
        Ok(x.map_axis(Axis(1), score).insert_axis(Axis(1)))
    }

    /// The scores of a row that has gone through the steps.
    fn scores_of_row(&self, row: ArrayView1<'_, f64>) -> Vec<f64> {
        if let Some(tree) = &self.tree {
            return tree.leaf(row).value.clone();
        }
        if let Some(ensemble) = &self.ensemble {
            return ensemble.scores(row);
        }
        if let Some(support) = &self.support {
            let scaled = row.iter().enumerate().map(|(column, x)| self.scaled(*x, column));
            return support.scores(&scaled.collect::<Vec<_>>());
        }
        let mut margins: Vec<f64> = (0..self.output_count()).map(|output| self.margin(row, output)).collect();
        match self.model {
            ModelKind::Logistic => margins[0] = 1.0 / (1.0 + libm::exp(-margins[0])),
            ModelKind::Multinomial => softmax(&mut margins),
            _ => {}
        }
        margins
    }

    /// The margin of a row that has gone through the steps.
    fn margin(&self, row: ArrayView1<'_, f64>, output: usize) -> f64 {
        let coefficients = &self.coefficients[output * row.len()..(output + 1) * row.len()];
        let terms = row
            .iter()
            .zip(coefficients)
            .enumerate()
            .map(|(column, (x, coefficient))| coefficient.value * self.scaled(*x, column));
        self.intercepts.get(output).unwrap_or(&self.intercept) + terms.sum::<f64>()
    }

    fn scaled(&self, x: f64, column: usize) -> f64 {
        self.scaling.as_ref().map_or(x, |scaling| (x - scaling.mean[column]) / scaling.scale[column])
    }

    /// The model as JSON: keys in alphabetical order, no spaces, the shortest digits that read back to the same bits.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a model has only string keys, and writing to memory cannot fail")
    }

    /// SHA-256 of [`Self::canonical_bytes`], in lower-case hexadecimal.
    #[must_use]
    pub fn model_sha256(&self) -> String {
        Sha256::digest(self.canonical_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn model() -> TrainedModel {
        TrainedModel {
            classes: Vec::new(),
            coefficients: vec![Coefficient { class: None, name: "a".into(), value: 0.1 + 0.2 }],
            confusion: Vec::new(),
            converged: true,
            duality_gap: None,
            ensemble: None,
            features: Vec::new(),
            gradient_norm: 1e-17,
            importances: Vec::new(),
            input: Vec::new(),
            intercept: -2.0,
            intercepts: Vec::new(),
            l1: 0.0,
            l2: 0.0,
            loss: MarginLoss::SquaredHinge,
            metrics: BTreeMap::from([("r2".into(), 1.0)]),
            missing_words: Vec::new(),
            model: ModelKind::Linear,
            name: "tiny".into(),
            objective: 0.5,
            penalise_intercept: false,
            rounds: 3,
            scaling: Some(ModelScaling { mean: vec![1.0], scale: vec![2.0] }),
            selection: Vec::new(),
            steps: Vec::new(),
            stopped: None,
            support: None,
            target: "y".into(),
            test_row_count: 1,
            train_row_count: 4,
            tree: None,
            version: MODEL_VERSION,
        }
    }

    #[test]
    fn the_canonical_bytes_never_change() {
        let expected = concat!(
            r#"{"coefficients":[{"name":"a","value":0.30000000000000004}],"converged":true,"gradient_norm":1e-17,"#,
            r#""intercept":-2.0,"l2":0.0,"metrics":{"r2":1.0},"model":"linear","name":"tiny","objective":0.5,"#,
            r#""rounds":3,"scaling":{"mean":[1.0],"scale":[2.0]},"stopped":null,"target":"y","test_row_count":1,"#,
            r#""train_row_count":4,"version":1}"#
        );
        assert_eq!(String::from_utf8(model().canonical_bytes()).unwrap(), expected);
        assert_eq!(serde_json::from_str::<TrainedModel>(expected).unwrap(), model());
        assert_eq!(model().model_sha256().len(), 64);
        assert_ne!(model().model_sha256(), TrainedModel { intercept: 2.0, ..model() }.model_sha256());
    }

    #[test]
    fn the_keys_are_in_alphabetical_order() {
        let sorted: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&model().canonical_bytes()).unwrap();
        assert_eq!(serde_json::to_vec(&sorted).unwrap(), model().canonical_bytes());
    }

    #[test]
    fn a_row_is_scaled_before_it_is_weighed() {
        assert_eq!(model().predict(array![[5.0]].view()), Ok(vec![-2.0 + 2.0 * (0.1 + 0.2)]));
        let logistic = TrainedModel { model: ModelKind::Logistic, intercept: 0.0, ..model() };
        assert_eq!(logistic.predict(array![[1.0]].view()), Ok(vec![0.5]));
        assert_eq!(model().predict(array![[5.0, 1.0]].view()), Err(PredictError::Shape { expected: 1, actual: 2 }));
    }

    #[test]
    fn each_class_has_its_margin_or_probability_and_the_largest_is_predicted() {
        let weight = |class: &str, value| Coefficient { class: Some(class.into()), name: "a".into(), value };
        let ovr = TrainedModel {
            model: ModelKind::LinearSvcOvr,
            classes: ["x", "y"].map(String::from).to_vec(),
            coefficients: vec![weight("x", 1.0), weight("y", -1.0)],
            intercepts: vec![0.5, 0.0],
            scaling: None,
            ..model()
        };
        let rows = array![[2.0], [-2.0]];
        assert_eq!(ovr.scores(rows.view()), Ok(array![[2.5, -2.0], [-1.5, 2.0]]));
        assert_eq!((ovr.predict(rows.view()), ovr.coefficients[1].label()), (Ok(vec![0.0, 1.0]), "y: a".to_owned()));
        assert_eq!(ovr.named_intercepts()[0], ("x: (intercept)".to_owned(), 0.5));
        let softmax = TrainedModel { model: ModelKind::Multinomial, ..ovr };
        let odds = libm::exp(-4.5);
        let scores = softmax.scores(array![[2.0]].view()).unwrap();
        for (score, expected) in scores.iter().zip([1.0 / (1.0 + odds), odds / (1.0 + odds)]) {
            assert!((score / expected - 1.0).abs() < 1e-15, "{score} {expected}");
        }
    }
}
