//! The model, from what came of the training rows and from the sums over the test rows.

use std::collections::BTreeMap;

use super::{
    Fit, Solved, Trainer,
    error::{TrainError, check_finite, check_row_count},
};
use crate::{
    job::{ModelKind, Scale},
    kernel::ClassLoss,
    metrics::{class_metrics, classification_metrics, margin_metrics, regression_metrics},
    model::{Coefficient, MODEL_VERSION, ModelScaling, TrainedModel},
    prepare::PreparedColumn,
    scaling::ColumnScaling,
    tree::{Tree, ensemble::Ensemble},
};

impl Trainer {
    /// Intercept and weights of each output as the user sees them: of the columns as `[prepare]` leaves them.
    ///
    /// Where no penalty chooses among the many that a softmax holds to be equal, they are those of mean 0 over the classes.
    pub(super) fn user_outputs(&self, fit: &Solved) -> Vec<(f64, Vec<f64>)> {
        let ColumnScaling { mean, scale } = &fit.outputs.first().scaling;
        let (model, scaled) = (&self.job.model, self.job.prepare.scale);
        let user = |(intercept, weights): (f64, Vec<f64>)| match scaled {
            Scale::Standard => (intercept, weights.iter().zip(scale).map(|(w, scale)| w * scale).collect()),
            Scale::None => {
                let at_mean: f64 = weights.iter().zip(mean).map(|(w, mean)| w * mean).sum();
                (intercept - at_mean, weights)
            }
        };
        let mut outputs: Vec<(f64, Vec<f64>)> =
            fit.outputs.parameters(&fit.solution.point).into_iter().map(user).collect();
        if model.kind.class_loss() == Some(ClassLoss::Softmax) {
            if model.l2 == 0.0 || !model.penalise_intercept {
                centre(outputs.iter_mut().map(|(intercept, _)| intercept));
            }
            if model.l2 == 0.0 && model.l1 == 0.0 {
                (0..mean.len()).for_each(|column| centre(outputs.iter_mut().map(|(_, weights)| &mut weights[column])));
            }
        }
        outputs
    }

    pub(super) fn coefficients(&self, outputs: Vec<(f64, Vec<f64>)>) -> Vec<Coefficient> {
        let classes = self.job.model.kind.class_loss().map(|_| &self.classes);
        let of_output = |(output, (_, values)): (usize, (f64, Vec<f64>))| {
            let class = classes.map(|classes| classes[output].clone());
            let columns = self.pipeline.columns().iter().map(|column| column.name.clone());
            columns.zip(values).map(move |(name, value)| Coefficient { class: class.clone(), name, value })
        };
        outputs.into_iter().enumerate().flat_map(of_output).collect()
    }

    /// The model, from the sums over the test rows.
    pub(super) fn finish(&self, fit: &Fit, sums: &[f64]) -> Result<TrainedModel, TrainError> {
        let kind = self.job.model.kind;
        let (rows, metrics, confusion) = match kind {
            ModelKind::Own(own) if own.has_labels() => {
                (sums[1..].iter().sum(), classification_metrics(sums), Vec::new())
            }
            ModelKind::Own(_) => (sums[0], regression_metrics(sums), Vec::new()),
            ModelKind::Linear
            | ModelKind::DecisionTreeRegressor
            | ModelKind::BoostedTreesRegressor
            | ModelKind::Svr => (sums[0], regression_metrics(sums), Vec::new()),
            ModelKind::Logistic => (sums[1..].iter().sum(), classification_metrics(sums), Vec::new()),
            ModelKind::LinearSvc => (sums[1..].iter().sum(), margin_metrics(sums), Vec::new()),
            ModelKind::Multinomial
            | ModelKind::LinearSvcOvr
            | ModelKind::DecisionTreeClassifier
            | ModelKind::BoostedTreesClassifier
            | ModelKind::Svc => {
                let (metrics, counted) = class_metrics(sums, kind.has_probabilities());
                (sums[1..].iter().sum(), metrics, counted.counts().to_vec())
            }
        };
        check_row_count(self.test_count, rows)?;
        check_finite(metrics.values())?;
        match fit {
            Fit::Supported(supported) => Ok(self.with_support(supported, self.unfitted(metrics, confusion))),
            Fit::Grown(tree) => Ok(self.with_tree(tree, self.unfitted(metrics, confusion))),
            Fit::Boosted { ensemble, rounds, loss } => {
                let model = self.unfitted(metrics, confusion);
                let importances = self.importances(ensemble.importances(self.pipeline.columns().len()));
                let ensemble = Some(Ensemble::clone(ensemble));
                Ok(TrainedModel { ensemble, importances, objective: *loss, rounds: *rounds, ..model })
            }
            Fit::Own(solved) => Ok(self.with_parameters(solved, self.unfitted(metrics, confusion))),
            Fit::Solved(solved) => self.with_weights(solved, self.unfitted(metrics, confusion)),
        }
    }

