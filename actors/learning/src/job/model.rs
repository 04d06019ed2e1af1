//! `[model]` of a job file: the model and its objective.
//!
//! Nothing is computed here.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{JobError, require};
use crate::boosting::BoostingSettings;
use crate::kernel::{ClassLoss, Loss};
use crate::model_registry::{ModelName, OwnModel};
use crate::svm::{Gamma, SVM_DEGREE_MAX, SvmKernel, SvmSettings};
use crate::tree::histogram::BINS_MAX;
use crate::tree::{Criterion, TreeSettings};

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
    /// scikit-learn's `C`, in place of `l2`, or of `l1` if `penalty` says so: that penalty is 1 over `C` times the training rows.
    #[serde(default, rename = "C", skip_serializing_if = "Option::is_none")]
    pub c: Option<f64>,
    /// What `C` stands for.
    #[serde(default, skip_serializing_if = "Penalty::is_l2")]
    pub penalty: Penalty,
    /// The loss of a linear support vector machine.
    #[serde(default, skip_serializing_if = "MarginLoss::is_squared")]
    pub loss: MarginLoss,
    /// `[model.svm]`: the kernel of a support vector machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub svm: SvmSettings,
    /// `[model.tree]`: when a decision tree stops growing.
    #[serde(default)]
    pub tree: TreeSettings,
    /// `[model.boosting]`: how trees are boosted.
    #[serde(default)]
    pub boosting: BoostingSettings,
}

fn is_default(settings: &SvmSettings) -> bool {
    *settings == SvmSettings::default()
}

/// Which penalty `C` stands for, in scikit-learn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// On squares.
    #[default]
    L2,
    /// On absolute values.
    L1,
}

/// What a row costs that is within the margin by `g`, in scikit-learn's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginLoss {
    /// `g²`.
    #[default]
    SquaredHinge,
    /// `g`.
    Hinge,
}

impl Penalty {
    fn is_l2(&self) -> bool {
        *self == Self::L2
    }
}

impl MarginLoss {
    /// Whether it is the default.
    #[must_use]
    pub fn is_squared(&self) -> bool {
        *self == Self::SquaredHinge
    }
}

/// Kinds of model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Decision tree of any number of classes.
    DecisionTreeClassifier,
    /// Decision tree of a number.
    DecisionTreeRegressor,
    /// Boosted trees of any number of classes.
    BoostedTreesClassifier,
    /// Boosted trees of a number.
    BoostedTreesRegressor,
    /// Kernel support vector machines of any number of classes, one for each pair.
    Svc,
    /// Kernel support vector machine of a number.
    Svr,
    /// One that the user has registered: see [`crate::trainable`].
    Own(OwnModel),
}

impl Serialize for ModelKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ModelKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let own = || ModelName::new(&name).map(|name| Self::Own(OwnModel::of_name(name)));
        let refused = || D::Error::custom(format_args!("{name:?} is not a name of a model"));
        Self::built_in(&name).or_else(own).ok_or_else(refused)
    }
}

