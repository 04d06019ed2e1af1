//! Estimators: models and transformations over arrays, with `fit`, `predict` and `transform`, in this process.
//!
//! They are jobs like those of a file, run by the same program over the same blocks, so a model has the bits that a cluster
//! would give it. Deliberately absent: clusters, which the facade adds, and reading files.

mod array_table;
mod fitted;
mod preparation;

use ndarray::{ArrayView1, ArrayView2};

pub use array_table::{ArrayTable, TARGET_COLUMN};
pub use fitted::{Fitted, FittedError};
pub use ndarray;
pub use preparation::{FittedPreparation, Preparation};

use crate::data::{DataError, DataPaths};
use crate::job::{
    DataSettings, JOB_VERSION, JobError, ModelKind, ModelSettings, PrepareSettings, ResourceSettings, Scale,
    TrainSettings, TrainingJob,
};
use crate::local::{LocalError, fit_local};
use crate::model_registry::{ModelRegistry, RegisterModelError};
use crate::optimiser::solver::SolverSetting;
use crate::trainable::Trainable;
use crate::tree::TreeSettings;

/// Why arrays cannot be learned from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimatorError {
    /// Not one target for each row.
    #[error("there are {rows} rows and {targets} targets")]
    Lengths {
        /// Rows of `x`.
        rows: usize,
        /// Values of `y`.
        targets: usize,
    },
    /// Nothing to learn from.
    #[error("there are no rows, or no columns")]
    Empty,
    /// A number that cannot be learned from; NaN among the features is a missing cell.
    #[error("row {row} has {value} in {column}, which is not a usable number")]
    NotUsable {
        /// Row, from 0.
        row: usize,
        /// The name of the column.
        column: String,
        /// What is there.
        value: f64,
    },
    /// The classes are too few or too many.
    #[error("the targets have {0} different values, and classes are 2 to {max}", max = crate::data::schema::CLASSES_MAX)]
    Classes(usize),
    /// The settings do not fit, or nothing came of the training.
    #[error(transparent)]
    Training(#[from] LocalError),
    /// The data that were written for a cluster cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The columns given are named wrongly.
    #[error(transparent)]
    Job(#[from] JobError),
}

/// What is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Learns {
    Number(ModelKind),
    /// A label of 0 and 1, told by a user's model.
    Label(ModelKind),
    Classes {
        two: ModelKind,
        many: ModelKind,
    },
}

/// A model to be fitted to arrays; it is begun by [`LinearRegression`] and the others.
///
/// Columns are taken as they are unless [`Self::scale`] or [`Self::prepare`] says otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimator {
    learns: Learns,
    prepare: PrepareSettings,
    model: ModelSettings,
    train: TrainSettings,
    resources: ResourceSettings,
}

impl Estimator {
    fn new(learns: Learns) -> Self {
        let (Learns::Number(kind) | Learns::Label(kind) | Learns::Classes { two: kind, .. }) = learns;
        let model = ModelSettings::of_kind(kind);
        let prepare = PrepareSettings { scale: Scale::None, ..PrepareSettings::default() };
        Self { learns, prepare, model, train: TrainSettings::default(), resources: ResourceSettings::default() }
    }

    /// Adds `l2/2 · |w|²` to the mean loss.
    #[must_use]
    pub fn l2(mut self, l2: f64) -> Self {
        self.model.l2 = l2;
        self
    }

    /// Adds `l1 · Σ|w|` to the mean loss.
    #[must_use]
    pub fn l1(mut self, l1: f64) -> Self {
        self.model.l1 = l1;
        self
    }

    /// Puts `l2` on the intercept as well.
    #[must_use]
    pub fn penalise_intercept(mut self) -> Self {
        self.model.penalise_intercept = true;
        self
    }

    /// When a tree stops growing.
    #[must_use]
    pub fn tree(mut self, tree: TreeSettings) -> Self {
        self.model.tree = tree;
        self
    }

    /// Which columns weights and penalties refer to.
    #[must_use]
    pub fn scale(mut self, scale: Scale) -> Self {
        self.prepare.scale = scale;
        self
    }

    /// What is done to the columns first, with what the rows of [`Self::fit`] say.
    #[must_use]
    pub fn prepare(mut self, preparation: &Preparation) -> Self {
        self.prepare.steps = preparation.steps().to_vec();
        self
    }

    /// What minimises the objective.
    #[must_use]
    pub fn solver(mut self, solver: SolverSetting) -> Self {
        self.train.solver = solver;
        self
    }