    /// All of the model that does not depend on what came of the training rows.
    pub(super) fn unfitted(&self, metrics: BTreeMap<String, f64>, confusion: Vec<Vec<u64>>) -> TrainedModel {
        let has_input = !self.steps().is_empty()
            || self.job.model.kind.is_of_trees()
            || self.job.model.kind.is_kernel_machine()
            || self.job.model.kind.own().is_some()
            || self.input.iter().any(|column| column.has_levels());
        TrainedModel {
            classes: self.classes.clone(),
            coefficients: Vec::new(),
            confusion,
            converged: true,
            duality_gap: None,
            ensemble: None,
            features: Vec::new(),
            gradient_norm: 0.0,
            importances: Vec::new(),
            input: if has_input { self.input.clone() } else { Vec::new() },
            intercept: 0.0,
            intercepts: Vec::new(),
            l1: self.job.model.l1,
            l2: self.job.model.l2,
            loss: self.job.model.loss,
            metrics,
            missing_words: self.job.data.missing_words.clone(),
            model: self.job.model.kind,
            name: self.job.name.clone(),
            objective: 0.0,
            penalise_intercept: self.job.model.penalise_intercept,
            rounds: 1,
            scaling: None,
            selection: self.pipeline.scores().to_vec(),
            steps: self.steps().to_vec(),
            stopped: None,
            support: None,
            target: self.job.data.target.clone(),
            test_row_count: self.test_count,
            train_row_count: self.train_count,
            tree: None,
            version: MODEL_VERSION,
        }
    }

    pub(super) fn with_tree(&self, tree: &Tree, model: TrainedModel) -> TrainedModel {
        let importances = self.importances(tree.importances(self.pipeline.columns().len()));
        TrainedModel { importances, objective: tree.remaining_impurity(), tree: Some(tree.clone()), ..model }
    }

    fn importances(&self, values: Vec<f64>) -> Vec<Coefficient> {
        let importance =
            |(column, value): (&PreparedColumn, f64)| Coefficient { class: None, name: column.name.clone(), value };
        self.pipeline.columns().iter().zip(values).map(importance).collect()
    }

    pub(super) fn with_weights(&self, solved: &Solved, model: TrainedModel) -> Result<TrainedModel, TrainError> {
        let outputs = self.user_outputs(solved);
        check_finite(outputs.iter().flat_map(|(intercept, values)| values.iter().chain([intercept])))?;
        let ColumnScaling { mean, scale } = solved.outputs.first().scaling.clone();
        let scaling = (self.job.prepare.scale == Scale::Standard).then_some(ModelScaling { mean, scale });
        let (intercept, intercepts) = match self.job.model.kind.class_loss() {
            None => (outputs[0].0, Vec::new()),
            Some(_) => (0.0, outputs.iter().map(|(intercept, _)| *intercept).collect()),
        };
        Ok(TrainedModel {
            coefficients: self.coefficients(outputs),
            converged: solved.stopped.is_none(),
            duality_gap: solved.duality_gap,
            gradient_norm: solved.solution.gradient_norm(),
            intercept,
            intercepts,
            objective: solved.solution.value,
            rounds: solved.rounds,
            scaling,
            stopped: solved.stopped,
            ..model
        })
    }
}

/// Takes the mean over the outputs off each of these values, which a softmax does not see.
fn centre<'a>(values: impl Iterator<Item = &'a mut f64>) {
    let values: Vec<&mut f64> = values.collect();
    let mean = values.iter().map(|value| **value).sum::<f64>() / values.len() as f64;
    values.into_iter().for_each(|value| *value -= mean);
}