impl ModelSettings {
    /// A model of this kind without penalties, all else as it is where a job does not say.
    #[must_use]
    pub fn of_kind(kind: ModelKind) -> Self {
        Self {
            kind,
            c: None,
            penalty: Penalty::default(),
            loss: MarginLoss::default(),
            l2: 0.0,
            l1: 0.0,
            penalise_intercept: false,
            svm: SvmSettings::default(),
            tree: TreeSettings::default(),
            boosting: BoostingSettings::default(),
        }
    }

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
        require("model.type", self.kind.own().is_none_or(|own| own.is_known()), || {
            format!("this binary has no model \"{}\"", self.kind.name())
        })?;
        self.validate_inverse_penalty()?;
        self.validate_loss()?;
        self.validate_svm()?;
        let has_penalty = self.l1 != 0.0 || self.l2 != 0.0 || self.penalise_intercept;
        require("model", !has_penalty || !self.kind.is_of_trees(), || {
            "a decision tree has no weights to penalise: leave l1 and l2 out".to_owned()
        })?;
        require("model.tree", self.kind.is_tree() || self.tree == TreeSettings::default(), || {
            "it is for decision trees, and the model is none".to_owned()
        })?;
        require("model.boosting", self.kind.is_boosted() || self.boosting == BoostingSettings::default(), || {
            "it is for boosted trees, and the model is none".to_owned()
        })?;
        if let Some((key, problem)) = self.boosting.fault() {
            return require(&format!("model.boosting.{key}"), false, || problem);
        }
        if self.kind.is_tree() { self.validate_tree() } else { Ok(()) }
    }

    fn validate_inverse_penalty(&self) -> Result<(), JobError> {
        let Some(c) = self.c else {
            return require("model.penalty", self.penalty.is_l2(), || {
                "it says what C stands for: give model.C".to_owned()
            });
        };
        require("model.C", c.is_finite() && (1.0 / PENALTY_MAX..=PENALTY_MAX).contains(&c), || {
            format!("{c:?} is not a number above 0")
        })?;
        require("model.C", self.kind.has_inverse_penalty() || self.kind.is_kernel_machine(), || {
            "it is for logistic regression and support vector machines".to_owned()
        })?;
        require("model.C", self.l1 == 0.0 && self.l2 == 0.0, || {
            "it stands for a penalty: leave l1 and l2 out".to_owned()
        })
    }

    fn validate_svm(&self) -> Result<(), JobError> {
        let svm = &self.svm;
        if !self.kind.is_kernel_machine() {
            return require("model.svm", is_default(svm), || "it is for svc and svr".to_owned());
        }
        let has_penalty = self.l1 != 0.0 || self.l2 != 0.0 || self.penalise_intercept || !self.penalty.is_l2();
        require("model", !has_penalty, || {
            "the penalty of a kernel machine is C: leave l1, l2 and penalty out".to_owned()
        })?;
        let above_0 = |value: f64| value > 0.0 && value.is_finite();
        let gamma = if let Gamma::Value(gamma) = svm.gamma { gamma } else { 1.0 };
        require("model.svm.gamma", above_0(gamma), || format!("{gamma:?} is neither \"scale\", \"auto\" nor above 0"))?;
        require(
            "model.svm.degree",
            svm.kernel != SvmKernel::Poly || (1..=SVM_DEGREE_MAX).contains(&svm.degree),
            || format!("{} is not between 1 and {SVM_DEGREE_MAX}", svm.degree),
        )?;
        require("model.svm.coef0", svm.coef0.is_finite(), || format!("{:?} is no number", svm.coef0))?;
        require("model.svm.epsilon", (0.0..=f64::MAX).contains(&svm.epsilon), || {
            format!("{:?} is not a number from 0", svm.epsilon)
        })?;
        require("model.svm.tolerance", svm.tolerance > 0.0 && svm.tolerance < 1.0, || {
            format!("{:?} is not strictly between 0 and 1", svm.tolerance)
        })?;
        require("model.svm.iterations_max", svm.iterations_max > 0, || "0 steps solve nothing".to_owned())?;
        require("model.svm.kernel_bits", [32, 64].contains(&svm.kernel_bits), || {
            format!("{} is neither 32 nor 64", svm.kernel_bits)
        })
    }

    fn validate_loss(&self) -> Result<(), JobError> {
        if self.loss.is_squared() {
            return Ok(());
        }
        let is_svc = matches!(self.kind, ModelKind::LinearSvc | ModelKind::LinearSvcOvr);
        require("model.loss", is_svc, || "the hinge is of linear_svc and linear_svc_ovr".to_owned())?;
        require("model.loss", self.l1 == 0.0 && self.penalty.is_l2(), || {
            "the hinge is minimised with a penalty on squares alone: leave l1 out, or take \"squared_hinge\"".to_owned()
        })?;
        require("model.loss", self.l2 > 0.0 || self.c.is_some(), || {
            "the hinge needs a penalty: give model.C or model.l2".to_owned()
        })
    }

    /// The same with the penalty of `C` in place of it, over so many training rows.
    #[must_use]
    pub fn with_penalties(mut self, rows: usize) -> Self {
        if self.kind.is_kernel_machine() {
            return self;
        }
        if let Some(c) = self.c.take() {
            let amount = 1.0 / (c * rows as f64);
            match std::mem::take(&mut self.penalty) {
                Penalty::L1 => self.l1 = amount,
                Penalty::L2 => self.l2 = amount,
            }
        }
        self
    }

    fn validate_tree(&self) -> Result<(), JobError> {
        let tree = &self.tree;
        let is_of_numbers = tree.criterion == Some(Criterion::SquaredError);
        let fits = tree.criterion.is_none() || is_of_numbers == (self.kind == ModelKind::DecisionTreeRegressor);
        require("model.tree.criterion", fits, || {
            "classes are told apart by gini or entropy, numbers by squared_error".to_owned()
        })?;
        require("model.tree.min_samples_split", tree.min_samples_split >= 2, || {
            format!("{} rows cannot be split: at least 2", tree.min_samples_split)
        })?;
        require("model.tree.min_samples_leaf", tree.min_samples_leaf >= 1, || "a leaf has at least 1 row".to_owned())?;
        require("model.tree.max_leaf_nodes", tree.max_leaf_nodes.is_none_or(|leaves| leaves >= 2), || {
            "a tree that is split has at least 2 leaves".to_owned()
        })?;
        require("model.tree.max_bins", (2..=BINS_MAX).contains(&tree.max_bins), || {
            format!("{} is not between 2 and {BINS_MAX}", tree.max_bins)
        })?;
        let least = tree.min_impurity_decrease;
        require("model.tree.min_impurity_decrease", (0.0..=f64::MAX).contains(&least), || {
            format!("{least:?} is not a number from 0")
        })
    }
}