    /// When it has converged: a part of the gradient at the start.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.train.tolerance = tolerance;
        self
    }

    /// Most evaluations of the objective.
    #[must_use]
    pub fn rounds_max(mut self, rounds: u32) -> Self {
        self.train.rounds_max = rounds;
        self
    }

    /// Workers on a cluster; the model does not depend on it.
    #[must_use]
    pub fn workers(mut self, workers: u32) -> Self {
        self.train.workers = workers;
        self
    }

    /// What one worker takes of a cluster.
    #[must_use]
    pub fn resources(mut self, resources: ResourceSettings) -> Self {
        self.resources = resources;
        self
    }

    /// Rows and targets as this estimator learns them.
    ///
    /// # Errors
    /// [`EstimatorError`] if they cannot be learned from.
    pub fn table(&self, x: ArrayView2<'_, f64>, y: ArrayView1<'_, f64>) -> Result<ArrayTable, EstimatorError> {
        ArrayTable::new(x, y, matches!(self.learns, Learns::Classes { .. }))
    }

    /// The job that learns a table, which is the CSV file at `path` or is told to the program row by row.
    #[must_use]
    pub fn job(&self, table: &ArrayTable, path: DataPaths) -> TrainingJob {
        let kind = match self.learns {
            Learns::Classes { many, .. } if table.classes().len() > 2 => many,
            Learns::Classes { two, .. } => two,
            Learns::Number(kind) | Learns::Label(kind) => kind,
        };
        TrainingJob {
            version: JOB_VERSION,
            name: kind.name().to_owned(),
            data: DataSettings { path, target: TARGET_COLUMN.to_owned(), ..DataSettings::of_all_rows() },
            prepare: self.prepare.clone(),
            model: ModelSettings { kind, ..self.model },
            train: self.train,
            resources: self.resources,
        }
    }

    /// Learns from rows `x`, shape `[rows, columns]`, and their targets `y`, shape `[rows]`, here and now.
    ///
    /// NaN in `x` is a missing cell, which a step of [`Self::prepare`] has to fill. Targets of a classifier are numbers of
    /// any kind; each different one is a class.
    ///
    /// # Errors
    /// [`EstimatorError`] if the arrays or the settings do not fit.
    pub fn fit(&self, x: ArrayView2<'_, f64>, y: ArrayView1<'_, f64>) -> Result<Fitted, EstimatorError> {
        let table = self.table(x, y)?;
        let job = self.job(&table, "arrays".into());
        let data = table.summary(job.model.kind);
        let model = fit_local(&job, &data, |numbers| Ok(table.rows(numbers, job.model.kind)), 1)?;
        Ok(Fitted::new(model, table.into_classes()))
    }
}

/// The name of an estimator, which begins one.
macro_rules! estimators {
    ($($(#[$doc:meta])* $name:ident($($penalty:ident),*) => $learns:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $name {}

        impl $name {
            /// An estimator of this kind.
            #[expect(clippy::new_ret_no_self, reason = "the names differ in where an estimator begins, and in nothing else")]
            #[must_use]
            pub fn new($($penalty: f64),*) -> Estimator {
                Estimator::new($learns)$(.$penalty($penalty))*
            }
        }
    )*};
}

estimators! {
    /// Least squares: `1/(2n) Σ (m_i - y_i)²`.
    LinearRegression() => Learns::Number(ModelKind::Linear);
    /// Least squares with `l2/2 · |w|²`; `l2` is scikit-learn's `alpha` divided by the rows.
    Ridge(l2) => Learns::Number(ModelKind::Linear);
    /// Least squares with `l1 · Σ|w|`; `l1` is scikit-learn's `alpha`.
    Lasso(l1) => Learns::Number(ModelKind::Linear);
    /// Least squares with both penalties.
    ElasticNet(l1, l2) => Learns::Number(ModelKind::Linear);
    /// Logistic regression of two classes, multinomial of more.
    LogisticRegression() => Learns::Classes { two: ModelKind::Logistic, many: ModelKind::Multinomial };
    /// Linear support vector machine with a squared hinge; of more than two classes one for each against all others.
    LinearSvc() => Learns::Classes { two: ModelKind::LinearSvc, many: ModelKind::LinearSvcOvr };
    /// A decision tree of classes.
    DecisionTreeClassifier() =>
        Learns::Classes { two: ModelKind::DecisionTreeClassifier, many: ModelKind::DecisionTreeClassifier };
    /// A decision tree of a number.
    DecisionTreeRegressor() => Learns::Number(ModelKind::DecisionTreeRegressor);
}

/// A user's own model.
#[derive(Debug, Clone, Copy)]
pub enum OwnEstimator {}

impl OwnEstimator {
    /// An estimator of the user's model, under the name that workers know it by.
    ///
    /// # Errors
    /// [`RegisterModelError`] if a model cannot have that name.
    pub fn of<M: Trainable>(name: &'static str) -> Result<Estimator, RegisterModelError> {
        let models = ModelRegistry::new().register::<M>(name)?;
        let kind = models.kind(name).ok_or(RegisterModelError::BadName(name))?;
        Ok(Estimator::new(if kind.is_classifier() { Learns::Label(kind) } else { Learns::Number(kind) }))
    }
}

#[cfg(test)]
mod tests;
