//! `[model]` of a job file: the model and its objective.
//!
//! Nothing is computed here.

use serde::{Deserialize, Serialize};

use super::{JobError, require};
use crate::kernel::{ClassLoss, Loss};

/// Largest penalty: above it, sums of squares of weights no longer fit a number.
pub const PENALTY_MAX: f64 = 1e100;

/// `[model]`: the model and its objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// Kind of model.
    #[serde(rename = "type")]
    pub kind: ModelKind,
    /// `l2/2 · |w|²` is added to the mean loss; scikit-learn's ridge `alpha` is `l2` times the training
    /// rows, its logistic `C` is 1 over that.
    #[serde(default)]
    pub l2: f64,
    /// `l1 · Σ|w|` is added to the mean loss: scikit-learn's lasso `alpha`; its elastic net of `alpha` and
    /// `l1_ratio` has `l1 = alpha · l1_ratio` and `l2 = alpha · (1 - l1_ratio)`.
    #[serde(default)]
    pub l1: f64,
    /// Whether `l2` also penalises the intercept, as scikit-learn's `LinearSVC` does.
    #[serde(default)]
    pub penalise_intercept: bool,
}

/// Kinds of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Linear regression: mean half squared error.
    Linear,
    /// Binary logistic regression: mean logistic loss of labels 0 and 1.
    Logistic,
    /// Linear support vector machine of two classes: mean squared hinge loss of labels 0 and 1.
    LinearSvc,
    /// Multinomial logistic regression: mean cross entropy of any number of classes.
    Multinomial,
    /// Linear support vector machines, each of one class against all others: the sum of their mean squared hinge losses.
    LinearSvcOvr,
}

impl ModelSettings {
    /// Checks every value.
    ///
    /// # Errors
    /// [`JobError`] with the first key whose value is out of bounds.
    pub(super) fn validate(&self) -> Result<(), JobError> {
        for (key, penalty) in [("model.l2", self.l2), ("model.l1", self.l1)] {
            require(key, (0.0..=PENALTY_MAX).contains(&penalty), || {
                format!("{penalty:?} is not between 0 and {PENALTY_MAX:?}")
            })?;
        }
        Ok(())
    }
}

impl ModelKind {
    /// The loss of one row; of a model with weights for each class that of one class against all others.
    #[must_use]
    pub fn loss(self) -> Loss {
        match self {
            Self::Linear => Loss::HalfSquared,
            Self::Logistic => Loss::Logistic,
            Self::LinearSvc => Loss::SquaredHinge,
            Self::Multinomial => ClassLoss::Softmax.of_one_class(),
            Self::LinearSvcOvr => ClassLoss::OneVsRestSquaredHinge.of_one_class(),
        }
    }

    /// The loss of one row of a model with weights for each class.
    #[must_use]
    pub fn class_loss(self) -> Option<ClassLoss> {
        match self {
            Self::Linear | Self::Logistic | Self::LinearSvc => None,
            Self::Multinomial => Some(ClassLoss::Softmax),
            Self::LinearSvcOvr => Some(ClassLoss::OneVsRestSquaredHinge),
        }
    }

    /// Whether the target is a class.
    #[must_use]
    pub fn is_classifier(self) -> bool {
        self != Self::Linear
    }

    /// Whether scores are probabilities, and not margins.
    #[must_use]
    pub fn has_probabilities(self) -> bool {
        matches!(self, Self::Logistic | Self::Multinomial)
    }
}