impl ModelKind {
    /// All but those that users have registered.
    pub const BUILT_IN: [Self; 11] = [
        Self::Linear,
        Self::Logistic,
        Self::LinearSvc,
        Self::Multinomial,
        Self::LinearSvcOvr,
        Self::DecisionTreeClassifier,
        Self::DecisionTreeRegressor,
        Self::BoostedTreesClassifier,
        Self::BoostedTreesRegressor,
        Self::Svc,
        Self::Svr,
    ];

    /// As in a job file.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::LinearSvc => "linear_svc",
            Self::Multinomial => "multinomial",
            Self::LinearSvcOvr => "linear_svc_ovr",
            Self::DecisionTreeClassifier => "decision_tree_classifier",
            Self::DecisionTreeRegressor => "decision_tree_regressor",
            Self::BoostedTreesClassifier => "boosted_trees_classifier",
            Self::BoostedTreesRegressor => "boosted_trees_regressor",
            Self::Svc => "svc",
            Self::Svr => "svr",
            Self::Own(own) => own.name(),
        }
    }

    /// The built-in model of this name.
    #[must_use]
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN.into_iter().find(|kind| kind.name() == name)
    }

    /// The model, if it is one that the user has registered.
    #[must_use]
    pub fn own(self) -> Option<OwnModel> {
        if let Self::Own(own) = self { Some(own) } else { None }
    }

    /// The loss of one row; of a model with weights for each class that of one class against all others.
    ///
    /// # Panics
    /// If it is a tree, which minimises none, a kernel machine, or a user's, whose loss is not one of these.
    #[must_use]
    pub fn loss(self) -> Loss {
        match self {
            Self::Linear => Loss::HalfSquared,
            Self::Logistic => Loss::Logistic,
            Self::LinearSvc => Loss::SquaredHinge,
            Self::Multinomial => ClassLoss::Softmax.of_one_class(),
            Self::LinearSvcOvr => ClassLoss::OneVsRestSquaredHinge.of_one_class(),
            Self::DecisionTreeClassifier
            | Self::DecisionTreeRegressor
            | Self::BoostedTreesClassifier
            | Self::BoostedTreesRegressor => panic!("a tree is grown, not solved for"),
            Self::Svc | Self::Svr => panic!("a kernel machine is solved for by one worker"),
            Self::Own(_) => panic!("a user's model sums its own losses"),
        }
    }

    /// Whether scikit-learn's `C` is a word for its penalty.
    #[must_use]
    pub fn has_inverse_penalty(self) -> bool {
        matches!(self, Self::Logistic | Self::LinearSvc | Self::Multinomial | Self::LinearSvcOvr)
    }

    /// Whether it is a decision tree.
    #[must_use]
    pub fn is_tree(self) -> bool {
        matches!(self, Self::DecisionTreeClassifier | Self::DecisionTreeRegressor)
    }

    /// Whether it is boosted trees.
    #[must_use]
    pub fn is_boosted(self) -> bool {
        matches!(self, Self::BoostedTreesClassifier | Self::BoostedTreesRegressor)
    }

    /// Whether it is one tree or many.
    #[must_use]
    pub fn is_of_trees(self) -> bool {
        self.is_tree() || self.is_boosted()
    }

    /// Whether it is a kernel support vector machine.
    #[must_use]
    pub fn is_kernel_machine(self) -> bool {
        matches!(self, Self::Svc | Self::Svr)
    }

    /// Whether a row has a score for each class.
    #[must_use]
    pub fn has_class_scores(self) -> bool {
        let by_kind = matches!(self, Self::DecisionTreeClassifier | Self::BoostedTreesClassifier | Self::Svc);
        by_kind || self.class_loss().is_some()
    }

    /// The loss of one row of a model with weights for each class.
    #[must_use]
    pub fn class_loss(self) -> Option<ClassLoss> {
        match self {
            Self::Linear
            | Self::Logistic
            | Self::LinearSvc
            | Self::DecisionTreeClassifier
            | Self::DecisionTreeRegressor
            | Self::BoostedTreesClassifier
            | Self::BoostedTreesRegressor
            | Self::Svc
            | Self::Svr
            | Self::Own(_) => None,
            Self::Multinomial => Some(ClassLoss::Softmax),
            Self::LinearSvcOvr => Some(ClassLoss::OneVsRestSquaredHinge),
        }
    }

    /// Whether the target is a class.
    #[must_use]
    pub fn is_classifier(self) -> bool {
        match self {
            Self::Own(own) => own.has_labels(),
            _ => !matches!(self, Self::Linear | Self::DecisionTreeRegressor | Self::BoostedTreesRegressor | Self::Svr),
        }
    }

    /// Whether scores are probabilities, and not margins.
    #[must_use]
    pub fn has_probabilities(self) -> bool {
        match self {
            Self::Own(own) => own.has_labels(),
            _ => matches!(
                self,
                Self::Logistic | Self::Multinomial | Self::DecisionTreeClassifier | Self::BoostedTreesClassifier
            ),
        }
    }
}
